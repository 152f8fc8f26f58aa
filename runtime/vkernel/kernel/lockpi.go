package kernel

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/futex"
)

// errTaken ends an attempt to wait for a lock that was free.
var errTaken = errors.New("taken")

// LockPI is FUTEX_LOCK_PI on the word at addr, which holds the owner's thread
// id. Priorities are not inherited, as there are none. With try it does not
// wait.
func (t *Task) LockPI(addr uint64, key futex.Key, deadline time.Time, try bool) error {
	word, err := t.MM.AS.Atomic32(addr)
	if err != nil {
		return err
	}
	w, err := t.K.Futexes.EnqueueOwner(key, uint32(t.TID), func() error { return t.tryLockPI(word, try) })
	switch {
	case err == errTaken:
		return nil
	case err != nil:
		return err
	}
	err = t.Sleep(w.C, deadline)
	switch {
	case err == nil || t.K.Futexes.Cancel(w):
		return nil
	case err == ERESTARTSYS:
		return ERESTARTNOINTR
	}
	return err
}

// tryLockPI takes a free lock, and otherwise marks it as waited for.
func (t *Task) tryLockPI(word *uint32, try bool) error {
	for {
		v := atomic.LoadUint32(word)
		owner := int(v & futexTIDMask)
		next, result := v|futexWaiters, error(nil)
		switch {
		case owner == t.TID:
			return unix.EDEADLK
		case owner == 0:
			next, result = v|uint32(t.TID), errTaken
		case try:
			return unix.EAGAIN
		case t.K.Task(owner) == nil:
			return unix.ESRCH
		}
		if atomic.CompareAndSwapUint32(word, v, next) {
			return result
		}
	}
}

// WaitRequeuePI is FUTEX_WAIT_REQUEUE_PI: a wait that ends when the lock is the
// task's, which is moved to those who wait for that by RequeuePI.
func (t *Task) WaitRequeuePI(key, lock futex.Key, deadline time.Time, check func() error) error {
	w, err := t.K.Futexes.EnqueueTo(key, lock, uint32(t.TID), check)
	if err != nil {
		return err
	}
	err = t.Sleep(w.C, deadline)
	switch {
	case err == nil || t.K.Futexes.Cancel(w):
		return nil
	case err == unix.ETIMEDOUT:
		return err
	case w.Moved():
		return unix.EAGAIN // the word has changed by now
	}
	return ERESTARTNOINTR
}

// RequeuePI is FUTEX_CMP_REQUEUE_PI, to the lock at addr.
func (t *Task) RequeuePI(key futex.Key, addr uint64, lock futex.Key, move int, check func() error) (int, error) {
	word, err := t.MM.AS.Atomic32(addr)
	if err != nil {
		return 0, err
	}
	waiters := uint32(0)
	if move > 0 {
		waiters = futexWaiters
	}
	return t.K.Futexes.MoveToLock(key, lock, move, check, func(id uint32) (bool, error) {
		for {
			v := atomic.LoadUint32(word)
			owner := v & futexTIDMask
			next := v | futexWaiters
			switch {
			case owner == id:
				return false, unix.EDEADLK
			case owner == 0:
				next = v&futexOwnerDied | id | waiters
			case t.K.Task(int(owner)) == nil:
				return false, unix.ESRCH
			}
			if atomic.CompareAndSwapUint32(word, v, next) {
				return owner == 0, nil
			}
		}
	})
}

// UnlockPI is FUTEX_UNLOCK_PI: the lock goes to who waits longest.
func (t *Task) UnlockPI(addr uint64, key futex.Key) error {
	word, err := t.MM.AS.Atomic32(addr)
	if err != nil {
		return err
	}
	if int(atomic.LoadUint32(word)&futexTIDMask) != t.TID {
		return unix.EPERM
	}
	return t.handOver(word, key, 0)
}

// handOver gives a lock with priority inheritance to the next owner, with
// more bits in its word.
func (t *Task) handOver(word *uint32, key futex.Key, bits uint32) error {
	return t.K.Futexes.HandOver(key, func(next uint32, more bool) error {
		if more {
			next |= futexWaiters
		}
		atomic.StoreUint32(word, next|bits)
		return nil
	})
}
