package opt

import (
	"math/bits"

	"github.com/megabin/megabin/converter/ir"
)

// Which bits of integers matter: those that may be 1 (possible), and those that something reads
// (demanded).

// allBits are those of a value of type t. Of one that is no integer, all or none are
// demanded.
func allBits(t ir.Type) uint64 {
	if t == ir.I32 {
		return 1<<32 - 1
	}
	return 1<<64 - 1
}

// upTo has the highest bit of x and all below it, from the lowest and all above it.
func upTo(x uint64) uint64 { return 1<<bits.Len64(x) - 1 }
func from(x uint64) uint64 { return -(x & -x) }

// form32 is the I32 form of an integer operation that has two forms.
func form32(op ir.Op) ir.Op {
	if op >= ir.I64Add && op <= ir.I64Extend16S {
		return op - ir.I64Add + ir.I32Add
	}
	return op
}

// shift is the constant by which v shifts or rotates.
func shift(v *ir.Value) (k uint64, ok bool) {
	c, ok := v.Args[1].IsConst()
	return uint64(c) % uint64(bits.Len64(allBits(v.Type))), ok
}

// possibleBits are those of v that may be 1; of gives those of its operands.
func possibleBits(v *ir.Value, of func(*ir.Value) uint64) uint64 {
	all := allBits(v.Type)
	switch op := form32(v.Op); op {
	case ir.Const32, ir.Const64:
		return uint64(v.Aux) & all
	case ir.Load8U32, ir.Load8U64:
		return 1<<8 - 1
	case ir.Load16U32, ir.Load16U64:
		return 1<<16 - 1
	case ir.Load32U64:
		return 1<<32 - 1
	case ir.I64ExtendI32U, ir.I32WrapI64:
		return of(v.Args[0]) & (1<<32 - 1)
	case ir.I32And:
		return of(v.Args[0]) & of(v.Args[1])
	case ir.I32Or, ir.I32Xor:
		return of(v.Args[0]) | of(v.Args[1])
	case ir.I32Add:
		return upTo(of(v.Args[0])|of(v.Args[1]))<<1&all | 1
	case ir.Select:
		return of(v.Args[0]) | of(v.Args[1])
	case ir.I32Shl, ir.I32ShrU:
		k, ok := shift(v)
		switch {
		case !ok:
			return all
		case op == ir.I32Shl:
			return of(v.Args[0]) << k & all
		}
		return of(v.Args[0]) >> k
	}
	if v.IsComparison() {
		return 1
	}
	return all
}

// demandedBits are those of v's operand i that reach bits d of v. possible gives what
// operands may have.
func demandedBits(v *ir.Value, i int, d uint64, possible func(*ir.Value) uint64) uint64 {
	x := v.Args[i]
	all := allBits(x.Type)
	switch op := form32(v.Op); op {
	case ir.I32And:
		if c, ok := v.Args[1-i].IsConst(); ok {
			return d & (uint64(c) | ^possible(x)) // where x is 0, it has to be, lest the mask be needed
		}
		return d
	case ir.I32Or:
		if c, ok := v.Args[1-i].IsConst(); ok {
			return d &^ uint64(c)
		}
		return d
	case ir.I32Xor:
		return d
	case ir.I32Add, ir.I32Sub, ir.I32Mul:
		return upTo(d)
	case ir.I32Shl, ir.I32ShrU, ir.I32ShrS, ir.I32Rotl, ir.I32Rotr:
		if i == 1 {
			return uint64(bits.Len64(all) - 1)
		}
		return shifted(v, op, d)
	case ir.I32Extend8S:
		return extended(d, 8)
	case ir.I32Extend16S:
		return extended(d, 16)
	case ir.I64Extend32S, ir.I64ExtendI32S:
		return extended(d, 32)
	case ir.I64ExtendI32U:
		return d & all
	case ir.I32WrapI64:
		return d
	case ir.Select:
		if i < 2 {
			return d
		}
	case ir.Store8x32, ir.Store8x64:
		if i == 1 {
			return 1<<8 - 1
		}
	case ir.Store16x32, ir.Store16x64:
		if i == 1 {
			return 1<<16 - 1
		}
	case ir.Store32x64:
		if i == 1 {
			return 1<<32 - 1
		}
	}
	return all
}

// shifted is what a shift or rotation demands of what it shifts.
func shifted(v *ir.Value, op ir.Op, d uint64) uint64 {
	all := allBits(v.Type)
	k, ok := shift(v)
	switch {
	case ok && op == ir.I32Shl:
		return d >> k
	case ok && op == ir.I32ShrU:
		return d << k & all
	case ok && op == ir.I32ShrS:
		x := d << k & all
		if d&^(all>>k) != 0 {
			x |= all &^ (all >> 1)
		}
		return x
	case op == ir.I32Shl:
		return upTo(d)
	case op == ir.I32ShrU || op == ir.I32ShrS:
		return from(d) & all
	}
	return all
}

// extended is what the extension of n bits with their sign demands of them.
func extended(d uint64, n int) uint64 {
	low := uint64(1)<<n - 1
	if d&^low != 0 {
		d |= 1 << (n - 1)
	}
	return d & low
}
