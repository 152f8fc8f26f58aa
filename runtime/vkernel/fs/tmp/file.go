package tmp

import (
	"os"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// file is a regular file. node.mu guards its fields and is held for reading
// while data is read.
type file struct {
	node
	data store
	size int64 // bytes
	open int   // handles

	sealing *sealing // nil if no memfd

	// hash is the contents' while version is hashed.
	version, hashed uint64
	hash            [32]byte
}

// store holds bytes; what was never written is zero. Offsets are not
// negative. The file's lock is held: for writing, except by readAt and what only
// asks.
type store interface {
	readAt(p []byte, off int64) error // all of p, which is below the file's end
	writeAt(p []byte, off int64) (int, error)
	truncate(size int64) error // drop what is at and after size
	punch(off, length int64) error
	allocate(off, length int64) error
	blocks() int64 // 512-byte units
	seekData(off, size int64) (int64, error)
	seekHole(off, size int64) int64
	close() // the last handle is closed; the bytes stay
	free()  // the bytes are not needed any more
}

func (fs *FS) newFile(s vfs.Spec) *file {
	f := &file{data: &heapStore{fs: fs}}
	f.init(fs, f, s)
	return f
}

// Attr implements vfs.Inode.
func (f *file) Attr() (linux.Attr, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	a := f.attr
	a.Size, a.Blocks = f.size, f.data.blocks()
	return a, nil
}

// SetAttr implements vfs.AttrSetter.
func (f *file) SetAttr(c vfs.AttrChange) error {
	f.changed()
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.Set&vfs.SetMode != 0 && (c.Mode^f.attr.Mode)&0o111 != 0 && f.sealedBy(sealExec) {
		return unix.EPERM
	}
	if c.Set&vfs.SetSize != 0 {
		if err := f.truncate(c.Size); err != nil {
			return err
		}
		if c.Set&vfs.SetMtime == 0 {
			c.When = linux.Now()
			c.Set, c.Mtime = c.Set|vfs.SetMtime, c.When
		}
	}
	f.setAttr(c)
	return nil
}

// truncate changes the size.
// Preconditions: f.mu is held for writing.
func (f *file) truncate(size int64) error {
	if size < f.size && f.sealedBy(unix.F_SEAL_SHRINK) || size > f.size && f.sealedBy(unix.F_SEAL_GROW) {
		return unix.EPERM
	}
	if _, ok := f.data.(*lowerStore); ok && size == 0 {
		f.data.close()
		f.data = &heapStore{fs: f.fs}
	}
	if err := f.own(min(size, f.size)); err != nil {
		return err
	}
	if size < f.size {
		if err := f.data.truncate(size); err != nil {
			return err
		}
	} else if h, ok := f.data.(*hostStore); ok {
		if err := h.truncate(size); err != nil {
			return err
		}
	}
	f.size = size
	f.version++
	return nil
}

// wrote notes a change of the contents.
// Preconditions: f.mu is held for writing.
func (f *file) wrote(end int64) {
	f.size = max(f.size, end)
	f.attr.Mtime = linux.Now()
	f.attr.Ctime = f.attr.Mtime
	f.version++
}

// Open implements vfs.Opener.
func (f *file) Open(flags int) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	h := &handle{file: f, noatime: flags&linux.O_NOATIME != 0}
	if f.sealing != nil {
		return sealed{h}, nil
	}
	return h, nil
}

// release closes a handle.
func (f *file) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open--; f.open == 0 {
		f.data.close()
		f.freeIfLost()
	}
}

// unlinked notes that a name is gone.
func (f *file) unlinked() {
	f.addLinks(-1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.freeIfLost()
}

// freeIfLost frees the contents if no name and no handle is left.
// Preconditions: f.mu is held for writing.
func (f *file) freeIfLost() {
	if f.open > 0 || f.attr.Nlink > 0 {
		return
	}
	f.data.free()
	f.data, f.size = &heapStore{fs: f.fs}, 0
}

// Hash implements vfs.Hasher: the lower file's hash as long as the contents
// are its, else one computed and remembered.
func (f *file) Hash(limit int64) ([32]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, ok := f.data.(*lowerStore); ok {
		return s.hash()
	}
	if s, ok := f.data.(*hostStore); ok && s.shared {
		return [32]byte{}, false // stores through a mapping are not seen
	}
	if f.size > limit {
		return [32]byte{}, false
	}
	if f.hashed != f.version || f.version == 0 {
		sum, err := hashOf(f.data, f.size)
		if err != nil {
			return sum, false
		}
		f.hash, f.hashed = sum, f.version
	}
	return f.hash, true
}

// handle is an open file.
type handle struct {
	file    *file
	noatime bool
}

// Release implements vfs.File.
func (h *handle) Release() { h.file.release() }

// Sync implements vfs.Syncer.
func (h *handle) Sync() error { return nil }

// ReadAt implements vfs.ReaderAt.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.file.readAt(p, off)
	if err == nil && !h.noatime && len(p) > 0 {
		h.file.accessed()
	}
	return n, err
}

func (f *file) readAt(p []byte, off int64) (int, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if off >= f.size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), f.size-off)]
	return len(p), f.data.readAt(p, off)
}

// WriteAt implements vfs.WriterAt.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	f := h.file
	f.changed()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writeAt(p, off)
}

// Append implements vfs.Appender.
func (h *handle) Append(p []byte) (n int, end int64, err error) {
	f := h.file
	f.changed()
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err = f.writeAt(p, f.size)
	return n, f.size, err
}

func (f *file) writeAt(p []byte, off int64) (int, error) {
	if f.sealedBy(writeSeals) || off+int64(len(p)) > f.size && f.sealedBy(unix.F_SEAL_GROW) {
		return 0, unix.EPERM
	}
	if err := f.own(f.size); err != nil {
		return 0, err
	}
	if err := f.makeRoom(int64(len(p))); err != nil {
		return 0, err
	}
	n, err := f.data.writeAt(p, off)
	if n > 0 {
		f.wrote(off + int64(n))
	}
	return n, err
}

// makeRoom moves the contents off the heap if n more bytes are too many there.
func (f *file) makeRoom(n int64) error {
	if s, ok := f.data.(*heapStore); ok && s.used+n > heapMax {
		return f.toHost()
	}
	return nil
}

// HostFile implements vfs.Mmapper.
func (h *handle) HostFile(shared bool) (*os.File, error) {
	f := h.file
	if shared {
		f.changed()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, ok := f.data.(*lowerStore); ok {
		if !shared {
			return s.hostFile()
		}
		if err := f.own(f.size); err != nil {
			return nil, err
		}
	}
	if err := f.toHost(); err != nil {
		return nil, err
	}
	s := f.data.(*hostStore)
	s.shared = s.shared || shared
	return s.file, nil
}

// Freeze implements vfs.Freezer: lower files do not change.
func (h *handle) Freeze() (vfs.File, [32]byte, error) {
	h.file.mu.RLock()
	defer h.file.mu.RUnlock()
	s, ok := h.file.data.(*lowerStore)
	if !ok {
		return nil, [32]byte{}, nil
	}
	sum, ok := s.hash()
	if !ok {
		return nil, sum, nil
	}
	f, err := s.newFile()
	return f, sum, err
}

const knownFalloc = unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE

// Allocate implements vfs.Allocater.
func (h *handle) Allocate(mode uint32, off, length int64) error {
	keep := mode&unix.FALLOC_FL_KEEP_SIZE != 0
	punch := mode&unix.FALLOC_FL_PUNCH_HOLE != 0
	zero := mode&unix.FALLOC_FL_ZERO_RANGE != 0
	if mode&^knownFalloc != 0 || punch && (!keep || zero) {
		return unix.EOPNOTSUPP
	}
	f := h.file
	f.changed()
	f.mu.Lock()
	defer f.mu.Unlock()
	if punch && f.sealedBy(writeSeals) || !punch && off+length > f.size && f.sealedBy(unix.F_SEAL_GROW) {
		return unix.EPERM
	}
	if err := f.own(f.size); err != nil {
		return err
	}
	if punch || zero {
		if err := f.data.punch(off, length); err != nil {
			return err
		}
	}
	if !punch {
		if err := f.allocate(off, length); err != nil {
			return err
		}
	}
	f.wrote(f.size)
	if !keep && off+length > f.size {
		return f.truncate(off + length)
	}
	return nil
}

func (f *file) allocate(off, length int64) error {
	if err := f.makeRoom(length); err != nil {
		return err
	}
	return f.data.allocate(off, length)
}

// SeekData implements vfs.DataSeeker.
func (h *handle) SeekData(off int64) (int64, error) {
	h.file.mu.RLock()
	defer h.file.mu.RUnlock()
	return h.file.data.seekData(off, h.file.size)
}

// SeekHole implements vfs.DataSeeker.
func (h *handle) SeekHole(off int64) (int64, error) {
	h.file.mu.RLock()
	defer h.file.mu.RUnlock()
	return h.file.data.seekHole(off, h.file.size), nil
}
