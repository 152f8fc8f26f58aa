package wasm

import "github.com/megabin/megabin/converter/ir"

// assigner gives locals to slots, block by block in reverse postorder. In
// SSA form all that is live where a value is defined was defined in
// dominators, so it has its local already, and taking any free one needs no
// more locals than values are live at once.
type assigner struct {
	c      *compiler
	owner  []int32 // by local: the live slot in it, free, or taken
	none   []int32 // by local: what it is when no live slot is in it: free or taken
	webs   []int32 // by web: the local its first slot got, or -1
	locals []ir.Type
	dies   []bool  // by index in reads.slots: nothing reads the slot after it
	seen   []int32 // by slot: number of the last block that was seen to read it
}

// What a local is when no live slot is in it.
const (
	free  = -1
	taken = -2
)

// assign gives each slot a local. Locals below paramCount are the function's
// parameters; others are numbered as they are needed.
func (c *compiler) assign() {
	a := &assigner{c: c, webs: make([]int32, len(c.slots)), seen: make([]int32, len(c.slots)), dies: make([]bool, len(c.reads.slots))}
	for i := range a.webs {
		a.webs[i] = -1
	}
	a.addLocal(ir.I32)
	for range paramCount - 1 {
		a.addLocal(ir.I64)
	}
	c.pollLive = make([][]int32, len(c.cfg.Order))
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
			a.none[s.local] = taken
		}
	}
}

func (a *assigner) addLocal(t ir.Type) int32 {
	a.locals = append(a.locals, t)
	a.owner = append(a.owner, free)
	a.none = append(a.none, free)
	return int32(len(a.locals) - 1)
}

func (a *assigner) block(i int, b *ir.Block) {
	c := a.c
	copy(a.owner, a.none)
	c.liveIn[i].Each(func(x int32) { a.hold(c.crossSlots[x]) })
	a.findLastReads(i)
	if i == 0 {
		a.functionEntry()
	}
	for _, p := range b.Params {
		if s := c.slotOf(p); s >= 0 {
			a.choose(s)
		}
	}
	if b.Poll != nil {
		c.pollLive[i] = a.live()
	}
	a.release(i, 0)
	for k, v := range c.stmts[i] {
		a.release(i, k+1)
		for _, d := range c.defs(v) {
			if d != nil {
				a.choose(c.slotOf(d))
			}
		}
		if v.Info != nil {
			c.call(v).live = a.live()
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

// findLastReads finds the reads in block i after which a slot is not needed.
func (a *assigner) findLastReads(i int) {
	r := &a.c.reads
	begin, end := r.bounds(i, 0, r.parts(i))
	atEnd, _ := r.bounds(i, r.parts(i)-1, r.parts(i))
	out, number := a.c.liveOut[i], int32(i+1)
	for at := end - 1; at >= begin; at-- {
		s := r.slots[at]
		if x := a.c.slots[s].cross; a.seen[s] != number && at < atEnd && !(x >= 0 && out.Has(x)) {
			a.dies[at] = true
		}
		a.seen[s] = number
	}
}

func (a *assigner) hold(s int32) { a.owner[a.c.slots[s].local] = s }

// release frees the locals of the slots that nothing reads after part k of
// block i.
func (a *assigner) release(i, k int) {
	begin, end := a.c.reads.bounds(i, k, k+1)
	for at := begin; at < end; at++ {
		if a.dies[at] {
			l := a.c.slots[a.c.reads.slots[at]].local
			a.owner[l] = a.none[l]
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
