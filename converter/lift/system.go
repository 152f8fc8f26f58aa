package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// Flag control, system and miscellaneous instructions, SDM volume 1, 5.1.12
// to 5.1.15.
var (
	flagRows = map[x86asm.Op]row{
		x86asm.CLC: setFlag(CF, 0), x86asm.STC: setFlag(CF, 1), x86asm.CLD: setFlag(DF, 0), x86asm.STD: setFlag(DF, 1), x86asm.CMC: cmc,
		x86asm.LAHF: lahf, x86asm.SAHF: sahf, x86asm.PUSHFQ: pushf, x86asm.PUSHF: pushf, x86asm.POPFQ: popf, x86asm.POPF: popf,
	}
	systemRows = map[x86asm.Op]row{
		x86asm.CPUID: cpuid, x86asm.RDTSC: rdtsc, x86asm.RDTSCP: rdtscp, x86asm.XGETBV: xgetbv, x86asm.PAUSE: nop,
		x86asm.MFENCE: fence, x86asm.LFENCE: nop, x86asm.SFENCE: nop, x86asm.CLFLUSH: nop,
		x86asm.PREFETCHNTA: nop, x86asm.PREFETCHT0: nop, x86asm.PREFETCHT1: nop, x86asm.PREFETCHT2: nop, x86asm.PREFETCHW: nop,
		x86asm.NOP: nop, x86.ENDBR64: nop, x86.ENDBR32: nop, x86.RDSSP: nop, x86asm.FWAIT: nop,
	}
)

func setFlag(f Var, x int64) row {
	return func(c *ctx, in *x86.Inst) error {
		c.set(f, c.Const32(x))
		return nil
	}
}

func cmc(c *ctx, in *x86.Inst) error {
	c.set(CF, c.Xor(c.flag(CF), c.Const32(1)))
	return nil
}

// packFlags builds the low bits of rflags from the flags in s. Bit 1 is
// always set.
func (c *ctx) packFlags(s Set) *ir.Value {
	x := c.Const32(2)
	for f := CF; f < Dest; f++ {
		if s.has(f) {
			x = c.Or(x, c.ShlC(c.flag(f), int64(abi.FlagBits[f-CF])))
		}
	}
	return x
}

func (c *ctx) unpackFlags(s Set, x *ir.Value) {
	for f := CF; f < Dest; f++ {
		if s.has(f) {
			c.set(f, c.bit(x, int64(abi.FlagBits[f-CF])))
		}
	}
}

var ahFlags = setOf(CF, PF, AF, ZF, SF)

func lahf(c *ctx, in *x86.Inst) error {
	c.writeGPR(x86asm.AH, 1, c.packFlags(ahFlags))
	return nil
}

func sahf(c *ctx, in *x86.Inst) error {
	c.unpackFlags(ahFlags, c.readGPR(x86asm.AH, 1))
	return nil
}

func pushf(c *ctx, in *x86.Inst) error {
	size := pushSize(in)
	x := c.Or(c.packFlags(flagSet), c.Const32(0x200)) // IF
	c.push(c.widen(x, size, false), size)
	return nil
}

func popf(c *ctx, in *x86.Inst) error {
	x := c.pop(pushSize(in))
	if x.Type == ir.I64 {
		x = c.Wrap(x)
	}
	c.unpackFlags(flagSet, x)
	return nil
}

// setPair puts an I64 of two 32-bit halves in two registers.
func (c *ctx) setPair(lo, hi Var, x *ir.Value) {
	c.set(lo, c.ZExt(c.Wrap(x)))
	c.set(hi, c.ShrUC(x, 32))
}

func cpuid(c *ctx, in *x86.Inst) error {
	x, y := c.helper(abi.HelperCPUID, c.get(RAX), c.get(RCX))
	c.setPair(RAX, RBX, x)
	c.setPair(RCX, RDX, y)
	return nil
}

func rdtsc(c *ctx, in *x86.Inst) error {
	x, _ := c.helper(abi.HelperRDTSC)
	c.setPair(RAX, RDX, x)
	return nil
}

func rdtscp(c *ctx, in *x86.Inst) error {
	x, id := c.helper(abi.HelperRDTSC)
	c.setPair(RAX, RDX, x)
	c.set(RCX, id)
	return nil
}

func xgetbv(c *ctx, in *x86.Inst) error {
	x, _ := c.helper(abi.HelperXGETBV, c.get(RCX))
	c.setPair(RAX, RDX, x)
	return nil
}

func fence(c *ctx, in *x86.Inst) error {
	c.New(ir.Fence)
	return nil
}
