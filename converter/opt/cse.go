package opt

import "github.com/megabin/megabin/converter/ir"

// cse computes equal values once, within blocks that follow one another
// without a join. What it knows is dropped at calls, so that nothing but
// register values lives across one.
func cse(f *ir.Func) {
	c := &cser{f: f, in: predecessors(f), repl: replacer{}, known: make([]map[key]*ir.Value, len(f.Blocks))}
	for _, b := range reversePostorder(f) {
		c.block(b)
	}
	c.repl.apply(f)
}

// key identifies a computation.
type key struct {
	op         ir.Op
	typ        ir.Type
	aux, aux2  int64
	a0, a1, a2 *ir.Value
}

type cser struct {
	f     *ir.Func
	in    [][]inEdge
	repl  replacer
	known []map[key]*ir.Value // at each block's end
}

func (c *cser) block(b *ir.Block) {
	known := map[key]*ir.Value{}
	if in := c.in[b.ID]; len(in) == 1 {
		for k, v := range c.known[in[0].from.ID] {
			known[k] = v
		}
	}
	out := b.Values[:0]
	for _, v := range b.Values {
		v.Operands(func(p **ir.Value) { *p = c.repl.of(*p) })
		if c.reuse(known, v) {
			continue
		}
		out = append(out, v)
	}
	b.Values = out
	c.known[b.ID] = nil
	for _, e := range b.Term.Succs { // keep what a block with this one predecessor can use
		if len(c.in[e.To.ID]) == 1 {
			c.known[b.ID] = known
		}
	}
}

// reuse reports whether v is computed already; otherwise it notes v, or what
// v makes unknown.
func (c *cser) reuse(known map[key]*ir.Value, v *ir.Value) bool {
	switch v.Op.Info().Effect {
	case ir.Anything:
		clear(known)
		return false
	case ir.WriteReg:
		forget(known, func(k key) bool { return k.op == ir.GetReg && k.aux == v.Aux })
		return false
	case ir.WriteMem:
		c.store(known, v)
		return false
	}
	if v.Op == ir.Result || v.Op == ir.Helper2 {
		return false
	}
	k := keyOf(v)
	if w := known[k]; w != nil {
		c.repl[v] = w
		return true
	}
	known[k] = v
	return false
}

func keyOf(v *ir.Value) key {
	k := key{op: v.Op, typ: v.Type, aux: v.Aux, aux2: v.Aux2}
	for i, a := range v.Args {
		switch i {
		case 0:
			k.a0 = a
		case 1:
			k.a1 = a
		case 2:
			k.a2 = a
		}
	}
	return k
}

func forget(known map[key]*ir.Value, drop func(key) bool) {
	for k := range known {
		if drop(k) {
			delete(known, k)
		}
	}
}

// widths of accesses in bytes.
var widths = map[ir.Op]int64{
	ir.Load32: 4, ir.Load8U32: 1, ir.Load8S32: 1, ir.Load16U32: 2, ir.Load16S32: 2, ir.Load64: 8, ir.Load8U64: 1, ir.Load8S64: 1,
	ir.Load16U64: 2, ir.Load16S64: 2, ir.Load32U64: 4, ir.Load32S64: 4, ir.LoadF32: 4, ir.LoadF64: 8, ir.LoadV128: 16, ir.Load32Zero: 4, ir.Load64Zero: 8,
	ir.Store32: 4, ir.Store8x32: 1, ir.Store16x32: 2, ir.Store64: 8, ir.Store8x64: 1, ir.Store16x64: 2, ir.Store32x64: 4,
	ir.StoreF32: 4, ir.StoreF64: 8, ir.StoreV128: 16,
}

// loadOf is the load that gives back what a store of the same width stored.
var loadOf = map[ir.Op]ir.Op{ir.Store32: ir.Load32, ir.Store64: ir.Load64, ir.StoreF32: ir.LoadF32, ir.StoreF64: ir.LoadF64, ir.StoreV128: ir.LoadV128}

// store forgets the loads that v may change, and remembers what it stored.
func (c *cser) store(known map[key]*ir.Value, v *ir.Value) {
	w, plain := widths[v.Op]
	forget(known, func(k key) bool {
		lw, load := widths[k.op]
		if !load {
			return false
		}
		apart := plain && k.a0 == v.Args[0] && (k.aux+lw <= v.Aux || v.Aux+w <= k.aux)
		return !apart
	})
	if op, ok := loadOf[v.Op]; ok {
		known[key{op: op, typ: op.Info().Result, aux: v.Aux, a0: v.Args[0]}] = v.Args[1]
	}
}
