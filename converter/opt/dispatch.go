package opt

import (
	"encoding/binary"

	"github.com/megabin/megabin/converter/ir"
)

// minShared is the number of edges from which on switches are shared: an
// interpreter with a jump through its table at the end of each operation has
// the square of the number of operations.
const minShared = 512

// dispatch makes one block switch for all switches of f that have the same
// targets: each becomes a jump to that block with its index.
func dispatch(f *ir.Func) {
	groups := map[string][]*ir.Block{}
	var order []string
	for _, b := range f.Blocks {
		if b.Term.Kind != ir.Switch {
			continue
		}
		k := targetsKey(b)
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], b)
	}
	for _, k := range order {
		if g := groups[k]; len(g) > 1 && len(g)*len(g[0].Term.Succs) >= minShared {
			share(f, g)
		}
	}
}

// targetsKey is equal for switches with the same targets but for the default.
// A switch that goes to its default from within the table is like no other.
func targetsKey(b *ir.Block) string {
	succs := b.Term.Succs
	last := len(succs) - 1
	k := make([]byte, 0, 4*len(succs))
	for _, e := range succs[:last] {
		if e.To == succs[last].To {
			return string(binary.LittleEndian.AppendUint32([]byte("alone"), uint32(b.ID)))
		}
		k = binary.LittleEndian.AppendUint32(k, uint32(e.To.ID))
	}
	return string(k)
}

// share makes the switches at the ends of sites jump to one.
func share(f *ir.Func, sites []*ir.Block) {
	n := len(sites[0].Term.Succs) - 1
	d := &merger{f: f, sites: sites, block: f.NewBlock(sites[0].Addr), classes: map[string]*ir.Value{}, args: make([][]*ir.Value, len(sites))}
	t := ir.Term{Kind: ir.Switch, Cond: d.param(ir.I32, ir.NoReg, func(b *ir.Block) *ir.Value { return b.Term.Cond })}
	for k := range n {
		e := ir.Edge{To: sites[0].Term.Succs[k].To}
		for j, p := range e.To.Params {
			e.Args = append(e.Args, d.param(p.Type, p.Aux, func(b *ir.Block) *ir.Value { return b.Term.Succs[k].Args[j] }))
		}
		t.Succs = append(t.Succs, e)
	}
	never := f.NewBlock(sites[0].Addr) // sites look at the range themselves
	never.Term.Kind = ir.Unreachable
	t.Succs = append(t.Succs, ir.Edge{To: never})
	d.block.Term = t
	for i, b := range sites {
		d.jump(b, n, d.args[i])
	}
}

// merger collects what sites hand to the block they share.
type merger struct {
	f       *ir.Func
	sites   []*ir.Block
	block   *ir.Block
	classes map[string]*ir.Value // by the values at all sites
	args    [][]*ir.Value        // by site
}

// param is the shared block's value for what of gives at each site. What is
// the same at all sites as something else has one parameter with it; an equal
// constant needs none. reg is the register that it is the value of.
func (d *merger) param(t ir.Type, reg int64, of func(*ir.Block) *ir.Value) *ir.Value {
	key := []byte{byte(t)}
	constant := true
	for _, b := range d.sites {
		v := of(b)
		c, ok := v.IsConst()
		if ok {
			key = binary.LittleEndian.AppendUint64(append(key, 1), uint64(c))
		} else {
			key = binary.LittleEndian.AppendUint64(append(key, 0), uint64(v.ID))
		}
		first, _ := of(d.sites[0]).IsConst()
		constant = constant && ok && c == first
	}
	if p := d.classes[string(key)]; p != nil {
		if p.Op == ir.Param && p.Aux != reg {
			p.Aux = ir.NoReg
		}
		return p
	}
	var p *ir.Value
	if constant {
		p = ir.Builder{B: d.block}.Const(t, of(d.sites[0]).Aux)
	} else {
		p = d.block.AddParam(t)
		p.Aux = reg
		for i, b := range d.sites {
			d.args[i] = append(d.args[i], of(b))
		}
	}
	d.classes[string(key)] = p
	return p
}

// jump replaces b's switch by a look at the range.
func (d *merger) jump(b *ir.Block, n int, args []*ir.Value) {
	to := ir.Edge{To: d.block, Args: args}
	if ir.Below(b.Term.Cond, int64(n)) {
		b.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{to}, State: b.Term.State}
		return
	}
	builder := ir.Builder{B: b}
	in := builder.Bin(ir.I32LtU, b.Term.Cond, builder.Const32(int64(n)))
	b.Term = ir.Term{Kind: ir.Branch, Cond: in, Succs: []ir.Edge{to, b.Term.Succs[n]}, State: b.Term.State}
}
