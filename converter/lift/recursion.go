package lift

import "github.com/megabin/megabin/converter/ir"

// recursion makes functions look at abi.Guard at their entry, so that no
// program runs for ever without: one in each cycle of direct calls, and those
// that can be part of one through pointers.
func (u *unit) recursion() {
	const open, done = 1, 2
	state := make(map[*function]int, len(u.fns))
	type visit struct {
		fn      *function
		callees []*function
	}
	for _, root := range u.fns {
		if state[root] != 0 {
			continue
		}
		state[root] = open
		stack := []visit{{root, u.callees(root)}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.callees) == 0 {
				state[top.fn] = done
				stack = stack[:len(stack)-1]
				continue
			}
			next := top.callees[0]
			top.callees = top.callees[1:]
			switch state[next] {
			case open:
				next.looks = true
			case 0:
				state[next] = open
				stack = append(stack, visit{next, u.callees(next)})
			}
		}
	}
}

// callees are the functions that fn calls directly. It marks fn if it calls
// through a pointer and may be called so itself, or ends with a jump through
// one: such jumps can go on for ever without a stack that grows.
func (u *unit) callees(fn *function) []*function {
	if fn.src.AddressTaken && fn.callsIndirectly() || fn.stubs[fn.src.Entry] == nil && fn.leavesIndirectly() {
		fn.looks = true
	}
	return fn.callees
}

// callsIndirectly reports whether fn has a call through a pointer that comes
// back to it; a tail call does not.
func (fn *function) callsIndirectly() bool {
	for _, b := range fn.blocks {
		for i := range b.segs {
			if s := b.segs[i].site; s != nil && s.isCall() && !s.direct {
				return true
			}
		}
	}
	return false
}

// leavesIndirectly reports whether fn has a tail call through a pointer.
func (fn *function) leavesIndirectly() bool {
	for _, b := range fn.blocks {
		for _, s := range b.exits {
			if t := &s.term.Term; t.Kind == ir.TailCall && t.Info.Kind == ir.Indirect {
				return true
			}
		}
	}
	return false
}

// quiet tells which blocks, by index, can be gone round without a call of a
// function that looks at abi.Guard at its entry, or are on a way between two
// such; nil: all that are in a loop. The others need no look of their own.
func (fn *function) quiet() []bool {
	set := make([]bool, len(fn.blocks))
	all := true
	for _, b := range fn.blocks {
		set[b.index] = !b.callsLooking()
		all = all && set[b.index]
	}
	if all {
		return nil
	}
	fn.peel(set, func(b *block) []*block { return b.succs })
	fn.peel(set, func(b *block) []*block { return b.preds })
	return set
}

func (b *block) callsLooking() bool {
	for i := range b.segs {
		if s := b.segs[i].site; s != nil && s.isCall() && s.direct && s.callee != nil && s.callee.looks {
			return true
		}
	}
	return false
}

// peel takes blocks from set that no block of it leads to by next, until each
// has one.
func (fn *function) peel(set []bool, next func(*block) []*block) {
	ways := make([]int, len(set)) // from blocks of set
	for _, b := range fn.blocks {
		if set[b.index] {
			for _, to := range next(b) {
				ways[to.index]++
			}
		}
	}
	var rest []*block
	drop := func(b *block) {
		if set[b.index] && ways[b.index] == 0 {
			set[b.index] = false
			rest = append(rest, b)
		}
	}
	for _, b := range fn.blocks {
		drop(b)
	}
	for len(rest) > 0 {
		b := rest[len(rest)-1]
		rest = rest[:len(rest)-1]
		for _, to := range next(b) {
			ways[to.index]--
			drop(to)
		}
	}
}
