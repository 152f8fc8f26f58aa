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

// div divides rdx:rax (or ax) by the operand. The quotient must fit, or #DE.
func div(signed bool) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		d, err := c.read(0, size)
		if err != nil {
			return err
		}
		if size == 8 {
			c.div128(d, signed)
			return nil
		}
		n := c.dividend(size)
		var wide *ir.Value
		if signed {
			wide = c.SExt(c.signed(d, size))
		} else {
			wide = c.ZExt(d)
		}
		q, r := c.divide(n, wide, signed)
		if signed {
			lo := c.signed(c.low(c.Wrap(q), size), size)
			c.trapIf(c.Bin(ir.I32Ne, c.SExt(lo), q), abi.TrapDivide)
		} else {
			c.trapIf(c.Bool(c.ShrUC(q, int64(8*size))), abi.TrapDivide)
		}
		c.writeQuotient(size, c.Wrap(q), c.Wrap(r))
		return nil
	}
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

// divide is a 64-bit division. wasm traps on zero as x86 does; its trap for
// −2⁶³/−1 is #DE here as well.
func (c *ctx) divide(n, d *ir.Value, signed bool) (q, r *ir.Value) {
	if signed {
		q = c.New(ir.I64DivS, n, d)
	} else {
		q = c.New(ir.I64DivU, n, d)
	}
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

// div128 divides rdx:rax: in 64 bits where rdx only extends rax, else by the
// machine.
func (c *ctx) div128(d *ir.Value, signed bool) {
	lo, hi := c.get(RAX), c.get(RDX)
	ext, op := c.Const64(0), abi.HelperDivU128
	if signed {
		ext, op = c.ShrSC(lo, 63), abi.HelperDivS128
	}
	out := c.choose(c.Bin(ir.I32Eq, hi, ext),
		func() []*ir.Value { q, r := c.divide(lo, d, signed); return []*ir.Value{q, r} },
		func() []*ir.Value { q, r := c.helper(op, lo, hi, d); return []*ir.Value{q, r} })
	c.set(RAX, out[0])
	c.set(RDX, out[1])
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
