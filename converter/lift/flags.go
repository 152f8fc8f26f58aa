package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"golang.org/x/arch/x86/x86asm"
)

// recipe is how to compute the flags that an instruction set, from its
// operands. Only flags that something reads are ever computed.
type recipe struct {
	kind recipeKind
	size int       // operand size in bytes
	a, b *ir.Value // operands, zero-extended in intType(size)
	r    *ir.Value // result, likewise
	cin  *ir.Value // carry in, I32, of adc and sbb
	kept bool      // of rSub: the program keeps the result
}

type recipeKind uint8

// Recipes, named after the instruction.
const (
	rSub recipeKind = iota
	rAdd
	rLogic
	rInc
	rDec
	rAdc
	rSbb
	rFloat // comparison of two scalars; see sse_float.go
)

// setFlags notes that the flags in s come from r.
func (c *ctx) setFlags(s Set, flags recipe) {
	c.b.segment().define(s)
	r := c.fn.lifter.memory.recipes.New()
	*r = flags
	for f := CF; f < Dest; f++ {
		if s.has(f) {
			c.b.flags[f-CF] = r
			c.b.vars[f] = nil
		}
	}
}

var (
	arithFlags = setOf(CF, PF, AF, ZF, SF, OF)
	noCarry    = setOf(PF, AF, ZF, SF, OF)
)

// flag returns flag f as an I32, 0 or 1.
func (c *ctx) flag(f Var) *ir.Value {
	c.used(f)
	return c.flagAt(c.b, f)
}

// flagAt is flag f at the current end of b, computed in c.B.
func (c *ctx) flagAt(b *block, f Var) *ir.Value {
	for at := b; ; at = at.parent {
		if x := at.vars[f]; x != nil {
			b.vars[f] = x
			return x
		}
		if r := at.flags[f-CF]; r != nil {
			x := c.compute(r, f)
			b.vars[f] = x
			return x
		}
		if at.parent == nil {
			b.vars[f] = at.param(f)
			return b.vars[f]
		}
	}
}

// recipeOf returns the recipe that all flags in s come from, or nil.
func (c *ctx) recipeOf(s Set) *recipe {
	var found *recipe
	for f := CF; f < Dest; f++ {
		if !s.has(f) {
			continue
		}
		r := c.b.recipe(f)
		if r == nil || found != nil && r != found {
			return nil
		}
		found = r
	}
	return found
}

func (b *block) recipe(f Var) *recipe {
	for at := b; at != nil; at = at.parent {
		if r := at.flags[f-CF]; r != nil {
			return r
		}
		if at.vars[f] != nil {
			return nil
		}
	}
	return nil
}

// compute evaluates flag f of recipe r. Intel SDM volume 1, 3.4.3.1.
func (c *ctx) compute(r *recipe, f Var) *ir.Value {
	if r.kind == rFloat {
		return c.floatFlag(r, f)
	}
	switch f {
	case CF:
		return c.carry(r)
	case OF:
		return c.overflow(r)
	case ZF:
		if r.kind == rSub && !r.kept {
			return c.Bin(ir.I32Eq, r.a, r.b)
		}
		return c.Eqz(r.r)
	case SF:
		return c.msb(r.r, r.size)
	case PF:
		return c.parity(r.r)
	case AF:
		return c.auxCarry(r)
	}
	panic("BUG: lift: recipe for a flag that is not arithmetic")
}

func (c *ctx) carry(r *recipe) *ir.Value {
	switch r.kind {
	case rSub:
		return c.Bin(ir.I32LtU, r.a, r.b)
	case rAdd:
		return c.Bin(ir.I32LtU, r.r, r.a)
	case rAdc: // r = a+b+cin wrapped: r < a, or r == a with a carry in and b all ones
		return c.Select(r.cin, c.Bin(ir.I32LeU, r.r, r.a), c.Bin(ir.I32LtU, r.r, r.a))
	case rSbb:
		return c.Select(r.cin, c.Bin(ir.I32LeU, r.a, r.b), c.Bin(ir.I32LtU, r.a, r.b))
	}
	return c.Const32(0)
}

func (c *ctx) overflow(r *recipe) *ir.Value {
	switch r.kind {
	case rSub, rSbb:
		return c.msb(c.And(c.Xor(r.a, r.b), c.Xor(r.a, r.r)), r.size)
	case rAdd, rAdc:
		return c.msb(c.And(c.Xor(r.a, r.r), c.Xor(r.b, r.r)), r.size)
	case rInc:
		return c.Bin(ir.I32Eq, r.r, c.imm(-1<<(8*r.size-1), r.size))
	case rDec:
		return c.Bin(ir.I32Eq, r.r, c.imm(1<<(8*r.size-1)-1, r.size))
	}
	return c.Const32(0)
}

func (c *ctx) auxCarry(r *recipe) *ir.Value {
	if r.kind == rLogic {
		return c.Const32(0)
	}
	x := c.Xor(r.a, r.r)
	if r.b != nil {
		x = c.Xor(x, r.b)
	} else {
		x = c.Xor(x, c.Const(x.Type, 1))
	}
	return c.bit(x, 4)
}

// msb is the top bit of x, size bytes, as 0 or 1.
func (c *ctx) msb(x *ir.Value, size int) *ir.Value {
	if size < 4 {
		return c.AndC(c.ShrUC(x, int64(8*size-1)), 1)
	}
	return c.Bin(ir.I32LtS, x, c.Const(x.Type, 0))
}

// bit is bit i of x, as an I32.
func (c *ctx) bit(x *ir.Value, i int64) *ir.Value {
	if x.Type == ir.I64 {
		return c.AndC(c.Wrap(c.ShrUC(x, i)), 1)
	}
	return c.AndC(c.ShrUC(x, i), 1)
}

// parity is PF: 1 if the low byte of x has an even number of ones.
func (c *ctx) parity(x *ir.Value) *ir.Value {
	if x.Type == ir.I64 {
		x = c.Wrap(x)
	}
	return c.Xor(c.AndC(c.Un(ir.I32Popcnt, c.AndC(x, 0xff)), 1), c.Const32(1))
}

// setAll sets the six arithmetic flags from a recipe.
func (c *ctx) setAll(kind recipeKind, size int, a, b, r *ir.Value) {
	c.setFlags(arithFlags, recipe{kind: kind, size: size, a: a, b: b, r: r})
}

// cond is a condition code, in the encoding's order (SDM volume 1, appendix B).
type cond uint8

const (
	ccO cond = iota
	ccNO
	ccB
	ccAE
	ccE
	ccNE
	ccBE
	ccA
	ccS
	ccNS
	ccP
	ccNP
	ccL
	ccGE
	ccLE
	ccG
)

// condFlags are the flags that a condition reads; its odd neighbour is the
// opposite and reads the same.
var condFlags = [8]Set{
	ccO / 2: setOf(OF), ccB / 2: setOf(CF), ccE / 2: setOf(ZF), ccBE / 2: setOf(CF, ZF),
	ccS / 2: setOf(SF), ccP / 2: setOf(PF), ccL / 2: setOf(SF, OF), ccLE / 2: setOf(ZF, SF, OF),
}

// compares are what conditions amount to after a subtraction: comparisons of
// the operands.
var compares = [16]ir.Op{
	ccB: ir.I32LtU, ccAE: ir.I32GeU, ccE: ir.I32Eq, ccNE: ir.I32Ne, ccBE: ir.I32LeU, ccA: ir.I32GtU,
	ccL: ir.I32LtS, ccGE: ir.I32GeS, ccLE: ir.I32LeS, ccG: ir.I32GtS,
}

// condition evaluates cc as an I32, 0 or 1.
func (c *ctx) condition(cc cond) *ir.Value {
	flags := condFlags[cc/2]
	for f := CF; f < Dest; f++ {
		if flags.has(f) {
			c.used(f)
		}
	}
	if r := c.recipeOf(flags); r != nil {
		if x := c.compare(r, cc); x != nil {
			return x
		}
	}
	x := c.condFromFlags(cc &^ 1)
	if cc&1 != 0 {
		return c.Eqz(x)
	}
	return x
}

// compare evaluates cc directly from the operands of a subtraction or the
// result of a logical operation.
func (c *ctx) compare(r *recipe, cc cond) *ir.Value {
	if r.kind == rFloat {
		return c.floatCondition(r, cc)
	}
	op := compares[cc]
	if op == ir.OpInvalid {
		return nil
	}
	a, b := r.a, r.b
	switch {
	case r.kept && cc/2 == ccE/2: // operand and result need not both live on
		a, b = r.r, c.Const(r.r.Type, 0)
	case r.kind == rSub:
	case r.kind == rLogic && op != ir.I32LtU && op != ir.I32GeU: // CF = OF = 0
		a, b = r.r, c.Const(r.r.Type, 0)
		if cc == ccBE || cc == ccA {
			op = map[cond]ir.Op{ccBE: ir.I32Eq, ccA: ir.I32Ne}[cc]
		}
	case r.kind == rDec && (cc == ccLE || cc == ccG): // a−1 ≤ 0 without wrapping is a ≤ 1
		b = c.Const(a.Type, 1)
	default:
		return nil
	}
	if cc >= ccL {
		a, b = c.signed(a, r.size), c.signed(b, r.size)
	}
	return c.Bin(op, a, b)
}

// condFromFlags evaluates an even condition code from flag values.
func (c *ctx) condFromFlags(cc cond) *ir.Value {
	switch cc {
	case ccO:
		return c.flag(OF)
	case ccB:
		return c.flag(CF)
	case ccE:
		return c.flag(ZF)
	case ccBE:
		return c.Or(c.flag(CF), c.flag(ZF))
	case ccS:
		return c.flag(SF)
	case ccP:
		return c.flag(PF)
	case ccL:
		return c.Xor(c.flag(SF), c.flag(OF))
	default:
		return c.Or(c.flag(ZF), c.Xor(c.flag(SF), c.flag(OF)))
	}
}

// Conditional instructions by condition.
var (
	jccs = map[x86asm.Op]cond{
		x86asm.JO: ccO, x86asm.JNO: ccNO, x86asm.JB: ccB, x86asm.JAE: ccAE, x86asm.JE: ccE, x86asm.JNE: ccNE,
		x86asm.JBE: ccBE, x86asm.JA: ccA, x86asm.JS: ccS, x86asm.JNS: ccNS, x86asm.JP: ccP, x86asm.JNP: ccNP,
		x86asm.JL: ccL, x86asm.JGE: ccGE, x86asm.JLE: ccLE, x86asm.JG: ccG,
	}
	setccs = map[x86asm.Op]cond{
		x86asm.SETO: ccO, x86asm.SETNO: ccNO, x86asm.SETB: ccB, x86asm.SETAE: ccAE, x86asm.SETE: ccE, x86asm.SETNE: ccNE,
		x86asm.SETBE: ccBE, x86asm.SETA: ccA, x86asm.SETS: ccS, x86asm.SETNS: ccNS, x86asm.SETP: ccP, x86asm.SETNP: ccNP,
		x86asm.SETL: ccL, x86asm.SETGE: ccGE, x86asm.SETLE: ccLE, x86asm.SETG: ccG,
	}
	cmovs = map[x86asm.Op]cond{
		x86asm.CMOVO: ccO, x86asm.CMOVNO: ccNO, x86asm.CMOVB: ccB, x86asm.CMOVAE: ccAE, x86asm.CMOVE: ccE, x86asm.CMOVNE: ccNE,
		x86asm.CMOVBE: ccBE, x86asm.CMOVA: ccA, x86asm.CMOVS: ccS, x86asm.CMOVNS: ccNS, x86asm.CMOVP: ccP, x86asm.CMOVNP: ccNP,
		x86asm.CMOVL: ccL, x86asm.CMOVGE: ccGE, x86asm.CMOVLE: ccLE, x86asm.CMOVG: ccG,
	}
)
