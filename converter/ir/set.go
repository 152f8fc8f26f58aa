package ir

import "math/bits"

// Set is a set of small numbers, a bit for each.
type Set []uint64

// SetWords is the number of words of a Set of numbers below n.
func SetWords(n int) int { return (n + 63) / 64 }

// Add puts i in s.
func (s Set) Add(i int32) { s[i>>6] |= 1 << (i & 63) }

// Has reports whether i is in s.
func (s Set) Has(i int32) bool { return s[i>>6]>>(i&63)&1 != 0 }

// Each calls fn with all in s, ascending.
func (s Set) Each(fn func(int32)) {
	for w, x := range s {
		for ; x != 0; x &= x - 1 {
			fn(int32(w<<6 + bits.TrailingZeros64(x)))
		}
	}
}
