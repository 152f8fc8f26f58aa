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
	futexWaitBitset = 9
	futexWakeBitset = 10
	futexRealtime   = 256
	futexCommand    = 0x7f
)

func sysFutex(t *kernel.Task, a Args) (uint64, error) {
	if a[0]%4 != 0 {
		return 0, unix.EINVAL
	}
	key := t.FutexKey(a[0])
	switch a.Int(1) & futexCommand {
	case futexWait:
		deadline, err := timeout(t, a[3])
		if err != nil {
			return 0, err
		}
		return waitFutex(t, a, futex.AllBits, deadline)
	case futexWaitBitset:
		deadline, err := absolute(t, a[3], a.Int(1)&futexRealtime != 0)
		if err != nil {
			return 0, err
		}
		return waitFutex(t, a, a.Uint(5), deadline)
	case futexWake:
		return count(t.K.Futexes.Wake(key, a.Int(2), futex.AllBits), nil)
	case futexWakeBitset:
		if a.Uint(5) == 0 {
			return 0, unix.EINVAL
		}
		return count(t.K.Futexes.Wake(key, a.Int(2), a.Uint(5)), nil)
	case futexRequeue:
		n, moved, err := t.K.Futexes.Requeue(key, t.FutexKey(a[4]), a.Int(2), a.Int(3), func() error { return nil })
		return count(n+moved, err)
	case futexCmpRequeue:
		n, moved, err := t.K.Futexes.Requeue(key, t.FutexKey(a[4]), a.Int(2), a.Int(3), func() error { return expect(t, a[0], a.Uint(5)) })
		return count(n+moved, err)
	case futexWakeOp:
		return count(t.K.Futexes.WakeOp(key, t.FutexKey(a[4]), a.Int(2), a.Int(3), func() (bool, error) { return modify(t, a[4], a.Uint(5)) }))
	}
	return 0, unix.ENOSYS
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

func waitFutex(t *kernel.Task, a Args, bitset uint32, deadline time.Time) (uint64, error) {
	if bitset == 0 {
		return 0, unix.EINVAL
	}
	table := &t.K.Futexes
	w, err := table.Enqueue(t.FutexKey(a[0]), bitset, func() error { return expect(t, a[0], a.Uint(2)) })
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
