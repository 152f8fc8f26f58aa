package wasm

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// returnLocals hold the results of a call.
type returnLocals struct {
	made         bool
	ra, sp       int32
	rax, rdx     int32
	slot, cached int32
}

func (e *emitter) returns() *returnLocals {
	if r := &e.ret; !r.made {
		*r = returnLocals{true, e.newLocal(ir.I32), e.newLocal(ir.I32), e.newLocal(ir.I64), e.newLocal(ir.I64), -1, -1}
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
	e.pushLin()
	e.constI32(int64(v.Info.Return))
	e.op(opI32Add)
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
// inside a part, through the table otherwise.
func (e *emitter) transfer(info *ir.CallInfo, args []*ir.Value, direct, indirect byte) {
	if info.Kind == ir.Indirect {
		e.slotOfAddress(args[len(args)-1])
		e.pushAll(args[:len(args)-1])
		e.throughTable(indirect)
		return
	}
	ordinal, samePart := e.c.env.Callee(info.Target)
	if !samePart {
		e.global(opGlobalGet, abi.GlobalSlots)
		e.constI32(int64(ordinal))
		e.op(opI32Add)
		e.setTarget()
		e.pushAll(args)
		e.throughTable(indirect)
		return
	}
	e.pushAll(args)
	e.op(direct)
	e.calls = append(e.calls, unit.Call{Off: uint32(len(e.b)), Target: ordinal})
	e.b = wasmenc.AppendPadded(e.b, abi.NumImports+ordinal)
}

// setTarget takes a slot off the stack and keeps it in the target register,
// for the loader stub, and in a local, for the call.
func (e *emitter) setTarget() {
	e.local(opLocalTee, e.slotTemp())
	e.setReg(abi.Target)
}

func (e *emitter) slotTemp() int32 {
	r := e.returns()
	if r.slot < 0 {
		r.slot = e.newLocal(ir.I32)
	}
	return r.slot
}

func (e *emitter) throughTable(op byte) {
	e.local(opLocalGet, e.slotTemp())
	e.op(op)
	e.u(abi.TypeFunc)
	e.u(0)
}

// slotOfAddress looks up the slot of a guest address in the direct-mapped
// cache. If it is not there, the call goes to a function that asks the
// machine: a call of the host in between would cost this one its registers.
func (e *emitter) slotOfAddress(addr *ir.Value) {
	r := e.returns()
	if r.cached < 0 {
		r.cached = e.newLocal(ir.I64)
	}
	// The call's return-address local is free until the call.
	e.push(addr)
	e.local(opLocalTee, r.ra)
	e.constI32(entryShift - abi.CacheShift)
	e.op(opI32Shl)
	e.local(opLocalGet, r.ra)
	e.constI32(abi.CacheShift2 - entryShift)
	e.op(opI32ShrU)
	e.op(opI32Xor)
	e.constI32((abi.CacheEntries - 1) << entryShift)
	e.op(opI32And)
	e.constI32(int64(int32(abi.CacheBase - 1<<32)))
	e.op(opI32Or)
	e.op(opI64Load)
	e.memarg(0, 0)
	e.local(opLocalTee, r.cached)
	e.op(opI32WrapI64)
	e.local(opLocalGet, r.ra)
	e.op(opI32Eq)
	e.b = append(e.b, opIf, blockVoid)
	e.local(opLocalGet, r.cached)
	e.constI64(32)
	e.op(opI64ShrU)
	e.op(opI32WrapI64)
	e.setTarget()
	e.op(opElse)
	e.local(opLocalGet, r.ra)
	e.setReg(abi.Target)
	e.constI32(abi.SlotResolve)
	e.local(opLocalSet, e.slotTemp())
	e.op(opEnd)
}

// entryShift is log2 of the size of a cache entry. The index is formed as a
// byte offset: shifting by less replaces a multiplication.
const entryShift = 3

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
