package lift

import "github.com/megabin/megabin/converter/ir"

// What a function loses: registers that it may return with as an unknown callee
// left them. To whoever called it they hold nothing. Liveness alone would not tell:
// compilers leave ways that are never taken, and on those a variable has no value yet and
// lies in whatever register is free. Were that taken for a result of the last call, and of all
// that that one calls, whole programs would have to keep the register.

// losses computes lost of all functions: the least solution.
func (u *unit) losses() {
	u.settle(func(fn *function) bool {
		lost := u.losesIn(fn)
		changed := lost != fn.sum.lost
		fn.sum.lost = lost
		return changed
	})
}

// losesIn goes on with a function's forward data flow and returns what is lost
// at its exits.
func (u *unit) losesIn(fn *function) (lost Set) {
	for changed := true; changed; {
		changed = false
		for _, b := range fn.blocks {
			out := u.lostAfter(b)
			for _, s := range b.succs {
				if out&^s.lostIn != 0 {
					s.lostIn |= out
					changed = true
				}
			}
		}
	}
	for _, b := range fn.blocks {
		for _, s := range b.exits {
			switch s.term.Term.Kind {
			case ir.Return:
				lost |= u.lostAfter(b)
			case ir.TailCall:
				lost |= u.lostThrough(s, u.lostAfter(b))
			}
		}
	}
	return lost
}

// lostAfter is what is lost at b's end.
func (u *unit) lostAfter(b *block) Set {
	lost := b.lostIn
	for i := range b.segs {
		seg := &b.segs[i]
		lost &^= seg.def
		if s := seg.site; s != nil && s.isCall() {
			lost = u.lostThrough(s, lost)
		}
	}
	return lost
}

// lostThrough is what is lost after a call or tail call. An unknown callee may give back
// what the convention says, a known one what it changes.
func (u *unit) lostThrough(s *site, before Set) Set {
	if t := s.callee; t != nil {
		return before&^u.calleeMods(s) | t.sum.lost
	}
	return before | s.conv.changed&^s.conv.given
}

// given is what a call may give back.
func (u *unit) given(s *site) Set {
	if t := s.callee; t != nil {
		return u.calleeMods(s) &^ t.sum.lost
	}
	return s.conv.given
}
