package pipe

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
	"golang.org/x/sys/unix"
)

// end is an open end of a pipe, or both (a FIFO opened O_RDWR).
type end struct {
	pipe         *Pipe
	reads, write bool
	// awaits says that open(2) waits until the other side's count of opens is
	// not seen any more.
	awaits bool
	seen   uint64 // the other side's opens when this end was opened without it, else 0
}

// Open implements vfs.Fifo.
func (p *Pipe) Open(flags int) (vfs.File, error) {
	e := &end{pipe: p}
	switch flags & linux.O_ACCMODE {
	case linux.O_RDONLY:
		e.reads = true
	case linux.O_WRONLY:
		e.write = true
	case linux.O_RDWR:
		e.reads, e.write = true, true
	default:
		return nil, unix.EINVAL
	}
	nonblock := flags&linux.O_NONBLOCK != 0
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unnamed { // waits for nobody
		p.add(e)
		return e, nil
	}
	if e.write && !e.reads && nonblock && p.readers == 0 {
		return nil, unix.ENXIO
	}
	p.add(e)
	switch {
	case e.reads && !e.write && p.writers == 0:
		e.awaits, e.seen = !nonblock, p.writeOpens
	case e.write && !e.reads && p.readers == 0:
		e.awaits, e.seen = true, p.readOpens
	}
	return e, nil
}

// add counts a new end.
func (p *Pipe) add(e *end) {
	if e.reads {
		p.readers++
		p.readOpens++
	}
	if e.write {
		p.writers++
		p.writeOpens++
	}
	p.queue.Notify(wait.In | wait.Out)
}

// Pending implements vfs.OpenWaiter.
func (e *end) Pending() bool {
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	if !e.awaits {
		return false
	}
	if e.reads {
		return e.pipe.writeOpens == e.seen
	}
	return e.pipe.readOpens == e.seen
}

// Release implements vfs.File.
func (e *end) Release() {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.reads {
		p.readers--
	}
	if e.write {
		p.writers--
	}
	if p.readers == 0 && p.writers == 0 {
		p.buf, p.head, p.held = nil, 0, 0
	}
	p.queue.Notify(wait.In | wait.Out | wait.Hup | wait.Err)
}

// Read implements vfs.Reader.
func (e *end) Read(b []byte) (int, error) { return e.pipe.read(b) }

// Write implements vfs.Writer.
func (e *end) Write(b []byte) (int, error) { return e.pipe.write(b) }

// Ready implements vfs.Poller.
func (e *end) Ready() wait.Mask {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	var m wait.Mask
	if e.reads {
		if p.held > 0 {
			m |= wait.In
		}
		if p.writers == 0 && p.writeOpens != e.seen {
			m |= wait.Hup
		}
	}
	if e.write {
		if p.room() >= AtomicSize {
			m |= wait.Out
		}
		if p.readers == 0 {
			m |= wait.Err
		}
	}
	return m
}

// Async implements vfs.Asyncer.
func (e *end) Async() {}

// Queue implements vfs.Poller.
func (e *end) Queue() *wait.Queue { return &e.pipe.queue }

// PipeSize implements vfs.PipeSizer.
func (e *end) PipeSize() int { return e.pipe.Size() }

// SetPipeSize implements vfs.PipeSizer.
func (e *end) SetPipeSize(n int) (int, error) { return e.pipe.SetSize(n) }

// Ioctl implements vfs.Ioctler.
func (e *end) Ioctl(_ *vfs.Caller, cmd uint32, arg uint64, mem vfs.Memory) (uint64, error) {
	if cmd != unix.TIOCINQ { // FIONREAD
		return 0, unix.ENOTTY
	}
	n := binary.LittleEndian.AppendUint32(nil, uint32(e.pipe.Held()))
	return 0, mem.CopyOut(arg, n)
}

// inode is a pipe without a name; opening it (by /proc/PID/fd) gives another
// end.
type inode struct {
	pipe *Pipe
	attr linux.Attr
}

// Attr implements vfs.Inode.
func (i *inode) Attr() (linux.Attr, error) { return i.attr, nil }

// Open implements vfs.Opener.
func (i *inode) Open(flags int) (vfs.File, error) { return i.pipe.Open(flags) }

var lastIno atomic.Uint64

// Pair is pipe2: flags are O_NONBLOCK and O_DIRECT (whose packet mode is not
// kept). uid and gid own it.
func Pair(sys *vfs.System, uid, gid uint32, flags int) (r, w *vfs.Description) {
	p := New()
	p.unnamed = true
	now := linux.Now()
	i := &inode{pipe: p, attr: linux.Attr{
		Ino: lastIno.Add(1) + 0x10000, Mode: unix.S_IFIFO | 0o600, Nlink: 1, UID: uid, GID: gid,
		Blksize: linux.PageSize, Atime: now, Mtime: now, Ctime: now,
	}}
	name := fmt.Sprintf("pipe:[%d]", i.attr.Ino)
	reader, writer := &end{pipe: p, reads: true}, &end{pipe: p, write: true}
	p.add(reader)
	p.add(writer)
	flags &= linux.O_NONBLOCK
	return sys.NewAnon(reader, i, name, linux.O_RDONLY|flags), sys.NewAnon(writer, i, name, linux.O_WRONLY|flags)
}

// Peek implements vfs.Splicer.
func (e *end) Peek(b []byte) (int, error) { return e.pipe.peek(b) }

// Room implements vfs.Splicer.
func (e *end) Room() int {
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	if e.pipe.readers == 0 {
		return 0
	}
	return e.pipe.room()
}

// Same implements vfs.Splicer.
func (e *end) Same(other vfs.Splicer) bool {
	o, isPipe := other.(*end)
	return isPipe && o.pipe == e.pipe
}
