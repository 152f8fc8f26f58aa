package vfs

import (
	"strconv"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// tmpName is the name /proc/PID/fd shows for a file made with O_TMPFILE.
func tmpName(ino uint64) string { return "#" + strconv.FormatUint(ino, 10) }

// Stat is newfstatat and statx; flags are AT_SYMLINK_NOFOLLOW and
// AT_EMPTY_PATH.
func (c *Caller) Stat(at Path, path string, flags int) (linux.Attr, error) {
	p, err := c.Resolve(at, path, flags)
	if err != nil {
		return linux.Attr{}, err
	}
	return p.Stat()
}

// Stat returns the attributes of what is at p.
func (p Path) Stat() (linux.Attr, error) {
	a, err := p.Dentry.super.attr(p.Inode())
	a.MountID = p.Mount.id
	if p.Dentry == p.Mount.root {
		a.Attrs |= unix.STATX_ATTR_MOUNT_ROOT
	}
	return a, err
}

// Readlink is readlinkat: EINVAL if it is no symbolic link. An empty path is
// at itself.
func (c *Caller) Readlink(at Path, path string) (string, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if at.Ok() {
		flags |= unix.AT_EMPTY_PATH
	}
	p, err := c.Resolve(at, path, flags)
	if err != nil {
		return "", err
	}
	link, ok := p.Inode().(Symlink)
	switch {
	case ok:
		return link.Readlink(c)
	case path == "":
		return "", unix.ENOENT
	}
	return "", unix.EINVAL
}

// setAttr applies a change at p that the caller may make.
func (p Path) setAttr(ch AttrChange) error {
	s, ok := p.Inode().(AttrSetter)
	if !ok {
		return unix.EPERM
	}
	if err := s.SetAttr(ch); err != nil {
		return err
	}
	if mask := ch.event(); mask != 0 {
		p.Dentry.happened(mask)
	}
	return nil
}

// resolveToChange walks to a file whose attributes are to be changed.
func (c *Caller) resolveToChange(at Path, path string, flags int) (Path, linux.Attr, error) {
	p, err := c.Resolve(at, path, flags)
	if err != nil {
		return p, linux.Attr{}, err
	}
	if err := p.mayModify(); err != nil {
		return p, linux.Attr{}, err
	}
	a, err := p.Inode().Attr()
	return p, a, err
}

// Chmod is fchmodat2; flags are AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH.
func (c *Caller) Chmod(at Path, path string, mode uint32, flags int) error {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return unix.EINVAL
	}
	p, a, err := c.resolveToChange(at, path, flags)
	switch {
	case err != nil:
		return err
	case a.Type() == unix.S_IFLNK:
		return unix.EOPNOTSUPP
	case !c.Creds.owns(&a):
		return unix.EPERM
	}
	mode &= 0o7777
	if !c.Creds.InGroup(a.GID) && !c.Creds.Has(unix.CAP_FSETID) {
		mode &^= unix.S_ISGID
	}
	return p.setAttr(AttrChange{Set: SetMode, Mode: mode})
}

// NoID leaves an id as it is in Chown.
const NoID = ^uint32(0)

// Chown is fchownat; flags are AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH. It
// takes set-id bits away from what is not a directory.
func (c *Caller) Chown(at Path, path string, uid, gid uint32, flags int) error {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return unix.EINVAL
	}
	p, a, err := c.resolveToChange(at, path, flags)
	if err != nil {
		return err
	}
	owner := c.Creds.FSUID == a.UID
	if !c.Creds.Has(unix.CAP_CHOWN) {
		if uid != NoID && !(owner && uid == a.UID) ||
			gid != NoID && !(owner && (gid == a.GID || c.Creds.InGroup(gid))) {
			return unix.EPERM
		}
	}
	ch := AttrChange{UID: uid, GID: gid}
	if uid != NoID {
		ch.Set |= SetUID
	}
	if gid != NoID {
		ch.Set |= SetGID
	}
	if mode := c.afterChown(&a); mode != a.Mode {
		ch.Set, ch.Mode = ch.Set|SetMode, mode&0o7777
	}
	if err := p.setAttr(ch); err != nil {
		return err
	}
	return p.dropFileCaps(&a)
}

func (c *Caller) afterChown(a *linux.Attr) uint32 {
	if a.IsDir() {
		return a.Mode
	}
	mode := withoutSetID(a.Mode)
	if !c.Creds.InGroup(a.GID) && !c.Creds.Has(unix.CAP_FSETID) {
		mode &^= unix.S_ISGID
	}
	return mode
}

// dropFileCaps takes security.capability away from a file whose owner
// changed.
func (p Path) dropFileCaps(a *linux.Attr) error {
	x, ok := p.Inode().(Xattrs)
	if !ok || a.Type() != unix.S_IFREG {
		return nil
	}
	if _, err := x.Getxattr(capsXattr); err != nil {
		return nil
	}
	return x.Removexattr(capsXattr)
}

const capsXattr = "security.capability"

// Utimens is utimensat: atime and mtime may be UTIME_NOW or UTIME_OMIT in
// Nsec; nil times are now. flags are AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH.
func (c *Caller) Utimens(at Path, path string, times *[2]linux.Timespec, flags int) error {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return unix.EINVAL
	}
	if times == nil {
		times = &[2]linux.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	}
	allNow, allOmit := true, true
	for _, t := range times {
		special := t.Nsec == unix.UTIME_NOW || t.Nsec == unix.UTIME_OMIT
		if !special && (t.Nsec < 0 || t.Nsec > 999_999_999) {
			return unix.EINVAL
		}
		allNow = allNow && t.Nsec == unix.UTIME_NOW
		allOmit = allOmit && t.Nsec == unix.UTIME_OMIT
	}
	if allOmit {
		return nil
	}
	p, a, err := c.resolveToChange(at, path, flags)
	if err != nil {
		return err
	}
	if !c.Creds.owns(&a) {
		if !allNow {
			return unix.EPERM
		}
		if err := c.mayPath(p, Write); err != nil {
			return err
		}
	}
	return p.setAttr(timesChange(times))
}

func timesChange(times *[2]linux.Timespec) AttrChange {
	now := linux.Now()
	ch := AttrChange{When: now}
	for i, t := range times {
		if t.Nsec == unix.UTIME_OMIT {
			continue
		}
		if t.Nsec == unix.UTIME_NOW {
			t = now
		}
		if i == 0 {
			ch.Set, ch.Atime = ch.Set|SetAtime, t
		} else {
			ch.Set, ch.Mtime = ch.Set|SetMtime, t
		}
	}
	return ch
}

// Truncate is truncate(2).
func (c *Caller) Truncate(path string, size int64) error {
	if size < 0 {
		return unix.EINVAL
	}
	p, err := c.Resolve(Path{}, path, 0)
	if err != nil {
		return err
	}
	a, err := p.Inode().Attr()
	switch {
	case err != nil:
		return err
	case a.IsDir():
		return unix.EISDIR
	case a.Type() != unix.S_IFREG:
		return unix.EINVAL
	}
	if err := p.mayModify(); err != nil {
		return err
	}
	if err := c.mayPath(p, Write); err != nil {
		return err
	}
	if err := c.allowed(p, AccessTruncate, nil); err != nil {
		return err
	}
	return c.truncate(p, size)
}

func (c *Caller) truncate(p Path, size int64) error {
	a, err := p.Inode().Attr()
	if err != nil {
		return err
	}
	ch := AttrChange{Set: SetSize, Size: size}
	if mode := withoutSetID(a.Mode); mode != a.Mode && !c.Creds.Has(unix.CAP_FSETID) {
		ch.Set, ch.Mode = ch.Set|SetMode, mode&0o7777
	}
	if _, ok := p.Inode().(AttrSetter); !ok {
		return nil // proc's files ignore O_TRUNC
	}
	state := p.Dentry.super.getState(p.Inode())
	defer p.Dentry.super.putState(p.Inode())
	if err := state.writers.enter(aWriter); err != nil {
		return err
	}
	defer state.writers.leave(aWriter)
	return p.setAttr(ch)
}

// Statfs is statfs.
func (c *Caller) Statfs(path string) (linux.Statfs, error) {
	p, err := c.Resolve(Path{}, path, 0)
	if err != nil {
		return linux.Statfs{}, err
	}
	return p.Statfs()
}

const stValid = 0x20 // ST_VALID

// Statfs tells about the file system at p (fstatfs).
func (p Path) Statfs() (linux.Statfs, error) {
	s, err := p.Dentry.super.fs.Statfs()
	// ST_RDONLY, ST_NOSUID, ST_NODEV and ST_NOEXEC have the values of MS_*.
	s.Flags = stValid | int64(p.Mount.Flags()&(ReadOnly|NoSuid|NoDev|NoExec))
	if p.Mount.Flags()&RelAtime != 0 {
		s.Flags |= unix.ST_RELATIME
	}
	if p.Mount.Flags()&NoAtime != 0 {
		s.Flags |= unix.ST_NOATIME
	}
	return s, err
}
