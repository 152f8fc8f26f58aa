package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// Shift and rotate instructions, SDM volume 1, 5.1.5.
var shiftRows = map[x86asm.Op]row{
	x86asm.SHL: shift(shl), x86asm.SHR: shift(shr), x86asm.SAR: shift(sar),
	x86asm.ROL: rotate(false), x86asm.ROR: rotate(true), x86asm.RCL: rotateCarry(false), x86asm.RCR: rotateCarry(true),
	x86asm.SHLD: double(false), x86asm.SHRD: double(true),
}

// count reads a shift count operand as an I32, masked to 5 or 6 bits.
func (c *ctx) count(i, size int) (*ir.Value, error) {
	n, err := c.read(i, 1)
	if err != nil {
		return nil, err
	}
	if size == 8 {
		return c.AndC(n, 63), nil
	}
	return c.AndC(n, 31), nil
}

// shifted reads the operands of a shift or rotation: the count and what is
// shifted.
func (c *ctx) shifted(size int) (n, x *ir.Value, err error) {
	if n, err = c.count(1, size); err != nil {
		return nil, nil, err
	}
	x, err = c.read(0, size)
	return n, x, err
}

// asType converts an I32 count to the type of an operand of size bytes.
func (c *ctx) asType(n *ir.Value, size int) *ir.Value { return c.widen(n, size, false) }

// shiftFn computes result, carry and overflow of a shift of x by n, 0 < n; x
// is zero-extended and n has x's type.
type shiftFn func(c *ctx, x, n *ir.Value, size int) (r, cf, of *ir.Value)

func shl(c *ctx, x, n *ir.Value, size int) (r, cf, of *ir.Value) {
	r = c.low(c.Bin(ir.I32Shl, x, n), size)
	switch size {
	case 1, 2: // the count may be above the width: bit size*8 of the unmasked result
		cf = c.bit(c.Bin(ir.I32Shl, c.ZExt(x), c.ZExt(n)), int64(8*size))
	default: // bit width-n of x
		cf = c.bit(c.Bin(ir.I32ShrU, x, c.Sub(c.Const(x.Type, int64(8*size)), n)), 0)
	}
	return r, cf, c.Xor(c.msb(r, size), cf)
}

func shr(c *ctx, x, n *ir.Value, size int) (r, cf, of *ir.Value) {
	r = c.Bin(ir.I32ShrU, x, n)
	cf = c.bit(c.Bin(ir.I32ShrU, x, c.AddC(n, -1)), 0)
	return r, cf, c.msb(x, size)
}

func sar(c *ctx, x, n *ir.Value, size int) (r, cf, of *ir.Value) {
	s := c.signed(x, size)
	r = c.low(c.Bin(ir.I32ShrS, s, n), size)
	cf = c.bit(c.Bin(ir.I32ShrS, s, c.AddC(n, -1)), 0)
	return r, cf, c.Const32(0)
}

func shift(f shiftFn) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		n, x, err := c.shifted(size)
		if err != nil {
			return err
		}
		if k, ok := n.IsConst(); ok && k == 0 {
			return c.write(0, size, x)
		}
		r, cf, of := f(c, x, c.asType(n, size), size)
		if err := c.write(0, size, r); err != nil {
			return err
		}
		c.shiftFlags(n, size, r, cf, of)
		return nil
	}
}

// shiftFlags sets the flags of a shift by n: none change when n is 0.
func (c *ctx) shiftFlags(n *ir.Value, size int, r, cf, of *ir.Value) {
	if _, ok := n.IsConst(); ok {
		c.setFlags(noCarry, recipe{kind: rLogic, size: size, r: r})
		c.set(CF, cf)
		c.set(OF, of)
		return
	}
	vals := [numFlags]*ir.Value{CF - CF: cf, OF - CF: of, ZF - CF: c.Eqz(r), SF - CF: c.msb(r, size), PF - CF: c.parity(r), AF - CF: c.Const32(0)}
	c.setUnlessZero(n, arithFlags, vals)
}

// setUnlessZero sets flags to vals where n is not 0.
func (c *ctx) setUnlessZero(n *ir.Value, s Set, vals [numFlags]*ir.Value) {
	for f := CF; f < Dest; f++ {
		if s.has(f) {
			c.set(f, c.Select(n, vals[f-CF], c.flag(f)))
		}
	}
}

// rotate is rol and ror.
func rotate(right bool) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		n, x, err := c.shifted(size)
		if err != nil {
			return err
		}
		if k, ok := n.IsConst(); ok && k == 0 {
			return c.write(0, size, x)
		}
		r := c.rotated(x, n, size, right)
		if err := c.write(0, size, r); err != nil {
			return err
		}
		top := c.msb(r, size)
		vals := [numFlags]*ir.Value{}
		if right {
			vals[CF-CF], vals[OF-CF] = top, c.Xor(top, c.bit(r, int64(8*size-2)))
		} else {
			vals[CF-CF] = c.bit(r, 0)
			vals[OF-CF] = c.Xor(top, vals[CF-CF])
		}
		c.setUnlessZero(n, setOf(CF, OF), vals)
		return nil
	}
}

func (c *ctx) rotated(x, n *ir.Value, size int, right bool) *ir.Value {
	if size >= 4 {
		op := ir.I32Rotl
		if right {
			op = ir.I32Rotr
		}
		return c.Bin(op, x, c.asType(n, size))
	}
	w := int64(8 * size)
	n = c.AndC(n, w-1)
	if right {
		n = c.AndC(c.Sub(c.Const32(w), n), w-1)
	}
	return c.low(c.Or(c.Bin(ir.I32Shl, x, n), c.Bin(ir.I32ShrU, x, c.Sub(c.Const32(w), n))), size)
}

// rotateCarry is rcl and rcr: a rotation of width+1 bits with CF on top.
func rotateCarry(right bool) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		w := int64(8 * size)
		n, x, err := c.shifted(size)
		if err != nil {
			return err
		}
		cf := c.flag(CF)
		if size < 4 {
			n = c.New(ir.I32RemU, n, c.Const32(w+1))
		}
		t := x.Type
		k := c.asType(n, size)
		var r, out *ir.Value
		// Left by n: x<<n | cf<<(n-1) | x>>(w+1-n); shifts by w count as 0, done in two steps.
		if right {
			k2 := c.Sub(c.Const(t, w), k) // w-n
			hi := c.Bin(ir.I32Shl, c.Bin(ir.I32Shl, x, k2), c.Const(t, 1))
			r = c.Or(c.Or(c.Bin(ir.I32ShrU, x, k), c.Bin(ir.I32Shl, c.asType(cf, size), k2)), hi)
			out = c.bit(c.Bin(ir.I32ShrU, x, c.AddC(k, -1)), 0)
		} else {
			k2 := c.Sub(c.Const(t, w), k)
			lo := c.Bin(ir.I32ShrU, c.Bin(ir.I32ShrU, x, k2), c.Const(t, 1))
			r = c.Or(c.Or(c.Bin(ir.I32Shl, x, k), c.Bin(ir.I32Shl, c.asType(cf, size), c.AddC(k, -1))), lo)
			out = c.bit(c.Bin(ir.I32ShrU, x, k2), 0)
		}
		r = c.Select(n, c.low(r, size), x)
		if err := c.write(0, size, r); err != nil {
			return err
		}
		vals := [numFlags]*ir.Value{CF - CF: out}
		if right {
			vals[OF-CF] = c.Xor(c.msb(r, size), c.bit(r, w-2))
		} else {
			vals[OF-CF] = c.Xor(c.msb(r, size), out)
		}
		c.setUnlessZero(n, setOf(CF, OF), vals)
		return nil
	}
}

// double is shld and shrd.
func double(right bool) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		n, err := c.count(2, size)
		if err != nil {
			return err
		}
		x, y, err := c.readPair(0, 1, size)
		if err != nil {
			return err
		}
		if k, ok := n.IsConst(); ok && k == 0 {
			return c.write(0, size, x)
		}
		r, cf := c.doubleShift(x, y, n, size, right)
		r = c.Select(n, c.low(r, size), x)
		if err := c.write(0, size, r); err != nil {
			return err
		}
		of := c.Xor(c.msb(x, size), c.msb(r, size))
		c.shiftFlags(n, size, r, cf, of)
		return nil
	}
}

// doubleShift shifts x, filling it from y, by n, which is not 0. A 16-bit
// operand has 32 counts: those above 16, which the manual leaves undefined,
// go on into x again on processors.
func (c *ctx) doubleShift(x, y, n *ir.Value, size int, right bool) (r, cf *ir.Value) {
	if size == 2 {
		k := c.ZExt(n)
		all := c.Or(c.Or(c.ShlC(c.ZExt(x), 32), c.ShlC(c.ZExt(y), 16)), c.ZExt(x))
		if right {
			return c.Wrap(c.Bin(ir.I32ShrU, all, k)), c.bit(c.Bin(ir.I32ShrU, all, c.AddC(k, -1)), 0)
		}
		all = c.Bin(ir.I32Shl, all, k)
		return c.Wrap(c.ShrUC(all, 32)), c.bit(all, 48)
	}
	k := c.asType(n, size)
	rest := c.Sub(c.Const(x.Type, int64(8*size)), k)
	if right {
		return c.Or(c.Bin(ir.I32ShrU, x, k), c.Bin(ir.I32Shl, y, rest)), c.bit(c.Bin(ir.I32ShrU, x, c.AddC(k, -1)), 0)
	}
	return c.Or(c.Bin(ir.I32Shl, x, k), c.Bin(ir.I32ShrU, y, rest)), c.bit(c.Bin(ir.I32ShrU, x, rest), 0)
}
