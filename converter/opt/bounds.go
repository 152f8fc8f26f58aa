package opt

import "github.com/megabin/megabin/converter/ir"

// bounds lets one bounds check serve all accesses at a base. The engine checks
// an access unless one at the same base with at least its end was checked on
// every way there; so what is in front of the first access reads the byte
// where the last of them, anywhere in the function, ends. The engine keeps
// the check and drops the read.
//
// No access faults that did not before: what the guest has mapped ends maxReach
// below what is out of bounds (abi.CacheBase), so a base whose one access is
// mapped has all of them within bounds.
func bounds(f *ir.Func) {
	b := &bounder{f: f, reach: map[*ir.Value]int64{}, checked: make([]map[*ir.Value]bool, len(f.Blocks))}
	for _, blk := range f.Blocks {
		for _, v := range blk.Values {
			if w := access(v.Op); w > 0 && v.Aux+w <= maxReach {
				base := v.Args[0]
				b.reach[base] = max(b.reach[base], v.Aux+w)
			}
		}
	}
	in := predecessors(f)
	for _, blk := range reversePostorder(f) {
		b.block(blk, in[blk.ID])
	}
}

// maxReach is the end of the accesses that share a check, in bytes from their
// base. The lifter gives no access a larger offset.
const maxReach = 0x10000 + 16

type bounder struct {
	f       *ir.Func
	reach   map[*ir.Value]int64 // where the last access at a base ends
	checked []map[*ir.Value]bool
}

func (b *bounder) block(blk *ir.Block, in []inEdge) {
	checked := b.entry(in)
	out := make([]*ir.Value, 0, len(blk.Values))
	for _, v := range blk.Values {
		if w := access(v.Op); w > 0 && v.Aux+w <= maxReach {
			base := v.Args[0]
			if end := b.reach[base]; !checked[base] && end > v.Aux+w {
				probe := b.f.NewValue(ir.Load8U32, ir.I32, base)
				probe.Aux, probe.Block = end-1, blk
				out = append(out, probe)
			}
			checked[base] = true
		}
		out = append(out, v)
	}
	blk.Values = out
	b.checked[blk.ID] = checked
}

// entry is what all predecessors have checked. At a loop's head the engine
// knows nothing.
func (b *bounder) entry(in []inEdge) map[*ir.Value]bool {
	checked := map[*ir.Value]bool{}
	for i, e := range in {
		before := b.checked[e.from.ID]
		if before == nil {
			return map[*ir.Value]bool{}
		}
		if i == 0 {
			for v := range before {
				checked[v] = true
			}
			continue
		}
		for v := range checked {
			if !before[v] {
				delete(checked, v)
			}
		}
	}
	return checked
}
