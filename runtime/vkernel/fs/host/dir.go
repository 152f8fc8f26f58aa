package host

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Lookup implements vfs.Dir.
func (d *dir) Lookup(name string) (vfs.Inode, error) {
	defer runtime.KeepAlive(d.inode)
	fd, err := openPath(d.fd, name)
	if err != nil {
		return nil, linux.Errno(err)
	}
	return d.fs.inode(fd)
}

// Make implements vfs.MutableDir. The mode is set again, because the
// runner's umask is not the guest's.
func (d *dir) Make(name string, s vfs.Spec) (vfs.Inode, error) {
	defer runtime.KeepAlive(d.inode)
	if err := d.create(name, s); err != nil {
		return nil, linux.Errno(err)
	}
	i, err := d.Lookup(name)
	if err != nil {
		return nil, err
	}
	n := i.(hosted).base()
	if err := n.claim(s); err != nil {
		return nil, err
	}
	return i, nil
}

func (d *dir) create(name string, s vfs.Spec) error {
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return unix.Mkdirat(d.fd, name, 0o700)
	case unix.S_IFLNK:
		return unix.Symlinkat(s.Target, d.fd, name)
	case unix.S_IFREG:
		fd, err := unix.Openat(d.fd, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
	return unix.Mknodat(d.fd, name, s.Mode&unix.S_IFMT|0o600, int(s.Rdev))
}

// claim gives a new inode its owner and mode.
func (n *inode) claim(s vfs.Spec) error {
	c := vfs.AttrChange{Set: vfs.SetUID | vfs.SetGID, UID: s.UID, GID: s.GID}
	if err := n.chown(c); err != nil && n.fs.uid == 0 {
		return err
	}
	if s.Mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	return hostErr(unix.Chmod(n.proc(), s.Mode&0o7777))
}

// MakeTmp implements vfs.TmpMaker.
func (d *dir) MakeTmp(s vfs.Spec) (vfs.Inode, error) {
	defer runtime.KeepAlive(d.inode)
	fd, err := unix.Openat(d.fd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, linux.Errno(err)
	}
	i, err := d.fs.inode(fd)
	if err != nil {
		return nil, err
	}
	return i, i.(hosted).base().claim(s)
}

// Link implements vfs.MutableDir.
func (d *dir) Link(name string, target vfs.Inode) error {
	defer runtime.KeepAlive(d.inode)
	n, ok := target.(hosted)
	if !ok {
		return unix.EXDEV
	}
	defer runtime.KeepAlive(n.base())
	return hostErr(unix.Linkat(unix.AT_FDCWD, n.base().proc(), d.fd, name, unix.AT_SYMLINK_FOLLOW))
}

// Remove implements vfs.MutableDir.
func (d *dir) Remove(name string, child vfs.Inode) error {
	defer runtime.KeepAlive(d.inode)
	flags := 0
	if _, ok := child.(*dir); ok {
		flags = unix.AT_REMOVEDIR
	}
	return hostErr(unix.Unlinkat(d.fd, name, flags))
}

// Rename implements vfs.MutableDir.
func (d *dir) Rename(r vfs.Rename) error {
	defer runtime.KeepAlive(d.inode)
	to, ok := r.NewDir.(*dir)
	if !ok {
		return unix.EXDEV
	}
	defer runtime.KeepAlive(to.inode)
	flags := uint(0)
	switch {
	case r.Exchange:
		flags = unix.RENAME_EXCHANGE
	case r.Replaced == nil:
		flags = unix.RENAME_NOREPLACE
	}
	if r.Whiteout {
		flags |= unix.RENAME_WHITEOUT
	}
	return hostErr(unix.Renameat2(d.fd, r.Name, to.fd, r.NewName, flags))
}

// Open implements vfs.Opener.
func (d *dir) Open(int) (vfs.File, error) {
	defer runtime.KeepAlive(d.inode)
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, linux.Errno(err)
	}
	return &openDir{fd: fd}, nil
}

// openDir is an open directory. Cookies are the host's.
type openDir struct {
	mu     sync.Mutex // the descriptor's offset
	fd     int
	parent uint64
}

// Release implements vfs.File.
func (o *openDir) Release() { unix.Close(o.fd) }

// Sync implements vfs.Syncer.
func (o *openDir) Sync() error { return hostErr(unix.Fsync(o.fd)) }

// SetParent implements vfs.DotDot.
func (o *openDir) SetParent(ino uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parent = ino
}

// ReadDir implements vfs.DirReader.
func (o *openDir) ReadDir(cookie int64, emit func(linux.Dirent) bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := unix.Seek(o.fd, cookie, unix.SEEK_SET); err != nil {
		return linux.Errno(err)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(o.fd, buf)
		if err != nil || n == 0 {
			return hostErr(err)
		}
		for b := buf[:n]; len(b) > 0; {
			e, size := o.parse(b)
			if !emit(e) {
				return nil
			}
			b = b[size:]
		}
	}
}

// parse reads the first struct linux_dirent64 of b.
func (o *openDir) parse(b []byte) (linux.Dirent, int) {
	le := binary.LittleEndian
	size := int(le.Uint16(b[16:]))
	name, _, _ := bytes.Cut(b[19:size], []byte{0})
	e := linux.Dirent{Ino: le.Uint64(b), Off: int64(le.Uint64(b[8:])), Type: b[18], Name: string(name)}
	if e.Name == ".." {
		e.Ino = o.parent
	}
	return e, size
}
