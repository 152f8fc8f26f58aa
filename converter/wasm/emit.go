package wasm

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// emitter writes the code of one function.
type emitter struct {
	c          *compiler
	opcodes    [][]byte    // of operations
	immediates []immediate // likewise
	b          []byte
	calls      []unit.Call
	sites      []unit.Site
	lost       int // sites where a live value can't be made again
	err        error

	frames                    int   // open wasm blocks
	mergeAt, innerAt, outerAt []int // by block position: frame numbers
	exitAt, dispatchAt        int
	tableAt                   map[int]int // by table: the state of its first target
	region, regionEnd         int         // the region that is emitted; the frame of region 0's block

	counterLocal int32 // back edges left in the strip; -1 without loops
	loops        int   // that poll, around what is emitted
	stateLocal   int32 // next region
	ret          returnLocals

	setAt, setEnd int   // the last local.set in b, if it may become a tee
	setLocal      int32 // and its local

	ifAt              int // where the body of the innermost if begins, unless something was opened in it
	brAt, brEnd, brTo int // the last br: from where to where it is in b, and the frame it goes to

	restorer restorer
	targets  []int32 // of copies
}

func newEmitter(c *compiler) *emitter {
	n := len(c.cfg.Order)
	e := &emitter{c: c, opcodes: opcodes(), immediates: immediates(), b: c.code[:0], mergeAt: make([]int, n), innerAt: make([]int, n), outerAt: make([]int, n), counterLocal: -1, setEnd: -1, ifAt: -1}
	e.restorer.e, e.restorer.bytes = e, &c.bytes
	for i, h := range c.header {
		if h && c.polls(i) {
			e.counterLocal = e.newLocal(ir.I32)
			break
		}
	}
	return e
}

func (e *emitter) newLocal(t ir.Type) int32 {
	e.c.locals = append(e.c.locals, t)
	return int32(len(e.c.locals) - 1)
}

func (e *emitter) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("function at %#x: %s", e.c.f.Entry, fmt.Sprintf(format, args...))
	}
}

func (e *emitter) op(op byte)                  { e.b = append(e.b, op) }
func (e *emitter) u(v uint64)                  { e.b = wasmenc.AppendU(e.b, v) }
func (e *emitter) global(op byte, n uint32)    { e.op(op); e.u(uint64(n)) }
func (e *emitter) constI32(c int64)            { e.op(opI32Const); e.b = wasmenc.AppendS(e.b, int64(int32(c))) }
func (e *emitter) constI64(c int64)            { e.op(opI64Const); e.b = wasmenc.AppendS(e.b, c) }
func (e *emitter) callImport(index int)        { e.op(opCall); e.u(uint64(index)) }
func (e *emitter) setReg(r abi.Reg)            { e.global(opGlobalSet, uint32(r)) }
func (e *emitter) slotLocal(v *ir.Value) int32 { return e.c.slots[e.c.slotOf(v)].local }

// local emits an access to a local. A get right after a set of the same local
// makes it a tee.
func (e *emitter) local(op byte, l int32) {
	if op == opLocalGet && e.setEnd == len(e.b) && e.setLocal == l {
		e.b[e.setAt] = opLocalTee
		e.setEnd = -1
		return
	}
	at := len(e.b)
	e.op(op)
	e.u(uint64(l))
	if op == opLocalSet {
		e.setAt, e.setEnd, e.setLocal = at, len(e.b), l
	}
}

func (e *emitter) pushAll(vs []*ir.Value) {
	for _, v := range vs {
		e.push(v)
	}
}

// push leaves v on the operand stack: from its local, or by making it.
func (e *emitter) push(v *ir.Value) {
	v = e.c.canon(v)
	switch {
	case e.c.slotOf(v) >= 0:
		e.local(opLocalGet, e.slotLocal(v))
	case v.Op == ir.Lin:
		e.pushLin()
	default:
		e.compute(v)
	}
}

// compute leaves on the operand stack what v is made to. The engine has an immediate
// operand for the difference of a small constant, but none for the sum of its negative.
func (e *emitter) compute(v *ir.Value) {
	if k, ok := subtracts(v); ok {
		e.push(v.Args[0])
		e.constI64(k)
		e.op(opI64Sub)
		return
	}
	e.pushAll(v.Args)
	e.operation(v)
}

// subtracts is the constant that v takes off a value by adding a negative one.
func subtracts(v *ir.Value) (int64, bool) {
	if v.Op != ir.I64Add {
		return 0, false
	}
	k, ok := v.Args[1].IsConst()
	return -k, ok && k < 0 && k > math.MinInt32
}

func (e *emitter) pushLin() {
	if at := e.c.linAt; at >= 0 {
		e.local(opLocalGet, e.c.slots[at].local)
		return
	}
	e.global(opGlobalGet, abi.GlobalLin)
}

// statement emits v for its effect, or for the local that keeps it.
func (e *emitter) statement(v *ir.Value) {
	switch v.Op {
	case ir.Call:
		e.call(v)
		return
	case ir.Helper:
		e.helper(v)
		return
	case ir.X87:
		e.constI32(v.Aux)
		e.push(v.Args[0])
		e.callImport(abi.FuncX87)
	case ir.Syscall:
		if v.Info != nil {
			e.setPC(v.Info.Return)
		}
		e.pushAll(v.Args)
		e.callImport(abi.FuncSyscall)
	case ir.Place:
	default:
		e.compute(v)
	}
	e.keep(v)
	if v.Info != nil && v.Op != ir.Trap {
		e.callSite(v)
	}
}

// keep takes v off the operand stack.
func (e *emitter) keep(v *ir.Value) {
	switch {
	case v.Type == ir.Void:
	case e.c.isUsed(v):
		e.local(opLocalSet, e.slotLocal(v))
	default:
		e.op(opDrop)
	}
}

// operation emits v itself, whose operands are on the stack.
func (e *emitter) operation(v *ir.Value) {
	switch v.Op {
	case ir.Const32:
		e.constI32(v.Aux)
	case ir.Const64:
		e.constI64(v.Aux)
	case ir.ConstF32:
		e.op(opF32Const)
		e.b = binary.LittleEndian.AppendUint32(e.b, uint32(v.Aux))
	case ir.ConstF64:
		e.op(opF64Const)
		e.b = binary.LittleEndian.AppendUint64(e.b, uint64(v.Aux))
	case ir.ConstV128:
		e.b = wasmenc.AppendU(append(e.b, prefixFD), 0x0c)
		e.b = binary.LittleEndian.AppendUint64(e.b, uint64(v.Aux))
		e.b = binary.LittleEndian.AppendUint64(e.b, uint64(v.Aux2))
	case ir.EntrySP:
		e.local(opLocalGet, 0)
	case ir.GetReg:
		e.global(opGlobalGet, uint32(v.Aux))
	case ir.Opaque: // what is on the stack
	case ir.SetReg:
		e.global(opGlobalSet, uint32(v.Aux))
	case ir.Trap:
		e.constI32(v.Aux)
		e.constI32(v.Aux2)
		e.callImport(abi.FuncTrap)
	case ir.MulHU:
		e.callImport(abi.FuncMulHU)
	case ir.MulHS:
		e.callImport(abi.FuncMulHS)
	default:
		e.instruction(v)
	}
}

// instruction emits an operation that is one wasm instruction.
func (e *emitter) instruction(v *ir.Value) {
	code := e.opcodes[v.Op]
	if code == nil {
		if base, ok := atomicBase[v.Op]; ok {
			e.atomic(v, base)
			return
		}
		e.fail("v%d: %v can't be emitted here", v.ID, v.Op)
		return
	}
	e.b = append(e.b, code...)
	switch e.immediates[v.Op] {
	case immMemarg:
		e.memarg(0, v.Aux)
	case immLane:
		e.op(byte(v.Aux))
	case immLanes:
		e.b = binary.LittleEndian.AppendUint64(e.b, uint64(v.Aux))
		e.b = binary.LittleEndian.AppendUint64(e.b, uint64(v.Aux2))
	case immCopy:
		e.b = append(e.b, 0, 0)
	case immFill, immFence:
		e.op(0)
	}
}

func (e *emitter) memarg(align byte, offset int64) {
	e.op(align)
	e.u(uint64(uint32(offset)))
}

func (e *emitter) atomic(v *ir.Value, base uint32) {
	t := v.Type
	if len(v.Args) > 1 {
		t = v.Args[1].Type
	}
	form, ok := atomicForm[t][v.Aux2]
	if !ok {
		e.fail("v%d: %v of %d bytes and type %v", v.ID, v.Op, v.Aux2, t)
	}
	e.b = wasmenc.AppendU(append(e.b, prefixFE), uint64(base+form))
	e.memarg(alignLog2[v.Aux2], v.Aux)
}

// helper calls the machine for a rare instruction with two results.
func (e *emitter) helper(v *ir.Value) {
	e.constI32(v.Aux)
	e.pushAll(v.Args)
	e.callImport(abi.FuncHelper)
	if second := e.c.results(v)[1]; second != nil {
		e.keep(second)
	} else {
		e.op(opDrop)
	}
	e.keep(v)
}
