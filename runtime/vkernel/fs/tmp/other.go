package tmp

import (
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// symlink is a symbolic link.
type symlink struct {
	node
	target string
}

// Readlink implements vfs.Symlink.
func (s *symlink) Readlink(*vfs.Caller) (string, error) {
	s.accessed()
	return s.target, nil
}

// special is a device node, a FIFO or a socket: the vfs opens it.
type special struct{ node }

// newInode makes what s describes.
func (fs *FS) newInode(s vfs.Spec) inode {
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return fs.newDir(s)
	case unix.S_IFREG:
		return fs.newFile(s)
	case unix.S_IFLNK:
		l := &symlink{target: s.Target}
		l.init(fs, l, s)
		l.attr.Size = int64(len(s.Target))
		return l
	}
	n := &special{}
	n.init(fs, n, s)
	return n
}
