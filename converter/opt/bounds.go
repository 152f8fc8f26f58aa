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
	m := takeScratch()
	defer m.giveBack()
	b := &bounder{f: f, scratch: m, number: m.numbers.Take(f.NumValues()), checked: m.sets.Take(len(f.Blocks))}
	for _, blk := range f.Blocks {
		for _, v := range blk.Values {
			if end := endOfAccess(v); end > 0 {
				b.note(v.Args[0], end)
			}
		}
	}
	if len(b.reach) == 0 {
		return
	}
	in := m.predecessors(f)
	for _, blk := range m.reversePostorder(f) {
		b.block(blk, in[blk.ID])
	}
}

// maxReach is the end of the accesses that share a check, in bytes from their
// base. The lifter gives no access a larger offset.
const maxReach = 0x10000 + 16

// endOfAccess is where v's access ends, in bytes from its base; 0 if it shares
// no check.
func endOfAccess(v *ir.Value) int64 {
	if w := int64(v.Op.Width()); w > 0 && v.Aux+w <= maxReach {
		return v.Aux + w
	}
	return 0
}

type bounder struct {
	f *ir.Func
	*scratch
	number  ir.Table[int32] // of a base, in reach, plus one
	reach   []int64         // where the last access at a base ends
	checked []ir.Set        // by block ID: numbers of bases that are checked at its end
}

func (b *bounder) note(base *ir.Value, end int64) {
	n := b.number.Get(base)
	if n == 0 {
		b.reach = append(b.reach, end)
		b.number.Set(base, int32(len(b.reach)))
		return
	}
	b.reach[n-1] = max(b.reach[n-1], end)
}

func (b *bounder) block(blk *ir.Block, in []inEdge) {
	checked := b.entry(in)
	var out []*ir.Value // what is in front of Values[done], with the probes
	done := 0
	for i, v := range blk.Values {
		end := endOfAccess(v)
		if end == 0 {
			continue
		}
		n := b.number.Get(v.Args[0]) - 1
		if checked.Has(n) {
			continue
		}
		checked.Add(n)
		if b.reach[n] > end {
			probe := b.f.NewValue(ir.Load8U32, ir.I32, v.Args[0])
			probe.Aux, probe.Block = b.reach[n]-1, blk
			if out == nil {
				out = b.f.List(len(blk.Values) + 8)
			}
			out = append(append(out, blk.Values[done:i]...), probe)
			done = i
		}
	}
	if out != nil {
		blk.Values = append(out, blk.Values[done:]...)
	}
	b.checked[blk.ID] = checked
}

// entry is what all predecessors have checked. At a loop's head the engine
// knows nothing.
func (b *bounder) entry(in []inEdge) ir.Set {
	checked := ir.Set(b.words.Take(ir.SetWords(len(b.reach))))
	for _, e := range in {
		if b.checked[e.from.ID] == nil {
			return checked
		}
	}
	for i, e := range in {
		for w, x := range b.checked[e.from.ID] {
			if i == 0 {
				checked[w] = x
			} else {
				checked[w] &= x
			}
		}
	}
	return checked
}
