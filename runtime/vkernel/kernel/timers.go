package kernel

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Timers are a process's interval timers. Only ITIMER_REAL is there.
type Timers struct {
	group *ThreadGroup

	mu       sync.Mutex
	timer    *time.Timer
	due      time.Time // zero: not armed
	interval time.Duration
}

// Get tells when the timer fires next, from now, and its interval.
func (t *Timers) Get() (left, interval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leftLocked(), t.interval
}

func (t *Timers) leftLocked() time.Duration {
	if t.due.IsZero() {
		return 0
	}
	return max(time.Until(t.due), time.Microsecond)
}

// Set arms the timer to send SIGALRM after first (0 disarms it) and then each
// interval. It gives what Get would have.
func (t *Timers) Set(first, interval time.Duration) (left, oldInterval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left, oldInterval = t.leftLocked(), t.interval
	if t.timer != nil {
		t.timer.Stop()
	}
	t.due, t.interval = time.Time{}, interval
	if first > 0 {
		t.arm(first)
	}
	return left, oldInterval
}

func (t *Timers) arm(after time.Duration) {
	t.due = time.Now().Add(after)
	var mine *time.Timer
	mine = time.AfterFunc(after, func() { t.fire(&mine) })
	t.timer = mine
}

// fire sends the signal, unless the timer was set again meanwhile.
func (t *Timers) fire(mine **time.Timer) {
	t.mu.Lock()
	if t.timer != *mine || t.due.IsZero() {
		t.mu.Unlock()
		return
	}
	t.due = time.Time{}
	if t.interval > 0 {
		t.arm(t.interval)
	}
	t.mu.Unlock()
	t.group.Send(SigInfo{Signo: unix.SIGALRM, Code: SiKernel})
}

// Stop disarms the timer.
func (t *Timers) Stop() { t.Set(0, 0) }
