package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/ipc"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

func sysMsgget(t *kernel.Task, a Args) (uint64, error) {
	return count(t.K.IPC.Msg.Get(t.IPCCaller(), int32(a[0]), a.Int(1)))
}

// sysMsgsnd reads struct msgbuf: the type, a long, and the text.
func sysMsgsnd(t *kernel.Task, a Args) (uint64, error) {
	m := ipc.Message{}
	typ, err := mem(t).Load64(a[1])
	if err != nil {
		return 0, err
	}
	m.Type = int64(typ)
	if a.Long(2) < 0 || a[2] > ipc.MsgMax || a.Int(0) < 0 || m.Type < 1 {
		return 0, unix.EINVAL
	}
	m.Text = make([]byte, a[2])
	if err := mem(t).CopyIn(a[1]+8, m.Text); err != nil {
		return 0, err
	}
	var removed error = unix.EINVAL
	try := func() (*wait.Queue, error) {
		room, err := t.K.IPC.Msg.Send(t.IPCCaller(), a.Int(0), m)
		if err == unix.EINVAL {
			err = removed
		}
		return room, err
	}
	room, err := try()
	if err != unix.EAGAIN || a.Int(3)&ipc.NoWait != 0 {
		return 0, err
	}
	removed = unix.EIDRM // while it waited
	err = t.Block(room, wait.Out, time.Time{}, func() error {
		_, err := try()
		return err
	})
	if err == kernel.ERESTARTSYS {
		err = kernel.ERESTARTNOHAND
	}
	return 0, err
}

func sysMsgrcv(t *kernel.Task, a Args) (uint64, error) {
	if a.Long(2) < 0 || a.Int(0) < 0 {
		return 0, unix.EINVAL
	}
	w := ipc.Want{Type: a.Long(3), Max: int(a.Long(2)), Flags: a.Int(4)}
	queues := &t.K.IPC.Msg
	m, r, err := queues.Receive(t.IPCCaller(), a.Int(0), w)
	if r != nil {
		err = sleepOn(t, r.C, time.Time{}, func() bool { return queues.Cancel(a.Int(0), r) })
		if err == nil {
			m, err = r.Result()
		}
	}
	if err == kernel.ERESTARTSYS {
		err = kernel.ERESTARTNOHAND
	}
	if err != nil {
		return 0, err
	}
	text := m.Text[:min(len(m.Text), w.Max)]
	b := binary.LittleEndian.AppendUint64(nil, uint64(m.Type))
	return uint64(len(text)), mem(t).CopyOut(a[1], append(b, text...))
}

// Commands of msgctl, uapi/linux/msg.h.
const (
	msgStat    = 11
	msgInfo    = 12
	msgStatAny = 13
)

// msgMaxBytes is where msg_qbytes is in struct msqid64_ds, bytes.
const msgMaxBytes = permSize + 5*8

var msgControls = map[int]ipcControl{
	ipcRmid: func(t *kernel.Task, id int, _ uint64) (uint64, error) {
		return ok(t.K.IPC.Msg.Remove(t.IPCCaller(), id))
	},
	ipcSet: func(t *kernel.Task, id int, arg uint64) (uint64, error) {
		p, err := permArg(t, arg)
		if err != nil {
			return 0, err
		}
		size, err := mem(t).Load64(arg + msgMaxBytes)
		if err != nil {
			return 0, err
		}
		return ok(t.K.IPC.Msg.Set(t.IPCCaller(), id, p, size))
	},
	ipcStat: statControl(func(t *kernel.Task, id int) (ipc.MsgStat, int, error) {
		s, err := t.K.IPC.Msg.Stat(t.IPCCaller(), id)
		return s, 0, err
	}, encodeMsg),
	msgStat: statControl(func(t *kernel.Task, i int) (ipc.MsgStat, int, error) {
		return t.K.IPC.Msg.StatAt(t.IPCCaller(), i, false)
	}, encodeMsg),
	msgStatAny: statControl(func(t *kernel.Task, i int) (ipc.MsgStat, int, error) {
		return t.K.IPC.Msg.StatAt(t.IPCCaller(), i, true)
	}, encodeMsg),
	ipcInfo: msgInfoControl(func(ipc.MsgInfo) (pool, messages, bytes int) {
		return ipc.MsgMNI * ipc.MsgMNB / 1024, ipc.MsgMNB, ipc.MsgMNB
	}),
	msgInfo: msgInfoControl(func(i ipc.MsgInfo) (pool, messages, bytes int) { return i.Queues, i.Messages, i.Bytes }),
}

// msgInfoControl gives struct msginfo, of which three members depend on the
// command: msgpool, msgmap, msgtql.
func msgInfoControl(used func(ipc.MsgInfo) (pool, messages, bytes int)) ipcControl {
	const segmentSize, segments = 16, 0xffff // MSGSSZ, MSGSEG, which mean nothing
	return infoControl(func(t *kernel.Task) ([]byte, int) {
		i := t.K.IPC.Msg.Info()
		pool, messages, bytes := used(i)
		return ints(pool, messages, ipc.MsgMax, ipc.MsgMNB, ipc.MsgMNI, segmentSize, bytes, segments), i.Last
	})
}

// encodeMsg is struct msqid64_ds.
func encodeMsg(s ipc.MsgStat) []byte {
	b := append(appendPerm(nil, s.Perm), words(uint64(s.Stime), uint64(s.Rtime), uint64(s.Ctime), uint64(s.Bytes), uint64(s.Count), uint64(s.MaxBytes))...)
	return append(append(b, ints(s.LSPID, s.LRPID)...), words(0, 0)...)
}
