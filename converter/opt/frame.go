package opt

import "github.com/megabin/megabin/converter/ir"

// maxFrame bounds the span of stack offsets that frame handles, in bytes.
const maxFrame = 1 << 20

// frame makes every access at a known distance from sp one at a non-negative
// offset from the lowest such address: they share that one as their base, and wasm's
// offsets can't be negative.
func frame(f *ir.Func) {
	lowest, highest, any := int64(0), int64(0), false
	eachFrameAccess(f, func(v *ir.Value, k int64) {
		lowest, highest, any = min(lowest, k), max(highest, k), true
	})
	if !any || highest-lowest > maxFrame {
		return
	}
	base := frameBase(f, lowest)
	eachFrameAccess(f, func(v *ir.Value, k int64) {
		v.Args[0], v.Aux = base, k-lowest
	})
	rebase(f, base, lowest)
}

// rebase makes the stack pointers that calls and returns hand over from the
// frame's base, so that nothing else has to be kept for them.
func rebase(f *ir.Func, base *ir.Value, lowest int64) {
	if base.Op == ir.SP {
		return
	}
	for _, b := range f.Blocks {
		r := rebaser{b: b, base: base, lowest: lowest}
		for i, v := range b.Values {
			if v.Op == ir.Call {
				v.Args[0] = r.at(v.Args[0], i)
			}
		}
		if b.Term.Kind == ir.Return {
			b.Term.Args[3] = r.at(b.Term.Args[3], len(b.Values))
		}
		r.finish()
	}
}

// rebaser inserts values in one block.
type rebaser struct {
	b      *ir.Block
	base   *ir.Value
	lowest int64
	out    []*ir.Value // what is in front of b.Values[done], with what is inserted
	done   int
}

// at is the stack pointer sp made from the base in front of b.Values[i].
func (r *rebaser) at(sp *ir.Value, i int) *ir.Value {
	k, ok := spDistance(sp)
	switch {
	case !ok:
		return sp
	case k == r.lowest:
		return r.base
	}
	c := r.b.Func.NewValue(ir.Const32, ir.I32)
	c.Aux = k - r.lowest
	sum := r.b.Func.NewValue(ir.I32Add, ir.I32, r.base, c)
	c.Block, sum.Block = r.b, r.b
	if r.out == nil {
		r.out = r.b.Func.List(len(r.b.Values) + 8)
	}
	r.out = append(append(r.out, r.b.Values[r.done:i]...), c, sum)
	r.done = i
	return sum
}

func (r *rebaser) finish() {
	if r.out != nil {
		r.b.Values = append(r.out, r.b.Values[r.done:]...)
	}
}

// eachFrameAccess visits loads and stores at a distance from sp.
func eachFrameAccess(f *ir.Func, visit func(v *ir.Value, k int64)) {
	for _, b := range f.Blocks {
		for _, v := range b.Values {
			if v.Op < ir.Load32 || v.Op > ir.StoreV128 {
				continue
			}
			if k, ok := spDistance(v.Args[0]); ok {
				visit(v, k+v.Aux)
			}
		}
	}
}

func spDistance(a *ir.Value) (int64, bool) {
	if a.Op == ir.SP {
		return 0, true
	}
	if a.Op == ir.I32Add && a.Args[0].Op == ir.SP {
		return a.Args[1].IsConst()
	}
	return 0, false
}

// frameBase is sp+k, computed in the entry block.
func frameBase(f *ir.Func, k int64) *ir.Value {
	entry := f.Blocks[0]
	sp := f.NewValue(ir.SP, ir.I32)
	out := []*ir.Value{sp}
	base := sp
	if k != 0 {
		c := f.NewValue(ir.Const32, ir.I32)
		c.Aux = k
		base = f.NewValue(ir.I32Add, ir.I32, sp, c)
		out = append(out, c, base)
	}
	for _, v := range out {
		v.Block = entry
	}
	prepend(entry, out)
	return base
}
