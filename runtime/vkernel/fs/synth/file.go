package synth

import (
	"sync"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// File is a regular file of size 0 whose contents are computed when it is
// opened and first read.
type File struct {
	Meta
	read  func() ([]byte, error)
	write func([]byte) error // nil: EIO
}

// NewFile makes a file with permission bits mode. write may be nil: it is
// given what one write(2) writes.
func NewFile(mode, uid, gid uint32, read func() ([]byte, error), write func([]byte) error) *File {
	return &File{NewMeta(unix.S_IFREG|mode, uid, gid), read, write}
}

// SetAttr implements vfs.AttrSetter: a size and times are accepted, as programs make a
// file empty before they write it, and change nothing.
func (f *File) SetAttr(c vfs.AttrChange) error {
	if c.Set&(vfs.SetMode|vfs.SetUID|vfs.SetGID) != 0 {
		return unix.EPERM
	}
	return nil
}

// Open implements vfs.Opener.
func (f *File) Open(int) (vfs.File, error) { return &openFile{file: f}, nil }

// Personal is a file like File whose contents depend on who opened it.
type Personal struct {
	Meta
	read func(c *vfs.Caller) ([]byte, error)
}

// NewPersonal makes a file that can only be read.
func NewPersonal(mode, uid, gid uint32, read func(*vfs.Caller) ([]byte, error)) *Personal {
	return &Personal{NewMeta(unix.S_IFREG|mode, uid, gid), read}
}

// Open implements vfs.Opener: nobody opens it.
func (p *Personal) Open(flags int) (vfs.File, error) { return p.OpenBy(&vfs.Caller{}, flags) }

// OpenBy implements vfs.CallerOpener.
func (p *Personal) OpenBy(c *vfs.Caller, _ int) (vfs.File, error) {
	return &openFile{file: &File{Meta: p.Meta, read: func() ([]byte, error) { return p.read(c) }}}, nil
}

// openFile is an open file with the contents it had when they were first
// read.
type openFile struct {
	file *File

	mu   sync.Mutex
	data []byte
	done bool
}

// Release implements vfs.File.
func (o *openFile) Release() {}

// ReadAt implements vfs.ReaderAt: reading from the start computes anew.
func (o *openFile) ReadAt(p []byte, off int64) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.done || off == 0 {
		data, err := o.file.read()
		if err != nil {
			return 0, err
		}
		o.data, o.done = data, true
	}
	if off >= int64(len(o.data)) {
		return 0, nil
	}
	return copy(p, o.data[off:]), nil
}

// WriteAt implements vfs.WriterAt.
func (o *openFile) WriteAt(p []byte, _ int64) (int, error) {
	if o.file.write == nil {
		return 0, unix.EIO
	}
	if err := o.file.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Link is a symbolic link whose text is computed.
type Link struct {
	Meta
	read func(c *vfs.Caller) (string, error)
}

// NewLink makes a link.
func NewLink(uid, gid uint32, read func(*vfs.Caller) (string, error)) *Link {
	return &Link{NewMeta(unix.S_IFLNK|0o777, uid, gid), read}
}

// Readlink implements vfs.Symlink.
func (l *Link) Readlink(c *vfs.Caller) (string, error) { return l.read(c) }

// Magic is a link that leads to a place by itself.
type Magic struct {
	Link
	follow func(c *vfs.Caller) (vfs.Path, error)
}

// NewMagic makes one; mode is its permission bits.
func NewMagic(mode, uid, gid uint32, read func(*vfs.Caller) (string, error), follow func(*vfs.Caller) (vfs.Path, error)) *Magic {
	m := &Magic{Link{NewMeta(unix.S_IFLNK|mode, uid, gid), read}, follow}
	m.attr.Size = 64
	return m
}

// Follow implements vfs.MagicLink.
func (m *Magic) Follow(c *vfs.Caller) (vfs.Path, error) { return m.follow(c) }
