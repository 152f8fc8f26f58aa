// Package image is a read-only file system: the merged tree of an image's
// layers, its metadata in memory and its file contents in host files found by
// their BLAKE3 hash. Owners, modes and devices are the image's, whatever the
// host allows. It knows nothing of layers or how contents are stored.
package image

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// Entry is one name of the tree.
type Entry struct {
	Name   string // one component; not used for the root
	Parent int    // index of its directory, less than its own; the root's is 0
	First  int    // index of the first name of the same file; its own if it is that
	// The rest is not used unless First is the entry's own index.
	Mode     uint32 // S_IFMT and permission bits
	UID, GID uint32
	Rdev     uint64
	Mtime    linux.Timespec
	Size     int64  // bytes, of a regular file
	Target   string // of a symbolic link
	Xattrs   []Xattr
	Hash     [32]byte // BLAKE3-256 of a regular file's contents
}

// Xattr is an extended attribute.
type Xattr struct {
	Name, Value string
}

// Opener opens the contents with a hash, which must be as long as the entries
// say. Each result is closed once.
type Opener func(hash [32]byte) (*os.File, error)

// FS is an image's tree.
type FS struct {
	open   Opener
	nodes  []node
	blocks int64
}

// node is an inode. The types of inode are views of it: see dir, file, link,
// special.
type node struct {
	fs       *FS
	entry    *Entry
	attr     linux.Attr
	children []child // of a directory, ascending by name
}

type child struct {
	name string
	node *node
}

// New makes the tree of entries: the root first, each directory before what is in
// it. They must not be changed afterwards.
func New(entries []Entry, open Opener) (*FS, error) {
	if len(entries) == 0 || entries[0].Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, fmt.Errorf("image: no root directory")
	}
	fs := &FS{open: open, nodes: make([]node, len(entries))}
	for i := range entries {
		if err := fs.add(entries, i); err != nil {
			return nil, fmt.Errorf("image: entry %d (%.100q): %w", i, entries[i].Name, err)
		}
	}
	for i := range fs.nodes {
		fs.nodes[i].sort()
	}
	return fs, nil
}

func (fs *FS) add(entries []Entry, i int) error {
	e := &entries[i]
	if e.First < 0 || e.First > i || entries[e.First].First != e.First {
		return fmt.Errorf("bad first name %d", e.First)
	}
	n := &fs.nodes[e.First]
	if e.First == i {
		n.init(fs, e, uint64(i)+1)
		fs.blocks += n.attr.Blocks
	} else if n.attr.Nlink++; n.attr.IsDir() {
		return fmt.Errorf("second name of a directory")
	}
	if i == 0 {
		return nil
	}
	if e.Parent < 0 || e.Parent >= i || !fs.nodes[e.Parent].attr.IsDir() {
		return fmt.Errorf("bad directory %d", e.Parent)
	}
	if e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") {
		return fmt.Errorf("bad name")
	}
	parent := &fs.nodes[e.Parent]
	parent.children = append(parent.children, child{e.Name, n})
	if n.attr.IsDir() {
		parent.attr.Nlink++
	}
	return nil
}

const blockSize = 4096 // bytes, as on ext4

func (n *node) init(fs *FS, e *Entry, ino uint64) {
	n.fs, n.entry = fs, e
	n.attr = linux.Attr{
		Ino: ino, Mode: e.Mode, Nlink: 1, UID: e.UID, GID: e.GID, Rdev: e.Rdev,
		Atime: e.Mtime, Mtime: e.Mtime, Ctime: e.Mtime, Btime: e.Mtime,
	}
	a := &n.attr
	switch a.Type() {
	case unix.S_IFDIR:
		a.Nlink, a.Size = 2, blockSize
	case unix.S_IFREG:
		a.Size = e.Size
	case unix.S_IFLNK:
		a.Size = int64(len(e.Target))
		if a.Size < 60 {
			return // ext4 keeps it in the inode
		}
	}
	a.Blocks = (a.Size + blockSize - 1) / blockSize * (blockSize / 512)
}

func (n *node) sort() {
	byName := func(a, b child) int { return strings.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(n.children, byName) {
		slices.SortFunc(n.children, byName)
	}
}

// inode is the view of n that has its type's abilities.
func (n *node) inode() vfs.Inode {
	switch n.attr.Type() {
	case unix.S_IFDIR:
		return (*dir)(n)
	case unix.S_IFREG:
		return (*file)(n)
	case unix.S_IFLNK:
		return (*link)(n)
	}
	return (*special)(n)
}

// Root implements vfs.FileSystem.
func (fs *FS) Root() vfs.Inode { return fs.nodes[0].inode() }

// Type implements vfs.FileSystem.
func (fs *FS) Type() string { return "image" }

// Statfs implements vfs.FileSystem.
func (fs *FS) Statfs() (linux.Statfs, error) {
	return linux.Statfs{
		Type: unix.SQUASHFS_MAGIC, Bsize: blockSize, Frsize: blockSize,
		Blocks: uint64(fs.blocks * 512 / blockSize), Files: uint64(len(fs.nodes)),
		Namelen: linux.NameMax,
	}, nil
}

func (n *node) getxattr(name string) ([]byte, error) {
	for _, x := range n.entry.Xattrs {
		if x.Name == name {
			return []byte(x.Value), nil
		}
	}
	return nil, unix.ENODATA
}

func (n *node) listxattr() ([]string, error) {
	var names []string
	for _, x := range n.entry.Xattrs {
		names = append(names, x.Name)
	}
	return names, nil
}
