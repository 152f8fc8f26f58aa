package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// Multiplication and division.
var mulRows = map[x86asm.Op]row{
	x86asm.IMUL: imul, x86asm.MUL: mulAcc(false), x86asm.DIV: div(false), x86asm.IDIV: div(true),
}

// setMulFlags: CF and OF say that the product did not fit; the others are
// undefined and get what Intel's processors leave.
func (c *ctx) setMulFlags(size int, r, over *ir.Value) {
	c.setFlags(setOf(SF, PF, ZF, AF), recipe{kind: rLogic, size: size, r: r})
	c.set(CF, over)
	c.set(OF, over)
}

func imul(c *ctx, in *x86.Inst) error {
	if in.Args[1] == nil {
		return mulAcc(true)(c, in)
	}
	size := c.size(0)
	i := 0
	if in.Args[2] != nil {
		i = 1
	}
	x, y, err := c.readPair(i, i+1, size)
	if err != nil {
		return err
	}
	r, over := c.signedProduct(x, y, size)
	if err := c.write(0, size, r); err != nil {
		return err
	}
	c.setMulFlags(size, r, over)
	return nil
}

// signedProduct is the low part of x*y and whether the product did not fit.
func (c *ctx) signedProduct(x, y *ir.Value, size int) (r, over *ir.Value) {
	if size == 8 {
		r = c.Bin(ir.I32Mul, x, y)
		return r, c.Bin(ir.I32Ne, c.New(ir.MulHS, x, y), c.ShrSC(r, 63))
	}
	wide := c.Bin(ir.I32Mul, c.SExt(c.signed(x, size)), c.SExt(c.signed(y, size)))
	low := c.Bin(ir.I32Mul, x, y)
	r = c.low(low, size)
	return r, c.Bin(ir.I32Ne, wide, c.SExt(c.signed(low, size)))
}

// mulAcc multiplies the accumulator into rdx:rax (or ax).
func mulAcc(signed bool) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		y, err := c.read(0, size)
		if err != nil {
			return err
		}
		x := c.readGPR(accumulator(size), size)
		lo, hi := c.product(x, y, size, signed)
		if size == 1 {
			c.writeGPR(x86asm.AX, 2, c.Or(lo, c.ShlC(hi, 8)))
		} else {
			c.writeGPR(accumulator(size), size, lo)
			c.writeGPR(sized(RDX, size), size, hi)
		}
		over := c.Bool(hi)
		if signed {
			sign := c.ShrSC(c.signed(lo, size), int64(8*max(size, 4)-1))
			over = c.Bin(ir.I32Ne, hi, c.low(sign, size))
		}
		c.setMulFlags(size, lo, over)
		return nil
	}
}

// product is both halves of x*y.
func (c *ctx) product(x, y *ir.Value, size int, signed bool) (lo, hi *ir.Value) {
	if size == 8 {
		op := ir.MulHU
		if signed {
			op = ir.MulHS
		}
		return c.Bin(ir.I32Mul, x, y), c.New(op, x, y)
	}
	if signed {
		x, y = c.SExt(c.signed(x, size)), c.SExt(c.signed(y, size))
	} else {
		x, y = c.ZExt(x), c.ZExt(y)
	}
	p := c.Bin(ir.I32Mul, x, y)
	return c.low(c.Wrap(p), size), c.low(c.Wrap(c.ShrUC(p, int64(8*size))), size)
}

// div divides rdx:rax (or ax) by the operand. The quotient must fit, or #DE: a handler may mend what
// the instruction reads and have it executed again, or go on behind it.
func div(signed bool) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		de := c.divideError()
		d, err := c.read(0, size)
		if err != nil {
			return err
		}
		if size == 8 {
			c.div128(d, signed, de)
		} else {
			c.div64(d, size, signed, de)
		}
		c.place(in.Next())
		return nil
	}
}

// divideError is the trap of a division. Where the divisor is known to be 0, what the instruction reads is
// read from the register file: it is there for a handler to change it.
func (c *ctx) divideError() trapTo {
	r, ok := c.in.Args[0].(x86asm.Reg)
	v, _, _ := gprOf(r)
	if !ok || !isZero(c.b.find(v)) {
		c.place(c.in.Addr)
		return c.trapHere(abi.TrapDivide)
	}
	for set := setOf(v, RAX, RDX); set != 0; set = set.rest() {
		v := set.first()
		c.SetReg(int(v.reg()), c.get(v))
		c.b.vars[v] = inFile
	}
	c.place(c.in.Addr).Aux = ir.Afresh
	return c.trapHere(abi.TrapDivide)
}

func isZero(x *ir.Value) bool {
	k, ok := x.IsConst()
	return ok && k == 0
}

// div64 divides where the dividend has 64 bits at most.
func (c *ctx) div64(d *ir.Value, size int, signed bool, de trapTo) {
	if x := c.readGPR(x86asm.EAX, 4); size == 4 && extends(c.readGPR(x86asm.EDX, 4), x, signed) {
		q, r := c.divideLike(x, d, signed, de)
		c.writeQuotient(size, q, r)
		return
	}
	var q, r *ir.Value
	if signed {
		q, r = c.divideLike(c.dividend(size), c.SExt(c.signed(d, size)), true, de)
		de.trapIf(c.Bin(ir.I32Ne, c.SExt(c.signed(c.low(c.Wrap(q), size), size)), q))
	} else {
		de.trapIf(c.Bin(ir.I32GeU, c.upperHalf(size), d)) // then the quotient would not fit; so it is for 0
		q, r = c.divide(c.dividend(size), c.ZExt(d), false)
	}
	c.writeQuotient(size, c.Wrap(q), c.Wrap(r))
}

// extends reports whether high is known to be no more than low's sign, or 0.
func extends(high, low *ir.Value, signed bool) bool {
	if !signed {
		return isZero(high)
	}
	if high.Op != ir.I32ShrS && high.Op != ir.I64ShrS {
		return false
	}
	n, ok := high.Args[1].IsConst()
	return ok && n == low.Type.Bits()-1 && high.Args[0] == low
}

// divideLike divides where the dividend is no wider than the divisor.
func (c *ctx) divideLike(n, d *ir.Value, signed bool, de trapTo) (q, r *ir.Value) {
	bad := c.Eqz(d)
	if signed {
		least := int64(-1) << (n.Type.Bits() - 1)
		overflow := c.Or(c.Xor(n, c.Const(n.Type, least)), c.Xor(d, c.Const(n.Type, -1)))
		bad = c.Or(bad, c.Eqz(overflow))
	}
	de.trapIf(bad)
	return c.divide(n, d, signed)
}

// upperHalf is that of a division's dividend.
func (c *ctx) upperHalf(size int) *ir.Value {
	if size == 1 {
		return c.readGPR(x86asm.AH, 1)
	}
	return c.readGPR(sized(RDX, size), size)
}

// dividend is the double-width accumulator as an I64: sign-extended by
// nature for 32-bit operands, to be read as signed or unsigned.
func (c *ctx) dividend(size int) *ir.Value {
	switch size {
	case 1:
		ax := c.readGPR(x86asm.AX, 2)
		if c.in.Op == x86asm.IDIV {
			return c.SExt(c.signed(ax, 2))
		}
		return c.ZExt(ax)
	case 2:
		x := c.Or(c.readGPR(x86asm.AX, 2), c.ShlC(c.readGPR(x86asm.DX, 2), 16))
		if c.in.Op == x86asm.IDIV {
			return c.SExt(x)
		}
		return c.ZExt(x)
	}
	return c.Or(c.ZExt(c.readGPR(x86asm.EAX, 4)), c.ShlC(c.get(RDX), 32))
}

// divide is a division that does not trap.
func (c *ctx) divide(n, d *ir.Value, signed bool) (q, r *ir.Value) {
	op := ir.I32DivU
	if signed {
		op = ir.I32DivS
	}
	q = c.Bin(op, n, d)
	return q, c.Sub(n, c.Bin(ir.I32Mul, q, d))
}

func (c *ctx) writeQuotient(size int, q, r *ir.Value) {
	if size == 1 {
		c.writeGPR(x86asm.AX, 2, c.Or(c.low(q, 1), c.ShlC(c.low(r, 1), 8)))
		return
	}
	c.writeGPR(accumulator(size), size, q)
	c.writeGPR(sized(RDX, size), size, r)
}

// div128 divides rdx:rax: in 64 bits where rdx only extends rax, else by the machine.
func (c *ctx) div128(d *ir.Value, signed bool, de trapTo) {
	lo, hi := c.get(RAX), c.get(RDX)
	if extends(hi, lo, signed) {
		q, r := c.divideLike(lo, d, signed, de)
		c.writeQuotient(8, q, r)
		return
	}
	ext := c.Const64(0)
	if signed {
		ext = c.ShrSC(lo, 63)
	}
	out := c.choose(c.Bin(ir.I32Eq, hi, ext), func() []*ir.Value {
		q, r := c.divideLike(lo, d, signed, de)
		return []*ir.Value{q, r}
	}, func() []*ir.Value {
		var q, r *ir.Value
		if signed {
			fits, _ := c.helper(abi.HelperDivS128Fits, lo, hi, d)
			de.trapIf(c.Eqz(fits))
			q, r = c.helper(abi.HelperDivS128, lo, hi, d)
		} else {
			de.trapIf(c.Bin(ir.I32GeU, hi, d))
			q, r = c.helper(abi.HelperDivU128, lo, hi, d)
		}
		return []*ir.Value{q, r}
	})
	c.writeQuotient(8, out[0], out[1])
}

// helper calls the machine for a rare instruction. Missing arguments are 0.
func (c *ctx) helper(op abi.HelperOp, args ...*ir.Value) (r0, r1 *ir.Value) {
	for len(args) < 3 {
		args = append(args, c.Const64(0))
	}
	v := c.New(ir.Helper, args...)
	v.Aux = int64(op)
	return v, c.Typed(ir.Helper2, ir.I64, v)
}
