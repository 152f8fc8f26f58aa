// Package event is the files that are counters: eventfd and timerfd. It
// knows nothing of descriptors or tasks.
//
// Lock order: the file's own mutex, then its wait.Queue's.
package event

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Inode is the inode of an anonymous file.
type Inode struct{}

// Attr implements vfs.Inode.
func (Inode) Attr() (linux.Attr, error) {
	return linux.Attr{Mode: 0o600, Nlink: 1, Blksize: linux.PageSize}, nil
}

// noSeek is lseek on a file without an offset, which does nothing.
type noSeek struct{}

// Lseek implements vfs.Seeker.
func (noSeek) Lseek(cur, _ int64, _ int) (int64, error) { return cur, nil }

// maxCount is the largest value of an eventfd.
const maxCount = ^uint64(0) - 1

// Counter is an eventfd.
type Counter struct {
	noSeek
	queue     wait.Queue
	semaphore bool

	mu    sync.Mutex
	value uint64
}

// NewCounter makes an eventfd that starts at value; with semaphore a read
// takes one.
func NewCounter(value uint64, semaphore bool) *Counter {
	return &Counter{value: value, semaphore: semaphore}
}

// Release implements vfs.File.
func (c *Counter) Release() {}

// Queue implements vfs.Poller.
func (c *Counter) Queue() *wait.Queue { return &c.queue }

// Ready implements vfs.Poller.
func (c *Counter) Ready() (m wait.Mask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.value > 0 {
		m |= wait.In
	}
	if c.value < maxCount {
		m |= wait.Out
	}
	return m
}

// Info implements vfs.Informer.
func (c *Counter) Info() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	semaphore := 0
	if c.semaphore {
		semaphore = 1
	}
	return fmt.Sprintf("eventfd-count: %16x\neventfd-semaphore: %d\n", c.value, semaphore)
}

// Read implements vfs.Reader.
func (c *Counter) Read(p []byte) (int, error) {
	if len(p) < 8 {
		return 0, unix.EINVAL
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.value == 0 {
		return 0, unix.EAGAIN
	}
	taken := c.value
	if c.semaphore {
		taken = 1
	}
	c.value -= taken
	binary.LittleEndian.PutUint64(p, taken)
	c.queue.Notify(wait.Out)
	return 8, nil
}

// Write implements vfs.Writer.
func (c *Counter) Write(p []byte) (int, error) {
	if len(p) < 8 {
		return 0, unix.EINVAL
	}
	v := binary.LittleEndian.Uint64(p)
	if v > maxCount {
		return 0, unix.EINVAL
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v > maxCount-c.value {
		return 0, unix.EAGAIN
	}
	c.value += v
	c.queue.Notify(wait.In)
	return 8, nil
}

// Timer is a timerfd.
type Timer struct {
	noSeek
	queue wait.Queue

	mu       sync.Mutex
	timer    *time.Timer
	round    int // counts settings, so that an old expiry is told apart
	due      time.Time
	interval time.Duration
	expired  uint64
}

// Release implements vfs.File.
func (t *Timer) Release() { t.Set(time.Time{}, 0) }

// Queue implements vfs.Poller.
func (t *Timer) Queue() *wait.Queue { return &t.queue }

// Ready implements vfs.Poller.
func (t *Timer) Ready() wait.Mask {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.expired > 0 || t.isDue() {
		return wait.In
	}
	return 0
}

// Read implements vfs.Reader: the number of expiries since the last read.
func (t *Timer) Read(p []byte) (int, error) {
	if len(p) < 8 {
		return 0, unix.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle()
	if t.expired == 0 {
		return 0, unix.EAGAIN
	}
	binary.LittleEndian.PutUint64(p, t.expired)
	t.expired = 0
	return 8, nil
}

// Get tells how long until the next expiry (0: not armed), and the interval.
func (t *Timer) Get() (left, interval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle()
	if !t.due.IsZero() {
		left = max(time.Until(t.due), 1)
	}
	return left, t.interval
}

// Set arms the timer for due and each interval after it; the zero Time
// disarms it.
func (t *Timer) Set(due time.Time, interval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
	t.round++
	t.due, t.interval, t.expired = due, interval, 0
	switch {
	case due.IsZero():
	case time.Until(due) <= 0:
		t.expire() // at once, for who reads next
	default:
		t.arm()
	}
}

func (t *Timer) arm() {
	round := t.round
	t.timer = time.AfterFunc(time.Until(t.due), func() { t.fire(round) })
}

// isDue reports whether the timer has expired since it was looked at last.
func (t *Timer) isDue() bool { return !t.due.IsZero() && time.Until(t.due) <= 0 }

// settle counts what is due by the clock, should the goroutine of the timer be
// late: the guest sees the same clock.
func (t *Timer) settle() {
	if t.isDue() {
		t.timer.Stop()
		t.round++
		t.expire()
	}
}

func (t *Timer) fire(round int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if round == t.round {
		t.expire()
	}
}

// expire counts what is due.
// Preconditions: t.mu is held.
func (t *Timer) expire() {
	t.expired++
	if t.interval > 0 {
		missed := max(0, time.Since(t.due)/t.interval)
		t.expired += uint64(missed)
		t.due = t.due.Add(t.interval * (missed + 1))
		t.arm()
	} else {
		t.due = time.Time{}
	}
	t.queue.Notify(wait.In)
}
