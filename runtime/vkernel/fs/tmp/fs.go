// Package tmp is a file system in memory. Over a read-only lower file system
// it is a copy-on-write tree: an inode begins as what the lower one
// is, and keeps for itself what changes. It knows nothing of where the lower one
// comes from, nor of mounts and permissions.
//
// Small files are pages on the Go heap. Large ones, and those that are
// mapped, are memfds, so that the host's mmap, holes and page cache do the
// work.
//
// Lock order: Super.tree (the vfs), node.mu, FS.mu.
package tmp

import (
	"sync"
	"sync/atomic"
	"weak"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Options configure a file system.
type Options struct {
	// Type is the name in /proc/filesystems; "tmpfs" if empty.
	Type string
	// Mode is the root's permission bits; 0755 if 0. Not used with Lower.
	Mode uint32
	// Size is the most bytes that file contents may take; half of the host's memory if 0.
	Size int64
	// Lower is the file system to begin with, nil for an empty one. It must not
	// change, its inode numbers must be at most its Statfs().Files, and its directory
	// cookies below 1<<48.
	Lower vfs.FileSystem
}

// FS is a file system in memory.
type FS struct {
	typ     string
	limit   int64 // bytes
	used    atomic.Int64
	nextIno atomic.Uint64
	root    *dir

	// mu guards the maps from lower inodes to ours: all that are in use, and
	// strongly those that are changed.
	mu   sync.Mutex
	seen map[vfs.Inode]weak.Pointer[node]
	kept map[vfs.Inode]*node
}

// New makes a file system. The error is Lower's.
func New(o Options) (*FS, error) {
	fs := &FS{
		typ:   o.Type,
		limit: o.Size,
		seen:  map[vfs.Inode]weak.Pointer[node]{},
		kept:  map[vfs.Inode]*node{},
	}
	if fs.typ == "" {
		fs.typ = "tmpfs"
	}
	if fs.limit == 0 {
		fs.limit = hostMemory() / 2
	}
	if o.Lower == nil {
		if o.Mode == 0 {
			o.Mode = 0o755
		}
		fs.root = fs.newDir(vfs.Spec{Mode: unix.S_IFDIR | o.Mode})
		return fs, nil
	}
	return fs, fs.initLower(o.Lower)
}

func (fs *FS) initLower(lower vfs.FileSystem) error {
	st, err := lower.Statfs()
	if err != nil {
		return err
	}
	fs.nextIno.Store(st.Files)
	root, err := fs.fromLower(lower.Root())
	if err != nil {
		return err
	}
	d, ok := root.(*dir)
	if !ok {
		return unix.ENOTDIR
	}
	fs.root = d
	return nil
}

func hostMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// Root implements vfs.FileSystem.
func (fs *FS) Root() vfs.Inode { return fs.root }

// Type implements vfs.FileSystem.
func (fs *FS) Type() string { return fs.typ }

// magic numbers of statfs, by type.
var magic = map[string]int64{
	"tmpfs":    unix.TMPFS_MAGIC,
	"devtmpfs": unix.TMPFS_MAGIC,
	"overlay":  unix.OVERLAYFS_SUPER_MAGIC,
	"devpts":   unix.DEVPTS_SUPER_MAGIC,
}

// Statfs implements vfs.FileSystem.
func (fs *FS) Statfs() (linux.Statfs, error) {
	total := uint64(fs.limit / linux.PageSize)
	free := total - min(total, uint64(fs.used.Load()/linux.PageSize))
	return linux.Statfs{
		Type: magic[fs.typ], Bsize: linux.PageSize, Frsize: linux.PageSize,
		Blocks: total, Bfree: free, Bavail: free,
		Files: total, Ffree: total - min(total, fs.nextIno.Load()),
		Namelen: linux.NameMax,
	}, nil
}

// reserve accounts for n more bytes (fewer, if negative): ENOSPC if there is
// no room.
func (fs *FS) reserve(n int64) error {
	if fs.used.Add(n) > fs.limit && n > 0 {
		fs.used.Add(-n)
		return unix.ENOSPC
	}
	return nil
}
