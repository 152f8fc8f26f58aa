package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// Data transfer instructions, SDM volume 1, 5.1.1.
var dataRows = map[x86asm.Op]row{
	x86asm.MOV: mov, x86asm.MOVNTI: mov, x86asm.MOVZX: movzx, x86asm.MOVSX: movsx, x86asm.MOVSXD: movsx,
	x86asm.LEA: lea, x86asm.XCHG: xchg, x86asm.PUSH: push, x86asm.POP: pop, x86asm.BSWAP: bswap,
	x86asm.CBW: extendAcc(1), x86asm.CWDE: extendAcc(2), x86asm.CDQE: extendAcc(4),
	x86asm.CWD: signAcc(2), x86asm.CDQ: signAcc(4), x86asm.CQO: signAcc(8),
	x86asm.LEAVE: leave, x86asm.XLATB: xlat, x86asm.ENTER: enter, x86asm.MOVBE: movbe,
}

func init() {
	for op, cc := range cmovs {
		rows[op] = cmov(cc)
	}
	for op, cc := range setccs {
		rows[op] = setcc(cc)
	}
}

func mov(c *ctx, in *x86.Inst) error {
	if isControl(in.Args[0]) || isControl(in.Args[1]) {
		return movControl(c, in)
	}
	if r, ok := isSegment(in.Args[1]); ok {
		return movFromSegment(c, r)
	}
	if r, ok := isSegment(in.Args[0]); ok {
		sel, err := c.selector(1)
		if err != nil {
			return err
		}
		return c.loadSegment(r, sel)
	}
	size := c.size(0)
	x, err := c.read(1, size)
	if err != nil {
		return err
	}
	return c.write(0, size, x)
}

// movFromSegment reads a selector as 64-bit Linux sets them.
func movFromSegment(c *ctx, r x86asm.Reg) error {
	sel := int64(0)
	switch r {
	case x86asm.CS:
		sel = 0x33
	case x86asm.SS:
		sel = 0x2b
	}
	size := c.size(0)
	return c.write(0, size, c.Const(intType(size), sel))
}

func movzx(c *ctx, in *x86.Inst) error {
	x, err := c.read(1, c.size(1))
	if err != nil {
		return err
	}
	return c.write(0, c.size(0), c.widen(x, c.size(0), false))
}

// widen turns an I32 into intType(size).
func (c *ctx) widen(x *ir.Value, size int, signed bool) *ir.Value {
	switch {
	case size != 8 || x.Type == ir.I64:
		return x
	case signed:
		return c.SExt(x)
	}
	return c.ZExt(x)
}

// signedLoads are loads that extend the sign: by source size and whether the result is 64 bits.
var signedLoads = [...][2]ir.Op{1: {ir.Load8S32, ir.Load8S64}, 2: {ir.Load16S32, ir.Load16S64}, 4: {ir.Load32, ir.Load32S64}}

func movsx(c *ctx, in *x86.Inst) error {
	size, from := c.size(0), c.size(1)
	if in.Op == x86asm.MOVSXD {
		from = min(4, size)
	}
	if m, ok := in.Args[1].(x86asm.Mem); ok {
		base, off := c.addr(m)
		op := signedLoads[from][0]
		if size == 8 {
			op = signedLoads[from][1]
		}
		return c.write(0, size, c.Load(op, base, off))
	}
	x, err := c.read(1, from)
	if err != nil {
		return err
	}
	return c.write(0, size, c.widen(c.signed(x, from), size, true))
}

func lea(c *ctx, in *x86.Inst) error {
	m, ok := in.Args[1].(x86asm.Mem)
	if !ok {
		return errOperand
	}
	m.Segment = 0
	size := c.size(0)
	if size == 8 && in.AddrSize == 64 {
		return c.write(0, size, c.effective64(m))
	}
	return c.write(0, size, c.widen(c.effective(m), size, false))
}

func xchg(c *ctx, in *x86.Inst) error {
	for i := range 2 {
		if m, ok := in.Args[i].(x86asm.Mem); ok {
			return c.lockedXchg(m, 1-i)
		}
	}
	size := c.size(0)
	x, y, err := c.readPair(0, 1, size)
	if err != nil {
		return err
	}
	if err := c.write(0, size, y); err != nil {
		return err
	}
	return c.write(1, size, x)
}

// pushSize is the operand size of push and pop: 8, or 2 with a 66 prefix.
func pushSize(in *x86.Inst) int {
	if in.DataSize == 16 {
		return 2
	}
	return 8
}

func push(c *ctx, in *x86.Inst) error {
	size := pushSize(in)
	if _, ok := isSegment(in.Args[0]); ok {
		c.push(c.Const(intType(size), 0), size)
		return nil
	}
	x, err := c.read(0, size)
	if err != nil {
		return err
	}
	c.push(x, size)
	return nil
}

func pop(c *ctx, in *x86.Inst) error {
	size := pushSize(in)
	if r, ok := isSegment(in.Args[0]); ok {
		return c.loadSegment(r, c.widen(c.low(c.low32(c.pop(size)), 2), 8, false))
	}
	return c.write(0, size, c.pop(size)) // rsp is counted up before a memory operand's address is formed
}

func bswap(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	if size == 2 { // "the result is undefined"; processors clear the register
		return c.write(0, size, c.Const32(0))
	}
	x, err := c.read(0, size)
	if err != nil {
		return err
	}
	return c.write(0, size, c.swapBytes(x, size))
}

// swapBytes reverses the bytes of x.
func (c *ctx) swapBytes(x *ir.Value, size int) *ir.Value {
	if size == 2 {
		return c.low(c.Or(c.ShrUC(x, 8), c.ShlC(x, 8)), 2)
	}
	// Swap bytes within 16 bits, then rotate (32) or swap 16-bit units (64).
	m := int64(0x00ff00ff)
	if size == 8 {
		m = 0x00ff00ff00ff00ff
	}
	x = c.Or(c.AndC(c.ShrUC(x, 8), m), c.ShlC(c.AndC(x, m), 8))
	if size == 4 {
		return c.Bin(ir.I32Rotl, x, c.Const32(16))
	}
	m = 0x0000ffff0000ffff
	x = c.Or(c.AndC(c.ShrUC(x, 16), m), c.ShlC(c.AndC(x, m), 16))
	return c.Bin(ir.I32Rotl, x, c.Const64(32))
}

func movbe(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	x, err := c.read(1, size)
	if err != nil {
		return err
	}
	return c.write(0, size, c.swapBytes(x, size))
}

// extendAcc sign-extends the low from bytes of rax to twice that.
func extendAcc(from int) row {
	return func(c *ctx, in *x86.Inst) error {
		x := c.signed(c.readGPR(accumulator(from), from), from)
		c.writeGPR(accumulator(2*from), 2*from, c.widen(x, 2*from, true))
		return nil
	}
}

// signAcc fills rdx with the sign of rax.
func signAcc(size int) row {
	return func(c *ctx, in *x86.Inst) error {
		x := c.signed(c.readGPR(accumulator(size), size), size)
		n := int64(31)
		if size == 8 {
			n = 63
		}
		c.writeGPR(sized(RDX, size), size, c.ShrSC(x, n))
		return nil
	}
}

// accumulator is the name of rax of size bytes.
func accumulator(size int) x86asm.Reg { return sized(RAX, size) }

// sized is the name of a general register of size bytes; not AH and its like.
func sized(v Var, size int) x86asm.Reg {
	switch size {
	case 1:
		if v >= R8 {
			return x86asm.R8B + x86asm.Reg(v-R8)
		}
		if v >= RSP {
			return x86asm.SPB + x86asm.Reg(v-RSP)
		}
		return x86asm.AL + x86asm.Reg(v)
	case 2:
		return x86asm.AX + x86asm.Reg(v)
	case 4:
		return x86asm.EAX + x86asm.Reg(v)
	}
	return x86asm.RAX + x86asm.Reg(v)
}

func leave(c *ctx, in *x86.Inst) error {
	size := pushSize(in)
	c.set(RSP, c.get(RBP))
	c.writeGPR(sized(RBP, size), size, c.pop(size))
	return nil
}

// enter makes a frame; nested ones get the pointers of the outer frames.
func enter(c *ctx, in *x86.Inst) error {
	alloc, ok := in.Args[0].(x86asm.Imm)
	level, ok2 := in.Args[1].(x86asm.Imm)
	if !ok || !ok2 {
		return errOperand
	}
	size := pushSize(in)
	outer := c.get(RBP)
	c.push(c.readGPR(sized(RBP, size), size), size)
	frame := c.get(RSP)
	for n := int64(level) & 31; n > 1; n-- {
		outer = c.AddC(outer, -int64(size))
		c.push(c.Load(loadOps[size], c.stack(outer), 0), size)
	}
	if level&31 > 0 {
		c.push(c.cut(frame, size), size)
	}
	c.writeGPR(sized(RBP, size), size, c.cut(frame, size))
	c.set(RSP, c.AddC(c.get(RSP), -int64(uint16(alloc))))
	return nil
}

func xlat(c *ctx, in *x86.Inst) error {
	a := c.Add(c.Wrap(c.get(RBX)), c.readGPR(x86asm.AL, 1))
	base, off := c.linear(a, x86asm.Mem{})
	c.writeGPR(x86asm.AL, 1, c.Load(ir.Load8U32, base, off))
	return nil
}

func cmov(cc cond) row {
	return func(c *ctx, in *x86.Inst) error {
		size := c.size(0)
		y, err := c.read(1, size) // read whatever the condition, as the processor does
		if err != nil {
			return err
		}
		x, err := c.read(0, size)
		if err != nil {
			return err
		}
		return c.write(0, size, c.Select(c.condition(cc), y, x))
	}
}

func setcc(cc cond) row {
	return func(c *ctx, in *x86.Inst) error { return c.write(0, 1, c.condition(cc)) }
}
