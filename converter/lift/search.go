package lift

import (
	"slices"
	"sort"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/ir"
)

// minSearches is the number of edges from which on a function's jumps to its labels, which have no table,
// share one search: else they have the square of the number of labels.
const minSearches = 64

// findSearch makes the block that most jumps without a table go through, if they have so many
// edges: it searches for Dest among their labels. It is a guest block without an instruction.
func (fn *function) findSearch() {
	jumps := map[*disasm.Block]int{} // by the first label
	var most []*disasm.Block
	for _, d := range fn.src.Blocks {
		if s := d.Term.Succs; d.Term.Kind == disasm.IndirectJump && len(s) > 1 {
			if jumps[s[0]]++; most == nil || jumps[s[0]]*len(s) > jumps[most[0]]*len(most) {
				most = s
			}
		}
	}
	if most == nil || jumps[most[0]] == 1 || jumps[most[0]]*len(most) < minSearches {
		return
	}
	addr := fn.src.Entry
	fn.search = &disasm.Block{
		Addr: addr, End: addr, Index: len(fn.src.Blocks), Term: disasm.Term{Kind: disasm.IndirectJump, Succs: most},
	}
}

// searches tells whether d's end goes to the function's search.
func (fn *function) searches(d *disasm.Block) bool {
	return fn.search != nil && d != fn.search && d.Term.Kind == disasm.IndirectJump && slices.Equal(d.Term.Succs, fn.search.Term.Succs)
}

// isSearch tells whether b is the function's search.
func (b *block) isSearch() bool { return b.src != nil && b.src == b.fn.search }

// behindLoop tells whether b follows a search that is the head of a loop: that can't be left, for
// there is no instruction to go on at, so b polls in its place.
func (b *block) behindLoop() bool {
	return slices.ContainsFunc(b.preds, func(p *block) bool { return p.isSearch() && hasBackEdge(p) })
}

// searchFor branches to whichever of the blocks is at the linear address target; if
// none is, it is a tail call.
func (c *ctx) searchFor(to []*disasm.Block, target *ir.Value) {
	var at []*disasm.Block
	for _, d := range to {
		if d != nil {
			at = append(at, d)
		}
	}
	if len(at) == 0 {
		c.tailCall(&ir.CallInfo{}, target)
		return
	}
	sort.Slice(at, func(i, j int) bool { return at[i].Addr < at[j].Addr })
	at = slices.Compact(at)
	c.get(RSP)
	miss := c.fn.ir.NewBlock(c.B.Addr)
	if shift, n := spread(at); c.b.isSearch() && n <= maxSpread*len(at) {
		c.searchTable(at, target, shift, n, miss)
	} else {
		c.searchAmong(at, c.Sub(target, c.codeAddr(0)), miss)
	}
	c.B = miss
	c.tailCall(&ir.CallInfo{}, target)
}

// maxSpread is how many entries a table may have for each label.
const maxSpread = 24

// spread is by how many bits the distances of ascending addresses from the first can be shifted so that they
// are still different, and one more than the last is then.
func spread(at []*disasm.Block) (shift uint, n int) {
	first, last := at[0].Addr, at[len(at)-1].Addr
	same := func(shift uint) bool {
		for i := 1; i < len(at); i++ {
			if (at[i].Addr-first)>>shift == (at[i-1].Addr-first)>>shift {
				return true
			}
		}
		return shift == 32
	}
	for !same(shift + 1) {
		shift++
	}
	return shift, int((last-first)>>shift) + 1
}

// searchTable finds target by a table of n entries, of where labels may be.
func (c *ctx) searchTable(at []*disasm.Block, target *ir.Value, shift uint, n int, miss *ir.Block) {
	first := at[0].Addr
	distance := c.Sub(target, c.codeAddr(c.fn.offset(first)))
	t := ir.Term{Kind: ir.Switch, Cond: c.ShrUC(distance, int64(shift)), Succs: slices.Repeat([]ir.Edge{{To: miss}}, n+1)}
	c.B.Term = t
	for _, d := range at {
		maybe := c.fn.ir.NewBlock(c.B.Addr)
		t.Succs[(d.Addr-first)>>shift].To = maybe
		c.B = maybe
		c.B.Term = ir.Term{Kind: ir.Branch, Cond: c.Bin(ir.I32Eq, distance, c.Const32(int64(d.Addr-first))), Succs: []ir.Edge{{}, {To: miss}}}
		c.edge(0, d)
	}
}

// searchAmong finds off by binary search.
func (c *ctx) searchAmong(at []*disasm.Block, off *ir.Value, miss *ir.Block) {
	mid := len(at) / 2
	key := c.Const32(int64(c.fn.offset(at[mid].Addr)))
	if len(at) == 1 {
		c.B.Term = ir.Term{Kind: ir.Branch, Cond: c.Bin(ir.I32Eq, off, key), Succs: []ir.Edge{{}, {To: miss}}}
		c.edge(0, at[0])
		return
	}
	low, high := c.arms(c.Bin(ir.I32LtU, off, key))
	c.B = low
	c.searchAmong(at[:mid], off, miss)
	c.B = high
	c.searchAmong(at[mid:], off, miss)
}
