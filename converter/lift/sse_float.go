package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// Floating-point arithmetic and comparison.
var sseFloatRows = map[x86asm.Op]row{
	x86asm.ADDSD: scalarOp(f64, ir.F64Add), x86asm.SUBSD: scalarOp(f64, ir.F64Sub), x86asm.MULSD: scalarOp(f64, ir.F64Mul), x86asm.DIVSD: scalarOp(f64, ir.F64Div),
	x86asm.ADDSS: scalarOp(f32, ir.F32Add), x86asm.SUBSS: scalarOp(f32, ir.F32Sub), x86asm.MULSS: scalarOp(f32, ir.F32Mul), x86asm.DIVSS: scalarOp(f32, ir.F32Div),
	x86asm.SQRTSD: scalarUnary(f64, ir.F64Sqrt), x86asm.SQRTSS: scalarUnary(f32, ir.F32Sqrt),
	x86asm.MINSD: scalarMinMax(f64, ir.F64x2Pmin), x86asm.MAXSD: scalarMinMax(f64, ir.F64x2Pmax),
	x86asm.MINSS: scalarMinMax(f32, ir.F32x4Pmin), x86asm.MAXSS: scalarMinMax(f32, ir.F32x4Pmax),

	x86asm.ADDPD: packed(ir.F64x2Add), x86asm.SUBPD: packed(ir.F64x2Sub), x86asm.MULPD: packed(ir.F64x2Mul), x86asm.DIVPD: packed(ir.F64x2Div),
	x86asm.ADDPS: packed(ir.F32x4Add), x86asm.SUBPS: packed(ir.F32x4Sub), x86asm.MULPS: packed(ir.F32x4Mul), x86asm.DIVPS: packed(ir.F32x4Div),
	// wasm's pmin(a, b) is b < a ? b : a, minpd's is dst < src ? dst : src.
	x86asm.MINPD: packedSwapped(ir.F64x2Pmin), x86asm.MAXPD: packedSwapped(ir.F64x2Pmax),
	x86asm.MINPS: packedSwapped(ir.F32x4Pmin), x86asm.MAXPS: packedSwapped(ir.F32x4Pmax),
	x86asm.SQRTPD: packedUnary(ir.F64x2Sqrt), x86asm.SQRTPS: packedUnary(ir.F32x4Sqrt),

	x86asm.ANDPD: packed(ir.V128And), x86asm.ANDPS: packed(ir.V128And), x86asm.ORPD: packed(ir.V128Or), x86asm.ORPS: packed(ir.V128Or),
	x86asm.XORPD: packedXor, x86asm.XORPS: packedXor, x86asm.PXOR: packedXor,
	x86asm.ANDNPD: packedSwapped(ir.V128Andnot), x86asm.ANDNPS: packedSwapped(ir.V128Andnot),

	x86asm.RCPSS: estimate(1, false), x86asm.RSQRTSS: estimate(1, true), x86asm.RCPPS: estimate(4, false), x86asm.RSQRTPS: estimate(4, true),

	x86asm.UCOMISD: compareScalar(f64), x86asm.COMISD: compareScalar(f64), x86asm.UCOMISS: compareScalar(f32), x86asm.COMISS: compareScalar(f32),
	x86asm.CMPPD: comparePacked(doubles), x86asm.CMPPS: comparePacked(singles), x86asm.CMPSD_XMM: compareLow(doubles, f64), x86asm.CMPSS: compareLow(singles, f32),

	x86asm.HADDPD: horizontal(pairs64, ir.F64x2Add), x86asm.HSUBPD: horizontal(pairs64, ir.F64x2Sub),
	x86asm.HADDPS: horizontal(pairs32, ir.F32x4Add), x86asm.HSUBPS: horizontal(pairs32, ir.F32x4Sub),
	x86asm.ADDSUBPD: addSub(doubles), x86asm.ADDSUBPS: addSub(singles),
	x86asm.DPPD: dotProduct(8, ir.F64x2Mul, ir.F64x2Add), x86asm.DPPS: dotProduct(4, ir.F32x4Mul, ir.F32x4Add),
}

// scalarOp is dst ← dst op src on the low lane.
func scalarOp(f *float, op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		y, err := c.scalar(f, 1)
		if err != nil {
			return err
		}
		x, err := c.scalar(f, 0)
		if err != nil {
			return err
		}
		return c.setScalar(f, 0, c.New(op, x, y))
	}
}

func scalarUnary(f *float, op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, err := c.scalar(f, 1)
		if err != nil {
			return err
		}
		return c.setScalar(f, 0, c.New(op, x))
	}
}

// scalarMinMax uses the vector operation: wasm's scalar min orders zeros and
// spreads NaNs, the processor's gives the second operand.
func scalarMinMax(f *float, op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		y, err := c.vec(1, f.size)
		if err != nil {
			return err
		}
		x, err := c.vec(0, 16)
		if err != nil {
			return err
		}
		return c.setScalar(f, 0, c.lane(f, c.New(op, y, x), 0))
	}
}

// packed is dst ← dst op src.
func packed(op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		return c.setVec(0, c.New(op, x, y))
	}
}

// packedSwapped is dst ← src op dst.
func packedSwapped(op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		return c.setVec(0, c.New(op, y, x))
	}
}

func packedUnary(op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		y, err := c.vec(1, 16)
		if err != nil {
			return err
		}
		return c.setVec(0, c.New(op, y))
	}
}

// packedXor knows the idiom that clears a register without reading it.
func packedXor(c *ctx, in *x86.Inst) error {
	if in.Args[0] == in.Args[1] {
		return c.setVec(0, c.zeroVec())
	}
	return packed(ir.V128Xor)(c, in)
}

// estimate is rcp and rsqrt of n lanes, exact where a processor's are off by up
// to 1.5·2⁻¹². As there, denormals count as zeros, operands and results alike.
func estimate(n int, sqrt bool) row {
	return func(c *ctx, in *x86.Inst) error {
		y, err := c.vec(1, 4*n)
		if err != nil {
			return err
		}
		y = c.flushDenormals(y)
		if sqrt {
			y = c.New(ir.F32x4Sqrt, y)
		}
		r := c.flushDenormals(c.New(ir.F32x4Div, c.splat64(oneF32|oneF32<<32), y))
		if n == 1 {
			return c.setScalar(f32, 0, c.lane(f32, r, 0))
		}
		return c.setVec(0, r)
	}
}

const oneF32 = 0x3f800000 // bits of 1.0

// flushDenormals makes denormal singles zeros of their sign.
func (c *ctx) flushDenormals(x *ir.Value) *ir.Value {
	magnitude := c.New(ir.V128And, x, c.splat64(0x7fffffff7fffffff))
	tiny := c.New(ir.I32x4LtS, magnitude, c.splat64(0x0080000000800000))
	return c.New(ir.V128Andnot, x, c.New(ir.V128And, tiny, c.splat64(0x7fffffff7fffffff)))
}

// compareScalar is comis and ucomis, which differ in exception flags only.
func compareScalar(f *float) row {
	return func(c *ctx, in *x86.Inst) error {
		y, err := c.scalar(f, 1)
		if err != nil {
			return err
		}
		x, err := c.scalar(f, 0)
		if err != nil {
			return err
		}
		c.setFloatFlags(f, x, y)
		return nil
	}
}

// setFloatFlags sets the flags from comparing x with y: unordered sets ZF, PF
// and CF.
func (c *ctx) setFloatFlags(f *float, x, y *ir.Value) {
	c.setAll(rFloat, f.size, x, y, nil)
}

// floatCompare is x op y; op is the F64 form.
func (c *ctx) floatCompare(op ir.Op, size int, x, y *ir.Value) *ir.Value {
	if size == 4 {
		op -= ir.F64Eq - ir.F32Eq
	}
	return c.New(op, x, y)
}

// floatFlag is flag f of an rFloat recipe.
func (c *ctx) floatFlag(r *recipe, f Var) *ir.Value {
	is := func(op ir.Op, x, y *ir.Value) *ir.Value { return c.floatCompare(op, r.size, x, y) }
	switch f {
	case CF:
		return c.Eqz(is(ir.F64Ge, r.a, r.b))
	case PF:
		nan := is(ir.F64Ne, r.a, r.a)
		if r.a != r.b {
			nan = c.Or(nan, is(ir.F64Ne, r.b, r.b))
		}
		return nan
	case ZF:
		if r.a == r.b {
			return c.Const32(1)
		}
		return c.Eqz(c.Or(is(ir.F64Lt, r.a, r.b), is(ir.F64Gt, r.a, r.b)))
	}
	return c.Const32(0)
}

// floatCondition evaluates the conditions that are one comparison after an
// rFloat, or gives nil.
func (c *ctx) floatCondition(r *recipe, cc cond) *ir.Value {
	op := ir.F64Ge
	if cc == ccA || cc == ccBE {
		op = ir.F64Gt
	}
	switch cc {
	case ccAE, ccA:
		return c.floatCompare(op, r.size, r.a, r.b)
	case ccB, ccBE:
		return c.Eqz(c.floatCompare(op, r.size, r.a, r.b))
	}
	return nil
}

// vectorFloat is the packed comparisons and arithmetic of one format.
type vectorFloat struct {
	eq, ne, lt, le, add, sub ir.Op
	odd                      [2]uint64 // mask of the odd lanes
}

var (
	doubles = &vectorFloat{ir.F64x2Eq, ir.F64x2Ne, ir.F64x2Lt, ir.F64x2Le, ir.F64x2Add, ir.F64x2Sub, [2]uint64{0, ^uint64(0)}}
	singles = &vectorFloat{ir.F32x4Eq, ir.F32x4Ne, ir.F32x4Lt, ir.F32x4Le, ir.F32x4Add, ir.F32x4Sub, [2]uint64{0xffffffff << 32, 0xffffffff << 32}}
)

// predicate is the mask of cmppd and its like, SDM volume 2, table 3-1.
func (c *ctx) predicate(t *vectorFloat, p int64, x, y *ir.Value) *ir.Value {
	var m *ir.Value
	switch p & 3 {
	case 0:
		m = c.New(t.eq, x, y)
	case 1:
		m = c.New(t.lt, x, y)
	case 2:
		m = c.New(t.le, x, y)
	case 3:
		m = c.New(ir.V128Or, c.New(t.ne, x, x), c.New(t.ne, y, y))
	}
	if p&4 != 0 {
		m = c.New(ir.V128Not, m)
	}
	return m
}

func comparePacked(t *vectorFloat) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, p, err := c.vecsImm()
		if err != nil {
			return err
		}
		return c.setVec(0, c.predicate(t, int64(p), x, y))
	}
}

// compareLow is cmpsd and cmpss: the mask of the low lane.
func compareLow(t *vectorFloat, f *float) row {
	return func(c *ctx, in *x86.Inst) error {
		p, ok := in.Args[2].(x86asm.Imm)
		if !ok {
			return errOperand
		}
		y, err := c.vec(1, f.size)
		if err != nil {
			return err
		}
		x, err := c.vec(0, 16)
		if err != nil {
			return err
		}
		return c.setScalar(f, 0, c.lane(f, c.predicate(t, int64(p), x, y), 0))
	}
}

// addSub subtracts in even lanes and adds in odd ones.
func addSub(t *vectorFloat) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		odd := c.ConstV128(t.odd[0], t.odd[1])
		return c.setVec(0, c.New(ir.V128Bitselect, c.New(t.add, x, y), c.New(t.sub, x, y), odd))
	}
}

// Lanes of the first and second members of adjacent pairs of two vectors.
var (
	pairs16 = pairLanes(2)
	pairs32 = pairLanes(4)
	pairs64 = pairLanes(8)
)

func pairLanes(size int) (l [2][16]byte) {
	for i := range 16 {
		unit, b := i/size, i%size
		l[0][i] = byte(2*unit*size + b)
		l[1][i] = byte((2*unit+1)*size + b)
	}
	return l
}

// horizontal applies op to adjacent pairs.
func horizontal(pairs [2][16]byte, op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		if isMMX(in.Args[0]) { // both sources are halves of one vector
			x = c.withLane(f64, x, 1, c.lane(f64, y, 0))
		}
		return c.setVec(0, c.New(op, c.Shuffle(x, y, pairs[0]), c.Shuffle(x, y, pairs[1])))
	}
}

// dotProduct is dpps and dppd: the products that the immediate's high bits
// select are added in pairs; its low bits select the lanes that get the sum.
func dotProduct(size int, mul, add ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, imm, err := c.vecsImm()
		if err != nil {
			return err
		}
		sum := c.New(ir.V128And, c.New(mul, x, y), c.selected(size, int(imm)>>4))
		pairs := pairLanes(size)
		for n := 16 / size; n > 1; n /= 2 {
			sum = c.New(add, c.Shuffle(sum, sum, pairs[0]), c.Shuffle(sum, sum, pairs[1]))
		}
		all := c.Shuffle(sum, sum, units(size, 0, 0, 0, 0))
		return c.setVec(0, c.New(ir.V128And, all, c.selected(size, int(imm))))
	}
}

// selected is a mask of the units of size bytes for which n has a bit.
func (c *ctx) selected(size, n int) *ir.Value {
	var half [2]uint64
	for i := range 16 {
		if n>>(i/size)&1 != 0 {
			half[i/8] |= 0xff << (i % 8 * 8)
		}
	}
	return c.ConstV128(half[0], half[1])
}
