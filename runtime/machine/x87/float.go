// Package x87 is the x87 floating-point unit in software: 80-bit extended
// arithmetic with the rounding modes, precision control and exception flags
// of the Intel SDM (volume 1, chapter 8), the register stack, and the memory
// images of fnstenv, fnsave and fxsave.
//
// It knows nothing of WebAssembly or of how instructions are decoded: the
// machine hands it operations of layers/abi. Exceptions are recorded but
// always handled as if masked; instruction and data pointers read as zero.
package x87

import "math/bits"

// F80 is a double extended-precision value in its memory format.
type F80 struct {
	Man uint64 // with the explicit integer bit
	SE  uint16 // sign (bit 15) and biased exponent
}

const (
	expMask = 0x7fff
	bias    = 16383
	integer = uint64(1) << 63
	quiet   = uint64(1) << 62
)

// Exception flags, as in the status word.
const (
	invalid   = 1 << iota // IE
	denormal              // DE
	zeroDiv               // ZE
	overflow              // OE
	underflow             // UE
	precision             // PE
	stackFault
)

var (
	indefinite = F80{quiet | integer, 0xffff}
	one        = F80{integer, bias}
)

func zero(neg bool) F80 { return F80{0, signBit(neg)} }
func inf(neg bool) F80  { return F80{integer, signBit(neg) | expMask} }

func signBit(neg bool) uint16 {
	if neg {
		return 0x8000
	}
	return 0
}

func (f F80) neg() bool      { return f.SE&0x8000 != 0 }
func (f F80) exp() int       { return int(f.SE & expMask) }
func (f F80) isZero() bool   { return f.SE&expMask == 0 && f.Man == 0 }
func (f F80) isInf() bool    { return f.SE&expMask == expMask && f.Man == integer }
func (f F80) isNaN() bool    { return f.SE&expMask == expMask && f.Man&integer != 0 && f.Man<<1 != 0 }
func (f F80) isSNaN() bool   { return f.isNaN() && f.Man&quiet == 0 }
func (f F80) isDenorm() bool { return f.SE&expMask == 0 && f.Man != 0 }

// isUnsupported reports the encodings that processors since the 80387 reject:
// a non-zero exponent without the integer bit.
func (f F80) isUnsupported() bool { return f.SE&expMask != 0 && f.Man&integer == 0 }

// num is a finite non-zero value with a normalised significand:
// ±man × 2^(exp−bias−63).
type num struct {
	neg bool
	exp int
	man uint64
}

// num normalises a finite non-zero value.
func (f F80) num() num {
	n := num{f.neg(), max(f.exp(), 1), f.Man}
	s := bits.LeadingZeros64(n.man)
	n.man <<= s
	n.exp -= s
	return n
}

// Rounding control, as in the control word.
const (
	nearest = iota
	down
	up
	toZero
)

// format is what a result is rounded to.
type format struct {
	bits   uint // significand, integer bit included
	minExp int  // exponent of the smallest normal value, biased as extended
	maxExp int
}

var (
	single   = format{24, bias - 126, bias + 127}
	double   = format{53, bias - 1022, bias + 1023}
	extended = format{64, 1, expMask - 1}
)

// unit is what an operation needs to round and what it reports.
type unit struct {
	rc      int    // rounding control
	prec    format // by precision control
	flags   uint16 // exceptions raised
	rounded bool   // the significand was rounded up (C1)
}

// roundUp decides whether a magnitude is to be incremented. frac is what is
// cut off, as a fraction of 2^64, its lowest bit sticky.
func (u *unit) roundUp(neg, odd bool, frac uint64) bool {
	switch u.rc {
	case nearest:
		return frac > integer || frac == integer && odd
	case down:
		return neg && frac != 0
	case up:
		return !neg && frac != 0
	}
	return false
}

// shiftRight shifts hi:lo right by n, or-ing what is lost into the lowest bit.
func shiftRight(hi, lo uint64, n uint) (uint64, uint64) {
	switch {
	case n == 0:
		return hi, lo
	case n < 64:
		return hi >> n, hi<<(64-n) | lo>>n | sticky(lo<<(64-n))
	case n < 128:
		return 0, hi>>(n-64) | sticky(hi<<(128-n)|lo)
	}
	return 0, sticky(hi | lo)
}

func sticky(x uint64) uint64 {
	if x != 0 {
		return 1
	}
	return 0
}

// cut rounds hi:lo to its highest p bits; carry says that it became 2^64.
func (u *unit) cut(neg bool, hi, lo uint64, p uint) (man uint64, inexact, rounded, carry bool) {
	q, frac := hi, lo
	if p < 64 {
		q, frac = hi>>(64-p), hi<<p|sticky(lo)
	}
	rounded = u.roundUp(neg, q&1 != 0, frac)
	if rounded {
		q++
	}
	man = q << (64 - p)
	return man, frac != 0, rounded, rounded && man == 0
}

// roundTo rounds ±hi:lo × 2^(exp−bias−127), whose top bit is set, to f. A
// subnormal result has exponent f.minExp and no integer bit; an infinite one
// has exponent f.maxExp+1.
func (u *unit) roundTo(f format, neg bool, exp int, hi, lo uint64) (int, uint64) {
	man, inexact, rounded, carry := u.cut(neg, hi, lo, f.bits)
	if exp < f.minExp && !(exp == f.minExp-1 && carry) {
		hi, lo = shiftRight(hi, lo, uint(f.minExp-exp))
		man, inexact, rounded, _ = u.cut(neg, hi, lo, f.bits)
		exp = f.minExp
		if inexact {
			u.flags |= underflow
		}
	} else if carry {
		man, exp = integer, exp+1
		// A carry in from just below the normal range leaves minExp.
	}
	if exp > f.maxExp {
		return u.overflowed(f, neg)
	}
	if inexact {
		u.flags |= precision
		u.rounded = rounded
	}
	return exp, man
}

// overflowed gives infinity or the largest finite value, by rounding mode.
func (u *unit) overflowed(f format, neg bool) (int, uint64) {
	u.flags |= overflow | precision
	if u.roundUp(neg, true, ^uint64(0)) {
		u.rounded = true
		return f.maxExp + 1, integer
	}
	return f.maxExp, ^uint64(0) << (64 - f.bits)
}

// round rounds ±hi:lo × 2^(exp−bias−127) to an F80 by precision control. The
// value is normalised first; zero stays zero.
func (u *unit) round(neg bool, exp int, hi, lo uint64) F80 {
	return u.pack(u.prec, neg, exp, hi, lo)
}

func (u *unit) pack(f format, neg bool, exp int, hi, lo uint64) F80 {
	if hi|lo == 0 {
		return zero(neg)
	}
	for hi&integer == 0 {
		s := uint(bits.LeadingZeros64(hi))
		if hi == 0 {
			hi, lo, exp = lo, 0, exp-64
			continue
		}
		hi, lo = hi<<s|lo>>(64-s), lo<<s
		exp -= int(s)
	}
	e, man := u.roundTo(f, neg, exp, hi, lo)
	if man&integer == 0 {
		e = 0
	}
	return F80{man, signBit(neg) | uint16(e)}
}
