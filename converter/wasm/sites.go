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
	FromReg    SourceKind = iota // register Reg of the register file
	FromSP                       // linear address of rsp at the site, plus Value
	FromLin                      // the unit's linear address
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
		d, ok := spDistance(v.Args[0])
		return d + 8, ok
	}
	for _, r := range v.Info.State {
		if r.Reg == abi.RSP {
			d, ok := spDistance(r.Value)
			return d - abi.PageBias, ok
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
	for _, r := range call.Info.State {
		if e.c.canon(r.Value) == v {
			return SiteLocal{Kind: FromReg, Reg: r.Reg}
		}
	}
	if d, ok := spDistance(v); ok && spKnown && v.Type == ir.I32 {
		return SiteLocal{Kind: FromSP, Value: d - sp}
	}
	return SiteLocal{Kind: Unknown}
}

// spDistance is v as a distance from the function's sp.
func spDistance(v *ir.Value) (int64, bool) {
	switch v.Op {
	case ir.SP:
		return 0, true
	case ir.I64ExtendI32U, ir.I32WrapI64:
		return spDistance(v.Args[0])
	case ir.I32Add, ir.I64Add:
		c, ok := v.Args[1].IsConst()
		if !ok {
			return 0, false
		}
		d, ok := spDistance(v.Args[0])
		return d + c, ok
	}
	return 0, false
}
