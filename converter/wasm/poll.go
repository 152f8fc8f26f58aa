package wasm

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// entry emits what comes before the first block.
func (e *emitter) entry() {
	if e.c.f.PollAtEntry {
		e.local(opLocalGet, 0)
		e.global(opGlobalGet, uint32(abi.Guard))
		e.op(opI32LtU)
		// The engine saves what lives across any call where it is made, in a loop
		// without a call in every turn. So a function with loops of its own calls
		// the poll: parameters are saved here then, in front of them.
		if e.counterLocal >= 0 {
			e.poll(e.c.f.Entry, e.entryState)
			e.refill()
		} else {
			e.pollAgain()
		}
	}
	if at := e.c.linAt; at >= 0 {
		e.global(opGlobalGet, abi.GlobalLin)
		e.local(opLocalSet, e.c.slots[at].local)
	}
}

// pollAgain takes from the stack whether a poll is due; then it polls and enters
// the function again, by a tail call.
func (e *emitter) pollAgain() {
	e.open(opIf)
	e.entryState()
	e.setPC(e.c.f.Entry)
	for i := range abi.Types[abi.TypeFunc].Params {
		e.local(opLocalGet, int32(i))
	}
	e.op(opReturnCall)
	e.u(abi.FuncAgain)
	e.close()
}

// entryState writes the parameters in use to the register file; the other
// registers are there at a function's entry. So are those whose parameters the
// function does not use: a caller passes zeros for them, and relies on the file
// for what they hold.
func (e *emitter) entryState() {
	e.local(opLocalGet, 0)
	e.guestAddress(0)
	e.setReg(abi.RSP)
	for _, s := range e.c.slots {
		if s.v != nil && s.v.Op == ir.Arg {
			e.local(opLocalGet, s.local)
			e.setReg(abi.ParamRegs[s.v.Aux])
		}
	}
}

// strip is the head of the outer one of a loop's two wasm loops: it allows
// the inner one, with all loops inside of it, another abi.LoopStrip back edges.
// Where some may be left, from the entry's look at the guard or an outer
// loop's, coming here counts as one of them: in an irreducible loop it is. From
// region to region the count would be one more thing for the engine to carry.
func (e *emitter) strip(b *ir.Block) {
	someLeft := e.c.f.PollAtEntry && len(e.c.roots) == 1 || e.loops > 0
	if someLeft {
		e.constI32(1)
		e.countBack()
		e.op(opI32GtS)
		e.open(opIf)
	}
	e.refill()
	e.lookAt(b)
	if someLeft {
		e.closeIf()
	}
	e.pollSite(b)
}

// countBack takes a back edge from what is left, which it leaves on the stack.
func (e *emitter) countBack() {
	e.local(opLocalGet, e.counterLocal)
	e.constI32(1)
	e.op(opI32Sub)
	e.local(opLocalTee, e.counterLocal)
}

// refill allows the function's loops, if it has any, a whole strip.
func (e *emitter) refill() {
	if e.counterLocal >= 0 {
		e.constI32(abi.LoopStrip)
		e.local(opLocalSet, e.counterLocal)
	}
}

// look polls in front of block b if a poll is due.
func (e *emitter) look(b *ir.Block) {
	e.lookAt(b)
	e.pollSite(b)
}

func (e *emitter) lookAt(b *ir.Block) {
	e.global(opGlobalGet, uint32(abi.Guard))
	e.constI32(-1) // abi.PollNow
	e.op(opI32Eq)
	e.poll(b.Addr, func() {
		for _, r := range b.Poll {
			if !r.Kept {
				e.push(r.Value)
				e.setReg(r.Reg)
			}
		}
	})
}

// setPC puts the guest address of a unit offset in the register file.
func (e *emitter) setPC(off uint32) {
	e.global(opGlobalGet, abi.GlobalLin)
	e.guestAddress(int64(off))
	e.setReg(abi.PC)
}

// poll takes from the stack whether a poll is due; then it writes the register
// file with sync and polls. Execution goes on at unit offset at.
func (e *emitter) poll(at uint32, sync func()) {
	e.open(opIf)
	sync()
	e.setPC(at)
	e.callImport(abi.FuncPoll)
	e.closeIf()
}
