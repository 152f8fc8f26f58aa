package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

func sysFlock(t *kernel.Task, a Args) (uint64, error) {
	return withFile(t, a.Int(0), func(d *vfs.Description) (uint64, error) {
		op := a.Int(1)
		try := func() error { return d.Flock(op &^ unix.LOCK_NB) }
		if op&unix.LOCK_NB != 0 {
			return ok(try())
		}
		return ok(t.Block(d.LockQueue(), wait.In|wait.Out, time.Time{}, try))
	})
}

// lockCommand is one of fcntl's lock commands.
type lockCommand struct {
	ofd, wait, get bool
}

var lockCommands = map[int]lockCommand{
	unix.F_GETLK:      {get: true},
	unix.F_SETLK:      {},
	unix.F_SETLKW:     {wait: true},
	unix.F_OFD_GETLK:  {ofd: true, get: true},
	unix.F_OFD_SETLK:  {ofd: true},
	unix.F_OFD_SETLKW: {ofd: true, wait: true},
}

// flockSize is sizeof(struct flock): type and whence as shorts, start and
// length as longs, pid.
const flockSize = 32

func (c lockCommand) run(t *kernel.Task, d *vfs.Description, addr uint64) (uint64, error) {
	raw := make([]byte, flockSize)
	if err := mem(t).CopyIn(addr, raw); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	lock := vfs.Lock{
		Type: int16(le.Uint16(raw)), Start: int64(le.Uint64(raw[8:])), Len: int64(le.Uint64(raw[16:])), PID: int32(t.PID()),
	}
	whence := int16(le.Uint16(raw[2:]))
	var owner any = t.FDs
	if c.ofd {
		if le.Uint32(raw[24:]) != 0 {
			return 0, unix.EINVAL
		}
		owner, lock.PID = d, -1
	}
	if c.get {
		return getLock(t, d, owner, lock, whence, addr)
	}
	try := func() error { return d.SetLock(owner, lock, whence) }
	if !c.wait {
		return ok(try())
	}
	if !c.ofd {
		try = func() error { return d.WaitLock(owner, lock, whence) }
		defer d.EndWait(owner)
	}
	return ok(t.Block(d.LockQueue(), wait.In|wait.Out, time.Time{}, try))
}

func getLock(t *kernel.Task, d *vfs.Description, owner any, lock vfs.Lock, whence int16, addr uint64) (uint64, error) {
	found, err := d.GetLock(owner, lock, whence)
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if found.Type == unix.F_UNLCK {
		return 0, mem(t).CopyOut(addr, le.AppendUint16(nil, unix.F_UNLCK))
	}
	b := le.AppendUint16(nil, uint16(found.Type))
	b = le.AppendUint16(b, unix.SEEK_SET)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(found.Start))
	b = le.AppendUint64(b, uint64(found.Len))
	b = le.AppendUint32(b, uint32(found.PID))
	return 0, mem(t).CopyOut(addr, b)
}
