package ir

import (
	"fmt"
	"io"
	"strings"
)

// String is the function's text form, for people and for tests:
//
//	func 0x1000 main
//	b0 0x1000:
//	  v0:i32 = sp
//	  v1:i64 = i64.load v0 +8
//	  branch v1 b1(v0) b2()
func (f *Func) String() string {
	var s strings.Builder
	f.Print(&s)
	return s.String()
}

// Print writes the text form to w.
func (f *Func) Print(w io.Writer) {
	fmt.Fprintf(w, "func %#x %s", f.Entry, f.Name)
	if f.PollAtEntry {
		io.WriteString(w, " poll")
	}
	io.WriteString(w, "\n")
	for _, b := range f.Blocks {
		b.print(w)
	}
}

func (b *Block) print(w io.Writer) {
	fmt.Fprintf(w, "b%d %#x", b.ID, b.Addr)
	if len(b.Params) > 0 {
		fmt.Fprintf(w, "(%s)", list(b.Params, (*Value).def))
	}
	io.WriteString(w, ":")
	if b.Poll != nil {
		fmt.Fprintf(w, " poll %s", stateText(b.Poll))
	}
	io.WriteString(w, "\n")
	for _, v := range b.Values {
		fmt.Fprintf(w, "  %s\n", v.LongString())
	}
	fmt.Fprintf(w, "  %s\n", b.Term.text())
}

// String is the value's name.
func (v *Value) String() string {
	if v == nil {
		return "nil"
	}
	return fmt.Sprintf("v%d", v.ID)
}

func (v *Value) def() string { return fmt.Sprintf("v%d:%v", v.ID, v.Type) }

// LongString is the value with its operation and operands.
func (v *Value) LongString() string {
	var s strings.Builder
	if v.Type != Void {
		s.WriteString(v.def() + " = ")
	}
	s.WriteString(v.Op.String())
	for _, a := range v.Args {
		s.WriteString(" " + a.String())
	}
	s.WriteString(v.immediates())
	if v.Info != nil {
		s.WriteString(v.Info.text())
	}
	return s.String()
}

func (v *Value) immediates() string {
	switch {
	case v.Op == GetReg, v.Op == SetReg, v.Op == Opaque:
		return " " + regName(v.Aux)
	case v.Op >= Load32 && v.Op <= StoreV128:
		return fmt.Sprintf(" +%d", v.Aux)
	case v.Op >= AtomicLoad && v.Op <= AtomicCmpxchg:
		return fmt.Sprintf(" +%d width %d", v.Aux, v.Aux2)
	case v.Op == ConstV128, v.Op == I8x16Shuffle, v.Op == Trap, v.Aux2 != 0:
		return fmt.Sprintf(" %#x %#x", uint64(v.Aux), uint64(v.Aux2))
	case v.Aux != 0, v.Op == Const32, v.Op == Const64, v.Op == ConstF32, v.Op == ConstF64, v.Op == Arg, v.Op == Result, v.Op == Helper, v.Op == X87:
		return fmt.Sprintf(" %d", v.Aux)
	case strings.Contains(v.Op.String(), "_lane"):
		return " 0"
	}
	return ""
}

func (i *CallInfo) text() string {
	target := "indirect"
	if i.Kind == Direct {
		target = fmt.Sprintf("%#x", i.Target)
	}
	return fmt.Sprintf(" -> %s return %#x %s", target, i.Return, stateText(i.State))
}

func stateText(state []RegValue) string {
	return "{" + list(state, func(r RegValue) string { return fmt.Sprintf("%s=%v", regName(int64(r.Reg)), r.Value) }) + "}"
}

func list[T any](xs []T, text func(T) string) string {
	parts := make([]string, len(xs))
	for i, x := range xs {
		parts[i] = text(x)
	}
	return strings.Join(parts, ", ")
}

var termNames = [...]string{"no terminator", "jump", "branch", "switch", "return", "tailcall", "leave", "unreachable"}

func (k TermKind) String() string { return termNames[k] }

func (t *Term) text() string {
	var s strings.Builder
	s.WriteString(t.Kind.String())
	if t.Cond != nil {
		s.WriteString(" " + t.Cond.String())
	}
	for _, a := range t.Args {
		s.WriteString(" " + a.String())
	}
	for _, e := range t.Succs {
		fmt.Fprintf(&s, " b%d(%s)", e.To.ID, list(e.Args, (*Value).String))
	}
	if t.Info != nil {
		s.WriteString(t.Info.text())
	}
	if t.State != nil {
		s.WriteString(" " + stateText(t.State))
	}
	return s.String()
}
