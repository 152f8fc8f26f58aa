package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/epoll"
	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

func sysEpollCreate(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(0) <= 0 {
		return 0, unix.EINVAL
	}
	return anon(t, epoll.New(), event.Inode{}, "anon_inode:[eventpoll]", 0)
}

func sysEpollCreate1(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(0)&^linux.O_CLOEXEC != 0 {
		return 0, unix.EINVAL
	}
	return anon(t, epoll.New(), event.Inode{}, "anon_inode:[eventpoll]", a.Int(0))
}

// withEpoll calls f with the epoll instance of a descriptor.
func withEpoll(t *kernel.Task, fd int, f func(*epoll.Epoll) (uint64, error)) (uint64, error) {
	return withFile(t, fd, func(d *vfs.Description) (uint64, error) {
		e, isEpoll := d.File().(*epoll.Epoll)
		if !isEpoll {
			return 0, unix.EINVAL
		}
		return f(e)
	})
}

// epollEventSize is sizeof(struct epoll_event), which is packed.
const epollEventSize = 12

func sysEpollCtl(t *kernel.Task, a Args) (uint64, error) {
	var ev epoll.Event
	if a.Int(1) != unix.EPOLL_CTL_DEL {
		var raw [epollEventSize]byte
		if err := mem(t).CopyIn(a[3], raw[:]); err != nil {
			return 0, err
		}
		ev = epoll.Event{Mask: wait.Mask(binary.LittleEndian.Uint32(raw[:])), Data: binary.LittleEndian.Uint64(raw[4:])}
	}
	return withFile(t, a.Int(2), func(d *vfs.Description) (uint64, error) {
		return withEpoll(t, a.Int(0), func(e *epoll.Epoll) (uint64, error) {
			switch a.Int(1) {
			case unix.EPOLL_CTL_ADD:
				return ok(e.Add(a.Int(2), d, ev))
			case unix.EPOLL_CTL_MOD:
				return ok(e.Modify(a.Int(2), d, ev))
			case unix.EPOLL_CTL_DEL:
				return ok(e.Delete(a.Int(2), d))
			}
			return 0, unix.EINVAL
		})
	})
}

// Limits of the number of events asked for.
const (
	maxEpollWanted = (1<<31 - 1) / epollEventSize // EP_MAX_EVENTS
	maxEpollEvents = 1 << 16                      // so that the answer stays small
)

func epollWait(t *kernel.Task, a Args, deadline time.Time) (uint64, error) {
	n := a.Int(2)
	if n <= 0 || n > maxEpollWanted {
		return 0, unix.EINVAL
	}
	return withEpoll(t, a.Int(0), func(e *epoll.Epoll) (uint64, error) {
		var events []epoll.Event
		err := t.Block(e.Queue(), wait.In, deadline, func() (err error) {
			events, err = e.Collect(min(n, maxEpollEvents))
			return err
		})
		switch err {
		case nil, unix.ETIMEDOUT:
		case kernel.ERESTARTSYS:
			return 0, unix.EINTR
		default:
			return 0, err
		}
		var b []byte
		for _, ev := range events {
			b = binary.LittleEndian.AppendUint32(b, uint32(ev.Mask))
			b = binary.LittleEndian.AppendUint64(b, ev.Data)
		}
		return uint64(len(events)), mem(t).CopyOut(a[1], b)
	})
}

func sysEpollWait(t *kernel.Task, a Args) (uint64, error) {
	return epollWait(t, a, milliseconds(t, a.Int(3)))
}

func sysEpollPwait(t *kernel.Task, a Args) (uint64, error) {
	if a[4] != 0 {
		if err := withMask(t, a[4], a[5]); err != nil {
			return 0, err
		}
	}
	return epollWait(t, a, milliseconds(t, a.Int(3)))
}

func sysEpollPwait2(t *kernel.Task, a Args) (uint64, error) {
	deadline, err := timeout(t, a[3])
	if err == nil && a[4] != 0 {
		err = withMask(t, a[4], a[5])
	}
	if err != nil {
		return 0, err
	}
	return epollWait(t, a, deadline)
}
