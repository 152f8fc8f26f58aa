package difftest

import (
	"encoding/binary"
	"math"
	"runtime"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

// untested says why forms have no vectors.
var untested = map[string]string{
	"control transfer: see TestInt and TestSequences": "CALL JMP JO JNO JB JAE JE JNE JBE JA JS JNS JP JNP JL JGE JLE JG JCXZ JECXZ JRCXZ LOOP LOOPE LOOPNE RET",
	"leaves the program":                              "SYSCALL INT",
	"differs from processor to processor":             "CPUID RDTSC RDTSCP XGETBV RDSSP INCSSP",
	"CPUID does not announce it":                      notAnnounced,
}

// notAnnounced are the instructions beyond x86-64-v2 that the decoder knows.
const notAnnounced = "RDRAND RDFSBASE RDGSBASE WRFSBASE WRGSBASE SHA1MSG1 SHA1MSG2 SHA1NEXTE SHA1RNDS4 SHA256MSG1 SHA256MSG2 SHA256RNDS2 " +
	"XSAVE XSAVE64 XSAVEC XSAVEC64 XSAVEOPT XSAVEOPT64 XSAVES XSAVES64 XRSTOR XRSTOR64 XRSTORS XRSTORS64 XSETBV XBEGIN XEND XABORT XTEST MOVNTSD MOVNTSS"

var untestedOps = invert(untested)

// invert maps each word of m's values to its key.
func invert(m map[string]string) map[string]string {
	out := map[string]string{}
	for key, list := range m {
		for _, w := range strings.Fields(list) {
			out[w] = key
		}
	}
	return out
}

// Untested is why f has no vectors, or "".
func (f *Form) Untested() string {
	switch f.Name {
	case "LFS r64, m", "LGS r64, m", "LSS r64, m":
		return "AMD ignores REX.W, Intel does not"
	}
	return untestedOps[x86.OpName(f.Op)]
}

// undefined flags, from the "Flags Affected" sections of the SDM, volume 2.
// The function gets the instruction and the state before it.
var undefined = map[string]func(in *x86.Inst, s *State) uint64{
	"AND OR XOR TEST": always(AF),                     // "The state of the AF flag is undefined."
	"SHL SHR SAR":     shifted(AF),                    // OF is defined for 1-bit shifts only; AF is undefined for a non-zero count
	"ROL ROR RCL RCR": shifted(0),                     // OF is defined for 1-bit rotates only
	"SHLD SHRD":       shifted(AF),                    // likewise
	"MUL IMUL":        always(SF | ZF | AF | PF),      // "The SF, ZF, AF, and PF flags are undefined."
	"DIV IDIV":        always(Arith),                  // "The CF, OF, SF, ZF, AF, and PF flags are undefined."
	"BT BTS BTR BTC":  always(OF | SF | AF | PF),      // "The OF, SF, AF, and PF flags are undefined."
	"BSF BSR":         always(CF | OF | SF | AF | PF), // "The CF, OF, SF, AF, and PF flags are undefined."
	"TZCNT LZCNT":     always(OF | SF | AF | PF),      // "OF, SF, PF and AF flags are undefined."
}

func always(flags uint64) func(*x86.Inst, *State) uint64 {
	return func(*x86.Inst, *State) uint64 { return flags }
}

// shifted is for shifts and rotations: nothing is undefined for a count of
// 0, only flags for 1, and OF too for more.
func shifted(flags uint64) func(*x86.Inst, *State) uint64 {
	return func(in *x86.Inst, s *State) uint64 {
		switch shiftCount(in, s) {
		case 0:
			return 0
		case 1:
			return flags
		}
		return flags | OF
	}
}

// shiftCount is the masked count of a shift, its last operand.
func shiftCount(in *x86.Inst, s *State) uint64 {
	n := s.GPR[RCX]
	for _, a := range in.Args {
		if k, ok := a.(x86asm.Imm); ok {
			n = uint64(k)
		}
	}
	if in.DataSize == 64 {
		return n & 63
	}
	return n & 31
}

var undefinedByOp = func() map[string]func(*x86.Inst, *State) uint64 {
	out := map[string]func(*x86.Inst, *State) uint64{}
	for ops, f := range undefined {
		for _, op := range strings.Fields(ops) {
			out[op] = f
		}
	}
	return out
}()

// Undefined is the flags that in leaves undefined when it starts from s.
func Undefined(in *x86.Inst, s *State) uint64 {
	if f := undefinedByOp[x86.OpName(in.Op)]; f != nil {
		return f(in, s)
	}
	return 0
}

// prepare makes a random state one that in does something with.
func prepare(r Random, in *x86.Inst, s *State) {
	name := x86.OpName(in.Op)
	switch {
	case in.Op == x86asm.DIV || in.Op == x86asm.IDIV:
		width := in.DataSize
		if in.MemBytes != 0 {
			width = 8 * in.MemBytes
		} else if reg, ok := in.Args[0].(x86asm.Reg); ok && reg <= x86asm.R15B {
			width = 8
		}
		dividend(width)(r, s)
	case (in.Op == x86asm.SHLD || in.Op == x86asm.SHRD) && in.DataSize == 16:
		s.GPR[RCX] = s.GPR[RCX]&^31 | r.Uint64N(17) // above 16 "the result is undefined"
	case isString(in.Op):
		shortCount(r, s)
		if r.IntN(2) == 0 {
			repetitive(s)
		}
	case name == "XLATB":
		s.GPR[RBX] = DataBase
	case in.Op == x86asm.ENTER || in.Op == x86asm.LEAVE:
		s.GPR[RBP] = StackBase + 0x60
	case in.Op == x86asm.CMPXCHG || in.Op == x86asm.CMPXCHG8B || in.Op == x86asm.CMPXCHG16B:
		expected(r, s)
	case in.Op == x86asm.BT || in.Op == x86asm.BTS || in.Op == x86asm.BTR || in.Op == x86asm.BTC:
		for i := range s.GPR {
			if isMem(in.Args[0]) && i != RSP && i != RBX {
				s.GPR[i] = uint64(r.IntN(1600) - 800)
			}
		}
	case in.Op == x86asm.POPF || in.Op == x86asm.POPFQ:
		binary.LittleEndian.PutUint64(s.Stack[stackTop-StackBase:], r.Uint64()&(Arith|DF)|0x202) // TF and AC would trouble the runner
	case in.Op == x86asm.MASKMOVQ || in.Op == x86asm.MASKMOVDQU:
		s.GPR[RDI] = dataMid
	case name[0] == 'F' || usesMMX(in):
		r.X87(s)
		if usesMMX(in) {
			for i := range 8 {
				binary.LittleEndian.PutUint64(s.ST(i), r.Int())
			}
		}
	}
	switch kind := floatKind(in); kind {
	case 'd':
		r.Doubles(s)
	case 's':
		r.Singles(s)
	}
	if honoursRounding(in.Op) {
		rounding(r, s)
	}
	if strings.HasPrefix(name, "P") && r.IntN(2) == 0 {
		smallCounts(r, s)
	}
	if strings.HasPrefix(name, "PCMP") {
		texts(r, s)
	}
	if in.Op == x86asm.FXRSTOR || in.Op == x86asm.FXRSTOR64 || in.Op == x86asm.LDMXCSR {
		clear(s.Data[0x100+24-0x20:])
		for at := 0xe0; at < len(s.Data)-32; at += 16 {
			binary.LittleEndian.PutUint32(s.Data[at+8:], 0x1f80)
			binary.LittleEndian.PutUint32(s.Data[at:], 0x1f80)
		}
	}
}

// honoursRounding is true for what rounds as MXCSR says.
func honoursRounding(op x86asm.Op) bool {
	switch op {
	case x86asm.CVTSD2SI, x86asm.CVTSS2SI, x86asm.CVTPD2DQ, x86asm.CVTPS2DQ, x86asm.CVTPD2PI, x86asm.CVTPS2PI, x86asm.CVTTSD2SI, x86asm.CVTTSS2SI,
		x86asm.ROUNDPD, x86asm.ROUNDPS, x86asm.ROUNDSD, x86asm.ROUNDSS:
		return true
	}
	return false
}

func usesMMX(in *x86.Inst) bool {
	for _, a := range in.Args {
		if r, ok := a.(x86asm.Reg); ok && r >= x86asm.M0 && r <= x86asm.M7 {
			return true
		}
	}
	return in.Op == x86asm.EMMS
}

// floatKind is d or s for SSE instructions that compute with doubles or
// singles, by the end of their name.
func floatKind(in *x86.Inst) byte {
	name := strings.TrimSuffix(x86.OpName(in.Op), "_XMM")
	if i := strings.Index(name, "2"); i > 0 && strings.HasPrefix(name, "CVT") {
		name = strings.TrimPrefix(name, "CVT")[:strings.Index(strings.TrimPrefix(name, "CVT"), "2")]
	}
	for _, suffix := range []string{"SD", "PD"} {
		if strings.HasSuffix(name, suffix) && hasXMM(in) {
			return 'd'
		}
	}
	for _, suffix := range []string{"SS", "PS"} {
		if strings.HasSuffix(name, suffix) && hasXMM(in) {
			return 's'
		}
	}
	return 0
}

func hasXMM(in *x86.Inst) bool {
	for _, a := range in.Args {
		if r, ok := a.(x86asm.Reg); ok && r >= x86asm.X0 && r <= x86asm.X15 {
			return true
		}
	}
	return false
}

func repetitive(s *State) {
	for i := range s.Data {
		s.Data[i] = s.Data[i%8] & 1
	}
	s.GPR[RAX] &= 0x0101010101010101
}

// expected makes comparisons of cmpxchg succeed now and then.
func expected(r Random, s *State) {
	switch r.IntN(4) {
	case 0:
		for i := range s.GPR {
			if i != RSP && i != RBX {
				s.GPR[i] = s.GPR[RAX]
			}
		}
	case 1:
		s.GPR[RDX] = s.GPR[RAX] >> 32
		for at := 0; at < len(s.Data); at += 8 {
			copy(s.Data[at:], le64(s.GPR[RAX]))
		}
	case 2:
		for at := 0; at < len(s.Data); at += 16 {
			copy(s.Data[at:], le64(s.GPR[RAX]))
			copy(s.Data[at+8:], le64(s.GPR[RDX]))
		}
	}
}

// texts fills registers and data with short strings of few letters, for the
// string comparisons of SSE4.2, and sets their explicit lengths.
func texts(r Random, s *State) {
	letters := 2 + r.IntN(4)
	fill := func(b []byte) {
		for i := range b {
			b[i] = byte(r.IntN(letters))
			if b[i] == 0 && r.IntN(3) != 0 {
				b[i] = 'a'
			}
			if r.IntN(16) == 0 {
				b[i] = byte(r.Uint32())
			}
		}
	}
	for i := range 16 {
		fill(s.XMM(i))
	}
	fill(s.Data[:])
	for _, i := range []int{RAX, RDX} {
		if r.IntN(4) != 0 {
			s.GPR[i] = uint64(int64(r.IntN(40) - 20))
			if r.IntN(2) == 0 {
				s.GPR[i] &= 0xffffffff
			}
		}
	}
}

// adjust evens out documented differences of results.
func adjust(in *x86.Inst, before, got, want *State) {
	switch in.Op {
	case x86asm.FXSAVE, x86asm.FXSAVE64:
		// MXCSR_MASK says which bits of MXCSR the processor has: DAZ, and AMD's misaligned mode.
		at := int(fxArea(in, before) - DataBase)
		copy(got.Data[at+28:at+32], want.Data[at+28:])
	case x86asm.RCPPS, x86asm.RCPSS, x86asm.RSQRTPS, x86asm.RSQRTSS:
		// "The relative error for this approximation is: |Relative Error| ≤ 1.5 ∗ 2^−12": each vendor has its own table.
		for i := range 16 {
			near12(got.XMM(i), want.XMM(i))
		}
	case x86asm.F2XM1, x86asm.FYL2X, x86asm.FYL2XP1, x86asm.FPATAN, x86asm.FPTAN, x86asm.FSIN, x86asm.FCOS, x86asm.FSINCOS:
		// SDM volume 1, 8.3.10: "the worst case error … is less than 1 ulp" in round to nearest.
		for i := range 8 {
			if near(got.ST(i), want.ST(i), 1) {
				copy(got.ST(i), want.ST(i))
			}
		}
		ignoreStatus(inexactStatus, got, want)
	case x86asm.LSL: // of selector 0x7b: the number of the processor that runs the program
		for i, w := range want.GPR {
			if got.GPR[i] == 0 && w < uint64(runtime.NumCPU()) {
				got.GPR[i] = w
			}
		}
	case x86asm.FCOMI, x86asm.FCOMIP, x86asm.FUCOMI, x86asm.FUCOMIP:
		ignoreStatus(1<<9, got, want) // "C1: Set to 0." AMD's processors leave it, and so do we
	case x86asm.FFREE, x86asm.FFREEP:
		ignoreStatus(1<<8|1<<9|1<<10|1<<14, got, want) // "C0, C1, C2, C3 undefined."
	case x86asm.FINCSTP, x86asm.FDECSTP:
		// "The C0, C2, and C3 flags are undefined."
		ignoreStatus(1<<8|1<<10|1<<14, got, want)
	}
}

// inexactStatus are the status bits C1, PE and UE, which follow from how a
// result within one unit of the last place was rounded.
const inexactStatus = 1<<9 | 1<<5 | 1<<4

// fxArea is where an fxsave at rbx writes.
func fxArea(in *x86.Inst, before *State) uint64 {
	m := in.Args[0].(x86asm.Mem)
	return before.GPR[RBX] + uint64(m.Disp)
}

func near12(got, want []byte) {
	for i := 0; i < 16; i += 4 {
		g := math.Float32frombits(binary.LittleEndian.Uint32(got[i:]))
		w := math.Float32frombits(binary.LittleEndian.Uint32(want[i:]))
		if math.Abs(float64(g)-float64(w)) <= 2*1.5/4096*math.Abs(float64(w)) {
			copy(got[i:i+4], want[i:])
		}
	}
}

func ignoreStatus(bits uint16, states ...*State) {
	for _, s := range states {
		sw := binary.LittleEndian.Uint16(s.FX[2:])
		binary.LittleEndian.PutUint16(s.FX[2:], sw&^bits)
	}
}

// near reports whether two 80-bit values differ by at most n units in the last
// place.
func near(a, b []byte, n uint64) bool {
	le := binary.LittleEndian
	ma, mb := le.Uint64(a)<<1, le.Uint64(b)<<1 // without the integer bit
	d := ma - mb
	switch int(le.Uint16(a[8:])) - int(le.Uint16(b[8:])) {
	case 0:
	case 1:
		if ma >= mb {
			return false
		}
	case -1:
		if mb >= ma {
			return false
		}
	default:
		return false
	}
	return d+2*n <= 4*n
}
