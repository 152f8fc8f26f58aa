package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock is how far a clock has gone on.
type Clock func() time.Duration

// wallClock is the one that timers run on which measure no processor's time.
func (k *Kernel) wallClock() time.Duration { return time.Since(k.Boot) }

// Bits of a clock id that is made of a process's or a thread's,
// include/linux/posix-timers.h. Above them is the complement of that id.
const (
	clockKind   = 3
	clockFD     = 3 // of clockKind: no processor time
	clockThread = 4
	clockShift  = 3
)

// CPUClock is a clock of processor time: CLOCK_PROCESS_CPUTIME_ID,
// CLOCK_THREAD_CPUTIME_ID, or what clock_getcpuclockid(3) and
// pthread_getcpuclockid(3) give. EINVAL if there is no such clock, or no such process or
// thread of the caller's.
func (t *Task) CPUClock(id int) (Clock, error) {
	switch {
	case id == unix.CLOCK_PROCESS_CPUTIME_ID:
		return t.Group.cpuTime, nil
	case id == unix.CLOCK_THREAD_CPUTIME_ID:
		return t.cpuTime, nil
	case id >= 0, id&clockKind == clockFD:
		return nil, unix.EINVAL
	}
	who := ^(id >> clockShift)
	if id&clockThread == 0 {
		g := t.Group
		if who != 0 {
			g = t.K.Process(who)
		}
		if g == nil {
			return nil, unix.EINVAL
		}
		return g.cpuTime, nil
	}
	o := t
	if who != 0 {
		o = t.K.Task(who)
	}
	if o == nil || o.Group != t.Group {
		return nil, unix.EINVAL
	}
	return o.cpuTime, nil
}

func (t *Task) cpuTime() time.Duration        { return t.meter.usage().Time }
func (g *ThreadGroup) cpuTime() time.Duration { return g.Usage().Time }
