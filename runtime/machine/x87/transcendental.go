package x87

import (
	"math/big"
	"math/bits"
)

// The transcendental instructions ignore precision control. Their special
// cases are the tables of the SDM's instruction pages.

// f2xm1 is 2^x − 1; beyond ±1 it is undefined and leaves x.
func (u *unit) f2xm1(x F80) F80 {
	if res, ok := u.operand(x); !ok {
		return res
	}
	switch {
	case x.isZero():
		return x
	case x.isInf():
		if x.neg() {
			return F80{integer, 0x8000 | bias}
		}
		return x
	case x.exp() >= bias:
		u.flags |= precision
		if x.neg() && x.exp() == bias && x.Man == integer {
			return F80{integer, 0x8000 | bias - 1}
		}
		return x
	}
	return u.fromBig(exp2m1(x.exactFloat()))
}

// yl2x is y·log2 x.
func (u *unit) yl2x(x, y F80) F80 {
	if res, ok := u.operands(x, y); !ok {
		return res
	}
	isOne := x == one
	switch {
	case x.isZero() && y.isZero():
		return u.invalid()
	case x.isZero():
		if !y.isInf() {
			u.flags |= zeroDiv
		}
		return inf(!y.neg())
	case x.neg(), isOne && y.isInf(), x.isInf() && y.isZero():
		return u.invalid()
	case x.isInf(), y.isInf():
		return inf(y.neg() != (x.exp() < bias))
	case isOne, y.isZero():
		return zero(y.neg() != (x.exp() < bias))
	}
	if n := x.num(); n.man == integer { // a power of two: exact
		return u.scaled(y, int64(n.exp-bias))
	}
	l := log2(x.exactFloat())
	return u.fromBig(l.Mul(l, y.exactFloat()))
}

// scaled is y·k, k ≠ 0, rounded to 64 bits; processors call it inexact always.
func (u *unit) scaled(y F80, k int64) F80 {
	a, b := y.num(), fromInt(k).num()
	w := *u
	w.prec = extended
	hi, lo := bits.Mul64(a.man, b.man)
	res := w.round(a.neg != b.neg, a.exp+b.exp-bias+1, hi, lo)
	u.flags, u.rounded = w.flags|precision, w.rounded
	return res
}

// yl2xp1 is y·log2(x+1), for |x| < 1 − √½.
func (u *unit) yl2xp1(x, y F80) F80 {
	if res, ok := u.operands(x, y); !ok {
		return res
	}
	neg := x.neg() != y.neg()
	switch {
	case x.isInf() && (x.neg() || y.isZero()), x.isZero() && y.isInf():
		return u.invalid()
	case x.isInf(), y.isInf():
		return inf(neg)
	case x.isZero(), y.isZero():
		return zero(neg)
	case x.neg() && x.exp() >= bias: // undefined; processors leave x
		u.flags |= precision
		return x
	}
	l := logOnePlus(x.exactFloat())
	return u.fromBig(l.Mul(l, y.exactFloat()))
}

// logOnePlus is log2(1 + x).
func logOnePlus(x *big.Float) *big.Float {
	if x.MantExp(nil) < -1 {
		l := ln1p(x)
		return l.Quo(l, ln2())
	}
	return log2(newFloat().Add(x, bigInt(1)))
}

// patan is the angle of the point (x, y), by quadrant.
func (u *unit) patan(x, y F80) F80 {
	if res, ok := u.operands(x, y); !ok {
		return res
	}
	switch {
	case x.isInf() && y.isInf():
		if x.neg() {
			return u.angle(3, 4, y.neg())
		}
		return u.angle(1, 4, y.neg())
	case y.isInf(), x.isZero() && !y.isZero():
		return u.angle(1, 2, y.neg())
	case y.isZero(), x.isInf():
		if x.neg() {
			return u.angle(1, 1, y.neg())
		}
		return zero(y.neg())
	}
	a := quadrantAngle(x.exactFloat(), y.exactFloat())
	return u.fromBig(a)
}

// angle is ±π·n/d.
func (u *unit) angle(n, d int64, neg bool) F80 {
	a := newFloat().Mul(pi(), bigInt(n))
	a.Quo(a, bigInt(d))
	if neg {
		a.Neg(a)
	}
	return u.fromBig(a)
}

func quadrantAngle(x, y *big.Float) *big.Float {
	ax, ay := newFloat().Abs(x), newFloat().Abs(y)
	var a *big.Float
	if ay.Cmp(ax) <= 0 {
		a = arctan(newFloat().Quo(ay, ax))
	} else {
		a = newFloat().SetMantExp(pi(), -1)
		a.Sub(a, arctan(newFloat().Quo(ax, ay)))
	}
	if x.Signbit() {
		a.Sub(pi(), a)
	}
	if y.Signbit() {
		a.Neg(a)
	}
	return a
}

// trig is the part common to fsin, fcos, fptan and fsincos. ok is false when
// special is the result already; outOfRange asks for C2.
func (u *unit) trig(x F80) (sin, cos *big.Float, special F80, outOfRange, ok bool) {
	special, ok = u.operand(x)
	switch {
	case !ok:
		return nil, nil, special, false, false
	case x.isInf():
		return nil, nil, u.invalid(), false, false
	case x.exp() >= bias+63:
		return nil, nil, x, true, false
	}
	rest, quadrant := reduceAngle(x.exactFloat())
	s, c := sinCos(rest)
	switch quadrant {
	case 1:
		s, c = c, s.Neg(s)
	case 2:
		s, c = s.Neg(s), c.Neg(c)
	case 3:
		s, c = c.Neg(c), s
	}
	return s, c, F80{}, false, true
}

func (u *unit) sin(x F80) (res F80, outOfRange bool) {
	if x.isZero() {
		return x, false
	}
	s, _, special, out, ok := u.trig(x)
	if !ok {
		return special, out
	}
	return u.fromBig(s), false
}

func (u *unit) cos(x F80) (res F80, outOfRange bool) {
	if x.isZero() {
		return one, false
	}
	_, c, special, out, ok := u.trig(x)
	if !ok {
		return special, out
	}
	return u.fromBig(c), false
}

func (u *unit) tan(x F80) (res F80, outOfRange bool) {
	if x.isZero() {
		return x, false
	}
	s, c, special, out, ok := u.trig(x)
	if !ok {
		return special, out
	}
	return u.fromBig(s.Quo(s, c)), false
}
