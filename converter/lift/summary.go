package lift

import (
	"github.com/megabin/megabin/converter/ir"
)

// Liveness of variables across the whole unit. The System V ABI says which
// registers a call may use and change, but compilers go beyond it between
// functions they see (gcc's -fipa-ra), and hand-written code does as it
// likes. So inside a unit both directions are computed instead of assumed:
//
//   - needs: what a function may read of its caller's registers;
//   - gives: the registers that some caller reads after it returns: rax and rdx
//     are handed back, others left in the register file.
//
// Across units, and for indirect calls, the ABI holds.
type summary struct {
	needs Set
	gives Set
}

// unit is all functions of a unit, for what one function has to know of another.
type unit struct {
	fns     []*function
	byEntry map[uint32]*function
	callers map[*function][]*function
}

func newUnit(fns []*function) *unit {
	u := &unit{fns: fns, byEntry: make(map[uint32]*function, len(fns)), callers: map[*function][]*function{}}
	for _, fn := range fns {
		u.byEntry[fn.ir.Entry] = fn
	}
	for _, fn := range fns {
		fn.forwardDefs()
		if fn.src.AddressTaken {
			fn.sum.gives = retSet | setOf(XMM0, XMM0+1)
		}
		fn.eachDirect(func(info *ir.CallInfo) {
			if t := u.byEntry[info.Target]; t != nil {
				u.callers[t] = append(u.callers[t], fn)
			}
		})
	}
	return u
}

// eachDirect visits the function's direct calls and tail calls.
func (fn *function) eachDirect(visit func(*ir.CallInfo)) {
	for _, b := range fn.blocks {
		for i := range b.segs {
			if s := b.segs[i].site; s != nil && s.direct {
				visit(s.info)
			}
		}
		for _, s := range b.exits {
			if t := &s.term.Term; t.Kind == ir.TailCall && t.Info.Kind == ir.Direct {
				visit(t.Info)
			}
		}
	}
}

// summarize computes needs and gives of all functions to a fixed point.
func (u *unit) summarize() {
	queued := make(map[*function]bool, len(u.fns))
	work := make([]*function, 0, len(u.fns))
	push := func(fn *function) {
		if !queued[fn] {
			queued[fn] = true
			work = append(work, fn)
		}
	}
	for i := len(u.fns) - 1; i >= 0; i-- {
		push(u.fns[i])
	}
	for len(work) > 0 {
		fn := work[len(work)-1]
		work = work[:len(work)-1]
		queued[fn] = false
		u.liveness(fn)
		if needs := fn.blocks[0].liveIn; needs != fn.sum.needs {
			fn.sum.needs = needs
			for _, c := range u.callers[fn] {
				push(c)
			}
		}
		u.demand(fn, push)
	}
}

// demand adds to the gives of fn's callees what fn reads after its calls.
func (u *unit) demand(fn *function, push func(*function)) {
	raise := func(target uint32, gives Set) {
		t := u.byEntry[target]
		if t == nil || gives&^t.sum.gives == 0 {
			return
		}
		t.sum.gives |= gives
		push(t)
	}
	for _, b := range fn.blocks {
		for i := range b.segs {
			if s := b.segs[i].site; s != nil && s.direct {
				raise(s.info.Target, s.after&callerSaved)
			}
		}
		for _, s := range b.exits {
			if t := &s.term.Term; t.Kind == ir.TailCall && t.Info.Kind == ir.Direct {
				raise(t.Info.Target, fn.sum.gives)
			}
		}
	}
}

// forwardDefs computes for each block which registers may have been written
// since the last call (or hold arguments at entry): what an indirect call may
// pass on.
func (fn *function) forwardDefs() {
	fn.blocks[0].defIn = argSet | hiddenArgs
	for changed := true; changed; {
		changed = false
		for _, b := range fn.blocks {
			out := b.defIn
			for i := range b.segs {
				out = b.segs[i].defsAfter(out)
			}
			for _, s := range b.succs {
				if out&^s.defIn != 0 {
					s.defIn |= out
					changed = true
				}
			}
		}
	}
}

// defsAfter is forwardDefs' transfer over a segment and the call that ends it.
func (s *segment) defsAfter(in Set) Set {
	out := in | s.fresh
	if s.site != nil && s.site.info != nil && s.site.isCall() {
		out &^= callerSaved
	}
	return out
}

func (s *site) isCall() bool { return s.call.Op == ir.Call }

// liveness solves the function's backward data flow with the summaries as
// they are.
func (u *unit) liveness(fn *function) {
	for changed := true; changed; {
		changed = false
		for i := len(fn.blocks) - 1; i >= 0; i-- {
			b := fn.blocks[i]
			if live := u.blockLive(fn, b); live != b.liveIn {
				b.liveIn = live
				changed = true
			}
		}
	}
}

func (u *unit) blockLive(fn *function, b *block) Set {
	live := Set(0)
	for _, s := range b.succs {
		live |= s.liveIn
	}
	defs := b.defIn
	at := make([]Set, len(b.segs)) // may be defined since the last call, before each segment's end
	for i := range b.segs {
		at[i] = defs | b.segs[i].fresh
		defs = b.segs[i].defsAfter(defs)
	}
	for _, s := range b.exits {
		s.before = u.exitNeeds(fn, s, defs)
		live |= s.before
	}
	for i := len(b.segs) - 1; i >= 0; i-- {
		seg := &b.segs[i]
		if s := seg.site; s != nil {
			s.after = live
			s.before = u.siteNeeds(s, at[i])
			live = s.before | live&^s.kills()
		}
		live = seg.use | live&^seg.def
	}
	return live
}

// kills is what has no value from before the site any more after it.
func (s *site) kills() Set {
	switch {
	case !s.isCall():
		return setOf(RAX, RCX, R11)
	case s.direct: // what the callee does not change is still there
		return retSet | flagSet
	}
	return callerSaved | flagSet
}

// siteNeeds is what must be passed to a call or stand in the register file at
// it. defs is what may have been set for it.
func (u *unit) siteNeeds(s *site, defs Set) Set {
	switch {
	case !s.isCall():
		return calleeSaved | s.after&^s.kills()&^flagSet
	case s.direct:
		if t := u.byEntry[s.info.Target]; t != nil {
			return calleeSaved | t.sum.needs&^flagSet | s.after&callerSaved&^retSet
		}
	}
	return calleeSaved | defs&(argSet|hiddenArgs)
}

// exitNeeds is what must be handed back, or on, at an exit.
func (u *unit) exitNeeds(fn *function, s *site, defs Set) Set {
	t := &s.term.Term
	needs := calleeSaved | fn.sum.gives
	switch {
	case t.Kind == ir.Return:
		return needs
	case t.Kind == ir.Leave:
		return needs | retSet | defs&callerSaved
	case t.Info.Kind == ir.Direct:
		if target := u.byEntry[t.Info.Target]; target != nil {
			return needs | target.sum.needs&^flagSet
		}
	}
	return needs | defs&(argSet|hiddenArgs)
}
