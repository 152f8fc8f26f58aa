package kernel

// Attributes are what a thread has been told to be and its children inherit.
// They are not changed once made.
type Attributes struct {
	Sched       SchedPolicy
	CPUs        uint64 // affinity, a bit for each processor; it has no effect
	IOPrio      IOPrio
	Personality uint32
	TimerSlack  uint64 // nanoseconds; it has no effect
	Dumpable    bool
}

// defaultSlack is the first process's timer slack, nanoseconds.
const defaultSlack = 50_000

func newAttributes() *Attributes {
	return &Attributes{CPUs: allCPUs(), TimerSlack: defaultSlack, Dumpable: true}
}

// fork is what a child begins with.
func (a Attributes) fork() *Attributes {
	a.Sched = a.Sched.fork()
	return &a
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
