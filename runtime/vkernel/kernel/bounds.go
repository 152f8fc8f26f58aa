package kernel

import (
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// Throttle bounds the processor time of a container: a bucket that fills at
// some processors' rate. While it is empty no more tasks run at a time than the rate has processors:
// they take turns, and one that ends its turn gives it to the next, so that they stay
// where they run and leave the other processors to other containers.
type Throttle struct {
	rate float64 // processors

	mu     sync.Mutex
	tokens time.Duration // of processor time
	filled time.Time
	free   int             // turns that nobody has
	queue  []chan struct{} // who waits for a turn, in order; it gets something with it
}

// throttlePeriod is how much of its rate a container that was idle may use at
// once.
const throttlePeriod = 100 * time.Millisecond

// turnPatience is how long a task waits for a turn at most.
const turnPatience = 5 * time.Second

// NewThrottle bounds to a number of processors, which need not be whole.
func NewThrottle(processors float64) *Throttle {
	return &Throttle{rate: processors, filled: time.Now(), free: max(1, int(math.Ceil(processors)))}
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

// pass gives a turn to who waits longest for one.
// Preconditions: h.mu is held.
func (h *Throttle) pass() {
	if len(h.queue) == 0 {
		h.free++
		return
	}
	h.queue[0] <- struct{}{}
	h.queue = h.queue[1:]
}

// take is a turn for a task that has one or not, if there is one; else it gives what
// it is to wait for, and another the task's own turn. needed tells whether turns are taken at all now.
func (h *Throttle) take(has, needed bool) (turn chan struct{}, taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(h.queue) > 0: // behind them
	case !needed && has:
		h.free++
		return nil, false
	case !needed, has:
		return nil, has
	case h.free > 0:
		h.free--
		return nil, true
	}
	turn = make(chan struct{}, 1)
	h.queue = append(h.queue, turn)
	if has {
		h.pass()
	}
	return turn, false
}

// giveUp is for who no longer waits: a turn that came meanwhile is another's.
func (h *Throttle) giveUp(turn chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.queue, turn); i >= 0 {
		h.queue = slices.Delete(h.queue, i, i+1)
		return
	}
	h.pass()
}

// throttle charges what the task has used since the last time, which is its turn, and makes it wait for
// the next one, and until there is processor time.
func (t *Task) throttle() {
	h := t.K.Throttle
	if h == nil {
		return
	}
	wait := t.charge()
	turn, taken := h.take(t.turn, wait > 0)
	t.turn = false // so that sleeping here does not pass it on
	if turn != nil {
		if err := t.Sleep(turn, time.Now().Add(turnPatience)); err != nil {
			h.giveUp(turn)
			return
		}
		wait, taken = h.charge(0), true
	}
	if wait > 0 {
		t.Sleep(nil, time.Now().Add(wait))
	}
	t.turn = taken
}

// charge charges what the task has used since the last time, and tells how long to wait before it
// uses more.
func (t *Task) charge() time.Duration {
	used := t.meter.usage().Time
	wait := t.K.Throttle.charge(used - t.charged)
	t.charged = used
	return wait
}

// pause is before the task waits for something: its turn is another's.
func (t *Task) pause() {
	t.meter.pause()
	if t.turn {
		t.turn = false
		h := t.K.Throttle
		h.mu.Lock()
		h.pass()
		h.mu.Unlock()
	}
}

// MemoryUsed is the memory of all processes that is not a file's, in bytes.
func (k *Kernel) MemoryUsed() (total uint64) {
	seen := map[any]bool{}
	k.eachMemory(func(_ *ThreadGroup, m *mm.MM) {
		if !seen[m] {
			seen[m] = true
			total += m.AS.PrivateBytes(seen)
		}
	})
	return total
}

// KillLargest ends the process that uses most memory, as the kernel does when
// there is none left, and tells which it was; nil if there was none.
func (k *Kernel) KillLargest() *ThreadGroup {
	var largest *ThreadGroup
	var most uint64
	k.eachMemory(func(g *ThreadGroup, m *mm.MM) {
		if n := m.AS.MappedBytes(); n > most {
			largest, most = g, n
		}
	})
	if largest != nil {
		largest.Exit(SignalStatus(unix.SIGKILL))
	}
	return largest
}

// eachMemory calls f for the memory that each task has, of processes in no order.
func (k *Kernel) eachMemory(f func(*ThreadGroup, *mm.MM)) {
	for _, g := range k.Processes() {
		for _, t := range g.Tasks() {
			if m := t.memoryMap(); m != nil {
				f(g, m)
				m.Release()
			}
		}
	}
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
