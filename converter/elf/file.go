// Package elf reads what recompilation needs from an ELF file: segments,
// entry points, relocations, unwind tables. It is the only user of debug/elf
// and treats its input as hostile: everything is bounded and nothing panics.
// It knows nothing of instructions.
package elf

import (
	"debug/elf"
	"errors"
)

// Reasons why a file cannot be recompiled. Errors of Parse wrap one of them.
var (
	ErrNotELF  = errors.New("not an ELF file")
	ErrMachine = errors.New("not x86-64 Linux")
	ErrNoCode  = errors.New("no executable segment")
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

// File is a parsed ELF. Addresses are vaddrs as the file has them.
type File struct {
	Name     string
	Data     []byte // the whole file
	Type     elf.Type
	Kind     Kind
	Entry    uint64 // 0 if none
	VMin     uint64 // lowest PT_LOAD vaddr rounded down to a page: unit offset 0
	Segments []Segment
	Interp   string
	Soname   string
	BuildID  []byte

	Symbols   []Symbol // function symbols, ascending by address
	Pointers  []Pointer
	FDEs      []FDE    // ascending by Start
	InitFuncs []uint64 // DT_INIT, DT_FINI and the contents of the init and fini arrays
}

// Segment is a PT_LOAD. Filesz ≤ Memsz; Off+Filesz lies within the file.
type Segment struct {
	Vaddr, Off, Filesz, Memsz uint64
	Flags                     elf.ProgFlag
}

// Symbol is a function symbol.
type Symbol struct {
	Name       string
	Addr, Size uint64
	Dynamic    bool // in .dynsym: can be referred to from other files
	IFunc      bool
}

// Pointer is a dynamic relocation whose result points into executable code
// of this file.
type Pointer struct {
	Slot   uint64 // vaddr of the relocated word
	Target uint64 // vaddr of code
}

// FDE is one function's row of .eh_frame.
type FDE struct {
	Start, End  uint64
	LandingPads []uint64 // entered by the unwinder, ascending
}
