package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/fs/pipe"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// anon makes a descriptor of a file that no path leads to.
func anon(t *kernel.Task, file vfs.File, inode vfs.Inode, name string, flags int) (uint64, error) {
	d := t.K.NS.System().NewAnon(file, inode, name, linux.O_RDWR|flags&linux.O_NONBLOCK)
	return install(t, d, flags&linux.O_CLOEXEC != 0)
}

func pipe2(t *kernel.Task, addr uint64, flags int) (uint64, error) {
	if flags&^(linux.O_CLOEXEC|linux.O_NONBLOCK|linux.O_DIRECT) != 0 {
		return 0, unix.EINVAL
	}
	c := t.Creds()
	r, w := pipe.Pair(t.K.NS.System(), c.FSUID, c.FSGID, flags)
	cloexec := flags&linux.O_CLOEXEC != 0
	rfd, err := install(t, r, cloexec)
	if err != nil {
		w.Unref()
		return 0, err
	}
	wfd, err := install(t, w, cloexec)
	if err == nil {
		err = mem(t).Store64(addr, rfd|wfd<<32)
	}
	if err != nil {
		t.FDs.Close(int(rfd))
		t.FDs.Close(int(wfd))
	}
	return ok(err)
}

func sysPipe(t *kernel.Task, a Args) (uint64, error)  { return pipe2(t, a[0], 0) }
func sysPipe2(t *kernel.Task, a Args) (uint64, error) { return pipe2(t, a[0], a.Int(1)) }

func sysEventfd(t *kernel.Task, a Args) (uint64, error) {
	return anon(t, event.NewCounter(uint64(a.Uint(0)), false), event.Inode{}, "anon_inode:[eventfd]", 0)
}

func sysEventfd2(t *kernel.Task, a Args) (uint64, error) {
	flags := a.Int(1)
	if flags&^(unix.EFD_SEMAPHORE|linux.O_CLOEXEC|linux.O_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	c := event.NewCounter(uint64(a.Uint(0)), flags&unix.EFD_SEMAPHORE != 0)
	return anon(t, c, event.Inode{}, "anon_inode:[eventfd]", flags)
}

// maxMemfdName is what memfd_create takes of a name, bytes.
const maxMemfdName = 249

// sealExec is F_SEAL_EXEC.
const sealExec = 0x20

const memfdFlags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING | unix.MFD_NOEXEC_SEAL | unix.MFD_EXEC

func sysMemfdCreate(t *kernel.Task, a Args) (uint64, error) {
	name, err := mem(t).CString(a[0], maxMemfdName+1)
	if err == unix.ENAMETOOLONG || a.Uint(1)&^memfdFlags != 0 {
		return 0, unix.EINVAL
	}
	if err != nil {
		return 0, err
	}
	seals := uint32(unix.F_SEAL_SEAL)
	switch {
	case a.Uint(1)&unix.MFD_NOEXEC_SEAL != 0:
		seals = sealExec
	case a.Uint(1)&unix.MFD_ALLOW_SEALING != 0:
		seals = 0
	}
	d, err := memoryFile(t, "/memfd:"+name+" (deleted)", seals)
	if err != nil {
		return 0, err
	}
	return install(t, d, a.Uint(1)&unix.MFD_CLOEXEC != 0)
}

// memoryFile opens a new file without a path, with F_SEAL_*; F_SEAL_EXEC keeps
// it from being executable.
func memoryFile(t *kernel.Task, name string, seals uint32) (*vfs.Description, error) {
	c, mode := t.Creds(), uint32(0o777)
	if seals&sealExec != 0 {
		mode = 0o666
	}
	inode, err := t.K.Memory.MakeTmp(vfs.Spec{Mode: unix.S_IFREG | mode, UID: c.FSUID, GID: c.FSGID})
	if err != nil {
		return nil, err
	}
	file, err := tmp.OpenMemfd(inode, linux.O_RDWR, seals)
	if err != nil {
		return nil, err
	}
	return t.K.NS.System().NewAnon(file, inode, name, linux.O_RDWR|linux.O_LARGEFILE), nil
}

// timerClocks are the clocks of timerfd_create.
var timerClocks = map[int]bool{unix.CLOCK_REALTIME: true, unix.CLOCK_MONOTONIC: true, unix.CLOCK_BOOTTIME: true}

// timerFile is a timerfd with its clock, for absolute times.
type timerFile struct {
	event.Timer
	clock int
}

func sysTimerfdCreate(t *kernel.Task, a Args) (uint64, error) {
	if !timerClocks[a.Int(0)] || a.Int(1)&^(linux.O_CLOEXEC|linux.O_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	return anon(t, &timerFile{clock: a.Int(0)}, event.Inode{}, "anon_inode:[timerfd]", a.Int(1))
}

// withTimer calls f with the timer of a descriptor.
func withTimer(t *kernel.Task, fd int, f func(*timerFile) (uint64, error)) (uint64, error) {
	return withFile(t, fd, func(d *vfs.Description) (uint64, error) {
		timer, isTimer := d.File().(*timerFile)
		if !isTimer {
			return 0, unix.EINVAL
		}
		return f(timer)
	})
}

// appendDuration appends d as a timespec.
func appendDuration(b []byte, d time.Duration) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(d/time.Second))
	return binary.LittleEndian.AppendUint64(b, uint64(d%time.Second))
}

// timerSpec is struct itimerspec as it stands now.
func (f *timerFile) timerSpec() []byte {
	left, interval := f.Get()
	return appendDuration(appendDuration(nil, interval), left)
}

func sysTimerfdGettime(t *kernel.Task, a Args) (uint64, error) {
	return withTimer(t, a.Int(0), func(f *timerFile) (uint64, error) { return copyOut(t, a[1], f.timerSpec(), nil) })
}

func sysTimerfdSettime(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(1)&^(unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET) != 0 {
		return 0, unix.EINVAL
	}
	return withTimer(t, a.Int(0), func(f *timerFile) (uint64, error) {
		interval, err1 := duration(t, a[2])
		first, err2 := duration(t, a[2]+linux.TimespecSize)
		if err := firstError(err1, err2); err != nil {
			return 0, err
		}
		old := f.timerSpec()
		due, err := f.due(first, a.Int(1)&unix.TFD_TIMER_ABSTIME != 0)
		if err != nil {
			return 0, err
		}
		f.Set(due, interval)
		if a[3] == 0 {
			return 0, nil
		}
		return copyOut(t, a[3], old, nil)
	})
}

// due is when a timer set to first expires; the zero Time for never.
func (f *timerFile) due(first time.Duration, absolute bool) (time.Time, error) {
	if first == 0 {
		return time.Time{}, nil
	}
	if !absolute {
		return after(first), nil
	}
	ts, err := now(f.clock)
	return after(first - time.Duration(ts.Sec*1e9+ts.Nsec)), err
}
