// Package host is what of the host a guest may see: directories and files
// that are bound into its tree, and the runner's standard streams. Every
// access to a bound tree goes through directory descriptors and openat2 with
// RESOLVE_BENEATH, so that no name or link in it leads out of it. It knows nothing of
// mounts.
package host

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// FS is a directory or file of the host, with what is below it.
type FS struct {
	root vfs.Inode
	uid  uint32 // of the runner
	gid  uint32

	mu     sync.Mutex
	inodes map[key]weak.Pointer[inode]
}

// key names an inode of the host.
type key struct{ dev, ino uint64 }

// New binds what is at path, a directory or any file. What the runner's user
// owns appears as root's, if the runner is not root: as in a user namespace.
func New(path string) (*FS, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("binding %s: %w", path, err)
	}
	fs := &FS{
		uid:    uint32(os.Geteuid()),
		gid:    uint32(os.Getegid()),
		inodes: map[key]weak.Pointer[inode]{},
	}
	if fs.root, err = fs.inode(fd); err != nil {
		return nil, fmt.Errorf("binding %s: %w", path, err)
	}
	return fs, nil
}

// Root implements vfs.FileSystem.
func (fs *FS) Root() vfs.Inode { return fs.root }

// Type implements vfs.FileSystem.
func (fs *FS) Type() string { return "hostfs" }

// Volatile implements vfs.Volatile.
func (fs *FS) Volatile() {}

// Statfs implements vfs.FileSystem.
func (fs *FS) Statfs() (linux.Statfs, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fs.root.(hosted).base().fd, &st); err != nil {
		return linux.Statfs{}, linux.Errno(err)
	}
	return linux.Statfs{
		Type: st.Type, Bsize: st.Bsize, Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail,
		Files: st.Files, Ffree: st.Ffree, Namelen: st.Namelen, Frsize: st.Frsize,
	}, nil
}

// inode returns the inode of an O_PATH descriptor, which it takes over: the one
// that there is already, if it is in use.
func (fs *FS) inode(fd int) (vfs.Inode, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, linux.Errno(err)
	}
	k := key{st.Dev, st.Ino}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if p, ok := fs.inodes[k]; ok {
		if n := p.Value(); n != nil {
			unix.Close(fd)
			return n.self, nil
		}
	}
	n := newInode(fs, fd, st.Mode)
	fs.inodes[k] = weak.Make(n)
	runtime.AddCleanup(n, func(fd int) {
		unix.Close(fd)
		fs.forget(k)
	}, fd)
	return n.self, nil
}

// forget drops a key whose inode is garbage.
func (fs *FS) forget(k key) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if p, ok := fs.inodes[k]; ok && p.Value() == nil {
		delete(fs.inodes, k)
	}
}

// openPath opens the child of the directory dir, without following a link, as
// a place only. Descriptors of inodes that are garbage make room if there are too
// many.
func openPath(dir int, name string) (int, error) {
	how := &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	const tries = 20
	for i := range tries {
		fd, err := unix.Openat2(dir, name, how)
		switch {
		case err == unix.ENOSYS: // before Linux 5.6; one component without following is as safe
			return unix.Openat(dir, name, int(how.Flags), 0)
		case err == unix.EAGAIN: // a rename went on meanwhile
			continue
		case err == unix.EMFILE && i < tries-1:
			runtime.GC()
			time.Sleep(time.Millisecond)
			continue
		}
		return fd, err
	}
	return -1, unix.EAGAIN
}

// attrOf converts the host's struct.
func attrOf(st *unix.Stat_t) linux.Attr {
	return linux.Attr{
		Dev: uint64(st.Dev), Ino: st.Ino, Mode: st.Mode, Nlink: uint32(st.Nlink),
		UID: st.Uid, GID: st.Gid, Rdev: uint64(st.Rdev), Size: st.Size,
		Blksize: int32(st.Blksize), Blocks: st.Blocks,
		Atime: linux.FromUnix(st.Atim), Mtime: linux.FromUnix(st.Mtim), Ctime: linux.FromUnix(st.Ctim),
	}
}

// hostErr is the errno of an error of the host.
func hostErr(err error) error {
	if err == nil {
		return nil
	}
	return linux.Errno(err)
}
