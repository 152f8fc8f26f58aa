// Package elf reads what recompilation needs from an ELF file: segments,
// entry points, relocations, unwind tables. It is the only user of debug/elf
// and treats its input as hostile: everything is bounded and nothing panics.
// It knows nothing of instructions.
//
// Sources: System V ABI (gABI, x86-64 psABI), LSB 5.0 for .eh_frame.
package elf

import (
	"debug/elf"
	"errors"
)

// Reasons why a file cannot be recompiled. Errors of Parse wrap one of them.
var (
	ErrNotELF  = errors.New("not an ELF file")
	ErrMachine = errors.New("not x86-64 Linux code")
	ErrNoCode  = errors.New("no executable code")
	ErrBroken  = errors.New("broken ELF file")
)

// Kind says how a file comes to run.
type Kind uint8

// Kinds, numbered as in a unit's metadata.
const (
	Executable Kind = iota
	Loader          // the dynamic loader
	Library
)

func (k Kind) String() string { return [...]string{"executable", "loader", "library"}[k] }

// PageSize is the size of the pages that segments are mapped in.
const PageSize = 0x1000

// MaxAddress bounds vaddrs: units are mapped below 4 GiB.
const MaxAddress = 1 << 32

// File is a parsed ELF. Addresses are vaddrs as the file has them.
type File struct {
	Name     string
	Data     []byte // the whole file
	Type     elf.Type
	Kind     Kind
	Entry    uint64 // 0 if none
	VMin     uint64 // lowest PT_LOAD vaddr rounded down to a page: unit offset 0
	Segments []Segment
	relro    Span      // PT_GNU_RELRO: read-only once relocated
	Sections []Section // ascending by address; empty if the file has no section headers
	Interp   string
	Soname   string
	BuildID  []byte

	Symbols   []Symbol // function symbols with an address in code, ascending by address
	Pointers  []Pointer
	Imports   map[uint64]string // GOT slot → name of the undefined symbol it will point to
	FDEs      []FDE             // ascending by Start, no two with the same Start
	GoFuncs   []GoFunc          // of Go's function table, ascending by Start
	InitFuncs []uint64          // DT_INIT, DT_FINI and the contents of the init and fini arrays

	imports bool // has DT_NEEDED
}

// Segment is a PT_LOAD. Filesz ≤ Memsz; Off+Filesz lies within the file.
type Segment struct {
	Vaddr, Off, Filesz, Memsz uint64
	Flags                     elf.ProgFlag
}

// Executable reports whether the segment is mapped executable.
func (s *Segment) Executable() bool { return s.Flags&elf.PF_X != 0 }

// Section is a section that is loaded from the file.
type Section struct {
	Name       string
	Addr, Size uint64
	Executable bool
}

// Symbol is a function symbol.
type Symbol struct {
	Name       string
	Addr, Size uint64
	Dynamic    bool // in .dynsym: other files can refer to it
	IFunc      bool
}

// Pointer is a word of data that holds the address of code of this file once
// the file is loaded.
type Pointer struct {
	Slot   uint64 // vaddr of the word
	Target uint64 // vaddr of code
	Guess  bool   // no relocation says so: an aligned word of a non-PIE file with such a value
}

// FDE is one function's row of .eh_frame.
type FDE struct {
	Start, End  uint64
	CFAOffset   int64    // CFA − rsp at Start; 8 at a function's entry, 0 if not rsp-based
	LandingPads []uint64 // entered by the unwinder, ascending
}

// GoFunc is one function of Go's function table.
type GoFunc struct {
	Start, End uint64
	// Pads are addresses in the function where the runtime enters it: the call of
	// deferreturn, after a recovered panic.
	Pads   []uint64
	depths []byte // where the table of Depth starts; nil if there is none
}

// Span is the file-backed part of a segment.
type Span struct{ Vaddr, Off, Size uint64 }

// ExecutableSpans gives the executable spans, ascending by vaddr.
func (f *File) ExecutableSpans() []Span {
	var spans []Span
	for _, s := range f.Segments {
		if s.Executable() && s.Filesz > 0 {
			spans = append(spans, Span{s.Vaddr, s.Off, s.Filesz})
		}
	}
	return spans
}

// IsCode reports whether addr lies in the file-backed part of an executable
// segment.
func (f *File) IsCode(addr uint64) bool {
	s := f.segment(addr)
	return s != nil && s.Executable()
}

// Bytes gives the file's bytes at vaddr addr up to the end of their segment,
// or nil if there are none.
func (f *File) Bytes(addr uint64) []byte {
	s := f.segment(addr)
	if s == nil {
		return nil
	}
	return f.Data[s.Off+(addr-s.Vaddr) : s.Off+s.Filesz]
}

// ReadOnly reports whether the byte at addr cannot change once the file is
// loaded and relocated.
func (f *File) ReadOnly(addr uint64) bool {
	s := f.segment(addr)
	return s != nil && (s.Flags&elf.PF_W == 0 || addr-f.relro.Vaddr < f.relro.Size)
}

// Section gives the section that holds addr, or nil.
func (f *File) Section(addr uint64) *Section {
	for i := range f.Sections {
		if s := &f.Sections[i]; addr-s.Addr < s.Size {
			return s
		}
	}
	return nil
}

// segment finds the segment whose file-backed part holds addr.
func (f *File) segment(addr uint64) *Segment {
	for i := range f.Segments {
		if s := &f.Segments[i]; addr-s.Vaddr < s.Filesz {
			return s
		}
	}
	return nil
}

// Fixed tells whether the file is linked to a fixed address.
func (f *File) Fixed() bool { return f.Type == Exec }

// Exec is the Type of a file that is linked to a fixed address.
const Exec = elf.ET_EXEC
