package elf

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

var le = binary.LittleEndian

const headerSize = 64 // of ELFCLASS64

// Parse reads an ELF file. name is for error messages. The File refers to
// data. Errors wrap ErrNotELF, ErrMachine, ErrNoCode or ErrBroken.
func Parse(name string, data []byte) (*File, error) {
	f := &File{Name: name, Data: data, Imports: map[uint64]string{}}
	if err := f.parse(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

func (f *File) parse() error {
	if err := checkHeader(f.Data); err != nil {
		return err
	}
	ef, err := open(f.Data)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrBroken, err)
	}
	f.Type, f.Entry = ef.Type, ef.Entry
	if err := f.readSegments(ef); err != nil {
		return err
	}
	f.readSections(ef)
	f.readInterp(ef)
	f.readNotes(ef)
	f.readSymtab(ef)
	f.readDynamic(ef)
	f.readUnwind(ef)
	f.readGoFuncs()
	f.guessPointers()
	f.normalise()
	f.Kind = f.kind()
	return nil
}

func checkHeader(data []byte) error {
	switch {
	case len(data) < 4 || string(data[:4]) != elf.ELFMAG:
		return ErrNotELF
	case len(data) < headerSize:
		return fmt.Errorf("%w: header ends at byte %d", ErrBroken, len(data))
	case elf.Class(data[elf.EI_CLASS]) != elf.ELFCLASS64:
		return fmt.Errorf("%w: %v", ErrMachine, elf.Class(data[elf.EI_CLASS]))
	case elf.Data(data[elf.EI_DATA]) != elf.ELFDATA2LSB:
		return fmt.Errorf("%w: %v", ErrMachine, elf.Data(data[elf.EI_DATA]))
	}
	if m := elf.Machine(le.Uint16(data[18:])); m != elf.EM_X86_64 {
		return fmt.Errorf("%w: %v", ErrMachine, m)
	}
	if t := elf.Type(le.Uint16(data[16:])); t != elf.ET_EXEC && t != elf.ET_DYN {
		return fmt.Errorf("%w: %v is neither an executable nor a shared object", ErrNoCode, t)
	}
	return nil
}

// open parses with debug/elf. The kernel and ld.so do not look at section
// headers, so when those are broken the file is read as if it had none.
func open(data []byte) (*elf.File, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err == nil {
		return f, nil
	}
	head := bytes.Clone(data[:headerSize])
	le.PutUint64(head[40:], 0)          // e_shoff
	copy(head[60:], []byte{0, 0, 0, 0}) // e_shnum, e_shstrndx
	return elf.NewFile(overlay{head, data})
}

// overlay reads data with its first bytes replaced by head.
type overlay struct{ head, data []byte }

func (o overlay) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(o.data).ReadAt(p, off)
	if off >= 0 && off < int64(len(o.head)) {
		copy(p[:n], o.head[off:])
	}
	return n, err
}

var _ io.ReaderAt = overlay{}

func (f *File) readSegments(ef *elf.File) error {
	end := uint64(0)
	for i, p := range ef.Progs {
		if p.Type != elf.PT_LOAD || p.Memsz == 0 {
			continue
		}
		s := Segment{p.Vaddr, p.Off, p.Filesz, p.Memsz, p.Flags}
		if err := f.checkSegment(&s, end); err != nil {
			return fmt.Errorf("%w: program header %d: %v", ErrBroken, i, err)
		}
		end = s.Vaddr + s.Memsz
		f.Segments = append(f.Segments, s)
	}
	if len(f.ExecutableSpans()) == 0 {
		return ErrNoCode
	}
	if p := progOf(ef, elf.PT_GNU_RELRO); p != nil {
		f.relro = Span{p.Vaddr, p.Off, p.Filesz}
	}
	f.VMin = f.Segments[0].Vaddr &^ (PageSize - 1)
	return nil
}

func (f *File) checkSegment(s *Segment, end uint64) error {
	size := uint64(len(f.Data))
	switch {
	case s.Filesz > s.Memsz:
		return fmt.Errorf("file size %#x is above memory size %#x", s.Filesz, s.Memsz)
	case s.Off > size || s.Filesz > size-s.Off:
		return fmt.Errorf("bytes %#x+%#x lie past the file's end %#x", s.Off, s.Filesz, size)
	case s.Vaddr >= MaxAddress || s.Memsz > MaxAddress-s.Vaddr:
		return fmt.Errorf("vaddr %#x+%#x is above 4 GiB", s.Vaddr, s.Memsz)
	case s.Vaddr < end:
		return fmt.Errorf("vaddr %#x overlaps or precedes the segment before", s.Vaddr)
	}
	return nil
}

func (f *File) readSections(ef *elf.File) {
	for _, s := range ef.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || s.Type == elf.SHT_NOBITS || s.Size == 0 {
			continue
		}
		if uint64(len(f.Bytes(s.Addr))) < s.Size {
			continue
		}
		f.Sections = append(f.Sections, Section{s.Name, s.Addr, s.Size, s.Flags&elf.SHF_EXECINSTR != 0})
	}
	slices.SortStableFunc(f.Sections, func(a, b Section) int { return cmp.Compare(a.Addr, b.Addr) })
}

func (f *File) readInterp(ef *elf.File) {
	if p := progOf(ef, elf.PT_INTERP); p != nil && p.Filesz < PageSize {
		if b := f.fileBytes(p); b != nil {
			f.Interp = string(bytes.TrimRight(b, "\x00"))
		}
	}
}

func progOf(ef *elf.File, t elf.ProgType) *elf.Prog {
	for _, p := range ef.Progs {
		if p.Type == t {
			return p
		}
	}
	return nil
}

// fileBytes gives a program header's bytes, or nil if the file is too short.
func (f *File) fileBytes(p *elf.Prog) []byte {
	if size := uint64(len(f.Data)); p.Off > size || p.Filesz > size-p.Off {
		return nil
	}
	return f.Data[p.Off : p.Off+p.Filesz]
}

const noteGNUBuildID = 3

// readNotes finds the build-id.
func (f *File) readNotes(ef *elf.File) {
	for _, p := range ef.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		align := uint64(4)
		if p.Align == 8 {
			align = 8
		}
		for b := f.fileBytes(p); len(b) >= 12; {
			name, desc, kind := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
			descAt := roundUp(12+name, align)
			if descAt+desc > uint64(len(b)) {
				break
			}
			if kind == noteGNUBuildID && string(b[12:12+name]) == "GNU\x00" {
				f.BuildID = b[descAt : descAt+desc]
			}
			b = b[min(roundUp(descAt+desc, align), uint64(len(b))):]
		}
	}
}

func roundUp(n, align uint64) uint64 { return (n + align - 1) &^ (align - 1) }

// kind: a loader has no interpreter and calls itself ld.so; other shared
// objects without an interpreter or an own name are static PIEs.
func (f *File) kind() Kind {
	switch {
	case f.Interp == "" && isLoaderName(f.Soname):
		return Loader
	case f.Type == elf.ET_EXEC || f.Interp != "" && f.Soname == "":
		return Executable
	case f.Soname == "" && f.Entry != 0 && f.IsCode(f.Entry) && !f.imports:
		return Executable
	}
	return Library
}

func isLoaderName(soname string) bool {
	return strings.HasPrefix(soname, "ld-linux") || strings.HasPrefix(soname, "ld-musl") || strings.HasPrefix(soname, "ld.so") ||
		strings.HasPrefix(soname, "ld64.so")
}

// normalise sorts and drops what does not point into code.
func (f *File) normalise() {
	if !f.IsCode(f.Entry) {
		f.Entry = 0
	}
	f.Symbols = slices.DeleteFunc(f.Symbols, func(s Symbol) bool { return !f.IsCode(s.Addr) })
	slices.SortStableFunc(f.Symbols, func(a, b Symbol) int { return cmp.Compare(a.Addr, b.Addr) })
	f.Pointers = slices.DeleteFunc(f.Pointers, func(p Pointer) bool { return !f.IsCode(p.Target) })
	slices.SortStableFunc(f.Pointers, func(a, b Pointer) int { return cmp.Compare(a.Slot, b.Slot) })
	f.InitFuncs = slices.DeleteFunc(f.InitFuncs, func(a uint64) bool { return !f.IsCode(a) })
	slices.SortStableFunc(f.GoFuncs, func(a, b GoFunc) int { return cmp.Compare(a.Start, b.Start) })
	f.FDEs = slices.DeleteFunc(f.FDEs, func(d FDE) bool { return d.End <= d.Start || !f.IsCode(d.Start) || !f.IsCode(d.End-1) })
	slices.SortStableFunc(f.FDEs, func(a, b FDE) int { return cmp.Compare(a.Start, b.Start) })
	f.FDEs = slices.CompactFunc(f.FDEs, func(a, b FDE) bool { return a.Start == b.Start })
}
