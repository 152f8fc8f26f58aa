package vfs

import (
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// makeAt makes what spec describes (its owner is filled in) at a path that
// does not exist.
func (c *Caller) makeAt(at Path, path string, s Spec, check func() error) error {
	w, err := c.newWalk(at, path, 0)
	if err != nil {
		return err
	}
	l, err := w.toParent()
	if err != nil {
		return err
	}
	p := w.pos
	tree := &p.Dentry.super.tree
	tree.Lock()
	defer tree.Unlock()
	if err := p.mayName(l, s.Mode&unix.S_IFMT == unix.S_IFDIR); err != nil {
		return err
	}
	if err := c.allowed(p, makeAccess(s.Mode), p.Dentry.super); err != nil {
		return err
	}
	dir, err := c.mayCreate(p)
	if err != nil {
		return err
	}
	if check != nil {
		if err := check(); err != nil {
			return err
		}
	}
	owned, err := c.spec(p.Inode(), s.Mode)
	if err != nil {
		return err
	}
	owned.Rdev, owned.Target = s.Rdev, s.Target
	inode, err := dir.Make(l.name, owned)
	if err != nil {
		return err
	}
	p.Dentry.add(l.name, &Dentry{super: p.Dentry.super, inode: inode})
	p.Dentry.named(unix.IN_CREATE, l.name, inode)
	return nil
}

// mayName checks that l does not exist in the directory at p and is a name
// that can be made there.
// Preconditions: the tree lock is held.
func (p Path) mayName(l last, isDir bool) error {
	if l.isDot() {
		return unix.EEXIST
	}
	if _, err := p.Dentry.lookupLocked(l.name); err != unix.ENOENT {
		if err == nil {
			err = unix.EEXIST
		}
		return err
	}
	if l.slash && !isDir {
		return unix.ENOENT
	}
	return p.mayModify()
}

// Mkdir is mkdirat.
func (c *Caller) Mkdir(at Path, path string, mode uint32) error {
	mode = mode&0o1777&^c.FS.Umask() | unix.S_IFDIR
	return c.makeAt(at, path, Spec{Mode: mode}, nil)
}

// Mknod is mknodat: mode has the type, a regular file if 0.
func (c *Caller) Mknod(at Path, path string, mode uint32, rdev uint64) error {
	var check func() error
	switch mode & unix.S_IFMT {
	case 0:
		mode |= unix.S_IFREG
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK:
	case unix.S_IFCHR, unix.S_IFBLK:
		check = func() error {
			if c.Creds.Has(unix.CAP_MKNOD) {
				return nil
			}
			return unix.EPERM
		}
	case unix.S_IFDIR:
		return unix.EPERM
	default:
		return unix.EINVAL
	}
	mode = mode & (unix.S_IFMT | 0o7777) &^ c.FS.Umask()
	return c.makeAt(at, path, Spec{Mode: mode, Rdev: rdev}, check)
}

// Symlink is symlinkat: path becomes a link with the text target.
func (c *Caller) Symlink(target string, at Path, path string) error {
	switch {
	case target == "":
		return unix.ENOENT
	case len(target) >= linux.PathMax:
		return unix.ENAMETOOLONG
	}
	return c.makeAt(at, path, Spec{Mode: unix.S_IFLNK | 0o777, Target: target}, nil)
}

// Unlink is unlinkat; flags is 0 or AT_REMOVEDIR.
func (c *Caller) Unlink(at Path, path string, flags int) error {
	if flags&^unix.AT_REMOVEDIR != 0 {
		return unix.EINVAL
	}
	rmdir := flags&unix.AT_REMOVEDIR != 0
	w, err := c.newWalk(at, path, 0)
	if err != nil {
		return err
	}
	l, err := w.toParent()
	if err != nil {
		return err
	}
	if l.isDot() {
		return removeDot(l.name, rmdir)
	}
	p := w.pos
	if err := p.mayModify(); err != nil {
		return err
	}
	tree := &p.Dentry.super.tree
	tree.Lock()
	defer tree.Unlock()
	child, err := p.Dentry.lookupLocked(l.name)
	if err != nil {
		return err
	}
	if l.slash && !rmdir {
		if isDir(child.inode) {
			return unix.EISDIR
		}
		return unix.ENOTDIR
	}
	if err := c.allowed(p, unlinkAccess(rmdir), p.Dentry.super); err != nil {
		return err
	}
	dir, err := c.mayDelete(p, child, rmdir)
	if err != nil {
		return err
	}
	if err := dir.Remove(l.name, child.inode); err != nil {
		return err
	}
	p.Dentry.drop(child)
	p.Dentry.unnamed(l.name, child)
	return nil
}

// unlinkAccess is the right that unlink and rmdir need in the directory.
func unlinkAccess(rmdir bool) Access {
	if rmdir {
		return AccessRemoveDir
	}
	return AccessRemoveFile
}

// removeDot is the error for removing ".", ".." or the root.
func removeDot(name string, rmdir bool) error {
	switch {
	case !rmdir:
		return unix.EISDIR
	case name == ".":
		return unix.EINVAL
	case name == "..":
		return unix.ENOTEMPTY
	}
	return unix.EBUSY
}

// Link is linkat; flags are AT_SYMLINK_FOLLOW and AT_EMPTY_PATH.
func (c *Caller) Link(oldAt Path, oldPath string, newAt Path, newPath string, flags int) error {
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return unix.EINVAL
	}
	how := flags & unix.AT_EMPTY_PATH
	if flags&unix.AT_SYMLINK_FOLLOW == 0 {
		how |= unix.AT_SYMLINK_NOFOLLOW
	}
	if oldPath == "" && how&unix.AT_EMPTY_PATH != 0 && !c.Creds.Has(unix.CAP_DAC_READ_SEARCH) {
		return unix.ENOENT
	}
	old, err := c.Resolve(oldAt, oldPath, how)
	if err != nil {
		return err
	}
	w, err := c.newWalk(newAt, newPath, 0)
	if err != nil {
		return err
	}
	l, err := w.toParent()
	if err != nil {
		return err
	}
	return c.linkLocked(old, w.pos, l)
}

func (c *Caller) linkLocked(old, p Path, l last) error {
	tree := &p.Dentry.super.tree
	tree.Lock()
	defer tree.Unlock()
	if err := p.mayName(l, false); err != nil {
		return err
	}
	if old.Mount != p.Mount || old.Dentry.super != p.Dentry.super {
		return unix.EXDEV
	}
	a, err := old.Inode().Attr()
	if err != nil {
		return err
	}
	if a.Nlink == 0 && !old.Dentry.linkable {
		return unix.ENOENT
	}
	if err := c.mayLink(old, &a); err != nil {
		return err
	}
	if from := old.above(p.Dentry.super); from.Ok() {
		if err := c.mayRefer(referral{from: from, to: p, child: old.Inode()}); err != nil {
			return err
		}
	}
	dir, err := c.mayCreate(p)
	switch {
	case err != nil:
		return err
	case a.IsDir():
		return unix.EPERM
	case a.Nlink >= linux.LinkMax:
		return unix.EMLINK
	}
	if err := dir.Link(l.name, old.Inode()); err != nil {
		return err
	}
	old.Dentry.linkable = false
	p.Dentry.add(l.name, &Dentry{super: old.Dentry.super, inode: old.Inode()})
	old.Dentry.super.marks.tell(old.Inode(), Event{Mask: unix.IN_ATTRIB})
	p.Dentry.named(unix.IN_CREATE, l.name, old.Inode())
	return nil
}

// mayLink is the protected_hardlinks rule: one links to one's own files, or
// to plain files that one may read and write.
func (c *Caller) mayLink(old Path, a *linux.Attr) error {
	if c.Creds.owns(a) {
		return nil
	}
	const runSetGID = unix.S_ISGID | unix.S_IXGRP
	if a.Type() != unix.S_IFREG || a.Mode&unix.S_ISUID != 0 ||
		a.Mode&runSetGID == runSetGID || c.mayPath(old, Read|Write) != nil {
		return unix.EPERM
	}
	return nil
}
