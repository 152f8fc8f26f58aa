package fstest

import (
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/fs/pipe"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Guest is a System on a vkernel file system.
type Guest struct {
	Caller *vfs.Caller
	FDs    *vfs.FDTable
}

// NewGuest makes a System whose root is fs.
func NewGuest(t *testing.T, fs vfs.FileSystem) *Guest {
	t.Helper()
	sys := &vfs.System{Fifos: pipe.NewFifo}
	ns := sys.NewNamespace(sys.NewSuper(fs), vfs.MountOptions{})
	g := &Guest{
		Caller: &vfs.Caller{NS: ns, FS: vfs.NewFSContext(ns.Root()), Creds: vfs.RootCreds()},
		FDs:    vfs.NewFDTable(func() int { return 1024 }),
	}
	t.Cleanup(g.FDs.Release)
	return g
}

// with calls fn with the description of fd.
func (g *Guest) with(fd int, fn func(*vfs.Description) error) error {
	d, err := g.FDs.GetFile(fd)
	if err != nil {
		return err
	}
	defer d.Unref()
	return fn(d)
}

func (g *Guest) Open(path string, flags int, mode uint32) (int, error) {
	d, err := g.Caller.Open(vfs.Path{}, path, flags, mode)
	if err != nil {
		return -1, err
	}
	fd, err := g.FDs.Install(d, 0, false)
	if err != nil {
		d.Unref()
	}
	return fd, err
}
func (g *Guest) Close(fd int) error { return g.FDs.Close(fd) }
func (g *Guest) Read(fd int, p []byte) (n int, err error) {
	err = g.with(fd, func(d *vfs.Description) error { n, err = d.Read(p); return err })
	return n, err
}
func (g *Guest) Write(fd int, p []byte) (n int, err error) {
	err = g.with(fd, func(d *vfs.Description) error { n, err = d.Write(p); return err })
	return n, err
}
func (g *Guest) Pread(fd int, p []byte, off int64) (n int, err error) {
	err = g.with(fd, func(d *vfs.Description) error { n, err = d.Pread(p, off); return err })
	return n, err
}
func (g *Guest) Pwrite(fd int, p []byte, off int64) (n int, err error) {
	err = g.with(fd, func(d *vfs.Description) error { n, err = d.Pwrite(p, off); return err })
	return n, err
}
func (g *Guest) Seek(fd int, off int64, whence int) (n int64, err error) {
	err = g.with(fd, func(d *vfs.Description) error { n, err = d.Seek(off, whence); return err })
	return n, err
}
func (g *Guest) Ftruncate(fd int, size int64) error {
	return g.with(fd, func(d *vfs.Description) error { return d.Truncate(size) })
}
func (g *Guest) Fallocate(fd int, mode uint32, off, length int64) error {
	return g.with(fd, func(d *vfs.Description) error { return d.Allocate(mode, off, length) })
}
func (g *Guest) Flock(fd int, how int) error {
	return g.with(fd, func(d *vfs.Description) error { return d.Flock(how &^ unix.LOCK_NB) })
}

// ReadDir reads with room for three entries at a time, so that cookies are
// used.
func (g *Guest) ReadDir(fd int) (list []linux.Dirent, err error) {
	for {
		n := 0
		err := g.with(fd, func(d *vfs.Description) error {
			return d.ReadDir(func(e linux.Dirent) bool {
				if n == 3 {
					return false
				}
				n++
				list = append(list, e)
				return true
			})
		})
		if err != nil || n == 0 {
			return list, err
		}
	}
}
func (g *Guest) Mkdir(path string, mode uint32) error {
	return g.Caller.Mkdir(vfs.Path{}, path, mode)
}
func (g *Guest) Mknod(path string, mode uint32, dev uint64) error {
	return g.Caller.Mknod(vfs.Path{}, path, mode, dev)
}
func (g *Guest) Symlink(target, path string) error {
	return g.Caller.Symlink(target, vfs.Path{}, path)
}
func (g *Guest) Link(old, new string, flags int) error {
	return g.Caller.Link(vfs.Path{}, old, vfs.Path{}, new, flags)
}
func (g *Guest) Unlink(path string, flags int) error {
	return g.Caller.Unlink(vfs.Path{}, path, flags)
}
func (g *Guest) Rename(old, new string, flags uint32) error {
	return g.Caller.Rename(vfs.Path{}, old, vfs.Path{}, new, flags)
}
func (g *Guest) Readlink(path string) (string, error) { return g.Caller.Readlink(vfs.Path{}, path) }
func (g *Guest) Stat(path string, flags int) (linux.Attr, error) {
	return g.Caller.Stat(vfs.Path{}, path, flags)
}
func (g *Guest) Chmod(path string, mode uint32) error {
	return g.Caller.Chmod(vfs.Path{}, path, mode, 0)
}
func (g *Guest) Chown(path string, uid, gid uint32, flags int) error {
	return g.Caller.Chown(vfs.Path{}, path, uid, gid, flags)
}
func (g *Guest) Utimens(path string, times *[2]linux.Timespec, flags int) error {
	return g.Caller.Utimens(vfs.Path{}, path, times, flags)
}
func (g *Guest) Truncate(path string, size int64) error { return g.Caller.Truncate(path, size) }
func (g *Guest) Access(path string, mode uint32, flags int) error {
	return g.Caller.Access(vfs.Path{}, path, vfs.Perm(mode), flags)
}
func (g *Guest) Getxattr(path, name string) ([]byte, error) {
	return g.Caller.Getxattr(vfs.Path{}, path, name, 0)
}
func (g *Guest) Setxattr(path, name string, value []byte, flags int) error {
	return g.Caller.Setxattr(vfs.Path{}, path, name, value, flags, 0)
}
func (g *Guest) Removexattr(path, name string) error {
	return g.Caller.Removexattr(vfs.Path{}, path, name, 0)
}
func (g *Guest) Listxattr(path string) ([]string, error) {
	return g.Caller.Listxattr(vfs.Path{}, path, 0)
}
func (g *Guest) Umask(mask uint32) uint32 { return g.Caller.FS.SetUmask(mask) }
func (g *Guest) Chdir(path string) error  { return g.Caller.Chdir(vfs.Path{}, path) }
func (g *Guest) Getcwd() (string, error)  { return g.Caller.Getcwd() }
func (g *Guest) SetUser(uid, gid uint32) {
	c := &vfs.Creds{FSUID: uid, FSGID: gid, Caps: vfs.AllCaps}
	if uid != 0 {
		c.Caps &^= fsCaps
	}
	g.Caller.Creds = c
}

// fsCaps are the capabilities that setfsuid takes away.
const fsCaps = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_FOWNER |
	1<<unix.CAP_FSETID | 1<<unix.CAP_LINUX_IMMUTABLE | 1<<unix.CAP_MKNOD | 1<<unix.CAP_MAC_OVERRIDE
