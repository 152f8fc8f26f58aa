package wasmenc

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error of a Reader.
var ErrMalformed = errors.New("malformed")

// Reader reads LEB128 numbers and byte strings out of a buffer. After the
// first failure all reads give zero values and Err tells what failed, so that
// a caller may check once at the end of a group.
type Reader struct {
	b   []byte
	off int
	err error
}

// NewReader returns a Reader of b. Offsets in errors count from its start.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first failure.
func (r *Reader) Err() error { return r.err }

// Len is the number of bytes left.
func (r *Reader) Len() int { return len(r.b) - r.off }

// Offset is the position of the next byte.
func (r *Reader) Offset() int { return r.off }

// Fail records a failure at the present position.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w at byte %d: %s", ErrMalformed, r.off, fmt.Sprintf(format, args...))
	}
	r.off = len(r.b)
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.off >= len(r.b) {
		r.Fail("unexpected end")
		return 0
	}
	c := r.b[r.off]
	r.off++
	return c
}

// U reads an unsigned LEB128 of at most 64 bits.
func (r *Reader) U() uint64 {
	var v uint64
	for shift := 0; shift < 70; shift += 7 {
		c := r.Byte()
		if shift == 63 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.Fail("LEB128 number exceeds 64 bits")
	return 0
}

// U32 reads an unsigned LEB128 that fits in 32 bits.
func (r *Reader) U32() uint32 {
	v := r.U()
	if v > 0xffffffff {
		r.Fail("number %d exceeds 32 bits", v)
		return 0
	}
	return uint32(v)
}

// S reads a signed LEB128 of at most 64 bits.
func (r *Reader) S() int64 {
	var v int64
	for shift := 0; shift < 70; shift += 7 {
		c := r.Byte()
		if shift == 63 && c != 0 && c != 0x7f {
			break
		}
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if shift < 57 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.Fail("LEB128 number exceeds 64 bits")
	return 0
}

// Bytes reads n bytes, which alias the buffer.
func (r *Reader) Bytes(n uint64) []byte {
	if n > uint64(r.Len()) {
		r.Fail("%d bytes wanted, %d left", n, r.Len())
		return nil
	}
	p := r.b[r.off : r.off+int(n) : r.off+int(n)]
	r.off += int(n)
	return p
}

// Vector reads a length and that many bytes, which alias the buffer.
func (r *Reader) Vector() []byte { return r.Bytes(r.U()) }

// Count reads the length of a vector whose elements take at least min bytes
// each, so that a false length can't make the caller allocate more than a
// multiple of the input.
func (r *Reader) Count(min int) int {
	n := r.U()
	if n > uint64(r.Len()/min) {
		r.Fail("%d elements announced, %d bytes left", n, r.Len())
		return 0
	}
	return int(n)
}

// Section is a section of a module.
type Section struct {
	ID      byte
	Offset  int // of Content in the module
	Content []byte
}

// Sections splits a module. The contents alias it.
func Sections(module []byte) ([]Section, error) {
	r := NewReader(module)
	if string(r.Bytes(uint64(len(Header)))) != Header {
		return nil, fmt.Errorf("%w at byte 0: no WebAssembly module", ErrMalformed)
	}
	var list []Section
	for r.Len() > 0 {
		id := r.Byte()
		n := r.U()
		at := r.Offset()
		list = append(list, Section{id, at, r.Bytes(n)})
	}
	return list, r.Err()
}

// Custom returns the name and data of a custom section.
func (s Section) Custom() (name string, data []byte, err error) {
	r := NewReader(s.Content)
	name = string(r.Vector())
	data = r.Bytes(uint64(r.Len()))
	return name, data, r.Err()
}
