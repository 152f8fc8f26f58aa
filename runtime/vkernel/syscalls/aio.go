package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/aio"
	"github.com/megabin/megabin/runtime/vkernel/event"
	"github.com/megabin/megabin/runtime/vkernel/kernel"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Operations of struct iocb (linux/aio_abi.h).
const (
	iocbPread   = 0
	iocbPwrite  = 1
	iocbFsync   = 2
	iocbFdsync  = 3
	iocbPreadv  = 7
	iocbPwritev = 8
)

// iocbResfd is the flag that names an eventfd.
const iocbResfd = 1

// Sizes of struct iocb and io_event.
const (
	iocbSize    = 64
	ioEventSize = 32
)

// iocb is struct iocb.
type iocb struct {
	data             uint64
	rwFlags          uint32
	op               uint16
	fd               int
	buf, size        uint64
	offset, reserved uint64
	flags            uint32
	eventfd          int
}

func loadIocb(t *kernel.Task, addr uint64) (b iocb, err error) {
	var raw [iocbSize]byte
	if err := mem(t).CopyIn(addr, raw[:]); err != nil {
		return b, err
	}
	le := binary.LittleEndian
	return iocb{
		data: le.Uint64(raw[0:]), rwFlags: le.Uint32(raw[12:]), op: le.Uint16(raw[16:]), fd: int(int32(le.Uint32(raw[20:]))),
		buf: le.Uint64(raw[24:]), size: le.Uint64(raw[32:]), offset: le.Uint64(raw[40:]), reserved: le.Uint64(raw[48:]),
		flags: le.Uint32(raw[56:]), eventfd: int(int32(le.Uint32(raw[60:]))),
	}, nil
}

// sysIoSetup names the context by the address of a page of the guest's, as
// Linux does: libaio reads there whether it is a ring that it knows. It is none.
func sysIoSetup(t *kernel.Task, a Args) (uint64, error) {
	old, err := mem(t).Load64(a[1])
	if err != nil {
		return 0, err
	}
	if old != 0 || a.Uint(0) == 0 {
		return 0, unix.EINVAL
	}
	addr, err := t.MM.Map(mm.Request{
		Len: mm.PageSize, Prot: unix.PROT_READ | unix.PROT_WRITE, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, Label: "/[aio] (deleted)",
	})
	if err != nil {
		return 0, err
	}
	err = t.MM.AIO.Add(addr, int(a.Uint(0)))
	if err == nil {
		err = mem(t).Store64(a[1], addr)
	}
	if err != nil {
		t.MM.AIO.Remove(addr) // EINVAL if there was no room
		t.MM.Unmap(addr, mm.PageSize)
	}
	return 0, err
}

func sysIoDestroy(t *kernel.Task, a Args) (uint64, error) {
	if err := t.MM.AIO.Remove(a[0]); err != nil {
		return 0, err
	}
	return ok(t.MM.Unmap(a[0], mm.PageSize))
}

func sysIoSubmit(t *kernel.Task, a Args) (uint64, error) {
	c, err := t.MM.AIO.Get(a[0])
	if err != nil || a.Long(1) < 0 {
		return 0, unix.EINVAL
	}
	for i := range uint64(a.Long(1)) {
		addr, err := mem(t).Load64(a[2] + 8*i)
		if err == nil {
			err = submit(t, c, addr)
		}
		if err != nil && i == 0 {
			return 0, err
		}
		if err != nil {
			return i, nil
		}
	}
	return a[1], nil
}

// submit does the request at addr. Its error is in the event, but for that of a
// request that does not begin.
func submit(t *kernel.Task, c *aio.Context, addr uint64) error {
	b, err := loadIocb(t, addr)
	if err != nil {
		return err
	}
	if b.reserved != 0 || int64(b.size) < 0 {
		return unix.EINVAL
	}
	if err := c.Reserve(); err != nil {
		return err
	}
	notify, err := completion(t, b)
	var result int64
	if err == nil {
		result, err = b.run(t)
	}
	if err != nil {
		c.Cancel()
		return err
	}
	c.Complete(aio.Event{Data: b.data, Object: addr, Result: result})
	notify()
	return nil
}

// completion is what tells of the event, besides the context.
func completion(t *kernel.Task, b iocb) (notify func(), err error) {
	if b.flags&iocbResfd == 0 {
		return func() {}, nil
	}
	_, err = withFile(t, b.eventfd, func(d *vfs.Description) (uint64, error) {
		counter, is := d.File().(*event.Counter)
		if !is {
			return 0, unix.EINVAL
		}
		notify = func() { counter.Write(binary.LittleEndian.AppendUint64(nil, 1)) }
		return 0, nil
	})
	return notify, err
}

// run does the request. err is for one that does not begin.
func (b iocb) run(t *kernel.Task) (result int64, err error) {
	_, err = withFile(t, b.fd, func(d *vfs.Description) (uint64, error) {
		if err := b.check(t, d); err != nil {
			return 0, err
		}
		call := b.call()
		n, err := call(t, Args{uint64(b.fd), b.buf, b.size, b.offset})
		result = int64(n)
		if errno, is := err.(unix.Errno); is {
			if err == kernel.ERESTARTSYS {
				errno = unix.EINTR
			}
			result = -int64(errno)
		}
		return 0, nil
	})
	return result, err
}

// check refuses a request that can't begin.
func (b iocb) check(t *kernel.Task, d *vfs.Description) error {
	read, vectors := b.op == iocbPread || b.op == iocbPreadv, b.op == iocbPreadv || b.op == iocbPwritev
	switch b.op {
	case iocbFsync, iocbFdsync:
		if b.buf != 0 || b.offset != 0 || b.size != 0 || b.rwFlags != 0 {
			return unix.EINVAL
		}
		return nil
	case iocbPread, iocbPwrite, iocbPreadv, iocbPwritev:
	default:
		return unix.EINVAL
	}
	switch {
	case b.rwFlags&^rwfHints != 0:
		return unix.EOPNOTSUPP
	case read && !d.Readable(), !read && !d.Writable():
		return unix.EBADF
	case int64(b.offset) < 0:
		return unix.EINVAL
	case vectors:
		_, err := iovecs(t, b.buf, int(int32(b.size)), read)
		return err
	}
	return nil
}

// call is the system call that does the same.
func (b iocb) call() func(*kernel.Task, Args) (uint64, error) {
	switch b.op {
	case iocbPread:
		return elsewhere(sysPread64, sysRead)
	case iocbPwrite:
		return elsewhere(sysPwrite64, sysWrite)
	case iocbPreadv:
		return elsewhere(sysPreadv, sysReadv)
	case iocbPwritev:
		return elsewhere(sysPwritev, sysWritev)
	}
	return sysFsync
}

// elsewhere is at, or for a file without offsets plain.
func elsewhere(at, plain func(*kernel.Task, Args) (uint64, error)) func(*kernel.Task, Args) (uint64, error) {
	return func(t *kernel.Task, a Args) (uint64, error) {
		n, err := at(t, a)
		if err == unix.ESPIPE {
			return plain(t, a)
		}
		return n, err
	}
}

func sysIoGetevents(t *kernel.Task, a Args) (uint64, error) {
	deadline, err := timeout(t, a[4])
	if err != nil {
		return 0, err
	}
	c, err := t.MM.AIO.Get(a[0])
	least, most := a.Long(1), a.Long(2)
	if err != nil || least < 0 || least > most {
		return 0, unix.EINVAL
	}
	var got []aio.Event
	err = t.Block(c.Queue(), wait.In, deadline, func() error {
		more, err := c.Take(int(most) - len(got))
		if got = append(got, more...); err == nil && int64(len(got)) < least {
			return unix.EAGAIN
		}
		return err
	})
	switch {
	case len(got) > 0 || err == unix.ETIMEDOUT:
		return storeEvents(t, a[3], got)
	case err == kernel.ERESTARTSYS:
		return 0, unix.EINTR
	}
	return 0, err
}

func storeEvents(t *kernel.Task, addr uint64, events []aio.Event) (uint64, error) {
	raw := make([]byte, 0, ioEventSize*len(events))
	for _, e := range events {
		for _, v := range [4]uint64{e.Data, e.Object, uint64(e.Result), 0} {
			raw = binary.LittleEndian.AppendUint64(raw, v)
		}
	}
	return uint64(len(events)), mem(t).CopyOut(addr, raw)
}

func sysIoPgetevents(t *kernel.Task, a Args) (uint64, error) {
	if err := withMaskAt(t, a[5]); err != nil {
		return 0, err
	}
	return sysIoGetevents(t, a)
}

// sysIoCancel finds nothing: what was submitted is done.
func sysIoCancel(t *kernel.Task, a Args) (uint64, error) {
	if _, err := loadIocb(t, a[1]); err != nil {
		return 0, err
	}
	return 0, unix.EINVAL
}
