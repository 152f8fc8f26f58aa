package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// Packed integers. Rows whose lanes do not depend on each other serve MMX
// registers too.
var sseIntRows = map[x86asm.Op]row{
	x86asm.PADDB: packed(ir.I8x16Add), x86asm.PADDW: packed(ir.I16x8Add), x86asm.PADDD: packed(ir.I32x4Add), x86asm.PADDQ: packed(ir.I64x2Add),
	x86asm.PSUBB: packed(ir.I8x16Sub), x86asm.PSUBW: packed(ir.I16x8Sub), x86asm.PSUBD: packed(ir.I32x4Sub), x86asm.PSUBQ: packed(ir.I64x2Sub),
	x86asm.PADDSB: packed(ir.I8x16AddSatS), x86asm.PADDSW: packed(ir.I16x8AddSatS), x86asm.PADDUSB: packed(ir.I8x16AddSatU), x86asm.PADDUSW: packed(ir.I16x8AddSatU),
	x86asm.PSUBSB: packed(ir.I8x16SubSatS), x86asm.PSUBSW: packed(ir.I16x8SubSatS), x86asm.PSUBUSB: packed(ir.I8x16SubSatU), x86asm.PSUBUSW: packed(ir.I16x8SubSatU),
	x86asm.PAVGB: packed(ir.I8x16AvgrU), x86asm.PAVGW: packed(ir.I16x8AvgrU),
	x86asm.PMINUB: packed(ir.I8x16MinU), x86asm.PMINSW: packed(ir.I16x8MinS), x86asm.PMAXUB: packed(ir.I8x16MaxU), x86asm.PMAXSW: packed(ir.I16x8MaxS),
	x86asm.PMINSB: packed(ir.I8x16MinS), x86asm.PMINUW: packed(ir.I16x8MinU), x86asm.PMINSD: packed(ir.I32x4MinS), x86asm.PMINUD: packed(ir.I32x4MinU),
	x86asm.PMAXSB: packed(ir.I8x16MaxS), x86asm.PMAXUW: packed(ir.I16x8MaxU), x86asm.PMAXSD: packed(ir.I32x4MaxS), x86asm.PMAXUD: packed(ir.I32x4MaxU),
	x86asm.PCMPEQB: packed(ir.I8x16Eq), x86asm.PCMPEQW: packed(ir.I16x8Eq), x86asm.PCMPEQD: packed(ir.I32x4Eq), x86asm.PCMPEQQ: packed(ir.I64x2Eq),
	x86asm.PCMPGTB: packed(ir.I8x16GtS), x86asm.PCMPGTW: packed(ir.I16x8GtS), x86asm.PCMPGTD: packed(ir.I32x4GtS), x86asm.PCMPGTQ: packed(ir.I64x2GtS),
	x86asm.PAND: packed(ir.V128And), x86asm.POR: packed(ir.V128Or), x86asm.PANDN: packedSwapped(ir.V128Andnot),
	x86asm.PMULLW: packed(ir.I16x8Mul), x86asm.PMULLD: packed(ir.I32x4Mul), x86asm.PMADDWD: packed(ir.I32x4DotI16x8S),
	x86asm.PMULHW: mulHigh(ir.I32x4ExtmulLowI16x8S, ir.I32x4ExtmulHighI16x8S), x86asm.PMULHUW: mulHigh(ir.I32x4ExtmulLowI16x8U, ir.I32x4ExtmulHighI16x8U),
	x86asm.PMULUDQ: mulEven(ir.I64x2ExtmulLowI32x4U), x86asm.PMULDQ: mulEven(ir.I64x2ExtmulLowI32x4S),
	x86asm.PSADBW: sumDifferences, x86asm.PMADDUBSW: multiplyAddBytes, x86asm.PMULHRSW: mulRoundScale,
	x86asm.PABSB: packedUnary(ir.I8x16Abs), x86asm.PABSW: packedUnary(ir.I16x8Abs), x86asm.PABSD: packedUnary(ir.I32x4Abs),
	x86asm.PSIGNB: applySign(ir.I8x16LtS, ir.I8x16Eq, ir.I8x16Neg), x86asm.PSIGNW: applySign(ir.I16x8LtS, ir.I16x8Eq, ir.I16x8Neg), x86asm.PSIGND: applySign(ir.I32x4LtS, ir.I32x4Eq, ir.I32x4Neg),
	x86asm.PHADDW: horizontal(pairs16, ir.I16x8Add), x86asm.PHADDSW: horizontal(pairs16, ir.I16x8AddSatS), x86asm.PHADDD: horizontal(pairs32, ir.I32x4Add),
	x86asm.PHSUBW: horizontal(pairs16, ir.I16x8Sub), x86asm.PHSUBSW: horizontal(pairs16, ir.I16x8SubSatS), x86asm.PHSUBD: horizontal(pairs32, ir.I32x4Sub),

	x86asm.PSLLW: shiftLanes(ir.I16x8Shl, 16), x86asm.PSLLD: shiftLanes(ir.I32x4Shl, 32), x86asm.PSLLQ: shiftLanes(ir.I64x2Shl, 64),
	x86asm.PSRLW: shiftLanes(ir.I16x8ShrU, 16), x86asm.PSRLD: shiftLanes(ir.I32x4ShrU, 32), x86asm.PSRLQ: shiftLanes(ir.I64x2ShrU, 64),
	x86asm.PSRAW: shiftSigned(ir.I16x8ShrS, 16), x86asm.PSRAD: shiftSigned(ir.I32x4ShrS, 32),
	x86asm.PTEST: ptest, x86asm.PHMINPOSUW: minPosition, x86asm.MPSADBW: blockDifferences,
}

// mulHigh keeps the high halves of 16-bit products.
func mulHigh(low, high ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		return c.setVec(0, c.Shuffle(c.New(low, x, y), c.New(high, x, y), pairs16[1]))
	}
}

// mulEven multiplies the even 32-bit lanes to 64 bits.
func mulEven(op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		even := func(v *ir.Value) *ir.Value { return c.Shuffle(v, v, pairs32[0]) }
		return c.setVec(0, c.New(op, even(x), even(y)))
	}
}

// sumDifferences is psadbw: for each half the sum of |x−y| over its bytes.
func sumDifferences(c *ctx, in *x86.Inst) error {
	x, y, err := c.vecs()
	if err != nil {
		return err
	}
	d := c.New(ir.V128Or, c.New(ir.I8x16SubSatU, x, y), c.New(ir.I8x16SubSatU, y, x))
	d = c.New(ir.I32x4ExtaddPairwiseI16x8U, c.New(ir.I16x8ExtaddPairwiseI8x16U, d))
	d = c.New(ir.I32x4Add, d, c.New(ir.I64x2ShrU, d, c.Const32(32)))
	return c.setVec(0, c.New(ir.V128And, d, c.splat64(0xffff)))
}

// multiplyAddBytes is pmaddubsw: unsigned bytes of dst times signed bytes of
// src, adjacent products added with saturation.
func multiplyAddBytes(c *ctx, in *x86.Inst) error {
	x, y, err := c.vecs()
	if err != nil {
		return err
	}
	part := func(widenX, widenY ir.Op) *ir.Value {
		return c.New(ir.I16x8Mul, c.New(widenX, x), c.New(widenY, y))
	}
	low := part(ir.I16x8ExtendLowI8x16U, ir.I16x8ExtendLowI8x16S)
	high := part(ir.I16x8ExtendHighI8x16U, ir.I16x8ExtendHighI8x16S)
	return c.setVec(0, c.New(ir.I16x8AddSatS, c.Shuffle(low, high, pairs16[0]), c.Shuffle(low, high, pairs16[1])))
}

// mulRoundScale is pmulhrsw, which wasm has but for −1·−1: it saturates.
func mulRoundScale(c *ctx, in *x86.Inst) error {
	x, y, err := c.vecs()
	if err != nil {
		return err
	}
	r := c.New(ir.I16x8Q15mulrSatS, x, y)
	lowest := c.splat64(0x8000800080008000)
	both := c.New(ir.V128And, c.New(ir.I16x8Eq, x, lowest), c.New(ir.I16x8Eq, y, lowest))
	return c.setVec(0, c.New(ir.V128Xor, r, both)) // 0x7fff → 0x8000
}

// applySign is psign: negates where src is negative, clears where it is zero.
func applySign(lt, eq, neg ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		r := c.New(ir.V128Bitselect, c.New(neg, x), x, c.New(lt, y, c.zeroVec()))
		return c.setVec(0, c.New(ir.V128Andnot, r, c.New(eq, y, c.zeroVec())))
	}
}

// shiftCount is the count operand of a packed shift as an I64.
func (c *ctx) shiftCount() (*ir.Value, error) {
	if imm, ok := c.in.Args[1].(x86asm.Imm); ok {
		return c.Const64(int64(uint8(imm))), nil
	}
	y, err := c.vec(1, 16)
	if err != nil {
		return nil, err
	}
	return c.lane64(y, 0), nil
}

// shiftLanes shifts all lanes by one count; a count beyond the lane clears.
func shiftLanes(op ir.Op, bits int64) row {
	return func(c *ctx, in *x86.Inst) error {
		n, err := c.shiftCount()
		if err != nil {
			return err
		}
		x, err := c.vec(0, 16)
		if err != nil {
			return err
		}
		fits := c.Bin(ir.I32LtU, n, c.Const64(bits))
		return c.setVec(0, c.Select(fits, c.New(op, x, c.Wrap(n)), c.zeroVec()))
	}
}

// shiftSigned shifts arithmetically; a count beyond the lane fills it with
// the sign.
func shiftSigned(op ir.Op, bits int64) row {
	return func(c *ctx, in *x86.Inst) error {
		n, err := c.shiftCount()
		if err != nil {
			return err
		}
		x, err := c.vec(0, 16)
		if err != nil {
			return err
		}
		fits := c.Bin(ir.I32LtU, n, c.Const64(bits))
		return c.setVec(0, c.New(op, x, c.Wrap(c.Select(fits, n, c.Const64(bits-1)))))
	}
}

// ptest sets ZF if src has no bit of dst, CF if it has none beyond dst's.
func ptest(c *ctx, in *x86.Inst) error {
	x, y, err := c.vecs()
	if err != nil {
		return err
	}
	none := func(v *ir.Value) *ir.Value { return c.Eqz(c.New(ir.V128AnyTrue, v)) }
	c.set(ZF, none(c.New(ir.V128And, x, y)))
	c.set(CF, none(c.New(ir.V128Andnot, y, x)))
	for _, f := range [...]Var{PF, AF, SF, OF} {
		c.set(f, c.Const32(0))
	}
	return nil
}

// minPosition is phminposuw: the least 16-bit lane and where it is first.
func minPosition(c *ctx, in *x86.Inst) error {
	x, err := c.vec(1, 16)
	if err != nil {
		return err
	}
	least := x
	for _, n := range [...]int{4, 2, 1} { // fold the vector onto itself
		from := make([]int, 8)
		for i := range from {
			from[i] = (i + n) % 8
		}
		least = c.New(ir.I16x8MinU, least, c.Shuffle(least, least, units(2, from...)))
	}
	at := c.Un(ir.I32Ctz, c.New(ir.I16x8Bitmask, c.New(ir.I16x8Eq, x, least)))
	r := c.Or(c.Lane(ir.I16x8ExtractLaneU, 0, least), c.ShlC(at, 16))
	return c.setVec(0, c.Lane(ir.I32x4ReplaceLane, 0, c.zeroVec(), r))
}

// blockDifferences is mpsadbw: sums of |x−y| between four bytes of src and
// eight overlapping groups of four of dst; the immediate says where they begin.
func blockDifferences(c *ctx, in *x86.Inst) error {
	x, y, imm, err := c.vecsImm()
	if err != nil {
		return err
	}
	atX, atY := byte(imm>>2&1)*4, byte(imm&3)*4
	var sum *ir.Value
	for i := range byte(4) {
		var lanesX, lanesY [16]byte
		for j := range byte(8) {
			lanesX[2*j], lanesX[2*j+1] = atX+i+j, 16
			lanesY[2*j], lanesY[2*j+1] = atY+i, 16
		}
		d := c.New(ir.I16x8Sub, c.Shuffle(x, c.zeroVec(), lanesX), c.Shuffle(y, c.zeroVec(), lanesY))
		d = c.New(ir.I16x8Abs, d)
		if sum != nil {
			d = c.New(ir.I16x8Add, sum, d)
		}
		sum = d
	}
	return c.setVec(0, sum)
}
