package ir

import (
	"math"
	"math/bits"
)

// evalInt computes an integer operation.
func evalInt(v *Value, args []Word) (uint64, error) {
	switch v.Op {
	case I32WrapI64:
		return uint64(uint32(args[0].Lo)), nil
	case I64ExtendI32U:
		return args[0].Lo, nil
	case I64ExtendI32S, I64Extend32S:
		return uint64(int32(args[0].Lo)), nil
	}
	op, t := v.Op, I32
	if op >= I64Add {
		op, t = op-toI64, I64
	}
	x, y := int64(args[0].Lo), int64(0)
	if len(args) > 1 {
		y = int64(args[1].Lo)
	}
	if t == I32 {
		x, y = int64(int32(x)), int64(int32(y))
	}
	r, err := int64(0), error(nil)
	if c, ok := fold(op, t, x, y); ok {
		r = c
	} else if op >= I32DivS && op <= I32RemU {
		r, err = divide(op, t, x, y)
	} else {
		r = bitOp(op, t, x, y)
	}
	if v.Type == I32 {
		return uint64(uint32(r)), err
	}
	return uint64(r), err
}

func divide(op Op, t Type, x, y int64) (int64, error) {
	lowest := int64(math.MinInt64)
	ux, uy := uint64(x), uint64(y)
	if t == I32 {
		lowest, ux, uy = math.MinInt32, uint64(uint32(x)), uint64(uint32(y))
	}
	if y == 0 || op == I32DivS && x == lowest && y == -1 {
		return 0, ErrDivide
	}
	switch op {
	case I32DivS:
		return x / y, nil
	case I32DivU:
		return int64(ux / uy), nil
	case I32RemS:
		return x % y, nil
	}
	return int64(ux % uy), nil
}

func bitOp(op Op, t Type, x, y int64) int64 {
	wide := t == I64
	switch op {
	case I32Rotr, I32Rotl:
		k := int(y)
		if op == I32Rotr {
			k = -k
		}
		if wide {
			return int64(bits.RotateLeft64(uint64(x), k&63))
		}
		return int64(bits.RotateLeft32(uint32(x), k&31))
	case I32Clz:
		if wide {
			return int64(bits.LeadingZeros64(uint64(x)))
		}
		return int64(bits.LeadingZeros32(uint32(x)))
	case I32Ctz:
		if wide {
			return int64(bits.TrailingZeros64(uint64(x)))
		}
		return int64(bits.TrailingZeros32(uint32(x)))
	case I32Popcnt:
		if wide {
			return int64(bits.OnesCount64(uint64(x)))
		}
		return int64(bits.OnesCount32(uint32(x)))
	case I32Eqz:
		return b2i(x == 0)
	case I32Extend8S:
		return int64(int8(x))
	}
	return int64(int16(x)) // I32Extend16S
}
