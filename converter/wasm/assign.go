package wasm

import (
	"slices"

	"github.com/megabin/megabin/converter/ir"
)

// assigner gives locals to slots, block by block in reverse postorder. In
// SSA form all that is live where a value is defined was defined in
// dominators, so it has its local already, and taking any free one needs no
// more locals than values are live at once.
type assigner struct {
	c      *compiler
	owner  []int32 // by local: the live slot in it, free, or taken
	taken  []int32 // locals that are given out for good
	webs   []int32 // by web: the local its first slot got, or -1
	locals []ir.Type
}

// What a local is when no live slot is in it.
const (
	free  = -1
	taken = -2
)

// assign gives each slot a local. Locals below paramCount are the function's
// parameters; others are numbered as they are needed.
func (c *compiler) assign() {
	a := &assigner{c: c, webs: make([]int32, len(c.slots))}
	for i := range a.webs {
		a.webs[i] = -1
	}
	a.addLocal(ir.I32)
	for range paramCount - 1 {
		a.addLocal(ir.I64)
	}
	c.siteLive = map[*ir.Value][]int32{}
	c.pollLive = map[*ir.Block][]int32{}
	for i, b := range c.cfg.Order {
		a.block(i, b)
		if i == 0 {
			a.keepEntry()
		}
	}
	c.locals = a.locals
}

// keepEntry gives the locals of what the entry makes for other blocks out for
// good. Where the function has a dispatcher, the engine takes a local that
// has two values for one that changes in its loop, and copies it each time
// round.
func (a *assigner) keepEntry() {
	if len(a.c.roots) == 1 {
		return
	}
	for _, s := range a.c.slots {
		if s.def == 0 && s.cross >= 0 {
			a.taken = append(a.taken, s.local)
		}
	}
}

func (a *assigner) addLocal(t ir.Type) int32 {
	a.locals = append(a.locals, t)
	a.owner = append(a.owner, free)
	return int32(len(a.locals) - 1)
}

func (a *assigner) block(i int, b *ir.Block) {
	c := a.c
	for l := range a.owner {
		a.owner[l] = free
	}
	for _, l := range a.taken {
		a.owner[l] = taken
	}
	c.liveIn[i].each(func(x int32) { a.hold(c.crossSlots[x]) })
	last := a.lastUses(i, b)
	if i == 0 {
		a.functionEntry()
	}
	for _, p := range b.Params {
		if s := c.slotOf[p.ID]; s >= 0 {
			a.choose(s)
		}
	}
	if b.Poll != nil {
		c.pollLive[b] = a.live()
	}
	a.release(last[0])
	for k, v := range c.stmts[i] {
		a.release(last[k+1])
		c.eachDef(v, func(d *ir.Value) { a.choose(c.slotOf[d.ID]) })
		if v.Info != nil {
			c.siteLive[v] = a.live()
		}
	}
}

// functionEntry gives the function's parameters and the unit's address their
// locals; those not in use are free at once.
func (a *assigner) functionEntry() {
	for s := range a.c.slots {
		if a.c.slots[s].local >= 0 {
			a.hold(int32(s))
			a.webs[a.c.web(int32(s))] = a.c.slots[s].local
		}
	}
	if a.c.linAt >= 0 {
		a.choose(a.c.linAt)
	}
}

// lastUses returns for each statement k of block i, at k+1, the slots that
// nothing reads after it; at 0 those that die at the block's start.
func (a *assigner) lastUses(i int, b *ir.Block) [][]int32 {
	c := a.c
	seen := map[int32]bool{}
	out := c.liveOut[i]
	stays := func(s int32) bool { x := c.slots[s].cross; return seen[s] || x >= 0 && out.has(x) }
	c.eachTermUse(b, func(s int32) { seen[s] = true })
	stmts := c.stmts[i]
	last := make([][]int32, len(stmts)+1)
	visit := func(k int) func(int32) {
		return func(s int32) {
			if !stays(s) {
				seen[s] = true
				last[k] = append(last[k], s)
			}
		}
	}
	for k := len(stmts) - 1; k >= 0; k-- {
		c.eachUse(stmts[k], visit(k+1))
	}
	c.eachPollUse(b, visit(0))
	return last
}

func (a *assigner) hold(s int32) { a.owner[a.c.slots[s].local] = s }

func (a *assigner) release(slots []int32) {
	for _, s := range slots {
		l := a.c.slots[s].local
		a.owner[l] = free
		if slices.Contains(a.taken, l) {
			a.owner[l] = taken
		}
	}
}

// choose gives slot s a free local: that of its web if it can be had, else
// the lowest.
func (a *assigner) choose(s int32) {
	sl := &a.c.slots[s]
	web := a.c.web(s)
	l := a.webs[web]
	if l < 0 || a.owner[l] != free || a.locals[l] != sl.t {
		l = a.lowest(sl.t)
	}
	if a.webs[web] < 0 {
		a.webs[web] = l
	}
	sl.local = l
	a.owner[l] = s
}

func (a *assigner) lowest(t ir.Type) int32 {
	for l, o := range a.owner {
		if o == free && a.locals[l] == t {
			return int32(l)
		}
	}
	return a.addLocal(t)
}

func (a *assigner) live() []int32 {
	var list []int32
	for _, s := range a.owner {
		if s >= 0 {
			list = append(list, s)
		}
	}
	return list
}
