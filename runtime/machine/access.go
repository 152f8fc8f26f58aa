package machine

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mapped tells whether each page of the range is mapped with at least prot.
func (as *AddressSpace) Mapped(addr, length uint64, prot Prot) bool {
	_, err := as.span(addr, length, prot)
	return err == nil
}

// CopyIn reads len(dst) bytes at addr; EFAULT if one isn't readable.
func (as *AddressSpace) CopyIn(addr uint64, dst []byte) error {
	src, err := as.span(addr, uint64(len(dst)), ProtRead)
	copy(dst, src)
	return err
}

// CopyOut writes src to addr; EFAULT if a byte isn't writable.
func (as *AddressSpace) CopyOut(addr uint64, src []byte) error {
	dst, err := as.span(addr, uint64(len(src)), ProtWrite)
	as.mu.RLock() // another process' write is not to be lost where Regain moves pages
	defer as.mu.RUnlock()
	copy(dst, src)
	return err
}

// CString reads a string that ends with a zero byte; ENAMETOOLONG if none is
// among the first max bytes.
func (as *AddressSpace) CString(addr uint64, max int) (string, error) {
	addr = as.Lower(addr)
	as.mu.RLock()
	n := as.areas.extent(addr, uint64(max), ProtRead)
	as.mu.RUnlock()
	if n == 0 {
		return "", unix.EFAULT
	}
	before := sigbuses.Load()
	s := as.bytes(addr, n)
	i := bytes.IndexByte(s, 0)
	if as.pastEnd(before, addr, uint64(i+1)) {
		return "", unix.EFAULT
	}
	switch {
	case i >= 0:
		return string(s[:i]), nil
	case n < uint64(max):
		return "", unix.EFAULT
	}
	return "", unix.ENAMETOOLONG
}

// Load32 reads a little-endian word.
func (as *AddressSpace) Load32(addr uint64) (uint32, error) {
	b, err := as.span(addr, 4, ProtRead)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// Load64 reads a little-endian quadword.
func (as *AddressSpace) Load64(addr uint64) (uint64, error) {
	b, err := as.span(addr, 8, ProtRead)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// Store32 writes a little-endian word.
func (as *AddressSpace) Store32(addr uint64, v uint32) error {
	b, err := as.span(addr, 4, ProtWrite)
	if err == nil {
		binary.LittleEndian.PutUint32(b, v)
	}
	return err
}

// Store64 writes a little-endian quadword.
func (as *AddressSpace) Store64(addr uint64, v uint64) error {
	b, err := as.span(addr, 8, ProtWrite)
	if err == nil {
		binary.LittleEndian.PutUint64(b, v)
	}
	return err
}

// Slice returns guest memory itself, valid until the last Release.
func (as *AddressSpace) Slice(addr, n uint64, write bool) ([]byte, error) {
	if write {
		return as.span(addr, n, ProtWrite)
	}
	return as.span(addr, n, ProtRead)
}

// Atomic32 returns a writable word of guest memory for sync/atomic (futexes).
// EINVAL if addr isn't a multiple of 4.
func (as *AddressSpace) Atomic32(addr uint64) (*uint32, error) {
	if addr%4 != 0 {
		return nil, unix.EINVAL
	}
	b, err := as.span(addr, 4, ProtRead|ProtWrite)
	if err != nil {
		return nil, err
	}
	return (*uint32)(unsafe.Pointer(&b[0])), nil
}
