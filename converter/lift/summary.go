package lift

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/ir"
)

// Liveness of variables across the whole unit. The System V ABI says which
// registers a call may use and change, but compilers go beyond it between
// functions they see (gcc's -fipa-ra), and hand-written code does as it
// likes. So inside a unit both directions are computed instead of assumed:
//
//   - needs: what a function reads of its caller's registers, on some way; a caller passes
//     such a register if it holds something, see losses.go;
//   - soft: what it only passes on to code that is not known, in case that
//     reads it: a caller passes such a register likewise;
//   - gives: the registers that some caller reads after it returns, of those
//     it may change: rax and rdx are handed back, others left in the register
//     file. What it does not change the caller has left there.
//
// Across units, and for indirect calls, the caller's convention holds.
type summary struct {
	needs Set
	soft  Set
	gives Set
	mods  Set // what it may write, calls included
	lost  Set // see losses.go
}

// unit is all functions of a unit, for what one function has to know of another.
type unit struct {
	lifter  *lifter
	fns     []*function
	byEntry map[uint32]*function
}

func newUnit(l *lifter, fns []*function) *unit {
	u := &unit{lifter: l, fns: fns, byEntry: make(map[uint32]*function, len(fns))}
	for _, fn := range fns {
		u.byEntry[fn.entry()] = fn
		fn.breaks = l.broken[fn.entry()]
	}
	for _, fn := range fns {
		u.findCallees(fn)
		for _, t := range fn.callees {
			t.callers = append(t.callers, fn)
		}
	}
	u.modifies()
	u.losses()
	for _, fn := range fns {
		u.forwardDefs(fn)
		if fn.src.AddressTaken || fn.conv.passed != 0 {
			fn.sum.gives = fn.conv.given
		}
	}
	return u
}

// findCallees notes the functions of the unit that fn calls directly, tail
// calls included.
func (u *unit) findCallees(fn *function) {
	note := func(s *site, info *ir.CallInfo) {
		if s.callee = u.byEntry[info.Target]; s.callee != nil {
			fn.callees = append(fn.callees, s.callee)
		}
	}
	for _, b := range fn.blocks {
		for i := range b.segs {
			if s := b.segs[i].site; s != nil && s.direct {
				note(s, s.info)
			}
		}
		for _, s := range b.exits {
			if t := &s.term.Term; t.Kind == ir.TailCall && t.Info.Kind == ir.Direct {
				note(s, t.Info)
			}
		}
	}
}

// summarize computes needs and gives of all functions to a fixed point.
func (u *unit) summarize() {
	work := make([]*function, 0, len(u.fns))
	push := func(fn *function) {
		if !fn.queued {
			fn.queued = true
			work = append(work, fn)
		}
	}
	for i := len(u.fns) - 1; i >= 0; i-- {
		push(u.fns[i])
	}
	for len(work) > 0 {
		fn := work[len(work)-1]
		work = work[:len(work)-1]
		fn.queued = false
		u.liveness(fn)
		if e := fn.blocks[0]; e.liveIn != fn.sum.needs || e.softIn != fn.sum.soft {
			fn.sum.needs, fn.sum.soft = e.liveIn, e.softIn
			for _, c := range fn.callers {
				push(c)
			}
		}
		u.demand(fn, push)
	}
}

// demand adds to the gives of fn's callees what fn reads after its calls.
func (u *unit) demand(fn *function, push func(*function)) {
	raise := func(t *function, gives Set) {
		if t == nil {
			return
		}
		if gives &^= t.sum.lost; gives&^t.sum.gives != 0 {
			t.sum.gives |= gives
			push(t)
		}
	}
	for _, b := range fn.blocks {
		for i := range b.segs {
			if s := b.segs[i].site; s != nil && s.callee != nil {
				raise(s.callee, s.after&u.calleeMods(s))
			}
		}
		for _, s := range b.exits {
			raise(s.callee, fn.sum.gives)
		}
	}
}

// savesVectors reports whether b is the part of a variadic function's
// prologue that saves xmm0 to xmm7 for va_arg, skipped when al is 0. It reads
// them whether or not the caller passed anything there.
func savesVectors(b *block) bool {
	if b.parent == nil || b.parent.src == nil || b.parent.src.Term.Kind != disasm.CondJump {
		return false
	}
	if p := b.parent.src.Insts; len(p) < 2 || p[len(p)-2].Op != x86asm.TEST || p[len(p)-2].Args[0] != x86asm.AL {
		return false
	}
	stores := 0
	for i := range b.src.Insts {
		if in := &b.src.Insts[i]; in.Op == x86asm.MOVAPS && isMem(in.Args[0]) {
			stores++
		}
	}
	return stores == 8
}

// settle calls step for every function, and again for those that call one that
// step says it has changed the summary of, until none is left.
func (u *unit) settle(step func(*function) (changed bool)) {
	work := make([]*function, len(u.fns))
	for i, fn := range u.fns {
		fn.queued = true
		work[len(work)-1-i] = fn
	}
	for len(work) > 0 {
		fn := work[len(work)-1]
		work = work[:len(work)-1]
		fn.queued = false
		if !step(fn) {
			continue
		}
		for _, c := range fn.callers {
			if !c.queued {
				c.queued = true
				work = append(work, c)
			}
		}
	}
}

// modifies computes mods of all functions. It may only err towards more.
func (u *unit) modifies() {
	for _, fn := range u.fns {
		fn.sum.mods = u.ownMods(fn)
	}
	u.settle(func(fn *function) bool {
		mods := fn.sum.mods
		for _, t := range fn.callees {
			mods |= t.sum.mods & fn.conv.changed
		}
		changed := mods != fn.sum.mods
		fn.sum.mods = mods
		return changed
	})
}

// ownMods is what fn may write besides what the functions of the unit that it
// calls do.
func (u *unit) ownMods(fn *function) (mods Set) {
	for _, b := range fn.blocks {
		for i := range b.segs {
			mods |= b.segs[i].def | b.segs[i].fresh
			if s := b.segs[i].site; s != nil {
				mods |= u.siteMods(s)
			}
		}
		for _, s := range b.exits {
			if s.term.Term.Kind == ir.TailCall {
				mods |= u.calleeMods(s)
			}
		}
	}
	return mods
}

func (u *unit) siteMods(s *site) Set {
	if !s.isCall() {
		return s.sysMods()
	}
	return u.calleeMods(s)
}

// sysMods is what a system call changes, or a place.
func (s *site) sysMods() Set {
	if s.isPlace() {
		return 0
	}
	return setOf(RAX, RCX, R11)
}

// calleeMods is what a call may change of the registers that the convention does not
// have the callee keep.
func (u *unit) calleeMods(s *site) Set {
	if s.callee != nil {
		return s.callee.sum.mods&s.conv.changed | retSet | s.callee.breaks
	}
	return s.conv.changed
}

// forwardDefs computes for each block which registers hold something: what may
// be meant for the next call. known counts all but what an unknown callee has left
// behind, and is what a callee of the unit may get. fresh counts only what has been written since
// the last call, and the registers of arguments at entry; of that an unknown one gets what
// the convention says.
func (u *unit) forwardDefs(fn *function) {
	fn.blocks[0].knownIn = callerSaved
	fn.blocks[0].freshIn = argSet | fileArgs | xmmArgs
	for changed := true; changed; {
		changed = false
		for _, b := range fn.blocks {
			known, fresh := b.knownIn, b.freshIn
			for i := range b.segs {
				known, fresh = u.holdsAfter(&b.segs[i], known, fresh)
			}
			for _, s := range b.succs {
				if known&^s.knownIn != 0 || fresh&^s.freshIn != 0 {
					s.knownIn |= known
					s.freshIn |= fresh
					changed = true
				}
			}
		}
	}
	for _, b := range fn.blocks {
		known, fresh := b.knownIn, b.freshIn
		for i := range b.segs {
			s := &b.segs[i]
			s.known, s.meant = known|s.fresh, fresh|s.fresh
			known, fresh = u.holdsAfter(s, known, fresh)
		}
		b.knownOut = known
	}
}

// holdsAfter is forwardDefs' transfer over a segment and the call that ends it.
func (u *unit) holdsAfter(s *segment, known, fresh Set) (Set, Set) {
	known, fresh = known|s.fresh, fresh|s.fresh
	if s.site != nil && s.site.isCall() {
		mods := u.calleeMods(s.site)
		known, fresh = known&^mods|u.given(s.site), fresh&^mods|handedOn
	}
	return known, fresh
}

// handedOn are the registers in which a call's result may be meant for the next call as
// it is: those of results that arguments have too.
var handedOn = setOf(RDX, XMM0, XMM0+1)

func (s *site) isCall() bool { return s.call.Op == ir.Call }

func (s *site) isPlace() bool { return s.call.Op == ir.Place }

// liveness solves the function's backward data flow with the summaries as
// they are.
func (u *unit) liveness(fn *function) {
	for _, b := range fn.blocks {
		b.settled = false
	}
	for changed := true; changed; {
		changed = false
		for i := len(fn.blocks) - 1; i >= 0; i-- {
			b := fn.blocks[i]
			if b.settled {
				continue
			}
			b.settled = true
			if live := u.blockLive(fn, b); live.hard != b.liveIn || live.soft != b.softIn {
				b.liveIn, b.softIn = live.hard, live.soft
				changed = true
				for _, p := range b.preds {
					p.settled = false
				}
			}
		}
	}
}

// live is the state of the backward data flow.
type live struct {
	hard Set // read later on
	soft Set // passed on to unknown code later on, with no call in between
}

func (u *unit) blockLive(fn *function, b *block) live {
	var l live
	for _, s := range b.succs {
		l.hard |= s.liveIn
		l.soft |= s.softIn &^ b.through
	}
	for _, s := range b.exits {
		n := u.exitNeeds(fn, s, b.knownOut)
		s.before = n.hard | n.soft
		l.hard |= n.hard
		l.soft |= n.soft
	}
	for i := len(b.segs) - 1; i >= 0; i-- {
		seg := &b.segs[i]
		if s := seg.site; s != nil {
			l = u.throughSite(s, l, seg)
		}
		l.hard = seg.use | l.hard&^seg.def
		l.soft = seg.pass | l.soft&^seg.def
	}
	return l
}

// throughSite is the transfer over a call or system call, which ends seg.
func (u *unit) throughSite(s *site, after live, seg *segment) live {
	s.after = after.hard
	if s.isPlace() {
		s.after |= after.soft
		return after
	}
	n := u.siteNeeds(s, seg)
	if !s.isCall() {
		s.after |= after.soft
		n.hard |= s.after &^ u.kills(s) &^ flagSet
		n.soft |= after.soft &^ u.kills(s)
	} else { // what the callee leaves alone may still be meant for the next one
		s.through = after.soft &^ u.calleeMods(s) &^ flagSet
		s.after |= after.soft & (handedOn | u.given(s))
		n.soft |= s.through
	}
	s.before = n.hard | n.soft
	return live{n.hard | after.hard&^u.kills(s), n.soft}
}

// kills is what has no value from before the site any more after it.
func (u *unit) kills(s *site) Set {
	switch {
	case !s.isCall():
		return s.sysMods()
	case s.callee != nil: // what it does not change is still there
		return retSet | flagSet | s.callee.sum.lost
	}
	return s.conv.changed | flagSet
}

// kept is what has the same value after a call or system call as before.
func (u *unit) kept(s *site) Set {
	switch {
	case s.call == nil:
		return 0
	case !s.isCall():
		return ^s.sysMods()
	}
	return ^u.calleeMods(s)
}

// siteNeeds is what must be passed to a call or stand in the register file at
// it.
func (u *unit) siteNeeds(s *site, seg *segment) live {
	if t := s.callee; t != nil {
		hard, soft := t.sum.wants()
		return live{s.conv.kept | hard | s.after&s.conv.changed&^u.kills(s), soft & seg.known}
	}
	if !s.isCall() { // how many arguments the system call has is not known
		return live{s.conv.kept, seg.meant & sysSet}
	}
	return live{s.conv.kept | s.conv.passed, seg.meant & s.conv.meant}
}

// wants is what a call of the function passes in any case, and what if it holds
// something.
func (s *summary) wants() (hard, soft Set) {
	return s.needs &^ (callerSaved | flagSet), s.soft | s.needs&callerSaved
}

// exitNeeds is what must be handed back, or on, at an exit.
func (u *unit) exitNeeds(fn *function, s *site, known Set) live {
	t := &s.term.Term
	needs := s.conv.kept | fn.sum.gives
	switch {
	case t.Kind == ir.Return:
		return live{hard: needs}
	case t.Kind == ir.Leave:
		return live{needs | retSet, known & s.conv.changed}
	case s.callee != nil:
		hard, soft := s.callee.sum.wants()
		return live{needs&^retSet | hard, soft & known}
	}
	return live{needs&^retSet | s.conv.passed, known & s.conv.meant}
}
