package opt

import (
	"slices"
	"sync"

	"github.com/megabin/megabin/converter/ir"
)

// scratch is memory for what one pass finds of a function. The next one has it
// again.
type scratch struct {
	edges   ir.Slab[inEdge]
	in      ir.Slab[[]inEdge]
	visits  ir.Slab[visit]
	values  ir.Slab[*ir.Value]
	blocks  ir.Slab[*ir.Block]
	next    ir.Slab[[]*ir.Block]
	bools   ir.Slab[bool]
	bytes   ir.Slab[uint8]
	numbers ir.Slab[int32]
	masks   ir.Slab[uint64]
	states  ir.Slab[fileState]
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func takeScratch() *scratch { return scratches.Get().(*scratch) }

// giveBack ends the use of all that m gave out.
func (m *scratch) giveBack() {
	m.edges.Reset()
	m.in.Reset()
	m.visits.Reset()
	m.values.Reset()
	m.blocks.Reset()
	m.next.Reset()
	m.bools.Reset()
	m.bytes.Reset()
	m.numbers.Reset()
	m.masks.Reset()
	m.states.Reset()
	scratches.Put(m)
}

// inEdge is an edge into a block.
type inEdge struct {
	from *ir.Block
	edge *ir.Edge
}

// predecessors lists the edges into each block, by block ID.
func (m *scratch) predecessors(f *ir.Func) [][]inEdge {
	count := m.numbers.Take(len(f.Blocks))
	total := 0
	for _, b := range f.Blocks {
		for i := range b.Term.Succs {
			count[b.Term.Succs[i].To.ID]++
		}
		total += len(b.Term.Succs)
	}
	in, all := m.in.Take(len(f.Blocks)), m.edges.Take(total)
	for i, n := range count {
		in[i], all = all[:0:n], all[n:]
	}
	for _, b := range f.Blocks {
		for i := range b.Term.Succs {
			e := &b.Term.Succs[i]
			in[e.To.ID] = append(in[e.To.ID], inEdge{b, e})
		}
	}
	return in
}

// visit is a block on the way that postorder walks.
type visit struct {
	b    *ir.Block
	next int
}

// postorder lists the blocks that the entry reaches, children before parents.
func (m *scratch) postorder(f *ir.Func) []*ir.Block {
	seen := m.bools.Take(len(f.Blocks))
	out := m.blocks.Take(len(f.Blocks))[:0]
	stack := append(m.visits.Take(len(f.Blocks))[:0], visit{f.Blocks[0], 0})
	seen[f.Blocks[0].ID] = true
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next == len(top.b.Term.Succs) {
			out = append(out, top.b)
			stack = stack[:len(stack)-1]
			continue
		}
		to := top.b.Term.Succs[top.next].To
		top.next++
		if !seen[to.ID] {
			seen[to.ID] = true
			stack = append(stack, visit{to, 0})
		}
	}
	return out
}

// reversePostorder lists the blocks that the entry reaches, a block before
// its successors but for back edges.
func (m *scratch) reversePostorder(f *ir.Func) []*ir.Block {
	out := m.postorder(f)
	slices.Reverse(out)
	return out
}
