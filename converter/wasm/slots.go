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

// findSlots gives a slot to each value that is kept in a local.
func (c *compiler) findSlots() {
	c.linAt, c.spAt = -1, -1
	c.entrySlots()
	for i, b := range c.cfg.Order {
		for _, p := range b.Params {
			if c.isUsed(p) {
				c.addSlot(p, i)
			}
		}
		for _, v := range c.stmts[i] {
			for _, d := range c.defs(v) {
				if d != nil {
					c.addSlot(d, i)
				}
			}
		}
	}
	c.findWebs()
}

// entrySlots adds what is defined before the first block: the parameters in
// use, and the unit's address if it is used more than once.
func (c *compiler) entrySlots() {
	var lin *ir.Value
	linUses := int32(0)
	_, fixed := c.env.Base()
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			if c.canon(v) == v && c.isUsed(v) {
				switch v.Op {
				case ir.SP:
					c.spAt = c.addSlot(v, 0)
					c.slots[c.spAt].local = 0
				case ir.Arg:
					c.slots[c.addSlot(v, 0)].local = 1 + int32(v.Aux)
				case ir.Lin:
					lin = v
					linUses += c.values[v.ID].uses
				}
			}
			if v.Op == ir.Call && !fixed {
				linUses++
			}
		}
	}
	if linUses > 1 {
		c.linAt = c.addSlot(lin, 0)
		c.slots[c.linAt].t = ir.I32
	} else if lin != nil {
		c.values[lin.ID].place = remade
	}
}

func (c *compiler) addSlot(v *ir.Value, def int) int32 {
	i := int32(len(c.slots))
	s := slot{v: v, def: def, cross: -1, web: i, local: -1}
	if v != nil {
		s.t = v.Type
		info := &c.values[v.ID]
		info.slot, info.place = i+1, inLocal
	}
	c.slots = append(c.slots, s)
	return i
}

// defs gives the values in locals that statement v makes; some may be nil.
func (c *compiler) defs(v *ir.Value) (list [3]*ir.Value) {
	if c.isUsed(v) {
		list[0] = v
	}
	for i, r := range c.results(v) {
		if r != nil && c.isUsed(r) {
			list[i+1] = r
		}
	}
	return list
}

// findWebs joins parameters with the values that edges give them, so that
// they get one local where their lives don't overlap.
func (c *compiler) findWebs() {
	for _, b := range c.cfg.Order {
		for i := range b.Term.Succs {
			e := &b.Term.Succs[i]
			for k, p := range e.To.Params {
				if !c.isUsed(p) {
					continue
				}
				if a := c.slotOf(c.canon(e.Args[k])); a >= 0 {
					c.slots[c.web(a)].web = c.web(c.slotOf(p))
				}
			}
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
	c.findReads()
	cross := c.findCross()
	words := ir.SetWords(len(cross))
	n := len(c.cfg.Order)
	flat := make([]uint64, 2*n*words)
	take := func() ir.Set { s := flat[:words:words]; flat = flat[words:]; return s }
	c.liveIn, c.liveOut = make([]ir.Set, n), make([]ir.Set, n)
	for i := range n {
		c.liveIn[i], c.liveOut[i] = take(), take()
		for _, s := range c.reads.all(i) {
			if c.slots[s].def != i {
				c.liveIn[i].Add(c.slots[s].cross)
			}
		}
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
				if c.slots[cross[s]].def != i && !in.Has(s) {
					in.Add(s)
					changed = true
				}
			}
		}
	}
	return changed
}

// findCross numbers the slots that are used outside their block.
func (c *compiler) findCross() []int32 {
	var cross []int32
	for i := range c.cfg.Order {
		for _, s := range c.reads.all(i) {
			if c.slots[s].def != i && c.slots[s].cross < 0 {
				c.slots[s].cross = int32(len(cross))
				cross = append(cross, s)
			}
		}
	}
	return cross
}
