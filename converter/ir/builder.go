package ir

import "math/bits"

// Builder appends values to a block. Its constructors fold constants and
// drop operations without effect, because the engine does neither.
type Builder struct {
	B *Block
}

// New appends an operation without simplification; the result type is the
// table's.
func (b Builder) New(op Op, args ...*Value) *Value {
	return b.Typed(op, op.Info().Result, args...)
}

// Typed appends an operation whose result type the table leaves open.
func (b Builder) Typed(op Op, t Type, args ...*Value) *Value {
	return b.B.Append(b.B.Func.NewValue(op, t, args...))
}

// Lane appends a lane operation.
func (b Builder) Lane(op Op, lane int, args ...*Value) *Value {
	v := b.New(op, args...)
	v.Aux = int64(lane)
	return v
}

// Shuffle appends i8x16.shuffle: lane i of the result is byte lanes[i] of the
// 32 bytes of x and y.
func (b Builder) Shuffle(x, y *Value, lanes [16]byte) *Value {
	v := b.New(I8x16Shuffle, x, y)
	for i := 0; i < 8; i++ {
		v.Aux |= int64(lanes[i]) << (8 * i)
		v.Aux2 |= int64(lanes[i+8]) << (8 * i)
	}
	return v
}

// Const returns an integer constant of type t.
func (b Builder) Const(t Type, c int64) *Value {
	return b.constant(t, c, b.B.Func.number())
}

// constant makes a constant with a number that was taken for it.
func (b Builder) constant(t Type, c int64, id int32) *Value {
	v := b.B.Func.memory().values.New()
	v.ID, v.Op, v.Type, v.Aux = id, Const64, t, c
	if t == I32 {
		v.Op, v.Aux = Const32, int64(int32(c))
	}
	return b.B.Append(v)
}

// Const32 returns an I32 constant.
func (b Builder) Const32(c int64) *Value { return b.Const(I32, c) }

// Const64 returns an I64 constant.
func (b Builder) Const64(c int64) *Value { return b.Const(I64, c) }

// ConstV128 returns a vector constant from its low and high halves.
func (b Builder) ConstV128(lo, hi uint64) *Value {
	v := b.New(ConstV128)
	v.Aux, v.Aux2 = int64(lo), int64(hi)
	return v
}

func (f *Func) noteBase(base *Value) {
	if base.Op == Const32 {
		f.Absolute = true
	}
}

// Load appends a load of linear address base+off.
func (b Builder) Load(op Op, base *Value, off uint32) *Value {
	b.B.Func.noteBase(base)
	v := b.New(op, base)
	v.Aux = int64(off)
	return v
}

// Store appends a store of x to linear address base+off.
func (b Builder) Store(op Op, base *Value, off uint32, x *Value) *Value {
	b.B.Func.noteBase(base)
	v := b.New(op, base, x)
	v.Aux = int64(off)
	return v
}

// typed is the form of an I32 integer operation for operands of type t.
func typed(op Op, t Type) Op {
	if t == I64 {
		return op + toI64
	}
	return op
}

// Bin appends the integer operation op (its I32 form) for x's type.
func (b Builder) Bin(op Op, x, y *Value) *Value {
	if x.Type != y.Type {
		panic("BUG: ir: " + op.String() + " of " + x.Type.String() + " and " + y.Type.String())
	}
	if v := b.simplify(op, x, y); v != nil {
		return v
	}
	return b.New(typed(op, x.Type), x, y)
}

// BinC is Bin with a constant, which most often is part of the result's: then
// it is not made, but has its number all the same, so that a function has as many
// values either way.
func (b Builder) BinC(op Op, x *Value, c int64) *Value {
	if x.Type == I32 {
		c = int64(int32(c))
	}
	f := b.B.Func
	if f.Dead || len(b.B.Values) == 0 {
		return b.Bin(op, x, b.Const(x.Type, c))
	}
	id := f.number()
	if v := b.withConst(op, x, c); v != nil {
		return v
	}
	return b.New(typed(op, x.Type), x, b.constant(x.Type, c, id))
}

// simplify returns a simpler value for op(x, y), or nil.
func (b Builder) simplify(op Op, x, y *Value) *Value {
	cx, kx := x.IsConst()
	cy, ky := y.IsConst()
	if kx && !ky && commutes(op) {
		return b.Bin(op, y, x)
	}
	if kx && cx == 0 && op == I32LtU {
		return b.Bin(I32Ne, y, x)
	}
	if x == y && !ky {
		if v := b.same(op, x); v != nil {
			return v
		}
	}
	if ky {
		return b.withConst(op, x, cy)
	}
	return nil
}

func commutes(op Op) bool {
	switch op {
	case I32Add, I32Mul, I32And, I32Or, I32Xor, I32Eq, I32Ne:
		return true
	}
	return false
}

func (b Builder) same(op Op, x *Value) *Value {
	switch op {
	case I32Sub, I32Xor:
		return b.Const(x.Type, 0)
	case I32And, I32Or:
		return x
	case I32Eq, I32LeS, I32LeU, I32GeS, I32GeU:
		return b.Const32(1)
	case I32Ne, I32LtS, I32LtU, I32GtS, I32GtU:
		return b.Const32(0)
	}
	return nil
}

// withConst returns a simpler value for op(x, c), or nil.
func (b Builder) withConst(op Op, x *Value, c int64) *Value {
	if cx, ok := x.IsConst(); ok {
		if folded, ok := fold(op, x.Type, cx, c); ok {
			t := x.Type
			if op >= I32Eq && op <= I32GeU {
				t = I32
			}
			return b.Const(t, folded)
		}
	}
	add := typed(I32Add, x.Type)
	switch {
	case c == 0 && (op == I32Add || op == I32Sub || op == I32Or || op == I32Xor || op >= I32Shl && op <= I32Rotr):
		return x
	case c == 0 && (op == I32And || op == I32Mul):
		return b.Const(x.Type, 0)
	case c == 1 && op == I32Mul, c == -1 && op == I32And:
		return x
	case op == I32Sub:
		return b.BinC(I32Add, x, -c)
	case op == I32Add && x.Op == add:
		if cx, ok := x.Args[1].IsConst(); ok {
			return b.BinC(I32Add, x.Args[0], cx+c)
		}
	case op == I32And && c >= 0 && KnownBits(x) <= bits.Len64(uint64(c)) && c&(c+1) == 0:
		return x
	case op == I32And && x.Op == typed(I32And, x.Type) && !x.Held:
		if cx, ok := x.Args[1].IsConst(); ok {
			return b.BinC(I32And, x.Args[0], cx&c)
		}
	case c == 0 && op == I32Eq:
		return b.Eqz(x)
	case c == 0 && op == I32Ne && x.IsComparison():
		return x
	}
	return nil
}

// KnownBits bounds the number of low bits of x that can be non-zero.
func KnownBits(x *Value) int {
	switch x.Op {
	case Load8U32, Load8U64:
		return 8
	case Load16U32, Load16U64:
		return 16
	case Load32U64:
		return 32
	case I64ExtendI32U:
		return min(32, KnownBits(x.Args[0]))
	case I32WrapI64:
		return min(32, KnownBits(x.Args[0]))
	case I32And, I64And:
		if c, ok := x.Args[1].IsConst(); ok && c >= 0 {
			return min(bits.Len64(uint64(c)), KnownBits(x.Args[0]))
		}
	case Const32, Const64:
		if x.Aux >= 0 {
			return bits.Len64(uint64(x.Aux))
		}
	}
	if x.IsComparison() {
		return 1
	}
	if x.Type == I32 {
		return 32
	}
	return 64
}

// Below reports whether x, unsigned, is known to be less than n.
func Below(x *Value, n int64) bool {
	bits := KnownBits(x)
	return bits < 32 && 1<<bits <= n
}

// IsComparison reports whether x compares numbers: it can only be 0 or 1.
func (x *Value) IsComparison() bool {
	return x.Op >= I32Eqz && x.Op <= I32GeU || x.Op >= I64Eqz && x.Op <= I64GeU || x.Op >= F32Eq && x.Op <= F32Ge || x.Op >= F64Eq && x.Op <= F64Ge
}

// fold computes an integer operation on constants; op is its I32 form.
func fold(op Op, t Type, x, y int64) (int64, bool) {
	width := uint64(64)
	ux, uy := uint64(x), uint64(y)
	if t == I32 {
		width, ux, uy = 32, uint64(uint32(x)), uint64(uint32(y))
	}
	s := uy % width
	switch op {
	case I32Add:
		return x + y, true
	case I32Sub:
		return x - y, true
	case I32Mul:
		return x * y, true
	case I32And:
		return x & y, true
	case I32Or:
		return x | y, true
	case I32Xor:
		return x ^ y, true
	case I32Shl:
		return x << s, true
	case I32ShrS:
		return x >> s, true
	case I32ShrU:
		return int64(ux >> s), true
	case I32Eq:
		return b2i(x == y), true
	case I32Ne:
		return b2i(x != y), true
	case I32LtS:
		return b2i(x < y), true
	case I32LtU:
		return b2i(ux < uy), true
	case I32GtS:
		return b2i(x > y), true
	case I32GtU:
		return b2i(ux > uy), true
	case I32LeS:
		return b2i(x <= y), true
	case I32LeU:
		return b2i(ux <= uy), true
	case I32GeS:
		return b2i(x >= y), true
	case I32GeU:
		return b2i(ux >= uy), true
	}
	return 0, false
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Un appends the one-operand integer operation op (its I32 form).
func (b Builder) Un(op Op, x *Value) *Value { return b.New(typed(op, x.Type), x) }

// Eqz appends x == 0; of a comparison it appends the opposite one.
func (b Builder) Eqz(x *Value) *Value {
	if c, ok := x.IsConst(); ok {
		return b.Const32(b2i(c == 0))
	}
	if inv, ok := inverse(x.Op); ok && !x.Held {
		return b.New(inv, x.Args...)
	}
	return b.Un(I32Eqz, x)
}

// Bool appends x != 0.
func (b Builder) Bool(x *Value) *Value {
	if x.IsComparison() {
		return x
	}
	return b.BinC(I32Ne, x, 0)
}

func inverse(op Op) (Op, bool) {
	base := Op(0)
	if op >= I64Eq && op <= I64GeU {
		base = toI64
	}
	switch op - base {
	case I32Eq:
		return base + I32Ne, true
	case I32Ne:
		return base + I32Eq, true
	case I32LtS:
		return base + I32GeS, true
	case I32LtU:
		return base + I32GeU, true
	case I32GtS:
		return base + I32LeS, true
	case I32GtU:
		return base + I32LeU, true
	case I32LeS:
		return base + I32GtS, true
	case I32LeU:
		return base + I32GtU, true
	case I32GeS:
		return base + I32LtS, true
	case I32GeU:
		return base + I32LtU, true
	}
	return 0, false
}

// Add appends x + y.
func (b Builder) Add(x, y *Value) *Value { return b.Bin(I32Add, x, y) }

// AddC appends x + c.
func (b Builder) AddC(x *Value, c int64) *Value { return b.BinC(I32Add, x, c) }

// Sub appends x − y.
func (b Builder) Sub(x, y *Value) *Value { return b.Bin(I32Sub, x, y) }

// And appends x & y.
func (b Builder) And(x, y *Value) *Value { return b.Bin(I32And, x, y) }

// AndC appends x & c.
func (b Builder) AndC(x *Value, c int64) *Value { return b.BinC(I32And, x, c) }

// Or appends x | y.
func (b Builder) Or(x, y *Value) *Value { return b.Bin(I32Or, x, y) }

// Xor appends x ^ y.
func (b Builder) Xor(x, y *Value) *Value { return b.Bin(I32Xor, x, y) }

// ShlC appends x << c.
func (b Builder) ShlC(x *Value, c int64) *Value { return b.BinC(I32Shl, x, c) }

// ShrUC appends the logical shift x >> c.
func (b Builder) ShrUC(x *Value, c int64) *Value { return b.BinC(I32ShrU, x, c) }

// ShrSC appends the arithmetic shift x >> c.
func (b Builder) ShrSC(x *Value, c int64) *Value { return b.BinC(I32ShrS, x, c) }

// Select appends cond != 0 ? x : y.
func (b Builder) Select(cond, x, y *Value) *Value {
	if c, ok := cond.IsConst(); ok {
		if c != 0 {
			return x
		}
		return y
	}
	if x == y {
		return x
	}
	return b.Typed(Select, x.Type, x, y, cond)
}

// Wrap appends the low 32 bits of x. It sinks through additions, so that
// address arithmetic is done in 32 bits.
func (b Builder) Wrap(x *Value) *Value {
	switch x.Op {
	case Const64:
		return b.Const32(x.Aux)
	case I64ExtendI32U, I64ExtendI32S:
		return x.Args[0]
	case I64Add:
		if c, ok := x.Args[1].IsConst(); ok {
			return b.AddC(b.Wrap(x.Args[0]), c)
		}
	}
	return b.New(I32WrapI64, x)
}

// ZExt appends x extended with zeros to I64.
func (b Builder) ZExt(x *Value) *Value {
	if c, ok := x.IsConst(); ok {
		return b.Const64(int64(uint32(c)))
	}
	if x.Op == I32WrapI64 && KnownBits(x.Args[0]) <= 32 {
		return x.Args[0]
	}
	return b.New(I64ExtendI32U, x)
}

// SExt appends x extended with its sign to I64.
func (b Builder) SExt(x *Value) *Value {
	if c, ok := x.IsConst(); ok {
		return b.Const64(c)
	}
	return b.New(I64ExtendI32S, x)
}

// GetReg reads a register of the register file.
func (b Builder) GetReg(r int, t Type) *Value {
	v := b.Typed(GetReg, t)
	v.Aux = int64(r)
	return v
}

// Opaque is x, which register r has.
func (b Builder) Opaque(r int, x *Value) *Value {
	v := b.Typed(Opaque, x.Type, x)
	v.Aux = int64(r)
	return v
}

// SetReg writes a register of the register file.
func (b Builder) SetReg(r int, x *Value) {
	b.New(SetReg, x).Aux = int64(r)
}
