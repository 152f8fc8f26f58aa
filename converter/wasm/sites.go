package wasm

import (
	"slices"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// A site is a place where execution can go on with an empty wasm stack: after
// a call whose return address was right, after a system call, after a poll.
// All that the guest's processor would have is in the register file there, so
// a site is that place and the code which sets the locals that are live from
// the register file. Values that the file does not hold by name are made again
// from those it holds; those that can't be (they would have to be loaded) make
// the site unusable.

// callSite notes that a resumed function may start here, after call, system
// call or place v.
func (e *emitter) callSite(v *ir.Value) {
	live := e.c.call(v).live
	r := e.newSite()
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
	e.site(v.Info.Return, r, live)
}

// pollSite notes that a resumed function may start here, in front of block b,
// where the register file has what b.Poll says.
func (e *emitter) pollSite(b *ir.Block) {
	r := e.newSite()
	for _, s := range b.Poll {
		r.register(s.Reg, s.Value, 0)
	}
	e.site(b.Addr, r, e.c.pollLive[e.c.cfg.Num[b.ID]])
}

// site ends the emission of what is in front of a site: what follows starts
// with an empty operand stack.
func (e *emitter) site(at uint32, r *restorer, live []int32) {
	e.setEnd = -1
	s := unit.Site{At: at, Off: uint32(len(e.b)), Restore: make([][]byte, 0, len(live)+1)}
	if e.counterLocal >= 0 {
		s.Restore = append(s.Restore, e.code(e.refill))
	}
	pieces := make([]byte, 0, 8*len(live)) // one after the other
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
		from := len(pieces)
		pieces = append(append(pieces, code...), opLocalSet)
		pieces = wasmenc.AppendU(pieces, uint64(e.c.slots[at].local))
		s.Restore = append(s.Restore, pieces[from:len(pieces):len(pieces)])
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

func (e *emitter) lin() []byte { return globalGets[abi.GlobalLin] }

// globalGets is the code that reads each global.
var globalGets = func() (code [][]byte) {
	for i := range uint64(abi.GlobalSlots + 1) {
		code = append(code, slices.Clip(wasmenc.AppendU([]byte{opGlobalGet}, i)))
	}
	return code
}()

// restorer finds code for values at one site.
type restorer struct {
	e     *emitter
	site  int32
	codes [][]byte // of what it came across; nil: there is none
	sp    []byte   // of the function's stack pointer, if known
	bytes *ir.Slab[byte]
}

// newSite makes the emitter's restorer forget the site before.
func (e *emitter) newSite() *restorer {
	r := &e.restorer
	r.site++
	r.codes, r.sp = r.codes[:0], nil
	r.bytes.Reset()
	return r
}

// known gives what r knows of v.
func (r *restorer) known(v *ir.Value) (code []byte, ok bool) {
	if info := &r.e.c.values[v.ID]; info.site == r.site {
		return r.codes[info.code], true
	}
	return nil, false
}

func (r *restorer) note(v *ir.Value, code []byte) {
	info := &r.e.c.values[v.ID]
	if info.site != r.site {
		info.site, info.code = r.site, int32(len(r.codes))
		r.codes = append(r.codes, nil)
	}
	r.codes[info.code] = code
}

// results says that rax and rdx are what call v gave.
func (r *restorer) results(v *ir.Value) {
	rax := r.global(abi.RAX)
	switch v.Op {
	case ir.Place:
		return
	case ir.Syscall:
		r.learn(v, rax)
		return
	}
	for i, code := range [][]byte{rax, r.global(abi.RDX)} {
		if res := r.e.c.results(v)[i]; res != nil {
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
	return globalGets[reg]
}

// linear says that rsp is the linear address v plus d.
func (r *restorer) linear(v *ir.Value, d int64) {
	r.learn(v, r.add(r.wrap(r.global(abi.RSP)), ir.I32, -d))
}

func (r *restorer) wrap(code []byte) []byte {
	return append(append(r.bytes.Take(len(code) + 1)[:0], code...), opI32WrapI64)
}

func (r *restorer) add(code []byte, t ir.Type, c int64) []byte {
	out := append(r.bytes.Take(len(code) + 12)[:0], code...)
	if t == ir.I32 {
		return append(wasmenc.AppendS(append(out, opI32Const), int64(int32(c))), opI32Add)
	}
	return append(wasmenc.AppendS(append(out, opI64Const), c), opI64Add)
}

// learn says that code gives v, and so what v was made from by operations
// that can be undone.
func (r *restorer) learn(v *ir.Value, code []byte) {
	v = r.e.c.canon(v)
	if known, _ := r.known(v); known == nil {
		r.note(v, code)
	}
	switch v.Op {
	case ir.SP:
		if r.sp == nil {
			r.sp = code
		}
	case ir.I64ExtendI32U, ir.I64ExtendI32S:
		r.learn(v.Args[0], r.wrap(code))
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
	if code, ok := r.known(v); ok {
		return code, code != nil
	}
	code, ok := r.remake(v, depth)
	if !ok {
		code = nil
	}
	r.note(v, code)
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
