package x87

import (
	"math/big"
	"sync"
)

// prec is the working precision of the transcendental functions, in bits:
// the result's 64 and so many guard bits that it is all but always rounded
// correctly. Processors promise one unit in the last place.
const prec = 160

func newFloat() *big.Float { return new(big.Float).SetPrec(prec) }

func bigInt(v int64) *big.Float { return newFloat().SetInt64(v) }

// exactFloat is a finite value as a big.Float, exactly.
func (f F80) exactFloat() *big.Float {
	x := new(big.Float).SetPrec(64).SetUint64(f.Man)
	x.SetMantExp(x, max(f.exp(), 1)-bias-63)
	if f.neg() {
		x.Neg(x)
	}
	return x
}

// fromBig rounds a non-zero irrational result, so it is always inexact.
func (u *unit) fromBig(x *big.Float) F80 {
	m := new(big.Float)
	exp := x.MantExp(m) // x = m × 2^exp, 0.5 ≤ |m| < 1
	i, _ := m.SetMantExp(m.Abs(m), 128).Int(nil)
	lo := new(big.Int).And(i, new(big.Int).SetUint64(^uint64(0))).Uint64()
	hi := i.Rsh(i, 64).Uint64()
	return u.pack(extended, x.Signbit(), exp-1+bias, hi, lo|1)
}

// series sums t + t·r(1) + t·r(1)·r(2) … until terms no longer matter. next
// turns the term before into term k.
func series(t *big.Float, next func(t *big.Float, k int64)) *big.Float {
	sum := newFloat().Set(t)
	if t.Sign() == 0 {
		return sum
	}
	t = newFloat().Set(t)
	for k := int64(1); ; k++ {
		next(t, k)
		if t.Sign() == 0 || t.MantExp(nil) < sum.MantExp(nil)-prec {
			return sum
		}
		sum.Add(sum, t)
	}
}

// oddSeries sums x + s·x³/3 + x⁵/5 + …: atanh for s = 1, atan for s = −1.
func oddSeries(x *big.Float, s int64) *big.Float {
	x2 := newFloat().Mul(x, x)
	if s < 0 {
		x2.Neg(x2)
	}
	power := newFloat().Set(x)
	return series(x, func(t *big.Float, k int64) {
		power.Mul(power, x2)
		t.Quo(power, bigInt(2*k+1))
	})
}

var ln2 = sync.OnceValue(func() *big.Float {
	// ln 2 = 2 atanh(1/3)
	t := oddSeries(newFloat().Quo(bigInt(1), bigInt(3)), 1)
	return t.Add(t, t)
})

// ln1p is the natural logarithm of x, where x1 = x − 1 is given exactly; x
// should be near 1.
func ln1p(x1 *big.Float) *big.Float {
	// ln x = 2 atanh((x−1)/(x+1))
	t := oddSeries(newFloat().Quo(x1, newFloat().Add(x1, bigInt(2))), 1)
	return t.Add(t, t)
}

// log2 of a positive finite value.
func log2(x *big.Float) *big.Float {
	m := newFloat()
	exp := x.MantExp(m)
	if m.Cmp(big.NewFloat(0.70710678)) < 0 { // keep m within √½ … √2
		m.SetMantExp(m, 1)
		exp--
	}
	l := ln1p(m.Sub(m, bigInt(1)))
	l.Quo(l, ln2())
	return l.Add(l, bigInt(int64(exp)))
}

// exp2m1 is 2^x − 1 for |x| ≤ 1.
func exp2m1(x *big.Float) *big.Float {
	y := newFloat().Mul(x, ln2())
	return series(y, func(t *big.Float, k int64) {
		t.Mul(t, y)
		t.Quo(t, bigInt(k+1))
	})
}

// arctan of 0 ≤ x ≤ 1.
func arctan(x *big.Float) *big.Float {
	// Twice: atan x = 2 atan(x / (1 + √(1 + x²)))
	for range 2 {
		d := newFloat().Mul(x, x)
		d.Sqrt(d.Add(d, bigInt(1)))
		x = newFloat().Quo(x, d.Add(d, bigInt(1)))
	}
	a := oddSeries(x, -1)
	return a.SetMantExp(a, 2)
}

var pi = sync.OnceValue(func() *big.Float {
	a := arctan(bigInt(1))
	return a.SetMantExp(a, 2)
})

// sinCos are the sine and cosine of |x| ≤ π/4.
func sinCos(x *big.Float) (sin, cos *big.Float) {
	x2 := newFloat().Mul(x, x)
	x2.Neg(x2)
	sin = series(x, func(t *big.Float, k int64) {
		t.Mul(t, x2)
		t.Quo(t, bigInt(2*k*(2*k+1)))
	})
	cos = series(bigInt(1), func(t *big.Float, k int64) {
		t.Mul(t, x2)
		t.Quo(t, bigInt(2*k*(2*k-1)))
	})
	return sin, cos
}

// halfPi66 is π/2 as processors hold it for argument reduction: 66 bits of
// significand (SDM volume 1, section 8.3.8).
var halfPi66 = func() *big.Float {
	m, _ := new(big.Int).SetString("C90FDAA22168C234C", 16)
	x := new(big.Float).SetPrec(80).SetInt(m)
	return x.SetMantExp(x, -67)
}()

// reduceAngle writes x as quadrant·π/2 + rest, |rest| ≤ π/4.
func reduceAngle(x *big.Float) (rest *big.Float, quadrant int) {
	wide := func() *big.Float { return new(big.Float).SetPrec(2 * prec) }
	q := wide().Quo(x, halfPi66)
	half := big.NewFloat(0.5)
	if x.Signbit() {
		half.Neg(half)
	}
	k, _ := q.Add(q, half).Int(nil)
	r := wide().Mul(wide().SetInt(k), halfPi66)
	r.Sub(x, r)
	low := new(big.Int).And(k, big.NewInt(3)) // two's complement, as And is
	return newFloat().Set(r), int(low.Int64())
}
