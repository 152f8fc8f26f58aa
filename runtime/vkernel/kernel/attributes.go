package kernel

import "runtime"

// Attributes are what a thread has been told to be and its children inherit.
// They are not changed once made.
type Attributes struct {
	Policy      int    // SCHED_*; it has no effect
	CPUs        uint64 // affinity, a bit for each processor; it has no effect
	Personality uint32
	TimerSlack  uint64 // nanoseconds; it has no effect
	Dumpable    bool
}

// AllCPUs is the affinity of who has not been told otherwise.
func AllCPUs() uint64 { return uint64(1)<<min(runtime.NumCPU(), 64) - 1 }

// defaultSlack is the first process's timer slack, nanoseconds.
const defaultSlack = 50_000

func newAttributes() *Attributes {
	return &Attributes{CPUs: AllCPUs(), TimerSlack: defaultSlack, Dumpable: true}
}

// Attributes are the thread's. Any task may ask.
func (t *Task) Attributes() Attributes { return *t.attributes.Load() }

// SetAttributes changes them.
func (t *Task) SetAttributes(change func(*Attributes)) {
	for {
		old := t.attributes.Load()
		n := *old
		change(&n)
		if t.attributes.CompareAndSwap(old, &n) {
			return
		}
	}
}
