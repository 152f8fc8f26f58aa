package vfs

import (
	"os"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"
)

// hashChunk is how much of a file is read at a time to hash it, bytes.
const hashChunk = 1 << 18

// HashOf returns the BLAKE3-256 hash of the contents of d, a regular file
// opened for reading: from the file system if it knows it (see Hasher), else by reading it all.
// EFBIG if that would be more than limit bytes, EACCES if d is something else.
func HashOf(d *Description, limit int64) ([32]byte, error) {
	a, err := d.Stat()
	switch {
	case err != nil:
		return [32]byte{}, err
	case a.Type() != unix.S_IFREG || !d.Readable():
		return [32]byte{}, unix.EACCES
	case a.Size > limit:
		return [32]byte{}, unix.EFBIG
	}
	if h, ok := d.Inode().(Hasher); ok {
		if sum, ok := h.Hash(limit); ok {
			return sum, nil
		}
	}
	return read(d, limit, func([]byte) error { return nil })
}

// read gives the contents of d to f, piece by piece, and is their hash.
func read(d *Description, limit int64, f func(p []byte) error) ([32]byte, error) {
	file, ok := d.File().(ReaderAt)
	if !ok {
		return [32]byte{}, unix.EACCES
	}
	h := blake3.New()
	buf := make([]byte, hashChunk)
	for off := int64(0); ; {
		n, err := file.ReadAt(buf, off)
		switch off += int64(n); {
		case err != nil:
			return [32]byte{}, err
		case off > limit:
			return [32]byte{}, unix.EFBIG
		case n == 0:
			return [32]byte(h.Sum(nil)), nil
		}
		h.Write(buf[:n])
		if err := f(buf[:n]); err != nil {
			return [32]byte{}, err
		}
	}
}

// Frozen is the contents of a file at one moment, which stay as they are
// whatever becomes of the file.
type Frozen struct {
	Sum     [32]byte // BLAKE3-256 of what Host has
	Host    *os.File // valid until Release
	release func()
}

// Release gives the contents back. It is called once.
func (f *Frozen) Release() { f.release() }

// Freeze is HashOf that keeps what it has hashed: the file's own storage where
// that can't change (see Freezer), else a sealed copy in memory.
func Freeze(d *Description, limit int64) (*Frozen, error) {
	if f, ok := d.File().(Freezer); ok {
		file, sum, err := f.Freeze()
		if err != nil {
			return nil, err
		}
		if file != nil {
			return freezeOpen(file, sum)
		}
	}
	return freezeCopy(d, limit)
}

func freezeOpen(file File, sum [32]byte) (*Frozen, error) {
	m, ok := file.(Mmapper)
	if !ok {
		file.Release()
		return nil, unix.ENODEV
	}
	host, err := m.HostFile(false)
	if err != nil {
		file.Release()
		return nil, err
	}
	return &Frozen{sum, host, file.Release}, nil
}

// allSeals make a memfd unchangeable.
const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

func freezeCopy(d *Description, limit int64) (*Frozen, error) {
	fd, err := unix.MemfdCreate("code", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	host := os.NewFile(uintptr(fd), "code")
	sum, err := read(d, limit, func(p []byte) error {
		_, err := host.Write(p)
		return err
	})
	if err == nil {
		_, err = unix.FcntlInt(host.Fd(), unix.F_ADD_SEALS, allSeals)
	}
	if err != nil {
		host.Close()
		return nil, err
	}
	return &Frozen{sum, host, func() { host.Close() }}, nil
}
