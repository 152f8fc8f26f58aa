// Package x86 decodes x86-64 instructions. It wraps golang.org/x/arch's
// decoder with a length scanner of its own and a table for what that decoder
// gets wrong or does not know, so that every instruction compilers emit has
// the right length and an Op. It knows nothing of ELF, functions or semantics.
//
// Source: Intel SDM volume 2, appendix A (opcode maps).
package x86

import (
	"errors"
	"fmt"

	"golang.org/x/arch/x86/x86asm"
)

// Errors of Decode.
var (
	ErrTruncated = errors.New("truncated instruction")
	ErrUnknown   = errors.New("unknown opcode")
)

// MaxLen is the longest instruction in bytes.
const MaxLen = 15

// Inst is one decoded instruction. What its bytes say is shared by all
// instructions of the same bytes, and not to be changed.
type Inst struct {
	*x86asm.Inst
	Addr uint64 // vaddr of the first byte
}

// Next is the vaddr of the byte after the instruction.
func (i *Inst) Next() uint64 { return i.Addr + uint64(i.Len) }

// Repeats reports whether i is a string instruction that is done rcx times
// (SDM volume 1, 7.3.9.2).
func (i *Inst) Repeats() bool {
	switch i.Op {
	case x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSD, x86asm.MOVSQ, x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ,
		x86asm.LODSB, x86asm.LODSW, x86asm.LODSD, x86asm.LODSQ, x86asm.SCASB, x86asm.SCASW, x86asm.SCASD, x86asm.SCASQ,
		x86asm.CMPSB, x86asm.CMPSW, x86asm.CMPSD, x86asm.CMPSQ:
		return i.HasPrefix(x86asm.PrefixREP) || i.HasPrefix(x86asm.PrefixREPN)
	}
	return false
}

// HasPrefix reports whether prefix p is in force.
func (i *Inst) HasPrefix(p x86asm.Prefix) bool {
	for _, q := range i.Prefix {
		if q == 0 {
			return false
		}
		if q&0xff == p&0xff && q&x86asm.PrefixIgnored == 0 {
			return true
		}
	}
	return false
}

// Decode decodes the instruction at the start of code, which lies at vaddr
// pc. Instructions whose Op is one of this package's constants have no Args.
// Mem.Disp is the displacement as a signed number (a 64-bit address for moffs).
func Decode(code []byte, pc uint64) (Inst, error) {
	var d Decoder
	return d.Decode(code, pc)
}

// decode decodes code, whose layout is l; nil if there is no such instruction.
func decode(code []byte, l *layout) *x86asm.Inst {
	switch op := gapOp(l); {
	case op == 0:
	case op == undefined || l.lock:
		return nil
	default:
		return own(op, l)
	}
	in, err := x86asm.Decode(canonical(code, l), 64)
	if err != nil || in.Op == 0 || in.Len != l.length || l.lock && !takesLock(&in) {
		return nil
	}
	if !l.hasMoffs() {
		signExtend(&in)
	}
	return &in
}

// lockable are the instructions that take a lock prefix, with a destination
// in memory; others are #UD (SDM volume 2, LOCK).
var lockable = map[x86asm.Op]bool{
	x86asm.ADD: true, x86asm.ADC: true, x86asm.AND: true, x86asm.BTC: true, x86asm.BTR: true, x86asm.BTS: true, x86asm.CMPXCHG: true, x86asm.CMPXCHG8B: true, x86asm.CMPXCHG16B: true,
	x86asm.DEC: true, x86asm.INC: true, x86asm.NEG: true, x86asm.NOT: true, x86asm.OR: true, x86asm.SBB: true, x86asm.SUB: true, x86asm.XOR: true, x86asm.XADD: true, x86asm.XCHG: true,
}

func takesLock(in *x86asm.Inst) bool {
	_, mem := in.Args[0].(x86asm.Mem)
	return mem && lockable[in.Op]
}

// signExtend sign-extends 32-bit displacements, which x86asm leaves
// zero-extended.
func signExtend(in *x86asm.Inst) {
	for i, a := range in.Args {
		if m, ok := a.(x86asm.Mem); ok && m.Disp != int64(int32(m.Disp)) {
			m.Disp = int64(int32(m.Disp))
			in.Args[i] = m
		}
	}
}

// own makes the Inst of an Op that x86asm does not have.
func own(op x86asm.Op, l *layout) *x86asm.Inst {
	return &x86asm.Inst{Op: op, Len: l.length, Mode: 64, AddrSize: 64, DataSize: 32}
}

func describe(err error, code []byte, pc uint64) error {
	if len(code) > 8 {
		code = code[:8]
	}
	return fmt.Errorf("%w at %#x: % x", err, pc, code)
}
