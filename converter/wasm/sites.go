package wasm

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// Site is a place in a function's body where execution can go on with an
// empty wasm stack: after a call whose return address was right, or after a
// system call.
type Site struct {
	Return uint32 // unit offset of the guest's return address
	Off    uint32 // byte offset in Body
	Locals []SiteLocal
}

// SourceKind says where a resumed function takes a local from.
type SourceKind uint8

// Sources.
const (
	FromReg    SourceKind = iota // register Reg of the register file (to an i32 local its low half) plus Value
	FromSP                       // linear address of rsp at the site (i32, to an i64 local zero-extended) plus Value
	FromLin                      // the unit's linear address, likewise, plus Value
	FromConst                    // Value
	FromResult                   // the call's result: 0 rax, 1 rdx
	Unknown                      // nothing names it: the site can't be resumed
)

// SiteLocal says how to set one local at a site.
type SiteLocal struct {
	Local uint32
	Kind  SourceKind
	Reg   abi.Reg
	Value int64
}

// site records that a resumed function may start here.
func (e *emitter) site(v *ir.Value) {
	e.setEnd = -1 // what follows starts with an empty operand stack
	s := Site{Return: v.Info.Return, Off: uint32(len(e.b))}
	if e.counterLocal >= 0 {
		s.Locals = append(s.Locals, SiteLocal{Local: uint32(e.counterLocal), Kind: FromConst, Value: abi.LoopStrip})
	}
	sp, spKnown := siteSP(v)
	for _, at := range e.c.siteLive[v] {
		l := e.source(v, at, sp, spKnown)
		l.Local = uint32(e.c.slots[at].local)
		s.Locals = append(s.Locals, l)
	}
	e.sites = append(e.sites, s)
}

// siteSP is rsp after the call, as a distance from the function's sp.
func siteSP(v *ir.Value) (int64, bool) {
	if v.Op == ir.Call {
		base, d := distance(v.Args[0])
		return d + 8, base.Op == ir.SP
	}
	for _, r := range v.Info.State {
		if r.Reg == abi.RSP {
			base, d := distance(r.Value)
			return d - abi.PageBias, base.Op == ir.SP
		}
	}
	return 0, false
}

// source finds where a resumed function can take a slot from.
func (e *emitter) source(call *ir.Value, at int32, sp int64, spKnown bool) SiteLocal {
	v := e.c.slots[at].v
	if at == e.c.linAt {
		return SiteLocal{Kind: FromLin}
	}
	for i, r := range e.c.results[call.ID] {
		if r == v {
			return SiteLocal{Kind: FromResult, Value: int64(i)}
		}
	}
	if v == call {
		return SiteLocal{Kind: FromResult}
	}
	if l, ok := e.register(call, v, 0); ok {
		return l
	}
	base, d := distance(v)
	switch {
	case base.Op == ir.SP && spKnown:
		return SiteLocal{Kind: FromSP, Value: d - sp}
	case base.Op == ir.Lin:
		return SiteLocal{Kind: FromLin, Value: d}
	case v.Type == ir.I32 || sums64(v, base):
		if l, ok := e.register(call, base, d); ok {
			return l
		}
	}
	return SiteLocal{Kind: Unknown}
}

// register finds a register that holds v at the call.
func (e *emitter) register(call, v *ir.Value, plus int64) (SiteLocal, bool) {
	for _, r := range call.Info.State {
		if e.c.canon(r.Value) == e.c.canon(v) {
			return SiteLocal{Kind: FromReg, Reg: r.Reg, Value: plus}, true
		}
	}
	return SiteLocal{}, false
}

// sums64 reports whether v is base plus constants in 64 bits throughout.
func sums64(v, base *ir.Value) bool {
	for v != base && v.Op == ir.I64Add {
		v = v.Args[0]
	}
	return v == base
}

// distance takes v apart into a base and a constant, modulo 2³². Addresses do
// not wrap, so for them it does not matter where they are extended.
func distance(v *ir.Value) (base *ir.Value, d int64) {
	switch v.Op {
	case ir.I64ExtendI32U, ir.I32WrapI64:
		return distance(v.Args[0])
	case ir.I32Add, ir.I64Add:
		if c, ok := v.Args[1].IsConst(); ok {
			base, d = distance(v.Args[0])
			return base, d + c
		}
	}
	return v, 0
}
