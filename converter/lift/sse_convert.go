package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// Conversions. What does not fit an integer becomes the integer indefinite,
// 0x80…0; wasm's saturating truncations give it for what is too low, and the
// rest is selected.
var sseConvertRows = map[x86asm.Op]row{
	x86asm.CVTSI2SD: fromInteger(f64, ir.F64ConvertI32S, ir.F64ConvertI64S), x86asm.CVTSI2SS: fromInteger(f32, ir.F32ConvertI32S, ir.F32ConvertI64S),
	x86asm.CVTTSD2SI: toInteger(f64, false), x86asm.CVTTSS2SI: toInteger(f32, false),
	x86asm.CVTSD2SI: toInteger(f64, true), x86asm.CVTSS2SI: toInteger(f32, true),
	x86asm.CVTSD2SS: convertScalar(f64, f32, ir.F32DemoteF64), x86asm.CVTSS2SD: convertScalar(f32, f64, ir.F64PromoteF32),

	x86asm.CVTDQ2PD: convertPacked(8, ir.F64x2ConvertLowI32x4S), x86asm.CVTDQ2PS: convertPacked(16, ir.F32x4ConvertI32x4S),
	x86asm.CVTPS2PD: convertPacked(8, ir.F64x2PromoteLowF32x4), x86asm.CVTPD2PS: convertPacked(16, ir.F32x4DemoteF64x2Zero),
	x86asm.CVTTPS2DQ: packedToInt(false, (*ctx).singlesToInts), x86asm.CVTPS2DQ: packedToInt(true, (*ctx).singlesToInts),
	x86asm.CVTTPD2DQ: packedToInt(false, (*ctx).doublesToInts), x86asm.CVTPD2DQ: packedToInt(true, (*ctx).doublesToInts),
	x86asm.CVTTPS2PI: packedToInt(false, (*ctx).singlesToInts), x86asm.CVTPS2PI: packedToInt(true, (*ctx).singlesToInts),
	x86asm.CVTTPD2PI: packedToInt(false, (*ctx).doublesToInts), x86asm.CVTPD2PI: packedToInt(true, (*ctx).doublesToInts),
	x86asm.CVTPI2PD: convertPacked(8, ir.F64x2ConvertLowI32x4S), x86asm.CVTPI2PS: cvtpi2ps,

	x86asm.ROUNDSD: roundScalar(f64, scalarRounds64), x86asm.ROUNDSS: roundScalar(f32, scalarRounds32),
	x86asm.ROUNDPD: roundPacked(packedRounds64), x86asm.ROUNDPS: roundPacked(packedRounds32),
}

// rounds are the operations that round to an integral value, by MXCSR's
// rounding control: to nearest, down, up, to zero.
type rounds [4]ir.Op

var (
	scalarRounds64 = &rounds{ir.F64Nearest, ir.F64Floor, ir.F64Ceil, ir.F64Trunc}
	scalarRounds32 = &rounds{ir.F32Nearest, ir.F32Floor, ir.F32Ceil, ir.F32Trunc}
	packedRounds64 = &rounds{ir.F64x2Nearest, ir.F64x2Floor, ir.F64x2Ceil, ir.F64x2Trunc}
	packedRounds32 = &rounds{ir.F32x4Nearest, ir.F32x4Floor, ir.F32x4Ceil, ir.F32x4Trunc}
)

// rounded rounds x to an integral value as MXCSR says.
func (c *ctx) rounded(r *rounds, x *ir.Value) *ir.Value {
	control := c.AndC(c.ShrUC(c.GetReg(int(abi.MXCSR), ir.I32), 13), 3)
	out := c.choose(c.Eqz(control), func() []*ir.Value { return []*ir.Value{c.New(r[0], x)} }, func() []*ir.Value {
		toZero := c.New(r[3], x)
		upOrZero := c.Select(c.Bin(ir.I32Eq, control, c.Const32(2)), c.New(r[2], x), toZero)
		return []*ir.Value{c.Select(c.Bin(ir.I32Eq, control, c.Const32(1)), c.New(r[1], x), upOrZero)}
	})
	return out[0]
}

func fromInteger(f *float, from32, from64 ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(1)
		x, err := c.read(1, size)
		if err != nil {
			return err
		}
		op := from32
		if size == 8 {
			op = from64
		}
		return c.setScalar(f, 0, c.New(op, x))
	}
}

// truncation is the saturating truncation of a format to an integer of a
// size, and the first value too large for it.
type truncation struct {
	op    ir.Op
	limit int64 // bits of 2³¹ or 2⁶³
}

var truncations = map[[2]int]truncation{
	{8, 4}: {ir.I32TruncSatF64S, 0x41e0000000000000}, {8, 8}: {ir.I64TruncSatF64S, 0x43e0000000000000},
	{4, 4}: {ir.I32TruncSatF32S, 0x4f000000}, {4, 8}: {ir.I64TruncSatF32S, 0x5f000000},
}

func toInteger(f *float, byMXCSR bool) row {
	return func(c *ctx, in *x86.Inst) error {
		x, err := c.scalar(f, 1)
		if err != nil {
			return err
		}
		if byMXCSR {
			x = c.rounded(map[*float]*rounds{f32: scalarRounds32, f64: scalarRounds64}[f], x)
		}
		size := c.size(0)
		t := truncations[[2]int{f.size, size}]
		kind := ir.ConstF64
		if f == f32 {
			kind = ir.ConstF32
		}
		limit := c.New(kind)
		limit.Aux = t.limit
		fits := c.floatCompare(ir.F64Lt, f.size, x, limit)
		return c.write(0, size, c.Select(fits, c.New(t.op, x), c.Const(intType(size), -1<<(8*size-1))))
	}
}

func convertScalar(from, to *float, op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, err := c.scalar(from, 1)
		if err != nil {
			return err
		}
		return c.setScalar(to, 0, c.New(op, x))
	}
}

func convertPacked(size int, op ir.Op) row {
	return func(c *ctx, in *x86.Inst) error {
		x, err := c.vec(1, size)
		if err != nil {
			return err
		}
		return c.setVec(0, c.New(op, x))
	}
}

// cvtpi2ps converts two integers; the upper half stays.
func cvtpi2ps(c *ctx, in *x86.Inst) error {
	y, err := c.vec(1, 8)
	if err != nil {
		return err
	}
	low := c.lane(f64, c.New(ir.F32x4ConvertI32x4S, y), 0)
	return c.setScalar(f64, 0, low)
}

// packedToInt converts to 32-bit integers.
func packedToInt(byMXCSR bool, convert func(*ctx, *ir.Value, bool) *ir.Value) row {
	return func(c *ctx, in *x86.Inst) error {
		size := 16
		if in.Op == x86asm.CVTPS2PI || in.Op == x86asm.CVTTPS2PI {
			size = 8
		}
		m, mem := in.Args[1].(x86asm.Mem)
		var x *ir.Value
		if mem {
			base, off := c.addr(m)
			x = c.Load(vectorLoads[size], base, off)
		} else {
			var err error
			if x, err = c.vec(1, size); err != nil {
				return err
			}
		}
		return c.setVec(0, convert(c, x, byMXCSR))
	}
}

func (c *ctx) singlesToInts(x *ir.Value, byMXCSR bool) *ir.Value {
	if byMXCSR {
		x = c.rounded(packedRounds32, x)
	}
	fits := c.New(ir.F32x4Lt, x, c.splat64(0x4f0000004f000000))
	return c.New(ir.V128Bitselect, c.New(ir.I32x4TruncSatF32x4S, x), c.splat64(0x8000000080000000), fits)
}

func (c *ctx) doublesToInts(x *ir.Value, byMXCSR bool) *ir.Value {
	if byMXCSR {
		x = c.rounded(packedRounds64, x)
	}
	fits := c.New(ir.F64x2Lt, x, c.splat64(0x41e0000000000000))
	fits = c.Shuffle(fits, fits, [16]byte{0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11})
	return c.New(ir.V128Bitselect, c.New(ir.I32x4TruncSatF64x2SZero, x), c.ConstV128(0x8000000080000000, 0), fits)
}

// roundBy rounds as the immediate of a round instruction says.
func (c *ctx) roundBy(r *rounds, imm int64, x *ir.Value) *ir.Value {
	if imm&4 != 0 {
		return c.rounded(r, x)
	}
	return c.New(r[imm&3], x)
}

func roundScalar(f *float, r *rounds) row {
	return func(c *ctx, in *x86.Inst) error {
		imm, ok := in.Args[2].(x86asm.Imm)
		if !ok {
			return errOperand
		}
		x, err := c.scalar(f, 1)
		if err != nil {
			return err
		}
		return c.setScalar(f, 0, c.roundBy(r, int64(imm), x))
	}
}

func roundPacked(r *rounds) row {
	return func(c *ctx, in *x86.Inst) error {
		imm, ok := in.Args[2].(x86asm.Imm)
		if !ok {
			return errOperand
		}
		x, err := c.vec(1, 16)
		if err != nil {
			return err
		}
		return c.setVec(0, c.roundBy(r, int64(imm), x))
	}
}
