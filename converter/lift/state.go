package lift

import (
	"math/bits"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// Var is a piece of guest state that the lifter turns into SSA values.
type Var uint8

// Variables: the general registers are numbered as in abi.Reg.
const (
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = Var(abi.RAX), Var(abi.RCX), Var(abi.RDX), Var(abi.RBX), Var(abi.RSP), Var(abi.RBP), Var(abi.RSI), Var(abi.RDI)
	R8, R9, R10, R11                       = Var(abi.R8), Var(abi.R9), Var(abi.R10), Var(abi.R11)
	R15                                    = Var(abi.R15)
	XMM0                                   = Var(16)
	CF                                     = Var(32)
	PF                                     = Var(33)
	AF                                     = Var(34)
	ZF                                     = Var(35)
	SF                                     = Var(36)
	OF                                     = Var(37)
	DF                                     = Var(38)
	Dest                                   = Var(39) // where a jump by a search goes, linear
	numVars                                = 40
	numRegs                                = 32 // variables that are registers, not flags
	numFlags                               = 7
)

// reg is the register file's register of a variable that has one.
func (v Var) reg() abi.Reg {
	switch {
	case v >= CF:
		return abi.CF + abi.Reg(v-CF)
	case v >= XMM0:
		return abi.XMM0 + abi.Reg(v-XMM0)
	}
	return abi.Reg(v)
}

func (v Var) typ() ir.Type {
	switch {
	case v >= CF:
		return ir.I32
	case v >= XMM0:
		return ir.V128
	}
	return ir.I64
}

// Set is a set of Vars.
type Set uint64

func setOf(vs ...Var) Set {
	var s Set
	for _, v := range vs {
		s |= 1 << v
	}
	return s
}

// paramRegs are abi.ParamRegs.
func paramRegs() (list [len(abi.ParamRegs)]Var) {
	for i, r := range abi.ParamRegs {
		list[i] = Var(r)
	}
	return list
}

// size is the number of variables in s, first the lowest of them, and rest s without it.
func (s Set) size() int  { return bits.OnesCount64(uint64(s)) }
func (s Set) first() Var { return Var(bits.TrailingZeros64(uint64(s))) }
func (s Set) rest() Set  { return s & (s - 1) }

func (s Set) has(v Var) bool { return s>>v&1 != 0 }

// Register classes of the System V AMD64 ABI, section 3.2.
var (
	argRegs     = paramRegs() // passed as parameters
	argSet      = setOf(argRegs[:]...)
	sysRegs     = [6]Var{RDI, RSI, RDX, R10, R8, R9}
	sysSet      = setOf(sysRegs[:]...)
	calleeSaved = setOf(RBX, RBP, 12, 13, 14, R15)
	xmmSet      = Set(0xffff) << XMM0
	xmmArgs     = Set(0xff) << XMM0
	flagSet     = Set(1<<numFlags-1) << CF
	callerSaved = setOf(RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11) | xmmSet
	// hiddenArgs are registers that carry something into a call through the register
	// file: the fifth and sixth argument, al for variadic functions, r10 the static chain, r11 for the PLT.
	fileArgs   = setOf(R8, R9)
	hiddenArgs = fileArgs | setOf(RAX, R10, R11) | xmmArgs
	retSet     = setOf(RAX, RDX)
)

// inFile stands for the value that a register has in the register file at
// that point: after a call, and at entry.
var inFile = &ir.Value{}

// fromCallee is inFile for a register that the callee should have kept.
var fromCallee = &ir.Value{}

// block is a guest block being lifted.
type block struct {
	fn     *function
	src    *disasm.Block // nil for the extra entry block
	index  int           // in reverse postorder
	preds  []*block
	succs  []*block
	parent *block // the only predecessor: its end state is this one's start state
	*blockValues
	segs []segment // split at calls; for the data flow
	// sp is rsp's distance from its value at function entry, at the block's start.
	sp       int64
	spKnown  bool
	liveIn   Set // see summary.go for this and the next four
	softIn   Set
	knownIn  Set
	freshIn  Set
	knownOut Set
	lostIn   Set     // see losses.go
	file     Set     // throughFile, once the function is linked
	settled  bool    // see liveness
	saves    bool    // see savesVectors
	through  Set     // the register that a jump by a table goes through: it has an address, and nothing meant for a callee
	exits    []*site // returns, tail calls, abnormal exits
}

// blockValues are the values at the end of a block as lifted so far.
type blockValues struct {
	vars  [numVars]*ir.Value // nil: not touched here
	flags [numFlags]*recipe  // for flags whose vars entry is nil
	// in are the parameters of a block that has no parent; nil if it has none.
	in *[numVars]*ir.Value

	first *ir.Block // an instruction may need several IR blocks
	pivot *ir.Block // where the block's end begins: it dominates all ways out
	edges []edge
	seg   int // index in segs of the one that is lifted
	exit  int // and in exits of the next one
}

// edge is a jump out of a block, to be completed with arguments.
type edge struct {
	from *ir.Block
	succ int // index in from.Term.Succs
	to   *block
}

// segment is a part of a block between calls: variables read before they are
// written, variables written.
type segment struct {
	use, def Set
	pass     Set   // read only in case the caller passed something: see savesVectors
	fresh    Set   // def without what a call in front of the segment gave
	known    Set   // holds something at the call that ends it, see forwardDefs
	meant    Set   // may be meant for that call, whatever it calls
	site     *site // what ends the segment, nil for the block's end
}

func (s *segment) define(vs Set) {
	s.def |= vs
	s.fresh |= vs
}

// ctx is the state while the instructions of one block are lifted. Rows of
// the instruction table work through its methods.
type ctx struct {
	ir.Builder
	fn      *function
	b       *block
	in      *x86.Inst
	stopped bool
	written [XMM0]uint8 // how many of a register's lowest bytes the segment has written by parts
}

// get returns v's value, as its full type.
func (c *ctx) get(v Var) *ir.Value {
	c.used(v)
	return c.peek(v)
}

// peek is get for what is no use of v by itself: the part that a write of
// another part leaves alone is wanted if v is wanted whole later on.
func (c *ctx) peek(v Var) *ir.Value {
	x := c.b.find(v)
	if x == inFile || x == fromCallee {
		x = c.GetReg(int(v.reg()), v.typ())
	}
	c.b.vars[v] = x
	return x
}

// used notes that v is read here.
func (c *ctx) used(v Var) {
	s := c.b.segment()
	switch {
	case s.def.has(v):
	case c.b.saves && xmmArgs.has(v):
		s.pass |= 1 << v
	default:
		s.use |= 1 << v
	}
}

// set gives v a new value.
func (c *ctx) set(v Var, x *ir.Value) {
	if x.Type != v.typ() {
		panic("BUG: lift: " + x.Type.String() + " put in a variable of type " + v.typ().String())
	}
	c.b.segment().define(1 << v)
	c.b.vars[v] = x
	if flagSet.has(v) {
		c.b.flags[v-CF] = nil
	}
}

// setPart gives general register v the value x, which differs from what it had in
// the lowest size bytes; size is 0 for other bytes.
func (c *ctx) setPart(v Var, size int, x *ir.Value) {
	c.b.segment().fresh |= 1 << v
	c.b.vars[v] = x
	c.written[v] = max(c.written[v], uint8(size))
}

// segment is the one that is lifted.
func (b *block) segment() *segment {
	if b.seg == len(b.segs) {
		b.segs = append(b.segs, segment{})
	}
	return &b.segs[b.seg]
}

// find looks v up in b and the blocks that lead to it alone; at their root it
// makes a parameter. The result may be inFile. Flags are found only if they
// are values already (see ctx.flag).
func (b *block) find(v Var) *ir.Value {
	for at := b; ; at = at.parent {
		if x := at.vars[v]; x != nil {
			return x
		}
		if at.parent == nil {
			return at.param(v)
		}
	}
}

// param returns b's parameter for v.
func (b *block) param(v Var) *ir.Value {
	if b.in == nil {
		b.in = b.fn.lifter.memory.params.New()
	}
	if b.in[v] == nil {
		p := b.fn.ir.NewValue(ir.Param, v.typ())
		p.Aux, p.Block = ir.NoReg, b.first
		if v < numRegs {
			p.Aux = int64(v.reg())
		}
		b.in[v] = p
	}
	return b.in[v]
}

// entry sets up the variables at the function's first instruction.
func (c *ctx) entry() {
	for v := Var(0); v < numRegs; v++ {
		c.b.vars[v] = inFile
	}
	c.b.vars[RSP] = c.spValue(0)
	for i, v := range argRegs {
		x := c.New(ir.Arg)
		x.Aux = int64(i)
		c.b.vars[v] = x
	}
	zero := c.Const32(0)
	for v := CF; v < numVars; v++ {
		c.b.vars[v] = zero
	}
	c.b.spKnown = true
	c.jump(c.b.succs[0].src)
}

// spValue is rsp at distance d from its value at function entry.
func (c *ctx) spValue(d int64) *ir.Value {
	return c.AddC(c.ZExt(c.New(ir.SP)), d)
}

// spOffset is the inverse of spValue.
func spOffset(x *ir.Value) (int64, bool) {
	switch {
	case x == nil:
		return 0, false
	case isZExtSP(x):
		return 0, true
	case x.Op != ir.I64Add || !isZExtSP(x.Args[0]):
		return 0, false
	}
	c, ok := x.Args[1].IsConst()
	return c, ok
}

func isZExtSP(x *ir.Value) bool {
	return x.Op == ir.I64ExtendI32U && x.Args[0].Op == ir.SP
}

// startSP gives rsp a value at the start of a block with several
// predecessors: the distance that the first of them has, which consistentSP
// compares with the others'.
func (c *ctx) startSP() {
	if c.b.parent != nil || c.fn.dynamicSP {
		return
	}
	for _, p := range c.b.preds {
		if p.index < c.b.index {
			d, ok := spOffset(p.find(RSP))
			if c.b.sp, c.b.spKnown = d, ok; ok {
				c.b.vars[RSP] = c.spValue(d)
			}
			return
		}
	}
}

// consistentSP reports whether all predecessors of each block agree with
// what startSP assumed.
func (fn *function) consistentSP() bool {
	if fn.dynamicSP {
		return true
	}
	for _, b := range fn.blocks {
		if b.parent != nil || !b.spKnown {
			continue
		}
		for _, p := range b.preds {
			if d, ok := spOffset(p.find(RSP)); !ok || d != b.sp {
				return false
			}
		}
	}
	return true
}

// gprOf splits a general register's name into variable and size in bytes. AH,
// CH, DH and BH have size 1 too; see isHigh.
func gprOf(r x86asm.Reg) (v Var, size int, ok bool) {
	switch {
	case r >= x86asm.AL && r <= x86asm.BL:
		return Var(r - x86asm.AL), 1, true
	case r >= x86asm.AH && r <= x86asm.BH:
		return Var(r - x86asm.AH), 1, true
	case r >= x86asm.SPB && r <= x86asm.DIB:
		return Var(r-x86asm.SPB) + RSP, 1, true
	case r >= x86asm.R8B && r <= x86asm.R15B:
		return Var(r-x86asm.R8B) + R8, 1, true
	case r >= x86asm.AX && r <= x86asm.R15W:
		return Var(r - x86asm.AX), 2, true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return Var(r - x86asm.EAX), 4, true
	case r >= x86asm.RAX && r <= x86asm.R15:
		return Var(r - x86asm.RAX), 8, true
	}
	return 0, 0, false
}

func isHigh(r x86asm.Reg) bool { return r >= x86asm.AH && r <= x86asm.BH }
