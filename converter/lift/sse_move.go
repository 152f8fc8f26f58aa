package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// Data transfer.
var sseMoveRows = map[x86asm.Op]row{
	x86asm.MOVAPS: movVec, x86asm.MOVAPD: movVec, x86asm.MOVUPS: movVec, x86asm.MOVUPD: movVec, x86asm.MOVDQA: movVec, x86asm.MOVDQU: movVec,
	x86asm.LDDQU: movVec, x86asm.MOVNTPS: movVec, x86asm.MOVNTPD: movVec, x86asm.MOVNTDQ: movVec, x86asm.MOVNTDQA: movVec,
	x86asm.MOVSS: movScalar(f32), x86asm.MOVSD_XMM: movScalar(f64), x86asm.MOVNTSS: movScalar(f32), x86asm.MOVNTSD: movScalar(f64),
	x86asm.MOVD: movd, x86asm.MOVQ: movd, x86asm.MOVNTQ: movd, x86asm.MOVQ2DQ: movd, x86asm.MOVDQ2Q: movd,
	x86asm.MOVLPS: movHalf(0), x86asm.MOVLPD: movHalf(0), x86asm.MOVHPS: movHalf(1), x86asm.MOVHPD: movHalf(1),
	x86asm.MOVHLPS: copyHalf(0, 1), x86asm.MOVLHPS: copyHalf(1, 0),
	x86asm.MOVMSKPS: moveMask(ir.I32x4Bitmask), x86asm.MOVMSKPD: moveMask(ir.I64x2Bitmask), x86asm.PMOVMSKB: moveMask(ir.I8x16Bitmask),
	x86asm.MASKMOVDQU: maskMove, x86asm.MASKMOVQ: maskMove,
	x86asm.MOVDDUP: movddup, x86asm.MOVSLDUP: movDup(0), x86asm.MOVSHDUP: movDup(4),
}

func movVec(c *ctx, in *x86.Inst) error {
	x, err := c.vec(1, 16)
	if err != nil {
		return err
	}
	if m, ok := in.Args[0].(x86asm.Mem); ok {
		base, off := c.addr(m)
		c.Store(ir.StoreV128, base, off, x)
		return nil
	}
	return c.setVec(0, x)
}

// movScalar is movss and movsd: between registers the rest stays, a load
// clears it.
func movScalar(f *float) row {
	return func(c *ctx, in *x86.Inst) error {
		x, err := c.scalar(f, 1)
		if err != nil {
			return err
		}
		if m, ok := in.Args[0].(x86asm.Mem); ok {
			base, off := c.addr(m)
			c.Store(f.store, base, off, x)
			return nil
		}
		if isMem(in.Args[1]) {
			return c.setVec(0, c.withLane(f, c.zeroVec(), 0, x))
		}
		return c.setScalar(f, 0, x)
	}
}

// movd is movd and movq in all directions. What goes to a vector register
// clears its rest.
func movd(c *ctx, in *x86.Inst) error {
	size := movdSize(in)
	_, toXMM := xmmOf(in.Args[0])
	if toXMM || isMMX(in.Args[0]) {
		x, err := c.lowPart(size)
		if err != nil {
			return err
		}
		return c.setVec(0, x)
	}
	x, err := c.vec(1, 16)
	if err != nil {
		return err
	}
	f := map[int]*float{4: f32, 8: f64}[size]
	if m, ok := in.Args[0].(x86asm.Mem); ok {
		base, off := c.addr(m)
		c.Store(f.store, base, off, c.lane(f, x, 0))
		return nil
	}
	if size == 8 {
		return c.write(0, 8, c.lane64(x, 0))
	}
	return c.write(0, 4, c.Lane(ir.I32x4ExtractLane, 0, x))
}

// movdSize is how many bytes a movd or movq moves.
func movdSize(in *x86.Inst) int {
	for _, a := range in.Args[:2] {
		if r, ok := a.(x86asm.Reg); ok {
			if _, n, ok := gprOf(r); ok {
				return n
			}
		}
	}
	if in.Op == x86asm.MOVD {
		return max(in.MemBytes, 4)
	}
	return 8
}

// lowPart is operand 1 as the low size bytes of a vector, the rest zero.
func (c *ctx) lowPart(size int) (*ir.Value, error) {
	a := c.in.Args[1]
	if isMMX(a) {
		return c.vec(1, 8)
	}
	if _, ok := xmmOf(a); ok {
		x, err := c.scalar(f64, 1)
		if err != nil {
			return nil, err
		}
		return c.withLane(f64, c.zeroVec(), 0, x), nil
	}
	if isMem(a) {
		return c.vec(1, size)
	}
	x, err := c.read(1, size)
	if err != nil {
		return nil, err
	}
	if size == 4 {
		x = c.ZExt(x)
	}
	return c.Lane(ir.I64x2ReplaceLane, 0, c.zeroVec(), x), nil
}

// movHalf moves 64 bits between memory and half i; the other half stays.
func movHalf(i int) row {
	return func(c *ctx, in *x86.Inst) error {
		if m, ok := in.Args[0].(x86asm.Mem); ok {
			x, err := c.vec(1, 16)
			if err != nil {
				return err
			}
			base, off := c.addr(m)
			c.Store(ir.StoreF64, base, off, c.lane(f64, x, i))
			return nil
		}
		if !isMem(in.Args[1]) { // movhlps and movlhps share these opcodes
			return copyHalf(i, 1-i)(c, in)
		}
		y, err := c.scalar(f64, 1)
		if err != nil {
			return err
		}
		x, err := c.vec(0, 16)
		if err != nil {
			return err
		}
		return c.setVec(0, c.withLane(f64, x, i, y))
	}
}

// copyHalf copies half from of the source to half to of the destination.
func copyHalf(to, from int) row {
	return func(c *ctx, in *x86.Inst) error {
		x, y, err := c.vecs()
		if err != nil {
			return err
		}
		return c.setVec(0, c.withLane(f64, x, to, c.lane(f64, y, from)))
	}
}

// moveMask collects the sign bits of the lanes.
func moveMask(op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, err := c.vec(1, 16)
		if err != nil {
			return err
		}
		m := c.New(op, x)
		if isMMX(in.Args[1]) {
			m = c.AndC(m, 0xff)
		}
		c.set(mustGPR(in.Args[0]), c.ZExt(m))
		return nil
	}
}

// maskMove stores the bytes whose mask bytes have the top bit set, at rdi. It
// is done as one read and one write.
func maskMove(c *ctx, in *x86.Inst) error {
	x, mask, err := c.vecs()
	if err != nil {
		return err
	}
	mask = c.New(ir.I8x16LtS, mask, c.zeroVec())
	base, off := c.linear(c.Wrap(c.get(RDI)), x86asm.Mem{Segment: segmentOf(in)})
	size := 16
	if isMMX(in.Args[0]) {
		size = 8
	}
	x = c.New(ir.V128Bitselect, x, c.Load(vectorLoads[size], base, off), mask)
	if size == 8 {
		c.Store(ir.StoreF64, base, off, c.lane(f64, x, 0))
	} else {
		c.Store(ir.StoreV128, base, off, x)
	}
	return nil
}

// segmentOf is the segment override among in's prefixes.
func segmentOf(in *x86.Inst) x86asm.Reg {
	switch {
	case in.HasPrefix(x86asm.PrefixFS):
		return x86asm.FS
	case in.HasPrefix(x86asm.PrefixGS):
		return x86asm.GS
	}
	return 0
}

func movddup(c *ctx, in *x86.Inst) error {
	x, err := c.scalar(f64, 1)
	if err != nil {
		return err
	}
	return c.setVec(0, c.New(ir.F64x2Splat, x))
}

// movDup doubles the singles that begin at byte from of each half.
func movDup(from byte) row {
	return func(c *ctx, in *x86.Inst) error {
		x, err := c.vec(1, 16)
		if err != nil {
			return err
		}
		var lanes [16]byte
		for i := range lanes {
			lanes[i] = byte(i)&8 + from + byte(i)&3
		}
		return c.setVec(0, c.Shuffle(x, x, lanes))
	}
}
