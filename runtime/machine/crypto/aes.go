// Package crypto does what AES-NI and PCLMULQDQ do, in software: single
// rounds of AES (FIPS 197) and carry-less products. It knows nothing of guests.
package crypto

import (
	"encoding/binary"
	"math/bits"
)

// Block is an AES state in memory order: byte r+4c is row r of column c.
type Block [16]byte

// BlockOf makes a Block of its two little-endian halves.
func BlockOf(lo, hi uint64) (b Block) {
	binary.LittleEndian.PutUint64(b[:], lo)
	binary.LittleEndian.PutUint64(b[8:], hi)
	return b
}

// Halves is the inverse of BlockOf.
func (b Block) Halves() (lo, hi uint64) {
	return binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
}

// sbox is SubBytes, FIPS 197 5.1.1: the inverse in GF(2⁸), then an affine
// transformation. inverse undoes it.
var sbox, inverse = func() (s, inv [256]byte) {
	p, q := byte(1), byte(1)
	for {
		p ^= double(p)        // times 3, a generator
		q = multiply(q, 0xf6) // times the inverse of 3
		s[p] = 0x63 ^ q ^ bits.RotateLeft8(q, 1) ^ bits.RotateLeft8(q, 2) ^ bits.RotateLeft8(q, 3) ^ bits.RotateLeft8(q, 4)
		if p == 1 {
			break
		}
	}
	s[0] = 0x63
	for i, x := range s {
		inv[x] = byte(i)
	}
	return s, inv
}()

// double multiplies by x in GF(2⁸).
func double(a byte) byte { return a<<1 ^ a>>7*0x1b }

func multiply(a, b byte) (p byte) {
	for ; b != 0; b >>= 1 {
		p ^= -(b & 1) & a
		a = double(a)
	}
	return p
}

// substitute is SubBytes after ShiftRows: row r moves left by r columns, or
// right for the inverse.
func (b Block) substitute(box *[256]byte, left int) (out Block) {
	for i := range out {
		out[i] = box[b[(i+4*left*(i&3))&15]]
	}
	return out
}

// mix is MixColumns with the polynomial m (lowest coefficient first).
func (b Block) mix(m [4]byte) (out Block) {
	for c := 0; c < 16; c += 4 {
		for r := range 4 {
			for k := range 4 {
				out[c+r] ^= multiply(b[c+k], m[(k-r)&3])
			}
		}
	}
	return out
}

var mixing, unmixing = [4]byte{2, 3, 1, 1}, [4]byte{14, 11, 13, 9}

// Enc is aesenc without the round key; the others are named after theirs.
func (b Block) Enc() Block     { return b.EncLast().mix(mixing) }
func (b Block) EncLast() Block { return b.substitute(&sbox, 1) }
func (b Block) Dec() Block     { return b.DecLast().mix(unmixing) }
func (b Block) DecLast() Block { return b.substitute(&inverse, -1) }

// IMC is InvMixColumns.
func (b Block) IMC() Block { return b.mix(unmixing) }

// KeygenAssist is aeskeygenassist.
func (b Block) KeygenAssist(rcon byte) (out Block) {
	for i, at := range [...]int{4, 12} {
		var w [4]byte
		for k := range w {
			w[k] = sbox[b[at+k]]
		}
		copy(out[8*i:], w[:])
		copy(out[8*i+4:], []byte{w[1] ^ rcon, w[2], w[3], w[0]})
	}
	return out
}

// CLMul is the product of a and b as polynomials over GF(2).
func CLMul(a, b uint64) (lo, hi uint64) {
	for i := range 64 {
		m := -(b >> i & 1) & a
		lo ^= m << i
		hi ^= m >> (63 - i) >> 1
	}
	return lo, hi
}
