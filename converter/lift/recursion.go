package lift

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
				next.ir.PollAtEntry = true
			case 0:
				state[next] = open
				stack = append(stack, visit{next, u.callees(next)})
			}
		}
	}
}

// callees are the functions that fn calls directly. It marks fn if it calls
// through a pointer and may be called so itself.
func (u *unit) callees(fn *function) []*function {
	if fn.src.AddressTaken && fn.callsIndirectly() {
		fn.ir.PollAtEntry = true
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
