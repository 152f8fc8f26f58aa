package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/ipc"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// Commands of shmctl, semctl and msgctl alike, uapi/linux/ipc.h.
const (
	ipcRmid = 0
	ipcSet  = 1
	ipcStat = 2
	ipcInfo = 3
)

// permSize is sizeof(struct ipc64_perm), bytes.
const permSize = 48

// appendPerm is struct ipc64_perm.
func appendPerm(b []byte, p ipc.Perm) []byte {
	le := binary.LittleEndian
	for _, v := range []uint32{uint32(p.Key), p.UID, p.GID, p.CUID, p.CGID, p.Mode, uint32(p.Seq), 0} {
		b = le.AppendUint32(b, v)
	}
	return append(b, make([]byte, 16)...)
}

// permArg reads what IPC_SET changes of the structure at addr.
func permArg(t *kernel.Task, addr uint64) (p ipc.Perm, err error) {
	var raw [permSize]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return p, err
	}
	le := binary.LittleEndian
	return ipc.Perm{UID: le.Uint32(raw[4:]), GID: le.Uint32(raw[8:]), Mode: le.Uint32(raw[20:])}, nil
}

// words is a structure of unsigned longs.
func words(list ...uint64) (b []byte) {
	for _, v := range list {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// ints is a structure of ints.
func ints(list ...int) (b []byte) {
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// ipcControl is what a command of the ctl calls does with the object id and the
// argument arg.
type ipcControl func(t *kernel.Task, id int, arg uint64) (uint64, error)

// controlOf makes a ctl call of a family's commands; id, command and argument
// are at these places.
func controlOf(commands map[int]ipcControl, cmd, arg int) Func {
	return func(t *kernel.Task, a Args) (uint64, error) {
		f, ok := commands[a.Int(cmd)]
		if !ok || a.Int(0) < 0 {
			return 0, unix.EINVAL
		}
		return f(t, a.Int(0), a[arg])
	}
}

// statControl is IPC_STAT, and with an index the STAT commands.
func statControl[T any](stat func(t *kernel.Task, id int) (T, int, error), encode func(T) []byte) ipcControl {
	return func(t *kernel.Task, id int, arg uint64) (uint64, error) {
		s, ret, err := stat(t, id)
		if err != nil {
			return 0, err
		}
		return uint64(ret), mem(t).CopyOut(arg, encode(s))
	}
}

// infoControl is IPC_INFO and the INFO commands: the result is the highest
// index in use.
func infoControl(info func(t *kernel.Task) (b []byte, last int)) ipcControl {
	return func(t *kernel.Task, _ int, arg uint64) (uint64, error) {
		b, last := info(t)
		return uint64(last), mem(t).CopyOut(arg, b)
	}
}

// sleepOn waits for c as semop and msgrcv do. When that ends otherwise cancel
// tells whether what was waited for has come all the same.
func sleepOn(t *kernel.Task, c <-chan struct{}, deadline time.Time, cancel func() (done bool)) error {
	err := t.Sleep(c, deadline)
	if err == nil || cancel() {
		return nil
	}
	return err
}
