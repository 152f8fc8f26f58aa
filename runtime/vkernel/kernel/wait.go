package kernel

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/futex"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

const allBits = futex.AllBits

// FutexKey names the word at addr. In a shared mapping it is the same for all
// who map it, unless the guest says that the futex is private.
func (t *Task) FutexKey(addr uint64, private bool) futex.Key {
	if !private {
		if object, off, ok := t.MM.SharedAt(addr); ok {
			return futex.Key{Space: object, Addr: off}
		}
	}
	return futex.Key{Space: t.MM, Addr: t.MM.AS.Lower(addr)}
}

// Errors that tell Syscall to make the call again after a signal; a guest
// sees EINTR. include/linux/errno.h.
const (
	ERESTARTSYS    = unix.Errno(512) // unless a handler without SA_RESTART ran
	ERESTARTNOINTR = unix.Errno(513) // always
	ERESTARTNOHAND = unix.Errno(514) // unless a handler ran
	// ERESTART_RESTARTBLOCK is the same, of calls that wait for a length of time.
	ERESTART_RESTARTBLOCK = unix.Errno(516)
)

func isRestart(err error) bool {
	return err == ERESTARTSYS || err == ERESTARTNOINTR || unlessHandled(err)
}

// unlessHandled tells whether err is of those that make the call again unless a handler ran.
func unlessHandled(err error) bool { return err == ERESTARTNOHAND || err == ERESTART_RESTARTBLOCK }

// retry is what a system call that is made again has to know of its first
// time.
type retry struct {
	again    bool
	deadline time.Time
}

// Until is the deadline of a system call that waits for a length of time:
// when the call was interrupted and is made again, the first one.
func (t *Task) Until(deadline time.Time) time.Time {
	if t.retry.again && !t.retry.deadline.IsZero() {
		return t.retry.deadline
	}
	t.retry.deadline = deadline
	return deadline
}

// Block tries op until it gives something else than EAGAIN, sleeping between
// tries until q tells of one of the events of mask. A signal ends it with
// ERESTARTSYS, the deadline (the zero Time is none) with ETIMEDOUT.
func (t *Task) Block(q *wait.Queue, mask wait.Mask, deadline time.Time, op func() error) error {
	if err := op(); err != unix.EAGAIN {
		return err
	}
	entry, ready := wait.NewChannelEntry(mask)
	q.Register(entry)
	defer q.Unregister(entry)
	for {
		if err := op(); err != unix.EAGAIN {
			return err
		}
		if err := t.Sleep(ready, deadline); err != nil {
			if last := op(); last != unix.EAGAIN {
				return last // as Linux's wait_event_interruptible: what is there counts more than a signal
			}
			return err
		}
	}
}

// Sleep waits for ready. A signal ends it with ERESTARTSYS, the deadline with
// ETIMEDOUT.
func (t *Task) Sleep(ready <-chan struct{}, deadline time.Time) error {
	var timeout <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		timeout = timer.C
	}
	t.pause()
	defer t.meter.resume()
	for {
		if t.Interrupted() {
			return ERESTARTSYS
		}
		select {
		case <-ready:
			return nil
		case <-timeout:
			return unix.ETIMEDOUT
		case <-t.kick:
		}
	}
}

// Interrupted tells whether a sleep must end: a signal is to be delivered, or
// the process stops or ends.
func (t *Task) Interrupted() bool {
	if !t.attention.Load() {
		return false
	}
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	return t.recheck()
}

// sleepUnlessKilled waits for ready; only the task's end ends it before.
func (t *Task) sleepUnlessKilled(ready <-chan struct{}) {
	t.pause()
	defer t.meter.resume()
	for !t.mustEnd() {
		select {
		case <-ready:
			return
		case <-t.kick:
		}
	}
}

// failed is what a system call that fails leaves in rax.
func failed(e unix.Errno) uint64 { return uint64(-int64(e)) }
