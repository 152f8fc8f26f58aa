package tmp

import (
	"weak"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// fromLower returns our inode for one of the lower file system: the same as
// long as it is in use, or changed.
func (fs *FS) fromLower(lower vfs.Inode) (inode, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if p, ok := fs.seen[lower]; ok {
		if n := p.Value(); n != nil {
			return n.self, nil
		}
	}
	n, err := fs.copyLower(lower)
	if err != nil {
		return nil, err
	}
	fs.seen[lower] = weak.Make(n)
	return n.self, nil
}

// copyLower makes an inode that is as lower is.
func (fs *FS) copyLower(lower vfs.Inode) (*node, error) {
	a, err := lower.Attr()
	if err != nil {
		return nil, err
	}
	var self inode
	switch a.Type() {
	case unix.S_IFDIR:
		from, ok := lower.(vfs.Dir)
		if !ok {
			return nil, unix.EIO
		}
		self = &dir{lowerDir: from}
	case unix.S_IFREG:
		self = &file{data: &lowerStore{inode: lower, size: a.Size, lowerBlocks: a.Blocks}, size: a.Size}
	case unix.S_IFLNK:
		link, ok := lower.(vfs.Symlink)
		if !ok {
			return nil, unix.EIO
		}
		target, err := link.Readlink(nil)
		if err != nil {
			return nil, err
		}
		self = &symlink{target: target}
	default:
		self = &special{}
	}
	n := self.base()
	n.fs, n.self, n.lower, n.attr = fs, self, lower, a
	return n, nil
}

// changed notes that n is no longer as in the lower file system, so that it is
// kept.
func (n *node) changed() {
	if n.lower == nil {
		return
	}
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	n.fs.kept[n.lower] = n
}

// isKept reports whether n has changed.
func (fs *FS) isKept(n *node) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.kept[n.lower] == n
}

// forget drops n, whose last name is gone.
func (fs *FS) forget(n *node) {
	if n.lower == nil {
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.kept, n.lower)
	delete(fs.seen, n.lower)
}
