package tmp

import (
	"maps"
	"slices"
	"sync"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// inode is any of our inodes.
type inode interface {
	vfs.Inode
	base() *node
	unlinked()
}

// node is what all types of inode have in common.
type node struct {
	fs    *FS
	self  inode     // the inode that embeds it
	lower vfs.Inode // what it was at first, nil if it is new here

	mu        sync.RWMutex
	attr      linux.Attr // without Size and Blocks of files
	xattrs    vfs.XattrMap
	ownXattrs bool // xattrs holds them, not lower
}

// init sets up a new node that belongs to self.
func (n *node) init(fs *FS, self inode, s vfs.Spec) {
	now := linux.Now()
	n.fs, n.self, n.ownXattrs = fs, self, true
	n.attr = linux.Attr{
		Ino: fs.nextIno.Add(1), Mode: s.Mode, Nlink: 1,
		UID: s.UID, GID: s.GID, Rdev: s.Rdev,
		Atime: now, Mtime: now, Ctime: now, Btime: now,
	}
}

func (n *node) base() *node { return n }

// unlinked notes that a name is gone.
func (n *node) unlinked() { n.addLinks(-1) }

// dirent is a directory entry of the inode.
func (n *node) dirent(name string, off int64) linux.Dirent {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return linux.Dirent{Ino: n.attr.Ino, Off: off, Type: linux.DirentType(n.attr.Mode), Name: name}
}

// Attr implements vfs.Inode.
func (n *node) Attr() (linux.Attr, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.attr, nil
}

// SetAttr implements vfs.AttrSetter for all but files, which have a size.
func (n *node) SetAttr(c vfs.AttrChange) error {
	if c.Set&vfs.SetSize != 0 {
		return unix.EINVAL
	}
	n.changed()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.setAttr(c)
	return nil
}

// setAttr applies all but the size.
// Preconditions: n.mu is held for writing.
func (n *node) setAttr(c vfs.AttrChange) {
	a := &n.attr
	if c.Set&vfs.SetMode != 0 {
		a.Mode = a.Mode&unix.S_IFMT | c.Mode&0o7777
	}
	if c.Set&vfs.SetUID != 0 {
		a.UID = c.UID
	}
	if c.Set&vfs.SetGID != 0 {
		a.GID = c.GID
	}
	if c.Set&vfs.SetAtime != 0 {
		a.Atime = c.Atime
	}
	if c.Set&vfs.SetMtime != 0 {
		a.Mtime = c.Mtime
	}
	a.Ctime = c.When
	if c.When == (linux.Timespec{}) {
		a.Ctime = linux.Now()
	}
}

// touch sets mtime and ctime to now.
func (n *node) touch() {
	n.changed()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attr.Mtime = linux.Now()
	n.attr.Ctime = n.attr.Mtime
}

const day = 24 * 60 * 60 // seconds

// accessed sets atime as mounts with relatime do: if it is not later than
// mtime and ctime, or a day old. What is as in lower stays so.
func (n *node) accessed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, now := &n.attr, linux.Now()
	if n.lower != nil && !n.fs.isKept(n) {
		return
	}
	if !a.Mtime.Before(a.Atime) || !a.Ctime.Before(a.Atime) || now.Sec-a.Atime.Sec >= day {
		a.Atime = now
	}
}

// addLinks changes the link count, and ctime.
func (n *node) addLinks(delta int) {
	n.changed()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attr.Nlink = uint32(int(n.attr.Nlink) + delta)
	n.attr.Ctime = linux.Now()
	if n.attr.Nlink == 0 {
		n.fs.forget(n)
	}
}

// loadXattrs makes xattrs ours.
// Preconditions: n.mu is held for writing.
func (n *node) loadXattrs() error {
	if n.ownXattrs {
		return nil
	}
	if x, ok := n.lower.(vfs.Xattrs); ok {
		names, err := x.Listxattr()
		if err != nil {
			return err
		}
		for _, name := range names {
			v, err := x.Getxattr(name)
			if err != nil {
				return err
			}
			if err := n.xattrs.Set(name, v, 0); err != nil {
				return err
			}
		}
	}
	n.ownXattrs = true
	return nil
}

// Getxattr implements vfs.Xattrs.
func (n *node) Getxattr(name string) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.loadXattrs(); err != nil {
		return nil, err
	}
	if v, ok := n.xattrs[name]; ok {
		return slices.Clone(v), nil
	}
	return nil, unix.ENODATA
}

// Setxattr implements vfs.Xattrs.
func (n *node) Setxattr(name string, value []byte, flags int) error {
	n.changed()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.loadXattrs(); err != nil {
		return err
	}
	n.attr.Ctime = linux.Now()
	return n.xattrs.Set(name, value, flags)
}

// Removexattr implements vfs.Xattrs.
func (n *node) Removexattr(name string) error {
	n.changed()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.loadXattrs(); err != nil {
		return err
	}
	if _, ok := n.xattrs[name]; !ok {
		return unix.ENODATA
	}
	delete(n.xattrs, name)
	n.attr.Ctime = linux.Now()
	return nil
}

// Listxattr implements vfs.Xattrs.
func (n *node) Listxattr() ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.loadXattrs(); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(n.xattrs)), nil
}
