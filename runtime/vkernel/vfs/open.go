package vfs

import (
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// OpenHow is struct open_how.
type OpenHow struct {
	Flags   int    // O_*
	Mode    uint32 // of a file that is created
	Resolve uint64 // RESOLVE_*
}

// Open is openat.
func (c *Caller) Open(at Path, path string, flags int, mode uint32) (*Description, error) {
	return c.Open2(at, path, OpenHow{Flags: flags, Mode: mode & 0o7777})
}

// Open2 is openat2. O_CLOEXEC is the descriptor table's matter. The result
// has one reference, the caller's. If it is Pending, see OpenWaiter.
func (c *Caller) Open2(at Path, path string, how OpenHow) (*Description, error) {
	o, err := newOpening(c, how)
	if err != nil {
		return nil, err
	}
	w, err := c.newWalk(at, path, how.Resolve)
	if err != nil {
		return nil, err
	}
	p, created, err := o.find(w)
	if err != nil {
		return nil, err
	}
	return o.open(p, created)
}

// OpenPath opens what is at p, as if by a path that leads there.
func (c *Caller) OpenPath(p Path, flags int) (*Description, error) {
	o, err := newOpening(c, OpenHow{Flags: flags})
	if err != nil {
		return nil, err
	}
	return o.open(p, false)
}

// opening is one open with its flags checked.
type opening struct {
	c     *Caller
	flags int
	mode  uint32
}

const tmpfileBit = linux.O_TMPFILE &^ linux.O_DIRECTORY

func newOpening(c *Caller, how OpenHow) (*opening, error) {
	o := &opening{c: c, flags: how.Flags, mode: how.Mode}
	if how.Resolve&^knownResolve != 0 ||
		how.Resolve&unix.RESOLVE_BENEATH != 0 && how.Resolve&unix.RESOLVE_IN_ROOT != 0 {
		return nil, unix.EINVAL
	}
	if o.has(linux.O_PATH) {
		o.flags &= linux.O_PATH | linux.O_DIRECTORY | linux.O_NOFOLLOW | linux.O_CLOEXEC
		return o, nil
	}
	if o.has(linux.O_CREAT) && o.has(linux.O_DIRECTORY) {
		return nil, unix.EINVAL
	}
	if o.has(tmpfileBit) && (!o.has(linux.O_DIRECTORY) || o.want()&Write == 0) {
		return nil, unix.EINVAL
	}
	return o, nil
}

func (o *opening) has(flag int) bool { return o.flags&flag == flag }

// want is the permission that the access mode needs.
func (o *opening) want() Perm {
	perm := [4]Perm{Read, Write, Read | Write, Read | Write}[o.flags&linux.O_ACCMODE]
	if o.has(linux.O_TRUNC) {
		perm |= Write
	}
	return perm
}

// find walks to the file and creates it if it is to be created.
func (o *opening) find(w *walk) (p Path, created bool, err error) {
	if !o.has(linux.O_CREAT) {
		p, err = w.toEnd(!o.has(linux.O_NOFOLLOW))
		return p, false, err
	}
	for {
		l, err := w.toParent()
		if err != nil {
			return Path{}, false, err
		}
		switch {
		case l.isDot() && o.has(linux.O_EXCL):
			return Path{}, false, unix.EEXIST
		case l.isDot(), l.slash:
			return Path{}, false, unix.EISDIR
		}
		p, created, err := o.lookupOrCreate(w, l)
		if err != nil || created {
			return p, created, err
		}
		link, ok := p.Inode().(Symlink)
		if !ok || o.has(linux.O_NOFOLLOW) {
			return p, false, nil
		}
		if err := w.follow(link, l, p); err != nil {
			return Path{}, false, err
		}
		if w.rest == "" {
			return w.pos, false, nil // a magic link, or the root
		}
	}
}

// lookupOrCreate returns the child l of w.pos, made if it does not exist.
func (o *opening) lookupOrCreate(w *walk, l last) (Path, bool, error) {
	parent := w.pos.Dentry
	tree := &parent.super.tree
	tree.Lock()
	defer tree.Unlock()
	child, err := parent.lookupLocked(l.name)
	if err == nil {
		if o.has(linux.O_EXCL) {
			return Path{}, false, unix.EEXIST
		}
		return o.c.NS.top(Path{w.pos.Mount, child}), false, nil
	}
	if err != unix.ENOENT {
		return Path{}, false, err
	}
	if err := o.c.allowed(w.pos, AccessMakeReg, parent.super); err != nil {
		return Path{}, false, err
	}
	dir, err := o.c.mayCreate(w.pos)
	if err != nil {
		return Path{}, false, err
	}
	spec, err := o.c.spec(w.pos.Inode(), o.mode&^o.c.FS.Umask()|unix.S_IFREG)
	if err != nil {
		return Path{}, false, err
	}
	inode, err := dir.Make(l.name, spec)
	if err != nil {
		return Path{}, false, err
	}
	child = &Dentry{super: parent.super, inode: inode}
	parent.add(l.name, child)
	parent.named(unix.IN_CREATE, l.name, inode)
	return Path{w.pos.Mount, child}, true, nil
}

// open opens what is at p; a file that was just created needs no permission.
func (o *opening) open(p Path, created bool) (*Description, error) {
	a, err := p.Inode().Attr()
	if err != nil {
		return nil, err
	}
	switch {
	case o.has(linux.O_CREAT) && !created && a.IsDir():
		return nil, unix.EISDIR
	case o.has(linux.O_DIRECTORY) && !a.IsDir():
		return nil, unix.ENOTDIR
	case o.has(linux.O_PATH):
		return newDescription(nil, p, o.c.Creds, o.flags), nil
	case o.has(tmpfileBit):
		return o.openTmp(p)
	}
	if !created {
		if err := o.may(p, &a); err != nil {
			return nil, err
		}
	}
	d, err := o.openFile(p, &a)
	if err == nil {
		p.Dentry.happened(unix.IN_OPEN)
	}
	if err == nil && !created && o.has(linux.O_TRUNC) && a.Type() == unix.S_IFREG {
		if err = o.truncate(p, d); err != nil {
			d.Unref()
		}
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// may is the kernel's may_open.
func (o *opening) may(p Path, a *linux.Attr) error {
	switch a.Type() {
	case unix.S_IFLNK:
		return unix.ELOOP
	case unix.S_IFDIR:
		if o.want()&Write != 0 {
			return unix.EISDIR
		}
	case unix.S_IFCHR, unix.S_IFBLK:
		if p.Mount.Flags()&NoDev != 0 {
			return unix.EACCES
		}
	}
	modifies := o.want()&Write != 0 && writeIsModify(a)
	if modifies && o.has(linux.O_TRUNC) {
		if err := p.mayModify(); err != nil {
			return err
		}
	}
	if err := o.c.mayPath(p, o.want()); err != nil {
		return err
	}
	if o.has(linux.O_NOATIME) && !o.c.Creds.owns(a) {
		return unix.EPERM
	}
	if modifies {
		return p.mayModify()
	}
	return nil
}

// openFile makes the description: the state of the inode is held before the
// file is opened, so that a FIFO stays the same one.
func (o *opening) openFile(p Path, a *linux.Attr) (*Description, error) {
	if err := o.c.allowed(p, openAccess(p.Inode(), o.flags), nil); err != nil {
		return nil, err
	}
	d := newDescription(nil, p, o.c.Creds, o.flags|linux.O_LARGEFILE)
	d.keepsSize = o.c.allowed(p, AccessTruncate, nil) != nil
	var err error
	if o.flags&linux.O_ACCMODE != linux.O_RDONLY {
		err = d.count(aWriter)
	}
	if err == nil {
		err = d.state.leases.breakFor(d, o.want()&Write != 0)
	}
	if err == nil {
		d.file, err = o.fileOf(p, a, d.state)
	}
	if err != nil {
		d.Unref()
		return nil, err
	}
	return d, nil
}

func (o *opening) fileOf(p Path, a *linux.Attr, state *inodeState) (File, error) {
	switch f := p.Inode().(type) {
	case CallerOpener:
		return f.OpenBy(o.c, o.flags)
	case Opener:
		return f.Open(o.flags)
	}
	sys := o.c.NS.sys
	switch a.Type() {
	case unix.S_IFCHR, unix.S_IFBLK:
		if sys.Devices != nil {
			return sys.Devices.OpenDevice(o.c, a.Type(), a.Rdev, o.flags)
		}
	case unix.S_IFIFO:
		if sys.Fifos != nil {
			return state.openFifo(sys, o.flags)
		}
	}
	return nil, unix.ENXIO
}

func (s *inodeState) openFifo(sys *System, flags int) (File, error) {
	s.fifoMu.Lock()
	defer s.fifoMu.Unlock()
	if s.fifo == nil {
		s.fifo = sys.Fifos()
	}
	return s.fifo.Open(flags)
}

// openTmp is O_TMPFILE: a file without a name in the directory at p.
func (o *opening) openTmp(p Path) (*Description, error) {
	dir, ok := p.Inode().(TmpMaker)
	if !ok {
		return nil, unix.EOPNOTSUPP
	}
	if err := p.mayModify(); err != nil {
		return nil, err
	}
	if err := o.c.mayPath(p, Write|Exec); err != nil {
		return nil, err
	}
	spec, err := o.c.spec(p.Inode(), o.mode&^o.c.FS.Umask()|unix.S_IFREG)
	if err != nil {
		return nil, err
	}
	inode, err := dir.MakeTmp(spec)
	if err != nil {
		return nil, err
	}
	a, err := inode.Attr()
	if err != nil {
		return nil, err
	}
	d := &Dentry{super: p.Dentry.super, inode: inode, parent: p.Dentry, dead: true}
	d.name, d.linkable = tmpName(a.Ino), o.flags&linux.O_EXCL == 0
	return o.openFile(Path{p.Mount, d}, &a)
}

// truncate empties the file at p, which d was opened for.
func (o *opening) truncate(p Path, d *Description) error {
	if d.keepsSize {
		return unix.EACCES
	}
	return o.c.truncate(p, 0)
}
