package syscalls

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/futex"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// Operations of futex(2), uapi/linux/futex.h.
const (
	futexWait       = 0
	futexWake       = 1
	futexRequeue    = 3
	futexCmpRequeue = 4
	futexWakeOp     = 5
	futexLockPI     = 6
	futexUnlockPI   = 7
	futexTrylockPI  = 8
	futexWaitBitset = 9
	futexWakeBitset = 10
	futexWaitPI     = 11 // FUTEX_WAIT_REQUEUE_PI
	futexRequeuePI  = 12 // FUTEX_CMP_REQUEUE_PI
	futexLockPI2    = 13
	futexPrivate    = 128
	futexRealtime   = 256
	futexCommand    = 0x7f
)

// futexCall is a call of futex(2) with the names of its words.
type futexCall struct {
	Args
	key     futex.Key
	private bool
}

// second is the key of the second word.
func (c futexCall) second(t *kernel.Task) futex.Key { return t.FutexKey(c.Args[4], c.private) }

// futexOps are what futex can do, by command.
var futexOps = map[int]func(t *kernel.Task, c futexCall) (uint64, error){
	futexWait: func(t *kernel.Task, c futexCall) (uint64, error) {
		deadline, err := timeout(t, c.Args[3])
		if err != nil {
			return 0, err
		}
		return waitFutex(t, c, futex.AllBits, deadline)
	},
	futexWaitBitset: func(t *kernel.Task, c futexCall) (uint64, error) {
		deadline, err := absolute(t, c.Args[3], c.Int(1)&futexRealtime != 0)
		if err != nil {
			return 0, err
		}
		return waitFutex(t, c, c.Uint(5), deadline)
	},
	futexWake: func(t *kernel.Task, c futexCall) (uint64, error) {
		return count(t.K.Futexes.Wake(c.key, max(c.Int(2), 1), futex.AllBits), nil)
	},
	futexWakeBitset: func(t *kernel.Task, c futexCall) (uint64, error) {
		if c.Uint(5) == 0 {
			return 0, unix.EINVAL
		}
		return count(t.K.Futexes.Wake(c.key, max(c.Int(2), 1), c.Uint(5)), nil)
	},
	futexRequeue: func(t *kernel.Task, c futexCall) (uint64, error) {
		return requeue(t, c, func() error { return nil })
	},
	futexCmpRequeue: func(t *kernel.Task, c futexCall) (uint64, error) {
		return requeue(t, c, func() error { return expect(t, c.Args[0], c.Uint(5)) })
	},
	futexWakeOp: func(t *kernel.Task, c futexCall) (uint64, error) {
		return count(t.K.Futexes.WakeOp(c.key, c.second(t), c.Int(2), c.Int(3), func() (bool, error) {
			return modify(t, c.Args[4], c.Uint(5))
		}))
	},
	futexLockPI: func(t *kernel.Task, c futexCall) (uint64, error) {
		deadline, err := absolute(t, c.Args[3], true)
		if err != nil {
			return 0, err
		}
		return ok(t.LockPI(c.Args[0], c.key, deadline, false))
	},
	futexLockPI2: func(t *kernel.Task, c futexCall) (uint64, error) {
		deadline, err := absolute(t, c.Args[3], c.Int(1)&futexRealtime != 0)
		if err != nil {
			return 0, err
		}
		return ok(t.LockPI(c.Args[0], c.key, deadline, false))
	},
	futexTrylockPI: func(t *kernel.Task, c futexCall) (uint64, error) {
		return ok(t.LockPI(c.Args[0], c.key, time.Time{}, true))
	},
	futexWaitPI: func(t *kernel.Task, c futexCall) (uint64, error) {
		deadline, err := absolute(t, c.Args[3], c.Int(1)&futexRealtime != 0)
		lock := c.second(t)
		if err != nil || c.key == lock {
			return 0, firstError(err, unix.EINVAL)
		}
		return ok(t.WaitRequeuePI(c.key, lock, deadline, func() error { return expect(t, c.Args[0], c.Uint(2)) }))
	},
	futexRequeuePI: func(t *kernel.Task, c futexCall) (uint64, error) {
		lock := c.second(t)
		if c.Int(2) != 1 || c.Int(3) < 0 || c.key == lock {
			return 0, unix.EINVAL
		}
		return count(t.RequeuePI(c.key, c.Args[4], lock, c.Int(3), func() error { return expect(t, c.Args[0], c.Uint(5)) }))
	},
	futexUnlockPI: func(t *kernel.Task, c futexCall) (uint64, error) {
		return ok(t.UnlockPI(c.Args[0], c.key))
	},
}

func sysFutex(t *kernel.Task, a Args) (uint64, error) {
	op := futexOps[a.Int(1)&futexCommand]
	switch {
	case op == nil:
		return 0, unix.ENOSYS
	case a[0]%4 != 0:
		return 0, unix.EINVAL
	}
	private := a.Int(1)&futexPrivate != 0
	return op(t, futexCall{a, t.FutexKey(a[0], private), private})
}

func requeue(t *kernel.Task, c futexCall, check func() error) (uint64, error) {
	if c.Int(2) < 0 || c.Int(3) < 0 {
		return 0, unix.EINVAL
	}
	n, moved, err := t.K.Futexes.Requeue(c.key, c.second(t), c.Int(2), c.Int(3), check)
	return count(n+moved, err)
}

// absolute is the deadline at the timespec at addr on a clock.
func absolute(t *kernel.Task, addr uint64, realtime bool) (time.Time, error) {
	if addr == 0 {
		return time.Time{}, nil
	}
	d, err := duration(t, addr)
	if err != nil {
		return time.Time{}, err
	}
	clock := unix.CLOCK_MONOTONIC
	if realtime {
		clock = unix.CLOCK_REALTIME
	}
	ts, err := now(clock)
	return after(d - time.Duration(ts.Sec*1e9+ts.Nsec)), err
}

// expect is EAGAIN unless the word at addr has this value.
func expect(t *kernel.Task, addr uint64, value uint32) error {
	word, err := mem(t).Atomic32(addr)
	if err != nil {
		return err
	}
	if atomic.LoadUint32(word) != value {
		return unix.EAGAIN
	}
	return nil
}

func waitFutex(t *kernel.Task, c futexCall, bitset uint32, deadline time.Time) (uint64, error) {
	if bitset == 0 {
		return 0, unix.EINVAL
	}
	table := &t.K.Futexes
	w, err := table.Enqueue(c.key, bitset, func() error { return expect(t, c.Args[0], c.Uint(2)) })
	if err != nil {
		return 0, err
	}
	err = t.Sleep(w.C, deadline)
	if err == nil || table.Cancel(w) {
		return 0, nil
	}
	return 0, err
}

// modify does the operation that FUTEX_WAKE_OP encodes in op on the word at
// addr, and tells whether the comparison with its old value holds.
func modify(t *kernel.Task, addr uint64, op uint32) (bool, error) {
	word, err := mem(t).Atomic32(addr)
	if err != nil {
		return false, err
	}
	arg := uint32(int32(op<<8) >> 20)
	cmpArg := int32(op<<20) >> 20
	if op>>28&8 != 0 {
		arg = 1 << (arg & 31)
	}
	for {
		old := atomic.LoadUint32(word)
		value, known := applyOp(op>>28&7, old, arg)
		if !known {
			return false, unix.ENOSYS
		}
		if atomic.CompareAndSwapUint32(word, old, value) {
			return compareOp(op>>24&15, int32(old), cmpArg)
		}
	}
}

func applyOp(op, old, arg uint32) (uint32, bool) {
	switch op {
	case 0:
		return arg, true
	case 1:
		return old + arg, true
	case 2:
		return old | arg, true
	case 3:
		return old &^ arg, true
	case 4:
		return old ^ arg, true
	}
	return 0, false
}

func compareOp(cmp uint32, old, arg int32) (bool, error) {
	switch cmp {
	case 0:
		return old == arg, nil
	case 1:
		return old != arg, nil
	case 2:
		return old < arg, nil
	case 3:
		return old <= arg, nil
	case 4:
		return old > arg, nil
	case 5:
		return old >= arg, nil
	}
	return false, unix.ENOSYS
}
