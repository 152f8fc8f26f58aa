package image

import (
	"errors"
	"io"
	"os"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// The views of a node.
type (
	dir     node
	file    node
	link    node
	special node
)

// Attr implements vfs.Inode.
func (d *dir) Attr() (linux.Attr, error) { return d.attr, nil }

// Attr implements vfs.Inode.
func (f *file) Attr() (linux.Attr, error) { return f.attr, nil }

// Attr implements vfs.Inode.
func (l *link) Attr() (linux.Attr, error) { return l.attr, nil }

// Attr implements vfs.Inode.
func (s *special) Attr() (linux.Attr, error) { return s.attr, nil }

// Readlink implements vfs.Symlink.
func (l *link) Readlink(*vfs.Caller) (string, error) { return l.entry.Target, nil }

// Hash implements vfs.Hasher: the name of the contents is their hash.
func (f *file) Hash(int64) ([32]byte, bool) { return f.entry.Hash, true }

// Lookup implements vfs.Dir.
func (d *dir) Lookup(name string) (vfs.Inode, error) {
	i, ok := d.fs.tree.lookup(d.index, name)
	if !ok {
		return nil, unix.ENOENT
	}
	return d.fs.node(i).inode(), nil
}

// Open implements vfs.Opener.
func (d *dir) Open(int) (vfs.File, error) { return &openDir{dir: d}, nil }

// openDir is an open directory. Cookies are 0 for ".", 1 for "..", 2+i for
// child i.
type openDir struct {
	dir    *dir
	parent uint64
}

// Release implements vfs.File.
func (o *openDir) Release() {}

// Sync implements vfs.Syncer.
func (o *openDir) Sync() error { return nil }

// SetParent implements vfs.DotDot.
func (o *openDir) SetParent(ino uint64) { o.parent = ino }

// ReadDir implements vfs.DirReader.
func (o *openDir) ReadDir(cookie int64, emit func(linux.Dirent) bool) error {
	for n := int64(o.dir.fs.tree.children(o.dir.index)); cookie < n+2; cookie++ {
		if !emit(o.dirent(cookie)) {
			break
		}
	}
	return nil
}

func (o *openDir) dirent(cookie int64) linux.Dirent {
	e := linux.Dirent{Off: cookie + 1, Type: unix.DT_DIR}
	switch cookie {
	case 0:
		e.Name, e.Ino = ".", o.dir.attr.Ino
	case 1:
		e.Name, e.Ino = "..", o.parent
	default:
		name, i := o.dir.fs.tree.child(o.dir.index, int(cookie-2))
		n := o.dir.fs.node(i)
		e.Name, e.Ino, e.Type = name, n.attr.Ino, linux.DirentType(n.attr.Mode)
	}
	return e
}

// Open implements vfs.Opener.
func (f *file) Open(int) (vfs.File, error) {
	host, err := f.fs.open(f.entry.Hash)
	if err != nil {
		return nil, unix.EIO
	}
	return &openFile{file: f, host: host}, nil
}

// openFile is an open file.
type openFile struct {
	file *file
	host *os.File
}

// Release implements vfs.File.
func (o *openFile) Release() { o.host.Close() }

// Sync implements vfs.Syncer.
func (o *openFile) Sync() error { return nil }

// ReadAt implements vfs.ReaderAt.
func (o *openFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= o.file.attr.Size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), o.file.attr.Size-off)]
	n, err := o.host.ReadAt(p, off)
	if n > 0 || err == nil || errors.Is(err, io.EOF) {
		return n, nil
	}
	return 0, linux.Errno(err)
}

// HostFile implements vfs.Mmapper.
func (o *openFile) HostFile(bool) (*os.File, error) { return o.host, nil }

// Getxattr implements vfs.Xattrs.
func (d *dir) Getxattr(name string) ([]byte, error) { return (*node)(d).getxattr(name) }

// Listxattr implements vfs.Xattrs.
func (d *dir) Listxattr() ([]string, error) { return (*node)(d).listxattr() }

// Setxattr implements vfs.Xattrs.
func (d *dir) Setxattr(string, []byte, int) error { return unix.EROFS }

// Removexattr implements vfs.Xattrs.
func (d *dir) Removexattr(string) error { return unix.EROFS }

// Getxattr implements vfs.Xattrs.
func (f *file) Getxattr(name string) ([]byte, error) { return (*node)(f).getxattr(name) }

// Listxattr implements vfs.Xattrs.
func (f *file) Listxattr() ([]string, error) { return (*node)(f).listxattr() }

// Setxattr implements vfs.Xattrs.
func (f *file) Setxattr(string, []byte, int) error { return unix.EROFS }

// Removexattr implements vfs.Xattrs.
func (f *file) Removexattr(string) error { return unix.EROFS }
