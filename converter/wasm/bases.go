package wasm

import "github.com/megabin/megabin/converter/ir"

// The engine checks an access unless one at the same base was checked on every
// way there, and takes two values for the same base if they are one of its SSA
// values. In a block with several predecessors it makes a new value of a local at the
// second reading (wazevo's findValue defines the variable as an alias, which is another
// value until a later pass). A local that is written where such a block begins is one value from there on.

// findBases notes which slots are the base of several accesses.
func (c *compiler) findBases() {
	c.isBase = make([]bool, len(c.slots))
	seen := make([]bool, len(c.slots))
	for _, b := range c.cfg.Order {
		for _, v := range b.Values {
			if !isAccess(v) {
				continue
			}
			if s := c.slotOf(c.canon(v.Args[0])); s >= 0 {
				c.isBase[s] = seen[s]
				seen[s] = true
			}
		}
	}
}

func isAccess(v *ir.Value) bool { return v.Op >= ir.Load32 && v.Op <= ir.StoreV128 }

// keepBases makes the bases among live slots values of the block that begins.
func (e *emitter) keepBases(live []int32) {
	for _, s := range live {
		if e.c.isBase[s] {
			e.local(opLocalGet, e.c.slots[s].local)
			e.local(opLocalSet, e.c.slots[s].local)
		}
	}
}

// liveBases lists the bases that are live at the start of block i.
func (c *compiler) liveBases(i int) (live []int32) {
	c.liveIn[i].Each(func(x int32) {
		if s := c.crossSlots[x]; c.isBase[s] {
			live = append(live, s)
		}
	})
	return live
}
