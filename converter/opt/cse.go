package opt

import (
	"sync"

	"github.com/megabin/megabin/converter/ir"
)

// cse computes equal values once, within blocks that follow one another
// without a join. What it knows is dropped at calls, so that nothing but
// register values lives across one.
func cse(f *ir.Func) {
	known := tables.Get().(*computed)
	m := takeScratch()
	defer m.giveBack()
	c := &cser{repl: replacer{f: f}, next: m.next.Take(len(f.Blocks)), known: known}
	first := m.blocks.Take(len(f.Blocks))[:0]
	in := m.predecessors(f)
	for _, b := range m.reversePostorder(f) {
		if in := in[b.ID]; len(in) == 1 {
			next := &c.next[in[0].from.ID]
			if *next == nil {
				*next = m.blocks.Take(len(in[0].from.Term.Succs))[:0]
			}
			*next = append(*next, b)
		} else {
			first = append(first, b)
		}
	}
	for _, b := range first {
		c.block(b)
	}
	tables.Put(known)
	c.repl.apply()
}

type cser struct {
	repl  replacer
	next  [][]*ir.Block // by block ID: the blocks that have it as their only predecessor
	known *computed     // here
}

// tables keeps the memory of finished functions for the next ones.
var tables = sync.Pool{New: func() any { return newComputed() }}

// block goes through b and those that only b leads to.
func (c *cser) block(b *ir.Block) {
	before := c.known.mark()
	out := b.Values[:0]
	for _, v := range b.Values {
		c.repl.operands(v)
		if !c.reuse(v) {
			out = append(out, v)
		}
	}
	b.Values = out
	for _, to := range c.next[b.ID] {
		c.block(to)
	}
	c.known.backTo(before)
}

// reuse reports whether v is computed already; otherwise it notes v, or what
// v makes unknown.
func (c *cser) reuse(v *ir.Value) bool {
	switch v.Op.Info().Effect {
	case ir.Anything:
		c.known.forgetAll()
		return false
	case ir.WriteReg:
		c.known.forget(key{op: ir.GetReg, typ: v.Args[0].Type, aux: v.Aux})
		return false
	case ir.WriteMem:
		c.store(v)
		return false
	}
	if v.Op == ir.Result || v.Op == ir.Helper2 {
		return false
	}
	k := keyOf(v)
	if w := c.known.find(k); w != nil {
		c.repl.set(v, w)
		return true
	}
	c.known.learn(k, v)
	return false
}

func isLoad(op ir.Op) bool { return op >= ir.Load32 && op <= ir.Load64Zero }

// loadOf is the load that gives back what a store of the same width stored.
var loadOf = map[ir.Op]ir.Op{ir.Store32: ir.Load32, ir.Store64: ir.Load64, ir.StoreF32: ir.LoadF32, ir.StoreF64: ir.LoadF64, ir.StoreV128: ir.LoadV128}

// store forgets the loads that v may change, and remembers what it stored.
func (c *cser) store(v *ir.Value) {
	w := int64(v.Op.Width())
	if w == 0 {
		c.known.forgetLoads(func(*key) bool { return true })
		return
	}
	base := number(v.Args[0])
	c.known.forgetLoads(func(k *key) bool {
		return k.args[0] != base || k.aux < v.Aux+w && v.Aux < k.aux+int64(k.op.Width())
	})
	if op, ok := loadOf[v.Op]; ok {
		c.known.learn(key{op: op, typ: op.Info().Result, aux: v.Aux, args: [3]int32{base}}, v.Args[1])
	}
}
