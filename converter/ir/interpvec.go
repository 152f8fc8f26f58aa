package ir

import (
	"math/bits"
	"strconv"
)

// vector is a vector's lanes, zero-extended.
type vector []uint64

// split cuts w into lanes of n bits.
func (w Word) split(n int) vector {
	l := make(vector, 128/n)
	for i := range l {
		half := w.Lo
		if i*n >= 64 {
			half = w.Hi
		}
		l[i] = half >> (i * n % 64) & mask(n)
	}
	return l
}

// join is the inverse of split; what does not fit a lane is cut.
func (l vector) join(n int) (w Word) {
	for i, x := range l {
		x &= mask(n)
		if i*n < 64 {
			w.Lo |= x << (i * n)
		} else {
			w.Hi |= x << (i*n - 64)
		}
	}
	return w
}

func mask(n int) uint64 { return 1<<n - 1 }

func signExtend(x uint64, n int) int64 { return int64(x) << (64 - n) >> (64 - n) }

// laneFunc computes a lane of n bits.
type laneFunc func(x, y uint64, n int) uint64

func signedLanes(f func(x, y int64) int64) laneFunc {
	return func(x, y uint64, n int) uint64 { return uint64(f(signExtend(x, n), signExtend(y, n))) }
}

func laneCompare(f func(x, y int64) bool) laneFunc {
	return func(x, y uint64, n int) uint64 { return -uint64(b2i(f(signExtend(x, n), signExtend(y, n)))) }
}

func laneCompareU(f func(x, y uint64) bool) laneFunc {
	return func(x, y uint64, n int) uint64 { return -uint64(b2i(f(x, y))) }
}

// clamp limits x to signed or unsigned n bits.
func clamp(x int64, n int, signed bool) uint64 {
	low, high := int64(0), int64(mask(n))
	if signed {
		low, high = -1<<(n-1), 1<<(n-1)-1
	}
	return uint64(min(max(x, low), high))
}

var laneOps = map[string]laneFunc{
	"add": func(x, y uint64, _ int) uint64 { return x + y }, "sub": func(x, y uint64, _ int) uint64 { return x - y }, "mul": func(x, y uint64, _ int) uint64 { return x * y },
	"add_sat_s": func(x, y uint64, n int) uint64 { return clamp(signExtend(x, n)+signExtend(y, n), n, true) },
	"sub_sat_s": func(x, y uint64, n int) uint64 { return clamp(signExtend(x, n)-signExtend(y, n), n, true) },
	"add_sat_u": func(x, y uint64, n int) uint64 { return clamp(int64(x+y), n, false) },
	"sub_sat_u": func(x, y uint64, n int) uint64 { return clamp(int64(x-y), n, false) },
	"avgr_u":    func(x, y uint64, _ int) uint64 { return (x + y + 1) / 2 },
	"min_s":     signedLanes(func(x, y int64) int64 { return min(x, y) }), "max_s": signedLanes(func(x, y int64) int64 { return max(x, y) }),
	"min_u": func(x, y uint64, _ int) uint64 { return min(x, y) }, "max_u": func(x, y uint64, _ int) uint64 { return max(x, y) },
	"abs": signedLanes(func(x, _ int64) int64 { return max(x, -x) }), "neg": func(x, _ uint64, _ int) uint64 { return -x },
	"popcnt": func(x, _ uint64, _ int) uint64 { return uint64(bits.OnesCount64(x)) },
	"eq":     laneCompareU(func(x, y uint64) bool { return x == y }), "ne": laneCompareU(func(x, y uint64) bool { return x != y }),
	"lt_s": laneCompare(func(x, y int64) bool { return x < y }), "gt_s": laneCompare(func(x, y int64) bool { return x > y }),
	"le_s": laneCompare(func(x, y int64) bool { return x <= y }), "ge_s": laneCompare(func(x, y int64) bool { return x >= y }),
	"lt_u": laneCompareU(func(x, y uint64) bool { return x < y }), "gt_u": laneCompareU(func(x, y uint64) bool { return x > y }),
	"le_u": laneCompareU(func(x, y uint64) bool { return x <= y }), "ge_u": laneCompareU(func(x, y uint64) bool { return x >= y }),
	"q15mulr_sat_s": func(x, y uint64, n int) uint64 {
		return clamp((signExtend(x, n)*signExtend(y, n)+1<<14)>>15, n, true)
	},
}

// shiftOps shift all lanes by a count modulo their width.
var shiftOps = map[string]laneFunc{
	"shl":   func(x, k uint64, _ int) uint64 { return x << k },
	"shr_u": func(x, k uint64, _ int) uint64 { return x >> k },
	"shr_s": func(x, k uint64, n int) uint64 { return uint64(signExtend(x, n) >> k) },
}

func eachLane(n int, f laneFunc) evalFunc {
	return func(_ *Value, a []Word) (Word, error) {
		x, y := operands(a)
		l, m := x.split(n), y.split(n)
		for i := range l {
			l[i] = f(l[i], m[i], n)
		}
		return l.join(n), nil
	}
}

func operands(args []Word) (x, y Word) {
	if len(args) > 1 {
		y = args[1]
	}
	return args[0], y
}

func shiftLanes(n int, f laneFunc) evalFunc {
	return func(_ *Value, a []Word) (Word, error) {
		l := a[0].split(n)
		for i := range l {
			l[i] = f(l[i], a[1].Lo%uint64(n), n)
		}
		return l.join(n), nil
	}
}

func vectors() {
	for _, n := range []int{8, 16, 32, 64} {
		shape := "i" + strconv.Itoa(n) + "x" + strconv.Itoa(128/n) + "."
		for name, f := range laneOps {
			interpreted[shape+name] = eachLane(n, f)
		}
		for name, f := range shiftOps {
			interpreted[shape+name] = shiftLanes(n, f)
		}
		laneAccess(shape, n)
		interpreted[shape+"all_true"] = reduce(n, func(l vector) uint64 {
			for _, x := range l {
				if x == 0 {
					return 0
				}
			}
			return 1
		})
		interpreted[shape+"bitmask"] = reduce(n, func(l vector) (m uint64) {
			for i, x := range l {
				m |= x >> (n - 1) << i
			}
			return m
		})
	}
	for _, n := range []int{32, 64} {
		vectorFloats("f"+strconv.Itoa(n)+"x"+strconv.Itoa(128/n)+".", n)
	}
	for _, n := range []int{16, 32, 64} {
		widenings(n)
	}
	wholeVectors()
	vectorConversions()
}

func reduce(n int, f func(vector) uint64) evalFunc {
	return func(_ *Value, a []Word) (Word, error) { return Word{Lo: f(a[0].split(n))}, nil }
}

func laneAccess(shape string, n int) {
	extract := func(v *Value, a []Word) (Word, error) { return Word{Lo: a[0].split(n)[v.Aux]}, nil }
	interpreted[shape+"splat"] = func(_ *Value, a []Word) (Word, error) {
		l := make(vector, 128/n)
		for i := range l {
			l[i] = a[0].Lo
		}
		return l.join(n), nil
	}
	interpreted[shape+"replace_lane"] = func(v *Value, a []Word) (Word, error) {
		l := a[0].split(n)
		l[v.Aux] = a[1].Lo
		return l.join(n), nil
	}
	interpreted[shape+"extract_lane"], interpreted[shape+"extract_lane_u"] = extract, extract
	interpreted[shape+"extract_lane_s"] = func(v *Value, a []Word) (Word, error) {
		return Word{Lo: uint64(uint32(signExtend(a[0].split(n)[v.Aux], n)))}, nil
	}
}

func vectorFloats(shape string, n int) {
	laneAccess(shape, n)
	for name, f := range floatUnary(n) {
		interpreted[shape+name] = eachLane(n, func(x, _ uint64, _ int) uint64 { return f(x) })
	}
	for name, f := range floatBinary(n) {
		interpreted[shape+name] = eachLane(n, func(x, y uint64, _ int) uint64 { return f(x, y) })
	}
	for name, f := range floatCompares {
		interpreted[shape+name] = eachLane(n, func(x, y uint64, _ int) uint64 { return -uint64(b2i(f(decode(x, n), decode(y, n)))) })
	}
	choose := func(less func(x, y float64) bool) evalFunc {
		return eachLane(n, func(x, y uint64, _ int) uint64 {
			if less(decode(x, n), decode(y, n)) {
				return y
			}
			return x
		})
	}
	interpreted[shape+"pmin"] = choose(func(x, y float64) bool { return y < x })
	interpreted[shape+"pmax"] = choose(func(x, y float64) bool { return x < y })
}

// widenings are the operations that give lanes of n bits from lanes of half
// that.
func widenings(n int) {
	half := n / 2
	shape := "i" + strconv.Itoa(n) + "x" + strconv.Itoa(128/n) + "."
	from := "_i" + strconv.Itoa(half) + "x" + strconv.Itoa(128/half)
	for _, signed := range []bool{true, false} {
		suffix := map[bool]string{true: "_s", false: "_u"}[signed]
		widen := func(x uint64) uint64 {
			if signed {
				return uint64(signExtend(x, half))
			}
			return x
		}
		for part, at := range map[string]int{"low": 0, "high": 128 / n} {
			interpreted[shape+"extend_"+part+from+suffix] = fromHalf(n, func(x, _ vector, i int) uint64 { return widen(x[at+i]) })
			interpreted[shape+"extmul_"+part+from+suffix] = fromHalf(n, func(x, y vector, i int) uint64 { return widen(x[at+i]) * widen(y[at+i]) })
		}
		interpreted[shape+"extadd_pairwise"+from+suffix] = fromHalf(n, func(x, _ vector, i int) uint64 { return widen(x[2*i]) + widen(x[2*i+1]) })
		narrow := "i" + strconv.Itoa(half) + "x" + strconv.Itoa(128/half) + ".narrow_" + shape[:len(shape)-1] + suffix
		interpreted[narrow] = func(_ *Value, a []Word) (Word, error) {
			l := append(a[0].split(n), a[1].split(n)...)
			for i, x := range l {
				l[i] = clamp(signExtend(x, n), half, signed)
			}
			return l.join(half), nil
		}
	}
}

func fromHalf(n int, f func(x, y vector, i int) uint64) evalFunc {
	return func(_ *Value, a []Word) (Word, error) {
		x, y := operands(a)
		l := make(vector, 128/n)
		for i := range l {
			l[i] = f(x.split(n/2), y.split(n/2), i)
		}
		return l.join(n), nil
	}
}

func wholeVectors() {
	bitwise := func(f func(x, y uint64) uint64) evalFunc {
		return func(_ *Value, a []Word) (Word, error) {
			x, y := operands(a)
			return Word{f(x.Lo, y.Lo), f(x.Hi, y.Hi)}, nil
		}
	}
	interpreted["v128.not"] = bitwise(func(x, _ uint64) uint64 { return ^x })
	interpreted["v128.and"] = bitwise(func(x, y uint64) uint64 { return x & y })
	interpreted["v128.andnot"] = bitwise(func(x, y uint64) uint64 { return x &^ y })
	interpreted["v128.or"] = bitwise(func(x, y uint64) uint64 { return x | y })
	interpreted["v128.xor"] = bitwise(func(x, y uint64) uint64 { return x ^ y })
	interpreted["v128.bitselect"] = func(_ *Value, a []Word) (Word, error) {
		x, y, m := a[0], a[1], a[2]
		return Word{x.Lo&m.Lo | y.Lo&^m.Lo, x.Hi&m.Hi | y.Hi&^m.Hi}, nil
	}
	interpreted["v128.any_true"] = func(_ *Value, a []Word) (Word, error) { return Word{Lo: uint64(b2i(a[0].Lo|a[0].Hi != 0))}, nil }
	interpreted["i8x16.shuffle"] = func(v *Value, a []Word) (Word, error) {
		from := append(a[0].split(8), a[1].split(8)...)
		l := Word{uint64(v.Aux), uint64(v.Aux2)}.split(8)
		for i := range l {
			l[i] = from[l[i]]
		}
		return l.join(8), nil
	}
	interpreted["i8x16.swizzle"] = func(_ *Value, a []Word) (Word, error) {
		from, l := a[0].split(8), a[1].split(8)
		for i := range l {
			if l[i] < 16 {
				l[i] = from[l[i]]
			} else {
				l[i] = 0
			}
		}
		return l.join(8), nil
	}
	interpreted["i32x4.dot_i16x8_s"] = fromHalf(32, func(x, y vector, i int) uint64 {
		return uint64(signExtend(x[2*i], 16)*signExtend(y[2*i], 16) + signExtend(x[2*i+1], 16)*signExtend(y[2*i+1], 16))
	})
}

// vectorConversions are between lanes of 32 and 64 bits; what has no
// counterpart in the other vector is zero.
func vectorConversions() {
	convert := func(from, to, count int, f func(uint64) uint64) evalFunc {
		return func(_ *Value, a []Word) (Word, error) {
			x := a[0].split(from)
			l := make(vector, 128/to)
			for i := range count {
				l[i] = f(x[i])
			}
			return l.join(to), nil
		}
	}
	for _, signed := range []bool{true, false} {
		suffix := map[bool]string{true: "_s", false: "_u"}[signed]
		interpreted["i32x4.trunc_sat_f32x4"+suffix] = convert(32, 32, 4, func(x uint64) uint64 { return truncate(decode(x, 32), 32, signed) })
		interpreted["i32x4.trunc_sat_f64x2"+suffix+"_zero"] = convert(64, 32, 2, func(x uint64) uint64 { return truncate(decode(x, 64), 32, signed) })
		interpreted["f32x4.convert_i32x4"+suffix] = convert(32, 32, 4, func(x uint64) uint64 { return convertInt(x, 32, 32, signed) })
		interpreted["f64x2.convert_low_i32x4"+suffix] = convert(32, 64, 2, func(x uint64) uint64 { return convertInt(x, 32, 64, signed) })
	}
	interpreted["f32x4.demote_f64x2_zero"] = convert(64, 32, 2, demote)
	interpreted["f64x2.promote_low_f32x4"] = convert(32, 64, 2, promote)
}
