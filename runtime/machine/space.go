package machine

import (
	"os"
)

// Prot is a set of mmap's prot bits.
type Prot uint8

// Protection bits, as PROT_READ, PROT_WRITE and PROT_EXEC of mmap(2).
const (
	ProtRead  Prot = 1
	ProtWrite Prot = 2
	ProtExec  Prot = 4
)

// AddressSpace is guest memory: 64-bit guest addresses of which those from
// abi.PageBias to abi.CacheBase can be mapped. All access by the kernel goes
// through it and is checked: errors are unix.Errno. It is safe for concurrent
// use and counted by reference.
type AddressSpace struct{}

// NewAddressSpace reserves an empty address space with one reference.
func (e *Engine) NewAddressSpace() (*AddressSpace, error) { return nil, ErrClosed }

// Retain adds a reference.
func (as *AddressSpace) Retain() {}

// Release drops a reference; the last one frees the memory.
func (as *AddressSpace) Release() {}

// MapAnon maps zero pages, replacing what is there. addr and length are
// multiples of the page size.
func (as *AddressSpace) MapAnon(addr, length uint64, prot Prot) error { return nil }

// MapFile maps length bytes of file from off, replacing what is there; pages
// past the file's end are zero. The file must not be shortened while mapped
// (the process would die of SIGBUS) but may be closed.
func (as *AddressSpace) MapFile(addr, length uint64, file *os.File, off int64, prot Prot, shared bool) error {
	return nil
}

// Unmap removes all mappings of the range.
func (as *AddressSpace) Unmap(addr, length uint64) error { return nil }

// Protect changes what CopyIn and the like accept; ENOMEM if some page isn't
// mapped. Guest code itself is not held to it.
func (as *AddressSpace) Protect(addr, length uint64, prot Prot) error { return nil }

// Mapped tells whether each page of the range is mapped with at least prot.
func (as *AddressSpace) Mapped(addr, length uint64, prot Prot) bool { return false }

// CopyIn reads len(dst) bytes at addr; EFAULT if one isn't readable.
func (as *AddressSpace) CopyIn(addr uint64, dst []byte) error { return nil }

// CopyOut writes src to addr; EFAULT if a byte isn't writable.
func (as *AddressSpace) CopyOut(addr uint64, src []byte) error { return nil }

// CString reads a string that ends with a zero byte; ENAMETOOLONG if none is
// among the first max bytes.
func (as *AddressSpace) CString(addr uint64, max int) (string, error) { return "", nil }

// Load32 reads a little-endian word.
func (as *AddressSpace) Load32(addr uint64) (uint32, error) { return 0, nil }

// Load64 reads a little-endian quadword.
func (as *AddressSpace) Load64(addr uint64) (uint64, error) { return 0, nil }

// Store32 writes a little-endian word.
func (as *AddressSpace) Store32(addr uint64, v uint32) error { return nil }

// Store64 writes a little-endian quadword.
func (as *AddressSpace) Store64(addr uint64, v uint64) error { return nil }

// Slice returns guest memory itself, valid until the last Release.
func (as *AddressSpace) Slice(addr, n uint64, write bool) ([]byte, error) { return nil, nil }

// Atomic32 returns a word of guest memory for sync/atomic (futexes). EINVAL if
// addr isn't a multiple of 4.
func (as *AddressSpace) Atomic32(addr uint64) (*uint32, error) { return nil, nil }

// MapUnit says that unit offset 0 of u is at guest address base. Mapping the
// same unit at the same base again is no error.
func (as *AddressSpace) MapUnit(base uint64, u Unit) error { return nil }

// UnmapUnit removes the unit at base, if any.
func (as *AddressSpace) UnmapUnit(base uint64) {}

// Clone returns a copy with one reference: fork. Shared mappings stay shared.
func (as *AddressSpace) Clone() (*AddressSpace, error) { return nil, ErrClosed }
