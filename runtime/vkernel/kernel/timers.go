package kernel

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// IntervalTimer is one of a process's three, setitimer(2). It runs on a clock
// of its own, whose times are durations from some start.
type IntervalTimer struct {
	group *ThreadGroup
	timerKind

	mu       sync.Mutex
	timer    *time.Timer
	armed    bool
	due      time.Duration // on the timer's clock
	interval time.Duration
}

// timerKind is what tells the timers apart.
type timerKind struct {
	signal unix.Signal
	now    func(*ThreadGroup) time.Duration
	tick   time.Duration // between looks at a clock that may stand still; 0: it does not
}

// cpuTick is how exact timers of processor time are: a tick of Linux' 250 Hz.
const cpuTick = 4 * time.Millisecond

var started = time.Now()

func realTime(*ThreadGroup) time.Duration { return time.Since(started) }

// cpuTime is a process's processor time: what is the system's is not told
// apart.
func cpuTime(g *ThreadGroup) time.Duration { return g.Usage().Time }

// timerKinds are by ITIMER_REAL, ITIMER_VIRTUAL and ITIMER_PROF.
var timerKinds = [numTimers]timerKind{
	unix.ITIMER_REAL:    {unix.SIGALRM, realTime, 0},
	unix.ITIMER_VIRTUAL: {unix.SIGVTALRM, cpuTime, cpuTick},
	unix.ITIMER_PROF:    {unix.SIGPROF, cpuTime, cpuTick},
}

const numTimers = 3

// Timer is the process's timer of a kind, or EINVAL.
func (g *ThreadGroup) Timer(which int) (*IntervalTimer, error) {
	if which < 0 || which >= numTimers {
		return nil, unix.EINVAL
	}
	return &g.timers[which], nil
}

// initTimers makes the timers of a new process.
func (g *ThreadGroup) initTimers() {
	for i, kind := range timerKinds {
		g.timers[i].group, g.timers[i].timerKind = g, kind
	}
}

// stopTimers disarms all.
func (g *ThreadGroup) stopTimers() {
	for i := range g.timers {
		g.timers[i].Set(0, 0)
	}
}

// Get tells when the timer fires next, from now, and its interval.
func (t *IntervalTimer) Get() (left, interval time.Duration) {
	now := t.now(t.group)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left(now), t.interval
}

func (t *IntervalTimer) left(now time.Duration) time.Duration {
	if !t.armed {
		return 0
	}
	return max(t.due-now, time.Microsecond)
}

// Set arms the timer to send its signal after first (0 disarms it) and then
// each interval. It gives what Get would have.
func (t *IntervalTimer) Set(first, interval time.Duration) (left, oldInterval time.Duration) {
	now := t.now(t.group)
	t.mu.Lock()
	defer t.mu.Unlock()
	left, oldInterval = t.left(now), t.interval
	if t.timer != nil {
		t.timer.Stop()
	}
	t.armed, t.interval = first > 0, interval
	if t.armed {
		t.due = now + first
		t.wait(first)
	}
	return left, oldInterval
}

// wait looks again when the clock may have come to due.
func (t *IntervalTimer) wait(left time.Duration) {
	var mine *time.Timer
	mine = time.AfterFunc(max(left, t.tick), func() { t.fire(&mine) })
	t.timer = mine
}

// fire sends the signal if the timer is due and was not set again meanwhile.
func (t *IntervalTimer) fire(mine **time.Timer) {
	now := t.now(t.group) // before the lock: it takes the group's
	t.mu.Lock()
	if t.timer != *mine || !t.armed {
		t.mu.Unlock()
		return
	}
	due := now >= t.due
	switch {
	case !due:
		t.wait(t.due - now)
	case t.interval > 0:
		t.due = now + t.interval
		t.wait(t.interval)
	default:
		t.armed = false
	}
	t.mu.Unlock()
	if due {
		t.group.Send(SigInfo{Signo: t.signal, Code: SiKernel})
	}
}
