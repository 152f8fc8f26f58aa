package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"golang.org/x/arch/x86/x86asm"
)

// wasm's atomics trap when misaligned, x86's do not: a misaligned locked
// access (rare: it splits a cache line at worst) is done in two steps.

// locked is the locked read-modify-write of size bytes at base+off; it
// returns the old value. f gives the new value where atomic is OpInvalid.
func (c *ctx) locked(base *ir.Value, off uint32, size int, atomic ir.Op, arg *ir.Value, f func(*ir.Value) *ir.Value) *ir.Value {
	a := c.AddC(base, int64(off))
	return c.aligned(a, size, func() *ir.Value {
		if atomic != ir.OpInvalid {
			return c.atomicOp(atomic, size, a, arg)
		}
		return c.swapLoop(a, size, f)
	}, func() *ir.Value {
		old := c.Load(loadOps[size], a, 0)
		c.Store(storeOps[size], a, 0, f(old))
		return old
	})
}

// aligned runs whole if a is a multiple of size, else split.
func (c *ctx) aligned(a *ir.Value, size int, whole, split func() *ir.Value) *ir.Value {
	if size == 1 {
		return whole()
	}
	return c.choose(c.AndC(a, int64(size-1)),
		func() []*ir.Value { return []*ir.Value{split()} },
		func() []*ir.Value { return []*ir.Value{whole()} })[0]
}

func (c *ctx) atomicOp(op ir.Op, size int, args ...*ir.Value) *ir.Value {
	t := intType(size)
	if op == ir.AtomicStore {
		t = ir.Void
	}
	v := c.Typed(op, t, args...)
	v.Aux2 = int64(size)
	return v
}

// swapLoop does f by compare-and-swap until nobody came between.
func (c *ctx) swapLoop(a *ir.Value, size int, f func(*ir.Value) *ir.Value) *ir.Value {
	first := c.atomicOp(ir.AtomicLoad, size, a)
	out := c.loop([]*ir.Value{first, first}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
		seen := c.atomicOp(ir.AtomicCmpxchg, size, a, v[0], c.low(f(v[0]), size))
		return c.Bin(ir.I32Ne, seen, v[0]), []*ir.Value{seen, v[0]}
	})
	return out[1]
}

// compareSwap is cmpxchg's memory access; it returns the old value.
func (c *ctx) compareSwap(base *ir.Value, off uint32, size int, expect, y *ir.Value, lock bool) *ir.Value {
	plain := func(a *ir.Value, off uint32) *ir.Value {
		old := c.Load(loadOps[size], a, off)
		c.Store(storeOps[size], a, off, c.Select(c.Bin(ir.I32Eq, old, expect), y, old))
		return old
	}
	if !lock {
		return plain(base, off)
	}
	a := c.AddC(base, int64(off))
	return c.aligned(a, size,
		func() *ir.Value { return c.atomicOp(ir.AtomicCmpxchg, size, a, expect, y) },
		func() *ir.Value { return plain(a, 0) })
}

// lockedXchg is xchg with memory, which locks without a prefix. reg is the
// index of the register operand.
func (c *ctx) lockedXchg(m x86asm.Mem, reg int) error {
	size := c.size(reg)
	y, err := c.read(reg, size)
	if err != nil {
		return err
	}
	base, off := c.addr(m)
	old := c.locked(base, off, size, ir.AtomicXchg, y, func(*ir.Value) *ir.Value { return y })
	return c.write(reg, size, old)
}
