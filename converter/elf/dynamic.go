package elf

import (
	"debug/elf"
	"encoding/binary"
)

const (
	symSize  = 24
	relaSize = 24
	// A hostile table may claim any size; the mapped bytes bound it.
	maxRelocations = 1 << 24
)

// readSymtab reads function symbols of .symtab, if the file has one.
func (f *File) readSymtab(ef *elf.File) {
	syms, err := ef.Symbols()
	if err != nil {
		return // stripped, or broken: the symbols are a hint
	}
	for _, s := range syms {
		if s.Section != elf.SHN_UNDEF {
			f.addSymbol(s.Name, s.Info, s.Value, s.Size, false)
		}
	}
}

// FunctionSymbols gives the function symbols of a file's .symtab. The file may
// be one that has nothing but symbols; errors give none.
func FunctionSymbols(data []byte) []Symbol {
	ef, err := open(data)
	if err != nil {
		return nil
	}
	f := &File{Data: data}
	f.readSymtab(ef)
	return f.Symbols
}

func (f *File) addSymbol(name string, info byte, value, size uint64, dynamic bool) {
	switch t := elf.ST_TYPE(info); t {
	case elf.STT_FUNC, elf.STT_GNU_IFUNC:
		f.Symbols = append(f.Symbols, Symbol{name, value, size, dynamic, t == elf.STT_GNU_IFUNC})
	}
}

// dynamic is PT_DYNAMIC, read as ld.so reads it: through vaddrs.
type dynamic struct {
	f    *File
	tags map[elf.DynTag]uint64
}

func (f *File) readDynamic(ef *elf.File) {
	p := progOf(ef, elf.PT_DYNAMIC)
	if p == nil {
		return
	}
	d := dynamic{f, map[elf.DynTag]uint64{}}
	for b := f.Bytes(p.Vaddr); len(b) >= 16; b = b[16:] {
		tag := elf.DynTag(le.Uint64(b))
		if tag == elf.DT_NULL {
			break
		}
		if tag == elf.DT_NEEDED {
			f.imports = true
		}
		d.tags[tag] = le.Uint64(b[8:])
	}
	if name, ok := d.tags[elf.DT_SONAME]; ok {
		f.Soname = d.str(name)
	}
	d.readSymbols()
	d.readRela(elf.DT_RELA, elf.DT_RELASZ)
	d.readRela(elf.DT_JMPREL, elf.DT_PLTRELSZ)
	d.readRelr()
	d.readInit()
}

// table gives the bytes of a table named by an address and a size tag.
func (d *dynamic) table(addr, size elf.DynTag) []byte {
	a, ok := d.tags[addr]
	if !ok {
		return nil
	}
	b := d.f.Bytes(a)
	return b[:min(d.tags[size], uint64(len(b)))]
}

func (d *dynamic) str(off uint64) string {
	tab := d.f.Bytes(d.tags[elf.DT_STRTAB])
	if off >= uint64(len(tab)) {
		return ""
	}
	tab = tab[off:min(off+1<<16, uint64(len(tab)))]
	for i, c := range tab {
		if c == 0 {
			return string(tab[:i])
		}
	}
	return ""
}

// symbol gives entry i of the dynamic symbol table.
func (d *dynamic) symbol(i uint64) (sym elf.Sym64, ok bool) {
	a, ok := d.tags[elf.DT_SYMTAB]
	b := d.f.Bytes(a)
	if !ok || i >= uint64(len(b))/symSize {
		return sym, false
	}
	b = b[i*symSize:]
	return elf.Sym64{
		Name: le.Uint32(b), Info: b[4], Other: b[5], Shndx: le.Uint16(b[6:]),
		Value: le.Uint64(b[8:]), Size: le.Uint64(b[16:]),
	}, true
}

func (d *dynamic) readSymbols() {
	for i, n := uint64(1), d.symbolCount(); i < n; i++ {
		s, ok := d.symbol(i)
		if !ok {
			return
		}
		if s.Shndx != uint16(elf.SHN_UNDEF) {
			d.f.addSymbol(d.str(uint64(s.Name)), s.Info, s.Value, s.Size, true)
		}
	}
}

// symbolCount comes from the hash table, as nothing else states it: the
// string table usually follows the symbol table, but that is a custom.
func (d *dynamic) symbolCount() uint64 {
	if a, ok := d.tags[elf.DT_HASH]; ok {
		if b := d.f.Bytes(a); len(b) >= 8 {
			return uint64(le.Uint32(b[4:])) // nchain
		}
	}
	if a, ok := d.tags[elf.DT_GNU_HASH]; ok {
		return gnuHashCount(d.f.Bytes(a))
	}
	return 0
}

// gnuHashCount walks the chain that holds the highest symbol index.
func gnuHashCount(b []byte) uint64 {
	if len(b) < 16 {
		return 0
	}
	buckets, first, bloom := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))
	at := 16 + bloom*8
	chains := at + buckets*4
	if chains > uint64(len(b)) {
		return 0
	}
	last := uint64(0)
	for i := range buckets {
		last = max(last, uint64(le.Uint32(b[at+i*4:])))
	}
	if last < first {
		return first
	}
	for i := chains + (last-first)*4; i+4 <= uint64(len(b)); i += 4 {
		last++
		if le.Uint32(b[i:])&1 != 0 {
			return last
		}
	}
	return 0
}

func (d *dynamic) readRela(addr, size elf.DynTag) {
	n := 0
	for b := d.table(addr, size); len(b) >= relaSize && n < maxRelocations; b = b[relaSize:] {
		d.relocation(le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:]))
		n++
	}
}

func (d *dynamic) relocation(slot, info, addend uint64) {
	f := d.f
	switch t := elf.R_X86_64(info & 0xffffffff); t {
	case elf.R_X86_64_RELATIVE, elf.R_X86_64_IRELATIVE:
		f.addPointer(slot, addend)
	case elf.R_X86_64_GLOB_DAT, elf.R_X86_64_JMP_SLOT, elf.R_X86_64_64:
		s, ok := d.symbol(info >> 32)
		if !ok {
			return
		}
		if s.Shndx != uint16(elf.SHN_UNDEF) {
			f.addPointer(slot, s.Value+addend)
		} else {
			f.Imports[slot] = d.str(uint64(s.Name))
		}
		if b := f.Bytes(slot); t == elf.R_X86_64_JMP_SLOT && len(b) >= 8 {
			f.addPointer(slot, le.Uint64(b)) // for lazy binding it points into .plt
		}
	}
}

func (f *File) addPointer(slot, target uint64) {
	if f.IsCode(target) {
		f.Pointers = append(f.Pointers, Pointer{Slot: slot, Target: target})
	}
}

// readRelr decodes packed relative relocations: an even word is an address,
// an odd one a bitmap of the 63 words that follow.
func (d *dynamic) readRelr() {
	const (
		dtRelrSz = elf.DynTag(35)
		dtRelr   = elf.DynTag(36)
	)
	slot := uint64(0)
	for b := d.table(dtRelr, dtRelrSz); len(b) >= 8; b = b[8:] {
		w := le.Uint64(b)
		if w&1 == 0 {
			d.relative(w)
			slot = w + 8
			continue
		}
		for i := uint64(0); i < 63; i++ {
			if w>>(i+1)&1 != 0 {
				d.relative(slot + 8*i)
			}
		}
		slot += 63 * 8
	}
}

func (d *dynamic) relative(slot uint64) {
	if b := d.f.Bytes(slot); len(b) >= 8 {
		d.f.addPointer(slot, le.Uint64(b))
	}
}

func (d *dynamic) readInit() {
	for _, tag := range []elf.DynTag{elf.DT_INIT, elf.DT_FINI} {
		if a, ok := d.tags[tag]; ok {
			d.f.InitFuncs = append(d.f.InitFuncs, a)
		}
	}
	for _, t := range [][2]elf.DynTag{
		{elf.DT_INIT_ARRAY, elf.DT_INIT_ARRAYSZ},
		{elf.DT_FINI_ARRAY, elf.DT_FINI_ARRAYSZ},
		{elf.DT_PREINIT_ARRAY, elf.DT_PREINIT_ARRAYSZ},
	} {
		for b := d.table(t[0], t[1]); len(b) >= 8; b = b[8:] {
			if a := le.Uint64(b); d.f.IsCode(a) {
				d.f.InitFuncs = append(d.f.InitFuncs, a)
			}
		}
	}
}

// guessPointers scans the data of a file that is linked to a fixed address,
// whose pointers have no relocations.
func (f *File) guessPointers() {
	if f.Type != elf.ET_EXEC {
		return
	}
	for i := range f.Segments {
		s := &f.Segments[i]
		if s.Executable() {
			continue
		}
		start := roundUp(s.Vaddr, 8)
		for b, a := f.Bytes(start), start; len(b) >= 8; b, a = b[8:], a+8 {
			if w := binary.LittleEndian.Uint64(b); w != 0 && f.IsCode(w) {
				f.Pointers = append(f.Pointers, Pointer{a, w, true})
			}
		}
	}
}
