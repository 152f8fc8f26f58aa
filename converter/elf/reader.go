package elf

import "bytes"

// reader reads mapped bytes in order. A read past the end gives zero and sets
// short.
type reader struct {
	f     *File
	at    uint64 // vaddr of b[0]
	b     []byte
	short bool
}

func (r *reader) skip(n uint64) { r.take(n) }

// take splits off the next n bytes.
func (r *reader) take(n uint64) reader {
	if n > uint64(len(r.b)) {
		r.short = true
		n = uint64(len(r.b))
	}
	t := reader{f: r.f, at: r.at, b: r.b[:n], short: r.short}
	r.at += n
	r.b = r.b[n:]
	return t
}

func (r *reader) uint(size uint64) uint64 {
	t := r.take(size)
	v := uint64(0)
	for i, c := range t.b {
		v |= uint64(c) << (8 * i)
	}
	return v
}

func (r *reader) u8() byte    { return byte(r.uint(1)) }
func (r *reader) u32() uint32 { return uint32(r.uint(4)) }

func (r *reader) uleb() uint64 {
	v, _ := r.leb()
	return v
}

func (r *reader) sleb() int64 {
	v, bits := r.leb()
	if bits < 64 && v>>(bits-1) != 0 {
		v |= ^uint64(0) << bits
	}
	return int64(v)
}

// leb reads a LEB128 number and the bits it has.
func (r *reader) leb() (v uint64, bits uint) {
	for {
		c := r.u8()
		if bits < 64 {
			v |= uint64(c&0x7f) << bits
		}
		bits += 7
		if c&0x80 == 0 || r.short {
			return v, bits
		}
	}
}

func (r *reader) cstring() string {
	n := bytes.IndexByte(r.b, 0)
	if n < 0 {
		r.short = true
		return ""
	}
	t := r.take(uint64(n))
	r.skip(1)
	return string(t.b)
}

// pointer reads a pointer in a DWARF encoding. dataRel is the base of
// data-relative ones. Indirect pointers give the address of the pointer.
func (r *reader) pointer(enc byte, dataRel uint64) uint64 {
	at := r.at
	v := r.encoded(enc & 0x0f)
	if v == 0 {
		return 0
	}
	switch enc & 0x70 {
	case 0:
		return v
	case pePCRel:
		return at + v
	case peDataRel:
		return dataRel + v
	}
	r.short = true
	return 0
}

func (r *reader) encoded(format byte) uint64 {
	switch format {
	case peAbsPtr, peUData8, peSData8:
		return r.uint(8)
	case peULEB:
		return r.uleb()
	case peSLEB:
		return uint64(r.sleb())
	case peUData2:
		return r.uint(2)
	case peSData2:
		return uint64(int16(r.uint(2)))
	case peUData4:
		return r.uint(4)
	case peSData4:
		return uint64(int32(r.uint(4)))
	}
	r.short = true
	return 0
}
