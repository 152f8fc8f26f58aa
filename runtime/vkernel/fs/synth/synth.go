// Package synth has the inodes of file systems that are computed instead of
// stored, such as proc: directories whose names and files whose contents a
// function gives. It knows nothing of what they show.
package synth

import (
	"sync/atomic"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Meta is what all inodes of this package embed.
type Meta struct {
	attr  linux.Attr
	owner Owner
}

// Owner tells the ids of an inode's owner and group as they are now.
type Owner func() (uid, gid uint32)

var lastIno atomic.Uint64

// start is the time all of them show.
var start = linux.Now()

// NewMeta makes attributes with a new inode number. mode has the type.
func NewMeta(mode, uid, gid uint32) Meta {
	links := uint32(1)
	if mode&unix.S_IFMT == unix.S_IFDIR {
		links = 2
	}
	return Meta{attr: linux.Attr{
		Ino: lastIno.Add(1), Mode: mode, Nlink: links, UID: uid, GID: gid,
		Blksize: 1024, Atime: start, Mtime: start, Ctime: start,
	}}
}

// SetIno gives an inode that is made anew at each lookup a number that stays;
// it must be at least FirstOwnIno.
func (m *Meta) SetIno(ino uint64) { m.attr.Ino = ino }

// SetOwner makes it belong to whom o tells each time; before anybody sees it.
func (m *Meta) SetOwner(o Owner) { m.owner = o }

// SetRdev makes it a device's.
func (m *Meta) SetRdev(rdev uint64) { m.attr.Rdev = rdev }

// FirstOwnIno is above all numbers that NewMeta gives.
const FirstOwnIno = 1 << 40

// Attr implements vfs.Inode.
func (m *Meta) Attr() (linux.Attr, error) {
	a := m.attr
	if m.owner != nil {
		a.UID, a.GID = m.owner()
	}
	return a, nil
}

// Names is what a directory shows.
type Names interface {
	// Lookup returns the inode of a name, or ENOENT: the same one each time
	// while the first is in use.
	Lookup(name string) (vfs.Inode, error)
	// Names lists the names in a stable order, with DT_* types.
	Names() ([]Name, error)
}

// Name is a name in a directory.
type Name struct {
	Name string
	Type uint8 // DT_*
}

// Dir is a directory.
type Dir struct {
	Meta
	Names Names
}

// NewDir makes a directory with permission bits mode.
func NewDir(mode, uid, gid uint32, names Names) *Dir {
	return &Dir{NewMeta(unix.S_IFDIR|mode, uid, gid), names}
}

// Lookup implements vfs.Dir.
func (d *Dir) Lookup(name string) (vfs.Inode, error) { return d.Names.Lookup(name) }

// Open implements vfs.Opener.
func (d *Dir) Open(int) (vfs.File, error) { return &openDir{dir: d}, nil }

// openDir is an open directory: cookies are indexes of the names as they were at
// the start.
type openDir struct {
	dir    *Dir
	parent uint64
	names  []Name
}

// Release implements vfs.File.
func (o *openDir) Release() {}

// SetParent implements vfs.DotDot.
func (o *openDir) SetParent(ino uint64) { o.parent = ino }

// ReadDir implements vfs.DirReader.
func (o *openDir) ReadDir(cookie int64, emit func(linux.Dirent) bool) error {
	if cookie == 0 || o.names == nil {
		names, err := o.dir.Names.Names()
		if err != nil {
			return err
		}
		o.names = names
	}
	for ; cookie >= 0 && cookie < int64(len(o.names))+2; cookie++ {
		if !emit(o.dirent(cookie)) {
			break
		}
	}
	return nil
}

func (o *openDir) dirent(cookie int64) linux.Dirent {
	e := linux.Dirent{Ino: 1, Off: cookie + 1, Type: unix.DT_DIR}
	switch cookie {
	case 0:
		e.Name, e.Ino = ".", o.dir.attr.Ino
	case 1:
		e.Name, e.Ino = "..", o.parent
	default:
		n := o.names[cookie-2]
		e.Name, e.Type, e.Ino = n.Name, n.Type, o.ino(n.Name)
	}
	return e
}

// ino is the inode number of a name; 1 if it has gone by now.
func (o *openDir) ino(name string) uint64 {
	i, err := o.dir.Names.Lookup(name)
	if err != nil {
		return 1
	}
	a, err := i.Attr()
	if err != nil {
		return 1
	}
	return a.Ino
}

// Static is a fixed set of names, in order.
type Static []StaticName

// StaticName is a name of a Static.
type StaticName struct {
	Name  string
	Inode vfs.Inode
}

// Lookup implements Names.
func (s Static) Lookup(name string) (vfs.Inode, error) {
	for _, n := range s {
		if n.Name == name {
			return n.Inode, nil
		}
	}
	return nil, unix.ENOENT
}

// Names implements Names.
func (s Static) Names() ([]Name, error) {
	var names []Name
	for _, n := range s {
		a, err := n.Inode.Attr()
		if err != nil {
			return nil, err
		}
		names = append(names, Name{n.Name, linux.DirentType(a.Mode)})
	}
	return names, nil
}

// FS is a file system of such inodes.
type FS struct {
	Name  string // type, as in /proc/filesystems
	Magic int64  // *_SUPER_MAGIC
	Top   vfs.Inode
}

// Root implements vfs.FileSystem.
func (f *FS) Root() vfs.Inode { return f.Top }

// Type implements vfs.FileSystem.
func (f *FS) Type() string { return f.Name }

// Statfs implements vfs.FileSystem.
func (f *FS) Statfs() (linux.Statfs, error) {
	return linux.Statfs{Type: f.Magic, Bsize: linux.PageSize, Frsize: linux.PageSize, Namelen: linux.NameMax}, nil
}

// Volatile implements vfs.Volatile.
func (f *FS) Volatile() {}
