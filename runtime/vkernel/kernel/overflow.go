package kernel

import (
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine"
)

// onStack is the area that the stack pointer was in when it was last looked up.
type onStack struct{ start, end uint64 }

func (s onStack) holds(sp uint64) bool { return s.start <= sp && sp < s.end }

// checkStack looks up the stack that the task is on. A task that ran off its
// stack has a fault, as the touch of the page there should have been: then the
// CPU is to be left. The machine is told where the stack begins, and polls when a
// function that may recurse is called below it.
func (t *Task) checkStack() bool {
	sp := t.CPU.Reg(abi.RSP)
	start, end, ok := t.MM.Stack(sp)
	if ok {
		t.onStack = onStack{start, end}
		t.CPU.SetStack(start)
		return true
	}
	if t.fault(&machine.Fault{Kind: machine.SEGV, PC: t.PC(), Addr: sp, Reason: "stack overflow"}) {
		t.flow = flowJump
	}
	return false
}
