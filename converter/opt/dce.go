package opt

import (
	"fmt"
	"slices"

	"github.com/megabin/megabin/converter/ir"
)

// dce removes values without effect that nothing uses, parameters that only
// feed themselves, and blocks that nothing reaches. What a state lists is no
// use: it only says where registers stand. But a place's is not written to the register file, so
// that what it lists is known by the list only.
func dce(f *ir.Func) {
	m := takeScratch()
	defer m.giveBack()
	m.dropUnreachable(f)
	live := m.bools.Take(f.NumValues())
	work := m.values.Take(f.NumValues())[:0]
	mark := func(v *ir.Value) {
		if !live[v.ID] {
			live[v.ID] = true
			work = append(work, v)
		}
	}
	in := m.predecessors(f)
	for _, b := range f.Blocks {
		for _, v := range b.Values {
			if hasEffect(v) {
				mark(v)
			}
			if v.Op == ir.Place {
				states(v.Info.State, mark)
			}
		}
		for _, p := range b.Poll {
			if !p.Kept {
				mark(p.Value)
			}
		}
		if b.Term.Cond != nil {
			mark(b.Term.Cond)
		}
		for _, v := range b.Term.Args {
			mark(v)
		}
	}
	for len(work) > 0 {
		v := work[len(work)-1]
		work = work[:len(work)-1]
		for _, a := range v.Args {
			mark(a)
		}
		if v.Op == ir.Param {
			i := paramIndex(v)
			for _, e := range in[v.Block.ID] {
				mark(e.edge.Args[i])
			}
		}
	}
	dropParams(f, in, func(p *ir.Value) bool { return !live[p.ID] })
	named := func(state []ir.RegValue) []ir.RegValue {
		return slices.DeleteFunc(state, func(s ir.RegValue) bool { return !live[s.Value.ID] })
	}
	for _, b := range f.Blocks {
		b.States(named)
		out := b.Values[:0]
		for _, v := range b.Values {
			if live[v.ID] {
				out = append(out, v)
			}
		}
		b.Values = out
	}
}

func paramIndex(p *ir.Value) int {
	for i, q := range p.Block.Params {
		if p == q {
			return i
		}
	}
	panic(fmt.Sprintf("BUG: opt: parameter v%d is not in the list of b%d of %s", p.ID, p.Block.ID, p.Block.Func))
}

func hasEffect(v *ir.Value) bool {
	switch v.Op.Info().Effect {
	case ir.Pure, ir.ReadReg:
		return false
	}
	return !v.IsFixed() // a load or a division may be there to fault
}

// dropUnreachable drops blocks that the entry does not reach and numbers the rest
// anew.
func (m *scratch) dropUnreachable(f *ir.Func) {
	seen := m.bools.Take(len(f.Blocks))
	for _, b := range m.postorder(f) {
		seen[b.ID] = true
	}
	out := f.Blocks[:0]
	for _, b := range f.Blocks {
		if seen[b.ID] {
			out = append(out, b)
		}
	}
	f.Blocks = out
	for i, b := range f.Blocks {
		b.ID = i
	}
}
