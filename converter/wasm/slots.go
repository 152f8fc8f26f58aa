package wasm

import (
	"math/bits"

	"github.com/megabin/megabin/converter/ir"
)

// slot is a value that lives in a local.
type slot struct {
	v     *ir.Value // nil for the unit's address where the function never names it
	t     ir.Type
	def   int   // block position; function parameters are defined in the entry
	cross int32 // index in the liveness sets, or -1: used in its own block only
	web   int32 // slots of one web want one local
	local int32 // or -1: not assigned yet
}

// bitset is a set of cross-block slots.
type bitset []uint64

func (s bitset) add(i int32)      { s[i>>6] |= 1 << (i & 63) }
func (s bitset) has(i int32) bool { return s[i>>6]>>(i&63)&1 != 0 }

func (s bitset) each(fn func(int32)) {
	for w, x := range s {
		for ; x != 0; x &= x - 1 {
			fn(int32(w<<6 + bits.TrailingZeros64(x)))
		}
	}
}

// findSlots gives a slot to each value that is kept in a local.
func (c *compiler) findSlots() {
	c.slotOf = make([]int32, c.f.NumValues())
	for i := range c.slotOf {
		c.slotOf[i] = -1
	}
	c.linAt, c.spAt = -1, -1
	c.entrySlots()
	for i, b := range c.cfg.Order {
		for _, p := range b.Params {
			if c.uses[p.ID] > 0 {
				c.addSlot(p, i)
			}
		}
		for _, v := range c.stmts[i] {
			c.eachDef(v, func(d *ir.Value) { c.addSlot(d, i) })
		}
	}
	c.findWebs()
}

// entrySlots adds what is defined before the first block: the parameters in
// use, and the unit's address if it is used more than once.
func (c *compiler) entrySlots() {
	var lin *ir.Value
	linUses := int32(0)
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			if c.canon(v) == v && c.uses[v.ID] > 0 {
				switch v.Op {
				case ir.SP:
					c.spAt = c.addSlot(v, 0)
					c.slots[c.spAt].local = 0
				case ir.Arg:
					c.slots[c.addSlot(v, 0)].local = 1 + int32(v.Aux)
				case ir.Lin:
					lin = v
					linUses += c.uses[v.ID]
				}
			}
			if v.Op == ir.Call {
				linUses++
			}
		}
	}
	if linUses > 1 {
		c.linAt = c.addSlot(lin, 0)
		c.slots[c.linAt].t = ir.I32
	} else if lin != nil {
		c.places[lin.ID] = remade
	}
}

func (c *compiler) addSlot(v *ir.Value, def int) int32 {
	i := int32(len(c.slots))
	s := slot{v: v, def: def, cross: -1, web: i, local: -1}
	if v != nil {
		s.t = v.Type
		c.slotOf[v.ID] = i
		c.places[v.ID] = inLocal
	}
	c.slots = append(c.slots, s)
	return i
}

// eachDef calls fn with the values in locals that statement v makes.
func (c *compiler) eachDef(v *ir.Value, fn func(*ir.Value)) {
	if c.uses[v.ID] > 0 {
		fn(v)
	}
	for _, r := range c.results[v.ID] {
		if r != nil && c.uses[r.ID] > 0 {
			fn(r)
		}
	}
}

// eachUse calls fn with the slots that evaluating the operands of v reads.
func (c *compiler) eachUse(v *ir.Value, fn func(int32)) {
	eachArg(v, func(a *ir.Value) { c.eachLeaf(a, fn) })
	if v.Op == ir.Call && c.linAt >= 0 {
		fn(c.linAt)
	}
}

// eachLeaf calls fn with the slots that making v reads.
func (c *compiler) eachLeaf(v *ir.Value, fn func(int32)) {
	v = c.canon(v)
	if s := c.slotOf[v.ID]; s >= 0 {
		fn(s)
		return
	}
	eachArg(v, func(a *ir.Value) { c.eachLeaf(a, fn) })
}

// eachTermUse calls fn with the slots that the end of b reads.
func (c *compiler) eachTermUse(b *ir.Block, fn func(int32)) {
	termUses(b, func(v *ir.Value) { c.eachLeaf(v, fn) })
	for i := range b.Term.Succs {
		c.edgeArgs(&b.Term.Succs[i], func(arg, _ *ir.Value) { c.eachLeaf(arg, fn) })
	}
}

// eachPollUse calls fn with the slots that a poll at b reads.
func (c *compiler) eachPollUse(b *ir.Block, fn func(int32)) {
	for _, r := range b.Poll {
		if !r.Kept {
			c.eachLeaf(r.Value, fn)
		}
	}
}

// findWebs joins parameters with the values that edges give them, so that
// they get one local where their lives don't overlap.
func (c *compiler) findWebs() {
	for _, b := range c.cfg.Order {
		for i := range b.Term.Succs {
			c.edgeArgs(&b.Term.Succs[i], func(arg, p *ir.Value) {
				if a := c.slotOf[arg.ID]; a >= 0 {
					c.slots[c.web(a)].web = c.web(c.slotOf[p.ID])
				}
			})
		}
	}
}

func (c *compiler) web(i int32) int32 {
	for c.slots[i].web != i {
		c.slots[i].web = c.slots[c.slots[i].web].web
		i = c.slots[i].web
	}
	return i
}

// liveness finds the slots that are live at the start and the end of each
// block. Only those used outside their own block take part.
func (c *compiler) liveness() {
	cross := c.findCross()
	words := (len(cross) + 63) / 64
	n := len(c.cfg.Order)
	flat := make([]uint64, 2*n*words)
	take := func() bitset { s := flat[:words:words]; flat = flat[words:]; return s }
	c.liveIn, c.liveOut = make([]bitset, n), make([]bitset, n)
	for i, b := range c.cfg.Order {
		c.liveIn[i], c.liveOut[i] = take(), take()
		c.eachBlockUse(b, func(s int32) {
			if c.slots[s].def != i {
				c.liveIn[i].add(c.slots[s].cross)
			}
		})
	}
	for changed := true; changed; {
		changed = false
		for i := n - 1; i >= 0; i-- {
			changed = c.flow(i, cross) || changed
		}
	}
	c.crossSlots = cross
}

// flow brings what is live at the successors' starts to block i.
func (c *compiler) flow(i int, cross []int32) bool {
	out, in := c.liveOut[i], c.liveIn[i]
	changed := false
	for _, e := range c.cfg.Order[i].Term.Succs {
		for w, x := range c.liveIn[c.cfg.Num[e.To.ID]] {
			fresh := x &^ out[w]
			out[w] |= fresh
			for ; fresh != 0; fresh &= fresh - 1 {
				s := int32(w<<6 + bits.TrailingZeros64(fresh))
				if c.slots[cross[s]].def != i && !in.has(s) {
					in.add(s)
					changed = true
				}
			}
		}
	}
	return changed
}

func (c *compiler) eachBlockUse(b *ir.Block, fn func(int32)) {
	c.eachPollUse(b, fn)
	for _, v := range c.stmts[c.cfg.Num[b.ID]] {
		c.eachUse(v, fn)
	}
	c.eachTermUse(b, fn)
}

// findCross numbers the slots that are used outside their block.
func (c *compiler) findCross() []int32 {
	var cross []int32
	for i, b := range c.cfg.Order {
		c.eachBlockUse(b, func(s int32) {
			if c.slots[s].def != i && c.slots[s].cross < 0 {
				c.slots[s].cross = int32(len(cross))
				cross = append(cross, s)
			}
		})
	}
	return cross
}
