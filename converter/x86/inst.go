// Package x86 decodes x86-64 instructions. It wraps golang.org/x/arch's
// decoder with a table for what that decoder gets wrong or does not know, so
// that every instruction compilers emit has at least the right length and an
// Op. It knows nothing of ELF, functions or semantics.
package x86

import "golang.org/x/arch/x86/x86asm"

// Inst is one decoded instruction.
type Inst struct {
	x86asm.Inst
	Addr uint64 // vaddr of the first byte
}

// Next is the vaddr of the byte after the instruction.
func (i *Inst) Next() uint64 { return i.Addr + uint64(i.Len) }
