package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// Shuffle, unpack, pack, insert, extract, blend, whole-register shifts, and
// widening moves.
var sseShuffleRows = map[x86asm.Op]row{
	x86asm.PUNPCKLBW: unpack(1, false), x86asm.PUNPCKLWD: unpack(2, false), x86asm.PUNPCKLDQ: unpack(4, false),
	x86asm.PUNPCKHBW: unpack(1, true), x86asm.PUNPCKHWD: unpack(2, true), x86asm.PUNPCKHDQ: unpack(4, true),
	x86asm.UNPCKLPS: unpack(4, false), x86asm.UNPCKHPS: unpack(4, true),
	x86asm.PUNPCKLQDQ: copyHalf(1, 0), x86asm.UNPCKLPD: unpackDoubles(0), x86asm.PUNPCKHQDQ: unpackDoubles(1), x86asm.UNPCKHPD: unpackDoubles(1),
	x86asm.PACKSSWB: pack(ir.I8x16NarrowI16x8S), x86asm.PACKUSWB: pack(ir.I8x16NarrowI16x8U), x86asm.PACKSSDW: pack(ir.I16x8NarrowI32x4S), x86asm.PACKUSDW: pack(ir.I16x8NarrowI32x4U),
	x86asm.PSHUFD: shuffleImm(pshufd), x86asm.PSHUFLW: shuffleImm(pshuflw), x86asm.PSHUFHW: shuffleImm(pshufhw), x86asm.PSHUFW: shuffleImm(pshuflw),
	x86asm.SHUFPS: shuffleImm(shufps), x86asm.SHUFPD: shuffleImm(shufpd),
	x86asm.PALIGNR: align, x86asm.PSLLDQ: shiftBytes(-1), x86asm.PSRLDQ: shiftBytes(1),
	x86asm.PINSRB: insert(ir.I8x16ReplaceLane, 1), x86asm.PINSRW: insert(ir.I16x8ReplaceLane, 2), x86asm.PINSRD: insert(ir.I32x4ReplaceLane, 4), x86asm.PINSRQ: insert(ir.I64x2ReplaceLane, 8),
	x86asm.PEXTRB: extract(ir.I8x16ExtractLaneU, 1), x86asm.PEXTRW: extract(ir.I16x8ExtractLaneU, 2), x86asm.PEXTRD: extract(ir.I32x4ExtractLane, 4), x86asm.PEXTRQ: extract(ir.I64x2ExtractLane, 8),
	x86asm.EXTRACTPS: extract(ir.I32x4ExtractLane, 4), x86asm.INSERTPS: insertps,
	x86asm.PSHUFB:  pshufb,
	x86asm.BLENDPD: blendImm(8), x86asm.BLENDPS: blendImm(4), x86asm.PBLENDW: blendImm(2),
	x86asm.PBLENDVB: blendVar(ir.I8x16LtS), x86asm.BLENDVPS: blendVar(ir.I32x4LtS), x86asm.BLENDVPD: blendVar(ir.I64x2LtS),
	x86asm.PMOVSXBW: widening(8, ir.I16x8ExtendLowI8x16S), x86asm.PMOVZXBW: widening(8, ir.I16x8ExtendLowI8x16U),
	x86asm.PMOVSXWD: widening(8, ir.I32x4ExtendLowI16x8S), x86asm.PMOVZXWD: widening(8, ir.I32x4ExtendLowI16x8U),
	x86asm.PMOVSXDQ: widening(8, ir.I64x2ExtendLowI32x4S), x86asm.PMOVZXDQ: widening(8, ir.I64x2ExtendLowI32x4U),
	x86asm.PMOVSXBD: widening(4, ir.I16x8ExtendLowI8x16S, ir.I32x4ExtendLowI16x8S), x86asm.PMOVZXBD: widening(4, ir.I16x8ExtendLowI8x16U, ir.I32x4ExtendLowI16x8U),
	x86asm.PMOVSXWQ: widening(4, ir.I32x4ExtendLowI16x8S, ir.I64x2ExtendLowI32x4S), x86asm.PMOVZXWQ: widening(4, ir.I32x4ExtendLowI16x8U, ir.I64x2ExtendLowI32x4U),
	x86asm.PMOVSXBQ: widening(2, ir.I16x8ExtendLowI8x16S, ir.I32x4ExtendLowI16x8S, ir.I64x2ExtendLowI32x4S),
	x86asm.PMOVZXBQ: widening(2, ir.I16x8ExtendLowI8x16U, ir.I32x4ExtendLowI16x8U, ir.I64x2ExtendLowI32x4U),
}

// unpack interleaves units of size bytes from the low or high halves.
func unpack(size int, high bool) row {
	var lanes, mmxHigh [16]byte
	for i := range lanes {
		unit, b := i/size, i%size
		at := unit/2*size + b
		if unit%2 != 0 {
			at += 16
		}
		lanes[i], mmxHigh[i] = byte(at), byte(at+4)
		if high {
			lanes[i] += 8
		}
	}
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		if high && isMMX(in.Args[0]) {
			return c.setVec(0, c.Shuffle(x, y, clampLanes(mmxHigh)))
		}
		return c.setVec(0, c.Shuffle(x, y, lanes))
	}
}

// clampLanes keeps lanes of the half that is not used within range.
func clampLanes(l [16]byte) [16]byte {
	for i := 8; i < 16; i++ {
		l[i] = 0
	}
	return l
}

// unpackDoubles is {dst[i], src[i]}.
func unpackDoubles(i int) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		if i == 0 {
			return c.setVec(0, c.withLane(f64, x, 1, c.lane(f64, y, 0)))
		}
		return c.setVec(0, c.withLane(f64, y, 0, c.lane(f64, x, 1)))
	}
}

func pack(op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		if isMMX(in.Args[0]) { // both sources are halves of one vector
			x = c.withLane(f64, x, 1, c.lane(f64, y, 0))
		}
		return c.setVec(0, c.New(op, x, y))
	}
}

// Lanes of shuffles, from the immediate. Bytes from 16 are the second
// vector's.
func units(size int, from ...int) (l [16]byte) {
	for i := range l {
		l[i] = byte(from[i/size]*size + i%size)
	}
	return l
}

func pshufd(n int) [16]byte { return units(4, n&3, n>>2&3, n>>4&3, n>>6&3) }
func pshuflw(n int) [16]byte {
	return units(2, n&3, n>>2&3, n>>4&3, n>>6&3, 4, 5, 6, 7)
}
func pshufhw(n int) [16]byte {
	return units(2, 0, 1, 2, 3, 4+n&3, 4+n>>2&3, 4+n>>4&3, 4+n>>6&3)
}
func shufps(n int) [16]byte { return units(4, n&3, n>>2&3, 4+n>>4&3, 4+n>>6&3) }
func shufpd(n int) [16]byte { return units(8, n&1, 2+n>>1&1) }

// shuffleImm shuffles by an immediate: one source for pshuf, both for shufp.
func shuffleImm(lanes func(int) [16]byte) row {
	return func(c *ctx, in *x86.Inst) error {
		imm, ok := in.Args[2].(x86asm.Imm)
		if !ok {
			return errOperand
		}
		y, err := c.vec(1, 16)
		if err != nil {
			return err
		}
		x := y
		if in.Op == x86asm.SHUFPS || in.Op == x86asm.SHUFPD {
			if x, err = c.vec(0, 16); err != nil {
				return err
			}
		}
		return c.setVec(0, c.Shuffle(x, y, lanes(int(uint8(imm)))))
	}
}

// window is bytes n … n+15 of lo followed by hi followed by zeros.
func (c *ctx) window(lo, hi *ir.Value, n int) *ir.Value {
	if n >= 16 {
		lo, hi, n = hi, c.zeroVec(), n-16
	}
	if n >= 16 {
		return c.zeroVec()
	}
	var lanes [16]byte
	for i := range lanes {
		lanes[i] = byte(i + n)
	}
	return c.Shuffle(lo, hi, lanes)
}

// align is palignr: the two operands as one, shifted right by bytes.
func align(c *ctx, in *x86.Inst) error {
	x, y, imm, err := c.vecsImm()
	if err != nil {
		return err
	}
	if isMMX(in.Args[0]) {
		y = c.withLane(f64, y, 1, c.lane(f64, x, 0))
		x = c.zeroVec()
	}
	return c.setVec(0, c.window(y, x, int(uint8(imm))))
}

// shiftBytes is psrldq (dir 1) and pslldq (dir −1).
func shiftBytes(dir int) row {
	return func(c *ctx, in *x86.Inst) error {
		imm, ok := in.Args[1].(x86asm.Imm)
		if !ok {
			return errOperand
		}
		x, err := c.vec(0, 16)
		if err != nil {
			return err
		}
		n := min(int(uint8(imm)), 16)
		if dir < 0 {
			return c.setVec(0, c.window(c.zeroVec(), x, 16-n))
		}
		return c.setVec(0, c.window(x, c.zeroVec(), n))
	}
}

func insert(op ir.Op, size int) row {
	return func(c *ctx, in *x86.Inst) error {
		imm, ok := in.Args[2].(x86asm.Imm)
		if !ok {
			return errOperand
		}
		v, err := c.read(1, size)
		if err != nil {
			return err
		}
		x, err := c.vec(0, 16)
		if err != nil {
			return err
		}
		return c.setVec(0, c.Lane(op, laneIndex(in, imm, size), x, v))
	}
}

// laneIndex is the lane of an insert or extract: MMX registers have fewer.
func laneIndex(in *x86.Inst, imm x86asm.Imm, size int) int {
	n := 16 / size
	if isMMX(in.Args[0]) || isMMX(in.Args[1]) {
		n = 8 / size
	}
	return int(imm) & (n - 1)
}

func extract(op ir.Op, size int) row {
	return func(c *ctx, in *x86.Inst) error {
		imm, ok := in.Args[2].(x86asm.Imm)
		if !ok {
			return errOperand
		}
		x, err := c.vec(1, 16)
		if err != nil {
			return err
		}
		v := c.Lane(op, laneIndex(in, imm, size), x)
		if isMem(in.Args[0]) {
			return c.write(0, size, v)
		}
		return c.write(0, max(size, 4), v)
	}
}

func insertps(c *ctx, in *x86.Inst) error {
	imm, ok := in.Args[2].(x86asm.Imm)
	if !ok {
		return errOperand
	}
	n := int(imm)
	from := n >> 6 & 3
	if isMem(in.Args[1]) {
		from = 0
	}
	y, err := c.vec(1, 4)
	if err != nil {
		return err
	}
	x, err := c.vec(0, 16)
	if err != nil {
		return err
	}
	x = c.withLane(f32, x, n>>4&3, c.lane(f32, y, from))
	var keep [4]int
	for i := range keep {
		keep[i] = i
		if n>>i&1 != 0 {
			keep[i] = 4 // a zero
		}
	}
	return c.setVec(0, c.Shuffle(x, c.zeroVec(), units(4, keep[:]...)))
}

// pshufb: bit 7 of an index clears; the bits between are ignored, where
// wasm's swizzle clears too.
func pshufb(c *ctx, in *x86.Inst) error {
	x, y, err := c.vecs()
	if err != nil {
		return err
	}
	mask := uint64(0x8f8f8f8f8f8f8f8f)
	if isMMX(in.Args[0]) {
		mask = 0x8787878787878787
	}
	return c.setVec(0, c.New(ir.I8x16Swizzle, x, c.New(ir.V128And, y, c.splat64(mask))))
}

// blendImm takes units of the source where the immediate has a bit.
func blendImm(size int) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, imm, err := c.vecsImm()
		if err != nil {
			return err
		}
		from := make([]int, 16/size)
		for i := range from {
			from[i] = i + (int(imm)>>i&1)*len(from)
		}
		return c.setVec(0, c.Shuffle(x, y, units(size, from...)))
	}
}

// blendVar takes lanes of the source where xmm0's are negative.
func blendVar(negative ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		mask := c.New(negative, c.get(XMM0), c.zeroVec())
		return c.setVec(0, c.New(ir.V128Bitselect, y, x, mask))
	}
}

// widening extends the low lanes; size is how much of memory is read.
func widening(size int, ops ...ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, err := c.low16(size)
		if err != nil {
			return err
		}
		for _, op := range ops {
			x = c.New(op, x)
		}
		return c.setVec(0, x)
	}
}

// low16 is operand 1 as a vector of which size bytes matter.
func (c *ctx) low16(size int) (*ir.Value, error) {
	if !isMem(c.in.Args[1]) || size >= 4 {
		return c.vec(1, size)
	}
	v, err := c.read(1, size)
	if err != nil {
		return nil, err
	}
	return c.New(ir.I32x4Splat, v), nil
}
