package ir

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/megabin/megabin/layers/abi"
)

// Verify checks that f is well-formed: every value is defined before its
// uses, in its block or a dominating one, and has the operands and types that
// its operation takes; every edge gives its target the parameters it has. It
// reports the first few faults.
func Verify(f *Func) error {
	v := &verifier{f: f}
	v.shape()
	if len(v.errs) == 0 {
		v.check()
	}
	if len(v.errs) == 0 {
		return nil
	}
	return fmt.Errorf("function at %#x: %w", f.Entry, errors.Join(v.errs...))
}

const maxFaults = 10

type verifier struct {
	f     *Func
	g     *CFG
	dom   []int
	block *Block
	at    []int // by value ID: position in its block; parameters -1
	errs  []error
}

func (v *verifier) fault(format string, args ...any) {
	if len(v.errs) < maxFaults {
		v.errs = append(v.errs, fmt.Errorf(format, args...))
	}
}

// shape checks what the analyses rely on.
func (v *verifier) shape() {
	if len(v.f.Blocks) == 0 {
		v.fault("no blocks")
		return
	}
	if len(v.f.Blocks[0].Params) > 0 {
		v.fault("the entry has parameters")
	}
	for i, b := range v.f.Blocks {
		if b.ID != i {
			v.fault("block %d has the ID %d", i, b.ID)
		}
		if want, ok := succsOf[b.Term.Kind]; ok && len(b.Term.Succs) != want || b.Term.Kind == Switch && len(b.Term.Succs) == 0 {
			v.fault("b%d: %v with %d successors", i, b.Term.Kind, len(b.Term.Succs))
		}
		for _, e := range b.Term.Succs {
			if e.To == nil || e.To.ID >= len(v.f.Blocks) || v.f.Blocks[e.To.ID] != e.To {
				v.fault("b%d: edge to a block that is not in the function", i)
			} else if e.To.ID == 0 {
				v.fault("b%d: edge to the entry", i)
			}
		}
	}
}

var succsOf = map[TermKind]int{Jump: 1, Branch: 2, Return: 0, TailCall: 0, Leave: 0, Unreachable: 0}

// check checks every block that can be reached.
func (v *verifier) check() {
	v.g = NewCFG(v.f)
	v.dom = v.g.Dominators(nil)
	v.at = make([]int, v.f.NumValues())
	owner := make([]*Block, v.f.NumValues())
	for _, b := range v.g.Order {
		v.block = b
		for _, p := range b.Params {
			v.own(p, -1, owner)
		}
		for i, x := range b.Values {
			v.own(x, i, owner)
		}
	}
	for _, b := range v.g.Order {
		v.block = b
		v.checkBlock(b)
	}
}

func (v *verifier) own(x *Value, at int, owner []*Block) {
	if x.ID < 0 || int(x.ID) >= len(owner) || owner[x.ID] != nil {
		v.fault("b%d: the ID of %v is out of range or taken", v.block.ID, x)
		return
	}
	if x.Block != v.block || x.Op == Param != (at < 0) {
		v.fault("b%d: %v belongs to another place", v.block.ID, x)
	}
	owner[x.ID], v.at[x.ID] = v.block, at
}

func (v *verifier) checkBlock(b *Block) {
	v.checkState("poll", b.Poll, 0)
	for i, x := range b.Values {
		if x.Op == OpInvalid || int(x.Op) >= Ops() || x.Op.String() == "invalid" {
			v.fault("b%d: %v has no operation", b.ID, x)
			continue
		}
		v.checkValue(x, i)
	}
	v.checkTerm(&b.Term, len(b.Values))
}

// use checks that x is defined before position at of the present block.
func (v *verifier) use(what string, x *Value, t Type, at int) {
	switch {
	case x == nil:
		v.fault("b%d: %s: operand missing", v.block.ID, what)
	case x.Block == nil || v.g.Num[x.Block.ID] < 0:
		v.fault("b%d: %s: %v is in no block", v.block.ID, what, x)
	case x.Block == v.block && v.at[x.ID] >= at,
		x.Block != v.block && !Dominates(v.dom, v.g.Num[x.Block.ID], v.g.Num[v.block.ID]):
		v.fault("b%d: %s: %v of b%d is not defined here", v.block.ID, what, x, x.Block.ID)
	case t != Void && x.Type != t:
		v.fault("b%d: %s: %v is %v, not %v", v.block.ID, what, x, x.Type, t)
	}
}

func (v *verifier) uses(what string, xs []*Value, types []Type, at int) {
	if len(xs) != len(types) {
		v.fault("b%d: %s: %d operands, not %d", v.block.ID, what, len(xs), len(types))
		return
	}
	for i, x := range xs {
		v.use(what, x, types[i], at)
	}
}

func (v *verifier) checkState(what string, state []RegValue, at int) {
	for _, r := range state {
		if r.Reg >= abi.NumRegs {
			v.fault("b%d: %s: no register %d", v.block.ID, what, r.Reg)
			continue
		}
		v.use(what+" "+regName(int64(r.Reg)), r.Value, RegType(r.Reg), at)
	}
}

// RegType is the type of a register of the register file.
func RegType(r abi.Reg) Type {
	switch r.Type() {
	case abi.I64:
		return I64
	case abi.V128:
		return V128
	}
	return I32
}

func regName(r int64) string {
	if r < 0 || r >= int64(abi.NumRegs) {
		return fmt.Sprintf("reg%d", r)
	}
	return abi.Reg(r).String()
}

var (
	callTypes     = append([]Type{I32}, slices.Repeat([]Type{I64}, len(abi.ParamRegs))...)
	indirectTypes = append(callTypes[:len(callTypes):len(callTypes)], I32)
)

func callArgs(info *CallInfo) []Type {
	if info.Kind == Indirect {
		return indirectTypes
	}
	return callTypes
}

func (v *verifier) checkValue(x *Value, at int) {
	what := x.LongString()
	want, result := v.signature(x)
	v.uses(what, x.Args, want, at)
	if x.Type != result {
		v.fault("b%d: %s: the result is %v, not %v", v.block.ID, what, x.Type, result)
	}
	if x.Info != nil {
		v.checkState(what, x.Info.State, at)
	}
	if strings.Contains(x.Op.String(), "_lane") && (x.Aux < 0 || x.Aux >= lanes(x.Op)) {
		v.fault("b%d: %s: no such lane", v.block.ID, what)
	}
}

// signature is what x should take and give.
func (v *verifier) signature(x *Value) (args []Type, result Type) {
	info := x.Op.Info()
	switch x.Op {
	case GetReg, SetReg, Opaque:
		if x.Aux < 0 || x.Aux >= int64(abi.NumRegs) {
			v.fault("b%d: %s: no such register", v.block.ID, x.LongString())
			return nil, x.Type
		}
		t := RegType(abi.Reg(x.Aux))
		switch x.Op {
		case GetReg:
			return nil, t
		case SetReg:
			return []Type{t}, Void
		}
		return []Type{t}, t
	case Call:
		if x.Info == nil {
			v.fault("b%d: %s: no call information", v.block.ID, x)
			return callTypes, Void
		}
		return callArgs(x.Info), Void
	case Result, Helper2:
		v.checkResult(x)
		return []Type{Void}, I64
	case Place:
		if x.Info == nil {
			v.fault("b%d: %s: no place", v.block.ID, x)
		}
	case Syscall:
		return []Type{I64, I64, I64, I64, I64, I64, I64}, I64
	case Select:
		return []Type{x.Type, x.Type, I32}, x.Type
	}
	if x.Op >= AtomicLoad && x.Op <= AtomicCmpxchg {
		return v.atomic(x)
	}
	return info.Args, info.Result
}

func (v *verifier) checkResult(x *Value) {
	want := Call
	if x.Op == Helper2 {
		want = Helper
	}
	if len(x.Args) != 1 || x.Args[0].Op != want || x.Aux < 0 || x.Aux > 1 {
		v.fault("b%d: %s: not a result", v.block.ID, x.LongString())
	} else if x.Args[0].Block != x.Block {
		v.fault("b%d: %s: the call is in another block", v.block.ID, x.LongString())
	}
}

func (v *verifier) atomic(x *Value) (args []Type, result Type) {
	t := x.Type
	if x.Op == AtomicStore && len(x.Args) == 2 {
		t = x.Args[1].Type
	}
	if t != I32 && t != I64 || x.Aux2 != 1 && x.Aux2 != 2 && x.Aux2 != 4 && (x.Aux2 != 8 || t != I64) {
		v.fault("b%d: %s: no such atomic access", v.block.ID, x.LongString())
	}
	switch x.Op {
	case AtomicLoad:
		return []Type{I32}, t
	case AtomicStore:
		return []Type{I32, t}, Void
	case AtomicCmpxchg:
		return []Type{I32, t, t}, t
	}
	return []Type{I32, t}, t
}

// lanes is the number of lanes in the shape that op's name starts with.
func lanes(op Op) int64 {
	switch name := op.String(); {
	case strings.HasPrefix(name, "i8x16"):
		return 16
	case strings.HasPrefix(name, "i16x8"):
		return 8
	case name[3:5] == "x4":
		return 4
	}
	return 2
}

var (
	returnTypes = []Type{I32, I64, I64, I32}
	leaveTypes  = []Type{I32, I64}
)

func (v *verifier) checkTerm(t *Term, at int) {
	what := t.text()
	switch t.Kind {
	case Branch, Switch:
		v.use(what, t.Cond, I32, at)
	case Return:
		v.uses(what, t.Args, returnTypes, at)
	case Leave:
		v.uses(what, t.Args, leaveTypes, at)
	case TailCall:
		if t.Info == nil {
			v.fault("b%d: %s: no call information", v.block.ID, what)
			return
		}
		v.uses(what, t.Args, callArgs(t.Info), at)
		v.checkState(what, t.Info.State, at)
	case NoTerm:
		v.fault("b%d: no terminator", v.block.ID)
	}
	v.checkState(what, t.State, at)
	for _, e := range t.Succs {
		v.checkEdge(what, e, at)
	}
}

func (v *verifier) checkEdge(what string, e Edge, at int) {
	types := make([]Type, len(e.To.Params))
	for i, p := range e.To.Params {
		types[i] = p.Type
	}
	v.uses(what, e.Args, types, at)
}
