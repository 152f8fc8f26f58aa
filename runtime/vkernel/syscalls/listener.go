package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/seccomp"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Sizes of seccomp_unotify(2)'s structures, bytes.
const (
	notifSize = 16 + seccomp.DataSize // struct seccomp_notif
	respSize  = 24                    // struct seccomp_notif_resp
	addfdSize = 24                    // struct seccomp_notif_addfd
)

// notifSizes is SECCOMP_GET_NOTIF_SIZES.
func notifSizes(t *kernel.Task, flags uint32, addr uint64) (uint64, error) {
	if flags != 0 {
		return 0, unix.EINVAL
	}
	var b []byte
	for _, size := range []uint16{notifSize, respSize, seccomp.DataSize} {
		b = binary.LittleEndian.AppendUint16(b, size)
	}
	return copyOut(t, addr, b, nil)
}

// addListener adds a filter with a listener, which is the result.
func addListener(t *kernel.Task, flags uint32, p seccomp.Program) (uint64, error) {
	l := kernel.NewListener(flags&seccompWaitKillable != 0)
	fd, err := anon(t, l, event.Inode{}, "anon_inode:seccomp notify", linux.O_CLOEXEC)
	if err != nil {
		return 0, err
	}
	if _, err := setFilter(t, flags, p, l); err != nil {
		t.FDs.Close(int(fd))
		return 0, err
	}
	return fd, nil
}

// asked is what a supervisor says to a call.
func asked(t *kernel.Task, l seccomp.Listener, call seccomp.Call) (ret uint64, stopped bool, err error) {
	switch a, err := t.Ask(l, call); {
	case err != nil:
		return 0, true, err
	case a.Continue:
		return 0, false, nil
	case a.Error != 0:
		return uint64(int64(a.Error)), true, nil
	default:
		return uint64(a.Value), true, nil
	}
}

// ioWrite and ioRead are the bits of a request's direction, ioSize is where its
// size begins; asm-generic/ioctl.h.
const (
	ioWrite = 1 << 30
	ioRead  = 2 << 30
	ioSize  = 16
	notify  = '!' << 8
)

// listenerIoctls are SECCOMP_IOCTL_NOTIF_*.
var listenerIoctls = map[uint32]func(t *kernel.Task, l *kernel.Listener, arg uint64) (uint64, error){
	ioRead | ioWrite | notifSize<<ioSize | notify | 0: receiveCall,
	ioRead | ioWrite | respSize<<ioSize | notify | 1:  answerCall,
	ioWrite | 8<<ioSize | notify | 2:                  callValid,
	ioRead | 8<<ioSize | notify | 2:                   callValid, // as headers had it once
	ioWrite | addfdSize<<ioSize | notify | 3:          giveDescriptor,
	ioWrite | 8<<ioSize | notify | 4: func(_ *kernel.Task, _ *kernel.Listener, arg uint64) (uint64, error) { // SET_FLAGS
		const syncWakeUp = 1 // advice to the scheduler
		if arg&^syncWakeUp != 0 {
			return 0, unix.EINVAL
		}
		return 0, nil
	},
}

func listenerIoctl(t *kernel.Task, l *kernel.Listener, cmd uint32, arg uint64) (uint64, error) {
	if f := listenerIoctls[cmd]; f != nil {
		return f(t, l, arg)
	}
	return 0, unix.EINVAL
}

// receiveCall waits for a call, with O_NONBLOCK too.
func receiveCall(t *kernel.Task, l *kernel.Listener, arg uint64) (uint64, error) {
	var b [notifSize]byte
	if err := mem(t).CopyIn(arg, b[:]); err != nil {
		return 0, err
	}
	if b != [notifSize]byte{} {
		return 0, unix.EINVAL
	}
	var c kernel.AskedCall
	err := t.Block(l.Queue(), wait.In, time.Time{}, func() (err error) {
		c, err = l.Receive()
		return err
	})
	if err != nil {
		return 0, err
	}
	binary.LittleEndian.PutUint64(b[:], c.ID)
	binary.LittleEndian.PutUint32(b[8:], uint32(c.TID))
	data := c.Call.Bytes()
	copy(b[16:], data[:])
	if err := mem(t).CopyOut(arg, b[:]); err != nil {
		l.Return(c.ID)
		return 0, err
	}
	return 0, nil
}

func answerCall(t *kernel.Task, l *kernel.Listener, arg uint64) (uint64, error) {
	var b [respSize]byte
	if err := mem(t).CopyIn(arg, b[:]); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	const flagContinue = 1
	flags := le.Uint32(b[20:])
	a := kernel.Answer{Value: int64(le.Uint64(b[8:])), Error: int32(le.Uint32(b[16:])), Continue: flags&flagContinue != 0}
	if flags&^flagContinue != 0 || a.Continue && (a.Value != 0 || a.Error != 0) {
		return 0, unix.EINVAL
	}
	return ok(l.Answer(le.Uint64(b[:]), a))
}

func callValid(t *kernel.Task, l *kernel.Listener, arg uint64) (uint64, error) {
	id, err := mem(t).Load64(arg)
	if err == nil {
		err = l.Valid(id)
	}
	return ok(err)
}

// Flags of SECCOMP_IOCTL_NOTIF_ADDFD.
const (
	addfdSet  = 1
	addfdSend = 2
)

func giveDescriptor(t *kernel.Task, l *kernel.Listener, arg uint64) (uint64, error) {
	var b [addfdSize]byte
	if err := mem(t).CopyIn(arg, b[:]); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	id, flags, src, fd, fdFlags := le.Uint64(b[:]), le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint32(b[16:]), le.Uint32(b[20:])
	if fdFlags&^uint32(linux.O_CLOEXEC) != 0 || flags&^(addfdSet|addfdSend) != 0 || fd != 0 && flags&addfdSet == 0 {
		return 0, unix.EINVAL
	}
	d, err := t.FDs.GetFile(int(int32(src)))
	if err != nil {
		return 0, err
	}
	defer d.Unref()
	g := &kernel.Gift{File: d, FD: -1, Cloexec: fdFlags != 0, Answer: flags&addfdSend != 0}
	if flags&addfdSet != 0 {
		g.FD = int(min(fd, 1<<30))
	}
	return count(t.Give(l, id, g))
}
