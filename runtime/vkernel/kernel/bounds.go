package kernel

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Throttle bounds the processor time of a container: a bucket that fills at
// some processors' rate.
type Throttle struct {
	rate float64 // processors

	mu     sync.Mutex
	tokens time.Duration // of processor time
	filled time.Time
}

// throttlePeriod is how much of its rate a container that was idle may use at
// once.
const throttlePeriod = 100 * time.Millisecond

// NewThrottle bounds to a number of processors, which need not be whole.
func NewThrottle(processors float64) *Throttle {
	return &Throttle{rate: processors, filled: time.Now()}
}

// charge takes processor time that was used, and tells how long to wait before
// more is.
func (h *Throttle) charge(used time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	most := time.Duration(h.rate * float64(throttlePeriod))
	h.tokens = min(most, h.tokens+time.Duration(h.rate*float64(now.Sub(h.filled)))) - used
	h.filled = now
	if h.tokens >= 0 {
		return 0
	}
	return time.Duration(float64(-h.tokens) / h.rate)
}

// throttle charges what the task used since the last time, and makes it wait.
func (t *Task) throttle() {
	h := t.K.Throttle
	if h == nil {
		return
	}
	used := t.meter.usage().Time
	wait := h.charge(used - t.charged)
	t.charged = used
	if wait > 0 {
		t.Sleep(nil, time.Now().Add(wait))
	}
}

// MemoryUsed is the memory of all processes that is not a file's, in bytes.
func (k *Kernel) MemoryUsed() (total uint64) {
	used, _, _ := k.memory()
	return used
}

// KillLargest ends the process that uses most memory, as the kernel does when
// there is none left, and tells which it was; nil if there was none.
func (k *Kernel) KillLargest() *ThreadGroup {
	_, largest, _ := k.memory()
	if largest != nil {
		largest.Exit(SignalStatus(unix.SIGKILL))
	}
	return largest
}

// memory measures all processes. Memory that several share counts once, and
// for the first of them.
func (k *Kernel) memory() (total uint64, largest *ThreadGroup, most uint64) {
	seen := map[any]bool{}
	for _, g := range k.Processes() {
		for _, t := range g.Tasks() {
			m := t.memoryMap()
			if m == nil {
				continue
			}
			if used := m.AS.PrivateBytes(); !seen[m] {
				seen[m] = true
				total += used
				if used > most {
					largest, most = g, used
				}
			}
			m.Release()
		}
	}
	return total, largest, most
}

// Name is what people know the process by.
func (g *ThreadGroup) Name() string {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	if t := g.leader(); t != nil {
		return t.Comm()
	}
	return ""
}

// Done is closed when the process has ended.
func (g *ThreadGroup) Done() <-chan struct{} { return g.done }
