package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// clocks are the host's clocks that a guest can read.
var clocks = map[int]bool{
	unix.CLOCK_REALTIME: true, unix.CLOCK_MONOTONIC: true,
	unix.CLOCK_MONOTONIC_RAW: true, unix.CLOCK_REALTIME_COARSE: true, unix.CLOCK_MONOTONIC_COARSE: true, unix.CLOCK_BOOTTIME: true,
	unix.CLOCK_TAI: true,
}

// isCPUClock tells whether a clock measures processor time, if it exists.
func isCPUClock(id int) bool {
	return id < 0 || id == unix.CLOCK_PROCESS_CPUTIME_ID || id == unix.CLOCK_THREAD_CPUTIME_ID
}

// clockTime reads any clock.
func clockTime(t *kernel.Task, id int) (time.Duration, error) {
	if isCPUClock(id) {
		clock, err := t.CPUClock(id)
		if err != nil {
			return 0, err
		}
		return clock(), nil
	}
	ts, err := now(id)
	return time.Duration(ts.Sec*1e9 + ts.Nsec), err
}

// now reads a clock of the host.
func now(clock int) (linux.Timespec, error) {
	if !clocks[clock] {
		return linux.Timespec{}, unix.EINVAL
	}
	var ts unix.Timespec
	err := unix.ClockGettime(int32(clock), &ts)
	return linux.FromUnix(ts), err
}

func sysClockGettime(t *kernel.Task, a Args) (uint64, error) {
	if !isCPUClock(a.Int(0)) {
		ts, err := now(a.Int(0))
		return copyOut(t, a[1], ts.Append(nil), err)
	}
	d, err := clockTime(t, a.Int(0))
	return copyOut(t, a[1], appendDuration(nil, d), err)
}

func sysClockGetres(t *kernel.Task, a Args) (uint64, error) {
	clock := a.Int(0)
	if isCPUClock(clock) {
		if _, err := t.CPUClock(clock); err != nil {
			return 0, err
		}
	} else if !clocks[clock] {
		return 0, unix.EINVAL
	}
	res := linux.Timespec{Nsec: 1}
	if clock == unix.CLOCK_REALTIME_COARSE || clock == unix.CLOCK_MONOTONIC_COARSE {
		res.Nsec = int64(4 * time.Millisecond)
	}
	if a[1] == 0 {
		return 0, nil
	}
	return copyOut(t, a[1], res.Append(nil), nil)
}

func sysClockSettime(*kernel.Task, Args) (uint64, error) { return 0, unix.EPERM }

func sysGettimeofday(t *kernel.Task, a Args) (uint64, error) {
	if a[1] != 0 {
		if err := mem(t).Store64(a[1], 0); err != nil {
			return 0, err
		}
	}
	if a[0] == 0 {
		return 0, nil
	}
	ts := linux.Now()
	ts.Nsec /= 1000
	return copyOut(t, a[0], ts.Append(nil), nil)
}

func sysTime(t *kernel.Task, a Args) (uint64, error) {
	sec := uint64(linux.Now().Sec)
	if a[0] == 0 {
		return sec, nil
	}
	return sec, mem(t).Store64(a[0], sec)
}

// duration reads a timespec that is a length of time.
func duration(t *kernel.Task, addr uint64) (time.Duration, error) {
	var raw [linux.TimespecSize]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return 0, err
	}
	return lengthOf(linux.ParseTimespec(raw[:]))
}

// lengthOf is a valid timespec as a duration; what is too long is cut.
func lengthOf(ts linux.Timespec) (time.Duration, error) {
	if ts.Sec < 0 || ts.Nsec < 0 || ts.Nsec >= 1e9 {
		return 0, unix.EINVAL
	}
	const longest = 1 << 62
	if ts.Sec >= longest/1_000_000_000 {
		return longest, nil
	}
	return time.Duration(ts.Sec*1e9 + ts.Nsec), nil
}

// timeout is the deadline after the timespec at addr: none if addr is 0.
func timeout(t *kernel.Task, addr uint64) (time.Time, error) {
	if addr == 0 {
		return time.Time{}, nil
	}
	d, err := duration(t, addr)
	return t.Until(after(d)), err
}

// after is the deadline d from now.
func after(d time.Duration) time.Time { return time.Now().Add(d) }

// sleep waits until the deadline. When a signal ends it, left says where the
// rest is to be stored, 0 for nowhere, and interrupted is what it gives.
func sleep(t *kernel.Task, deadline time.Time, left uint64, interrupted error) (uint64, error) {
	err := t.Sleep(nil, deadline)
	if err == unix.ETIMEDOUT {
		return 0, nil
	}
	if left != 0 {
		rest := max(0, time.Until(deadline))
		ts := linux.Timespec{Sec: int64(rest / time.Second), Nsec: int64(rest % time.Second)}
		if err := mem(t).CopyOut(left, ts.Append(nil)); err != nil {
			return 0, err
		}
	}
	return 0, interrupted
}

func sysNanosleep(t *kernel.Task, a Args) (uint64, error) {
	d, err := duration(t, a[0])
	if err != nil {
		return 0, err
	}
	return sleep(t, t.Until(after(d)), a[1], kernel.ERESTART_RESTARTBLOCK)
}

func sysClockNanosleep(t *kernel.Task, a Args) (uint64, error) {
	clock, flags := a.Int(0), a.Int(1)
	if clock == unix.CLOCK_THREAD_CPUTIME_ID {
		return 0, unix.EOPNOTSUPP
	}
	if !isCPUClock(clock) && !clocks[clock] {
		return 0, unix.EINVAL
	}
	d, err := duration(t, a[2])
	if err != nil {
		return 0, err
	}
	if isCPUClock(clock) {
		return cpuSleep(t, clock, d, flags&unix.TIMER_ABSTIME != 0)
	}
	if flags&unix.TIMER_ABSTIME == 0 {
		return sleep(t, t.Until(after(d)), a[3], kernel.ERESTART_RESTARTBLOCK)
	}
	ts, err := now(clock)
	if err != nil {
		return 0, err
	}
	return sleep(t, after(d-time.Duration(ts.Sec*1e9+ts.Nsec)), 0, kernel.ERESTARTNOHAND)
}

// cpuSleep sleeps until a clock that others drive has come to d, or has gone on by
// it. It never restarts: what is left is not told.
func cpuSleep(t *kernel.Task, id int, d time.Duration, absolute bool) (uint64, error) {
	clock, err := t.CPUClock(id)
	if err != nil {
		return 0, err
	}
	if !absolute {
		d += clock()
	}
	for left := d - clock(); left > 0; left = d - clock() {
		if err := t.Sleep(nil, after(max(left, time.Millisecond))); err != unix.ETIMEDOUT {
			return 0, unix.EINTR
		}
	}
	return 0, nil
}

func sysAlarm(t *kernel.Task, a Args) (uint64, error) {
	left, _ := t.Group.Timers[unix.ITIMER_REAL].Set(time.Duration(a.Uint(0))*time.Second, 0)
	return uint64((left + time.Second - 1) / time.Second), nil
}

// itimerSize is sizeof(struct itimerval): interval and value.
const itimerSize = 32

func appendTimeval(b []byte, d time.Duration) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(d/time.Second))
	return binary.LittleEndian.AppendUint64(b, uint64(d%time.Second/time.Microsecond))
}

// itimer is the interval timer ITIMER_*.
func itimer(t *kernel.Task, which int) (*kernel.Timer, error) {
	if which < 0 || which >= len(t.Group.Timers) {
		return nil, unix.EINVAL
	}
	return &t.Group.Timers[which], nil
}

func sysGetitimer(t *kernel.Task, a Args) (uint64, error) {
	timer, err := itimer(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	left, interval := timer.Get()
	return copyOut(t, a[1], appendTimeval(appendTimeval(nil, interval), left), nil)
}

func sysSetitimer(t *kernel.Task, a Args) (uint64, error) {
	timer, err := itimer(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	var raw [itimerSize]byte
	if a[1] != 0 {
		if err := mem(t).CopyIn(a[1], raw[:]); err != nil {
			return 0, err
		}
	}
	var d [2]time.Duration
	for i := range d {
		tv := linux.ParseTimespec(raw[16*i:])
		if tv.Sec < 0 || tv.Nsec < 0 || tv.Nsec >= 1e6 {
			return 0, unix.EINVAL
		}
		d[i] = time.Duration(tv.Sec)*time.Second + time.Duration(tv.Nsec)*time.Microsecond
	}
	left, interval := timer.Set(d[1], d[0])
	if a[2] == 0 {
		return 0, nil
	}
	return copyOut(t, a[2], appendTimeval(appendTimeval(nil, interval), left), nil)
}
