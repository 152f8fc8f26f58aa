package kernel

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxTimers bounds the timers of a process: they count as queued signals on
// Linux.
const maxTimers = 4096

// PosixTimers are what timer_create makes: execve and the end of the process
// delete them, a forked child has none.
type PosixTimers struct {
	mu     sync.Mutex
	next   int32
	timers map[int32]*PosixTimer
}

// PosixTimer is one of them.
type PosixTimer struct {
	ID      int32
	ClockID int
	group   *ThreadGroup
	clock   Clock
	info    SigInfo // what it sends; no signal for SIGEV_NONE
	to      *Task   // SIGEV_THREAD_ID; nil: the process

	mu       sync.Mutex
	timer    *time.Timer
	round    int // counts settings, so that an old expiry is told apart
	armed    bool
	due      time.Duration // on the clock
	interval time.Duration
	overrun  int32
}

// Add makes a timer on a clock, a nil one is the wall's: EAGAIN if there are too
// many. Without a value of its own the signal brings the timer's id.
func (s *PosixTimers) Add(g *ThreadGroup, id int, clock Clock, info SigInfo, to *Task, value *uint64) (*PosixTimer, error) {
	if clock == nil {
		clock = g.k.wallClock
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.timers) >= maxTimers {
		return nil, unix.EAGAIN
	}
	if s.timers == nil {
		s.timers = map[int32]*PosixTimer{}
	}
	for s.timers[s.next] != nil {
		s.next = (s.next + 1) & 0x7fffffff
	}
	t := &PosixTimer{ID: s.next, ClockID: id, group: g, clock: clock, info: info, to: to}
	t.info.Code, t.info.PID, t.info.Value = SiTimer, t.ID, uint64(t.ID)
	if value != nil {
		t.info.Value = *value
	}
	s.timers[t.ID] = t
	s.next = (s.next + 1) & 0x7fffffff
	return t, nil
}

// Get is the timer with an id, or EINVAL.
func (s *PosixTimers) Get(id int32) (*PosixTimer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.timers[id]; t != nil {
		return t, nil
	}
	return nil, unix.EINVAL
}

// Delete ends a timer, or gives EINVAL.
func (s *PosixTimers) Delete(id int32) error {
	t, err := s.Get(id)
	if err != nil {
		return err
	}
	t.Disarm()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.timers, id)
	return nil
}

// DeleteAll ends all timers.
func (s *PosixTimers) DeleteAll() {
	s.mu.Lock()
	all := s.timers
	s.timers, s.next = nil, 0
	s.mu.Unlock()
	for _, t := range all {
		t.Disarm()
	}
}

// Get tells how long until the next expiry (0: not armed), and the interval.
func (t *PosixTimer) Get() (left, interval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leftLocked(), t.interval
}

func (t *PosixTimer) leftLocked() time.Duration {
	if !t.armed {
		return 0
	}
	return max(t.due-t.clock(), 1)
}

// Set arms the timer for when its clock has gone on by first, which may be
// past, and each interval after it. It gives what Get would have.
func (t *PosixTimer) Set(first, interval time.Duration) (left, oldInterval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left, oldInterval = t.stop()
	t.armed, t.due, t.interval = true, t.clock()+first, interval
	t.arm(first)
	return left, oldInterval
}

// Disarm stops the timer. It gives what Get would have.
func (t *PosixTimer) Disarm() (left, oldInterval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stop()
}

func (t *PosixTimer) stop() (left, interval time.Duration) {
	left, interval = t.leftLocked(), t.interval
	if t.timer != nil {
		t.timer.Stop()
	}
	t.round++
	t.armed, t.interval, t.overrun = false, 0, 0
	return left, interval
}

// Overrun is timer_getoverrun: expiries since the last signal that sent none.
func (t *PosixTimer) Overrun() int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.overrun
}

// arm has the timer look at its clock after some time.
func (t *PosixTimer) arm(after time.Duration) {
	round := t.round
	t.timer = time.AfterFunc(after, func() { t.fire(round) })
}

func (t *PosixTimer) fire(round int) {
	t.mu.Lock()
	if round != t.round {
		t.mu.Unlock()
		return
	}
	now := t.clock()
	if now < t.due { // a processor's clock, which stands still at times
		t.arm(max(t.due-now, minWait))
		t.mu.Unlock()
		return
	}
	missed := int32(0)
	t.armed = t.interval > 0
	if t.armed {
		n := (now - t.due) / t.interval
		missed = int32(n)
		t.due += t.interval * (n + 1)
		t.arm(t.due - now)
	}
	info := t.info
	t.mu.Unlock()
	queued := info.Signo != 0 && t.group.sendTimer(info, t.to)
	t.mu.Lock()
	defer t.mu.Unlock()
	if queued {
		t.overrun = missed
	} else {
		t.overrun += missed + 1
	}
}

// sendTimer sends a timer's signal unless its last one is still pending.
func (g *ThreadGroup) sendTimer(info SigInfo, to *Task) (queued bool) {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	g.mu.Lock()
	q := &g.pending
	if to != nil {
		q = &to.pending
	}
	for _, old := range q.list {
		if old.Code == SiTimer && old.PID == info.PID {
			g.mu.Unlock()
			return false
		}
	}
	g.mu.Unlock()
	return g.send(info, to) == nil
}
