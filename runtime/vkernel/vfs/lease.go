package vfs

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/megabin/megabin/runtime/vkernel/wait"
	"golang.org/x/sys/unix"
)

// leaseSet holds the leases of one inode, fcntl(2).
type leaseSet struct {
	queue wait.Queue // what opens wait on
	n     atomic.Int32

	mu   sync.Mutex
	held map[*Description]*lease
}

// lease is a description's.
type lease struct {
	kind  int16 // F_RDLCK or F_WRLCK
	left  int16 // what an open leaves of it, F_RDLCK or F_UNLCK; else kind
	until time.Time
	tell  func() // its owner that an open waits
}

// LeaseBreakTime is how long an open waits for a lease's owner, the kernel's
// lease-break-time.
const LeaseBreakTime = 45 * time.Second

// LeaseError is an open that has to wait until a lease is given up, and is to be tried again
// then or at a time, when the lease is lost.
type LeaseError struct {
	set   *leaseSet
	d     *Description
	write bool
	Until time.Time
}

// Error implements error.
func (*LeaseError) Error() string { return "somebody has a lease" }

// Unwrap makes it the errno of an open that does not wait.
func (*LeaseError) Unwrap() error { return unix.EAGAIN }

// Queue is what to wait on for Gone.
func (e *LeaseError) Queue() *wait.Queue { return &e.set.queue }

// Gone reports whether no lease is in the way any more.
func (e *LeaseError) Gone() bool {
	e.set.mu.Lock()
	defer e.set.mu.Unlock()
	for d, l := range e.set.held {
		if d != e.d && l.conflicts(e.write) {
			return false
		}
	}
	return true
}

func (l *lease) conflicts(write bool) bool { return write || l.kind == unix.F_WRLCK }

// Lease is F_GETLEASE: F_RDLCK, F_WRLCK or F_UNLCK; where an open waits, what
// that leaves.
func (d *Description) Lease() int {
	s := &d.state.leases
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.held[d]; l != nil {
		return int(l.left)
	}
	return unix.F_UNLCK
}

// SetLease is F_SETLEASE. tell is called when somebody opens the file in a way
// that the lease does not go with.
func (d *Description) SetLease(kind int, tell func()) error {
	a, err := d.Stat()
	switch {
	case err != nil:
		return err
	case a.UID != d.creds.FSUID && !d.creds.Has(unix.CAP_LEASE):
		return unix.EACCES
	case a.Mode&unix.S_IFMT != unix.S_IFREG:
		return unix.EINVAL
	}
	opens := d.path.Dentry.super.opens(d.Inode())
	s := &d.state.leases
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case unix.F_UNLCK:
		if s.held[d] == nil {
			return unix.EAGAIN
		}
		s.drop(d)
		return nil
	case unix.F_RDLCK:
		if d.state.writers.n.Load() > 0 {
			return unix.EAGAIN
		}
	case unix.F_WRLCK:
		if opens > 1 {
			return unix.EAGAIN
		}
	default:
		return unix.EINVAL
	}
	for other, l := range s.held {
		if other != d && (kind == unix.F_WRLCK || l.kind == unix.F_WRLCK || l.left == unix.F_UNLCK) {
			return unix.EAGAIN
		}
	}
	if s.held[d] == nil {
		if s.held == nil {
			s.held = map[*Description]*lease{}
		}
		s.n.Add(1)
	}
	s.held[d] = &lease{kind: int16(kind), left: int16(kind), tell: tell}
	s.queue.Notify(wait.In | wait.Out)
	return nil
}

// drop ends d's lease.
// Preconditions: mu is held.
func (s *leaseSet) drop(d *Description) {
	delete(s.held, d)
	s.n.Add(-1)
	s.queue.Notify(wait.In | wait.Out)
}

// release ends the lease of a description that is closed.
func (s *leaseSet) release(d *Description) {
	if s.n.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[d] != nil {
		s.drop(d)
	}
}

// breakFor has the owners of leases give up what d, which is being opened,
// does not go with.
func (s *leaseSet) breakFor(d *Description, write bool) error {
	if s.n.Load() == 0 {
		return nil
	}
	var tell []func()
	var err error
	now := time.Now()
	s.mu.Lock()
	for other, l := range s.held {
		if other == d || !l.conflicts(write) {
			continue
		}
		left := int16(unix.F_RDLCK)
		if write {
			left = unix.F_UNLCK
		}
		switch breaking := l.left != l.kind; {
		case breaking && !now.Before(l.until):
			l.kind = l.left
			if l.kind == unix.F_UNLCK {
				s.drop(other)
				continue
			}
		case !breaking:
			l.until = now.Add(LeaseBreakTime)
			fallthrough
		case l.left != left && left == unix.F_UNLCK:
			l.left = left
			tell = append(tell, l.tell)
		}
		if l.conflicts(write) {
			err = &LeaseError{s, d, write, l.until}
		}
	}
	s.mu.Unlock()
	for _, f := range tell {
		f()
	}
	return err
}

// opens counts the descriptions of an inode.
func (s *Super) opens(i Inode) int {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	if st := s.states[i]; st != nil {
		return st.refs
	}
	return 0
}
