package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// The x87 unit lives in the machine: wasm has no 80-bit type. An instruction
// becomes one call with a constant operation (layers/abi); memory operands of
// up to 64 bits are loaded and stored here, larger ones by the machine.

// x87Row describes an instruction.
type x87Row struct {
	op   abi.X87Op
	pops int
	i    uint8 // register or constant when there is no operand
	form x87Form
}

// x87Form is what kind of operands an instruction has.
type x87Form uint8

const (
	x87Plain x87Form = iota // none, or memory that the machine accesses
	x87Arith                // memory, or two registers of which one is ST(0)
	x87Int                  // integer in memory
	x87Reg                  // ST(i)
	x87Store                // ST(i) or memory
	x87StoreInt
	x87Flags // the result goes to ZF, PF and CF
)

var x87Table = map[x86asm.Op]x87Row{
	x86asm.FADD: {op: abi.X87Add, form: x87Arith}, x86asm.FADDP: {op: abi.X87Add, form: x87Arith, pops: 1}, x86asm.FIADD: {op: abi.X87Add, form: x87Int},
	x86asm.FSUB: {op: abi.X87Sub, form: x87Arith}, x86asm.FSUBP: {op: abi.X87Sub, form: x87Arith, pops: 1}, x86asm.FISUB: {op: abi.X87Sub, form: x87Int},
	x86asm.FSUBR: {op: abi.X87SubR, form: x87Arith}, x86asm.FSUBRP: {op: abi.X87SubR, form: x87Arith, pops: 1}, x86asm.FISUBR: {op: abi.X87SubR, form: x87Int},
	x86asm.FMUL: {op: abi.X87Mul, form: x87Arith}, x86asm.FMULP: {op: abi.X87Mul, form: x87Arith, pops: 1}, x86asm.FIMUL: {op: abi.X87Mul, form: x87Int},
	x86asm.FDIV: {op: abi.X87Div, form: x87Arith}, x86asm.FDIVP: {op: abi.X87Div, form: x87Arith, pops: 1}, x86asm.FIDIV: {op: abi.X87Div, form: x87Int},
	x86asm.FDIVR: {op: abi.X87DivR, form: x87Arith}, x86asm.FDIVRP: {op: abi.X87DivR, form: x87Arith, pops: 1}, x86asm.FIDIVR: {op: abi.X87DivR, form: x87Int},

	x86asm.FCOM: {op: abi.X87Com, form: x87Arith}, x86asm.FCOMP: {op: abi.X87Com, form: x87Arith, pops: 1}, x86asm.FCOMPP: {op: abi.X87Com, i: 1, pops: 2},
	x86asm.FUCOM: {op: abi.X87Ucom, form: x87Reg}, x86asm.FUCOMP: {op: abi.X87Ucom, form: x87Reg, pops: 1}, x86asm.FUCOMPP: {op: abi.X87Ucom, i: 1, pops: 2},
	x86asm.FICOM: {op: abi.X87Com, form: x87Int}, x86asm.FICOMP: {op: abi.X87Com, form: x87Int, pops: 1},
	x86asm.FCOMI: {op: abi.X87ComI, form: x87Flags}, x86asm.FCOMIP: {op: abi.X87ComI, form: x87Flags, pops: 1},
	x86asm.FUCOMI: {op: abi.X87UcomI, form: x87Flags}, x86asm.FUCOMIP: {op: abi.X87UcomI, form: x87Flags, pops: 1},
	x86asm.FTST: {op: abi.X87Tst}, x86asm.FXAM: {op: abi.X87Xam},

	x86asm.FLD: {op: abi.X87Load, form: x87Arith}, x86asm.FILD: {op: abi.X87Load, form: x87Int},
	x86asm.FST: {op: abi.X87StoreReg, form: x87Store}, x86asm.FSTP: {op: abi.X87StoreReg, form: x87Store, pops: 1},
	x86asm.FIST: {op: abi.X87StoreI32, form: x87StoreInt}, x86asm.FISTP: {op: abi.X87StoreI32, form: x87StoreInt, pops: 1}, x86asm.FISTTP: {op: abi.X87TruncI32, form: x87StoreInt, pops: 1},
	x86asm.FBSTP: {op: abi.X87StoreBCD, pops: 1},
	x86asm.FLD1:  {op: abi.X87LoadConst, i: abi.X87One}, x86asm.FLDL2T: {op: abi.X87LoadConst, i: abi.X87L2T}, x86asm.FLDL2E: {op: abi.X87LoadConst, i: abi.X87L2E},
	x86asm.FLDPI: {op: abi.X87LoadConst, i: abi.X87Pi}, x86asm.FLDLG2: {op: abi.X87LoadConst, i: abi.X87Lg2}, x86asm.FLDLN2: {op: abi.X87LoadConst, i: abi.X87Ln2},
	x86asm.FLDZ: {op: abi.X87LoadConst, i: abi.X87Zero},
	x86asm.FXCH: {op: abi.X87Xch, form: x87Reg}, x86asm.FFREE: {op: abi.X87Free, form: x87Reg}, x86asm.FFREEP: {op: abi.X87Free, form: x87Reg, pops: 1},
	x86asm.FINCSTP: {op: abi.X87IncStp}, x86asm.FDECSTP: {op: abi.X87DecStp},

	x86asm.FCHS: {op: abi.X87Chs}, x86asm.FABS: {op: abi.X87Abs}, x86asm.FSQRT: {op: abi.X87Sqrt}, x86asm.FRNDINT: {op: abi.X87RndInt},
	x86asm.FSCALE: {op: abi.X87Scale}, x86asm.FXTRACT: {op: abi.X87Xtract}, x86asm.FPREM: {op: abi.X87Prem}, x86asm.FPREM1: {op: abi.X87Prem1},
	x86asm.F2XM1: {op: abi.X87F2xm1}, x86asm.FYL2X: {op: abi.X87Yl2x}, x86asm.FYL2XP1: {op: abi.X87Yl2xp1}, x86asm.FPATAN: {op: abi.X87Patan},
	x86asm.FPTAN: {op: abi.X87Ptan}, x86asm.FSIN: {op: abi.X87Sin}, x86asm.FCOS: {op: abi.X87Cos}, x86asm.FSINCOS: {op: abi.X87SinCos},

	x86asm.FNCLEX: {op: abi.X87Clear}, x86asm.FNINIT: {op: abi.X87Init},
	x86asm.FNSTENV: {op: abi.X87GetEnv}, x86asm.FLDENV: {op: abi.X87SetEnv}, x86asm.FNSAVE: {op: abi.X87Save}, x86asm.FRSTOR: {op: abi.X87Restore},
}

// x87Moves are the conditional moves.
var x87Moves = map[x86asm.Op]cond{
	x86asm.FCMOVB: ccB, x86asm.FCMOVNB: ccAE, x86asm.FCMOVE: ccE, x86asm.FCMOVNE: ccNE,
	x86asm.FCMOVBE: ccBE, x86asm.FCMOVNBE: ccA, x86asm.FCMOVU: ccP, x86asm.FCMOVNU: ccNP,
}

func init() {
	for op, r := range x87Table {
		rows[op] = r.lift
	}
	for op, cc := range x87Moves {
		rows[op] = x87Move(cc)
	}
	register(map[x86asm.Op]row{
		x86asm.FNOP: nop, x86asm.FBLD: fbld,
		x86asm.FNSTCW: x87Get(abi.X87GetCW), x86asm.FNSTSW: x87Get(abi.X87GetSW), x86asm.FLDCW: fldcw,
	})
}

// x87 calls the machine's x87 unit; operand may be nil.
func (c *ctx) x87(op abi.X87Op, operand *ir.Value) *ir.Value {
	if operand == nil {
		operand = c.Const64(0)
	}
	v := c.New(ir.X87, operand)
	v.Aux = int64(op)
	return v
}

// x87Zeros is how many fldz list begins with if as many fstp st(0) follow: so
// -fzero-call-used-regs ends each function, of which each instruction would be a
// call by itself. 0 if they are not there, or too few.
func x87Zeros(list []x86.Inst) int {
	k := 0
	for k < min(len(list), 8) && list[k].Op == x86asm.FLDZ {
		k++
	}
	if k < 2 || len(list) < 2*k {
		return 0
	}
	for _, in := range list[k : 2*k] {
		if in.Op != x86asm.FSTP || in.Args[0] != x86asm.F0 {
			return 0
		}
	}
	return k
}

func (r x87Row) lift(c *ctx, in *x86.Inst) error {
	switch r.form {
	case x87Arith:
		return r.arith(c, in)
	case x87Int:
		return r.integer(c, in)
	case x87Store, x87StoreInt:
		return r.store(c, in)
	case x87Flags:
		f := c.Wrap(c.x87(abi.X87(r.op, abi.X87SrcReg, stack(in), r.pops), nil))
		c.set(ZF, c.bit(f, 6))
		c.set(PF, c.bit(f, 2))
		c.set(CF, c.bit(f, 0))
		for _, v := range [...]Var{OF, SF, AF} {
			c.set(v, c.Const32(0))
		}
		return nil
	case x87Reg:
		c.x87(abi.X87(r.op, abi.X87SrcReg, stack(in), r.pops), nil)
		return nil
	}
	var operand *ir.Value
	i := r.i
	if isMem(in.Args[0]) {
		var err error
		if operand, err = c.linearOperand(0); err != nil {
			return err
		}
		if in.DataSize == 16 && r.op >= abi.X87GetEnv && r.op <= abi.X87Restore {
			i = abi.X87Small
		}
	}
	c.x87(abi.X87(r.op, abi.X87SrcReg, i, r.pops), operand)
	return nil
}

// stack is the i of the operand ST(i) that is not ST(0); 1 without operands.
func stack(in *x86.Inst) uint8 {
	n := uint8(1)
	for _, a := range in.Args {
		if r, ok := a.(x86asm.Reg); ok && r >= x86asm.F0 && r <= x86asm.F7 {
			if n = uint8(r - x86asm.F0); n != 0 {
				return n
			}
		}
	}
	return n
}

// x87Sources are memory operands by size: how they are loaded and passed.
var x87Sources = map[int]struct {
	src  abi.X87Src
	load ir.Op
}{4: {abi.X87SrcF32, ir.Load32U64}, 8: {abi.X87SrcF64, ir.Load64}}

// arith is an operation with a float in memory or two registers. The
// destination is the first register.
func (r x87Row) arith(c *ctx, in *x86.Inst) error {
	m, ok := in.Args[0].(x86asm.Mem)
	if !ok {
		src := abi.X87SrcReg
		if d, ok := in.Args[0].(x86asm.Reg); r.op <= abi.X87DivR && (ok && in.Args[1] != nil && d != x86asm.F0 || r.pops > 0) {
			src = abi.X87SrcDest
		}
		c.x87(abi.X87(r.op, src, stack(in), r.pops), nil)
		return nil
	}
	s, ok := x87Sources[in.MemBytes]
	if !ok { // only fld has 80-bit operands
		a, err := c.linearOperand(0)
		if err != nil {
			return err
		}
		c.x87(abi.X87(r.op, abi.X87SrcF80, 0, r.pops), a)
		return nil
	}
	base, off := c.addr(m)
	c.x87(abi.X87(r.op, s.src, 0, r.pops), c.Load(s.load, base, off))
	return nil
}

// x87IntLoads and x87IntStores are by operand size.
var (
	x87IntLoads  = map[int]ir.Op{2: ir.Load16S64, 4: ir.Load32S64, 8: ir.Load64}
	x87IntStores = map[int]ir.Op{2: ir.Store16x64, 4: ir.Store32x64, 8: ir.Store64}
)

func (r x87Row) integer(c *ctx, in *x86.Inst) error {
	m, ok := in.Args[0].(x86asm.Mem)
	load, known := x87IntLoads[in.MemBytes]
	if !ok || !known {
		return errOperand
	}
	base, off := c.addr(m)
	c.x87(abi.X87(r.op, abi.X87SrcInt, 0, r.pops), c.Load(load, base, off))
	return nil
}

// store is fst and fist in their forms.
func (r x87Row) store(c *ctx, in *x86.Inst) error {
	m, ok := in.Args[0].(x86asm.Mem)
	if !ok {
		c.x87(abi.X87(abi.X87StoreReg, abi.X87SrcReg, lastStack(in), r.pops), nil)
		return nil
	}
	op, size := r.op, in.MemBytes
	switch {
	case r.form == x87StoreInt:
		op += map[int]abi.X87Op{2: -1, 4: 0, 8: 1}[size]
	case size == 4:
		op = abi.X87StoreF32
	case size == 8:
		op = abi.X87StoreF64
	default:
		a, err := c.linearOperand(0)
		if err != nil {
			return err
		}
		c.x87(abi.X87(abi.X87StoreF80, abi.X87SrcReg, 0, r.pops), a)
		return nil
	}
	st, known := x87IntStores[size]
	if !known {
		return errOperand
	}
	base, off := c.addr(m)
	c.Store(st, base, off, c.x87(abi.X87(op, abi.X87SrcReg, 0, r.pops), nil))
	return nil
}

// lastStack is the i of the only ST(i) operand.
func lastStack(in *x86.Inst) uint8 {
	if r, ok := in.Args[0].(x86asm.Reg); ok {
		return uint8(r - x86asm.F0)
	}
	return 0
}

func x87Move(cc cond) row {
	return func(c *ctx, in *x86.Inst) error {
		c.x87(abi.X87(abi.X87Move, abi.X87SrcReg, stack(in), 0), c.ZExt(c.condition(cc)))
		return nil
	}
}

func fbld(c *ctx, in *x86.Inst) error {
	a, err := c.linearOperand(0)
	if err != nil {
		return err
	}
	c.x87(abi.X87(abi.X87Load, abi.X87SrcBCD, 0, 0), a)
	return nil
}

// x87Get stores a control or status word.
func x87Get(op abi.X87Op) row {
	return func(c *ctx, in *x86.Inst) error {
		return c.write(0, 2, c.Wrap(c.x87(abi.X87(op, abi.X87SrcReg, 0, 0), nil)))
	}
}

func fldcw(c *ctx, in *x86.Inst) error {
	x, err := c.read(0, 2)
	if err != nil {
		return err
	}
	c.x87(abi.X87(abi.X87SetCW, abi.X87SrcReg, 0, 0), c.ZExt(x))
	return nil
}
