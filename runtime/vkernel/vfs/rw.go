package vfs

import (
	"math"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// MaxRW is the most bytes one read or write moves (MAX_RW_COUNT).
const MaxRW = math.MaxInt32 &^ (linux.PageSize - 1)

// Read is read(2): it reads at the offset and moves it.
func (d *Description) Read(p []byte) (int, error) {
	n, err := d.read(p)
	d.transferred(n, unix.IN_ACCESS)
	return n, err
}

// transferred tells who watches the file that bytes were read or written.
func (d *Description) transferred(n int, mask uint32) {
	if n > 0 {
		d.path.Dentry.happened(mask)
	}
}

func (d *Description) read(p []byte) (int, error) {
	if !d.Readable() {
		return 0, unix.EBADF
	}
	p = p[:min(len(p), MaxRW)]
	switch f := d.file.(type) {
	case Reader:
		return f.Read(p)
	case ReaderAt:
		d.offMu.Lock()
		defer d.offMu.Unlock()
		n, err := f.ReadAt(p, d.off)
		d.off += int64(n)
		return n, err
	}
	return 0, d.notReadable()
}

// Pread is pread64: ESPIPE for streams.
func (d *Description) Pread(p []byte, off int64) (int, error) {
	f, ok := d.file.(ReaderAt)
	switch {
	case off < 0:
		return 0, unix.EINVAL
	case d.file == nil:
		return 0, unix.EBADF
	case !ok && d.isStream():
		return 0, unix.ESPIPE
	case !d.Readable():
		return 0, unix.EBADF
	case !ok:
		return 0, d.notReadable()
	}
	n, err := f.ReadAt(p[:min(len(p), MaxRW)], off)
	d.transferred(n, unix.IN_ACCESS)
	return n, err
}

func (d *Description) notReadable() error {
	if isDir(d.Inode()) {
		return unix.EISDIR
	}
	return unix.EINVAL
}

// isStream reports whether the file has no positions.
func (d *Description) isStream() bool {
	if _, ok := d.file.(ReaderAt); ok {
		return false
	}
	_, r := d.file.(Reader)
	_, w := d.file.(Writer)
	return r || w
}

// Write is write(2): it writes at the offset, or at the end if O_APPEND is
// set, and moves the offset. A short count without an error means that the
// rest would block, or the next write gives the reason.
func (d *Description) Write(p []byte) (int, error) {
	n, err := d.write(p)
	d.transferred(n, unix.IN_MODIFY)
	return n, err
}

func (d *Description) write(p []byte) (int, error) {
	if !d.Writable() {
		return 0, unix.EBADF
	}
	p = p[:min(len(p), MaxRW)]
	if f, ok := d.file.(Writer); ok {
		return f.Write(p)
	}
	d.offMu.Lock()
	defer d.offMu.Unlock()
	n, end, err := d.writeAt(p, d.off)
	if n > 0 {
		d.off = end
	}
	return n, err
}

// Pwrite is pwrite64; with O_APPEND it writes at the end, as Linux does.
func (d *Description) Pwrite(p []byte, off int64) (int, error) {
	_, ok := d.file.(WriterAt)
	switch {
	case off < 0:
		return 0, unix.EINVAL
	case d.file == nil:
		return 0, unix.EBADF
	case !ok && d.isStream():
		return 0, unix.ESPIPE
	case !d.Writable():
		return 0, unix.EBADF
	}
	n, _, err := d.writeAt(p[:min(len(p), MaxRW)], off)
	d.transferred(n, unix.IN_MODIFY)
	return n, err
}

// Append is pwritev2 with RWF_APPEND: it writes at the end, and moves the
// offset there if asked to.
func (d *Description) Append(p []byte, move bool) (int, error) {
	f, ok := d.file.(Appender)
	switch {
	case !d.Writable():
		return 0, unix.EBADF
	case !ok:
		return 0, unix.EOPNOTSUPP
	}
	if err := d.dropSetID(); err != nil {
		return 0, err
	}
	d.offMu.Lock()
	defer d.offMu.Unlock()
	n, end, err := f.Append(p[:min(len(p), MaxRW)])
	if n > 0 && move {
		d.off = end
	}
	d.transferred(n, unix.IN_MODIFY)
	return n, err
}

// writeAt writes and returns the offset after it.
func (d *Description) writeAt(p []byte, off int64) (n int, end int64, err error) {
	f, ok := d.file.(WriterAt)
	if !ok {
		return 0, 0, unix.EINVAL
	}
	if len(p) == 0 {
		return 0, off, nil
	}
	if err := d.dropSetID(); err != nil {
		return 0, 0, err
	}
	if a, ok := d.file.(Appender); ok && d.Flags()&linux.O_APPEND != 0 {
		return a.Append(p)
	}
	if off == linux.MaxFile {
		return 0, 0, unix.EFBIG
	}
	p = p[:min(int64(len(p)), linux.MaxFile-off)]
	n, err = f.WriteAt(p, off)
	return n, off + int64(n), err
}

// dropSetID is file_remove_privs: writing by one without CAP_FSETID takes
// the set-user-ID bit away, and set-group-ID of what its group may execute.
func (d *Description) dropSetID() error {
	if d.creds.Has(unix.CAP_FSETID) {
		return nil
	}
	set, ok := d.Inode().(AttrSetter)
	if !ok {
		return nil
	}
	a, err := d.Inode().Attr()
	if err != nil {
		return err
	}
	if mode := withoutSetID(a.Mode); mode != a.Mode && a.Type() == unix.S_IFREG {
		return set.SetAttr(AttrChange{Set: SetMode, Mode: mode & 0o7777})
	}
	return nil
}

// withoutSetID is mode after a write by one without privilege.
func withoutSetID(mode uint32) uint32 {
	mode &^= unix.S_ISUID
	if mode&unix.S_IXGRP != 0 {
		mode &^= unix.S_ISGID
	}
	return mode
}

// Seek is lseek.
func (d *Description) Seek(off int64, whence int) (int64, error) {
	if d.file == nil {
		return 0, unix.EBADF
	}
	d.offMu.Lock()
	defer d.offMu.Unlock()
	n, err := d.seek(off, whence)
	if err == nil {
		d.off = n
	}
	return n, err
}

func (d *Description) seek(off int64, whence int) (int64, error) {
	if s, ok := d.file.(Seeker); ok {
		return s.Lseek(d.off, off, whence)
	}
	if d.isStream() {
		return 0, unix.ESPIPE
	}
	base := int64(0)
	switch whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		base = d.off
	case unix.SEEK_END:
		a, err := d.Inode().Attr()
		if err != nil {
			return 0, err
		}
		base = a.Size
	case unix.SEEK_DATA, unix.SEEK_HOLE:
		return d.seekData(off, whence)
	default:
		return 0, unix.EINVAL
	}
	return addOffset(base, off)
}

func addOffset(base, off int64) (int64, error) {
	if off > 0 && base > math.MaxInt64-off || base+off < 0 {
		return 0, unix.EINVAL
	}
	return base + off, nil
}

func (d *Description) seekData(off int64, whence int) (int64, error) {
	a, err := d.Inode().Attr()
	if err != nil {
		return 0, err
	}
	if off < 0 || off >= a.Size {
		return 0, unix.ENXIO
	}
	s, ok := d.file.(DataSeeker)
	switch {
	case ok && whence == unix.SEEK_DATA:
		return s.SeekData(off)
	case ok:
		return s.SeekHole(off)
	case whence == unix.SEEK_DATA:
		return off, nil
	}
	return a.Size, nil
}

// ReadDir is getdents64: it calls emit for entries from the offset on until
// it returns false, which leaves that entry for the next call. emit must not call the vfs.
func (d *Description) ReadDir(emit func(linux.Dirent) bool) error {
	f, ok := d.file.(DirReader)
	switch {
	case d.file == nil:
		return unix.EBADF
	case !ok:
		return unix.ENOTDIR
	}
	d.offMu.Lock()
	defer d.offMu.Unlock()
	s := d.path.Dentry.super
	if p, ok := f.(DotDot); ok {
		p.SetParent(d.parentIno())
	}
	s.tree.RLock()
	defer s.tree.RUnlock()
	if d.path.Dentry.dead {
		return unix.ENOENT
	}
	d.path.Dentry.super.marks.tell(d.Inode(), Event{Mask: unix.IN_ACCESS | unix.IN_ISDIR})
	return f.ReadDir(d.off, func(e linux.Dirent) bool {
		if !emit(e) {
			return false
		}
		d.off = e.Off
		return true
	})
}

// parentIno is the inode number "..": the mount's own root has itself as
// parent, which Linux shows too.
func (d *Description) parentIno() uint64 {
	s := d.path.Dentry.super
	s.tree.RLock()
	p := d.path.Dentry
	if p.parent != nil {
		p = p.parent
	}
	s.tree.RUnlock()
	a, err := p.inode.Attr()
	if err != nil {
		return 0
	}
	return a.Ino
}

// Truncate is ftruncate.
func (d *Description) Truncate(size int64) error {
	switch {
	case size < 0:
		return unix.EINVAL
	case d.file == nil:
		return unix.EBADF
	case !d.Writable():
		return unix.EINVAL
	}
	if d.keepsSize {
		return unix.EACCES
	}
	if t, ok := d.file.(Truncater); ok {
		return t.Truncate(size)
	}
	a, err := d.Inode().Attr()
	_, ok := d.Inode().(AttrSetter)
	if err != nil || a.Type() != unix.S_IFREG || !ok {
		return unix.EINVAL
	}
	if err := d.dropSetID(); err != nil {
		return err
	}
	return d.path.setAttr(AttrChange{Set: SetSize, Size: size})
}

// Allocate is fallocate.
func (d *Description) Allocate(mode uint32, off, length int64) error {
	switch {
	case off < 0 || length <= 0:
		return unix.EINVAL
	case !d.Writable():
		return unix.EBADF
	case off > linux.MaxFile-length:
		return unix.EFBIG
	}
	a, err := d.Inode().Attr()
	if err != nil {
		return err
	}
	switch a.Type() {
	case unix.S_IFREG:
	case unix.S_IFIFO:
		return unix.ESPIPE
	case unix.S_IFDIR:
		return unix.EISDIR
	default:
		return unix.ENODEV
	}
	if err := d.dropSetID(); err != nil {
		return err
	}
	f, ok := d.file.(Allocater)
	if !ok {
		return unix.EOPNOTSUPP
	}
	if err := f.Allocate(mode, off, length); err != nil {
		return err
	}
	d.path.Dentry.happened(unix.IN_MODIFY)
	return nil
}

// Offset is the file offset.
func (d *Description) Offset() int64 {
	d.offMu.Lock()
	defer d.offMu.Unlock()
	return d.off
}
