package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// Kinds of struct sigevent, and its size in bytes, asm-generic/siginfo.h.
const (
	sigevSignal   = 0
	sigevNone     = 1
	sigevThreadID = 4
	sigeventSize  = 64
)

// sysTimerCreate reads struct sigevent: value, signal, how, thread.
func sysTimerCreate(t *kernel.Task, a Args) (uint64, error) {
	clock, err := timerClock(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	info, to, value := kernel.SigInfo{Signo: unix.SIGALRM}, (*kernel.Task)(nil), (*uint64)(nil)
	if a[1] != 0 {
		var raw [sigeventSize]byte
		if err := mem(t).CopyIn(a[1], raw[:]); err != nil {
			return 0, err
		}
		le := binary.LittleEndian
		v := le.Uint64(raw[:])
		value = &v
		info.Signo = unix.Signal(le.Uint32(raw[8:]))
		switch le.Uint32(raw[12:]) {
		case sigevNone:
			info.Signo = 0
		case sigevThreadID:
			to = t.K.Task(int(le.Uint32(raw[16:])))
			if to == nil || to.Group != t.Group {
				return 0, unix.EINVAL
			}
		case sigevSignal:
		default:
			return 0, unix.EINVAL
		}
		if info.Signo < 0 || info.Signo > kernel.MaxSignal || info.Signo == 0 && le.Uint32(raw[12:]) != sigevNone {
			return 0, unix.EINVAL
		}
	}
	timer, err := t.Group.PosixTimers.Add(t.Group, a.Int(0), clock, info, to, value)
	if err != nil {
		return 0, err
	}
	if err := mem(t).Store32(a[2], uint32(timer.ID)); err != nil {
		t.Group.PosixTimers.Delete(timer.ID)
		return 0, err
	}
	return 0, nil
}

// timerClock is the clock of a timer, nil for the wall's.
func timerClock(t *kernel.Task, id int) (kernel.Clock, error) {
	switch {
	case isCPUClock(id):
		return t.CPUClock(id)
	case !clocks[id]:
		return nil, unix.EINVAL
	}
	return nil, nil
}

func sysTimerSettime(t *kernel.Task, a Args) (uint64, error) {
	timer, err := t.Group.PosixTimers.Get(int32(a.Int(0)))
	if err != nil {
		return 0, err
	}
	interval, err := duration(t, a[2])
	if err != nil {
		return 0, err
	}
	first, err := duration(t, a[2]+linux.TimespecSize)
	if err != nil {
		return 0, err
	}
	armed := first != 0
	if armed && a.Int(1)&unix.TIMER_ABSTIME != 0 {
		at, err := clockTime(t, timer.ClockID)
		if err != nil {
			return 0, err
		}
		first -= at
	}
	left, old := timer.Disarm()
	if armed {
		timer.Set(first, interval)
	}
	if a[3] == 0 {
		return 0, nil
	}
	return copyOut(t, a[3], appendItimerspec(left, old), nil)
}

// appendItimerspec is struct itimerspec: interval and time left.
func appendItimerspec(left, interval time.Duration) []byte {
	var b []byte
	for _, d := range []time.Duration{interval, left} {
		ts := linux.Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
		b = ts.Append(b)
	}
	return b
}

func sysTimerGettime(t *kernel.Task, a Args) (uint64, error) {
	timer, err := t.Group.PosixTimers.Get(int32(a.Int(0)))
	if err != nil {
		return 0, err
	}
	return copyOut(t, a[1], appendItimerspec(timer.Get()), nil)
}

func sysTimerGetoverrun(t *kernel.Task, a Args) (uint64, error) {
	timer, err := t.Group.PosixTimers.Get(int32(a.Int(0)))
	if err != nil {
		return 0, err
	}
	return uint64(timer.Overrun()), nil
}

func sysTimerDelete(t *kernel.Task, a Args) (uint64, error) {
	return ok(t.Group.PosixTimers.Delete(int32(a.Int(0))))
}
