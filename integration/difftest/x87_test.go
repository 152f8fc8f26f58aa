package difftest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine/x87"
)

// x87Case is an instruction and the operation it stands for. Its memory
// operand, if any, is at rbx.
type x87Case struct {
	asm   string
	op    abi.X87Op
	load  int    // bytes of a memory operand passed by value
	store int    // bytes of the result stored
	ax    bool   // the result goes to ax
	flags bool   // the result goes to ZF PF CF
	undef uint16 // status bits that are undefined
	ulps  uint64 // by how much a result may differ in its last place
}

const undefC = 1<<8 | 1<<10 | 1<<14 // C0 C2 C3

func x87Cases() []x87Case {
	op := abi.X87
	cases := []x87Case{
		{asm: "fld1", op: op(abi.X87LoadConst, 0, abi.X87One, 0)},
		{asm: "fldl2t", op: op(abi.X87LoadConst, 0, abi.X87L2T, 0)},
		{asm: "fldl2e", op: op(abi.X87LoadConst, 0, abi.X87L2E, 0)},
		{asm: "fldpi", op: op(abi.X87LoadConst, 0, abi.X87Pi, 0)},
		{asm: "fldlg2", op: op(abi.X87LoadConst, 0, abi.X87Lg2, 0)},
		{asm: "fldln2", op: op(abi.X87LoadConst, 0, abi.X87Ln2, 0)},
		{asm: "fldz", op: op(abi.X87LoadConst, 0, abi.X87Zero, 0)},
		{asm: "fld st(2)", op: op(abi.X87Load, 0, 2, 0)},
		{asm: "fld dword ptr [rbx]", op: op(abi.X87Load, abi.X87SrcF32, 0, 0), load: 4},
		{asm: "fld qword ptr [rbx]", op: op(abi.X87Load, abi.X87SrcF64, 0, 0), load: 8},
		{asm: "fld tbyte ptr [rbx]", op: op(abi.X87Load, abi.X87SrcF80, 0, 0)},
		{asm: "fild word ptr [rbx]", op: op(abi.X87Load, abi.X87SrcInt, 0, 0), load: 2},
		{asm: "fild qword ptr [rbx]", op: op(abi.X87Load, abi.X87SrcInt, 0, 0), load: 8},
		{asm: "fst st(3)", op: op(abi.X87StoreReg, 0, 3, 0)},
		{asm: "fstp st(3)", op: op(abi.X87StoreReg, 0, 3, 1)},
		{asm: "fst dword ptr [rbx]", op: op(abi.X87StoreF32, 0, 0, 0), store: 4},
		{asm: "fstp qword ptr [rbx]", op: op(abi.X87StoreF64, 0, 0, 1), store: 8},
		{asm: "fstp tbyte ptr [rbx]", op: op(abi.X87StoreF80, 0, 0, 1)},
		{asm: "fbstp tbyte ptr [rbx]", op: op(abi.X87StoreBCD, 0, 0, 1)},
		{asm: "fist word ptr [rbx]", op: op(abi.X87StoreI16, 0, 0, 0), store: 2},
		{asm: "fistp dword ptr [rbx]", op: op(abi.X87StoreI32, 0, 0, 1), store: 4},
		{asm: "fistp qword ptr [rbx]", op: op(abi.X87StoreI64, 0, 0, 1), store: 8},
		{asm: "fisttp word ptr [rbx]", op: op(abi.X87TruncI16, 0, 0, 1), store: 2},
		{asm: "fisttp dword ptr [rbx]", op: op(abi.X87TruncI32, 0, 0, 1), store: 4},
		{asm: "fisttp qword ptr [rbx]", op: op(abi.X87TruncI64, 0, 0, 1), store: 8},
		{asm: "fxch st(2)", op: op(abi.X87Xch, 0, 2, 0)},
		{asm: "ffree st(1)", op: op(abi.X87Free, 0, 1, 0)},
		{asm: "fincstp", op: op(abi.X87IncStp, 0, 0, 0), undef: undefC},
		{asm: "fdecstp", op: op(abi.X87DecStp, 0, 0, 0), undef: undefC},
		{asm: "fchs", op: op(abi.X87Chs, 0, 0, 0)},
		{asm: "fabs", op: op(abi.X87Abs, 0, 0, 0)},
		{asm: "ftst", op: op(abi.X87Tst, 0, 0, 0)},
		{asm: "fxam", op: op(abi.X87Xam, 0, 0, 0)},
		{asm: "fsqrt", op: op(abi.X87Sqrt, 0, 0, 0)},
		{asm: "frndint", op: op(abi.X87RndInt, 0, 0, 0)},
		{asm: "fscale", op: op(abi.X87Scale, 0, 0, 0)},
		{asm: "fxtract", op: op(abi.X87Xtract, 0, 0, 0)},
		{asm: "fprem", op: op(abi.X87Prem, 0, 0, 0)},
		{asm: "fprem1", op: op(abi.X87Prem1, 0, 0, 0)},
		{asm: "fcompp", op: op(abi.X87Com, 0, 1, 2)},
		{asm: "fucompp", op: op(abi.X87Ucom, 0, 1, 2)},
		{asm: "fucom st(2)", op: op(abi.X87Ucom, 0, 2, 0)},
		{asm: "fcomi st, st(1)", op: op(abi.X87ComI, 0, 1, 0), flags: true},
		{asm: "fucomip st, st(2)", op: op(abi.X87UcomI, 0, 2, 1), flags: true},
		{asm: "fnstsw ax", op: op(abi.X87GetSW, 0, 0, 0), ax: true},
		{asm: "fnstcw word ptr [rbx]", op: op(abi.X87GetCW, 0, 0, 0), store: 2},
		{asm: "fldcw word ptr [rbx]", op: op(abi.X87SetCW, 0, 0, 0), load: 2},
		{asm: "fnclex", op: op(abi.X87Clear, 0, 0, 0)},
		{asm: "fninit", op: op(abi.X87Init, 0, 0, 0)},
		{asm: "emms", op: op(abi.X87Emms, 0, 0, 0)},
		{asm: "movq mm3, qword ptr [rbx]", op: op(abi.X87SetMMX, 0, 3, 0), load: 8},
		{asm: "movq qword ptr [rbx], mm3", op: op(abi.X87GetMMX, 0, 3, 0), store: 8},
		{asm: "f2xm1", op: op(abi.X87F2xm1, 0, 0, 0), ulps: 1},
		{asm: "fyl2x", op: op(abi.X87Yl2x, 0, 0, 0), ulps: 1},
		{asm: "fyl2xp1", op: op(abi.X87Yl2xp1, 0, 0, 0), ulps: 1},
		{asm: "fpatan", op: op(abi.X87Patan, 0, 0, 0), ulps: 1},
		{asm: "fptan", op: op(abi.X87Ptan, 0, 0, 0), ulps: 1},
		{asm: "fsin", op: op(abi.X87Sin, 0, 0, 0), ulps: 1},
		{asm: "fcos", op: op(abi.X87Cos, 0, 0, 0), ulps: 1},
		{asm: "fsincos", op: op(abi.X87SinCos, 0, 0, 0), ulps: 1},
	}
	for name, code := range map[string]abi.X87Op{"add": abi.X87Add, "sub": abi.X87Sub, "subr": abi.X87SubR, "mul": abi.X87Mul, "div": abi.X87Div, "divr": abi.X87DivR} {
		cases = append(cases,
			x87Case{asm: fmt.Sprintf("f%s st, st(1)", name), op: op(code, abi.X87SrcReg, 1, 0)},
			x87Case{asm: fmt.Sprintf("f%s st(2), st", name), op: op(code, abi.X87SrcDest, 2, 0)},
			x87Case{asm: fmt.Sprintf("f%sp st(1), st", name), op: op(code, abi.X87SrcDest, 1, 1)},
			x87Case{asm: fmt.Sprintf("f%s dword ptr [rbx]", name), op: op(code, abi.X87SrcF32, 0, 0), load: 4},
			x87Case{asm: fmt.Sprintf("f%s qword ptr [rbx]", name), op: op(code, abi.X87SrcF64, 0, 0), load: 8},
			x87Case{asm: fmt.Sprintf("fi%s word ptr [rbx]", name), op: op(code, abi.X87SrcInt, 0, 0), load: 2},
			x87Case{asm: fmt.Sprintf("fi%s dword ptr [rbx]", name), op: op(code, abi.X87SrcInt, 0, 0), load: 4},
		)
	}
	for _, size := range []struct {
		name string
		src  abi.X87Src
		n    int
	}{{"fcom dword", abi.X87SrcF32, 4}, {"fcom qword", abi.X87SrcF64, 8}, {"ficom word", abi.X87SrcInt, 2}, {"ficom dword", abi.X87SrcInt, 4}} {
		cases = append(cases, x87Case{asm: size.name + " ptr [rbx]", op: op(abi.X87Com, size.src, 0, 0), load: size.n})
	}
	return cases
}

// TestX87 compares the software unit with the processor's.
func TestX87(t *testing.T) {
	cases := x87Cases()
	var asm []string
	for _, c := range cases {
		asm = append(asm, c.asm)
	}
	code := assemble(t, asm)
	for i, c := range cases {
		t.Run(c.asm, func(t *testing.T) { c.test(t, code[i]) })
	}
}

func (c *x87Case) test(t *testing.T, code []byte) {
	r := NewRandom(7)
	in := make([]State, 2000)
	for i := range in {
		in[i] = r.State()
		r.X87(&in[i])
	}
	want, err := native.Run(append(code, 0x9c), in) // pushf
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for i := range in {
		got := c.soft(t, in[i])
		w := want[i]
		w.GPR[RSP], w.Stack = got.GPR[RSP], got.Stack
		flags := binary.LittleEndian.Uint64(want[i].Stack[stackTop-8-StackBase:])
		if c.flags {
			got.Flags, w.Flags = got.Flags&(ZF|PF|CF), flags&(ZF|PF|CF)
		} else {
			got.Flags, w.Flags = 0, 0
		}
		c.tolerate(&got, &w)
		if d := Diff(&got, &w, Mask{}); d != "" {
			if bad++; bad <= 4 {
				t.Errorf("vector %d: cw %x sw %x tags %02x st0 %s st1 %s st2 %s mem %s:\n%s", i, in[i].FX[:2], in[i].FX[2:4], in[i].FX[4],
					reversed(in[i].ST(0)), reversed(in[i].ST(1)), reversed(in[i].ST(2)), reversed(in[i].Data[0x100:0x10a]), d)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d vectors differ", bad, len(in))
	}
}

// tolerate lets results be off in the last place, and C1 with them.
func (c *x87Case) tolerate(got, want *State) {
	undef := c.undef
	if c.ulps > 0 {
		undef |= inexactStatus
		for i := range 2 {
			if near(got.ST(i), want.ST(i), c.ulps) {
				copy(got.ST(i), want.ST(i))
			}
		}
	}
	for _, s := range []*State{got, want} {
		sw := binary.LittleEndian.Uint16(s.FX[2:])
		binary.LittleEndian.PutUint16(s.FX[2:], sw&^undef)
	}
	clear(got.FX[5:24])
	clear(want.FX[5:24])
}

// soft does the operation in software.
func (c *x87Case) soft(t *testing.T, s State) State {
	u := x87.NewState()
	u.SetFXSave(s.FX[:])
	mem := s.Data[dataMid-DataBase:]
	linear := append(make([]byte, abi.MinAddress), mem...)
	operand := int64(abi.MinAddress)
	switch b := mem; c.load {
	case 2:
		operand = int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		operand = int64(int32(binary.LittleEndian.Uint32(b)))
	case 8:
		operand = int64(binary.LittleEndian.Uint64(b))
	}
	res, err := u.Do(linear, c.op, operand)
	if err != nil {
		t.Fatal(err)
	}
	copy(mem, linear[abi.MinAddress:])
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(res))
	copy(mem, b[:c.store])
	if c.ax {
		s.GPR[RAX] = s.GPR[RAX]&^0xffff | uint64(res)
	}
	if c.flags {
		s.Flags = uint64(res)
	}
	u.PutFXSave(s.FX[:])
	return s
}
