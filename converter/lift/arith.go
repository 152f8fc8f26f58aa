package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// Binary arithmetic instructions, SDM volume 1, 5.1.2, without
// multiplication and division.
var arithRows = map[x86asm.Op]row{
	x86asm.ADD: binary(ir.I32Add, rAdd, ir.AtomicAdd), x86asm.SUB: binary(ir.I32Sub, rSub, ir.AtomicSub),
	x86asm.CMP: cmp, x86asm.NEG: neg, x86asm.INC: incDec(1, rInc), x86asm.DEC: incDec(-1, rDec),
	x86asm.ADC: withCarry(ir.I32Add, rAdc), x86asm.SBB: withCarry(ir.I32Sub, rSbb),
	x86asm.XADD: xadd, x86asm.CMPXCHG: cmpxchg, x86asm.CMPXCHG8B: cmpxchg8b, x86asm.CMPXCHG16B: cmpxchg16b,
}

// update is a read-modify-write of operand 0: with a lock prefix it is done
// by the atomic operation, or by a compare-and-swap loop where there is none.
// f computes the new value. It returns old and new value.
func (c *ctx) update(size int, atomic ir.Op, arg *ir.Value, f func(old *ir.Value) *ir.Value) (old, new *ir.Value, err error) {
	m, mem := c.in.Args[0].(x86asm.Mem)
	if !mem {
		if old, err = c.read(0, size); err != nil {
			return nil, nil, err
		}
		new = c.low(f(old), size)
		return old, new, c.write(0, size, new)
	}
	base, off := c.addr(m)
	if c.in.HasPrefix(x86asm.PrefixLOCK) {
		old = c.locked(base, off, size, atomic, arg, f)
		return old, c.low(f(old), size), nil
	}
	old = c.Load(loadOps[size], base, off)
	new = c.low(f(old), size)
	c.Store(storeOps[size], base, off, new)
	return old, new, nil
}

// cancels reports whether in is a register less itself, or xor itself: the result
// does not depend on it.
func cancels(op ir.Op, in *x86.Inst) bool {
	return (op == ir.I32Xor || op == ir.I32Sub) && in.Args[0] == in.Args[1]
}

func binary(op ir.Op, kind recipeKind, atomic ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		if cancels(op, in) {
			zero := c.Const(intType(size), 0)
			c.setAll(kind, size, zero, zero, zero)
			return c.write(0, size, zero)
		}
		y, err := c.read(1, size)
		if err != nil {
			return err
		}
		x, r, err := c.update(size, atomic, y, func(x *ir.Value) *ir.Value { return c.Bin(op, x, y) })
		if err != nil {
			return err
		}
		kept := kind == rSub && size >= 4 && !in.HasPrefix(x86asm.PrefixLOCK)
		c.setFlags(arithFlags, recipe{kind: kind, size: size, a: x, b: y, r: r, kept: kept})
		return nil
	}
}

func cmp(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	x, y, err := c.readPair(0, 1, size)
	if err != nil {
		return err
	}
	c.setAll(rSub, size, x, y, c.low(c.Sub(x, y), size))
	return nil
}

func neg(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	zero := c.Const(intType(size), 0)
	x, r, err := c.update(size, ir.OpInvalid, nil, func(x *ir.Value) *ir.Value { return c.Sub(zero, x) })
	if err != nil {
		return err
	}
	c.setAll(rSub, size, zero, x, r)
	return nil
}

func incDec(by int64, kind recipeKind) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		x, r, err := c.update(size, ir.AtomicAdd, c.Const(intType(size), by), func(x *ir.Value) *ir.Value { return c.AddC(x, by) })
		if err != nil {
			return err
		}
		c.setFlags(noCarry, recipe{kind: kind, size: size, a: x, r: r})
		return nil
	}
}

func withCarry(op ir.Op, kind recipeKind) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		cin := c.flag(CF)
		carry := c.widen(cin, size, false)
		if cancels(op, in) {
			zero := c.Const(intType(size), 0)
			r := c.low(c.Sub(zero, carry), size)
			c.setFlags(arithFlags, recipe{kind: kind, size: size, a: zero, b: zero, r: r, cin: cin})
			return c.write(0, size, r)
		}
		y, err := c.read(1, size)
		if err != nil {
			return err
		}
		x, r, err := c.update(size, ir.OpInvalid, nil, func(x *ir.Value) *ir.Value {
			return c.Bin(op, c.Bin(op, x, y), carry)
		})
		if err != nil {
			return err
		}
		c.setFlags(arithFlags, recipe{kind: kind, size: size, a: x, b: y, r: r, cin: cin})
		return nil
	}
}

func xadd(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	y, err := c.read(1, size)
	if err != nil {
		return err
	}
	x, r, err := c.update(size, ir.AtomicAdd, y, func(x *ir.Value) *ir.Value { return c.Add(x, y) })
	if err != nil {
		return err
	}
	if isMem(in.Args[0]) {
		err = c.write(1, size, x)
	} else { // xadd r, r: the sum is written last
		if err = c.write(1, size, x); err == nil {
			err = c.write(0, size, r)
		}
	}
	c.setAll(rAdd, size, x, y, r)
	return err
}

func cmpxchg(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	acc := c.readGPR(accumulator(size), size)
	y, err := c.read(1, size)
	if err != nil {
		return err
	}
	accFull := c.get(RAX)
	var x *ir.Value
	m, mem := in.Args[0].(x86asm.Mem)
	if mem {
		base, off := c.addr(m)
		x = c.compareSwap(base, off, size, acc, y, in.HasPrefix(x86asm.PrefixLOCK))
	} else if x, err = c.read(0, size); err != nil {
		return err
	}
	equal := c.Bin(ir.I32Eq, acc, x)
	if !mem { // a destination that does not change keeps its upper half too
		v := mustGPR(in.Args[0])
		old := c.get(v)
		if err := c.write(0, size, y); err != nil {
			return err
		}
		c.set(v, c.Select(equal, c.get(v), old))
	}
	if size == 4 { // eax keeps its upper half when the comparison succeeds
		if r, ok := in.Args[0].(x86asm.Reg); !ok || r != x86asm.EAX {
			c.set(RAX, c.Select(equal, accFull, c.ZExt(x)))
		}
	} else if r, ok := in.Args[0].(x86asm.Reg); !ok || r != accumulator(size) {
		c.writeGPR(accumulator(size), size, c.Select(equal, acc, x))
	}
	c.setAll(rSub, size, acc, x, c.low(c.Sub(acc, x), size))
	return nil
}

// cmpxchg8b compares edx:eax with memory and stores ecx:ebx.
func cmpxchg8b(c *ctx, in *x86.Inst) error {
	m, ok := in.Args[0].(x86asm.Mem)
	if !ok {
		return errOperand
	}
	base, off := c.addr(m)
	pair := func(l, h Var) *ir.Value { return c.Or(c.ZExt(c.Wrap(c.get(l))), c.ShlC(c.get(h), 32)) }
	expect := pair(RAX, RDX)
	old := c.compareSwap(base, off, 8, expect, pair(RBX, RCX), in.HasPrefix(x86asm.PrefixLOCK))
	equal := c.Bin(ir.I32Eq, old, expect)
	c.set(RAX, c.Select(equal, c.get(RAX), c.ZExt(c.Wrap(old))))
	c.set(RDX, c.Select(equal, c.get(RDX), c.ShrUC(old, 32)))
	c.set(ZF, equal)
	return nil
}

// cmpxchg16b compares rdx:rax with memory and stores rcx:rbx. wasm has no
// atomics of 16 bytes, so the machine does it.
func cmpxchg16b(c *ctx, in *x86.Inst) error {
	a, err := c.linearOperand(0)
	if err != nil {
		return err
	}
	for _, v := range [...]Var{RBX, RCX} {
		c.SetReg(int(v.reg()), c.get(v))
	}
	lo, hi := c.get(RAX), c.get(RDX)
	oldLo, oldHi := c.helper(abi.HelperCmpxchg16, a, lo, hi)
	c.set(RAX, oldLo)
	c.set(RDX, oldHi)
	c.set(ZF, c.And(c.Bin(ir.I32Eq, lo, oldLo), c.Bin(ir.I32Eq, hi, oldHi)))
	return nil
}
