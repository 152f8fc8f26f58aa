package x87

import "math/bits"

// fromInt is exact.
func fromInt(v int64) F80 {
	if v == 0 {
		return F80{}
	}
	m := uint64(v)
	if v < 0 {
		m = -m
	}
	s := bits.LeadingZeros64(m)
	return F80{m << s, signBit(v < 0) | uint16(bias+63-s)}
}

// fromBits widens an IEEE value of the given fraction and exponent widths.
// It raises denormal and, quieting a signaling NaN, invalid.
func (u *unit) fromBits(v uint64, fracBits, expBits uint) F80 {
	maxExp := uint64(1)<<expBits - 1
	neg := v>>(fracBits+expBits)&1 != 0
	e := v >> fracBits & maxExp
	man := v << (63 - fracBits) &^ integer
	switch {
	case e == maxExp && man == 0:
		return inf(neg)
	case e == maxExp:
		if man&quiet == 0 {
			u.flags |= invalid
		}
		return F80{man | integer | quiet, signBit(neg) | expMask}
	case e == 0 && man == 0:
		return zero(neg)
	case e == 0:
		u.flags |= denormal
		s := bits.LeadingZeros64(man)
		return F80{man << s, signBit(neg) | uint16(bias-int(maxExp>>1)+1-s)}
	}
	return F80{man | integer, signBit(neg) | uint16(bias-int(maxExp>>1)+int(e))}
}

func (u *unit) fromF32(v uint32) F80 { return u.fromBits(uint64(v), 23, 8) }
func (u *unit) fromF64(v uint64) F80 { return u.fromBits(v, 52, 11) }

// raw is fromBits for an operand of an arithmetic operation: a signaling NaN
// stays one, so that propagation sees it; it raises nothing but denormal.
func (u *unit) raw(v uint64, fracBits, expBits uint) F80 {
	var w unit
	f := w.fromBits(v, fracBits, expBits)
	if w.flags&invalid != 0 {
		f.Man &^= quiet
	}
	return f
}

// toBits narrows to an IEEE format.
func (u *unit) toBits(a F80, f format, fracBits, expBits uint) uint64 {
	maxExp := uint64(1)<<expBits - 1
	if a.isUnsupported() {
		a = u.invalid()
	}
	v := uint64(0)
	if a.neg() {
		v = 1 << (fracBits + expBits)
	}
	switch {
	case a.isNaN():
		if a.isSNaN() {
			u.flags |= invalid
		}
		return v | maxExp<<fracBits | (a.Man|quiet)&^integer>>(63-fracBits)
	case a.isInf():
		return v | maxExp<<fracBits
	case a.isZero():
		return v
	}
	n := a.num()
	exp, man := u.roundTo(f, n.neg, n.exp, n.man, 0)
	if man&integer != 0 {
		v |= uint64(exp-f.minExp+1) << fracBits
	}
	return v | man&^integer>>(63-fracBits)
}

func (u *unit) toF32(a F80) uint64 { return u.toBits(a, single, 23, 8) }
func (u *unit) toF64(a F80) uint64 { return u.toBits(a, double, 52, 11) }

// toInt rounds to an integer of width bits; what does not fit is invalid and
// gives the integer indefinite, the most negative value.
func (u *unit) toInt(a F80, width uint) int64 {
	indef := int64(-1) << (width - 1)
	if a.isNaN() || a.isInf() || a.isUnsupported() {
		u.invalid()
		return indef
	}
	if a.isZero() {
		return 0
	}
	n := a.num()
	if n.exp > bias+63 {
		u.invalid()
		return indef
	}
	hi, lo := shiftRight(n.man, 0, uint(bias+63-n.exp))
	man, inexact, rounded, carry := u.cut(n.neg, hi, lo, 64)
	limit := uint64(1)<<(width-1) - 1
	if n.neg {
		limit++
	}
	if carry || man > limit {
		u.invalid()
		return indef
	}
	if inexact {
		u.flags |= precision
		u.rounded = rounded
	}
	if n.neg {
		return -int64(man)
	}
	return int64(man)
}

// maxBCD is the largest value of 18 decimal digits.
const maxBCD = 999_999_999_999_999_999

// toBCD rounds to packed BCD: 9 bytes of digit pairs and a sign byte.
func (u *unit) toBCD(a F80) (b [10]byte) {
	before := *u
	v := u.toInt(a, 64)
	neg := a.neg()
	if v < 0 {
		v = -v
	}
	if v < 0 || v > maxBCD || u.flags&invalid != 0 {
		*u = before
		u.invalid()
		return [10]byte{7: 0xc0, 8: 0xff, 9: 0xff}
	}
	for i := range 9 {
		b[i] = byte(v%10 | v/10%10<<4)
		v /= 100
	}
	if neg {
		b[9] = 0x80
	}
	return b
}

func fromBCD(b []byte) F80 {
	var v int64
	for i := 8; i >= 0; i-- {
		v = v*100 + int64(b[i]>>4)*10 + int64(b[i]&15)
	}
	f := fromInt(v)
	f.SE |= uint16(b[9]&0x80) << 8
	return f
}

// ordering is the result of a comparison, as C3 C2 C0 sit in ZF PF CF.
type ordering uint8

const (
	greater   ordering = 0
	less      ordering = 1
	equal     ordering = 1 << 6
	unordered ordering = 1<<6 | 1<<2 | 1
)

// compare orders a and b; quietOK says that quiet NaNs are not invalid.
func (u *unit) compare(a, b F80, quietOK bool) ordering {
	if a.isUnsupported() || b.isUnsupported() {
		u.flags |= invalid
		return unordered
	}
	if a.isNaN() || b.isNaN() {
		if !quietOK || a.isSNaN() || b.isSNaN() {
			u.flags |= invalid
		}
		return unordered
	}
	if a.isDenorm() || b.isDenorm() {
		u.flags |= denormal
	}
	switch {
	case a.isZero() && b.isZero():
		return equal
	case a.isZero():
		return lessIf(!b.neg())
	case b.isZero() || a.neg() != b.neg():
		return lessIf(a.neg())
	}
	return compareMagnitude(a, b)
}

func lessIf(l bool) ordering {
	if l {
		return less
	}
	return greater
}

// compareMagnitude orders two values of the same sign, neither zero.
func compareMagnitude(a, b F80) ordering {
	ea, eb := max(a.exp(), 1), max(b.exp(), 1)
	if ea == eb && a.Man == b.Man {
		return equal
	}
	smaller := ea < eb || ea == eb && a.Man < b.Man
	return lessIf(smaller != a.neg())
}
