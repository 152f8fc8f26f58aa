package elf

import "encoding/binary"

// Go's function table (runtime.pclntab, "Go 1.2 Runtime Symbol Information"):
// the only thing in a stripped Go file that lists its functions, as Go files
// have no unwind tables. The header is
//
//	magic u32, 0, 0, quantum u8 (1), pointer size u8 (8)
//	number of functions, number of files
//	text start (not stored since Go 1.25: 0), offsets of name, cu, file, pc and function tables
//
// all of pointer size, in the layout of Go 1.18; before it there was no text
// start (Go 1.16), or only the number of functions in front of the function
// table (Go 1.2). A row of the function table is a function's entry and the
// offset of its metadata, 4 bytes each since Go 1.18 and relative to the text's
// start, else 8 bytes each. The metadata begins with the entry, in as many bytes, then come 8 more, the
// offset from the entry of the call of deferreturn or 0, and the offset in the pc table of how deep the stack is at which instruction: pairs of
// differences in value (zigzag) and address, as variable-length integers.
//
// Source: Go's debug/gosym, src/internal/abi/symtab.go.
type pclntab struct {
	magic   uint32
	text    int // index of the text's start among the header's words, or -1
	table   int // index of the function table's offset, or -1: behind the words
	pc      int // index of the pc table's offset, or -1: the header's start
	row     uint64
	entries uint64 // bytes of an entry
}

var pclntabs = []pclntab{
	{0xfffffff1, 2, 7, 6, 8, 4}, // Go 1.20
	{0xfffffff0, 2, 7, 6, 8, 4}, // Go 1.18
	{0xfffffffa, -1, 6, 5, 16, 8},
	{0xfffffffb, -1, -1, -1, 16, 8},
}

const (
	pclntabHead  = 8 // bytes before the words
	maxGoFuncs   = 1 << 22
	maxGoHeaders = 16 // words
)

// readGoFuncs finds the function table, by its section or else by its magic
// at an aligned address of read-only data.
func (f *File) readGoFuncs() {
	for i := range f.Sections {
		if s := &f.Sections[i]; s.Name == ".gopclntab" || s.Name == ".data.rel.ro.gopclntab" {
			f.goFuncsAt(s.Addr)
			return
		}
	}
	if len(f.Sections) > 0 {
		return
	}
	for i := range f.Segments {
		s := &f.Segments[i]
		for a := roundUp(s.Vaddr, 32); a-s.Vaddr < s.Filesz && len(f.GoFuncs) == 0; a += 32 {
			f.goFuncsAt(a)
		}
	}
}

// goFuncsAt reads the table at addr, if there is one.
func (f *File) goFuncsAt(addr uint64) {
	b := f.Bytes(addr)
	if len(b) < pclntabHead+maxGoHeaders*8 || b[4] != 0 || b[5] != 0 || b[6] != 1 || b[7] != 8 {
		return
	}
	for i := range pclntabs {
		if t := &pclntabs[i]; t.magic == le.Uint32(b) {
			f.GoFuncs = t.read(f, addr, b)
		}
	}
}

func (t *pclntab) read(f *File, addr uint64, b []byte) []GoFunc {
	word := func(i int) uint64 { return le.Uint64(b[pclntabHead+8*i:]) }
	n, base, at := word(0), uint64(0), uint64(pclntabHead+8)
	if t.table >= 0 {
		at = word(t.table)
	}
	if t.text >= 0 {
		base = f.goText(addr+pclntabHead+8*uint64(t.text), word(t.text))
	}
	if n > maxGoFuncs || at > uint64(len(b)) || (n+1)*t.row > uint64(len(b))-at {
		return nil
	}
	field := func(i uint64, second uint64) uint64 {
		row := b[at+i*t.row:]
		if t.entries == 4 {
			return uint64(le.Uint32(row[4*second:]))
		}
		return le.Uint64(row[8*second:])
	}
	var funcs []GoFunc
	for i := range n {
		g := GoFunc{Start: base + field(i, 0), End: base + field(i+1, 0)}
		if g.Start < g.End && f.IsCode(g.Start) && f.IsCode(g.End-1) {
			t.describe(&g, b, field(i, 1))
			funcs = append(funcs, g)
		}
	}
	return funcs
}

// describe adds what the function's metadata at off tells.
func (t *pclntab) describe(g *GoFunc, b []byte, off uint64) {
	word := func(i int) uint64 {
		if i < 0 {
			return 0
		}
		return le.Uint64(b[pclntabHead+8*i:])
	}
	size := uint64(len(b))
	at, table := word(t.table)+off, word(t.pc)
	if off >= size || at >= size || size-at < t.entries+16 || table >= size {
		return
	}
	if pad := g.Start + uint64(le.Uint32(b[at+t.entries+8:])); g.Start < pad && pad < g.End {
		g.Pads = []uint64{pad}
	}
	if pcsp := uint64(le.Uint32(b[at+t.entries+12:])); pcsp != 0 && pcsp < size-table {
		g.depths = b[table+pcsp:]
	}
}

// Depth is how many bytes the function has on the stack, but for its return
// address, in front of the instruction at addr.
func (g *GoFunc) Depth(addr uint64) (depth int, ok bool) {
	depth = -1
	pc, b := g.Start, g.depths
	for first := true; pc <= addr; first = false {
		change, n := binary.Uvarint(b)
		if n <= 0 || change == 0 && !first {
			return 0, false
		}
		length, m := binary.Uvarint(b[n:])
		if m <= 0 || length > g.End-pc {
			return 0, false
		}
		depth += int(change>>1) ^ -int(change&1)
		pc, b = pc+length, b[n+m:]
	}
	return depth, true
}

// goText is the start of Go's text, stored in the word at slot: itself, or by
// a relocation, or (since Go 1.25) not at all: then the section tells.
func (f *File) goText(slot, stored uint64) uint64 {
	for i := range f.Pointers {
		if f.Pointers[i].Slot == slot {
			return f.Pointers[i].Target
		}
	}
	if stored != 0 {
		return stored
	}
	for i := range f.Sections {
		if f.Sections[i].Name == ".text" {
			return f.Sections[i].Addr
		}
	}
	return 0
}
