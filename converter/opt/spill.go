package opt

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// spill makes the register file hold what calls, system calls and exits say
// it must (their State), with as few writes as a forward data flow finds:
// for each register the value that the file holds. Reads of what is known to be in the
// file become that value.
func spill(f *ir.Func) {
	m := takeScratch()
	defer m.giveBack()
	n := len(f.Blocks)
	s := &spiller{f: f, in: m.predecessors(f), order: m.reversePostorder(f), out: m.states.Take(n), known: m.bools.Take(n), settled: m.bools.Take(n), repl: replacer{f: f}}
	for _, r := range f.Kept {
		s.kept[slot(r)] = true
	}
	s.solve()
	for _, b := range s.order {
		st := s.entry(b)
		s.rewrite(b, &st)
	}
	s.repl.apply()
}

// numRegs is the number of registers tracked: general and vector ones. Flags, the others that states
// have, are in the file at polls only.
const numRegs = 32

// fileState is what the register file holds; nil is not known.
type fileState [numRegs]*ir.Value

func slot(r abi.Reg) int {
	switch {
	case r >= abi.XMM0:
		return int(r-abi.XMM0) + 16
	case r <= abi.R15:
		return int(r)
	}
	return -1
}

// regOf is the inverse of slot.
func regOf(slot int) abi.Reg {
	if slot >= 16 {
		return abi.XMM0 + abi.Reg(slot-16)
	}
	return abi.Reg(slot)
}

type spiller struct {
	f       *ir.Func
	kept    [numRegs]bool // by a callee
	in      [][]inEdge
	order   []*ir.Block
	out     []fileState // by block ID
	known   []bool      // by block ID: out was reached
	settled []bool      // by block ID: nothing has changed in front of the block
	edges   []inEdge    // see entry
	repl    replacer
}

// solve iterates to a fixed point. Facts only get lost, except that a
// parameter takes the place of what it merges; rounds bounds that.
func (s *spiller) solve() {
	const rounds = 20
	for round := 0; ; round++ {
		changed := false
		for _, b := range s.order {
			if s.settled[b.ID] && round <= rounds {
				continue
			}
			s.settled[b.ID] = true
			st := s.entry(b)
			if round > rounds {
				st = fileState{}
			}
			s.walk(b, &st)
			if s.known[b.ID] && s.out[b.ID] == st {
				continue
			}
			s.out[b.ID], s.known[b.ID], changed = st, true, true
			for i := range b.Term.Succs {
				s.settled[b.Term.Succs[i].To.ID] = false
			}
		}
		if !changed || round > rounds+1 {
			return
		}
	}
}

// entry is the state at b's start: what all predecessors agree on, seen
// through b's parameters.
func (s *spiller) entry(b *ir.Block) (st fileState) {
	first := true
	edges := s.edges[:0]
	for _, e := range s.in[b.ID] {
		if s.known[e.from.ID] {
			edges = append(edges, e)
		}
	}
	s.edges = edges
	for _, e := range edges {
		if first {
			st, first = s.out[e.from.ID], false
			continue
		}
		for r, v := range &s.out[e.from.ID] {
			if st[r] != v {
				st[r] = nil
			}
		}
	}
	if b.Shared {
		st = fileState{}
	}
	for i, p := range b.Params {
		if r := s.merged(edges, i); r >= 0 {
			st[r] = p
		}
	}
	return st
}

// merged returns the register that holds argument i on each edge, or -1.
func (s *spiller) merged(edges []inEdge, i int) int {
	if len(edges) == 0 {
		return -1
	}
	for r, v := range &s.out[edges[0].from.ID] {
		if v == nil || v != edges[0].edge.Args[i] {
			continue
		}
		same := true
		for _, e := range edges[1:] {
			if s.out[e.from.ID][r] != e.edge.Args[i] {
				same = false
				break
			}
		}
		if same {
			return r
		}
	}
	return -1
}

// walk is the transfer function.
func (s *spiller) walk(b *ir.Block, st *fileState) {
	s.poll(b, st)
	for _, v := range b.Values {
		s.value(v, st, nil)
	}
	s.need(b.Term.State, st, nil)
}

// poll marks which registers are in the file at b's poll. The others are
// written there if the poll is taken: then the file has the new value, else
// the old one.
func (s *spiller) poll(b *ir.Block, st *fileState) {
	for i := range b.Poll {
		rv := &b.Poll[i]
		rv.Kept = st.agree(rv)
	}
}

// value updates st for v. write is called for each register that has to be
// written in front of v.
func (s *spiller) value(v *ir.Value, st *fileState, write func(abi.Reg, *ir.Value)) {
	switch v.Op {
	case ir.GetReg:
		if r := slot(abi.Reg(v.Aux)); r >= 0 && st[r] == nil {
			st[r] = v
		}
	case ir.Opaque:
		if r := slot(abi.Reg(v.Aux)); r >= 0 && st[r] != nil && instead(st[r]) == instead(v.Args[0]) {
			st[r] = v
		}
	case ir.Call:
		s.need(v.Info.State, st, write)
		for r := range st {
			if !s.kept[r] {
				st[r] = nil
			}
		}
		for _, r := range v.Info.Changed {
			st[slot(r)] = nil
		}
		st.limit(v.Info)
	case ir.Syscall:
		s.need(v.Info.State, st, write)
		st.limit(v.Info)
		st[abi.RAX], st[abi.RCX], st[abi.R11] = nil, nil, nil
	case ir.Trap:
		if v.Info != nil {
			s.need(v.Info.State, st, write)
		}
	case ir.Place:
		for i := range v.Info.State {
			st.agree(&v.Info.State[i])
		}
		st.limit(v.Info)
		if v.Aux == ir.Afresh {
			*st = fileState{}
		}
	case ir.Helper:
		if v.Aux == int64(abi.HelperFXRstor) {
			*st = fileState{}
		}
	case ir.SetReg:
		if r := slot(abi.Reg(v.Aux)); r >= 0 {
			st[r] = v.Args[0]
		}
	}
}

// need makes the file hold what state says.
func (s *spiller) need(state []ir.RegValue, st *fileState, write func(abi.Reg, *ir.Value)) {
	for _, rv := range state {
		r := slot(rv.Reg)
		x := instead(rv.Value)
		if st[r] != nil && instead(st[r]) == x {
			continue
		}
		st[r] = x
		if write != nil {
			write(rv.Reg, x)
		}
	}
}

// agree is for where execution may also begin with the registers of the file: it tells
// whether st has what rv says; else the file has the one or the other from there on.
func (st *fileState) agree(rv *ir.RegValue) bool {
	r := slot(rv.Reg)
	if r < 0 {
		return false
	}
	if st[r] != nil && instead(st[r]) == instead(rv.Value) {
		return true
	}
	st[r] = nil
	return false
}

// limit forgets what is in the file but for a call's state, if what was interrupted in another
// function may go on behind it.
func (st *fileState) limit(info *ir.CallInfo) {
	if !info.Shared {
		return
	}
	known := fileState{}
	for _, rv := range info.State {
		r := slot(rv.Reg)
		known[r] = st[r]
	}
	*st = known
}

// keepState adds to a call's state what is in the file after it anyway.
func (s *spiller) keepState(info *ir.CallInfo, st *fileState) {
	if info != nil {
		info.State = s.inFile(info.State, st)
	}
}

// inFile adds to state what st has.
func (s *spiller) inFile(state []ir.RegValue, st *fileState) []ir.RegValue {
	n := 0
	for _, x := range st {
		if x != nil {
			n++
		}
	}
	state = append(s.f.State(len(state)+n), state...)
	for i, x := range st {
		if x != nil {
			state = append(state, ir.RegValue{Reg: regOf(i), Value: x, Kept: true})
		}
	}
	return state
}

// rewrite inserts the writes in b and forwards reads.
func (s *spiller) rewrite(b *ir.Block, st *fileState) {
	out := s.f.List(len(b.Values) + 4)
	write := func(r abi.Reg, x *ir.Value) {
		v := b.Func.NewValue(ir.SetReg, ir.Void, x)
		v.Aux, v.Block = int64(r), b
		out = append(out, v)
	}
	s.poll(b, st)
	if b.Poll != nil {
		b.Poll = s.inFile(b.Poll, st)
	}
	for _, v := range b.Values {
		if v.Op == ir.GetReg {
			if r := slot(abi.Reg(v.Aux)); r >= 0 && st[r] != nil && st[r] != v {
				s.repl.set(v, st[r])
				continue
			}
		}
		s.value(v, st, write)
		if v.Op == ir.Call || v.Op == ir.Syscall || v.Op == ir.Place {
			s.keepState(v.Info, st)
		}
		out = append(out, v)
	}
	s.need(b.Term.State, st, write)
	if b.Term.Info != nil {
		s.need(b.Term.Info.State, st, write)
	}
	b.Values = out
}
