package tmp

import (
	"os"
	"sync"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"golang.org/x/sys/unix"
)

// lowerStore reads the lower file. What writes is never called: own has put a
// store of ours in its place.
type lowerStore struct {
	inode       vfs.Inode
	size        int64 // bytes
	lowerBlocks int64

	mu   sync.Mutex
	open vfs.File // nil while no handle has read
}

// file opens the lower file once for all handles.
func (s *lowerStore) file() (vfs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		return s.open, nil
	}
	f, err := s.newFile()
	s.open = f
	return f, err
}

// newFile opens the lower file once more.
func (s *lowerStore) newFile() (vfs.File, error) {
	o, ok := s.inode.(vfs.Opener)
	if !ok {
		return nil, unix.EIO
	}
	return o.Open(linux.O_RDONLY)
}

// hash is the lower file's; ok is false if its file system does not know it.
func (s *lowerStore) hash() (sum [32]byte, ok bool) {
	if h, isHasher := s.inode.(vfs.Hasher); isHasher {
		return h.Hash(s.size)
	}
	return sum, false
}

func (s *lowerStore) readAt(p []byte, off int64) error {
	f, err := s.file()
	if err != nil {
		return err
	}
	r, ok := f.(vfs.ReaderAt)
	if !ok {
		return unix.EIO
	}
	for len(p) > 0 {
		n, err := r.ReadAt(p, off)
		if err != nil {
			return err
		}
		if n == 0 {
			return unix.EIO
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

func (s *lowerStore) hostFile() (*os.File, error) {
	f, err := s.file()
	if err != nil {
		return nil, err
	}
	if m, ok := f.(vfs.Mmapper); ok {
		return m.HostFile(false)
	}
	return nil, unix.ENODEV
}

func (s *lowerStore) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		s.open.Release()
		s.open = nil
	}
}

func (s *lowerStore) blocks() int64 { return s.lowerBlocks }
func (s *lowerStore) free()         {}

func (s *lowerStore) seekData(off, _ int64) (int64, error) { return off, nil }
func (s *lowerStore) seekHole(_, size int64) int64         { return size }

func (s *lowerStore) writeAt([]byte, int64) (int, error) { panic("BUG: write to a lower file") }
func (s *lowerStore) truncate(int64) error               { panic("BUG: truncate of a lower file") }
func (s *lowerStore) punch(int64, int64) error           { panic("BUG: punch in a lower file") }
func (s *lowerStore) allocate(int64, int64) error        { panic("BUG: allocate in a lower file") }

// own copies the first size bytes up, if the contents are still the lower
// file's.
// Preconditions: f.mu is held for writing.
func (f *file) own(size int64) error {
	from, ok := f.data.(*lowerStore)
	if !ok {
		return nil
	}
	var to store = &heapStore{fs: f.fs}
	if size > heapMax {
		h, err := newHostStore(f.fs)
		if err != nil {
			return hostErr(err)
		}
		to = h
	}
	if err := copyStore(to, from, size); err != nil {
		to.free()
		return err
	}
	from.close()
	f.data = to
	f.size = size
	return nil
}

func copyStore(to, from store, size int64) error {
	buf := make([]byte, min(size, 1<<20))
	for off := int64(0); off < size; {
		p := buf[:min(int64(len(buf)), size-off)]
		if err := from.readAt(p, off); err != nil {
			return err
		}
		n, err := to.writeAt(p, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}
