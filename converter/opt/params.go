package opt

import (
	"slices"

	"github.com/megabin/megabin/converter/ir"
)

// params removes block parameters that can have one value only. It assumes
// that of each until an edge shows another value, so parameters that are
// given to one another around loops go too (Wegman and Zadeck, "Constant
// Propagation with Conditional Branches", 3, with values for constants).
func params(f *ir.Func) {
	m := takeScratch()
	defer m.giveBack()
	in, order := m.predecessors(f), m.reversePostorder(f)
	is := ir.Table[*ir.Value](m.values.Take(f.NumValues())) // a parameter's value so far, itself when it has several; what stands for a constant
	consts := constants{f: f}
	of := func(v *ir.Value) *ir.Value {
		x := is.Get(v)
		if x == nil && v.Op != ir.Param {
			x = consts.shared(v)
			is.Set(v, x)
		}
		return x
	}
	for changed := true; changed; {
		changed = false
		for _, b := range order {
			for i, p := range b.Params {
				if x := meet(in[b.ID], i, p, of); x != is.Get(p) {
					is.Set(p, x)
					changed = true
				}
			}
		}
	}
	repl := replacer{f: f}
	for _, b := range order {
		for _, p := range b.Params {
			if x := is.Get(p); x != nil && x != p {
				repl.set(p, x)
				consts.use(x)
			}
		}
	}
	consts.place()
	repl.apply()
	dropParams(f, in, isReplaced)
}

// constants has one value for all integer constants that are equal, so that
// it can be in a block that dominates all others.
type constants struct {
	f    *ir.Func
	all  map[constant]*ir.Value
	used []*ir.Value
}

type constant struct {
	op  ir.Op
	aux int64
}

func (c *constants) shared(v *ir.Value) *ir.Value {
	aux, ok := v.IsConst()
	if !ok {
		return v
	}
	k := constant{v.Op, aux}
	x := c.all[k]
	if x == nil {
		if c.all == nil {
			c.all = map[constant]*ir.Value{}
		}
		x = c.f.NewValue(v.Op, v.Type)
		x.Aux = aux
		c.all[k] = x
	}
	return x
}

// use notes that v takes the place of a parameter.
func (c *constants) use(v *ir.Value) {
	if _, ok := v.IsConst(); ok && v.Block == nil {
		v.Block = c.f.Blocks[0]
		c.used = append(c.used, v)
	}
}

// place puts the constants that were used in the entry block.
func (c *constants) place() {
	slices.SortFunc(c.used, func(a, b *ir.Value) int { return int(a.ID - b.ID) })
	if len(c.used) > 0 {
		prepend(c.f.Blocks[0], c.used)
	}
}

// meet is the one value that the edges give to parameter i, p, as far as they
// are known to be taken; p if there are several.
func meet(in []inEdge, i int, p *ir.Value, of func(*ir.Value) *ir.Value) *ir.Value {
	if of(p) == p {
		return p
	}
	var only *ir.Value
	for _, e := range in {
		switch x := of(e.edge.Args[i]); {
		case x == nil || x == only:
		case only == nil:
			only = x
		default:
			return p
		}
	}
	return only
}

// dropParams removes the parameters that gone names, and their arguments.
func dropParams(f *ir.Func, in [][]inEdge, gone func(*ir.Value) bool) {
	var keep []bool
	for _, b := range f.Blocks {
		keep = append(keep[:0], make([]bool, len(b.Params))...)
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
