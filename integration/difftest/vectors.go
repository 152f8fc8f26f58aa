package difftest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Random makes states out of edge values and noise, from a fixed seed.
type Random struct{ *rand.Rand }

// NewRandom returns a generator with the given seed.
func NewRandom(seed uint64) Random { return Random{rand.New(rand.NewPCG(seed, 1))} }

func pick[T any](r Random, from []T) T { return from[r.IntN(len(from))] }

var edgeInts = []uint64{
	0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
	0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000, math.MaxInt64, 1 << 63, 1<<63 + 1, math.MaxUint64, math.MaxUint64 - 1,
	0xffffffff80000000, 0xffffffffffffff80, 0xffffffffffff8000, 0x0101010101010101, 0x8080808080808080, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa,
}

// Int is an integer: an edge value, noise, or noise of few bits.
func (r Random) Int() uint64 {
	switch r.IntN(4) {
	case 0, 1:
		return pick(r, edgeInts)
	case 2:
		return r.Uint64() >> r.IntN(64)
	}
	return r.Uint64()
}

var edgeDoubles = []uint64{
	0, 1 << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x4000000000000000, 0x3fe0000000000000, 0xbfe0000000000000, 0x3ff8000000000000, 0x4004000000000000,
	0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000000, 0x7ff8000000001234, 0xfffc000000005678, 0x7ff0000000000001, 0xfff4000000000000,
	1, 0x8000000000000001, 0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0xffefffffffffffff,
	0x41dfffffffc00000, 0x41e0000000000000, 0xc1e0000000000000, 0xc1e0000000200000, 0x43e0000000000000, 0xc3e0000000000000, 0x43dfffffffffffff,
	0x41efffffffe00000, 0x43f0000000000000, 0x3fdfffffffffffff, 0x4330000000000001, 0x36a0000000000000, 0x380fffffffffffff, 0x47efffffe0000000, 0x47effffff0000000,
}

// Double is the bits of a double: an edge value, a near one, or noise.
func (r Random) Double() uint64 {
	switch r.IntN(6) {
	case 0, 1:
		return pick(r, edgeDoubles)
	case 2:
		return math.Float64bits((r.Float64() - 0.5) * math.Pow(2, float64(r.IntN(80)-10)))
	case 3:
		return math.Float64bits(float64(int64(r.Uint64())>>r.IntN(64)) / float64(uint64(1)<<r.IntN(5)))
	case 4:
		return pick(r, edgeDoubles) + r.Uint64N(5) - 2
	}
	return r.Uint64()
}

var edgeSingles = []uint32{
	0, 1 << 31, 0x3f800000, 0xbf800000, 0x40000000, 0x3f000000, 0x3fc00000, 0x40200000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7fc01234, 0xffe05678,
	0x7f800001, 0xffa00000, 1, 0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x4effffff, 0x4f000000, 0xcf000000, 0xcf000001, 0x5f000000, 0xdf000000, 0x5effffff, 0x4b000001,
}

// Single is the bits of a single.
func (r Random) Single() uint32 {
	switch r.IntN(5) {
	case 0, 1:
		return pick(r, edgeSingles)
	case 2:
		return math.Float32bits(float32((r.Float64() - 0.5) * math.Pow(2, float64(r.IntN(80)-10))))
	case 3:
		return pick(r, edgeSingles) + r.Uint32N(5) - 2
	}
	return r.Uint32()
}

// Extended fills b with an 80-bit value: classes by exponent and significand,
// unsupported encodings among them.
func (r Random) Extended(b []byte) {
	exps := []uint16{0, 0, 1, 2, 16383 - 64, 16383 - 1, 16383, 16383, 16384, 16383 + 30, 16383 + 62, 16383 + 63, 16383 + 64, 0x7ffe, 0x7fff, 0x7fff, 15361, 16256, 16510, 17406}
	mans := []uint64{0, 1 << 63, 1 << 63, math.MaxUint64, 1<<63 | 1, 3 << 62, 1<<63 | 1<<10, 1<<63 | 1<<39, 1, 1 << 62, 0xc90fdaa22168c235}
	man, se := pick(r, mans), pick(r, exps)
	if r.IntN(3) == 0 {
		man = r.Uint64() | 1<<63
	}
	switch r.IntN(4) {
	case 0:
		se = uint16(16383 + r.IntN(140) - 70)
		man |= 1 << 63
	case 1:
		se = uint16(r.Uint32() & 0x7fff)
	}
	if se == 0 && r.IntN(2) == 0 {
		man &^= 1 << 63
	}
	if se != 0 && r.IntN(8) != 0 {
		man |= 1 << 63
	}
	if r.IntN(2) == 0 {
		se |= 0x8000
	}
	binary.LittleEndian.PutUint64(b, man)
	binary.LittleEndian.PutUint16(b[8:], se)
}

// Guest addresses that the registers of State point at.
const (
	dataMid  = DataBase + 0x100
	stackTop = StackBase + 0x80
)

// State is a state with noise everywhere, rsp in the stack, rbx, rsi and rdi
// pointing into the data, and the x87 unit empty.
func (r Random) State() State {
	var s State
	for i := range s.GPR {
		s.GPR[i] = r.Int()
	}
	s.GPR[RSP] = stackTop
	s.GPR[RBX] = dataMid
	s.GPR[RSI] = dataMid - 0x40
	s.GPR[RDI] = dataMid + 0x40
	s.Flags = r.Uint64() & Arith
	for i := 0; i < len(s.Data); i += 8 {
		binary.LittleEndian.PutUint64(s.Data[i:], r.Int())
	}
	for i := range s.Stack {
		s.Stack[i] = byte(r.Uint32())
	}
	for i := range 16 {
		binary.LittleEndian.PutUint64(s.XMM(i), r.Int())
		binary.LittleEndian.PutUint64(s.XMM(i)[8:], r.Int())
	}
	binary.LittleEndian.PutUint16(s.FX[0:], 0x37f)
	s.SetMXCSR(0x1f80)
	return s
}

// Doubles fills the xmm registers and the data with doubles.
func (r Random) Doubles(s *State) {
	for i := range 32 {
		binary.LittleEndian.PutUint64(s.XMM(i / 2)[i%2*8:], r.Double())
	}
	for i := 0; i < len(s.Data); i += 8 {
		binary.LittleEndian.PutUint64(s.Data[i:], r.Double())
	}
}

// Singles fills the xmm registers and the data with singles.
func (r Random) Singles(s *State) {
	for i := range 64 {
		binary.LittleEndian.PutUint32(s.XMM(i / 4)[i%4*4:], r.Single())
	}
	for i := 0; i < len(s.Data); i += 4 {
		binary.LittleEndian.PutUint32(s.Data[i:], r.Single())
	}
}

// X87 fills the x87 registers: mostly valid ones, some empty, with a random
// control word.
func (r Random) X87(s *State) {
	cw := 0x37f
	if r.IntN(2) == 0 {
		cw = 0x7f | r.IntN(4)<<10 | pick(r, []int{0, 2, 3})<<8
	}
	top := r.IntN(8)
	binary.LittleEndian.PutUint16(s.FX[0:], uint16(cw))
	sw := top << 11
	if r.IntN(3) == 0 { // conditions and exceptions of what was before
		sw |= r.IntN(1<<16) & 0x477f
	}
	binary.LittleEndian.PutUint16(s.FX[2:], uint16(sw))
	depth := 2 + r.IntN(4)
	if r.IntN(12) == 0 {
		depth = pick(r, []int{0, 1, 8})
	}
	s.FX[4] = 0
	for i := range depth {
		s.FX[4] |= 1 << ((top + i) & 7)
	}
	for i := range 8 {
		r.Extended(s.ST(i))
	}
	for i := 0; i < len(s.Data); i += 16 {
		switch r.IntN(4) {
		case 0:
			r.Extended(s.Data[i:])
		case 1:
			binary.LittleEndian.PutUint64(s.Data[i:], r.Double())
		case 2:
			binary.LittleEndian.PutUint32(s.Data[i:], r.Single())
		}
	}
}
