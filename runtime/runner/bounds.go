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

// FileSize is the size of a file system in memory, for tmp.Options: 0 is its default.
func (b Bounds) FileSize() int64 { return int64(cmp.Or(b.Files, b.Memory)) }

func (b Bounds) shmSize() int64 { return int64(cmp.Or(b.Shm, defaultShm)) }

// memoryPeriod is how often memory is looked at. What a guest fills meanwhile
// is how far it can get over its bound.
const memoryPeriod = 10 * time.Millisecond

// measurePeriod is how often a container's memory is measured at least. A
// measurement costs a system call of the host for each process.
const measurePeriod = 200 * time.Millisecond

// watchMemory kills the largest process whenever all together use more than
// the bound, until stop is called.
func (c *container) watchMemory() (stop func()) {
	limit := c.spec.Bounds.Memory
	if limit == 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		g := gauge{measure: c.kernel.MemoryUsed}
		for {
			select {
			case <-done:
				return
			case <-time.After(memoryPeriod):
			}
			if g.mayExceed(limit, resident()+c.engine.StoredBytes(), time.Now()) {
				c.killLargest(done)
				g.measured = time.Time{}
			}
		}
	}()
	return func() { close(done) }
}

// gauge measures a container's memory as seldom as it can be told without: it is no
// more than the whole runner has, mapped or in stores, nor more than it was and the runner has got since.
type gauge struct {
	measure        func() uint64
	used, resident uint64 // when it was measured, bytes
	measured       time.Time
}

// mayExceed tells whether the container uses more than limit now that the runner has
// resident. What it gets while another container gives up as much is noticed within measurePeriod.
func (g *gauge) mayExceed(limit, resident uint64, now time.Time) bool {
	if resident <= limit {
		return false
	}
	if grown := resident - min(resident, g.resident); g.used+grown <= limit && now.Sub(g.measured) < measurePeriod {
		return false
	}
	g.used, g.resident, g.measured = g.measure(), resident, now
	return g.used > limit
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
