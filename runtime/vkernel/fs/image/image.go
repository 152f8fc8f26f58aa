// Package image is a read-only file system: the merged tree of an image's
// layers, its metadata looked up as it is asked for and its file contents in host files found by
// their BLAKE3 hash. Owners, modes and devices are the image's, whatever the
// host allows. It knows nothing of layers or how contents are stored.
package image

import (
	"errors"
	"os"
	"sync"

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

// tree is where an FS has its names from, each of which has a number. The root's is 0.
type tree interface {
	len() int
	// first is the first name of i's file.
	first(i int) int
	// file returns the file with first name i, without Name and Parent, and how many
	// names it has; a directory has 2, and one for each directory in it.
	file(i int) (e Entry, names int)
	// size is its type, and the length of its content or target.
	size(i int) (mode uint32, bytes int64)
	// children is the number of names in a directory, child one of them, in their order.
	children(dir int) int
	child(dir, k int) (name string, i int)
	lookup(dir int, name string) (i int, ok bool)
}

// FS is an image's tree. What is in it is made when it is first asked for.
type FS struct {
	tree   tree
	open   Opener
	blocks func() int64 // of all files, of 512 bytes

	mu    sync.Mutex
	nodes map[int]*node // by first name
}

// node is an inode. The types of inode are views of it: see dir, file, link,
// special.
type node struct {
	fs    *FS
	index int // of its first name
	entry Entry
	attr  linux.Attr
}

// New makes the tree of entries: the root first, each directory before what is in
// it. They must not be changed afterwards.
func New(entries []Entry, open Opener) (*FS, error) {
	l, err := newList(entries)
	if err != nil {
		return nil, err
	}
	return newFS(l, open)
}

func newFS(t tree, open Opener) (*FS, error) {
	fs := &FS{tree: t, open: open, nodes: map[int]*node{}}
	fs.blocks = sync.OnceValue(fs.countBlocks)
	if t.len() == 0 || !fs.node(0).attr.IsDir() {
		return nil, errors.New("image: no root directory")
	}
	return fs, nil
}

// node returns the file of name i.
func (fs *FS) node(i int) *node {
	i = fs.tree.first(i)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.nodes[i]
	if n == nil {
		n = fs.makeNode(i)
		fs.nodes[i] = n
	}
	return n
}

const blockSize = 4096 // bytes, as on ext4

// makeNode makes the inode of first name i.
func (fs *FS) makeNode(i int) *node {
	e, names := fs.tree.file(i)
	n := &node{fs: fs, index: i, entry: e}
	n.attr = linux.Attr{
		Ino: uint64(i) + 1, Mode: e.Mode, Nlink: uint32(names), UID: e.UID, GID: e.GID, Rdev: e.Rdev,
		Atime: e.Mtime, Mtime: e.Mtime, Ctime: e.Mtime, Btime: e.Mtime,
	}
	n.attr.Size, n.attr.Blocks = space(fs.tree.size(i))
	return n
}

// space is the size of a file and the blocks of 512 bytes that it takes, as on ext4.
func space(mode uint32, bytes int64) (size, blocks int64) {
	const inInode = 60 // a shorter target is in the inode
	switch size = bytes; mode & unix.S_IFMT {
	case unix.S_IFDIR:
		size = blockSize
	case unix.S_IFREG:
	case unix.S_IFLNK:
		if size < inInode {
			return size, 0
		}
	default:
		size = 0
	}
	return size, (size + blockSize - 1) / blockSize * (blockSize / 512)
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
func (fs *FS) Root() vfs.Inode { return fs.node(0).inode() }

// Type implements vfs.FileSystem.
func (fs *FS) Type() string { return "image" }

// Statfs implements vfs.FileSystem.
func (fs *FS) Statfs() (linux.Statfs, error) {
	return linux.Statfs{
		Type: unix.SQUASHFS_MAGIC, Bsize: blockSize, Frsize: blockSize,
		Blocks: uint64(fs.blocks() * 512 / blockSize), Files: uint64(fs.tree.len()),
		Namelen: linux.NameMax,
	}, nil
}

func (fs *FS) countBlocks() (n int64) {
	for i := range fs.tree.len() {
		if fs.tree.first(i) == i {
			_, blocks := space(fs.tree.size(i))
			n += blocks
		}
	}
	return n
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
