package kernel

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Timers are a process's interval timers, by ITIMER_*. execve keeps them, a
// forked child has none.
type Timers [3]Timer

// init makes them g's. What is user time and what system time is not told
// apart, so ITIMER_VIRTUAL and ITIMER_PROF count the same.
func (s *Timers) init(g *ThreadGroup) {
	s[unix.ITIMER_REAL].init(g, unix.SIGALRM, g.k.wallClock)
	s[unix.ITIMER_VIRTUAL].init(g, unix.SIGVTALRM, g.cpuTime)
	s[unix.ITIMER_PROF].init(g, unix.SIGPROF, g.cpuTime)
}

// Stop disarms all.
func (s *Timers) Stop() {
	for i := range s {
		s[i].Set(0, 0)
	}
}

// Timer sends a signal each time that a clock has gone on by an interval. The
// clock is no faster than the wall's for each thread.
type Timer struct {
	group *ThreadGroup
	sig   unix.Signal
	now   Clock

	mu       sync.Mutex
	armed    bool
	timer    *time.Timer
	due      time.Duration // on the clock
	interval time.Duration
}

func (t *Timer) init(g *ThreadGroup, sig unix.Signal, now Clock) {
	t.group, t.sig, t.now = g, sig, now
}

// Get tells when the timer fires next, from now, and its interval.
func (t *Timer) Get() (left, interval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leftLocked(), t.interval
}

func (t *Timer) leftLocked() time.Duration {
	if !t.armed {
		return 0
	}
	return max(t.due-t.now(), time.Microsecond)
}

// Set arms the timer to send its signal after first (0 disarms it) and then
// each interval. It gives what Get would have.
func (t *Timer) Set(first, interval time.Duration) (left, oldInterval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left, oldInterval = t.leftLocked(), t.interval
	if t.timer != nil {
		t.timer.Stop()
	}
	t.armed, t.interval = first > 0, interval
	if t.armed {
		t.due = t.now() + first
		t.wake(first)
	}
	return left, oldInterval
}

// wake has the timer look at its clock after some time.
func (t *Timer) wake(after time.Duration) {
	var mine *time.Timer
	mine = time.AfterFunc(after, func() { t.fire(&mine) })
	t.timer = mine
}

// minWait is how often a timer looks at a processor's clock at most.
const minWait = time.Millisecond

// fire sends the signal if it is due, unless the timer was set again meanwhile.
func (t *Timer) fire(mine **time.Timer) {
	t.mu.Lock()
	if t.timer != *mine || !t.armed {
		t.mu.Unlock()
		return
	}
	now := t.now()
	if now < t.due {
		t.wake(max(t.due-now, minWait))
		t.mu.Unlock()
		return
	}
	t.armed = t.interval > 0
	if t.armed {
		t.due = now + t.interval
		t.wake(t.interval)
	}
	t.mu.Unlock()
	t.group.Send(SigInfo{Signo: t.sig, Code: SiKernel})
}
