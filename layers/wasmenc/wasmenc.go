// Package wasmenc writes the WebAssembly binary format: LEB128 numbers,
// names, sections, and the few instructions that wrappers need. It knows
// nothing of where the code comes from and checks no types. Names and numbers
// are those of the WebAssembly core specification, chapter 5.
package wasmenc

// Header is the magic and version of a binary module (5.5.16).
const Header = "\x00asm\x01\x00\x00\x00"

// Section ids (5.5.2).
const (
	SectionCustom   = 0
	SectionType     = 1
	SectionImport   = 2
	SectionFunction = 3
	SectionTable    = 4
	SectionMemory   = 5
	SectionGlobal   = 6
	SectionExport   = 7
	SectionStart    = 8
	SectionElement  = 9
	SectionCode     = 10
	SectionData     = 11
)

// Kinds of imports and exports (5.5.5).
const (
	KindFunc   = 0
	KindTable  = 1
	KindMemory = 2
	KindGlobal = 3
)

// Opcodes used by wrappers and checked by readers (5.4).
const (
	OpEnd           = 0x0b
	OpReturn        = 0x0f
	OpCall          = 0x10
	OpCallIndirect  = 0x11
	OpReturnCall    = 0x12
	OpLocalGet      = 0x20
	OpGlobalGet     = 0x23
	OpGlobalSet     = 0x24
	OpI32Const      = 0x41
	OpI64Const      = 0x42
	OpI32Add        = 0x6a
	OpI64Add        = 0x7c
	OpI64ExtendI32U = 0xad
	OpPrefixFC      = 0xfc // then FCTableInit …
	FCTableInit     = 12
	TypeFuncForm    = 0x60
	Mutable         = 1
	Immutable       = 0
)

// PaddedLen is the length of a 32-bit LEB128 padded to its longest form.
const PaddedLen = 5

// AppendU appends v as unsigned LEB128.
func AppendU(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendS appends v as signed LEB128. An i32 is sign-extended by the caller.
func AppendS(b []byte, v int64) []byte {
	for {
		c := byte(v) & 0x7f
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// PutPadded writes v as a LEB128 of PaddedLen bytes to the start of b.
func PutPadded(b []byte, v uint32) {
	_ = b[PaddedLen-1]
	for i := range PaddedLen - 1 {
		b[i] = byte(v)&0x7f | 0x80
		v >>= 7
	}
	b[PaddedLen-1] = byte(v)
}

// Padded reads what PutPadded wrote; ok is false when the first PaddedLen
// bytes of b are anything else.
func Padded(b []byte) (v uint32, ok bool) {
	if len(b) < PaddedLen || b[PaddedLen-1] > 0x0f {
		return 0, false
	}
	for i := range PaddedLen - 1 {
		if b[i]&0x80 == 0 {
			return 0, false
		}
		v |= uint32(b[i]&0x7f) << (7 * i)
	}
	return v | uint32(b[PaddedLen-1])<<28, true
}

// AppendPadded appends v as a LEB128 of PaddedLen bytes.
func AppendPadded(b []byte, v uint32) []byte {
	b = append(b, make([]byte, PaddedLen)...)
	PutPadded(b[len(b)-PaddedLen:], v)
	return b
}

// SizeU is the number of bytes that AppendU takes for v.
func SizeU(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// AppendBytes appends a vector of bytes: its length, then p.
func AppendBytes(b, p []byte) []byte { return append(AppendU(b, uint64(len(p))), p...) }

// AppendName appends a name.
func AppendName(b []byte, s string) []byte { return append(AppendU(b, uint64(len(s))), s...) }

// AppendSection appends a section with the given content.
func AppendSection(b []byte, id byte, content []byte) []byte {
	return AppendBytes(append(b, id), content)
}

// AppendCustom appends a custom section.
func AppendCustom(b []byte, name string, content []byte) []byte {
	n := SizeU(uint64(len(name))) + len(name) + len(content)
	b = AppendU(append(b, SectionCustom), uint64(n))
	return append(AppendName(b, name), content...)
}
