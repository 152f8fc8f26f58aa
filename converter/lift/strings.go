package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// String instructions, SDM volume 1, 5.1.8.
var stringRows = map[x86asm.Op]row{
	x86asm.MOVSB: movs(1), x86asm.MOVSW: movs(2), x86asm.MOVSD: movs(4), x86asm.MOVSQ: movs(8),
	x86asm.STOSB: stos(1), x86asm.STOSW: stos(2), x86asm.STOSD: stos(4), x86asm.STOSQ: stos(8),
	x86asm.LODSB: lods(1), x86asm.LODSW: lods(2), x86asm.LODSD: lods(4), x86asm.LODSQ: lods(8),
	x86asm.SCASB: scas(1), x86asm.SCASW: scas(2), x86asm.SCASD: scas(4), x86asm.SCASQ: scas(8),
	x86asm.CMPSB: cmps(1), x86asm.CMPSW: cmps(2), x86asm.CMPSD: cmps(4), x86asm.CMPSQ: cmps(8),
}

// step is size or −size as DF says, as an I64.
func (c *ctx) step(size int) *ir.Value {
	return c.Select(c.flag(DF), c.Const64(-int64(size)), c.Const64(int64(size)))
}

// lin is the linear address of a guest pointer.
func (c *ctx) lin(p *ir.Value) *ir.Value { return c.Wrap(p) }

// pointer is rsi, rdi or rcx, of the instruction's address size.
func (c *ctx) pointer(v Var) *ir.Value {
	if c.in.AddrSize == 32 {
		return c.ZExt(c.Wrap(c.get(v)))
	}
	return c.get(v)
}

func (c *ctx) setPointer(v Var, x *ir.Value) {
	if c.in.AddrSize == 32 {
		x = c.ZExt(c.Wrap(x))
	}
	c.set(v, x)
}

func movs(size int) row {
	return func(c *ctx, in *x86.Inst) error {
		step, src, dst := c.step(size), c.pointer(RSI), c.pointer(RDI)
		one := func(s, d *ir.Value) { c.Store(storeOps[size], c.lin(d), 0, c.Load(loadOps[size], c.lin(s), 0)) }
		if !in.Repeats() {
			one(src, dst)
			c.setPointer(RSI, c.Add(src, step))
			c.setPointer(RDI, c.Add(dst, step))
			return nil
		}
		n := c.pointer(RCX)
		total := c.Bin(ir.I32Mul, n, step) // bytes, negative when DF is set
		bytes := c.Wrap(total)
		// Something, forward and not onto what is read later: block copies.
		apart := c.And(c.Bin(ir.I32GeU, c.Sub(c.Wrap(dst), c.Wrap(src)), bytes), c.Bin(ir.I32GtS, total, c.Const64(0)))
		apart = c.And(apart, c.And(c.mappable(dst), c.mappable(src)))
		c.choose(apart, func() []*ir.Value {
			c.pieces(bytes, func(done, n *ir.Value) {
				c.New(ir.Copy32, c.Add(c.lin(dst), done), c.Add(c.lin(src), done), n)
			})
			return nil
		}, func() []*ir.Value {
			c.whileCount(n, []*ir.Value{src, dst}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
				one(v[0], v[1])
				return nil, []*ir.Value{c.Add(v[0], step), c.Add(v[1], step)}
			})
			return nil
		})
		c.setPointer(RSI, c.Add(src, total))
		c.setPointer(RDI, c.Add(dst, total))
		c.setPointer(RCX, c.Const64(0))
		return nil
	}
}

// mappable reports whether something can be mapped at p. Block operations must not begin
// below: it is the host that does them, and a fault of its own is no guest's.
func (c *ctx) mappable(p *ir.Value) *ir.Value {
	return c.Bin(ir.I32GeU, c.Wrap(p), c.Const32(abi.MinAddress))
}

// A long instruction rests after that many bytes or turns: the machine's host
// may have waited for the processor.
const (
	piece = 1 << 20
	turns = 1 << 16
)

// pieces does up to piece of so many bytes at a time.
func (c *ctx) pieces(bytes *ir.Value, do func(done, n *ir.Value)) {
	zero := c.Const32(0)
	c.loop([]*ir.Value{zero}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
		left := c.Sub(bytes, v[0])
		more := c.Bin(ir.I32GtU, left, c.Const32(piece))
		do(v[0], c.Select(more, c.Const32(piece), left))
		c.rest(more)
		return more, []*ir.Value{c.AddC(v[0], piece)}
	})
}

// rest lets the host do what is due, if cond holds.
func (c *ctx) rest(cond *ir.Value) {
	c.choose(cond, func() []*ir.Value {
		c.helper(abi.HelperRest)
		return nil
	}, func() []*ir.Value { return nil })
}

// whileCount repeats body n times, or until its condition (nil: always true)
// is false. It returns the count that is left and the variables.
func (c *ctx) whileCount(n *ir.Value, init []*ir.Value, body func(v []*ir.Value) (*ir.Value, []*ir.Value)) (*ir.Value, []*ir.Value) {
	out := c.choose(c.Bool(n), func() []*ir.Value {
		return c.loop(append([]*ir.Value{n}, init...), func(v []*ir.Value) (*ir.Value, []*ir.Value) {
			again, next := body(v[1:])
			left := c.AddC(v[0], -1)
			c.rest(c.Bin(ir.I32Eq, c.AndC(left, turns-1), c.Const64(0)))
			more := c.Bool(left)
			if again != nil {
				more = c.And(more, again)
			}
			return more, append([]*ir.Value{left}, next...)
		})
	}, func() []*ir.Value { return append([]*ir.Value{n}, init...) })
	return out[0], out[1:]
}

func stos(size int) row {
	return func(c *ctx, in *x86.Inst) error {
		step, dst, x := c.step(size), c.pointer(RDI), c.readGPR(accumulator(size), size)
		one := func(d *ir.Value) { c.Store(storeOps[size], c.lin(d), 0, x) }
		if !in.Repeats() {
			one(dst)
			c.setPointer(RDI, c.Add(dst, step))
			return nil
		}
		n := c.pointer(RCX)
		total := c.Bin(ir.I32Mul, n, step)
		slow := func() []*ir.Value {
			c.whileCount(n, []*ir.Value{dst}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
				one(v[0])
				return nil, []*ir.Value{c.Add(v[0], step)}
			})
			return nil
		}
		c.choose(c.And(c.fillable(x, size, total), c.mappable(dst)), func() []*ir.Value {
			c.pieces(c.Wrap(total), func(done, n *ir.Value) {
				c.New(ir.Fill32, c.Add(c.lin(dst), done), c.low32(x), n)
			})
			return nil
		}, slow)
		c.setPointer(RDI, c.Add(dst, total))
		c.setPointer(RCX, c.Const64(0))
		return nil
	}
}

// fillable reports whether all bytes of x are the same, and so many bytes go
// up.
func (c *ctx) fillable(x *ir.Value, size int, total *ir.Value) *ir.Value {
	up := c.Bin(ir.I32GtS, total, c.Const64(0))
	if size == 1 {
		return up
	}
	ones := c.Const(x.Type, 0x0101010101010101)
	same := c.Bin(ir.I32Eq, x, c.low(c.Bin(ir.I32Mul, c.AndC(x, 0xff), ones), size))
	return c.And(up, same)
}

func (c *ctx) low32(x *ir.Value) *ir.Value {
	if x.Type == ir.I64 {
		return c.Wrap(x)
	}
	return x
}

func lods(size int) row {
	return func(c *ctx, in *x86.Inst) error {
		step, src := c.step(size), c.pointer(RSI)
		if !in.Repeats() {
			c.writeGPR(accumulator(size), size, c.Load(loadOps[size], c.lin(src), 0))
			c.setPointer(RSI, c.Add(src, step))
			return nil
		}
		x := c.readGPR(accumulator(size), size)
		count := c.pointer(RCX)
		_, out := c.whileCount(count, []*ir.Value{src, x}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
			return nil, []*ir.Value{c.Add(v[0], step), c.Load(loadOps[size], c.lin(v[0]), 0)}
		})
		c.setPointer(RSI, out[0])
		c.setPointer(RCX, c.Const64(0))
		old := c.get(RAX)
		c.writeGPR(accumulator(size), size, out[1])
		c.set(RAX, c.Select(c.Bool(count), c.get(RAX), old)) // nothing is written without a turn
		return nil
	}
}

// until is the comparison after which a repeated scas or cmps goes on.
func until(in *x86.Inst) ir.Op {
	if in.HasPrefix(x86asm.PrefixREPN) {
		return ir.I32Ne
	}
	return ir.I32Eq
}

func scas(size int) row {
	return func(c *ctx, in *x86.Inst) error {
		step, dst, x := c.step(size), c.pointer(RDI), c.readGPR(accumulator(size), size)
		if !in.Repeats() {
			y := c.Load(loadOps[size], c.lin(dst), 0)
			c.setPointer(RDI, c.Add(dst, step))
			c.setAll(rSub, size, x, y, c.low(c.Sub(x, y), size))
			return nil
		}
		n, on := c.pointer(RCX), until(in)
		left, out := c.whileCount(n, []*ir.Value{dst, x}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
			y := c.Load(loadOps[size], c.lin(v[0]), 0)
			return c.Bin(on, x, y), []*ir.Value{c.Add(v[0], step), y}
		})
		c.setPointer(RDI, out[0])
		c.setPointer(RCX, left)
		c.setIfRun(n, size, x, out[1])
		return nil
	}
}

// setIfRun sets the flags of x − y unless the count n was 0.
func (c *ctx) setIfRun(n *ir.Value, size int, x, y *ir.Value) {
	r := recipe{kind: rSub, size: size, a: x, b: y, r: c.low(c.Sub(x, y), size)}
	var vals [numFlags]*ir.Value
	for f := CF; f <= OF; f++ {
		vals[f-CF] = c.compute(&r, f)
	}
	c.setUnlessZero(c.Bool(n), arithFlags, vals)
}

func cmps(size int) row {
	return func(c *ctx, in *x86.Inst) error {
		step, src, dst := c.step(size), c.pointer(RSI), c.pointer(RDI)
		if !in.Repeats() {
			x, y := c.Load(loadOps[size], c.lin(src), 0), c.Load(loadOps[size], c.lin(dst), 0)
			c.setPointer(RSI, c.Add(src, step))
			c.setPointer(RDI, c.Add(dst, step))
			c.setAll(rSub, size, x, y, c.low(c.Sub(x, y), size))
			return nil
		}
		n, on, zero := c.pointer(RCX), until(in), c.Const(intType(size), 0)
		left, out := c.whileCount(n, []*ir.Value{src, dst, zero, zero}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
			x, y := c.Load(loadOps[size], c.lin(v[0]), 0), c.Load(loadOps[size], c.lin(v[1]), 0)
			return c.Bin(on, x, y), []*ir.Value{c.Add(v[0], step), c.Add(v[1], step), x, y}
		})
		c.setPointer(RSI, out[0])
		c.setPointer(RDI, out[1])
		c.setPointer(RCX, left)
		c.setIfRun(n, size, out[2], out[3])
		return nil
	}
}
