package kernel

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/futex"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

const allBits = futex.AllBits

// FutexKey names the word at addr. Words in shared mappings of different
// processes are not the same yet.
func (t *Task) FutexKey(addr uint64) futex.Key { return futex.Key{Space: t.MM, Addr: addr} }

// Errors that tell Syscall to make the call again after a signal; a guest
// sees EINTR. include/linux/errno.h.
const (
	ERESTARTSYS    = unix.Errno(512) // unless a handler without SA_RESTART ran
	ERESTARTNOHAND = unix.Errno(514) // unless a handler ran
)

func isRestart(err error) bool { return err == ERESTARTSYS || err == ERESTARTNOHAND }

// wake makes a sleeping task look at its signals and its group's state.
func (t *Task) wake() {
	t.arrivals.Notify(wait.In)
	select {
	case t.kick <- struct{}{}:
	default:
	}
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
		case <-t.ctx.Done():
			return ERESTARTSYS
		}
	}
}

// Interrupted tells whether a sleep must end: a signal is to be delivered or
// the process ends.
func (t *Task) Interrupted() bool {
	return t.Group.Exiting() || t.ctx.Err() != nil || t.hasSignal()
}

// reap hands an ended process to its parent, or forgets it when there is none.
func (k *Kernel) reap(g *ThreadGroup) {
	if g.parent == nil {
		k.forget(g.ID)
	}
}

// WaitFor says which children wait4 and waitid are about.
type WaitFor struct {
	PID    int // > 0 this one, -1 any, 0 of the caller's group, < -1 of group -PID
	NoHang bool
	NoReap bool // WNOWAIT
}

// Reaped is what wait tells about a child.
type Reaped struct {
	PID    int
	Status WaitStatus
	UID    uint32
}

// Wait is wait4: ECHILD if there is no such child. With NoHang and none ended
// the result is zero.
func (t *Task) Wait(w WaitFor) (Reaped, error) {
	for {
		r, changed, err := t.tryWait(w)
		if err != nil || r.PID != 0 || w.NoHang {
			return r, err
		}
		if err := t.Sleep(changed, time.Time{}); err != nil {
			return Reaped{}, err
		}
	}
}

func (t *Task) tryWait(w WaitFor) (Reaped, <-chan struct{}, error) {
	g := t.Group
	own := g.ProcessGroup()
	g.mu.Lock()
	defer g.mu.Unlock()
	found := false
	for pid, child := range g.children {
		if !w.matches(child, own) {
			continue
		}
		found = true
		select {
		case <-child.done:
		default:
			continue
		}
		if !w.NoReap {
			delete(g.children, pid)
			defer g.k.forget(pid)
		}
		return Reaped{PID: pid, Status: child.status}, nil, nil
	}
	if !found {
		return Reaped{}, nil, unix.ECHILD
	}
	return Reaped{}, g.childWait, nil
}

func (w WaitFor) matches(child *ThreadGroup, own int) bool {
	switch {
	case w.PID > 0:
		return child.ID == w.PID
	case w.PID == 0:
		return child.ProcessGroup() == own
	case w.PID < -1:
		return child.ProcessGroup() == -w.PID
	}
	return true
}

// failed is what a system call that fails leaves in rax.
func failed(e unix.Errno) uint64 { return uint64(-int64(e)) }
