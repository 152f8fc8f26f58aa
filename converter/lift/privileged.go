package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// Instructions that user programs may not execute, and those that look at
// segments and descriptor tables, as 64-bit Linux sets them up.
var privilegedRows = map[x86asm.Op]row{
	// #GP at privilege level 3.
	x86asm.HLT: gp, x86asm.CLI: gp, x86asm.STI: gp, x86asm.CLTS: gp, x86asm.INVD: gp, x86asm.WBINVD: gp, x86asm.INVLPG: gp, x86asm.INVPCID: gp,
	x86asm.IN: gp, x86asm.INSB: gp, x86asm.INSW: gp, x86asm.INSD: gp, x86asm.OUT: gp, x86asm.OUTSB: gp, x86asm.OUTSW: gp, x86asm.OUTSD: gp,
	x86asm.LGDT: gp, x86asm.LIDT: gp, x86asm.LLDT: gp, x86asm.LTR: gp, x86asm.LMSW: gp, x86asm.RDMSR: gp, x86asm.WRMSR: gp, x86asm.RDPMC: gp,
	x86asm.SWAPGS: gp, x86asm.SYSEXIT: gp, x86asm.SYSRET: gp,
	// #UD there.
	x86asm.MONITOR: ud, x86asm.MWAIT: ud, x86asm.RSM: ud, x86asm.SYSENTER: ud, x86asm.UD0: ud, x86asm.UD1: ud, x86asm.UD2: undefined, x86.INCSSP: ud,

	x86asm.INT: interrupt, x86asm.ICEBP: breakpoint,
	x86asm.LRET: farReturn(0), x86asm.IRET: farReturn(2), x86asm.IRETD: farReturn(4), x86asm.IRETQ: farReturn(8), x86asm.LCALL: farJump(true), x86asm.LJMP: farJump(false),

	x86asm.LAR: loadDescriptor(0xffff00), x86asm.LSL: loadDescriptor(0), x86asm.VERR: verify(1), x86asm.VERW: verify(2),
	x86asm.LFS: loadFar(x86asm.FS), x86asm.LGS: loadFar(x86asm.GS), x86asm.LSS: loadFar(x86asm.SS),
	x86asm.SMSW: storeSystem(0x80050033), x86asm.SLDT: storeSystem(0), x86asm.STR: storeSystem(0x40),
	x86asm.SGDT: storeTable(-0x20000), x86asm.SIDT: storeTable(-0x10000),
}

var gp, ud = trapRow(abi.TrapPrivileged), trapRow(abi.TrapUD)

// userCode is the selector of 64-bit code.
const userCode = 0x33

// farReturn pops an instruction pointer and a code selector. Anything but a
// return to 64-bit code faults; iret, of the given operand size, pops more.
func farReturn(iret int) row {
	return func(c *ctx, in *x86.Inst) error {
		size := iret
		if size == 0 {
			size = in.DataSize / 8
		}
		if size != 8 {
			c.trap(abi.TrapPrivileged) // 64-bit code has no addresses of 16 bits, nor of 32 below the null page
			return nil
		}
		sp := c.get(RSP)
		at := c.stack(sp)
		c.trapIf(c.Bin(ir.I32Ne, c.Load(ir.Load16U32, at, 8), c.Const32(userCode)), abi.TrapPrivileged)
		rsp := c.AddC(sp, 16)
		if n, ok := in.Args[0].(x86asm.Imm); ok {
			rsp = c.AddC(rsp, int64(uint16(n)))
		}
		if iret != 0 {
			rsp = c.Load(ir.Load64, at, 24)
		}
		pc := c.Load(ir.Load32, at, 0)
		c.b.pivot = c.B
		c.exit(ir.Term{Kind: ir.Leave, Args: []*ir.Value{pc, rsp}})
		c.stopped = true
		return nil
	}
}

// farJump jumps through a pointer with a selector behind it, which has to be
// that of 64-bit code.
func farJump(call bool) row {
	return func(c *ctx, in *x86.Inst) error {
		m, ok := in.Args[0].(x86asm.Mem)
		if !ok {
			return errOperand
		}
		size := in.DataSize / 8
		base, off := c.addr(m)
		pc := c.low32(c.Load(loadOps[size], base, off))
		sel := c.Load(ir.Load16U32, base, off+uint32(size))
		c.trapIf(c.Bin(ir.I32Ne, sel, c.Const32(userCode)), abi.TrapPrivileged)
		if call {
			c.push(c.Const(intType(size), userCode), size)
			c.push(c.widen(c.codeAddr(c.fn.offset(in.Next())), size, false), size)
		}
		c.b.pivot = c.B
		c.exit(ir.Term{Kind: ir.Leave, Args: []*ir.Value{pc, c.get(RSP)}})
		c.stopped = true
		return nil
	}
}

// selector reads the 16-bit selector in operand i.
func (c *ctx) selector(i int) (*ir.Value, error) {
	x, err := c.read(i, 2)
	if err != nil {
		return nil, err
	}
	return c.ZExt(x), nil
}

// loadDescriptor is lar, which loads the rights in mask, and lsl, which loads
// the limit (mask 0).
func loadDescriptor(mask int64) row {
	return func(c *ctx, in *x86.Inst) error {
		sel, err := c.selector(1)
		if err != nil {
			return err
		}
		size := c.size(0)
		x, kind := c.helper(abi.HelperDescriptor, sel)
		val := c.ShrUC(x, 32)
		if mask != 0 {
			val = c.AndC(x, mask)
		}
		ok := c.Bool(kind)
		old := c.get(mustGPR(in.Args[0]))
		if err := c.write(0, size, c.cut(val, size)); err != nil {
			return err
		}
		c.set(mustGPR(in.Args[0]), c.Select(ok, c.get(mustGPR(in.Args[0])), old))
		c.set(ZF, ok)
		return nil
	}
}

// cut converts an I64 to intType(size).
func (c *ctx) cut(x *ir.Value, size int) *ir.Value {
	if size == 8 {
		return x
	}
	return c.Wrap(x)
}

// verify is verr (bit 1 of what the machine says) and verw (bit 2).
func verify(bit int64) row {
	return func(c *ctx, in *x86.Inst) error {
		sel, err := c.selector(0)
		if err != nil {
			return err
		}
		_, kind := c.helper(abi.HelperDescriptor, sel)
		c.set(ZF, c.bit(kind, bit))
		return nil
	}
}

// loadSegment loads a segment register, which faults for most selectors. The
// selector is not kept.
func (c *ctx) loadSegment(r x86asm.Reg, sel *ir.Value) error {
	if r == x86asm.CS {
		c.trap(abi.TrapUD)
		return nil
	}
	c.helper(abi.HelperLoadSegment, sel, c.Const64(int64(r-x86asm.ES)))
	return nil
}

func isSegment(a x86asm.Arg) (x86asm.Reg, bool) {
	r, ok := a.(x86asm.Reg)
	return r, ok && r >= x86asm.ES && r <= x86asm.GS
}

// isControl reports a control, debug or test register, or the like.
func isControl(a x86asm.Arg) bool {
	r, ok := a.(x86asm.Reg)
	return ok && r > x86asm.GS
}

// movControl faults; control registers that processors do not have are
// invalid opcodes rather than privileged.
func movControl(c *ctx, in *x86.Inst) error {
	for _, a := range in.Args[:2] {
		switch r, _ := a.(x86asm.Reg); r {
		case x86asm.CR1, x86asm.CR5, x86asm.CR6, x86asm.CR7:
			return ud(c, in)
		default:
			if r > x86asm.CR8 && r <= x86asm.CR15 || r > x86asm.DR7 && r <= x86asm.DR15 {
				return ud(c, in)
			}
		}
	}
	return gp(c, in)
}

// loadFar is lfs and its like: a pointer and a selector behind it.
func loadFar(seg x86asm.Reg) row {
	return func(c *ctx, in *x86.Inst) error {
		m, ok := in.Args[1].(x86asm.Mem)
		if !ok {
			return errOperand
		}
		size := c.size(0)
		base, off := c.addr(m)
		x := c.Load(loadOps[size], base, off)
		sel := c.ZExt(c.Load(ir.Load16U32, base, off+uint32(size)))
		if err := c.loadSegment(seg, sel); err != nil {
			return err
		}
		return c.write(0, size, x)
	}
}

// storeSystem is smsw, sldt and str, for which Linux gives constants where
// the processor refuses them to user programs (UMIP).
func storeSystem(x int64) row {
	return func(c *ctx, in *x86.Inst) error {
		size := 2
		if !isMem(in.Args[0]) {
			size = c.size(0)
		}
		if size == 4 { // what Linux writes does not clear the upper half
			v := mustGPR(in.Args[0])
			c.set(v, c.Or(c.AndC(c.get(v), -1<<32), c.Const64(x)))
			return nil
		}
		return c.write(0, size, c.Const(intType(size), x))
	}
}

// storeTable is sgdt and sidt, likewise.
func storeTable(addr int64) row {
	return func(c *ctx, in *x86.Inst) error {
		m, ok := in.Args[0].(x86asm.Mem)
		if !ok {
			return errOperand
		}
		base, off := c.addr(m)
		c.Store(ir.Store16x32, base, off, c.Const32(0))
		c.Store(ir.Store64, base, off+2, c.Const64(addr))
		return nil
	}
}
