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
}

// The conventions. Under anyRegister all of the caller's registers reach the callee
// and the other way round, so that it fits whatever code does: Go passes arguments and
// results in nine general and fifteen vector registers and keeps none but rbp,
// OCaml keeps none, and Haskell has its machine's registers in rbx, rbp and r12 to r15.
// Code of both conventions can call each other: one passes more than the other reads.
var (
	systemV = &convention{
		name: "System V", kept: calleeSaved, changed: callerSaved,
		meant: argSet | hiddenArgs, given: retSet | setOf(XMM0, XMM0+1),
	}
	anyRegister = &convention{
		name: "any register", changed: allRegs, passed: allRegs, given: allRegs,
	}
)

// keptRegs is the convention's kept registers as IR has them.
func (c *convention) keptRegs() (regs []abi.Reg) {
	for v := Var(0); v < numRegs; v++ {
		if c.kept.has(v) {
			regs = append(regs, v.reg())
		}
	}
	return regs
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
	breaches, ending := 0, 0
	for _, fn := range fns {
		if fn.ends {
			ending++
		}
		if fn.breach {
			breaches++
		}
	}
	if breaches >= manyBreaches && float64(breaches) >= breachPart*float64(ending) {
		return anyRegister
	}
	return systemV
}

// findBreach finds whether fn goes back or on to another anywhere, and whether it then
// has a register changed that System V has it keep.
func (fn *function) findBreach() {
	if fn.src.Partial { // it restores what the function that it is of has saved
		return
	}
	for _, b := range fn.blocks {
		for _, s := range b.exits {
			if k := s.term.Term.Kind; k != ir.Return && k != ir.TailCall {
				continue
			}
			fn.ends = true
			for v := Var(0); v < numRegs && !fn.breach; v++ {
				fn.breach = calleeSaved.has(v) && !fn.mayBeKept(b, s, v)
			}
		}
	}
}

// mayBeKept reports whether register v may have at exit s of b what it had at
// the function's entry: that, what a block got, or what the stack holds.
func (fn *function) mayBeKept(b *block, s *site, v Var) bool {
	x := s.vars[v]
	if x == nil {
		x = b.find(v)
	}
	switch x.Op {
	case ir.Load64:
		return onStack(x.Args[0])
	case ir.Param, ir.GetReg, ir.OpInvalid:
		return true
	}
	return false
}

// onStack reports whether the address x is formed from rsp or rbp.
func onStack(x *ir.Value) bool {
	switch x.Op {
	case ir.SP, ir.Param:
		return true
	case ir.I32Add, ir.I32Sub, ir.I64Add, ir.I64Sub, ir.I32WrapI64, ir.I64ExtendI32U:
		return onStack(x.Args[0])
	}
	return false
}
