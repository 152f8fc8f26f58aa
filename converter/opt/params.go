package opt

import "github.com/megabin/megabin/converter/ir"

// params removes block parameters whose arguments are all the same value (or
// the parameter itself). Braun et al., "Simple and Efficient Construction of
// Static Single Assignment Form", 3.2.
func params(f *ir.Func) {
	in := predecessors(f)
	repl := replacer{}
	order := reversePostorder(f)
	for changed := true; changed; {
		changed = false
		for _, b := range order {
			for i, p := range b.Params {
				if _, gone := repl[p]; gone {
					continue
				}
				if x := onlyArg(in[b.ID], i, p, repl); x != nil {
					repl[p] = x
					changed = true
				}
			}
		}
	}
	repl.apply(f)
	dropParams(f, in, func(p *ir.Value) bool { _, gone := repl[p]; return gone })
}

func onlyArg(in []inEdge, i int, p *ir.Value, repl replacer) *ir.Value {
	var only *ir.Value
	for _, e := range in {
		x := repl.of(e.edge.Args[i])
		switch {
		case x == p || x == only:
		case only == nil:
			only = x
		default:
			return nil
		}
	}
	return only
}

// dropParams removes the parameters that gone names, and their arguments.
func dropParams(f *ir.Func, in [][]inEdge, gone func(*ir.Value) bool) {
	for _, b := range f.Blocks {
		keep := make([]bool, len(b.Params))
		n := 0
		for i, p := range b.Params {
			if keep[i] = !gone(p); keep[i] {
				n++
			}
		}
		if n == len(b.Params) {
			continue
		}
		b.Params = filter(b.Params, keep)
		for _, e := range in[b.ID] {
			e.edge.Args = filter(e.edge.Args, keep)
		}
	}
}

func filter(vs []*ir.Value, keep []bool) []*ir.Value {
	out := vs[:0]
	for i, v := range vs {
		if keep[i] {
			out = append(out, v)
		}
	}
	return out
}
