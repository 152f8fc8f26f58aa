// Package disasm finds the code in an ELF file: which bytes are
// instructions, which functions they make up, and how control flows in them.
// What it misses still runs (an address nobody knew is looked up at run
// time), but slowly, so it aims for everything. It gives no meaning to
// instructions beyond control flow and what bounds a jump table.
package disasm

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/x86"
)

// Program is all code that was found in a file.
type Program struct {
	File  *elf.File
	Funcs []*Func // ascending by Entry
	Stats Stats

	covered []Span
	missed  []Span
	dropped []Span
}

// Func is an entry point and all blocks reachable from it by jumps. Blocks
// that several functions reach are in each of them.
type Func struct {
	Entry  uint64 // vaddr
	Name   string // symbol name, or ""
	Blocks []*Block
	// Blocks[0] is the entry block; the rest ascend by address.

	// AddressTaken: the function can be entered other than by the direct
	// calls and jumps in the program.
	AddressTaken bool

	// Partial: the entry lies in the middle of another function, whose
	// blocks are copied here: a landing pad, a label, a tail that several
	// functions share. The stack is then not as at a function's start.
	Partial bool

	// Piece: a partial one of a function that was divided because of its size. What
	// jumps to it has the function's caller for its own.
	Piece bool

	returns bool // see cutNoReturn
}

// Block is a straight run of instructions, entered at its first and left at
// its last. Blocks may overlap in bytes when code jumps into the middle of
// an instruction (past a lock prefix).
type Block struct {
	Index     int        // in Func.Blocks
	Addr, End uint64     // vaddr, half open
	Insts     []x86.Inst // empty where nothing decodes (Halt) or only to leave (TailCall)
	Term      Term
	Shared    bool // some of it is in other functions too

	reached bool // see cutNoReturn
}

// TermKind is how control leaves a block.
type TermKind uint8

// Kinds of Term. All but Fallthrough and some Halts belong to the block's last
// instruction.
const (
	Fallthrough  TermKind = iota // Succs[0] follows
	Jump                         // Succs[0]
	CondJump                     // Succs[0] if taken, else Succs[1]; also jrcxz, loop
	Ret                          // ret, iret: the address is on the stack
	TailCall                     // goes to Target, the entry of a function, by jmp or by running into it
	CondTail                     // jcc to Target, the entry of a function, else Succs[0]
	IndirectJump                 // jmp r/m; Succs are blocks of this function it may go to
	SwitchJump                   // jmp r/m through the table that Switch describes; Succs are its distinct Targets
	Halt                         // control does not go on; Err says why if it was not meant to
)

// Term is how control leaves a block.
type Term struct {
	Kind   TermKind
	Succs  []*Block // distinct but for a CondJump's
	Target uint64   // vaddr of a function's entry: TailCall, CondTail
	Switch *Switch
	Err    string // Halt: undecodable bytes and the like
}

// Switch is a jump through a table. Targets need not be complete: whoever
// compiles it goes through the real target address when Index is not below
// len(Targets), or where a target is nil.
type Switch struct {
	LoadBlock *Block     // holds the table load
	Load      int        // its index in LoadBlock.Insts; it may be the jmp itself
	Index     x86asm.Reg // index register in the load's memory operand: its 64-bit value *before* the load
	Targets   []*Block   // by index; nil where it is not in this function
	Bounded   bool       // a comparison in front of the jump keeps Index below len(Targets)
}

// Covered gives the file offsets of all bytes that belong to instructions of
// the program for certain, ascending and not touching each other. What only looks like
// code, and is recompiled in case it is, is left out: a program may read it as data.
func (p *Program) Covered() []Span { return p.covered }

// Missed gives the vaddrs in executable sections that are neither
// instructions of the program nor filler, ascending.
func (p *Program) Missed() []Span { return p.missed }

// Dropped gives the part of Missed that was found, but lies behind calls that
// do not return.
func (p *Program) Dropped() []Span { return p.dropped }

// Span is a half-open range of file offsets, or of vaddrs.
type Span struct{ Start, End uint64 }

// Spot is an address where discovery stopped, and why.
type Spot struct {
	Addr   uint64
	Reason string
}

// Stats counts what was found. Sizes are in bytes.
type Stats struct {
	Functions       int
	Instructions    int    // distinct addresses
	CodeBytes       uint64 // belonging to an instruction
	ExecutableBytes uint64 // in executable segments of the file
	Switches        int
	Unresolved      []uint64 // indirect jumps whose targets are not known (many are tail calls), ascending
	Undecodable     []Spot
}

// Drop lets go of the function's instructions.
func (f *Func) Drop() {
	for _, b := range f.Blocks {
		b.Insts = nil
	}
}
