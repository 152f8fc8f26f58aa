package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

func sysExit(t *kernel.Task, a Args) (uint64, error) {
	t.ExitThread(a.Int(0))
	return 0, nil
}

func sysExitGroup(t *kernel.Task, a Args) (uint64, error) {
	t.ExitGroup(kernel.ExitStatus(a.Int(0)))
	return 0, nil
}

func execve(t *kernel.Task, p place, argv, envp uint64, flags int) (uint64, error) {
	prog := kernel.Program{At: p.at, Path: p.path, Flags: flags}
	var err error
	if prog.Argv, err = stringsArg(t, argv); err != nil {
		return 0, err
	}
	if prog.Envp, err = stringsArg(t, envp); err != nil {
		return 0, err
	}
	return ok(t.Exec(prog))
}

func sysExecve(t *kernel.Task, a Args) (uint64, error) {
	path, err := pathArg(t, a[0])
	if err != nil {
		return 0, err
	}
	return execve(t, place{path: path}, a[1], a[2], 0)
}

func sysExecveat(t *kernel.Task, a Args) (uint64, error) {
	flags := a.Int(4)
	if flags&^(unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW) != 0 {
		return 0, unix.EINVAL
	}
	p, err := placeArg(t, a.Int(0), a[1], flags)
	if err != nil {
		return 0, err
	}
	return execve(t, p, a[2], a[3], flags)
}

func sysGetpid(t *kernel.Task, _ Args) (uint64, error)  { return uint64(t.PID()), nil }
func sysGettid(t *kernel.Task, _ Args) (uint64, error)  { return uint64(t.TID), nil }
func sysGetppid(t *kernel.Task, _ Args) (uint64, error) { return uint64(t.Group.ParentID()), nil }
func sysGetpgrp(t *kernel.Task, _ Args) (uint64, error) { return uint64(t.Group.ProcessGroup()), nil }
func sysSetsid(t *kernel.Task, _ Args) (uint64, error)  { return count(t.Group.NewSession()) }

// group is the process with this id, the caller's for 0, or ESRCH.
func group(t *kernel.Task, pid int) (*kernel.ThreadGroup, error) {
	if pid == 0 {
		return t.Group, nil
	}
	if other := t.K.Task(pid); other != nil {
		return other.Group, nil
	}
	return nil, unix.ESRCH
}

func sysGetpgid(t *kernel.Task, a Args) (uint64, error) {
	g, err := group(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return uint64(g.ProcessGroup()), nil
}

func sysGetsid(t *kernel.Task, a Args) (uint64, error) {
	g, err := group(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return uint64(g.SessionID()), nil
}

func sysSetpgid(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(1) < 0 {
		return 0, unix.EINVAL
	}
	return ok(t.SetProcessGroup(a.Int(0), a.Int(1)))
}

func sysSetTidAddress(t *kernel.Task, a Args) (uint64, error) {
	t.ClearTID = a[0]
	return uint64(t.TID), nil
}

// robustListSize is sizeof(struct robust_list_head).
const robustListSize = 24

func sysSetRobustList(t *kernel.Task, a Args) (uint64, error) {
	if a[1] != robustListSize {
		return 0, unix.EINVAL
	}
	t.RobustList = a[0]
	return 0, nil
}

func sysGetRobustList(t *kernel.Task, a Args) (uint64, error) {
	switch {
	case a.Int(0) == 0 || a.Int(0) == t.TID:
	case t.K.Task(a.Int(0)) == nil:
		return 0, unix.ESRCH
	default:
		return 0, unix.EPERM // as without CAP_SYS_PTRACE
	}
	if err := mem(t).Store64(a[1], t.RobustList); err != nil {
		return 0, err
	}
	return ok(mem(t).Store64(a[2], robustListSize))
}

// Codes of arch_prctl, asm/prctl.h.
const (
	archSetGS = 0x1001
	archSetFS = 0x1002
	archGetFS = 0x1003
	archGetGS = 0x1004
)

func sysArchPrctl(t *kernel.Task, a Args) (uint64, error) {
	const limit = 1 << 32
	switch a.Int(0) {
	case archSetFS, archSetGS:
		if a[1] >= limit {
			return 0, unix.EPERM
		}
		if a.Int(0) == archSetFS {
			t.CPU.SetFSBase(a[1])
		} else {
			t.CPU.SetGSBase(a[1])
		}
		return 0, nil
	case archGetFS:
		return ok(mem(t).Store64(a[1], t.CPU.FSBase()))
	case archGetGS:
		return ok(mem(t).Store64(a[1], t.CPU.GSBase()))
	}
	return 0, unix.EINVAL
}

// personalityQuery asks personality(2) for the present value.
const personalityQuery = 0xffffffff

func sysPersonality(t *kernel.Task, a Args) (uint64, error) {
	const noRandomize = 0x0040000 // addresses are never random here
	old := uint64(t.Attributes().Personality)
	switch v := a.Uint(0); v {
	case personalityQuery:
	case 0, noRandomize:
		t.SetAttributes(func(at *kernel.Attributes) { at.Personality = v })
	default:
		return 0, unix.EINVAL
	}
	return old, nil
}

// unshareFlags are what unshare can separate here.
const unshareFlags = unix.CLONE_FILES | unix.CLONE_FS | unix.CLONE_SYSVSEM

func sysUnshare(t *kernel.Task, a Args) (uint64, error) {
	if a[0]&^unshareFlags != 0 {
		return 0, unix.EPERM
	}
	if a[0]&unix.CLONE_FILES != 0 {
		t.UnshareFiles()
	}
	if a[0]&unix.CLONE_FS != 0 {
		t.UnshareFS()
	}
	if a[0]&unix.CLONE_SYSVSEM != 0 {
		t.ReleaseUndo()
	}
	return 0, nil
}
