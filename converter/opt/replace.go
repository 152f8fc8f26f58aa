package opt

import "github.com/megabin/megabin/converter/ir"

// replacer forwards values to what stands for them.
type replacer struct {
	f  *ir.Func
	to ir.Table[*ir.Value] // nil as long as there is nothing to replace
}

func (r *replacer) set(v, by *ir.Value) {
	if r.to == nil {
		r.to = ir.NewTable[*ir.Value](r.f)
	}
	r.to.Set(v, by)
}

func (r *replacer) has(v *ir.Value) bool { return r.to.Get(v) != nil }

func (r *replacer) of(v *ir.Value) *ir.Value {
	for {
		w := r.to.Get(v)
		if w == nil {
			return v
		}
		if x := r.to.Get(w); x != nil { // shorten the path
			r.to.Set(v, x)
		}
		v = w
	}
}

// apply rewrites all uses.
func (r *replacer) apply() {
	if r.to == nil {
		return
	}
	for _, b := range r.f.Blocks {
		for _, v := range b.Values {
			r.operands(v)
		}
		r.state(b.Poll)
		r.term(&b.Term)
	}
}

// operands rewrites what v uses, its call state included.
func (r *replacer) operands(v *ir.Value) {
	r.values(v.Args)
	r.info(v.Info)
}

func (r *replacer) term(t *ir.Term) {
	if t.Cond != nil {
		t.Cond = r.of(t.Cond)
	}
	r.values(t.Args)
	for i := range t.Succs {
		r.values(t.Succs[i].Args)
	}
	r.info(t.Info)
	r.state(t.State)
}

func (r *replacer) info(info *ir.CallInfo) {
	if info == nil {
		return
	}
	r.state(info.State)
	if info.SP != nil {
		info.SP = r.of(info.SP)
	}
}

func (r *replacer) values(vs []*ir.Value) {
	for i, v := range vs {
		if w := r.of(v); w != v {
			vs[i] = w
		}
	}
}

func (r *replacer) state(s []ir.RegValue) {
	for i := range s {
		if w := r.of(s[i].Value); w != s[i].Value {
			s[i].Value = w
		}
	}
}
