package vfs

import (
	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"
)

// HashOf returns the BLAKE3-256 hash of the contents of d, a regular file
// opened for reading: from the file system if it knows it (see Hasher), else by reading it all.
func HashOf(d *Description) ([32]byte, error) {
	if h, ok := d.Inode().(Hasher); ok {
		if sum, ok := h.Hash(); ok {
			return sum, nil
		}
	}
	f, ok := d.File().(ReaderAt)
	if !ok || !d.Readable() {
		return [32]byte{}, unix.EACCES
	}
	h := blake3.New()
	buf := make([]byte, 1<<18)
	for off := int64(0); ; {
		n, err := f.ReadAt(buf, off)
		if err != nil {
			return [32]byte{}, err
		}
		if n == 0 {
			return [32]byte(h.Sum(nil)), nil
		}
		h.Write(buf[:n])
		off += int64(n)
	}
}
