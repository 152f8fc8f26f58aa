package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

func sysFork(t *kernel.Task, _ Args) (uint64, error) {
	return count(t.Clone(kernel.CloneArgs{ExitSignal: unix.SIGCHLD}))
}

func sysVfork(t *kernel.Task, _ Args) (uint64, error) {
	return count(t.Clone(kernel.CloneArgs{Flags: unix.CLONE_VFORK | unix.CLONE_VM, ExitSignal: unix.SIGCHLD}))
}

func sysClone(t *kernel.Task, a Args) (uint64, error) {
	args := kernel.CloneArgs{
		Flags: uint64(a.Uint(0)) &^ unix.CSIGNAL, ExitSignal: unix.Signal(a[0] & unix.CSIGNAL),
		Stack: a[1], ParentTID: a[2], ChildTID: a[3], TLS: a[4],
	}
	if args.ExitSignal > kernel.MaxSignal {
		args.ExitSignal = 0 // accepted, and never sent
	}
	const pidfdAndParent = unix.CLONE_PIDFD | unix.CLONE_PARENT_SETTID
	if args.Flags&pidfdAndParent == pidfdAndParent {
		return 0, unix.EINVAL
	}
	return cloneWith(t, args, a[2])
}

// Sizes of struct clone_args, bytes: of its first version and of the last.
const (
	cloneArgsMin = 64
	cloneArgsMax = 88
)

func sysClone3(t *kernel.Task, a Args) (uint64, error) {
	raw, err := structArg(t, a[0], a[1], cloneArgsMin, cloneArgsMax)
	if err != nil {
		return 0, err
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(raw[8*i:]) }
	args := kernel.CloneArgs{
		Flags: word(0), ChildTID: word(2), ParentTID: word(3), ExitSignal: unix.Signal(word(4)), Stack: word(5) + word(6), TLS: word(7),
	}
	const noSignal = unix.CLONE_THREAD | unix.CLONE_PARENT
	switch {
	case args.Flags&(unix.CSIGNAL|unix.CLONE_DETACHED) != 0, word(4) > kernel.MaxSignal,
		args.Flags&noSignal != 0 && word(4) != 0, (word(5) == 0) != (word(6) == 0), word(8) != 0 && word(9) == 0, word(8) == 0 && word(9) != 0:
		return 0, unix.EINVAL
	case word(9) != 0: // set_tid
		return 0, unix.EPERM
	}
	return cloneWith(t, args, word(1))
}

// structArg reads a structure that may grow: size bytes at addr, of which
// those beyond max must be zero. The result has max bytes.
func structArg(t *kernel.Task, addr, size uint64, min, max int) ([]byte, error) {
	switch {
	case size < uint64(min):
		return nil, unix.EINVAL
	case size > mm.PageSize:
		return nil, unix.E2BIG
	}
	raw := make([]byte, size)
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return nil, err
	}
	if len(raw) > max && !allZero(raw[max:]) {
		return nil, unix.E2BIG
	}
	return append(raw, make([]byte, max)...)[:max], nil
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// cloneWith makes a task, with a descriptor of its process if the flags ask
// for one, which is stored at pidfd.
func cloneWith(t *kernel.Task, args kernel.CloneArgs, pidfd uint64) (uint64, error) {
	if args.Flags&unix.CLONE_PIDFD == 0 {
		return count(t.Clone(args))
	}
	args.PIDFile = &kernel.PIDFile{}
	fd, err := anon(t, args.PIDFile, event.Inode{}, pidfdName, linux.O_CLOEXEC)
	if err != nil {
		return 0, err
	}
	args.PIDFD = int(fd)
	tid, err := 0, mem(t).Store32(pidfd, uint32(fd))
	if err == nil {
		tid, err = t.Clone(args)
	}
	if err != nil {
		t.FDs.Close(args.PIDFD)
	}
	return count(tid, err)
}

const pidfdName = "anon_inode:[pidfd]"

// pidfdNonblock is PIDFD_NONBLOCK.
const pidfdNonblock = linux.O_NONBLOCK

func sysPidfdOpen(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(0) <= 0 || a.Uint(1)&^pidfdNonblock != 0 {
		return 0, unix.EINVAL
	}
	p, err := t.K.OpenPID(a.Int(0))
	if err != nil {
		return 0, err
	}
	return anon(t, p, event.Inode{}, pidfdName, linux.O_CLOEXEC|a.Int(1))
}

// withPIDFD calls f with the process of a descriptor: EBADF if it is of
// something else.
func withPIDFD(t *kernel.Task, fd int, f func(*kernel.PIDFile) error) error {
	_, err := withFile(t, fd, func(d *vfs.Description) (uint64, error) {
		p, isPID := d.File().(*kernel.PIDFile)
		if !isPID {
			return 0, unix.EBADF
		}
		return ok(f(p))
	})
	return err
}

func sysPidfdSendSignal(t *kernel.Task, a Args) (uint64, error) {
	if a.Uint(3) != 0 {
		return 0, unix.EINVAL
	}
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		g, err := t.K.ProcessOf(d)
		if err != nil {
			return 0, err
		}
		info, err := signalArg(t, a.Int(1), kernel.SiUser)
		if err == nil && a[2] != 0 {
			if info, err = queued(t, a.Int(1), a[2]); err == nil {
				err = mayQueue(t, info, g.ID)
			}
		}
		if err != nil {
			return 0, err
		}
		return ok(t.SignalProcess(g, info))
	})
}
