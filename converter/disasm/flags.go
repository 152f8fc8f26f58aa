package disasm

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

// Flags are not handed on between functions, so that code must not be divided
// where an instruction further on may read them.

// readFlags: Ops besides conditional jumps that read arithmetic flags.
var readFlags = opSet(
	x86asm.ADC, x86asm.SBB, x86asm.RCL, x86asm.RCR, x86asm.LAHF, x86asm.CMC, x86asm.PUSHF, x86asm.PUSHFD, x86asm.PUSHFQ,
	x86asm.LOOPE, x86asm.LOOPNE,
	x86asm.CMOVA, x86asm.CMOVAE, x86asm.CMOVB, x86asm.CMOVBE, x86asm.CMOVE, x86asm.CMOVNE, x86asm.CMOVG, x86asm.CMOVGE,
	x86asm.CMOVL, x86asm.CMOVLE, x86asm.CMOVO, x86asm.CMOVNO, x86asm.CMOVP, x86asm.CMOVNP, x86asm.CMOVS, x86asm.CMOVNS,
	x86asm.SETA, x86asm.SETAE, x86asm.SETB, x86asm.SETBE, x86asm.SETE, x86asm.SETNE, x86asm.SETG, x86asm.SETGE,
	x86asm.SETL, x86asm.SETLE, x86asm.SETO, x86asm.SETNO, x86asm.SETP, x86asm.SETNP, x86asm.SETS, x86asm.SETNS,
	x86asm.FCMOVB, x86asm.FCMOVBE, x86asm.FCMOVE, x86asm.FCMOVNB, x86asm.FCMOVNBE, x86asm.FCMOVNE, x86asm.FCMOVNU, x86asm.FCMOVU,
)

// setFlags: the most usual Ops that set all arithmetic flags, whatever their
// operands.
var setFlags = opSet(
	x86asm.ADD, x86asm.SUB, x86asm.CMP, x86asm.TEST, x86asm.AND, x86asm.OR, x86asm.XOR, x86asm.NEG,
	x86asm.UCOMISD, x86asm.UCOMISS, x86asm.COMISD, x86asm.COMISS, x86asm.MUL, x86asm.IMUL, x86asm.XADD,
)

func opSet(ops ...x86asm.Op) *x86.ByOp[bool] {
	set := new(x86.ByOp[bool])
	for _, op := range ops {
		set[op] = true
	}
	return set
}

// flagLimit bounds the instructions that flagsLive looks at.
const flagLimit = 64

// flagsLive reports whether an instruction at addr or further on may read
// flags that were set before it.
func (d *discovery) flagsLive(addr uint64) bool {
	seen := &d.visited
	seen.clear()
	work := []uint64{addr}
	for len(work) > 0 {
		a := work[len(work)-1]
		work = work[:len(work)-1]
		for !seen.has(a) {
			f, next := d.at(a)
			in, err := d.inst(a)
			if f == flowBad || err != nil || setFlags[in.Op] {
				break
			}
			if seen.set(a, struct{}{}); len(seen.addrs) > flagLimit || readFlags[in.Op] || readsFlags(f, in.Op) {
				return true
			}
			if f&flowKind == flowJump || f&flowKind == flowCond {
				work = append(work, d.target(a))
			}
			if f.isCall() || !d.fallsThrough(f, next) {
				break
			}
			a = next
		}
	}
	return false
}

// readsFlags: all conditional jumps but those that look at rcx.
func readsFlags(f flow, op x86asm.Op) bool {
	return f&flowKind == flowCond && op != x86asm.JRCXZ && op != x86asm.JECXZ && op != x86asm.LOOP
}
