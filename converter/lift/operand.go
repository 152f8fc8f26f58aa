package lift

import (
	"errors"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

var errOperand = errors.New("operand form not known")

// size is the size in bytes of operand i, or of the instruction's data when
// the operand is an immediate.
func (c *ctx) size(i int) int {
	switch a := c.in.Args[i].(type) {
	case x86asm.Reg:
		if _, n, ok := gprOf(a); ok {
			return n
		}
		if isXMM(a) {
			return 16
		}
	case x86asm.Mem:
		if c.in.MemBytes != 0 {
			return c.in.MemBytes
		}
	}
	return c.in.DataSize / 8
}

func isXMM(r x86asm.Reg) bool { return r >= x86asm.X0 && r <= x86asm.X15 }

// intType is the IR type that holds an integer of size bytes: smaller ones
// are zero-extended in an I32.
func intType(size int) ir.Type {
	if size == 8 {
		return ir.I64
	}
	return ir.I32
}

// read returns operand i, size bytes of it, zero-extended in intType(size).
func (c *ctx) read(i, size int) (*ir.Value, error) {
	switch a := c.in.Args[i].(type) {
	case x86asm.Reg:
		if _, _, ok := gprOf(a); ok {
			return c.readGPR(a, size), nil
		}
	case x86asm.Mem:
		return c.loadInt(a, size), nil
	case x86asm.Imm:
		return c.imm(int64(a), size), nil
	}
	return nil, errOperand
}

// readPair reads operands i and j, size bytes of each, in this order.
func (c *ctx) readPair(i, j, size int) (x, y *ir.Value, err error) {
	if x, err = c.read(i, size); err != nil {
		return nil, nil, err
	}
	y, err = c.read(j, size)
	return x, y, err
}

// imm is an immediate cut to size bytes.
func (c *ctx) imm(x int64, size int) *ir.Value {
	if size < 4 {
		x &= 1<<(8*size) - 1
	}
	return c.Const(intType(size), x)
}

// readGPR returns the low size bytes of register r (of AH: bits 8 to 15).
func (c *ctx) readGPR(r x86asm.Reg, size int) *ir.Value {
	v, _, _ := gprOf(r)
	if size == 8 {
		return c.get(v)
	}
	shift, end := 0, size
	if isHigh(r) {
		shift, end = 8, 2
	}
	if end > int(c.written[v]) {
		c.used(v)
	}
	return c.low(c.ShrUC(c.Wrap(c.peek(v)), int64(shift)), size)
}

// low cuts x to size bytes.
func (c *ctx) low(x *ir.Value, size int) *ir.Value {
	if size < 4 {
		return c.AndC(x, 1<<(8*size)-1)
	}
	return x
}

// signed is x, size bytes of it, sign-extended within its type.
func (c *ctx) signed(x *ir.Value, size int) *ir.Value {
	if k, ok := x.IsConst(); ok && size < 4 {
		sh := 64 - 8*size
		return c.Const(x.Type, k<<sh>>sh)
	}
	switch size {
	case 1:
		return c.Un(ir.I32Extend8S, x)
	case 2:
		return c.Un(ir.I32Extend16S, x)
	}
	return x
}

// write puts x, an integer of size bytes (upper bits of an I32 may be
// anything), in operand i.
func (c *ctx) write(i, size int, x *ir.Value) error {
	switch a := c.in.Args[i].(type) {
	case x86asm.Reg:
		if _, _, ok := gprOf(a); ok {
			c.writeGPR(a, size, x)
			return nil
		}
	case x86asm.Mem:
		c.storeInt(a, size, x)
		return nil
	}
	return errOperand
}

// writeGPR writes the low size bytes of register r; 4 bytes clear the upper half.
func (c *ctx) writeGPR(r x86asm.Reg, size int, x *ir.Value) {
	v, _, _ := gprOf(r)
	switch size {
	case 8:
	case 4:
		x = c.ZExt(x)
	default:
		shift, mask, written := 0, int64(1)<<(8*size)-1, size
		if isHigh(r) {
			shift, written = 8, 0
		}
		part := c.ShlC(c.ZExt(c.low(x, size)), int64(shift))
		c.setPart(v, written, c.Or(c.AndC(c.peek(v), ^(mask<<shift)), part))
		return
	}
	c.set(v, x)
}

// loads and stores of integers by size.
var (
	loadOps  = [...]ir.Op{1: ir.Load8U32, 2: ir.Load16U32, 4: ir.Load32, 8: ir.Load64}
	storeOps = [...]ir.Op{1: ir.Store8x32, 2: ir.Store16x32, 4: ir.Store32, 8: ir.Store64}
)

func (c *ctx) loadInt(m x86asm.Mem, size int) *ir.Value {
	base, off := c.addr(m)
	return c.Load(loadOps[size], base, off)
}

func (c *ctx) storeInt(m x86asm.Mem, size int, x *ir.Value) {
	base, off := c.addr(m)
	c.Store(storeOps[size], base, off, x)
}

// maxOffset bounds the displacements that go into an access's offset. A sum
// base+offset does not wrap at 2³², a processor's does; up to the NULL page's
// size both fault.
const maxOffset = 0x10000

// addr forms the linear address of a memory operand, as base and offset.
func (c *ctx) addr(m x86asm.Mem) (base *ir.Value, off uint32) {
	if m.Base == x86asm.RIP {
		return c.ripAddr(m)
	}
	return c.linear(c.effective(m), m)
}

// ripAddr is the linear address of a rip-relative operand. Within the unit
// the offset may be large: unit base and unit offset never wrap.
func (c *ctx) ripAddr(m x86asm.Mem) (*ir.Value, uint32) {
	target := int64(c.in.Next()) + m.Disp - int64(c.fn.vmin)
	lin := c.unitBase()
	if s := c.segment(m); s != nil {
		return c.Add(s, c.AddC(lin, target)), 0
	}
	if target < 0 || target > 1<<30 || c.fn.lifter.fixed {
		return c.AddC(lin, target), 0
	}
	return lin, uint32(target)
}

// segment is the linear base of an fs or gs override, or nil.
func (c *ctx) segment(m x86asm.Mem) *ir.Value {
	switch m.Segment {
	case x86asm.FS:
		return c.GetReg(int(abi.FS), ir.I32)
	case x86asm.GS:
		return c.GetReg(int(abi.GS), ir.I32)
	}
	return nil
}

// linear turns the guest address ea, I32, of operand m into base and offset.
func (c *ctx) linear(ea *ir.Value, m x86asm.Mem) (*ir.Value, uint32) {
	if s := c.segment(m); s != nil {
		a := c.plus(s, ea)
		if k, ok := ea.IsConst(); ok && k >= 0 && k < maxOffset {
			return s, uint32(k)
		}
		return a, 0
	}
	return split(ea)
}

// split takes a small constant out of a sum; what is left stands for the
// same object at other displacements too.
func split(a *ir.Value) (*ir.Value, uint32) {
	if a.Op != ir.I32Add {
		return a, 0
	}
	k, ok := a.Args[1].IsConst()
	if !ok || a.Args[0].Op == ir.SP {
		return a, 0
	}
	if d := int64(int32(k)); d >= 0 && d < maxOffset {
		return a.Args[0], uint32(d)
	}
	return a, 0
}

// effective is the effective address of m without segment base, modulo 2³².
func (c *ctx) effective(m x86asm.Mem) *ir.Value {
	if m.Base == x86asm.RIP {
		return c.AddC(c.unitBase(), int64(c.in.Next())+m.Disp-int64(c.fn.vmin))
	}
	var sum *ir.Value
	if v, _, ok := gprOf(m.Base); ok && m.Base != 0 {
		sum = c.Wrap(c.get(v))
	}
	if v, _, ok := gprOf(m.Index); ok && m.Index != 0 && m.Scale != 0 {
		x := c.Bin(ir.I32Mul, c.Wrap(c.get(v)), c.Const32(int64(m.Scale)))
		if s := scaleShift(m.Scale); s >= 0 {
			x = c.ShlC(c.Wrap(c.get(v)), s)
		}
		sum = c.plus(sum, x)
	}
	if sum == nil {
		return c.Const32(m.Disp)
	}
	return c.AddC(sum, m.Disp)
}

func scaleShift(s uint8) int64 {
	switch s {
	case 1:
		return 0
	case 2:
		return 1
	case 4:
		return 2
	case 8:
		return 3
	}
	return -1
}

// plus adds with an absent x as zero, keeping a constant outermost.
func (c *ctx) plus(x, y *ir.Value) *ir.Value {
	if x == nil {
		return y
	}
	for _, p := range [2][2]*ir.Value{{x, y}, {y, x}} {
		if p[0].Op == ir.I32Add {
			if k, ok := p[0].Args[1].IsConst(); ok {
				return c.AddC(c.Add(p[0].Args[0], p[1]), k)
			}
		}
	}
	return c.Add(x, y)
}

// effective64 is lea's result for 64-bit addresses.
func (c *ctx) effective64(m x86asm.Mem) *ir.Value {
	if m.Base == x86asm.RIP {
		return c.ZExt(c.effective(m))
	}
	var sum *ir.Value
	if v, _, ok := gprOf(m.Base); ok && m.Base != 0 {
		sum = c.get(v)
	}
	if v, _, ok := gprOf(m.Index); ok && m.Index != 0 && m.Scale != 0 {
		x := c.ShlC(c.get(v), scaleShift(m.Scale))
		if sum == nil {
			sum = x
		} else {
			sum = c.Add(sum, x)
		}
	}
	if sum == nil {
		return c.Const64(m.Disp)
	}
	return c.AddC(sum, m.Disp)
}

// Guest stack.

// push puts an I64 on the stack.
func (c *ctx) push(x *ir.Value, size int) {
	sp := c.AddC(c.get(RSP), -int64(size))
	c.set(RSP, sp)
	c.Store(storeOps[size], c.stack(sp), 0, x)
}

// pop takes size bytes off the stack.
func (c *ctx) pop(size int) *ir.Value {
	sp := c.get(RSP)
	x := c.Load(loadOps[size], c.stack(sp), 0)
	c.set(RSP, c.AddC(sp, int64(size)))
	return x
}

// stack is the linear address of the guest address sp.
func (c *ctx) stack(sp *ir.Value) *ir.Value { return c.Wrap(sp) }

// codeAddr is the guest address of a unit offset, as I32.
func (c *ctx) codeAddr(off uint32) *ir.Value {
	return c.AddC(c.unitBase(), int64(off))
}

// unitBase is the linear address of unit offset 0.
func (c *ctx) unitBase() *ir.Value {
	if c.fn.lifter.fixed {
		return c.Const32(int64(int32(c.fn.vmin)))
	}
	return c.New(ir.Lin)
}

// Control flow inside an instruction. What is built inside an arm or a loop
// must not get or set variables: their values would not be there on the other
// ways through.

// choose evaluates one of two arms and returns the values they give.
func (c *ctx) choose(cond *ir.Value, then, els func() []*ir.Value) []*ir.Value {
	f := c.fn.ir
	addr := c.B.Addr
	a, b, join := f.NewBlock(addr), f.NewBlock(addr), f.NewBlock(addr)
	c.B.Term = f.Branch(cond, a, b)
	c.B = a
	x := then()
	c.B.Term = f.Jump(join, x...)
	c.B = b
	y := els()
	c.B.Term = f.Jump(join, y...)
	c.B = join
	var out []*ir.Value
	for i := range x {
		if x[i].Type != y[i].Type {
			panic("BUG: lift: arms of choose differ in type")
		}
		out = append(out, join.AddParam(x[i].Type))
	}
	return out
}

// loop runs body until it returns a false condition: body gets the loop's
// variables and returns the condition to go on and their next values.
func (c *ctx) loop(init []*ir.Value, body func(vars []*ir.Value) (again *ir.Value, next []*ir.Value)) []*ir.Value {
	f := c.fn.ir
	addr := c.B.Addr
	head, exit := f.NewBlock(addr), f.NewBlock(addr)
	c.B.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: head, Args: init}}}
	var vars, out []*ir.Value
	for _, x := range init {
		vars = append(vars, head.AddParam(x.Type))
		out = append(out, exit.AddParam(x.Type))
	}
	c.B = head
	again, next := body(vars)
	c.B.Term = ir.Term{Kind: ir.Branch, Cond: again, Succs: []ir.Edge{{To: head, Args: next}, {To: exit, Args: append([]*ir.Value(nil), next...)}}}
	c.B = exit
	return out
}

// trapIf traps when cond holds.
func (c *ctx) trapIf(cond *ir.Value, kind abi.TrapKind) {
	c.trapBlock(c.newTrap(kind, c.in.Addr)).trapIf(cond)
}
