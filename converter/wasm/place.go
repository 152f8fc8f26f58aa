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
	if a := c.alias[v.ID]; a != nil {
		return a
	}
	return v
}

// place finds which values are needed and in which form, and the statements
// of each block.
func (c *compiler) place() {
	n := c.f.NumValues()
	c.alias = make([]*ir.Value, n)
	c.uses = make([]int32, n)
	c.usedIn = make([]*ir.Block, n)
	c.places = make([]place, n)
	c.results = make([][2]*ir.Value, n)
	c.findAliases()
	c.countUses()
	c.placeRemade()
	c.stmts = make([][]*ir.Value, len(c.cfg.Order))
	for i, b := range c.cfg.Order {
		s := scheduler{c: c}
		c.stmts[i] = s.block(b)
	}
}

// findAliases makes one value of all that name the same argument, the stack
// pointer, the unit's address, or the same result of a call.
func (c *compiler) findAliases() {
	first := map[[2]int64]*ir.Value{}
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			switch v.Op {
			case ir.SP, ir.Lin, ir.Arg:
				key := [2]int64{int64(v.Op), v.Aux}
				if first[key] == nil {
					first[key] = v
				}
				c.alias[v.ID] = first[key]
			case ir.Result:
				c.result(v, v.Aux)
			case ir.Helper2:
				c.result(v, 1)
			}
		}
	}
}

func (c *compiler) result(v *ir.Value, i int64) {
	r := &c.results[v.Args[0].ID][i]
	if *r == nil {
		*r = v
	}
	c.alias[v.ID] = *r
}

// isRoot reports whether v is executed even if nothing uses its result. A
// load that nothing uses may still fault.
func isRoot(v *ir.Value) bool {
	switch v.Op.Info().Effect {
	case ir.Pure, ir.ReadReg:
		return false
	}
	return true
}

// countUses counts the uses of values by what is executed. What a call's
// State names is no use: the registers are in the register file.
func (c *compiler) countUses() {
	var work []*ir.Value
	use := func(v *ir.Value, in *ir.Block) {
		v = c.canon(v)
		c.usedIn[v.ID] = in
		if c.uses[v.ID]++; c.uses[v.ID] == 1 && !isRoot(v) {
			work = append(work, v)
		}
	}
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			if isRoot(v) {
				eachArg(v, func(a *ir.Value) { use(a, b) })
			}
		}
		termUses(b, func(a *ir.Value) { use(a, b) })
		for _, r := range b.Poll {
			if !r.Kept {
				use(r.Value, nil)
			}
		}
	}
	for len(work) > 0 {
		v := work[len(work)-1]
		work = work[:len(work)-1]
		if v.Op == ir.Param {
			c.paramArgs(v, use)
		}
		eachArg(v, func(a *ir.Value) { use(a, v.Block) })
	}
}

// eachArg calls fn with the operands of v that are evaluated for it. Results
// of a call are made by the call.
func eachArg(v *ir.Value, fn func(*ir.Value)) {
	if v.Op == ir.Result || v.Op == ir.Helper2 {
		return
	}
	for _, a := range v.Args {
		fn(a)
	}
}

// paramArgs calls fn with each value that an edge gives to parameter p.
func (c *compiler) paramArgs(p *ir.Value, fn func(v *ir.Value, pred *ir.Block)) {
	i := paramIndex(p)
	n := c.cfg.Num[p.Block.ID]
	seen := map[*ir.Block]bool{}
	for _, pred := range c.cfg.Preds[n] {
		if seen[pred] {
			continue
		}
		seen[pred] = true
		for _, e := range pred.Term.Succs {
			if e.To == p.Block {
				fn(e.Args[i], pred)
			}
		}
	}
}

func paramIndex(p *ir.Value) int {
	i := slices.Index(p.Block.Params, p)
	if i < 0 {
		panic(fmt.Sprintf("BUG: wasm: parameter v%d is not in its block", p.ID))
	}
	return i
}

// termUses calls fn with the operands of b's terminator except those given to
// parameters.
func termUses(b *ir.Block, fn func(*ir.Value)) {
	if b.Term.Cond != nil {
		fn(b.Term.Cond)
	}
	for _, a := range b.Term.Args {
		fn(a)
	}
}

// edgeArgs calls fn with the values and parameters of the copies on an edge.
func (c *compiler) edgeArgs(e *ir.Edge, fn func(arg, param *ir.Value)) {
	for i, p := range e.To.Params {
		if c.uses[p.ID] > 0 {
			fn(c.canon(e.Args[i]), p)
		}
	}
}

// placeRemade marks what is cheaper to make again than to keep.
func (c *compiler) placeRemade() {
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			if c.canon(v) == v && c.uses[v.ID] > 0 && c.isCheap(v) {
				c.places[v.ID] = remade
			}
		}
	}
}

// sharedBase is the number of uses from which on an address near the stack
// pointer is kept in a local: the engine checks bounds once per base value.
const sharedBase = 2

func (c *compiler) isCheap(v *ir.Value) bool {
	switch v.Op {
	case ir.Const32, ir.Const64, ir.ConstF32, ir.ConstF64:
		return true
	case ir.ConstV128:
		return c.uses[v.ID] == 1
	case ir.I32Add:
		return isFrameAddress(v) && c.uses[v.ID] < sharedBase
	}
	return false
}

// isFrameAddress reports whether v is sp + constant.
func isFrameAddress(v *ir.Value) bool {
	return v.Op == ir.I32Add && v.Args[0].Op == ir.SP && v.Args[1].Op == ir.Const32
}
