package opt

import "github.com/megabin/megabin/converter/ir"

// maxFrame bounds the span of stack offsets that frame handles, in bytes.
const maxFrame = 1 << 20

// frame makes every access at a known distance from sp one at a non-negative
// offset from the lowest such address. The engine checks an access only
// when its base is new or its offset larger than before.
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
		out := make([]*ir.Value, 0, len(b.Values)+1)
		at := func(sp *ir.Value) *ir.Value {
			k, ok := spDistance(sp)
			switch {
			case !ok:
				return sp
			case k == lowest:
				return base
			}
			c := f.NewValue(ir.Const32, ir.I32)
			c.Aux = k - lowest
			sum := f.NewValue(ir.I32Add, ir.I32, base, c)
			c.Block, sum.Block = b, b
			out = append(out, c, sum)
			return sum
		}
		for _, v := range b.Values {
			if v.Op == ir.Call {
				v.Args[0] = at(v.Args[0])
			}
			out = append(out, v)
		}
		if b.Term.Kind == ir.Return {
			b.Term.Args[3] = at(b.Term.Args[3])
		}
		b.Values = out
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
	entry.Values = append(out, entry.Values...)
	return base
}
