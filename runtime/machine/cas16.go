package machine

import "unsafe"

// cas16 is lock cmpxchg16b: it stores the new value at p if the old one is
// hi:lo, and returns the old one. p is aligned to 16 bytes. Guest threads access
// the same memory with 8-byte atomics, so no lock of ours would do.
//
//go:noescape
func cas16(p *[2]uint64, lo, hi, newLo, newHi uint64) (oldLo, oldHi uint64)

// alignedPair is 16 bytes of guest memory that are aligned there and, as
// memory is mapped in pages, here.
func alignedPair(b []byte) *[2]uint64 { return (*[2]uint64)(unsafe.Pointer(unsafe.SliceData(b))) }
