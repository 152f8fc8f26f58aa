package wasm

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
)

// A site is a place where execution can go on with an empty wasm stack: after
// a call whose return address was right, after a system call, after a poll.
// All that the guest's processor would have is in the register file there, so
// a site is that place and the code which sets the locals that are live from
// the register file. Values that the file does not hold by name are made again
// from those it holds; those that can't be (they would have to be loaded) make
// the site unusable.

// callSite notes that a resumed function may start here, after call or system
// call v.
func (e *emitter) callSite(v *ir.Value) {
	r := newRestorer(e)
	r.results(v)
	if v.Op == ir.Call {
		r.linear(v.Args[0], 8)
	}
	if v.Info.SP != nil {
		r.register(abi.RSP, v.Info.SP, -8)
	}
	for _, s := range v.Info.State {
		if s.Kept {
			r.register(s.Reg, s.Value, 0)
		}
	}
	e.site(v.Info.Return, r, e.c.siteLive[v])
}

// pollSite notes that a resumed function may start here, in front of block b,
// where the register file has what b.Poll says.
func (e *emitter) pollSite(b *ir.Block) {
	r := newRestorer(e)
	for _, s := range b.Poll {
		r.register(s.Reg, s.Value, 0)
	}
	e.site(b.Addr, r, e.c.pollLive[b])
}

// site ends the emission of what is in front of a site: what follows starts
// with an empty operand stack.
func (e *emitter) site(at uint32, r *restorer, live []int32) {
	e.setEnd = -1
	s := unit.Site{At: at, Off: uint32(len(e.b))}
	if e.counterLocal >= 0 {
		s.Restore = append(s.Restore, e.code(func() {
			e.constI32(abi.LoopStrip)
			e.local(opLocalSet, e.counterLocal)
		}))
	}
	for _, at := range live {
		v := e.c.slots[at].v
		code, ok := r.value(v, 0)
		if at == e.c.linAt {
			code, ok = e.lin(), true
		}
		if !ok {
			e.lost++
			return
		}
		set := e.code(func() { e.local(opLocalSet, e.c.slots[at].local) })
		s.Restore = append(s.Restore, append(code[:len(code):len(code)], set...))
	}
	e.sites = append(e.sites, s)
}

// code is what emit writes, by itself.
func (e *emitter) code(emit func()) []byte {
	b := e.b
	e.b, e.setEnd = nil, -1
	emit()
	code := e.b
	e.b, e.setEnd = b, -1
	return code
}

func (e *emitter) lin() []byte {
	return e.code(func() { e.global(opGlobalGet, abi.GlobalLin) })
}

// restorer finds code for values at one site.
type restorer struct {
	e     *emitter
	known map[*ir.Value][]byte // nil: there is none
	sp    []byte               // of the function's stack pointer, if known
}

func newRestorer(e *emitter) *restorer {
	return &restorer{e: e, known: map[*ir.Value][]byte{}}
}

// results says that rax and rdx are what call v gave.
func (r *restorer) results(v *ir.Value) {
	rax := r.global(abi.RAX)
	if v.Op == ir.Syscall {
		r.learn(v, rax)
		return
	}
	for i, code := range [][]byte{rax, r.global(abi.RDX)} {
		if res := r.e.c.results[v.ID][i]; res != nil {
			r.learn(res, code)
		}
	}
}

// register says that reg plus d is v.
func (r *restorer) register(reg abi.Reg, v *ir.Value, d int64) {
	code := r.global(reg)
	if d != 0 {
		code = r.add(code, ir.I64, d)
	}
	r.learn(v, code)
}

func (r *restorer) global(reg abi.Reg) []byte {
	return r.e.code(func() { r.e.global(opGlobalGet, uint32(reg)) })
}

// linear says that rsp is the linear address v plus d.
func (r *restorer) linear(v *ir.Value, d int64) {
	r.learn(v, r.add(append(r.global(abi.RSP), opI32WrapI64), ir.I32, -d-abi.PageBias))
}

func (r *restorer) add(code []byte, t ir.Type, c int64) []byte {
	return append(code[:len(code):len(code)], r.e.code(func() {
		if t == ir.I32 {
			r.e.constI32(c)
			r.e.op(opI32Add)
		} else {
			r.e.constI64(c)
			r.e.op(opI64Add)
		}
	})...)
}

// learn says that code gives v, and so what v was made from by operations
// that can be undone.
func (r *restorer) learn(v *ir.Value, code []byte) {
	v = r.e.c.canon(v)
	if r.known[v] == nil {
		r.known[v] = code
	}
	switch v.Op {
	case ir.SP:
		if r.sp == nil {
			r.sp = code
		}
	case ir.I64ExtendI32U, ir.I64ExtendI32S:
		r.learn(v.Args[0], append(code[:len(code):len(code)], opI32WrapI64))
	case ir.I32Add, ir.I64Add:
		if c, ok := v.Args[1].IsConst(); ok {
			r.learn(v.Args[0], r.add(code, v.Type, -c))
		}
	}
}

// maxRemade bounds the depth of expressions that are made again.
const maxRemade = 12

// value is code for v.
func (r *restorer) value(v *ir.Value, depth int) ([]byte, bool) {
	if v == nil {
		return nil, false
	}
	v = r.e.c.canon(v)
	if code, ok := r.known[v]; ok {
		return code, code != nil
	}
	code, ok := r.remake(v, depth)
	if !ok {
		code = nil
	}
	r.known[v] = code
	return code, ok
}

func (r *restorer) remake(v *ir.Value, depth int) ([]byte, bool) {
	switch v.Op {
	case ir.SP:
		return r.sp, r.sp != nil
	case ir.EntrySP:
		if r.sp == nil { // the frame is on another stack
			return r.e.code(func() { r.e.constI32(0) }), true
		}
		return r.sp, true
	case ir.Lin:
		return r.e.lin(), true
	case ir.Param, ir.Arg, ir.Result, ir.Helper2:
		return nil, false
	}
	if v.Op.Info().Effect != ir.Pure || depth == maxRemade {
		return nil, false
	}
	var code []byte
	for _, a := range v.Args {
		c, ok := r.value(a, depth+1)
		if !ok {
			return nil, false
		}
		code = append(code, c...)
	}
	return append(code, r.e.code(func() { r.e.operation(v) })...), true
}
