package syscalls

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// install gives d a descriptor and takes the reference over.
func install(t *kernel.Task, d *vfs.Description, cloexec bool) (uint64, error) {
	fd, err := t.FDs.Install(d, 0, cloexec)
	if err != nil {
		d.Unref()
	}
	return count(fd, err)
}

// open is all of open(2): it waits where a FIFO makes it wait.
func open(t *kernel.Task, p place, how vfs.OpenHow) (uint64, error) {
	d, err := t.Caller().Open2(p.at, p.path, how)
	var leased *vfs.LeaseError
	for errors.As(err, &leased) {
		if err := awaitLease(t, leased, how.Flags); err != nil {
			return 0, err
		}
		d, err = t.Caller().Open2(p.at, p.path, how)
	}
	if err != nil {
		return 0, err
	}
	err = t.Block(d.Queue(), wait.In|wait.Out, time.Time{}, func() error {
		if d.Pending() {
			return unix.EAGAIN
		}
		return nil
	})
	if err != nil {
		d.Unref()
		return 0, err
	}
	opened(t, d, how.Flags)
	return install(t, d, how.Flags&linux.O_CLOEXEC != 0)
}

// awaitLease waits until an open may be tried again.
func awaitLease(t *kernel.Task, e *vfs.LeaseError, flags int) error {
	if flags&linux.O_NONBLOCK != 0 {
		return unix.EAGAIN
	}
	err := t.Block(e.Queue(), wait.In|wait.Out, e.Until, func() error {
		if e.Gone() {
			return nil
		}
		return unix.EAGAIN
	})
	if err == unix.ETIMEDOUT {
		return nil
	}
	return err
}

// knownOpen are the open flags that exist; others are ignored, but for
// openat2.
const knownOpen = linux.O_ACCMODE | linux.O_CREAT | linux.O_EXCL | linux.O_NOCTTY | linux.O_TRUNC | linux.O_APPEND |
	linux.O_NONBLOCK | linux.O_SYNC | linux.O_ASYNC | linux.O_DIRECT | linux.O_LARGEFILE | linux.O_DIRECTORY |
	linux.O_NOFOLLOW | linux.O_NOATIME | linux.O_CLOEXEC | linux.O_PATH | linux.O_TMPFILE

func openat(t *kernel.Task, dirfd int, addr uint64, flags int, mode uint32) (uint64, error) {
	p, err := placeArg(t, dirfd, addr, 0)
	if err != nil {
		return 0, err
	}
	return open(t, p, vfs.OpenHow{Flags: flags & knownOpen, Mode: mode & 0o7777})
}

func sysOpen(t *kernel.Task, a Args) (uint64, error) {
	return openat(t, unix.AT_FDCWD, a[0], a.Int(1), a.Mode(2))
}

func sysOpenat(t *kernel.Task, a Args) (uint64, error) {
	return openat(t, a.Int(0), a[1], a.Int(2), a.Mode(3))
}

func sysCreat(t *kernel.Task, a Args) (uint64, error) {
	return openat(t, unix.AT_FDCWD, a[0], linux.O_CREAT|linux.O_WRONLY|linux.O_TRUNC, a.Mode(1))
}

// openHowSize is sizeof(struct open_how).
const openHowSize = 24

func sysOpenat2(t *kernel.Task, a Args) (uint64, error) {
	raw, err := extensible(t, a[2], a[3], openHowSize)
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	flags, mode := le.Uint64(raw), le.Uint64(raw[8:])
	creates := flags&linux.O_CREAT != 0 || flags&linux.O_TMPFILE == linux.O_TMPFILE
	if flags&^knownOpen != 0 || mode&^0o7777 != 0 || mode != 0 && !creates {
		return 0, unix.EINVAL
	}
	p, err := placeArg(t, a.Int(0), a[1], 0)
	if err != nil {
		return 0, err
	}
	resolve := le.Uint64(raw[16:])
	if resolve&unix.RESOLVE_IN_ROOT != 0 { // of absolute paths too
		if err := p.startAt(t, a.Int(0)); err != nil {
			return 0, err
		}
	}
	return open(t, p, vfs.OpenHow{Flags: int(flags), Mode: uint32(mode), Resolve: resolve})
}

func sysClose(t *kernel.Task, a Args) (uint64, error) { return ok(t.FDs.Close(a.Int(0))) }

// Flags of close_range.
const (
	closeRangeUnshare = 2
	closeRangeCloexec = 4
)

func sysCloseRange(t *kernel.Task, a Args) (uint64, error) {
	first, last, flags := a.Uint(0), a.Uint(1), a.Uint(2)
	if first > last || flags&^(closeRangeUnshare|closeRangeCloexec) != 0 {
		return 0, unix.EINVAL
	}
	if flags&closeRangeUnshare != 0 {
		t.UnshareFiles()
	}
	if flags&closeRangeCloexec == 0 {
		t.FDs.CloseRange(int(first), int(min(last, math.MaxInt32)))
		return 0, nil
	}
	for _, fd := range t.FDs.FDs() {
		if uint32(fd) >= first && uint32(fd) <= last {
			t.FDs.SetCloexec(fd, true)
		}
	}
	return 0, nil
}

func sysDup(t *kernel.Task, a Args) (uint64, error) {
	d, err := t.FDs.Get(a.Int(0))
	if err != nil {
		return 0, err
	}
	return install(t, d, false)
}

func sysDup2(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(0) == a.Int(1) {
		return withAny(t, a.Int(0), func(*vfs.Description) (uint64, error) { return uint64(a.Int(0)), nil })
	}
	return dupTo(t, a.Int(0), a.Int(1), false)
}

func sysDup3(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(0) == a.Int(1) || a.Int(2)&^linux.O_CLOEXEC != 0 {
		return 0, unix.EINVAL
	}
	return dupTo(t, a.Int(0), a.Int(1), a.Int(2) != 0)
}

func dupTo(t *kernel.Task, old, fd int, cloexec bool) (uint64, error) {
	d, err := t.FDs.Get(old)
	if err != nil {
		return 0, err
	}
	if err := t.FDs.InstallAt(d, fd, cloexec); err != nil {
		d.Unref()
		return 0, err
	}
	return uint64(fd), nil
}

// fcntls are the commands of fcntl, but those that take a lock.
var fcntls = map[int]func(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error){
	unix.F_DUPFD: func(t *kernel.Task, _ int, d *vfs.Description, arg uint64) (uint64, error) {
		return dupAbove(t, d, arg, false)
	},
	unix.F_DUPFD_CLOEXEC: func(t *kernel.Task, _ int, d *vfs.Description, arg uint64) (uint64, error) {
		return dupAbove(t, d, arg, true)
	},
	unix.F_GETFD: getFD,
	unix.F_SETFD: func(t *kernel.Task, fd int, _ *vfs.Description, arg uint64) (uint64, error) {
		return ok(t.FDs.SetCloexec(fd, arg&unix.FD_CLOEXEC != 0))
	},
	unix.F_GETFL: func(_ *kernel.Task, _ int, d *vfs.Description, _ uint64) (uint64, error) {
		return uint64(d.Flags()), nil
	},
	unix.F_SETFL: func(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error) {
		t.K.SetStatusFlags(fd, d, int(arg))
		return 0, nil
	},
	unix.F_NOTIFY: func(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error) {
		return ok(t.NotifyDirectory(fd, d, uint32(arg)))
	},
	unix.F_GETLEASE: func(_ *kernel.Task, _ int, d *vfs.Description, _ uint64) (uint64, error) {
		return uint64(d.Lease()), nil
	},
	unix.F_SETLEASE: func(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error) {
		return ok(t.SetLease(fd, d, int(int32(arg))))
	},
	unix.F_GETOWN:    getOwner,
	unix.F_SETOWN:    setOwner,
	unix.F_GETOWN_EX: getOwnerEx,
	unix.F_SETOWN_EX: setOwnerEx,
	unix.F_GETSIG: func(_ *kernel.Task, _ int, d *vfs.Description, _ uint64) (uint64, error) {
		return uint64(d.OwnerSignal()), nil
	},
	unix.F_SETSIG: func(_ *kernel.Task, _ int, d *vfs.Description, arg uint64) (uint64, error) {
		if arg > kernel.MaxSignal {
			return 0, unix.EINVAL
		}
		d.SetOwnerSignal(int32(arg))
		return 0, nil
	},
	unix.F_GET_SEALS: func(_ *kernel.Task, _ int, d *vfs.Description, _ uint64) (uint64, error) {
		if s, ok := d.File().(vfs.Sealer); ok {
			return uint64(s.Seals()), nil
		}
		return 0, unix.EINVAL
	},
	unix.F_ADD_SEALS: func(_ *kernel.Task, _ int, d *vfs.Description, arg uint64) (uint64, error) {
		s, sealer := d.File().(vfs.Sealer)
		switch {
		case !d.Writable():
			return 0, unix.EPERM
		case !sealer:
			return 0, unix.EINVAL
		}
		return ok(s.AddSeals(uint32(arg)))
	},
	unix.F_GETPIPE_SZ: func(_ *kernel.Task, _ int, d *vfs.Description, _ uint64) (uint64, error) {
		if p, ok := d.File().(vfs.PipeSizer); ok {
			return uint64(p.PipeSize()), nil
		}
		return 0, unix.EBADF
	},
	unix.F_SETPIPE_SZ: func(_ *kernel.Task, _ int, d *vfs.Description, arg uint64) (uint64, error) {
		if p, ok := d.File().(vfs.PipeSizer); ok {
			return count(p.SetPipeSize(int(arg)))
		}
		return 0, unix.EBADF
	},
}

func getFD(t *kernel.Task, fd int, _ *vfs.Description, _ uint64) (uint64, error) {
	cloexec, err := t.FDs.Cloexec(fd)
	if cloexec {
		return unix.FD_CLOEXEC, err
	}
	return 0, err
}

func dupAbove(t *kernel.Task, d *vfs.Description, min uint64, cloexec bool) (uint64, error) {
	d.Ref()
	fd, err := t.FDs.Install(d, int(int32(min)), cloexec)
	if err != nil {
		d.Unref()
		if int(int32(min)) < 0 || int(int32(min)) >= t.Group.Limits.Files() {
			err = unix.EINVAL
		}
	}
	return count(fd, err)
}

// onPath are the commands that O_PATH descriptors take.
var onPath = map[int]bool{unix.F_DUPFD: true, unix.F_DUPFD_CLOEXEC: true, unix.F_GETFD: true, unix.F_SETFD: true, unix.F_GETFL: true}

func sysFcntl(t *kernel.Task, a Args) (uint64, error) {
	cmd := a.Int(1)
	get := withFile
	if onPath[cmd] {
		get = withAny
	}
	return get(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if lock, isLock := lockCommands[cmd]; isLock {
			return lock.run(t, d, a[2])
		}
		if f := fcntls[cmd]; f != nil {
			return f(t, a.Int(0), d, a[2])
		}
		return 0, unix.EINVAL
	})
}

// Requests of asm-generic/ioctls.h.
const (
	fioNBIO  = 0x5421
	fioNClex = 0x5450
	fioClex  = 0x5451
	fioAsync = 0x5452
)

// Requests of asm-generic/sockios.h: F_SETOWN and F_GETOWN of sockets.
const (
	fioSetOwn = 0x8901
	siocSPgrp = 0x8902
	fioGetOwn = 0x8903
	siocGPgrp = 0x8904
)

// ioctl does one request on a descriptor.
type ioctl func(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error)

// ioctls are the requests that every file takes.
var ioctls = map[uint32]ioctl{
	fioClex: func(t *kernel.Task, fd int, _ *vfs.Description, _ uint64) (uint64, error) {
		return ok(t.FDs.SetCloexec(fd, true))
	},
	fioNClex: func(t *kernel.Task, fd int, _ *vfs.Description, _ uint64) (uint64, error) {
		return ok(t.FDs.SetCloexec(fd, false))
	},
	fioNBIO: func(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error) {
		return setFlag(t, fd, d, arg, linux.O_NONBLOCK)
	},
	fioAsync: func(t *kernel.Task, fd int, d *vfs.Description, arg uint64) (uint64, error) {
		return setFlag(t, fd, d, arg, linux.O_ASYNC)
	},
	fioSetOwn: ofSocket(ioctlSetOwner),
	siocSPgrp: ofSocket(ioctlSetOwner),
	fioGetOwn: ofSocket(ioctlGetOwner),
	siocGPgrp: ofSocket(ioctlGetOwner),
}

// setFlag sets or clears a status flag as the guest's int at addr says.
func setFlag(t *kernel.Task, fd int, d *vfs.Description, addr uint64, flag int) (uint64, error) {
	v, err := mem(t).Load32(addr)
	if err != nil {
		return 0, err
	}
	flags := d.Flags() &^ flag
	if v != 0 {
		flags |= flag
	}
	t.K.SetStatusFlags(fd, d, flags)
	return 0, nil
}

func sysIoctl(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		if f := ioctls[a.Uint(1)]; f != nil {
			return f(t, a.Int(0), d, a[2])
		}
		if ret, err, done := terminalIoctl(t, d, a.Uint(1), a[2]); done {
			return ret, err
		}
		if l, supervises := d.File().(*kernel.Listener); supervises {
			return listenerIoctl(t, l, a.Uint(1), a[2])
		}
		return d.Ioctl(t.Caller(), a.Uint(1), a[2], guestMemory{mem(t)})
	})
}
