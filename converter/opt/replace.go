package opt

import "github.com/megabin/megabin/converter/ir"

// replacer forwards values to what stands for them.
type replacer struct {
	f    *ir.Func
	some bool // there is something to replace
}

func (r *replacer) set(v, by *ir.Value) {
	v.Instead, r.some = by, true
}

func isReplaced(v *ir.Value) bool { return v.Instead != nil }

// instead is what stands for v in the end.
func instead(v *ir.Value) *ir.Value {
	for v.Instead != nil {
		if x := v.Instead.Instead; x != nil { // shorten the path
			v.Instead = x
		}
		v = v.Instead
	}
	return v
}

// apply rewrites all uses.
func (r *replacer) apply() {
	if !r.some {
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
		t.Cond = instead(t.Cond)
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
		info.SP = instead(info.SP)
	}
}

func (r *replacer) values(vs []*ir.Value) {
	for i, v := range vs {
		if v.Instead != nil {
			vs[i] = instead(v)
		}
	}
}

func (r *replacer) state(s []ir.RegValue) {
	for i := range s {
		if v := s[i].Value; v.Instead != nil {
			s[i].Value = instead(v)
		}
	}
}
