package ir

import "math"

type evalFunc func(v *Value, args []Word) (Word, error)

// interpreted is how the named operations are computed, by name.
var interpreted = map[string]evalFunc{}

func init() {
	scalarFloats("f32", 32)
	scalarFloats("f64", 64)
	conversions()
	vectors()
}

// floatFunc is an operation on floats that are not NaNs.
type floatFunc func(x, y float64) float64

var floatOps = map[string]floatFunc{
	"add": func(x, y float64) float64 { return x + y }, "sub": func(x, y float64) float64 { return x - y },
	"mul": func(x, y float64) float64 { return x * y }, "div": func(x, y float64) float64 { return x / y },
	"min": math.Min, "max": math.Max,
}

var floatRounds = map[string]func(float64) float64{
	"ceil": math.Ceil, "floor": math.Floor, "trunc": math.Trunc, "nearest": math.RoundToEven, "sqrt": math.Sqrt,
}

var floatCompares = map[string]func(x, y float64) bool{
	"eq": func(x, y float64) bool { return x == y }, "ne": func(x, y float64) bool { return x != y },
	"lt": func(x, y float64) bool { return x < y }, "gt": func(x, y float64) bool { return x > y },
	"le": func(x, y float64) bool { return x <= y }, "ge": func(x, y float64) bool { return x >= y },
}

// decode reads a float of n bits; a single is exact as a double.
func decode(b uint64, n int) float64 {
	if n == 32 {
		return float64(math.Float32frombits(uint32(b)))
	}
	return math.Float64frombits(b)
}

// encode rounds to n bits. Operations on singles done in doubles and rounded
// once more are right: 53 ≥ 2·24 + 2. A NaN is the default one.
func encode(x float64, n int) uint64 {
	switch {
	case math.IsNaN(x):
		return signOf(n) | expOf(n) | quietOf(n)
	case n == 32:
		return uint64(math.Float32bits(float32(x)))
	}
	return math.Float64bits(x)
}

func signOf(n int) uint64 { return 1 << (n - 1) }

func quietOf(n int) uint64 {
	if n == 32 {
		return 1 << 22
	}
	return 1 << 51
}

func expOf(n int) uint64 {
	if n == 32 {
		return 0xff << 23
	}
	return 0x7ff << 52
}

func isNaN(b uint64, n int) bool { return b&^signOf(n) > expOf(n) }

// quieted is the NaN that an operation gives for NaN operands, as x86's do:
// the first that is one, quiet.
func quieted(x, y uint64, n int) (uint64, bool) {
	switch {
	case isNaN(x, n):
		return x | quietOf(n), true
	case isNaN(y, n):
		return y | quietOf(n), true
	}
	return 0, false
}

func binaryFloat(f floatFunc, n int) func(x, y uint64) uint64 {
	return func(x, y uint64) uint64 {
		if q, ok := quieted(x, y, n); ok {
			return q
		}
		return encode(f(decode(x, n), decode(y, n)), n)
	}
}

func roundFloat(f func(float64) float64, n int) func(x uint64) uint64 {
	return func(x uint64) uint64 {
		if q, ok := quieted(x, 0, n); ok {
			return q
		}
		return encode(f(decode(x, n)), n)
	}
}

// floatUnary and floatBinary are all operations of a format on bits.
func floatUnary(n int) map[string]func(uint64) uint64 {
	m := map[string]func(uint64) uint64{
		"abs": func(x uint64) uint64 { return x &^ signOf(n) },
		"neg": func(x uint64) uint64 { return x ^ signOf(n) },
	}
	for name, f := range floatRounds {
		m[name] = roundFloat(f, n)
	}
	return m
}

func floatBinary(n int) map[string]func(x, y uint64) uint64 {
	m := map[string]func(x, y uint64) uint64{
		"copysign": func(x, y uint64) uint64 { return x&^signOf(n) | y&signOf(n) },
	}
	for name, f := range floatOps {
		m[name] = binaryFloat(f, n)
	}
	return m
}

func scalarFloats(prefix string, n int) {
	for name, f := range floatUnary(n) {
		interpreted[prefix+"."+name] = func(_ *Value, a []Word) (Word, error) { return Word{Lo: f(a[0].Lo)}, nil }
	}
	for name, f := range floatBinary(n) {
		interpreted[prefix+"."+name] = func(_ *Value, a []Word) (Word, error) { return Word{Lo: f(a[0].Lo, a[1].Lo)}, nil }
	}
	for name, f := range floatCompares {
		interpreted[prefix+"."+name] = func(_ *Value, a []Word) (Word, error) {
			return Word{Lo: uint64(b2i(f(decode(a[0].Lo, n), decode(a[1].Lo, n))))}, nil
		}
	}
}

func unaryBits(f func(uint64) uint64) evalFunc {
	return func(_ *Value, a []Word) (Word, error) { return Word{Lo: f(a[0].Lo)}, nil }
}

// promote and demote change the format; a NaN keeps its payload's top.
func promote(x uint64) uint64 {
	if isNaN(x, 32) {
		return x>>31<<63 | expOf(64) | quietOf(64) | x&(1<<23-1)<<29
	}
	return math.Float64bits(decode(x, 32))
}

func demote(x uint64) uint64 {
	if isNaN(x, 64) {
		return x>>63<<31 | expOf(32) | quietOf(32) | x>>29&(1<<23-1)
	}
	return encode(decode(x, 64), 32)
}

// truncate converts a float to an integer of n bits, saturating.
func truncate(x float64, n int, signed bool) uint64 {
	low, high := 0.0, math.Ldexp(1, n)
	if signed {
		low, high = -math.Ldexp(1, n-1), math.Ldexp(1, n-1)
	}
	x = math.Trunc(x)
	switch {
	case math.IsNaN(x):
		return 0
	case x < low:
		x = low
	case x >= high:
		if signed {
			return 1<<(n-1) - 1
		}
		return 1<<n - 1
	}
	if signed {
		return uint64(int64(x)) & (1<<n - 1)
	}
	return uint64(x)
}

func conversions() {
	for _, from := range []int{32, 64} {
		for _, to := range []int{32, 64} {
			names := map[int]string{32: "32", 64: "64"}
			f, i := names[from], names[to]
			for _, signed := range []bool{true, false} {
				suffix := map[bool]string{true: "_s", false: "_u"}[signed]
				interpreted["i"+i+".trunc_sat_f"+f+suffix] = unaryBits(func(x uint64) uint64 { return truncate(decode(x, from), to, signed) })
				interpreted["f"+f+".convert_i"+i+suffix] = unaryBits(func(x uint64) uint64 { return convertInt(x, to, from, signed) })
			}
		}
	}
	same := unaryBits(func(x uint64) uint64 { return x })
	for _, name := range []string{"i32.reinterpret_f32", "i64.reinterpret_f64", "f32.reinterpret_i32", "f64.reinterpret_i64"} {
		interpreted[name] = same
	}
	interpreted["f64.promote_f32"], interpreted["f32.demote_f64"] = unaryBits(promote), unaryBits(demote)
}

// convertInt converts an integer of from bits to a float of to bits.
func convertInt(x uint64, from, to int, signed bool) uint64 {
	s := int64(x) << (64 - from) >> (64 - from)
	switch {
	case to == 32 && signed:
		return uint64(math.Float32bits(float32(s)))
	case to == 32:
		return uint64(math.Float32bits(float32(x)))
	case signed:
		return math.Float64bits(float64(s))
	}
	return math.Float64bits(float64(x))
}
