package tmp

import (
	"errors"
	"io"
	"os"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"
)

// hostStore holds bytes in a memfd, whose size is the file's.
type hostStore struct {
	fs     *FS
	file   *os.File
	used   int64 // bytes accounted for
	shared bool  // was mapped shared
	view   view
}

// newHostStore makes an empty memfd.
func newHostStore(fs *FS) (*hostStore, error) {
	fd, err := unix.MemfdCreate("tmp", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &hostStore{fs: fs, file: os.NewFile(uintptr(fd), "memfd")}, nil
}

// account brings used up to what the memfd takes.
func (s *hostStore) account() {
	now := s.blocks() * 512
	s.fs.used.Add(now - s.used)
	s.used = now
}

// room is ENOSPC if n bytes are too many.
func (s *hostStore) room(n int64) error {
	if err := s.fs.reserve(n); err != nil {
		return err
	}
	s.fs.used.Add(-n)
	return nil
}

func (s *hostStore) readAt(p []byte, off int64) error {
	if s.view.read(s.file, p, off) {
		return nil
	}
	_, err := s.file.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		return unix.EIO
	}
	return hostErr(err)
}

func (s *hostStore) writeAt(p []byte, off int64) (int, error) {
	if s.view.write(s.file, p, off) {
		return len(p), nil
	}
	if err := s.room(int64(len(p))); err != nil {
		return 0, err
	}
	n, err := s.file.WriteAt(p, off)
	s.account()
	s.view.filled(off, int64(n))
	return n, hostErr(err)
}

func (s *hostStore) truncate(size int64) error {
	s.view.cut(size)
	err := s.file.Truncate(size)
	s.account()
	return hostErr(err)
}

func (s *hostStore) punch(off, length int64) error {
	s.view.punched(off, length)
	err := unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, length)
	s.account()
	return hostErr(err)
}

func (s *hostStore) allocate(off, length int64) error {
	if err := s.room(length); err != nil {
		return err
	}
	err := unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, length)
	s.account()
	return hostErr(err)
}

func (s *hostStore) blocks() int64 {
	var st unix.Stat_t
	if err := unix.Fstat(int(s.file.Fd()), &st); err != nil {
		return 0
	}
	return st.Blocks
}

func (s *hostStore) seekData(off, _ int64) (int64, error) {
	n, err := unix.Seek(int(s.file.Fd()), off, unix.SEEK_DATA)
	return n, hostErr(err)
}

func (s *hostStore) seekHole(off, size int64) int64 {
	n, err := unix.Seek(int(s.file.Fd()), off, unix.SEEK_HOLE)
	if err != nil {
		return size
	}
	return n
}

func (s *hostStore) close() {}

func (s *hostStore) free() {
	s.fs.used.Add(-s.used)
	s.used = 0
	s.view.drop()
	s.file.Close()
}

// hostErr is the errno of an error of package os.
func hostErr(err error) error {
	if err == nil {
		return nil
	}
	return linux.Errno(err)
}

// toHost moves the contents from the heap to a memfd.
// Preconditions: f.mu is held for writing.
func (f *file) toHost() error {
	from, ok := f.data.(*heapStore)
	if !ok {
		return nil
	}
	to, err := newHostStore(f.fs)
	if err != nil {
		return hostErr(err)
	}
	if err := to.fill(from, f.size); err != nil {
		to.free()
		return hostErr(err)
	}
	from.free()
	to.account()
	f.data = to
	return nil
}

func (s *hostStore) fill(from *heapStore, size int64) error {
	for num, pg := range from.pages {
		if _, err := s.file.WriteAt(pg[:], num*pageSize); err != nil {
			return err
		}
		s.view.filled(num*pageSize, pageSize)
	}
	s.view.cut(size)
	return s.file.Truncate(size)
}

// hashOf is the BLAKE3-256 hash of the first size bytes.
func hashOf(s store, size int64) ([32]byte, error) {
	h := blake3.New()
	buf := make([]byte, 1<<18)
	for off := int64(0); off < size; off += int64(len(buf)) {
		p := buf[:min(int64(len(buf)), size-off)]
		if err := s.readAt(p, off); err != nil {
			return [32]byte{}, err
		}
		h.Write(p)
	}
	return [32]byte(h.Sum(nil)), nil
}
