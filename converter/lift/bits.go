package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// Bit and byte instructions, SDM volume 1, 5.1.6.
var bitRows = map[x86asm.Op]row{
	x86asm.BT: bitTest(nil), x86asm.BTS: bitTest(btSet), x86asm.BTR: bitTest(btReset), x86asm.BTC: bitTest(btFlip),
	x86asm.BSF: bitScan(ir.I32Ctz), x86asm.BSR: bitScan(ir.I32Clz), x86asm.POPCNT: popcnt, x86asm.TZCNT: countZeros(ir.I32Ctz), x86asm.LZCNT: countZeros(ir.I32Clz),
}

// Updates of the bit that mask has set.
func btSet(c *ctx, x, mask *ir.Value) *ir.Value { return c.Or(x, mask) }
func btReset(c *ctx, x, mask *ir.Value) *ir.Value {
	return c.And(x, c.Xor(mask, c.Const(mask.Type, -1)))
}
func btFlip(c *ctx, x, mask *ir.Value) *ir.Value { return c.Xor(x, mask) }

func bitTest(update func(c *ctx, x, mask *ir.Value) *ir.Value) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		if _, imm := in.Args[1].(x86asm.Imm); !imm {
			size = c.size(1)
		}
		n, err := c.read(1, size)
		if err != nil {
			return err
		}
		bitNo := c.AndC(n, int64(8*size-1))
		mask := c.Bin(ir.I32Shl, c.Const(bitNo.Type, 1), bitNo)
		m, mem := in.Args[0].(x86asm.Mem)
		if !mem {
			x, err := c.read(0, size)
			if err != nil {
				return err
			}
			if update != nil {
				if err := c.write(0, size, update(c, x, mask)); err != nil {
					return err
				}
			}
			c.set(CF, c.bit(c.Bin(ir.I32ShrU, x, bitNo), 0))
			return nil
		}
		base, off := c.bitAddr(m, n, size)
		var x *ir.Value
		switch {
		case update == nil:
			x = c.Load(loadOps[size], base, off)
		case in.HasPrefix(x86asm.PrefixLOCK):
			x = c.locked(base, off, size, ir.OpInvalid, nil, func(x *ir.Value) *ir.Value { return update(c, x, mask) })
		default:
			x = c.Load(loadOps[size], base, off)
			c.Store(storeOps[size], base, off, update(c, x, mask))
		}
		c.set(CF, c.bit(c.Bin(ir.I32ShrU, x, bitNo), 0))
		return nil
	}
}

// bitAddr is the address of the operand that holds bit n: a register bit
// offset reaches beyond the operand, an immediate does not.
func (c *ctx) bitAddr(m x86asm.Mem, n *ir.Value, size int) (*ir.Value, uint32) {
	base, off := c.addr(m)
	if _, imm := c.in.Args[1].(x86asm.Imm); imm {
		return base, off
	}
	shift := map[int]int64{2: 4, 4: 5, 8: 6}[size]
	unit := c.ShrSC(c.signed(n, size), shift)
	if size == 8 {
		unit = c.Wrap(unit)
	}
	return c.AddC(c.Add(base, c.Bin(ir.I32Mul, unit, c.Const32(int64(size)))), int64(off)), 0
}

// bitScan is bsf and bsr: with a zero source the destination stays, as
// processors do (the manual calls it undefined).
func bitScan(op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		x, err := c.read(1, size)
		if err != nil {
			return err
		}
		r := c.Un(op, x)
		if op == ir.I32Clz {
			r = c.Sub(c.Const(x.Type, int64(8*max(size, 4)-1)), r)
		}
		zero := c.Eqz(x)
		if size >= 4 {
			v, _, _ := gprOf(in.Args[0].(x86asm.Reg))
			c.set(v, c.Select(zero, c.get(v), c.widen64(r)))
		} else {
			old, err := c.read(0, size)
			if err != nil {
				return err
			}
			if err := c.write(0, size, c.Select(zero, old, r)); err != nil {
				return err
			}
		}
		c.setFlags(arithFlags, recipe{kind: rLogic, size: size, r: x})
		c.set(ZF, zero)
		return nil
	}
}

func (c *ctx) widen64(x *ir.Value) *ir.Value { return c.widen(x, 8, false) }

// countZeros is tzcnt and lzcnt. CPUID does not announce them, but compilers
// emit tzcnt's encoding as a faster bsf of what is not zero.
func countZeros(op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		x, err := c.read(1, size)
		if err != nil {
			return err
		}
		w := int64(8 * size)
		r := c.Un(op, x)
		if size == 2 && op == ir.I32Ctz {
			r = c.Un(op, c.Or(x, c.Const32(1<<16)))
		} else if size == 2 {
			r = c.AddC(r, -16)
		}
		if err := c.write(0, size, r); err != nil {
			return err
		}
		c.setFlags(arithFlags, recipe{kind: rLogic, size: size, r: r})
		c.set(CF, c.Bin(ir.I32Eq, r, c.Const(r.Type, w)))
		return nil
	}
}

func popcnt(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	x, err := c.read(1, size)
	if err != nil {
		return err
	}
	if err := c.write(0, size, c.Un(ir.I32Popcnt, x)); err != nil {
		return err
	}
	zero := c.Const32(0)
	for f := CF; f <= OF; f++ {
		c.set(f, zero)
	}
	c.set(ZF, c.Eqz(x))
	return nil
}

func mustGPR(a x86asm.Arg) Var {
	if r, ok := a.(x86asm.Reg); ok {
		if v, _, ok := gprOf(r); ok {
			return v
		}
	}
	return RAX
}
