package wasm

import (
	"slices"

	"github.com/megabin/megabin/converter/ir"
)

// maxRegion is the number of blocks from which on a region is split: the
// engine's time grows with the square of forward structured control flow.
const maxRegion = 400

// regions is the control flow as it will be emitted. A region is a dominator
// tree that is reducible and so can be written with block, loop and if. Where
// the function is one region, that is all. Otherwise the regions are the
// cases of a br_table in a loop, and an edge to another region sets the
// state local and goes round.
type regions struct {
	dom    []int   // immediate dominator in the region, ir.NoDom for its root
	roots  []int   // block positions; a root's state is its index
	state  []int   // by position: index in roots, or -1
	merge  []bool  // by position: more than one forward edge inside the region
	header []bool  // by position: target of a back edge of a natural loop
	polled []bool  // by position: to poll without a loop of its own, for an irreducible one
	merges [][]int // by position: the merge blocks it immediately dominates, ascending
	tables []int   // positions of the switches that the dispatcher does, see isTable
	hub    int     // the one of them that most ways lead to, if it is not bare; or -1
}

// findRegions makes as few roots as keep every region reducible and small.
func (c *compiler) findRegions() {
	root := make([]bool, len(c.cfg.Order))
	root[0] = true
	for i, b := range c.cfg.Order {
		if c.isTable(i) {
			c.tables = append(c.tables, i)
			root[i] = true
			for _, e := range b.Term.Succs[:len(b.Term.Succs)-1] {
				root[c.cfg.Num[e.To.ID]] = true
			}
		}
	}
	c.settleRoots(root)
	if c.split(root) {
		c.settleRoots(root)
	}
	c.state = make([]int, len(root))
	for i, r := range root {
		c.state[i] = -1
		if r {
			c.roots = append(c.roots, i)
		}
	}
	c.sortRoots()
	c.findHub()
	for k, r := range c.roots {
		c.state[r] = k
	}
	c.classify()
}

// manyWays is the number of ways into a region from which on it is one of the
// last: all the others can then branch to it without the dispatcher.
const manyWays = 16

// sortRoots puts last what most others go to, before all tables.
func (c *compiler) sortRoots() {
	ways := func(r int) int {
		if n := len(c.cfg.Preds[r]); n >= manyWays || slices.Contains(c.tables, r) {
			return n
		}
		return 0
	}
	slices.SortStableFunc(c.roots[1:], func(a, b int) int { return ways(a) - ways(b) })
}

// minTable is the number of targets from which on a switch in a loop becomes
// part of the dispatcher.
const minTable = 64

// isTable reports whether block i ends with a big switch to what may come back
// to it, as in an interpreter. Its targets are regions then, and it ends with a
// jump to the dispatcher with the target's state; so an operation takes one
// jump through a table to the next. In a small function the targets are not
// regions for other reasons: that a table is there only if many jump to it.
func (c *compiler) isTable(i int) bool {
	b := c.cfg.Order[i]
	if b.Term.Kind != ir.Switch || len(b.Term.Succs) < minTable {
		return false
	}
	if len(c.cfg.Order) > maxRegion {
		return c.comesBack(i)
	}
	return c.isBareTable(i)
}

// isBareTable reports whether block i is nothing but a switch that many jump to. A
// jump to it is one to the dispatcher with the target's state.
func (c *compiler) isBareTable(i int) bool {
	b := c.cfg.Order[i]
	return len(c.cfg.Preds[i]) > 1 && len(c.stmts[i]) == 0 && b.Poll == nil &&
		slices.Contains(b.Params, c.canon(b.Term.Cond)) && c.neverDefault(b)
}

// isBare reports whether block i is a table and a bare one.
func (c *compiler) isBare(i int) bool { return slices.Contains(c.tables, i) && c.isBareTable(i) }

// comesBack reports whether what block i goes to leads to it again.
func (c *compiler) comesBack(i int) bool {
	seen := make([]bool, len(c.cfg.Order))
	for work := []int{i}; len(work) > 0; {
		b := c.cfg.Order[work[len(work)-1]]
		work = work[:len(work)-1]
		for _, e := range b.Term.Succs {
			to := c.cfg.Num[e.To.ID]
			if to == i {
				return true
			}
			if !seen[to] {
				seen[to] = true
				work = append(work, to)
			}
		}
	}
	return false
}

// neverDefault reports whether b's switch has a default that is not reached.
func (c *compiler) neverDefault(b *ir.Block) bool {
	to := b.Term.Succs[len(b.Term.Succs)-1].To
	return to.Term.Kind == ir.Unreachable && len(c.stmts[c.cfg.Num[to.ID]]) == 0
}

// findHub finds the table where an interpreter fetches its next operation.
func (c *compiler) findHub() {
	c.hub = -1
	most := 0
	for _, i := range c.tables {
		if n := len(c.cfg.Preds[i]); n > most && !c.isBareTable(i) {
			c.hub, most = i, n
		}
	}
}

// settleRoots adds roots until each other block is dominated by one root and
// each cycle inside a region is a natural loop.
func (c *compiler) settleRoots(root []bool) {
	for changed := true; changed; {
		changed = false
		c.dom = c.cfg.Dominators(root)
		for i := range root {
			if !root[i] && (c.dom[i] == ir.NoDom || c.hasFalseBackEdge(i)) {
				root[i], changed = true, true
			}
		}
	}
}

// hasFalseBackEdge reports whether a retreating edge to i comes from a block
// that i does not dominate.
func (c *compiler) hasFalseBackEdge(i int) bool {
	return slices.ContainsFunc(c.cfg.Preds[i], func(p *ir.Block) bool {
		return c.cfg.Num[p.ID] >= i && !c.isBackEdge(p, i)
	})
}

// isBackEdge reports whether an edge from p to i closes a natural loop.
func (c *compiler) isBackEdge(p *ir.Block, i int) bool {
	n := c.cfg.Num[p.ID]
	return n >= i && ir.Dominates(c.dom, i, n)
}

// split cuts subtrees off regions that are too big, the biggest first.
func (c *compiler) split(root []bool) bool {
	if len(root) <= maxRegion {
		return false
	}
	kids := make([][]int, len(root))
	size := make([]int, len(root))
	cut := false
	for i := len(root) - 1; i >= 0; i-- {
		size[i]++
		slices.SortFunc(kids[i], func(a, b int) int { return size[a] - size[b] })
		for k := len(kids[i]) - 1; k >= 0; k-- {
			kid := kids[i][k]
			if size[i]+size[kid] > maxRegion {
				root[kid], cut = true, true
			} else {
				size[i] += size[kid]
			}
		}
		if d := c.dom[i]; d != ir.NoDom {
			kids[d] = append(kids[d], i)
		}
	}
	return cut
}

func (c *compiler) classify() {
	n := len(c.cfg.Order)
	c.merge, c.header, c.polled = make([]bool, n), make([]bool, n), make([]bool, n)
	c.merges = make([][]int, n)
	for i := range n {
		forward := 0
		for _, p := range c.cfg.Preds[i] {
			if c.isBackEdge(p, i) {
				c.header[i] = true
			} else if c.cfg.Num[p.ID] < i {
				forward++
			}
		}
		c.polled[i] = c.polls(i) && !c.header[i]
		if c.state[i] < 0 && forward > 1 {
			c.merge[i] = true
			c.merges[c.dom[i]] = append(c.merges[c.dom[i]], i)
		}
	}
}

// polls reports whether block i is a place to poll at. The loops inside one
// guest instruction have none: the register file would be halfway.
func (c *compiler) polls(i int) bool { return c.cfg.Order[i].Poll != nil }
