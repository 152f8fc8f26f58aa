package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// String comparisons of SSE4.2, SDM volume 1, 14.3 and volume 2, 4.1. The
// immediate is known here, so that only what it asks for is built: a few vector
// operations for "equal each", a loop over the elements of the first
// operand for the others.
var sseTextRows = map[x86asm.Op]row{
	x86asm.PCMPISTRI: textCompare(false, false), x86asm.PCMPISTRM: textCompare(false, true),
	x86asm.PCMPESTRI: textCompare(true, false), x86asm.PCMPESTRM: textCompare(true, true),
}

// text is one string comparison. Masks of elements are the low bits of an I32.
type text struct {
	words, signed, last bool
	aggregate, polarity int64
	n                   int64     // elements in a vector
	x, y                *ir.Value // operands
	lenX, lenY          *ir.Value
}

// Aggregations and polarities.
const (
	equalAny = iota
	inRanges
	equalEach
	equalOrdered

	negative       = 1
	maskedNegative = 3
)

func newText(imm int64) *text {
	t := &text{words: imm&1 != 0, signed: imm&2 != 0, aggregate: imm >> 2 & 3, polarity: imm >> 4 & 3, last: imm>>6&1 != 0, n: 16}
	if t.words {
		t.n = 8
	}
	return t
}

func textCompare(explicit, mask bool) row {
	return func(c *ctx, in *x86.Inst) error {
		imm, ok := in.Args[2].(x86asm.Imm)
		if !ok {
			return errOperand
		}
		t := newText(int64(imm))
		var err error
		if t.x, t.y, err = c.vecs(); err != nil {
			return err
		}
		if explicit {
			t.lenX, t.lenY = c.explicitLen(t, RAX), c.explicitLen(t, RDX)
		} else {
			t.lenX, t.lenY = c.implicitLen(t, t.x), c.implicitLen(t, t.y)
		}
		r := c.textResult(t)
		if mask {
			c.set(XMM0, c.textMask(t, r))
		} else {
			c.set(RCX, c.ZExt(c.textIndex(t, r)))
		}
		short := func(n *ir.Value) *ir.Value { return c.Bin(ir.I32LtU, n, c.Const32(t.n)) }
		zero := c.Const32(0)
		c.set(CF, c.Bool(r))
		c.set(ZF, short(t.lenY))
		c.set(SF, short(t.lenX))
		c.set(OF, c.AndC(r, 1))
		c.set(AF, zero)
		c.set(PF, zero)
		return nil
	}
}

// lanes is the form of a byte operation for t's elements.
func (t *text) lanes(bytes, words ir.Op) ir.Op {
	if t.words {
		return words
	}
	return bytes
}

// firstElements is the mask of the first n elements; n may be all of them.
func (c *ctx) firstElements(n *ir.Value) *ir.Value {
	return c.AddC(c.Bin(ir.I32Shl, c.Const32(1), n), -1)
}

func (c *ctx) equalElements(t *text, x, y *ir.Value) *ir.Value {
	return c.New(t.lanes(ir.I8x16Bitmask, ir.I16x8Bitmask), c.New(t.lanes(ir.I8x16Eq, ir.I16x8Eq), x, y))
}

// implicitLen is how many elements are in front of the first zero.
func (c *ctx) implicitLen(t *text, x *ir.Value) *ir.Value {
	return c.Un(ir.I32Ctz, c.Or(c.equalElements(t, x, c.zeroVec()), c.Const32(1<<t.n)))
}

// explicitLen is the absolute value of a register, at most the number of
// elements.
func (c *ctx) explicitLen(t *text, v Var) *ir.Value {
	x := c.get(v)
	if c.in.DataSize != 64 {
		x = c.SExt(c.Wrap(x))
	}
	sign := c.ShrSC(x, 63)
	x = c.Sub(c.Xor(x, sign), sign)
	return c.Wrap(c.Select(c.Bin(ir.I32LtU, x, c.Const64(t.n)), x, c.Const64(t.n)))
}

// textResult is IntRes2: the mask of elements of y that match.
func (c *ctx) textResult(t *text) *ir.Value {
	inY := c.firstElements(t.lenY)
	var r *ir.Value
	switch t.aggregate {
	case equalEach:
		r = c.matchEach(t, inY)
	case equalOrdered:
		r = c.matchOrdered(t, inY)
	default:
		r = c.And(c.matchSome(t), inY)
	}
	switch t.polarity {
	case negative:
		r = c.Xor(r, c.Const32(1<<t.n-1))
	case maskedNegative:
		r = c.Xor(r, inY)
	}
	return r
}

// matchEach compares element by element. Elements beyond both ends match,
// those beyond one do not.
func (c *ctx) matchEach(t *text, inY *ir.Value) *ir.Value {
	inX := c.firstElements(t.lenX)
	both := c.And(c.equalElements(t, t.x, t.y), c.And(inX, inY))
	return c.Or(both, c.Xor(c.Or(inX, inY), c.Const32(1<<t.n-1)))
}

// matchSome matches elements of y that are in the set x, or in one of its
// ranges; an odd end of a list of ranges is none.
func (c *ctx) matchSome(t *text) *ir.Value {
	each, count := c.matchOne, t.lenX
	if t.aggregate == inRanges {
		each, count = c.matchRange, c.ShrUC(t.lenX, 1)
	}
	out := c.choose(c.Bool(count), func() []*ir.Value {
		return c.loop([]*ir.Value{count, c.zeroVec()}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
			i := c.AddC(v[0], -1)
			return i, []*ir.Value{i, c.New(ir.V128Or, v[1], each(t, i))}
		})[1:]
	}, func() []*ir.Value { return []*ir.Value{c.zeroVec()} })
	return c.New(t.lanes(ir.I8x16Bitmask, ir.I16x8Bitmask), out[0])
}

// element is element i of x in all lanes.
func (c *ctx) element(t *text, i *ir.Value) *ir.Value {
	index := c.New(ir.I8x16Splat, i)
	if t.words {
		index = c.New(ir.I16x8Splat, c.AddC(c.Bin(ir.I32Mul, i, c.Const32(0x0202)), 0x0100))
	}
	return c.New(ir.I8x16Swizzle, t.x, index)
}

func (c *ctx) matchOne(t *text, i *ir.Value) *ir.Value {
	return c.New(t.lanes(ir.I8x16Eq, ir.I16x8Eq), t.y, c.element(t, i))
}

func (c *ctx) matchRange(t *text, i *ir.Value) *ir.Value {
	ge, le := t.lanes(ir.I8x16GeU, ir.I16x8GeU), t.lanes(ir.I8x16LeU, ir.I16x8LeU)
	if t.signed {
		ge, le = t.lanes(ir.I8x16GeS, ir.I16x8GeS), t.lanes(ir.I8x16LeS, ir.I16x8LeS)
	}
	first := c.ShlC(i, 1)
	return c.New(ir.V128And, c.New(ge, t.y, c.element(t, first)), c.New(le, t.y, c.element(t, c.AddC(first, 1))))
}

// matchOrdered finds where x begins in y; what would lie beyond the vector
// matches.
func (c *ctx) matchOrdered(t *text, inY *ir.Value) *ir.Value {
	all := c.Const32(1<<t.n - 1)
	out := c.choose(c.Bool(t.lenX), func() []*ir.Value {
		return c.loop([]*ir.Value{t.lenX, all}, func(v []*ir.Value) (*ir.Value, []*ir.Value) {
			i := c.AddC(v[0], -1)
			hits := c.And(c.equalElements(t, t.y, c.element(t, i)), inY)
			beyond := c.Xor(c.Bin(ir.I32ShrU, all, i), c.Const32(-1))
			return i, []*ir.Value{i, c.And(v[1], c.Or(c.Bin(ir.I32ShrU, hits, i), beyond))}
		})[1:]
	}, func() []*ir.Value { return []*ir.Value{all} })
	return out[0]
}

// textIndex is the first or last match, the number of elements if none.
func (c *ctx) textIndex(t *text, r *ir.Value) *ir.Value {
	if !t.last {
		return c.Un(ir.I32Ctz, c.Or(r, c.Const32(1<<t.n)))
	}
	return c.Select(r, c.Sub(c.Const32(31), c.Un(ir.I32Clz, r)), c.Const32(t.n))
}

// textMask is the matches as bits, or expanded to elements.
func (c *ctx) textMask(t *text, r *ir.Value) *ir.Value {
	if !t.last {
		return c.Lane(ir.I32x4ReplaceLane, 0, c.zeroVec(), r)
	}
	spread, bits := c.New(ir.I16x8Splat, r), c.ConstV128(0x0008000400020001, 0x0080004000200010)
	if !t.words {
		spread = c.Shuffle(spread, spread, [16]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1})
		bits = c.splat64(0x8040201008040201)
	}
	return c.New(t.lanes(ir.I8x16Eq, ir.I16x8Eq), c.New(ir.V128And, spread, bits), bits)
}
