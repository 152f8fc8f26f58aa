package x87

import "math/bits"

// operands does what every two-operand operation does first: it raises the
// denormal exception and handles NaN and unsupported encodings. ok says that
// the operation is still to be done.
func (u *unit) operands(a, b F80) (res F80, ok bool) {
	if a.isUnsupported() || b.isUnsupported() {
		return u.invalid(), false
	}
	if a.isNaN() || b.isNaN() {
		return u.propagate(a, b), false
	}
	if a.isDenorm() || b.isDenorm() {
		u.flags |= denormal
	}
	return F80{}, true
}

// operand is operands for one operand.
func (u *unit) operand(a F80) (res F80, ok bool) { return u.operands(a, a) }

func (u *unit) invalid() F80 {
	u.flags = u.flags&^denormal | invalid
	return indefinite
}

// propagate chooses the NaN result (SDM volume 1, table 4-7).
func (u *unit) propagate(a, b F80) F80 {
	if a.isSNaN() || b.isSNaN() {
		u.flags |= invalid
	}
	res := a
	switch {
	case !a.isNaN():
		res = b
	case !b.isNaN():
	case a.isSNaN() && !b.isSNaN():
		res = b
	case b.isSNaN() && !a.isSNaN():
	case b.Man > a.Man || b.Man == a.Man && !b.neg():
		res = b
	}
	res.Man |= quiet
	return res
}

func (u *unit) add(a, b F80) F80 {
	if res, ok := u.operands(a, b); !ok {
		return res
	}
	switch {
	case a.isInf() && b.isInf() && a.neg() != b.neg():
		return u.invalid()
	case a.isInf():
		return a
	case b.isInf():
		return b
	case a.isZero() && b.isZero():
		if a.neg() == b.neg() {
			return a
		}
		return zero(u.rc == down)
	case a.isZero():
		return u.exact(b)
	case b.isZero():
		return u.exact(a)
	}
	x, y := a.num(), b.num()
	if y.exp > x.exp || y.exp == x.exp && y.man > x.man {
		x, y = y, x
	}
	hi, lo := shiftRight(y.man, 0, uint(x.exp-y.exp))
	if x.neg != y.neg {
		return u.difference(x, hi, lo)
	}
	rlo := lo
	rhi, carry := bits.Add64(x.man, hi, 0)
	if carry != 0 {
		rhi, rlo = shiftRight(rhi, rlo, 1)
		return u.round(x.neg, x.exp+1, rhi|integer, rlo)
	}
	return u.round(x.neg, x.exp, rhi, rlo)
}

// difference rounds x − hi:lo, of which x is the larger.
func (u *unit) difference(x num, hi, lo uint64) F80 {
	rlo, borrow := bits.Sub64(0, lo, 0)
	rhi, _ := bits.Sub64(x.man, hi, borrow)
	if rhi|rlo == 0 {
		return zero(u.rc == down)
	}
	return u.round(x.neg, x.exp, rhi, rlo)
}

// exact rounds a finite value as it is, by precision control.
func (u *unit) exact(a F80) F80 {
	if a.isZero() {
		return a
	}
	n := a.num()
	return u.round(n.neg, n.exp, n.man, 0)
}

func (u *unit) sub(a, b F80) F80 {
	if !b.isNaN() {
		b.SE ^= 0x8000
	}
	return u.add(a, b)
}

func (u *unit) mul(a, b F80) F80 {
	if res, ok := u.operands(a, b); !ok {
		return res
	}
	neg := a.neg() != b.neg()
	switch {
	case a.isInf() && b.isZero(), a.isZero() && b.isInf():
		return u.invalid()
	case a.isInf(), b.isInf():
		return inf(neg)
	case a.isZero(), b.isZero():
		return zero(neg)
	}
	x, y := a.num(), b.num()
	hi, lo := bits.Mul64(x.man, y.man)
	return u.round(neg, x.exp+y.exp-bias+1, hi, lo)
}

func (u *unit) div(a, b F80) F80 {
	if res, ok := u.operands(a, b); !ok {
		return res
	}
	neg := a.neg() != b.neg()
	switch {
	case a.isInf() && b.isInf(), a.isZero() && b.isZero():
		return u.invalid()
	case a.isInf():
		return inf(neg)
	case b.isInf(), a.isZero():
		return zero(neg)
	case b.isZero():
		u.flags = u.flags&^denormal | zeroDiv
		return inf(neg)
	}
	x, y := a.num(), b.num()
	hi, r := bits.Div64(x.man>>1, x.man<<63, y.man)
	lo, r := bits.Div64(r, 0, y.man)
	return u.round(neg, x.exp-y.exp+bias, hi, lo|sticky(r))
}

func (u *unit) sqrt(a F80) F80 {
	if res, ok := u.operand(a); !ok {
		return res
	}
	switch {
	case a.isZero():
		return a
	case a.neg():
		return u.invalid()
	case a.isInf():
		return a
	}
	n := a.num()
	// man × 2^63 or 2^64 has a 64-bit root, and exp−bias−63−s is even.
	hi, lo := n.man>>1, n.man<<63
	e := n.exp - bias
	if e&1 != 0 {
		hi, lo = n.man, 0
		e--
	}
	root, greater, exact := sqrt128(hi, lo)
	var frac uint64
	if !exact {
		frac = 1
		if greater {
			frac |= integer
		}
	}
	return u.round(false, e/2+bias, root, frac)
}

// sqrt128 is the integer square root; greater says that the fraction cut off
// is above one half.
func sqrt128(hi, lo uint64) (root uint64, greater, exact bool) {
	var rhi, rlo uint64 // remainder
	for i := 0; i < 64; i++ {
		rhi = rhi<<2 | rlo>>62
		rlo = rlo<<2 | hi>>62
		hi = hi<<2 | lo>>62
		lo <<= 2
		// Try to append a 1: subtract 4·root + 1.
		thi, tlo := root>>62, root<<2|1
		if rhi > thi || rhi == thi && rlo >= tlo {
			var b uint64
			rlo, b = bits.Sub64(rlo, tlo, 0)
			rhi, _ = bits.Sub64(rhi, thi, b)
			root = root<<1 | 1
		} else {
			root <<= 1
		}
	}
	return root, rhi != 0 || rlo > root, rhi|rlo == 0
}

// toIntegral rounds to an integer value in rounding mode rc.
func (u *unit) toIntegral(a F80) F80 {
	if res, ok := u.operand(a); !ok {
		return res
	}
	if a.isZero() || a.isInf() || a.exp() >= bias+63 {
		return a
	}
	n := a.num()
	hi, lo := shiftRight(n.man, 0, uint(bias+63-n.exp))
	man, inexact, rounded, _ := u.cut(n.neg, hi, lo, 64)
	if inexact {
		u.flags |= precision
		u.rounded = rounded
	}
	if man == 0 {
		return zero(n.neg)
	}
	s := bits.LeadingZeros64(man)
	return F80{man << s, signBit(n.neg) | uint16(bias+63-s)}
}

// scale is a × 2^trunc(b).
func (u *unit) scale(a, b F80) F80 {
	if res, ok := u.operands(a, b); !ok {
		return res
	}
	switch {
	case b.isInf() && b.neg():
		if a.isInf() {
			return u.invalid()
		}
		return zero(a.neg())
	case b.isInf():
		if a.isZero() {
			return u.invalid()
		}
		return inf(a.neg())
	case a.isZero(), a.isInf():
		return a
	}
	e := 0
	if k := b.exp() - bias; k >= 0 && !b.isZero() {
		e = 1 << 17
		if k < 16 {
			e = int(b.Man >> (63 - k))
		}
		if b.neg() {
			e = -e
		}
	}
	n := a.num()
	return u.pack(extended, n.neg, n.exp+e, n.man, 0)
}

// xtract splits a into its significand and its exponent as a value.
func (u *unit) xtract(a F80) (sig, exponent F80) {
	if res, ok := u.operand(a); !ok {
		return res, res
	}
	switch {
	case a.isInf():
		return a, inf(false)
	case a.isZero():
		u.flags |= zeroDiv
		return a, inf(true)
	}
	n := a.num()
	return F80{n.man, signBit(n.neg) | bias}, fromInt(int64(n.exp - bias))
}

// remainder is fprem (truncating) and fprem1 (rounding the quotient to
// nearest). quotient holds its low bits; partial says that the reduction is
// not complete (C2).
func (u *unit) remainder(a, b F80, ieee bool) (res F80, quotient uint64, partial bool) {
	if res, ok := u.operands(a, b); !ok {
		return res, 0, false
	}
	switch {
	case a.isInf(), b.isZero():
		return u.invalid(), 0, false
	case a.isZero(), b.isInf():
		return u.pass(a), 0, false
	}
	x, y := a.num(), b.num()
	d := x.exp - y.exp
	if d < -1 || d < 0 && !ieee {
		return u.pass(a), 0, false
	}
	if d >= 64 {
		n := d&0x1f | 0x20
		_, r := reduce(x.man, y.man, n)
		return u.pack(extended, x.neg, x.exp-n, r, 0), 0, true
	}
	if d < 0 { // only fprem1: |a| < |b|; the quotient is 0 or 1
		return u.nearestRemainder(x, y, x.man>>1, x.man<<63, 0)
	}
	q, r := reduce(x.man, y.man, d)
	if ieee {
		return u.nearestRemainder(x, y, r, 0, q)
	}
	return u.pack(extended, x.neg, y.exp, r, 0), q, false
}

// pass hands a on unchanged; a denormal underflows only when inexact, so
// nothing is raised.
func (u *unit) pass(a F80) F80 {
	if a.isDenorm() {
		n := a.num()
		return u.pack(extended, n.neg, n.exp, n.man, 0)
	}
	return a
}

// nearestRemainder finishes fprem1: hi:lo is the truncated remainder in
// units of y's exponent, q its quotient.
func (u *unit) nearestRemainder(x, y num, hi, lo uint64, q uint64) (F80, uint64, bool) {
	neg := x.neg
	// Compare the remainder with y − remainder.
	clo, b := bits.Sub64(0, lo, 0)
	chi, _ := bits.Sub64(y.man, hi, b)
	if chi < hi || chi == hi && clo < lo || chi == hi && clo == lo && q&1 != 0 {
		hi, lo, q, neg = chi, clo, q+1, !neg
	}
	if hi|lo == 0 {
		neg = x.neg
	}
	return u.pack(extended, neg, y.exp, hi, lo), q, false
}

// reduce divides x·2^n by y (both normalised): the quotient's low 64 bits and
// the remainder.
func reduce(x, y uint64, n int) (q, r uint64) {
	r = x
	if r >= y {
		r -= y
		q = 1
	}
	for ; n > 0; n-- {
		carry := r >> 63
		r <<= 1
		q <<= 1
		if carry != 0 || r >= y {
			r -= y
			q |= 1
		}
	}
	return q, r
}
