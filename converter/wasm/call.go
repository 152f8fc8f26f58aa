package wasm

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// returnLocals hold the results of a call.
type returnLocals struct {
	made     bool
	ra, sp   int32
	rax, rdx int32
	callee   int32 // slot or address
}

func (e *emitter) returns() *returnLocals {
	if r := &e.ret; !r.made {
		*r = returnLocals{true, e.newLocal(ir.I32), e.newLocal(ir.I32), e.newLocal(ir.I64), e.newLocal(ir.I64), -1}
	}
	return &e.ret
}

// call emits a call and the check of the return address. What follows is a
// site: a resumed function goes on there.
func (e *emitter) call(v *ir.Value) {
	e.transfer(v.Info, v.Args, opCall, opCallIndirect)
	r := e.returns()
	e.local(opLocalSet, r.sp)
	e.local(opLocalSet, r.rdx)
	e.local(opLocalSet, r.rax)
	e.local(opLocalTee, r.ra)
	if base, fixed := e.c.env.Base(); fixed {
		e.constI32(int64(base + v.Info.Return))
	} else {
		e.pushLin()
		e.constI32(int64(v.Info.Return))
		e.op(opI32Add)
	}
	e.op(opI32Ne)
	e.open(opIf)
	e.br(e.exitAt)
	e.closeIf()
	for i, l := range [2]int32{r.rax, r.rdx} {
		if res := e.c.results(v)[i]; res != nil && e.c.isUsed(res) {
			e.local(opLocalGet, l)
			e.local(opLocalSet, e.slotLocal(res))
		}
	}
	e.callSite(v)
}

func (e *emitter) tailCall(t *ir.Term) {
	e.transfer(t.Info, t.Args, opReturnCall, opReturnCallIndirect)
}

// transfer emits the arguments and the call of a Call or TailCall: directly
// inside a part, through a table otherwise.
func (e *emitter) transfer(info *ir.CallInfo, args []*ir.Value, direct, indirect byte) {
	if info.Kind == ir.Indirect {
		e.push(args[len(args)-1])
		e.setTarget()
		e.pushAll(args[:len(args)-1])
		e.throughTable(indirect, abi.TableCode)
		return
	}
	ordinal, samePart := e.c.env.Callee(info.Target)
	if !samePart {
		e.global(opGlobalGet, abi.GlobalSlots)
		e.constI32(int64(ordinal))
		e.op(opI32Add)
		e.setTarget()
		e.pushAll(args)
		e.throughTable(indirect, abi.TableSlots)
		return
	}
	e.pushAll(args)
	e.op(direct)
	e.calls = append(e.calls, unit.Call{Off: uint32(len(e.b)), Target: ordinal})
	e.b = wasmenc.AppendPadded(e.b, abi.NumImports+ordinal)
}

// setTarget takes a slot or an address off the stack and keeps it in the target
// register, for what stands in for the function, and in a local, for the call.
func (e *emitter) setTarget() {
	e.local(opLocalTee, e.calleeTemp())
	e.setReg(abi.Target)
}

func (e *emitter) calleeTemp() int32 {
	r := e.returns()
	if r.callee < 0 {
		r.callee = e.newLocal(ir.I32)
	}
	return r.callee
}

func (e *emitter) throughTable(op byte, table uint64) {
	e.local(opLocalGet, e.calleeTemp())
	e.op(op)
	e.u(abi.TypeFunc)
	e.u(table)
}

// abnormalExit ends a function whose callee did not return to where it was
// called from. The innermost such function (ra is not 0) puts the state into
// the register file.
func (e *emitter) abnormalExit() {
	r := e.returns()
	e.local(opLocalGet, r.ra)
	e.open(opIf)
	e.local(opLocalGet, r.ra)
	e.op(opI64ExtendI32U)
	e.setReg(abi.PC)
	e.local(opLocalGet, r.sp)
	e.guestAddress(8)
	e.setReg(abi.RSP)
	e.local(opLocalGet, r.rax)
	e.setReg(abi.RAX)
	e.local(opLocalGet, r.rdx)
	e.setReg(abi.RDX)
	e.close()
	e.returnZero()
}

// guestAddress makes the guest address of the linear address on the stack
// plus delta.
func (e *emitter) guestAddress(delta int64) {
	e.op(opI64ExtendI32U)
	if delta != 0 {
		e.constI64(delta)
		e.op(opI64Add)
	}
}

// leave ends the function abnormally with the given state.
func (e *emitter) leave(t *ir.Term) {
	e.push(t.Args[0])
	e.op(opI64ExtendI32U)
	e.setReg(abi.PC)
	e.push(t.Args[1])
	e.setReg(abi.RSP)
	e.returnZero()
}

func (e *emitter) returnZero() {
	e.constI32(0)
	e.constI64(0)
	e.constI64(0)
	e.constI32(0)
	e.op(opReturn)
}
