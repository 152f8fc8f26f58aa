package opt

import "github.com/megabin/megabin/converter/ir"

// demanded makes do with the bits that something reads. x86 code writes parts of registers, which
// the lifter merges with what was there; hardly ever anything reads that.
//
// A backward data flow finds which bits of each value are demanded, through blocks'
// parameters too. It begins with none, so that what loops only hand round is not
// demanded by that. Then a use of a value that differs from one of its own operands only in bits
// which the use does not demand becomes a use of that operand.
//
// What states list is no use, as for dce: what they say to be in the register file
// was written there with all its bits.
func demanded(f *ir.Func) {
	m := takeScratch()
	defer m.giveBack()
	n := f.NumValues()
	d := &demander{scratch: m, f: f, in: m.predecessors(f), order: m.postorder(f), bits: m.masks.Take(n), possible: m.masks.Take(n), stale: m.bools.Take(len(f.Blocks)), span: m.numbers.Take(n)}
	d.findPossible()
	d.findSpans()
	d.solve()
	d.rewrite()
}

type demander struct {
	*scratch
	f        *ir.Func
	in       [][]inEdge
	order    []*ir.Block // postorder
	bits     []uint64    // by value: those demanded of it
	possible []uint64    // by value: those that may be 1
	stale    []bool      // by block: more is demanded of its values than it knows
	span     []int32     // by value: see findSpans
	atEnd    []int32     // by block: the span of its end
}

func (d *demander) mayBe(v *ir.Value) uint64 { return d.possible[v.ID] }

func (d *demander) findPossible() {
	for k := len(d.order) - 1; k >= 0; k-- {
		b := d.order[k]
		for _, p := range b.Params {
			d.possible[p.ID] = allBits(p.Type)
		}
		for _, v := range b.Values {
			d.possible[v.ID] = possibleBits(v, d.mayBe)
		}
	}
}

// findSpans gives the same number to the values between which no call, system call or poll
// can be. Behind one of those only the registers are known: what a value was made of
// is not to be used there in its place.
func (d *demander) findSpans() {
	atEnd := d.numbers.Take(len(d.f.Blocks))
	last := int32(0)
	for k := len(d.order) - 1; k >= 0; k-- {
		b := d.order[k]
		span := last + 1
		if in := d.in[b.ID]; len(in) == 1 && b.Poll == nil {
			span = atEnd[in[0].from.ID]
		}
		last = max(last, span)
		for _, p := range b.Params {
			d.span[p.ID] = span
		}
		for _, v := range b.Values {
			if v.Info != nil {
				last++
				span = last
			}
			d.span[v.ID] = span
		}
		atEnd[b.ID] = span
	}
	d.atEnd = atEnd
}

// solve grows the demands to a fixed point.
func (d *demander) solve() {
	for _, b := range d.order {
		d.stale[b.ID] = true
	}
	for again := true; again; {
		again = false
		for _, b := range d.order {
			if d.stale[b.ID] {
				d.stale[b.ID] = false
				d.block(b)
				again = true
			}
		}
	}
}

// block hands on what is demanded of b's values to their operands.
func (d *demander) block(b *ir.Block) {
	all := func(v *ir.Value) { d.demand(v, allBits(v.Type), b) }
	if b.Term.Cond != nil {
		all(b.Term.Cond)
	}
	for _, v := range b.Term.Args {
		all(v)
	}
	for i := len(b.Values) - 1; i >= 0; i-- {
		v := b.Values[i]
		bits := d.of(v)
		if bits == 0 {
			continue
		}
		for k, a := range v.Args {
			if d.bits[a.ID] != allBits(a.Type) { // there is more to demand
				d.demand(a, demandedBits(v, k, bits, d.mayBe), b)
			}
		}
	}
	for _, p := range b.Poll {
		if !p.Kept {
			all(p.Value)
		}
	}
	for i, p := range b.Params {
		for _, e := range d.in[b.ID] {
			d.demand(e.edge.Args[i], d.bits[p.ID], nil)
		}
	}
}

// of is what is demanded of v; what has an effect takes all of its operands.
func (d *demander) of(v *ir.Value) uint64 {
	if hasEffect(v) {
		return 1<<64 - 1
	}
	return d.bits[v.ID]
}

// demand adds to what is demanded of v. Block b, if it is v's, is at a place behind v.
func (d *demander) demand(v *ir.Value, bits uint64, b *ir.Block) {
	if bits&^d.bits[v.ID] == 0 {
		return
	}
	d.bits[v.ID] |= bits
	if v.Block != b {
		d.stale[v.Block.ID] = true
	}
}

// rewrite makes operands of what is left of them.
func (d *demander) rewrite() {
	for k := len(d.order) - 1; k >= 0; k-- {
		b := d.order[k]
		for _, v := range b.Values {
			bits := d.of(v)
			if bits == 0 { // a call's SP may be this, which tells what else is known at its site
				continue
			}
			for i, a := range v.Args {
				if strips[a.Op] {
					v.Args[i] = d.strip(a, demandedBits(v, i, bits, d.mayBe), d.span[v.ID])
				}
			}
		}
		d.end(b)
	}
}

func (d *demander) end(b *ir.Block) {
	span := d.atEnd[b.ID]
	if b.Term.Cond != nil {
		b.Term.Cond = d.strip(b.Term.Cond, allBits(b.Term.Cond.Type), span)
	}
	for i, v := range b.Term.Args {
		b.Term.Args[i] = d.strip(v, allBits(v.Type), span)
	}
	for i := range b.Term.Succs {
		e := &b.Term.Succs[i]
		for k, p := range e.To.Params {
			e.Args[k] = d.strip(e.Args[k], d.bits[p.ID], span)
		}
	}
}

// strip is what may stand for v in the span where it is used if bits are all that are demanded.
func (d *demander) strip(v *ir.Value, bits uint64, span int32) *ir.Value {
	for d.span[v.ID] == span {
		x := d.operand(v, bits)
		if x == nil || bits&^d.bits[x.ID] != 0 { // x has no more than what was demanded of it
			break
		}
		v = x
	}
	return v
}

// strips are the operations that operand looks through.
var strips = func() []bool {
	list := make([]bool, ir.Ops())
	for _, op := range []ir.Op{ir.I32And, ir.I64And, ir.I32Or, ir.I64Or, ir.I32Xor, ir.I64Xor, ir.I32Add, ir.I64Add, ir.I32Extend8S, ir.I64Extend8S, ir.I32Extend16S, ir.I64Extend16S, ir.I64Extend32S, ir.I32WrapI64} {
		list[op] = true
	}
	return list
}()

// operand is what v has the same bits as, of those that are demanded, or nil.
func (d *demander) operand(v *ir.Value, bits uint64) *ir.Value {
	switch op := form32(v.Op); op {
	case ir.I32And:
		if c, ok := v.Args[1].IsConst(); ok && bits&d.mayBe(v.Args[0])&^uint64(c) == 0 {
			return v.Args[0]
		}
	case ir.I32Or, ir.I32Xor:
		for i, a := range v.Args {
			if bits&d.mayBe(a) == 0 {
				return v.Args[1-i]
			}
		}
	case ir.I32Add:
		for i, a := range v.Args {
			if upTo(bits)&d.mayBe(a) == 0 {
				return v.Args[1-i]
			}
		}
	case ir.I32Extend8S:
		return low(v, bits, 7)
	case ir.I32Extend16S:
		return low(v, bits, 15)
	case ir.I64Extend32S:
		return low(v, bits, 31)
	case ir.I32WrapI64:
		if x := v.Args[0]; x.Op == ir.I64ExtendI32U || x.Op == ir.I64ExtendI32S {
			return x.Args[0]
		}
	}
	return nil
}

// low is v's operand if no bits from n+1 on are demanded.
func low(v *ir.Value, bits uint64, n int) *ir.Value {
	if bits>>(n+1) != 0 {
		return nil
	}
	return v.Args[0]
}
