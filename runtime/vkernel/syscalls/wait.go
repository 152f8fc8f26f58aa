package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

const waitFlags = unix.WNOHANG | unix.WUNTRACED | unix.WCONTINUED | unix.WALL | unix.WCLONE | unix.WNOTHREAD

func sysWait4(t *kernel.Task, a Args) (uint64, error) {
	pid, options := a.Int(0), int(a.Uint(2))
	if options&^waitFlags != 0 {
		return 0, unix.EINVAL
	}
	if pid == -1<<31 {
		return 0, unix.ESRCH
	}
	r, err := t.Wait(kernel.WaitFor{PID: pid, Options: options | unix.WEXITED})
	if err != nil || r.PID == 0 {
		return 0, err
	}
	if a[1] != 0 {
		err = mem(t).Store32(a[1], uint32(r.Status))
	}
	if err == nil && a[3] != 0 {
		err = mem(t).CopyOut(a[3], rusage(r.Usage))
	}
	return uint64(r.PID), err
}

const (
	waitidEvents = unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED
	waitidFlags  = waitidEvents | unix.WNOHANG | unix.WNOWAIT | unix.WALL | unix.WCLONE | unix.WNOTHREAD
)

func sysWaitid(t *kernel.Task, a Args) (uint64, error) {
	w := kernel.WaitFor{Options: int(a.Uint(3))}
	if w.Options&^waitidFlags != 0 || w.Options&waitidEvents == 0 {
		return 0, unix.EINVAL
	}
	if err := waitidTarget(t, &w, a.Int(0), a.Int(1)); err != nil {
		return 0, err
	}
	r, err := t.Wait(w)
	if err == nil && a[2] != 0 {
		info := r.Info()
		err = mem(t).CopyOut(a[2], info.Append(nil)[:waitidInfo])
	}
	if err == nil && a[4] != 0 && r.PID != 0 {
		err = mem(t).CopyOut(a[4], rusage(r.Usage))
	}
	return ok(err)
}

// waitidInfo is how much of siginfo_t waitid writes, bytes.
const waitidInfo = 28

func waitidTarget(t *kernel.Task, w *kernel.WaitFor, kind, id int) error {
	switch kind {
	case unix.P_ALL:
		w.PID = -1
	case unix.P_PID:
		if w.PID = id; id <= 0 {
			return unix.EINVAL
		}
	case unix.P_PGID:
		if w.PID = -id; id < 0 {
			return unix.EINVAL
		}
		if id == 1 {
			w.PID = -t.Group.ProcessGroup() // -1 is not group 1
		}
	case unix.P_PIDFD:
		return withPIDFD(t, id, func(p *kernel.PIDFile) error {
			w.Process = p.Process
			return nil
		})
	default:
		return unix.EINVAL
	}
	return nil
}
