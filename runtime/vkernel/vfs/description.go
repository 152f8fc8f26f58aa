package vfs

import (
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/wait"
	"golang.org/x/sys/unix"
)

// Description is an open file description: what descriptors made by dup and
// fork share. It is counted; who holds one calls Unref once.
type Description struct {
	file  File // nil for O_PATH
	path  Path
	creds *Creds // of who opened it

	refs   atomic.Int64
	flags  atomic.Uint32 // access mode and status flags
	owner  atomic.Uint64 // F_SETOWN: an Owner
	sigio  atomic.Int32  // F_SETSIG
	state  *inodeState
	counts int32 // aWriter, aRunner, or 0

	keepsSize bool // who opened it had no right to truncate it

	hooksMu sync.Mutex
	hooks   map[any]func()

	// offMu serialises reads, writes and seeks that use the offset.
	offMu sync.Mutex
	off   int64
}

// newDescription returns a description with one reference.
func newDescription(file File, path Path, creds *Creds, flags int) *Description {
	d := &Description{file: file, path: path, creds: creds}
	d.refs.Store(1)
	d.flags.Store(uint32(flags &^ (linux.O_CREAT | linux.O_EXCL | linux.O_NOCTTY | linux.O_TRUNC | linux.O_CLOEXEC)))
	d.state = path.Dentry.super.getState(path.Inode())
	return d
}

// NewAnon makes a description of a file that no path leads to: a pipe, a
// socket, an epoll instance. name is what /proc/PID/fd/N says. flags are the
// access mode and status flags.
func (s *System) NewAnon(file File, inode Inode, name string, flags int) *Description {
	return newDescription(file, s.AnonPath(inode, name), RootCreds(), flags)
}

// AnonPath is a place that only a magic link leads to.
func (s *System) AnonPath(inode Inode, name string) Path {
	s.anonOnce.Do(func() { s.anon = s.NewSuper(anonFS{}) })
	mount := &Mount{super: s.anon, root: s.anon.root}
	return Path{mount, &Dentry{super: s.anon, inode: inode, name: name}}
}

// anonFS is the file system of things without a name.
type anonFS struct{}

func (anonFS) Root() Inode  { return anonRoot{} }
func (anonFS) Type() string { return "anon_inodefs" }
func (anonFS) Statfs() (linux.Statfs, error) {
	return linux.Statfs{Type: unix.ANON_INODE_FS_MAGIC, Bsize: linux.PageSize, Namelen: linux.NameMax}, nil
}

type anonRoot struct{}

func (anonRoot) Attr() (linux.Attr, error) { return linux.Attr{Mode: unix.S_IFDIR}, nil }

// Ref takes another reference.
func (d *Description) Ref() { d.refs.Add(1) }

// Unref gives a reference back; with the last one the file is released.
func (d *Description) Unref() {
	switch n := d.refs.Add(-1); {
	case n < 0:
		panic("BUG: description released too often")
	case n > 0:
		return
	}
	d.runHooks()
	d.state.locks.releaseOwner(d)
	d.state.leases.release(d)
	if d.file != nil {
		d.tellClosed()
		d.file.Release()
	}
	d.state.writers.leave(d.counts)
	if d.path.Dentry.super.putState(d.path.Inode()) {
		d.tellGone()
	}
}

// tellClosed tells who watches the file that it is closed.
func (d *Description) tellClosed() {
	if d.Writable() {
		d.path.Dentry.happened(unix.IN_CLOSE_WRITE)
	} else {
		d.path.Dentry.happened(unix.IN_CLOSE_NOWRITE)
	}
}

// tellGone tells who watches the file if with its last description it is
// gone.
func (d *Description) tellGone() {
	s := d.path.Dentry.super
	if s.marks.count.Load() == 0 {
		return
	}
	s.tree.RLock()
	dead := d.path.Dentry.dead
	s.tree.RUnlock()
	if dead {
		d.path.Dentry.gone()
	}
}

// OnRelease has fn called when the last reference is gone, before the file is
// released. key names it for CancelRelease.
func (d *Description) OnRelease(key any, fn func()) {
	d.hooksMu.Lock()
	defer d.hooksMu.Unlock()
	if d.hooks == nil {
		d.hooks = map[any]func(){}
	}
	d.hooks[key] = fn
}

// CancelRelease takes back what OnRelease asked for.
func (d *Description) CancelRelease(key any) {
	d.hooksMu.Lock()
	defer d.hooksMu.Unlock()
	delete(d.hooks, key)
}

func (d *Description) runHooks() {
	d.hooksMu.Lock()
	hooks := d.hooks
	d.hooks = nil
	d.hooksMu.Unlock()
	for _, fn := range hooks {
		fn()
	}
}

// File is the open file, nil for O_PATH. The kernel uses it to find out what
// it is (an epoll instance, a socket).
func (d *Description) File() File { return d.file }

// Path is where it was opened.
func (d *Description) Path() Path { return d.path }

// Inode is what is open.
func (d *Description) Inode() Inode { return d.path.Inode() }

// Creds are those of who opened it.
func (d *Description) Creds() *Creds { return d.creds }

// Flags are the access mode and status flags, as F_GETFL gives them.
func (d *Description) Flags() int { return int(d.flags.Load()) }

// SetFlags is F_SETFL: flags that cannot be changed are ignored.
func (d *Description) SetFlags(flags int) {
	d.offMu.Lock()
	defer d.offMu.Unlock()
	n := d.Flags()&^linux.SettableFlags | flags&linux.SettableFlags
	d.flags.Store(uint32(n))
	if s, ok := d.file.(FlagSetter); ok {
		s.SetFlags(n)
	}
}

// Nonblock reports whether O_NONBLOCK is set.
func (d *Description) Nonblock() bool { return d.Flags()&linux.O_NONBLOCK != 0 }

// Owner is who a description's signals go to, struct f_owner_ex.
type Owner struct {
	Type uint32 // OwnerThread, …
	ID   uint32
}

// Types of an Owner: F_OWNER_TID, F_OWNER_PID and F_OWNER_PGRP.
const (
	OwnerThread = iota
	OwnerProcess
	OwnerGroup
)

// Owner is F_GETOWN.
func (d *Description) Owner() Owner {
	v := d.owner.Load()
	return Owner{uint32(v >> 32), uint32(v)}
}

// SetOwner is F_SETOWN.
func (d *Description) SetOwner(o Owner) { d.owner.Store(uint64(o.Type)<<32 | uint64(o.ID)) }

// OwnerSignal is F_GETSIG: 0 is SIGIO.
func (d *Description) OwnerSignal() int32 { return d.sigio.Load() }

// SetOwnerSignal is F_SETSIG.
func (d *Description) SetOwnerSignal(sig int32) { d.sigio.Store(sig) }

// Readable reports whether it was opened for reading.
func (d *Description) Readable() bool {
	mode := d.Flags() & linux.O_ACCMODE
	return d.file != nil && (mode == linux.O_RDONLY || mode == linux.O_RDWR)
}

// Writable reports whether it was opened for writing.
func (d *Description) Writable() bool {
	mode := d.Flags() & linux.O_ACCMODE
	return d.file != nil && (mode == linux.O_WRONLY || mode == linux.O_RDWR)
}

// Stat is fstat.
func (d *Description) Stat() (linux.Attr, error) {
	a, err := d.path.Dentry.super.attr(d.Inode())
	a.MountID = d.path.Mount.id
	return a, err
}

// Ready returns the poll events that hold now: always In and Out for files
// that are not Pollers.
func (d *Description) Ready() wait.Mask {
	if d.file == nil {
		return wait.NVal
	}
	if p, ok := d.file.(Poller); ok {
		return p.Ready()
	}
	return wait.In | wait.Out
}

// Queue is what to wait on after EAGAIN; nil if the file is always ready.
func (d *Description) Queue() *wait.Queue {
	if p, ok := d.file.(Poller); ok {
		return p.Queue()
	}
	return nil
}

// Pending reports whether open(2) has yet to wait on Queue.
func (d *Description) Pending() bool {
	w, ok := d.file.(OpenWaiter)
	return ok && w.Pending()
}

// Ioctl is ioctl: EBADF for O_PATH, ENOTTY if the file does not know cmd.
// Requests that concern all files (FIONBIO, FIOCLEX) are the kernel's.
func (d *Description) Ioctl(c *Caller, cmd uint32, arg uint64, mem Memory) (uint64, error) {
	if d.file == nil {
		return 0, unix.EBADF
	}
	if f, ok := d.file.(Ioctler); ok {
		return f.Ioctl(c, cmd, arg, mem)
	}
	if cmd == unix.TIOCINQ {
		return 0, d.tellLeft(arg, mem)
	}
	return 0, unix.ENOTTY
}

// tellLeft is FIONREAD of a regular file: the bytes up to its end.
func (d *Description) tellLeft(arg uint64, mem Memory) error {
	a, err := d.Stat()
	if err != nil {
		return err
	}
	if a.Type() != unix.S_IFREG {
		return unix.ENOTTY
	}
	return mem.CopyOut(arg, binary.LittleEndian.AppendUint32(nil, uint32(a.Size-d.Offset())))
}

// HostFile returns what to map for mmap: EACCES if the access mode does not
// allow it, ENODEV if the file cannot be mapped. See Mmapper.
func (d *Description) HostFile(shared, write bool) (*os.File, error) {
	switch m, ok := d.file.(Mmapper); {
	case d.file == nil:
		return nil, unix.EBADF
	case !d.Readable(), shared && write && !d.Writable():
		return nil, unix.EACCES
	case !ok:
		return nil, unix.ENODEV
	default:
		return m.HostFile(shared && d.Writable())
	}
}

// WriteSealed tells whether seals keep the file from being mapped for shared
// writing.
func (d *Description) WriteSealed() bool {
	s, ok := d.file.(Sealer)
	return ok && s.Seals()&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0
}

// Sync is fsync and fdatasync: EINVAL for what has no storage.
func (d *Description) Sync() error {
	if d.file == nil {
		return unix.EBADF
	}
	if s, ok := d.file.(Syncer); ok {
		return s.Sync()
	}
	return unix.EINVAL
}
