package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// SSE to SSE4.2 (SDM volume 1, 5.5 to 5.11) on wasm's v128. The engine maps
// v128 operations to the same SSE instructions, so that NaNs propagate as on
// the processor. What differs from one:
//
//   - exceptions are never unmasked, and their flags are kept only once a guest
//     has written MXCSR (runtime/machine, fpEnv); rounding follows MXCSR;
//   - rcp and rsqrt give the correctly rounded value, not the 12-bit estimate;
//   - unaligned 16-byte operands do not fault.
//
// An MMX register is the low half of a vector here (mmx.go).

func init() {
	for _, t := range []map[x86asm.Op]row{sseMoveRows, sseFloatRows, sseConvertRows, sseIntRows, sseShuffleRows, sseTextRows, sseCryptoRows, sseStateRows} {
		register(t)
	}
}

func isMMX(a x86asm.Arg) bool {
	r, ok := a.(x86asm.Reg)
	return ok && r >= x86asm.M0 && r <= x86asm.M7
}

// xmmOf is the variable of operand a if it is an xmm register.
func xmmOf(a x86asm.Arg) (Var, bool) {
	r, ok := a.(x86asm.Reg)
	if !ok || !isXMM(r) {
		return 0, false
	}
	return XMM0 + Var(r-x86asm.X0), true
}

// vectorLoads are loads of the low bytes of a vector, the rest zero.
var vectorLoads = [...]ir.Op{4: ir.Load32Zero, 8: ir.Load64Zero, 16: ir.LoadV128}

// vec reads operand i as a vector; of memory size bytes, the rest zero.
func (c *ctx) vec(i, size int) (*ir.Value, error) {
	a := c.in.Args[i]
	if v, ok := xmmOf(a); ok {
		return c.get(v), nil
	}
	if isMMX(a) {
		return c.getMMX(a.(x86asm.Reg)), nil
	}
	if m, ok := a.(x86asm.Mem); ok {
		if isMMX(c.in.Args[0]) {
			size = min(size, 8)
		}
		base, off := c.addr(m)
		return c.Load(vectorLoads[size], base, off), nil
	}
	return nil, errOperand
}

// setVec writes a vector to the register operand i.
func (c *ctx) setVec(i int, x *ir.Value) error {
	a := c.in.Args[i]
	if v, ok := xmmOf(a); ok {
		c.set(v, x)
		return nil
	}
	if isMMX(a) {
		c.setMMX(a.(x86asm.Reg), c.lane64(x, 0))
		return nil
	}
	return errOperand
}

// vecs reads operands 0 and 1 as 16-byte vectors.
func (c *ctx) vecs() (x, y *ir.Value, err error) {
	if y, err = c.vec(1, 16); err != nil {
		return nil, nil, err
	}
	x, err = c.vec(0, 16)
	return x, y, err
}

// vecsImm reads operands 0 and 1 as 16-byte vectors, and the immediate that
// operand 2 is.
func (c *ctx) vecsImm() (x, y *ir.Value, imm x86asm.Imm, err error) {
	imm, ok := c.in.Args[2].(x86asm.Imm)
	if !ok {
		return nil, nil, 0, errOperand
	}
	x, y, err = c.vecs()
	return x, y, imm, err
}

func (c *ctx) zeroVec() *ir.Value { return c.ConstV128(0, 0) }

// splat64 is a constant of two equal halves.
func (c *ctx) splat64(x uint64) *ir.Value { return c.ConstV128(x, x) }

// lane64 is lane i of x as an I64.
func (c *ctx) lane64(x *ir.Value, i int) *ir.Value {
	if f := laneOf(x, i, ir.F64x2ReplaceLane); f != nil {
		return c.New(ir.I64ReinterpretF64, f)
	}
	if v := laneOf(x, i, ir.I64x2ReplaceLane); v != nil {
		return v
	}
	return c.Lane(ir.I64x2ExtractLane, i, x)
}

// laneOf is what was put in lane i of x by operation replace, or nil.
func laneOf(x *ir.Value, i int, replace ir.Op) *ir.Value {
	for x.Op == replace {
		if x.Aux == int64(i) {
			return x.Args[1]
		}
		x = x.Args[0]
	}
	return nil
}

// float describes scalars of one format.
type float struct {
	size             int
	load, store      ir.Op
	extract, replace ir.Op
}

var (
	f32 = &float{4, ir.LoadF32, ir.StoreF32, ir.F32x4ExtractLane, ir.F32x4ReplaceLane}
	f64 = &float{8, ir.LoadF64, ir.StoreF64, ir.F64x2ExtractLane, ir.F64x2ReplaceLane}
)

// lane is lane i of x; it sees through the operation that put it there, so
// that a chain of scalar operations never touches the vector.
func (c *ctx) lane(f *float, x *ir.Value, i int) *ir.Value {
	if v := laneOf(x, i, f.replace); v != nil {
		return v
	}
	return c.Lane(f.extract, i, x)
}

// withLane is x with lane i replaced by v.
func (c *ctx) withLane(f *float, x *ir.Value, i int, v *ir.Value) *ir.Value {
	if x.Op == f.replace && x.Aux == int64(i) {
		x = x.Args[0]
	}
	if v.Op == f.extract && v.Aux == int64(i) && v.Args[0] == x {
		return x
	}
	return c.Lane(f.replace, i, x, v)
}

// scalar reads operand i as one scalar.
func (c *ctx) scalar(f *float, i int) (*ir.Value, error) {
	if m, ok := c.in.Args[i].(x86asm.Mem); ok {
		base, off := c.addr(m)
		return c.Load(f.load, base, off), nil
	}
	x, err := c.vec(i, 16)
	if err != nil {
		return nil, err
	}
	return c.lane(f, x, 0), nil
}

// setScalar writes the low lane of the register operand i; the rest stays.
func (c *ctx) setScalar(f *float, i int, v *ir.Value) error {
	x, err := c.vec(i, 16)
	if err != nil {
		return err
	}
	return c.setVec(i, c.withLane(f, x, 0, v))
}

// State management.
var sseStateRows = map[x86asm.Op]row{
	x86asm.LDMXCSR: ldmxcsr, x86asm.STMXCSR: stmxcsr,
	x86asm.FXSAVE: fxsave, x86asm.FXSAVE64: fxsave, x86asm.FXRSTOR: fxrstor, x86asm.FXRSTOR64: fxrstor,
}

func ldmxcsr(c *ctx, in *x86.Inst) error {
	x, err := c.read(0, 4)
	if err != nil {
		return err
	}
	c.compareNow()
	c.helper(abi.HelperLDMXCSR, c.ZExt(x))
	return nil
}

// compareNow computes the flags of a comparison of floats, which may raise an
// exception, before MXCSR is looked at.
func (c *ctx) compareNow() {
	for _, f := range [...]Var{CF, PF, ZF} {
		if r := c.b.recipe(f); r != nil && r.kind == rFloat {
			c.flag(f)
		}
	}
}

func stmxcsr(c *ctx, in *x86.Inst) error {
	c.compareNow()
	known := c.GetReg(int(abi.MXCSR), ir.I32)
	x := c.choose(c.AndC(known, abi.MXCSRLive), func() []*ir.Value {
		x, _ := c.helper(abi.HelperSTMXCSR)
		return []*ir.Value{c.Wrap(x)}
	}, func() []*ir.Value { return []*ir.Value{known} })
	return c.write(0, 4, x[0])
}

// linearOperand is the linear address of memory operand i as an I64.
func (c *ctx) linearOperand(i int) (*ir.Value, error) {
	m, ok := c.in.Args[i].(x86asm.Mem)
	if !ok {
		return nil, errOperand
	}
	base, off := c.addr(m)
	return c.ZExt(c.AddC(base, int64(off))), nil
}

// fxsave has the machine write its state, for which the xmm registers have
// to be in the register file.
func fxsave(c *ctx, in *x86.Inst) error {
	a, err := c.linearOperand(0)
	if err != nil {
		return err
	}
	for v := XMM0; v < XMM0+16; v++ {
		c.SetReg(int(v.reg()), c.get(v))
	}
	c.helper(abi.HelperFXSave, a)
	return nil
}

func fxrstor(c *ctx, in *x86.Inst) error {
	a, err := c.linearOperand(0)
	if err != nil {
		return err
	}
	c.helper(abi.HelperFXRstor, a)
	for v := XMM0; v < XMM0+16; v++ {
		c.set(v, c.GetReg(int(v.reg()), ir.V128))
	}
	return nil
}
