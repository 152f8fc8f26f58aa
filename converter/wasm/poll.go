package wasm

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// entry emits what comes before the first block.
func (e *emitter) entry() {
	if e.c.f.PollAtEntry {
		e.spend(e.entryState)
	}
	if at := e.c.linAt; at >= 0 {
		e.global(opGlobalGet, abi.GlobalLin)
		e.local(opLocalSet, e.c.slots[at].local)
	}
}

// argRegs are the registers of a function's parameters after sp.
var argRegs = [...]abi.Reg{abi.RDI, abi.RSI, abi.RDX, abi.RCX, abi.R8}

// entryState writes the parameters to the register file; the other registers
// are there at a function's entry.
func (e *emitter) entryState() {
	e.local(opLocalGet, 0)
	e.guestAddress(0)
	e.setReg(abi.RSP)
	for i, r := range argRegs {
		e.local(opLocalGet, int32(1+i))
		e.setReg(r)
	}
}

// strip is the head of the outer one of a loop's two wasm loops: it allows
// the inner one another abi.LoopStrip back edges.
func (e *emitter) strip(state []ir.RegValue) {
	e.constI32(abi.LoopStrip)
	e.local(opLocalSet, e.counterLocal)
	e.takeBudget(state)
}

func (e *emitter) takeBudget(state []ir.RegValue) {
	e.spend(func() {
		for _, r := range state {
			e.push(r.Value)
			e.setReg(r.Reg)
		}
	})
}

// spend takes one from the budget; when there is none it writes the register
// file with sync and polls.
func (e *emitter) spend(sync func()) {
	e.global(opGlobalGet, uint32(abi.Budget))
	e.constI32(1)
	e.op(opI32Sub)
	e.global(opGlobalSet, uint32(abi.Budget))
	e.global(opGlobalGet, uint32(abi.Budget))
	e.constI32(0)
	e.op(opI32LtS)
	e.open(opIf)
	sync()
	e.callImport(abi.FuncPoll)
	e.close()
}
