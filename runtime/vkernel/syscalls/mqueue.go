package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/ipc"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// mqAttrSize is sizeof(struct mq_attr): flags, messages, size of one, messages
// there are, and four more longs.
const mqAttrSize = 8 * 8

// mqOpenFlags are those of open(2) that mean something to mq_open.
const mqOpenFlags = linux.O_ACCMODE | linux.O_NONBLOCK

func sysMqOpen(t *kernel.Task, a Args) (uint64, error) {
	name, err := pathArg(t, a[0])
	if err != nil {
		return 0, err
	}
	var limits *ipc.MqLimits
	if a.Int(1)&linux.O_CREAT != 0 && a[3] != 0 {
		var raw [mqAttrSize]byte
		if err := mem(t).CopyIn(a[3], raw[:]); err != nil {
			return 0, err
		}
		le := binary.LittleEndian
		limits = &ipc.MqLimits{Messages: int(le.Uint64(raw[8:])), Size: int(le.Uint64(raw[16:]))}
	}
	room, err := t.Group.Limits.Get(unix.RLIMIT_MSGQUEUE)
	if err != nil {
		return 0, err
	}
	mode := int(a.Mode(2) &^ t.FS.Umask())
	q, err := t.K.IPC.Mq.Open(t.IPCCaller(), name, a.Int(1), mode, limits, room.Cur)
	if err != nil {
		return 0, err
	}
	d := t.K.NS.System().NewAnon(q, q, "/"+name, a.Int(1)&mqOpenFlags)
	return install(t, d, true)
}

func sysMqUnlink(t *kernel.Task, a Args) (uint64, error) {
	name, err := pathArg(t, a[0])
	if err != nil {
		return 0, err
	}
	return ok(t.K.IPC.Mq.Unlink(t.IPCCaller(), name))
}

// withMq calls f with the queue of a descriptor: EBADF if it is none, or is
// not open for what allowed asks.
func withMq(t *kernel.Task, fd int, allowed func(*vfs.Description) bool, f func(*vfs.Description, *ipc.MqQueue) (uint64, error)) (uint64, error) {
	return withFile(t, fd, func(d *vfs.Description) (uint64, error) {
		q, isQueue := d.File().(*ipc.MqQueue)
		if !isQueue || !allowed(d) {
			return 0, unix.EBADF
		}
		return f(d, q)
	})
}

// blockMq does op until it does not give EAGAIN, or only once if d does not
// block.
func blockMq(t *kernel.Task, d *vfs.Description, mask wait.Mask, deadline time.Time, op func() error) error {
	if d.Nonblock() {
		return op()
	}
	return t.Block(d.Queue(), mask, deadline, op)
}

func sysMqTimedsend(t *kernel.Task, a Args) (uint64, error) {
	deadline, err := absolute(t, a[4], true)
	if err != nil {
		return 0, err
	}
	if a.Uint(3) >= ipc.MqPrioMax {
		return 0, unix.EINVAL
	}
	return withMq(t, a.Int(0), (*vfs.Description).Writable, func(d *vfs.Description, q *ipc.MqQueue) (uint64, error) {
		if a[2] > uint64(q.Size) {
			return 0, unix.EMSGSIZE
		}
		m := ipc.MqMessage{Prio: a.Uint(3), Text: make([]byte, a[2])}
		if err := mem(t).CopyIn(a[1], m.Text); err != nil {
			return 0, err
		}
		return ok(blockMq(t, d, wait.Out, deadline, func() error { return q.Send(t.IPCCaller(), m) }))
	})
}

func sysMqTimedreceive(t *kernel.Task, a Args) (uint64, error) {
	deadline, err := absolute(t, a[4], true)
	if err != nil {
		return 0, err
	}
	return withMq(t, a.Int(0), (*vfs.Description).Readable, func(d *vfs.Description, q *ipc.MqQueue) (uint64, error) {
		q.Waiting(1)
		defer q.Waiting(-1)
		var m ipc.MqMessage
		err := blockMq(t, d, wait.In, deadline, func() (err error) {
			m, err = q.Receive(a[2])
			return err
		})
		if err != nil {
			return 0, err
		}
		if a[3] != 0 {
			if err := mem(t).Store32(a[3], m.Prio); err != nil {
				return 0, err
			}
		}
		return uint64(len(m.Text)), mem(t).CopyOut(a[1], m.Text)
	})
}

func anyMode(*vfs.Description) bool { return true }

// sysMqNotify reads struct sigevent. SIGEV_THREAD, which glibc makes of a
// netlink socket, is not there.
func sysMqNotify(t *kernel.Task, a Args) (uint64, error) {
	n, err := mqNotify(t, a[1])
	if err != nil {
		return 0, err
	}
	return withMq(t, a.Int(0), anyMode, func(d *vfs.Description, q *ipc.MqQueue) (uint64, error) {
		return ok(q.Notify(n, t.PID()))
	})
}

func mqNotify(t *kernel.Task, addr uint64) (*ipc.MqNotify, error) {
	if addr == 0 {
		return nil, nil
	}
	var raw [sigeventSize]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	n := &ipc.MqNotify{PID: t.PID(), Owner: t.FDs}
	switch sig := unix.Signal(le.Uint32(raw[8:])); {
	case le.Uint32(raw[12:]) == sigevNone:
		return n, nil
	case le.Uint32(raw[12:]) != sigevSignal:
		return nil, unix.EINVAL
	case sig < 0 || sig > kernel.MaxSignal:
		return nil, unix.EINVAL
	default:
		value, g := le.Uint64(raw[:]), t.Group
		n.Signo = int(sig)
		n.Tell = func(from ipc.Caller) {
			g.Send(kernel.SigInfo{Signo: sig, Code: kernel.SiMesgq, PID: int32(from.PID), UID: from.UID, Value: value})
		}
		return n, nil
	}
}

func sysMqGetsetattr(t *kernel.Task, a Args) (uint64, error) {
	flags := 0
	if a[1] != 0 {
		v, err := mem(t).Load64(a[1])
		if err != nil {
			return 0, err
		}
		if flags = int(v); v&^linux.O_NONBLOCK != 0 {
			return 0, unix.EINVAL
		}
	}
	return withMq(t, a.Int(0), anyMode, func(d *vfs.Description, q *ipc.MqQueue) (uint64, error) {
		old := d.Flags() & linux.O_NONBLOCK
		if a[1] != 0 {
			d.SetFlags(d.Flags()&^linux.O_NONBLOCK | flags)
		}
		if a[2] == 0 {
			return 0, nil
		}
		b := words(uint64(old), uint64(q.Messages), uint64(q.Size), uint64(q.Count()), 0, 0, 0, 0)
		return ok(mem(t).CopyOut(a[2], b))
	})
}
