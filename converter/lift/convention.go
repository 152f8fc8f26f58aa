package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// convention is what functions of a unit may assume of each other where one
// does not know the other: through pointers, and from unit to unit.
type convention struct {
	name    string
	kept    Set // a callee leaves them as they were
	changed Set // a callee may change them
	passed  Set // a callee may read them, whatever the caller did before
	meant   Set // a callee may read them if the caller has set them for the call
	given   Set // a caller may read them after the return

	keptRegs []abi.Reg // kept
}

// The conventions. Under anyRegister all of the caller's registers reach the callee
// and the other way round, so that it fits whatever code does: Go passes arguments and
// results in nine general and fifteen vector registers and keeps none but rbp,
// OCaml keeps none, and Haskell has its machine's registers in rbx, rbp and r12 to r15.
// Code of both conventions can call each other: one passes more than the other reads.
var (
	systemV = &convention{
		name: "System V", kept: calleeSaved, changed: callerSaved,
		meant: argSet | hiddenArgs, given: retSet | setOf(XMM0, XMM0+1), keptRegs: calleeSaved.regs(),
	}
	anyRegister = &convention{
		name: "any register", changed: allRegs, passed: allRegs, given: allRegs,
	}
)

// regs lists the registers in s as IR has them.
func (s Set) regs() (list []abi.Reg) {
	for v := Var(0); v < numRegs; v++ {
		if s.has(v) {
			list = append(list, v.reg())
		}
	}
	return list
}

// A unit is taken not to follow System V if this part of its functions, and so
// many, return or jump on with a register changed that has to be kept. In 25 files of C, C++, Rust, D and
// Pascal 0 to 2 % do, 8 % in one of much hand-written code; in Go's, OCaml's and Haskell's 33 to 94 %.
const (
	manyBreaches = 8
	breachPart   = 1. / 5
)

// conventionOf finds the convention that functions lifted under System V's follow.
func conventionOf(fns []*function) *convention {
	if tooMany(breachesOf(fns)) {
		return anyRegister
	}
	return systemV
}

// breachesOf counts the functions that breach System V's convention, and those that end.
func breachesOf(fns []*function) (breaches, ending int) {
	for _, fn := range fns {
		if fn.ends {
			ending++
		}
		if fn.broken != 0 {
			breaches++
		}
	}
	return breaches, ending
}

// tooMany reports whether so many breaches tell of another convention than System V.
func tooMany(breaches, ending int) bool {
	return breaches >= manyBreaches && float64(breaches) >= breachPart*float64(ending)
}

// Within a unit that follows System V, code that lies together may have a convention of its own, as
// V8's own functions in libnode do: 1,500 of 130,000, most of which breach it.
const (
	windowSize  = 64 // functions
	windowStep  = 8  // from one window to the next
	foreignPart = 1. / 2
	foreignGap  = 256 // functions between such windows that are taken for the same code
)

// foreign tells which functions lie where most breach System V's convention.
func foreign(fns []*function) []bool {
	is := make([]bool, len(fns))
	end := -foreignGap // of the last such window
	for start := 0; start < len(fns); start += windowStep {
		window := fns[start:min(start+windowSize, len(fns))]
		if breaches, ending := breachesOf(window); breaches < manyBreaches || float64(breaches) < foreignPart*float64(ending) {
			continue
		}
		from := start
		if start-end < foreignGap {
			from = end
		}
		end = start + len(window)
		for i := from; i < end; i++ {
			is[i] = true
		}
	}
	return is
}

// again is l for functions that were lifted before: what is not translated of them is not counted twice.
func (l *lifter) again(conv *convention) *lifter {
	x := *l
	x.conv, x.res = conv, &Result{Untranslated: map[string]int{}}
	return &x
}

// liftForeign lifts functions with a convention of their own so that they can call, and be called by,
// any code.
func (l *lifter) liftForeign(fns []*function) {
	other := l.again(anyRegister)
	for i, is := range foreign(fns) {
		if is {
			fns[i] = other.lift(fns[i].src)
			fns[i].broken = calleeSaved
		}
	}
}

// findBroken finds whether fn goes back or on to another anywhere, and which
// registers it then has changed that System V has it keep.
func (fn *function) findBroken() {
	fn.broken, fn.ends = 0, false
	if fn.src.Partial { // it restores what the function that it is of has saved
		return
	}
	before := fn.changedBefore()
	for _, b := range fn.blocks {
		for _, s := range b.exits {
			k := s.term.Term.Kind
			if k != ir.Return && k != ir.TailCall {
				continue
			}
			fn.ends = true
			changed, passed := s.changes(b)
			if changed |= passed & before[b.index]; s.inFrame(b) {
				s.owed = changed
			} else {
				fn.broken |= changed
			}
		}
	}
}

// inFrame reports whether exit s of b jumps on with the function's frame still on the stack: to a part
// of the function that lies elsewhere, or where a jump by a table goes that is not in the table as it was read.
func (s *site) inFrame(b *block) bool {
	d, ok := spOffset(s.value(b, RSP))
	return ok && d < 0
}

// changedBefore is, for each block, which registers that System V has a function keep
// have changed on some way to it.
func (fn *function) changedBefore() []Set {
	type effect struct{ changed, passed Set }
	before, effects := make([]Set, len(fn.blocks)), make([]effect, len(fn.blocks))
	end := &site{vars: new([numRegs]*ir.Value)}
	for i, b := range fn.blocks {
		effects[i].changed, effects[i].passed = end.changes(b)
	}
	for again := true; again; {
		again = false
		for i, b := range fn.blocks {
			after := effects[i].changed | effects[i].passed&before[i]
			for _, to := range b.succs {
				if after&^before[to.index] != 0 {
					before[to.index] |= after
					again = true
				}
			}
		}
	}
	return before
}

// changes tells, of the registers that System V has a function keep, which ones may be
// others at s of b than at the function's entry, and which are what they were where b began.
func (s *site) changes(b *block) (changed, passed Set) {
	for v := Var(0); v < numRegs; v++ {
		if !calleeSaved.has(v) {
			continue
		}
		switch x := s.value(b, v); {
		case x.Op == ir.Param && x.Aux == int64(v.reg()):
			passed |= setOf(v)
		case !s.mayKeep(b, x):
			changed |= setOf(v)
		}
	}
	return changed, passed
}

// value is what register v is at s of b.
func (s *site) value(b *block, v Var) *ir.Value {
	x := s.vars[v]
	if x == nil {
		x = b.find(v)
	}
	for x.Op == ir.Opaque {
		x = x.Args[0]
	}
	return x
}

// mayKeep reports whether a register with x at s of b may have what it had at the
// function's entry: that, what a block got, or what the stack holds.
func (s *site) mayKeep(b *block, x *ir.Value) bool {
	if x.Op == ir.Load64 {
		at, sp := root(x.Args[0]), root(s.value(b, RSP))
		return at == sp || at.Op == ir.SP && sp.Op == ir.SP
	}
	return x == inFile || x.Op == ir.Param || x.Op == ir.GetReg
}

// root is what the address x is at a distance from.
func root(x *ir.Value) *ir.Value {
	for {
		switch x.Op {
		case ir.I32Add, ir.I32Sub, ir.I64Add, ir.I64Sub, ir.I32WrapI64, ir.I64ExtendI32U:
			x = x.Args[0]
		default:
			return x
		}
	}
}

// Within a unit that follows System V, hand-written functions may still return
// something in a register that they should keep, to callers that know. Those
// have to be lifted with that in mind.

// brokenBy is what a call changes besides what the convention lets it.
func (fn *function) brokenBy(info *ir.CallInfo) Set {
	if info.Kind != ir.Direct {
		return 0
	}
	return fn.lifter.broken[info.Target]
}

// liftCallers lifts the callers of functions that keep less than they should
// again, until no more is found.
func (l *lifter) liftCallers(fns []*function) {
	again := l.again(l.conv)
	for {
		fresh := map[uint32]bool{}
		for _, fn := range fns {
			broken := fn.broken
			fn.eachTail(func(s *site) { broken |= l.broken[s.term.Term.Info.Target] &^ s.owed })
			if entry := fn.entry(); broken&^l.broken[entry] != 0 {
				l.broken[entry] |= broken
				fresh[entry] = true
			}
		}
		if len(fresh) == 0 {
			return
		}
		for i, fn := range fns {
			if fn.conv == l.conv && fn.callsOneOf(fresh) {
				fns[i] = again.lift(fn.src)
			}
		}
	}
}

// callsOneOf reports whether fn calls one of the functions at entries directly.
func (fn *function) callsOneOf(entries map[uint32]bool) bool {
	for _, b := range fn.blocks {
		for i := range b.segs {
			if s := b.segs[i].site; s != nil && s.direct && entries[s.info.Target] {
				return true
			}
		}
	}
	return false
}

// eachTail visits the function's direct tail calls.
func (fn *function) eachTail(visit func(s *site)) {
	for _, b := range fn.blocks {
		for _, s := range b.exits {
			if t := &s.term.Term; t.Kind == ir.TailCall && t.Info.Kind == ir.Direct {
				visit(s)
			}
		}
	}
}
