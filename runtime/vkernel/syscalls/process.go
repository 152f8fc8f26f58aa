package syscalls

import (
	"encoding/binary"
	"time"

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

const waitFlags = unix.WNOHANG | unix.WUNTRACED | unix.WCONTINUED | unix.WALL | unix.WCLONE | unix.WNOTHREAD

func sysWait4(t *kernel.Task, a Args) (uint64, error) {
	if uint32(a.Int(2))&^uint32(waitFlags&0xffffffff) != 0 {
		return 0, unix.EINVAL
	}
	r, err := t.Wait(kernel.WaitFor{PID: a.Int(0), NoHang: a.Int(2)&unix.WNOHANG != 0})
	if err != nil || r.PID == 0 {
		return 0, err
	}
	if a[1] != 0 {
		err = mem(t).Store32(a[1], uint32(r.Status))
	}
	if err == nil && a[3] != 0 {
		err = mem(t).CopyOut(a[3], usage(unix.RUSAGE_CHILDREN))
	}
	return uint64(r.PID), err
}

func sysWaitid(t *kernel.Task, a Args) (uint64, error) {
	w := kernel.WaitFor{NoHang: a.Int(3)&unix.WNOHANG != 0, NoReap: a.Int(3)&unix.WNOWAIT != 0}
	switch a.Int(0) {
	case unix.P_ALL:
		w.PID = -1
	case unix.P_PID:
		w.PID = a.Int(1)
	case unix.P_PGID:
		w.PID = -a.Int(1)
	default:
		return 0, unix.EINVAL
	}
	if a.Int(3)&(unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED) == 0 || w.PID == 0 && a.Int(0) == unix.P_PID {
		return 0, unix.EINVAL
	}
	r, err := t.Wait(w)
	if err != nil || a[2] == 0 {
		return 0, err
	}
	info := kernel.SigInfo{}
	if r.PID != 0 {
		info = kernel.SigInfo{Signo: unix.SIGCHLD, Code: kernel.CldExited, PID: int32(r.PID), UID: r.UID, Status: int32(r.Status >> 8)}
		if r.Status&0x7f != 0 {
			info.Code, info.Status = kernel.CldKilled, int32(r.Status&0x7f)
		}
	}
	return 0, mem(t).CopyOut(a[2], info.Append(nil))
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
	g, err := group(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return ok(g.SetProcessGroup(a.Int(1)))
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
	if a.Int(0) != 0 && a.Int(0) != t.TID {
		return 0, unix.ESRCH
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

// prctls are the operations of prctl.
var prctls = map[int]func(t *kernel.Task, a Args) (uint64, error){
	unix.PR_SET_NAME: func(t *kernel.Task, a Args) (uint64, error) {
		name, err := mem(t).CString(a[1], 16)
		if err == unix.ENAMETOOLONG {
			raw := make([]byte, 15)
			err = mem(t).CopyIn(a[1], raw)
			name = string(raw)
		}
		if err == nil {
			t.SetComm(name)
		}
		return ok(err)
	},
	unix.PR_GET_NAME: func(t *kernel.Task, a Args) (uint64, error) {
		return ok(mem(t).CopyOut(a[1], append([]byte(t.Comm()), make([]byte, 16-len(t.Comm()))...)))
	},
	unix.PR_GET_DUMPABLE:     func(*kernel.Task, Args) (uint64, error) { return 1, nil },
	unix.PR_SET_DUMPABLE:     func(_ *kernel.Task, a Args) (uint64, error) { return 0, oneOf(a[1], 0, 1) },
	unix.PR_GET_KEEPCAPS:     func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_GET_TIMERSLACK:   func(*kernel.Task, Args) (uint64, error) { return 50000, nil },
	unix.PR_SET_TIMERSLACK:   func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_SET_VMA:          func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_SET_THP_DISABLE:  func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_GET_THP_DISABLE:  func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_GET_SECCOMP:      func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_GET_SECUREBITS:   func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_SET_PTRACER:      func(*kernel.Task, Args) (uint64, error) { return 0, nil },
	unix.PR_GET_NO_NEW_PRIVS: func(t *kernel.Task, _ Args) (uint64, error) { return boolean(t.Creds().NoNewPrivs), nil },
	unix.PR_SET_NO_NEW_PRIVS: func(t *kernel.Task, a Args) (uint64, error) {
		if err := oneOf(a[1], 1); err != nil {
			return 0, err
		}
		t.SetCreds(t.Creds().With(func(c *kernel.Creds) { c.NoNewPrivs = true }))
		return 0, nil
	},
	unix.PR_CAPBSET_READ: func(t *kernel.Task, a Args) (uint64, error) {
		if a[1] > unix.CAP_LAST_CAP {
			return 0, unix.EINVAL
		}
		return t.Creds().Bounding >> a[1] & 1, nil
	},
	unix.PR_CAPBSET_DROP: func(t *kernel.Task, a Args) (uint64, error) {
		if a[1] > unix.CAP_LAST_CAP {
			return 0, unix.EINVAL
		}
		if !t.Creds().Has(unix.CAP_SETPCAP) {
			return 0, unix.EPERM
		}
		t.SetCreds(t.Creds().With(func(c *kernel.Creds) { c.Bounding &^= 1 << a[1] }))
		return 0, nil
	},
}

func boolean(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// oneOf is EINVAL unless v is one of the values.
func oneOf(v uint64, values ...uint64) error {
	for _, w := range values {
		if v == w {
			return nil
		}
	}
	return unix.EINVAL
}

func sysPrctl(t *kernel.Task, a Args) (uint64, error) {
	if f := prctls[a.Int(0)]; f != nil {
		return f(t, a)
	}
	return 0, unix.EINVAL
}

// personalityQuery asks personality(2) for the present value.
const personalityQuery = 0xffffffff

func sysPersonality(_ *kernel.Task, a Args) (uint64, error) {
	const noRandomize = 0x0040000 // addresses are never random here
	if v := a.Uint(0); v != 0 && v != personalityQuery && v != noRandomize {
		return 0, unix.EINVAL
	}
	return 0, nil
}

func getLimit(t *kernel.Task, resource int, addr uint64) (uint64, error) {
	l, err := t.Group.Limits.Get(resource)
	b := binary.LittleEndian.AppendUint64(nil, l.Cur)
	return copyOut(t, addr, binary.LittleEndian.AppendUint64(b, l.Max), err)
}

func setLimit(t *kernel.Task, resource int, addr uint64) (uint64, error) {
	var raw [16]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return 0, err
	}
	l := kernel.Limit{Cur: binary.LittleEndian.Uint64(raw[:]), Max: binary.LittleEndian.Uint64(raw[8:])}
	err := t.Group.Limits.Set(resource, l, t.Creds().Has(unix.CAP_SYS_RESOURCE))
	if err == nil && resource == unix.RLIMIT_AS {
		t.MM.SetLimit(l.Cur)
	}
	return ok(err)
}

func sysGetrlimit(t *kernel.Task, a Args) (uint64, error) { return getLimit(t, a.Int(0), a[1]) }
func sysSetrlimit(t *kernel.Task, a Args) (uint64, error) { return setLimit(t, a.Int(0), a[1]) }

func sysPrlimit64(t *kernel.Task, a Args) (uint64, error) {
	if pid := a.Int(0); pid != 0 && pid != t.PID() {
		return 0, unix.ESRCH
	}
	old := make([]byte, 0, 16)
	l, err := t.Group.Limits.Get(a.Int(1))
	if err != nil {
		return 0, err
	}
	old = binary.LittleEndian.AppendUint64(old, l.Cur)
	old = binary.LittleEndian.AppendUint64(old, l.Max)
	if a[2] != 0 {
		if _, err := setLimit(t, a.Int(1), a[2]); err != nil {
			return 0, err
		}
	}
	if a[3] == 0 {
		return 0, nil
	}
	return ok(mem(t).CopyOut(a[3], old))
}

// usage is struct rusage of the runner's process: its only guest, so far, has
// used what the runner has.
func usage(who int) []byte {
	var u unix.Rusage
	if who != unix.RUSAGE_CHILDREN {
		unix.Getrusage(unix.RUSAGE_SELF, &u)
	}
	le := binary.LittleEndian
	var b []byte
	for _, v := range []int64{
		u.Utime.Sec, u.Utime.Usec, u.Stime.Sec, u.Stime.Usec, u.Maxrss, u.Ixrss, u.Idrss, u.Isrss, u.Minflt, u.Majflt,
		u.Nswap, u.Inblock, u.Oublock, u.Msgsnd, u.Msgrcv, u.Nsignals, u.Nvcsw, u.Nivcsw,
	} {
		b = le.AppendUint64(b, uint64(v))
	}
	return b
}

func sysGetrusage(t *kernel.Task, a Args) (uint64, error) {
	switch who := a.Int(0); who {
	case unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN, unix.RUSAGE_THREAD:
		return copyOut(t, a[1], usage(who), nil)
	}
	return 0, unix.EINVAL
}

// clockTick is one unit of times(2): USER_HZ is 100.
const clockTick = 10 * time.Millisecond

func sysTimes(t *kernel.Task, a Args) (uint64, error) {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	if a[0] != 0 {
		b := binary.LittleEndian.AppendUint64(nil, uint64(u.Utime.Nano()/int64(clockTick)))
		b = binary.LittleEndian.AppendUint64(b, uint64(u.Stime.Nano()/int64(clockTick)))
		if err := mem(t).CopyOut(a[0], append(b, make([]byte, 16)...)); err != nil {
			return 0, err
		}
	}
	return uint64(time.Since(t.K.Boot) / clockTick), nil
}

// unshareFlags are what unshare can separate here.
const unshareFlags = unix.CLONE_FILES | unix.CLONE_FS

func sysUnshare(t *kernel.Task, a Args) (uint64, error) {
	if a[0]&^unshareFlags != 0 {
		return 0, unix.EPERM
	}
	if a[0]&unix.CLONE_FILES != 0 {
		t.UnshareFiles()
	}
	if a[0]&unix.CLONE_FS != 0 {
		t.FS = t.FS.Fork()
	}
	return 0, nil
}
