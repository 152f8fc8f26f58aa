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

type evalFunc func(v *Value, args []Word) (Word, error)

// interpreted holds the named operations that are interpreted: what tests need.
var interpreted = map[string]evalFunc{
	"f64.add":  f64op(func(x, y float64) float64 { return x + y }),
	"f64.sub":  f64op(func(x, y float64) float64 { return x - y }),
	"f64.mul":  f64op(func(x, y float64) float64 { return x * y }),
	"f64.div":  f64op(func(x, y float64) float64 { return x / y }),
	"f64.sqrt": f64op(func(x, _ float64) float64 { return math.Sqrt(x) }),
	"f64.abs":  f64op(func(x, _ float64) float64 { return math.Abs(x) }),
	"f64.eq":   f64cmp(func(x, y float64) bool { return x == y }),
	"f64.ne":   f64cmp(func(x, y float64) bool { return x != y }),
	"f64.lt":   f64cmp(func(x, y float64) bool { return x < y }),
	"f64.gt":   f64cmp(func(x, y float64) bool { return x > y }),
	"f64.le":   f64cmp(func(x, y float64) bool { return x <= y }),
	"f64.ge":   f64cmp(func(x, y float64) bool { return x >= y }),
	"f32.add":  f32op(func(x, y float32) float32 { return x + y }),
	"f32.sub":  f32op(func(x, y float32) float32 { return x - y }),
	"f32.mul":  f32op(func(x, y float32) float32 { return x * y }),
	"f32.div":  f32op(func(x, y float32) float32 { return x / y }),

	"i32.reinterpret_f32": bits64(func(x uint64) uint64 { return x }),
	"i64.reinterpret_f64": bits64(func(x uint64) uint64 { return x }),
	"f32.reinterpret_i32": bits64(func(x uint64) uint64 { return x }),
	"f64.reinterpret_i64": bits64(func(x uint64) uint64 { return x }),
	"f64.convert_i32_s":   bits64(func(x uint64) uint64 { return math.Float64bits(float64(int32(x))) }),
	"f64.convert_i64_s":   bits64(func(x uint64) uint64 { return math.Float64bits(float64(int64(x))) }),
	"f64.promote_f32":     bits64(func(x uint64) uint64 { return math.Float64bits(float64(math.Float32frombits(uint32(x)))) }),
	"f32.demote_f64":      bits64(func(x uint64) uint64 { return uint64(math.Float32bits(float32(math.Float64frombits(x)))) }),

	"v128.not":    v128op(func(x, _ uint64) uint64 { return ^x }),
	"v128.and":    v128op(func(x, y uint64) uint64 { return x & y }),
	"v128.andnot": v128op(func(x, y uint64) uint64 { return x &^ y }),
	"v128.or":     v128op(func(x, y uint64) uint64 { return x | y }),
	"v128.xor":    v128op(func(x, y uint64) uint64 { return x ^ y }),
	"i64x2.add":   v128op(func(x, y uint64) uint64 { return x + y }),
	"i64x2.sub":   v128op(func(x, y uint64) uint64 { return x - y }),

	"i64x2.splat":        func(_ *Value, a []Word) (Word, error) { return Word{a[0].Lo, a[0].Lo}, nil },
	"f64x2.splat":        func(_ *Value, a []Word) (Word, error) { return Word{a[0].Lo, a[0].Lo}, nil },
	"i64x2.extract_lane": extractLane64,
	"f64x2.extract_lane": extractLane64,
	"i64x2.replace_lane": replaceLane64,
	"f64x2.replace_lane": replaceLane64,
}

func operands(args []Word) (x, y Word) {
	if len(args) > 1 {
		y = args[1]
	}
	return args[0], y
}

func f64op(fn func(x, y float64) float64) evalFunc {
	return func(_ *Value, args []Word) (Word, error) {
		x, y := operands(args)
		return Word{Lo: math.Float64bits(fn(math.Float64frombits(x.Lo), math.Float64frombits(y.Lo)))}, nil
	}
}

func f32op(fn func(x, y float32) float32) evalFunc {
	return func(_ *Value, args []Word) (Word, error) {
		x, y := operands(args)
		return Word{Lo: uint64(math.Float32bits(fn(math.Float32frombits(uint32(x.Lo)), math.Float32frombits(uint32(y.Lo)))))}, nil
	}
}

func f64cmp(fn func(x, y float64) bool) evalFunc {
	return func(_ *Value, args []Word) (Word, error) {
		return Word{Lo: uint64(b2i(fn(math.Float64frombits(args[0].Lo), math.Float64frombits(args[1].Lo))))}, nil
	}
}

func bits64(fn func(uint64) uint64) evalFunc {
	return func(_ *Value, args []Word) (Word, error) { return Word{Lo: fn(args[0].Lo)}, nil }
}

func v128op(fn func(x, y uint64) uint64) evalFunc {
	return func(_ *Value, args []Word) (Word, error) {
		x, y := operands(args)
		return Word{fn(x.Lo, y.Lo), fn(x.Hi, y.Hi)}, nil
	}
}

func extractLane64(v *Value, args []Word) (Word, error) {
	if v.Aux == 1 {
		return Word{Lo: args[0].Hi}, nil
	}
	return Word{Lo: args[0].Lo}, nil
}

func replaceLane64(v *Value, args []Word) (Word, error) {
	w := args[0]
	if v.Aux == 1 {
		w.Hi = args[1].Lo
	} else {
		w.Lo = args[1].Lo
	}
	return w, nil
}
