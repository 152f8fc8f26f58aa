package runner

import (
	"cmp"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// Bounds are what a container may use; zero values are no bounds.
type Bounds struct {
	Memory uint64  // bytes, of all processes together
	Files  uint64  // bytes, of each file system in memory but /dev/shm; Memory if 0
	Shm    uint64  // bytes, of /dev/shm; defaultShm if 0
	Tasks  int     // threads at a time
	CPUs   float64 // processors
}

// defaultShm is what container engines give /dev/shm, bytes.
const defaultShm = 64 << 20

// files and shm are for tmp.Options: 0 is its default.
func (b Bounds) files() int64 { return int64(cmp.Or(b.Files, b.Memory)) }
func (b Bounds) shm() int64   { return int64(cmp.Or(b.Shm, defaultShm)) }

// memoryPeriod is how often memory is looked at. What a guest fills meanwhile
// is how far it can get over its bound.
const memoryPeriod = 10 * time.Millisecond

// watchMemory kills the largest process whenever all together use more than
// the bound, until stop is called. Processes are only measured while the
// runner as a whole is over it, which costs next to nothing to know.
func (c *container) watchMemory() (stop func()) {
	limit := c.spec.Bounds.Memory
	if limit == 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(memoryPeriod):
			}
			if resident() > limit && c.kernel.MemoryUsed() > limit {
				c.killLargest(done)
			}
		}
	}()
	return func() { close(done) }
}

// killLargest waits for the end of the process it kills: before that nothing
// is freed.
func (c *container) killLargest(done <-chan struct{}) {
	g := c.kernel.KillLargest()
	if g == nil {
		return
	}
	c.say("out of memory: killed process %d (%s)", g.ID, g.Name())
	select {
	case <-g.Done():
	case <-done:
	}
}

// resident is the memory that the runner's process has, in bytes.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

// bound sets what the kernel enforces itself.
func (b Bounds) bound(k *kernel.Config) {
	k.MaxTasks = b.Tasks
	if b.CPUs > 0 {
		k.Throttle = kernel.NewThrottle(b.CPUs)
	}
}
