package vfs

import (
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// mayPath checks permission to do want to the inode at p.
func (c *Caller) mayPath(p Path, want Perm) error {
	if want == 0 {
		return nil
	}
	if a, ok := p.Inode().(Accesser); ok {
		return a.Access(c, want)
	}
	a, err := p.Inode().Attr()
	if err != nil {
		return err
	}
	return c.Creds.Permits(&a, want)
}

// mayModify is EROFS on a read-only mount.
func (p Path) mayModify() error {
	if p.Mount.Flags()&ReadOnly != 0 {
		return unix.EROFS
	}
	return nil
}

// writeIsModify reports whether writing to this type of inode changes the
// file system (writing to a device or FIFO does not).
func writeIsModify(a *linux.Attr) bool {
	switch a.Type() {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK:
		return true
	}
	return false
}

// mayCreate checks that a name can be made in the directory at p.
// Preconditions: the tree lock is held.
func (c *Caller) mayCreate(p Path) (MutableDir, error) {
	if err := p.mayModify(); err != nil {
		return nil, err
	}
	if p.Dentry.dead {
		return nil, unix.ENOENT
	}
	dir, ok := p.Inode().(MutableDir)
	if !ok {
		return nil, unix.ENOENT // as proc does
	}
	return dir, c.mayPath(p, Write|Exec)
}

// mayDelete checks that child can be removed from, or moved out of, the
// directory at p; wantDir says whether it has to be a directory or must not
// be one.
// Preconditions: the tree lock is held.
func (c *Caller) mayDelete(p Path, child *Dentry, wantDir bool) (MutableDir, error) {
	dir, ok := p.Inode().(MutableDir)
	if !ok {
		return nil, unix.EPERM
	}
	if err := c.mayPath(p, Write|Exec); err != nil {
		return nil, err
	}
	if err := c.maySticky(p.Inode(), child.inode); err != nil {
		return nil, err
	}
	switch {
	case wantDir && !isDir(child.inode):
		return nil, unix.ENOTDIR
	case !wantDir && isDir(child.inode):
		return nil, unix.EISDIR
	case child.mounts.Load() != 0:
		return nil, unix.EBUSY
	}
	return dir, nil
}

// maySticky is the rule of sticky directories: only the owner of the file or
// of the directory may remove it.
func (c *Caller) maySticky(dir, child Inode) error {
	d, err := dir.Attr()
	if err != nil || d.Mode&unix.S_ISVTX == 0 {
		return err
	}
	a, err := child.Attr()
	if err != nil {
		return err
	}
	if a.UID == c.Creds.FSUID || d.UID == c.Creds.FSUID || c.Creds.Has(unix.CAP_FOWNER) {
		return nil
	}
	return unix.EPERM
}

// spec fills in who owns a new inode in dir: set-group-ID directories pass
// their group on, and to directories the bit too.
func (c *Caller) spec(dir Inode, mode uint32) (Spec, error) {
	s := Spec{Mode: mode, UID: c.Creds.FSUID, GID: c.Creds.FSGID}
	a, err := dir.Attr()
	if err != nil || a.Mode&unix.S_ISGID == 0 {
		return s, err
	}
	s.GID = a.GID
	const runSetGID = unix.S_ISGID | unix.S_IXGRP
	switch {
	case mode&unix.S_IFMT == unix.S_IFDIR:
		s.Mode |= unix.S_ISGID
	case mode&runSetGID == runSetGID && !c.Creds.InGroup(s.GID) && !c.Creds.Has(unix.CAP_FSETID):
		s.Mode &^= unix.S_ISGID
	}
	return s, nil
}

// Access is faccessat2: want is R_OK, W_OK, X_OK or 0 for F_OK; flags are
// AT_EACCESS, AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH.
func (c *Caller) Access(at Path, path string, want Perm, flags int) error {
	if want&^(Read|Write|Exec) != 0 ||
		flags&^(unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return unix.EINVAL
	}
	who := *c
	if flags&unix.AT_EACCESS == 0 {
		who.Creds = c.Creds.real()
	}
	p, err := who.Resolve(at, path, flags)
	if err != nil {
		return err
	}
	a, err := p.Inode().Attr()
	if err != nil {
		return err
	}
	if want&Exec != 0 && a.Type() == unix.S_IFREG && p.Mount.Flags()&NoExec != 0 {
		return unix.EACCES
	}
	if err := who.mayPath(p, want); err != nil {
		return err
	}
	if want&Write != 0 && writeIsModify(&a) {
		return p.mayModify()
	}
	return nil
}

// MayExec checks what execve checks of a file: a regular file, executable by
// the caller, on a mount that allows it. EACCES otherwise.
func (c *Caller) MayExec(p Path) error {
	a, err := p.Inode().Attr()
	if err != nil {
		return err
	}
	if a.Type() != unix.S_IFREG || p.Mount.Flags()&NoExec != 0 {
		return unix.EACCES
	}
	if err := c.mayPath(p, Exec); err != nil {
		return err
	}
	return c.allowed(p, AccessExecute, nil)
}

// Permit checks permission to do want to the inode at p.
func (c *Caller) Permit(p Path, want Perm) error { return c.mayPath(p, want) }
