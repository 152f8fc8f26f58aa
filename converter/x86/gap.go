package x86

import "golang.org/x/arch/x86/x86asm"

// Ops that x86asm lacks. They carry no Args.
const (
	// Untranslatable: decoded for their length only. CPUID does not announce
	// them, so that code which asks never gets there.
	VEX         x86asm.Op = 1<<11 + iota // any VEX, EVEX or XOP instruction
	Unannounced                          // any other instruction x86asm does not know

	ENDBR64
	ENDBR32
	RDSSP  // a nop while CET is off: the register keeps its value
	INCSSP // #UD while CET is off; only reached when RDSSP gave something

	undefined // #UD, though x86asm knows the opcode with other prefixes or operands

	numOps
)

const _ = uint(VEX - x86asm.VZEROUPPER - 1) // x86asm's last Op is below

// ByOp has something for each Op; T's zero value for most.
type ByOp[T interface{}] [numOps]T

// NewByOp makes a ByOp of what differs from T's zero value.
func NewByOp[T interface{}](of map[x86asm.Op]T) *ByOp[T] {
	var t ByOp[T]
	for op, x := range of {
		t[op] = x
	}
	return &t
}

var ownNames = map[x86asm.Op]string{
	VEX: "VEX", Unannounced: "UNANNOUNCED", ENDBR64: "ENDBR64", ENDBR32: "ENDBR32", RDSSP: "RDSSP", INCSSP: "INCSSP",
}

// OpName is Op.String that knows this package's constants as well.
func OpName(op x86asm.Op) string {
	if s, ok := ownNames[op]; ok {
		return s
	}
	return op.String()
}

// gap is one row of the table of instructions that x86asm lacks. Fields that
// are any match everything.
type gap struct {
	opMap, opcode byte
	rep           int // F2, F3, 0 for none
	data          int // 66 prefix: 0 or 1
	modRM         int // whole byte
	reg           int // ModRM.reg
	form          operandForm
	op            x86asm.Op
}

type operandForm byte

const (
	anyForm operandForm = iota
	memForm
	regForm
)

const any = -1

var gaps = []gap{
	{1, 0x1e, 0xf3, any, 0xfa, any, regForm, ENDBR64},
	{1, 0x1e, 0xf3, any, 0xfb, any, regForm, ENDBR32},
	{1, 0x1e, 0xf3, any, any, 1, regForm, RDSSP},
	{1, 0xae, 0xf3, any, any, 5, regForm, INCSSP},

	{1, 0x01, 0, any, 0xee, any, regForm, Unannounced},    // rdpkru
	{1, 0x01, 0, any, 0xef, any, regForm, Unannounced},    // wrpkru
	{1, 0x01, 0, any, 0xe8, any, regForm, Unannounced},    // serialize
	{1, 0x01, 0, any, 0xca, any, regForm, Unannounced},    // clac
	{1, 0x01, 0, any, 0xcb, any, regForm, Unannounced},    // stac
	{1, 0x01, 0xf3, any, 0xea, any, regForm, Unannounced}, // saveprevssp
	{1, 0x01, 0xf3, any, 0xe8, any, regForm, Unannounced}, // setssbsy
	{1, 0x01, 0xf3, any, any, 5, memForm, Unannounced},    // rstorssp
	{1, 0x01, 0xf2, any, 0xe8, any, regForm, Unannounced}, // xsusldtrk
	{1, 0x01, 0xf2, any, 0xe9, any, regForm, Unannounced}, // xresldtrk
	{1, 0xae, 0xf3, any, any, 6, memForm, Unannounced},    // clrssbsy
	{1, 0xae, 0xf3, any, any, 6, regForm, Unannounced},    // umonitor
	{1, 0xae, 0xf2, any, any, 6, regForm, Unannounced},    // umwait
	{1, 0xae, 0, 1, any, 6, regForm, Unannounced},         // tpause
	{1, 0xae, 0xf3, any, any, 4, anyForm, Unannounced},    // ptwrite
	{1, 0xae, 0, 1, any, 7, memForm, Unannounced},         // clflushopt
	{1, 0xae, 0, 1, any, 6, memForm, Unannounced},         // clwb
	{1, 0xc7, 0, any, any, 7, regForm, Unannounced},       // rdseed
	{1, 0xc7, 0xf3, any, any, 7, regForm, Unannounced},    // rdpid
	{1, 0xa6, any, any, any, any, regForm, Unannounced},   // VIA padlock
	{1, 0xa7, any, any, any, any, regForm, Unannounced},   // VIA padlock
	{1, 0xae, 0, 1, any, 0, memForm, undefined},           // fxsave, fxrstor, ldmxcsr, stmxcsr take no prefix
	{1, 0xae, 0, 1, any, 1, memForm, undefined},
	{1, 0xae, 0, 1, any, 2, memForm, undefined},
	{1, 0xae, 0, 1, any, 3, memForm, undefined},
	{1, 0xae, 0xf2, any, any, any, anyForm, undefined},
	{1, 0xae, 0xf3, any, any, any, memForm, undefined},
	{1, 0xae, 0, 1, any, 5, regForm, undefined}, // lfence
	{1, 0xae, 0, 1, any, 7, regForm, undefined}, // sfence
	{1, 0xae, 0xf3, any, any, 7, regForm, undefined},
	{1, 0x77, 0, 1, any, any, anyForm, undefined}, // emms
	{1, 0x77, 0xf2, any, any, any, anyForm, undefined},
	{1, 0x77, 0xf3, any, any, any, anyForm, undefined},
	{1, 0xc3, 0, 1, any, any, anyForm, undefined}, // movnti
	{1, 0xc3, 0xf2, any, any, any, anyForm, undefined},
	{1, 0xc3, 0xf3, any, any, any, anyForm, undefined},
	{1, 0x52, 0, 1, any, any, anyForm, undefined}, // rsqrtps
	{1, 0x52, 0xf2, any, any, any, anyForm, undefined},
	{1, 0x53, 0, 1, any, any, anyForm, undefined}, // rcpps
	{1, 0x53, 0xf2, any, any, any, anyForm, undefined},
	{1, 0x12, 0, 1, any, any, regForm, undefined}, // movlpd, movhpd and stores of halves have memory operands
	{1, 0x13, any, any, any, any, regForm, undefined},
	{1, 0x16, 0, 1, any, any, regForm, undefined},
	{1, 0x17, any, any, any, any, regForm, undefined},
	{2, 0xf0, 0xf3, any, any, any, anyForm, undefined}, // movbe
	{2, 0xf1, 0xf3, any, any, any, anyForm, undefined},
	{2, 0xf6, 0, any, any, any, anyForm, Unannounced},    // adcx, wrss
	{2, 0xf6, 0xf3, any, any, any, anyForm, Unannounced}, // adox
	{2, 0xf5, 0, 1, any, any, memForm, Unannounced},      // wruss
	{2, 0xf8, any, any, any, any, memForm, Unannounced},  // movdir64b, enqcmd
	{2, 0xf9, 0, any, any, any, memForm, Unannounced},    // movdiri
	{2, 0xcf, 0, 1, any, any, anyForm, Unannounced},      // gf2p8mulb
	{3, 0xce, 0, 1, any, any, anyForm, Unannounced},      // gf2p8affineqb
	{3, 0xcf, 0, 1, any, any, anyForm, Unannounced},      // gf2p8affineinvqb
}

// gapOp is the Op of an instruction that x86asm is not to be asked about, or 0.
func gapOp(l *layout) x86asm.Op {
	if l.vex {
		return VEX
	}
	if l.opMap == 0 {
		return 0
	}
	for i := range gaps {
		if g := &gaps[i]; g.opcode == l.opcode && g.matches(l) {
			return g.op
		}
	}
	return 0
}

func (g *gap) matches(l *layout) bool {
	is := func(want, got int) bool { return want == any || want == got }
	data := 0
	if l.dataSize {
		data = 1
	}
	return g.opMap == l.opMap && is(g.rep, int(l.rep)) && is(g.data, data) && is(g.modRM, int(l.modRM)) && is(g.reg, int(l.reg())) &&
		(g.form == anyForm || (g.form == regForm) == l.isReg())
}
