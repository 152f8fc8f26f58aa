package opt

import (
	"slices"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// park leaves registers in the register file that the function only hands
// on: block parameters which nothing reads but calls, exits and polls, whose
// state has to be in the file anyway. What an edge gives to such a parameter
// is written there, in a block of its own on an edge that shares both ends;
// spill then finds which of these writes are needed.
func park(f *ir.Func) {
	m := takeScratch()
	defer m.giveBack()
	p := &parker{scratch: m, f: f, in: m.predecessors(f), order: m.reversePostorder(f), reg: m.bytes.Take(f.NumValues()), hard: m.bools.Take(f.NumValues())}
	p.findUses()
	p.keepHard()
	p.rewrite()
}

type parker struct {
	*scratch
	f     *ir.Func
	in    [][]inEdge
	order []*ir.Block
	reg   ir.Table[uint8] // of parameters that states name: an abi.Reg plus one
	hard  ir.Table[bool]  // parameters to be kept
}

// register returns the register that v holds.
func (p *parker) register(v *ir.Value) (r abi.Reg, known bool) {
	n := p.reg.Get(v)
	return abi.Reg(n) - 1, n > 0
}

// findUses notes which register each parameter is, by the states that name
// it, and which are read for something else.
func (p *parker) findUses() {
	for _, b := range p.order {
		p.states(b.Poll)
		for _, v := range b.Values {
			p.reads(v.Args)
			p.info(v.Info)
		}
		if b.Term.Cond != nil {
			p.hard.Set(b.Term.Cond, true)
		}
		p.reads(b.Term.Args)
		p.info(b.Term.Info)
		p.states(b.Term.State)
	}
}

func (p *parker) reads(vs []*ir.Value) {
	for _, v := range vs {
		if v.Op == ir.Param {
			p.hard.Set(v, true)
		}
	}
}

func (p *parker) info(info *ir.CallInfo) {
	if info == nil {
		return
	}
	p.states(info.State)
	if info.SP != nil {
		p.hard.Set(info.SP, true)
	}
}

func (p *parker) states(state []ir.RegValue) {
	for _, s := range state {
		if s.Value.Op == ir.Param {
			p.is(s.Value, s.Reg)
		}
	}
}

// is says that v holds r. A value that is another register's is kept: where it
// begins, r has a value of its own. It reports whether that is news.
func (p *parker) is(v *ir.Value, r abi.Reg) bool {
	_, known := p.register(v)
	switch {
	case p.hard.Get(v) || known && v.Aux == int64(r):
		return false
	case v.Aux != int64(r) || slot(r) < 0:
		p.hard.Set(v, true)
	default:
		p.reg.Set(v, uint8(r)+1)
	}
	return true
}

// keepHard completes both from parameter to parameter: what is given to one
// that holds a register holds it too, and what is given to one that is kept is
// kept. A loop's parameter is kept if a turn of the loop computes it.
func (p *parker) keepHard() {
	position := p.numbers.Take(len(p.f.Blocks))
	for i, b := range p.order {
		position[b.ID] = int32(i)
	}
	for changed := true; changed; {
		changed = false
		for k := len(p.order) - 1; k >= 0; k-- {
			b := p.order[k]
			for i, to := range b.Params {
				for _, e := range p.in[b.ID] {
					x := e.edge.Args[i]
					changed = p.edge(x, to, position[e.from.ID] >= int32(k)) || changed
				}
			}
		}
	}
}

func (p *parker) edge(x, to *ir.Value, back bool) bool {
	r, known := p.register(to)
	isReg := x.Op == ir.GetReg && abi.Reg(x.Aux) == r
	switch {
	case x.Op == ir.Param && p.hard.Get(to) && !p.hard.Get(x):
		p.hard.Set(x, true)
	case !p.hard.Get(to) && known && back && !isReg && (x.Op != ir.Param || p.hard.Get(x)):
		p.hard.Set(to, true)
	case !p.hard.Get(to) && known && x.Op == ir.Param:
		return p.is(x, r)
	default:
		return false
	}
	return true
}

// parked reports whether v is not kept, and its register.
func (p *parker) parked(v *ir.Value) (abi.Reg, bool) {
	r, known := p.register(v)
	return r, known && !p.hard.Get(v)
}

// rewrite turns the parameters that are parked into reads of the register
// file.
func (p *parker) rewrite() {
	repl := replacer{f: p.f}
	for _, b := range p.order {
		reads := p.f.List(len(b.Params))
		for _, v := range b.Params {
			if r, ok := p.parked(v); ok {
				read := p.f.NewValue(ir.GetReg, v.Type)
				read.Aux, read.Block = int64(r), b
				repl.set(v, read)
				reads = append(reads, read)
			}
		}
		if len(reads) > 0 {
			p.write(b)
			prepend(b, reads)
			b.Poll = slices.DeleteFunc(b.Poll, func(s ir.RegValue) bool { return isReplaced(s.Value) && s.Value.Block == b })
		}
	}
	repl.apply()
	dropParams(p.f, p.predecessors(p.f), isReplaced)
}

// write makes each edge into b put the arguments of parked parameters in the
// register file.
func (p *parker) write(b *ir.Block) {
	for _, e := range p.in[b.ID] {
		state := p.f.State(len(b.Params))
		for i, v := range b.Params {
			if r, ok := p.parked(v); ok {
				state = append(state, ir.RegValue{Reg: r, Value: e.edge.Args[i]})
			}
		}
		if len(e.from.Term.Succs) == 1 {
			e.from.Term.State = append(e.from.Term.State, state...)
			continue
		}
		mid := p.f.NewBlock(b.Addr)
		mid.Term = p.f.Jump(b, e.edge.Args...)
		mid.Term.State = state
		e.edge.To, e.edge.Args = mid, nil
	}
}

// prepend puts values in front of b's.
func prepend(b *ir.Block, values []*ir.Value) {
	list := b.Func.List(len(values) + len(b.Values))
	b.Values = append(append(list, values...), b.Values...)
}

// thread makes edges to blocks that only jump on lead to where those jump.
func thread(f *ir.Func) {
	for _, b := range f.Blocks {
		for i := range b.Term.Succs {
			e := &b.Term.Succs[i]
			for range f.Blocks { // blocks may jump in a circle
				if !passes(e.To) {
					break
				}
				next := e.To.Term.Succs[0]
				*e = ir.Edge{To: next.To, Args: slices.Clone(next.Args)}
			}
		}
	}
}

func passes(b *ir.Block) bool {
	return b.Term.Kind == ir.Jump && len(b.Values) == 0 && len(b.Params) == 0 && b.Poll == nil
}
