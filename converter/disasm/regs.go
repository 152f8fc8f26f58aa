package disasm

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

// regSet is a set of general registers, bit n for register number n.
type regSet uint16

const (
	setRAX regSet = 1 << iota
	setRCX
	setRDX
	setRBX
	setRSP
	setRBP
	setRSI
	setRDI
)

const (
	noReg = -1
	rsp   = 4
)

// regNumber is the number (0 rax … 15 r15) of the general register that r is
// or is a part of, and r's width in bits.
func regNumber(r x86asm.Reg) (n, bits int) {
	switch {
	case r >= x86asm.RAX && r <= x86asm.R15:
		return int(r - x86asm.RAX), 64
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return int(r - x86asm.EAX), 32
	case r >= x86asm.AX && r <= x86asm.R15W:
		return int(r - x86asm.AX), 16
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return int(r-x86asm.SPB) + 4, 8
	case r >= x86asm.AH && r <= x86asm.BH:
		return int(r - x86asm.AH), 8
	case r >= x86asm.AL && r <= x86asm.BL:
		return int(r - x86asm.AL), 8
	}
	return noReg, 0
}

// readsOnly: Ops whose first operand is not written.
var readsOnly = opSet(
	x86asm.CMP, x86asm.TEST, x86asm.PUSH, x86asm.NOP, x86asm.BT, x86asm.JMP, x86asm.CALL, x86asm.MUL, x86asm.DIV, x86asm.IDIV,
)

// implied: registers that Ops write without naming them.
var implied = x86.NewByOp(map[x86asm.Op]regSet{
	x86asm.MUL: setRAX | setRDX, x86asm.DIV: setRAX | setRDX, x86asm.IDIV: setRAX | setRDX, x86asm.IMUL: setRAX | setRDX,
	x86asm.CDQ: setRDX, x86asm.CQO: setRDX, x86asm.CWD: setRDX, x86asm.CWDE: setRAX, x86asm.CDQE: setRAX, x86asm.CBW: setRAX,
	x86asm.CMPXCHG: setRAX, x86asm.CMPXCHG8B: setRAX | setRDX, x86asm.CMPXCHG16B: setRAX | setRDX,
	x86asm.CPUID: setRAX | setRBX | setRCX | setRDX, x86asm.RDTSC: setRAX | setRDX, x86asm.RDTSCP: setRAX | setRDX | setRCX,
	x86asm.XGETBV: setRAX | setRDX, x86asm.SYSCALL: setRAX | setRCX | 1<<11, x86asm.LAHF: setRAX, x86asm.XLATB: setRAX,
	x86asm.LEAVE: setRSP | setRBP, x86asm.ENTER: setRSP | setRBP,
	// What a callee may change besides is not used after a call but where
	// the caller knows that it was not changed.
	x86asm.CALL: setRAX | setRDX,

	x86asm.MOVSB: setRSI | setRDI | setRCX, x86asm.MOVSW: setRSI | setRDI | setRCX, x86asm.MOVSD: setRSI | setRDI | setRCX,
	x86asm.MOVSQ: setRSI | setRDI | setRCX, x86asm.STOSB: setRDI | setRCX, x86asm.STOSW: setRDI | setRCX,
	x86asm.STOSD: setRDI | setRCX, x86asm.STOSQ: setRDI | setRCX, x86asm.LODSB: setRAX | setRSI | setRCX,
	x86asm.LODSW: setRAX | setRSI | setRCX, x86asm.LODSD: setRAX | setRSI | setRCX, x86asm.LODSQ: setRAX | setRSI | setRCX,
	x86asm.SCASB: setRDI | setRCX, x86asm.SCASW: setRDI | setRCX, x86asm.SCASD: setRDI | setRCX, x86asm.SCASQ: setRDI | setRCX,
	x86asm.CMPSB: setRSI | setRDI | setRCX, x86asm.CMPSW: setRSI | setRDI | setRCX, x86asm.CMPSD: setRSI | setRDI | setRCX,
	x86asm.CMPSQ: setRSI | setRDI | setRCX, x86asm.LOOP: setRCX, x86asm.LOOPE: setRCX, x86asm.LOOPNE: setRCX,
})

// writes gives the general registers that an instruction may change.
func writes(in *x86.Inst) regSet {
	set := implied[in.Op]
	if r, ok := in.Args[0].(x86asm.Reg); ok && !readsOnly[in.Op] {
		set |= bit(r)
	}
	if in.Op == x86asm.XCHG || in.Op == x86asm.XADD {
		if r, ok := in.Args[1].(x86asm.Reg); ok {
			set |= bit(r)
		}
	}
	return set
}

func bit(r x86asm.Reg) regSet {
	n, _ := regNumber(r)
	if n == noReg {
		return 0
	}
	return 1 << n
}

func (s regSet) has(n int) bool { return s>>n&1 != 0 }
