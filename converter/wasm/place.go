package wasm

import (
	"fmt"
	"slices"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// place is how a value reaches its uses.
type place uint8

const (
	unused place = iota
	inTree       // emitted inside the expression of its only use
	remade       // emitted anew at each use
	inLocal
)

// effects is what a tree of pure operations, loads and register reads depends
// on besides its operands.
type effects struct {
	mem  bool   // guest memory, or it may trap
	regs uint64 // register file, a bit per abi.Reg
}

func (e effects) or(o effects) effects { return effects{e.mem || o.mem, e.regs | o.regs} }

const allRegs = 1<<abi.NumRegs - 1

// reads is what v by itself depends on.
func reads(v *ir.Value) effects {
	switch v.Op.Info().Effect {
	case ir.ReadMem, ir.MayTrap:
		return effects{mem: true}
	case ir.ReadReg:
		return effects{regs: 1 << v.Aux}
	}
	return effects{}
}

// writes is what v changes.
func writes(v *ir.Value) effects {
	switch v.Op.Info().Effect {
	case ir.WriteMem:
		return effects{mem: true}
	case ir.WriteReg:
		return effects{regs: 1 << v.Aux}
	case ir.Anything:
		return effects{mem: true, regs: allRegs}
	}
	return effects{}
}

func (e effects) conflicts(o effects) bool { return e.mem && o.mem || e.regs&o.regs != 0 }

// canon is the value that stands for v.
func (c *compiler) canon(v *ir.Value) *ir.Value {
	if a := c.values[v.ID].alias; a != nil {
		return a
	}
	return v
}

// place finds which values are needed and in which form, and the statements
// of each block.
func (c *compiler) place() {
	c.reset(c.f)
	c.findAliases()
	c.countUses()
	c.placeRemade()
	c.stmts = make([][]*ir.Value, len(c.cfg.Order))
	s := scheduler{c: c, stmts: c.stmt[:0]}
	for i, b := range c.cfg.Order {
		from := len(s.stmts)
		s.block(b)
		c.stmts[i] = s.stmts[from:len(s.stmts):len(s.stmts)]
	}
	c.stmt = s.stmts
}

// findAliases makes one value of all that name the same argument, the stack
// pointer, the unit's address, or the same result of a call.
func (c *compiler) findAliases() {
	var first [ir.Lin - ir.SP + 1][len(abi.ParamRegs)]*ir.Value
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			switch v.Op {
			case ir.SP, ir.Lin, ir.Arg:
				same := &first[v.Op-ir.SP][v.Aux]
				if *same == nil {
					*same = v
				}
				c.values[v.ID].alias = *same
			case ir.Result:
				c.result(v, v.Aux)
			case ir.Helper2:
				c.result(v, 1)
			}
		}
	}
}

func (c *compiler) result(v *ir.Value, i int64) {
	r := &c.call(v.Args[0]).results[i]
	if *r == nil {
		*r = v
	}
	c.values[v.ID].alias = *r
}

// isRoot reports whether v is executed even if nothing uses its result. A
// load that nothing uses may still fault.
func isRoot(v *ir.Value) bool {
	switch v.Op.Info().Effect {
	case ir.Pure, ir.ReadReg:
		return false
	}
	return !v.IsFixed()
}

// countUses counts the uses of values by what is executed. What a call's
// State names is no use: the registers are in the register file.
func (c *compiler) countUses() {
	c.work = c.work[:0]
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			if isRoot(v) {
				c.useAll(evaluated(v), b)
			}
		}
		if b.Term.Cond != nil {
			c.use(b.Term.Cond, b)
		}
		c.useAll(b.Term.Args, b)
		for _, r := range b.Poll {
			if !r.Kept {
				c.use(r.Value, nil)
			}
		}
	}
	for len(c.work) > 0 {
		v := c.work[len(c.work)-1]
		c.work = c.work[:len(c.work)-1]
		if v.Op == ir.Param {
			c.useArgs(v)
		}
		c.useAll(evaluated(v), v.Block)
	}
}

// use counts a use of v in block in; nil stands for a poll.
func (c *compiler) use(v *ir.Value, in *ir.Block) {
	v = c.canon(v)
	info := &c.values[v.ID]
	info.usedIn = in
	if info.uses++; info.uses == 1 && !isRoot(v) {
		c.work = append(c.work, v)
	}
}

func (c *compiler) useAll(vs []*ir.Value, in *ir.Block) {
	for _, v := range vs {
		c.use(v, in)
	}
}

// useArgs counts a use of each value that an edge gives to parameter p.
func (c *compiler) useArgs(p *ir.Value) {
	i, n := paramIndex(p), c.cfg.Num[p.Block.ID]
	for k, e := range c.cfg.In[n] {
		c.use(e.Args[i], c.cfg.Preds[n][k])
	}
}

// evaluated gives the operands of v that are evaluated for it. Results of a
// call are made by the call.
func evaluated(v *ir.Value) []*ir.Value {
	if v.Op == ir.Result || v.Op == ir.Helper2 {
		return nil
	}
	return v.Args
}

func paramIndex(p *ir.Value) int {
	i := slices.Index(p.Block.Params, p)
	if i < 0 {
		panic(fmt.Sprintf("BUG: wasm: parameter v%d is not in its block", p.ID))
	}
	return i
}

// placeRemade marks what is cheaper to make again than to keep.
func (c *compiler) placeRemade() {
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			if c.canon(v) == v && c.isUsed(v) && c.isCheap(v) {
				c.values[v.ID].place = remade
			}
		}
	}
}

// sharedBase is the number of uses from which on an address near the stack
// pointer is kept in a local, and not computed for each of them.
const sharedBase = 2

func (c *compiler) isCheap(v *ir.Value) bool {
	switch v.Op {
	case ir.Const32, ir.Const64, ir.ConstF32, ir.ConstF64:
		return true
	case ir.ConstV128:
		return c.values[v.ID].uses == 1
	case ir.I32Add:
		return isFrameAddress(v) && c.values[v.ID].uses < sharedBase
	case ir.I64ExtendI32U, ir.I64Add:
		return isStackPointer(v)
	}
	return false
}

// isStackPointer reports whether v is rsp at some place, or half way there: two
// instructions on a parameter, which most often only polls want.
func isStackPointer(v *ir.Value) bool {
	if v.Op == ir.I64Add {
		return v.Args[1].Op == ir.Const64 && v.Args[0].Op == ir.I64ExtendI32U && isStackPointer(v.Args[0])
	}
	return v.Op == ir.I64ExtendI32U && v.Args[0].Op == ir.SP
}

// isFrameAddress reports whether v is sp + constant.
func isFrameAddress(v *ir.Value) bool {
	return v.Op == ir.I32Add && v.Args[0].Op == ir.SP && v.Args[1].Op == ir.Const32
}
