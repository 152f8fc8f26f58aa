package opt

import (
	"slices"

	"github.com/megabin/megabin/converter/ir"
)

// sink makes a value where it is used, if that is behind one way out of its
// block only: what the other ways do not need is not made for them.
func sink(f *ir.Func) {
	m := takeScratch()
	defer m.giveBack()
	s := &sinker{scratch: m, in: m.predecessors(f), outside: m.blocks.Take(f.NumValues()), here: m.blocks.Take(f.NumValues())}
	for _, b := range f.Blocks {
		use := func(v *ir.Value) {
			if v.Block != b {
				s.usedIn(v, b)
			}
		}
		for _, v := range b.Values {
			operands(v, use)
		}
		terminator(&b.Term, use)
		states(b.Poll, func(v *ir.Value) { s.usedIn(v, several) }) // in front of all that is made in b
	}
	for _, b := range m.postorder(f) {
		if len(b.Term.Succs) > 1 {
			s.block(b)
		}
	}
}

type sinker struct {
	*scratch
	in      [][]inEdge
	outside ir.Table[*ir.Block] // by value: the one block that uses it besides its own, or several
	here    ir.Table[*ir.Block] // by value: its own block, if that uses it
}

// several stands for more than one block.
var several = &ir.Block{}

func (s *sinker) usedIn(v *ir.Value, b *ir.Block) {
	if u := s.outside.Get(v); u != nil && u != b {
		b = several
	}
	s.outside.Set(v, b)
}

// operands visits what v uses, states included.
func operands(v *ir.Value, visit func(*ir.Value)) {
	for _, a := range v.Args {
		visit(a)
	}
	callInfo(v.Info, visit)
}

func callInfo(info *ir.CallInfo, visit func(*ir.Value)) {
	if info == nil {
		return
	}
	states(info.State, visit)
	if info.SP != nil {
		visit(info.SP)
	}
}

func states(state []ir.RegValue, visit func(*ir.Value)) {
	for _, r := range state {
		visit(r.Value)
	}
}

func terminator(t *ir.Term, visit func(*ir.Value)) {
	if t.Cond != nil {
		visit(t.Cond)
	}
	for _, v := range t.Args {
		visit(v)
	}
	for _, e := range t.Succs {
		for _, v := range e.Args {
			visit(v)
		}
	}
	callInfo(t.Info, visit)
	states(t.State, visit)
}

// block moves values of b, the last first.
func (s *sinker) block(b *ir.Block) {
	stays := func(v *ir.Value) { s.here.Set(v, b) }
	terminator(&b.Term, stays)
	written := uint64(0) // registers, further down
	calls := false
	first := len(b.Values) // of those that stay
	moved := s.values.Take(len(b.Values))[:0]
	for i := len(b.Values) - 1; i >= 0; i-- {
		v := b.Values[i]
		if to := s.target(v, b); to != nil && movable(v, written, calls) {
			v.Block = to
			moved = append(moved, v)
			operands(v, func(a *ir.Value) { s.usedIn(a, to) })
			continue
		}
		switch v.Op {
		case ir.SetReg:
			written |= 1 << v.Aux
		case ir.Call, ir.Syscall, ir.Helper, ir.X87:
			calls = true
		}
		operands(v, stays)
		first--
		b.Values[first] = v
	}
	b.Values = b.Values[first:]
	s.move(b, moved)
}

// move puts values that were b's, the last first, in front of their new blocks'.
func (s *sinker) move(b *ir.Block, moved []*ir.Value) {
	if len(moved) == 0 {
		return
	}
	slices.Reverse(moved)
	for i := range b.Term.Succs {
		to := b.Term.Succs[i].To
		there := s.values.Take(len(moved))[:0]
		for _, v := range moved {
			if v.Block == to {
				there = append(there, v)
			}
		}
		if len(there) > 0 {
			prepend(to, there)
		}
	}
}

// target is the block behind b to move v to, or nil.
func (s *sinker) target(v *ir.Value, b *ir.Block) *ir.Block {
	to := s.outside.Get(v)
	if to == nil || to == several || s.here.Get(v) == b {
		return nil
	}
	if in := s.in[to.ID]; len(in) != 1 || in[0].from != b {
		return nil
	}
	return to
}

// movable reports whether v is the same at the end of its block.
func movable(v *ir.Value, written uint64, calls bool) bool {
	switch v.Op {
	case ir.Arg, ir.EntrySP, ir.Result, ir.Helper2: // where they come from
		return false
	case ir.GetReg:
		return !calls && written>>v.Aux&1 == 0
	}
	return v.Op.Info().Effect == ir.Pure || v.IsFixed()
}
