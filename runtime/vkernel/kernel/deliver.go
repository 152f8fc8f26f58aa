package kernel

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine"
)

// next is the signal that the task is to act on now; false for none. It does
// what the group wants first: it stops with it, and end says that the task is
// to end.
func (t *Task) nextSignal() (info SigInfo, found, end bool) {
	g := t.Group
	for {
		g.mu.Lock()
		switch {
		case t.ends():
			g.mu.Unlock()
			return info, false, true
		case g.stopSig != 0 && !t.goesOn:
			g.mu.Unlock()
			t.park()
			continue
		case t.mustTrap:
			g.mu.Unlock()
			t.interruptStop()
			continue
		}
		info, found = t.take(t.mask)
		if !found {
			t.recheck()
		}
		g.mu.Unlock()
		if found && t.traced() {
			if info, found = t.signalStop(info); !found {
				continue
			}
		}
		return info, found, false
	}
}

// deliver acts on all pending signals at the end of a system call that gave
// ret and err, or at a poll. value is what goes to rax. restart says that a
// call which was interrupted is to be made again.
//
// A handler runs nested: on the same CPU, on the guest's stack below a signal
// frame, while the code that was interrupted waits in the wasm stack for this
// function to return. Nesting only saves the way through the dispatcher: the
// frame has all that is needed to go on without it, and that is what happens
// when handlers are left otherwise than by returning too often.
func (t *Task) deliver(ret uint64, err error) (value uint64, restart, stop bool) {
	value, restart = ret, isRestart(err)
	call := t.call
	for t.flow == flowNone {
		seen := t.traced()
		if seen {
			t.call = call
			t.CPU.SetReg(abi.RAX, value)
		}
		info, found, end := t.nextSignal()
		if seen {
			call = t.call
			if now := t.CPU.Reg(abi.RAX); now != value || t.rewritten && call == noCall {
				value, restart = now, false
			}
		}
		switch {
		case end:
			t.flow = flowExit
			return 0, false, true
		case t.rewritten && !restart:
			t.leaveFor(info, found)
			return 0, false, true
		case !found:
			if t.saved == nil {
				return value, restart, false
			}
			t.RestoreMask() // which may let another signal through
			continue
		}
		action := t.Handlers.Get(info.Signo)
		t.K.Calls.Signal(t, info)
		if action.Handler == SigDfl || t.Handlers.ignores(info.Signo) {
			t.defaultAction(info.Signo)
			continue
		}
		if restart && (unlessHandled(err) || err == ERESTARTSYS && action.Flags&SaRestart == 0) {
			value, restart = failed(unix.EINTR), false
		}
		if value, stop = t.runHandler(action, info, value, restart); stop {
			return 0, false, true
		}
	}
	return 0, false, true
}

// defaultAction does what a signal without a handler does.
func (t *Task) defaultAction(sig unix.Signal) {
	switch {
	case t.Handlers.ignores(sig):
	case defaults[sig] == dispStop:
		t.stop(sig)
	default:
		t.ExitGroup(SignalStatus(sig))
	}
}

// Bounds of handlers within handlers: each that nests holds a wasm stack and a
// Go stack. What is to be made again after the handler has to nest.
const (
	maxNested     = 16
	maxRestarting = 1000
)

// registers is the part of the register file that a handler's return must
// find as it was for the interrupted code to go on in its wasm stack.
type registers [len(contextRegs)]uint64

func (t *Task) registers() (r registers) {
	for i, reg := range contextRegs {
		if reg != abi.RAX {
			r[i] = t.CPU.Reg(reg)
		}
	}
	return r
}

// runHandler runs a handler to its rt_sigreturn. rax is what the interrupted
// code gets in rax; the handler may change that. With stop the CPU is to be
// left: the registers say where to go on.
func (t *Task) runHandler(a Action, info SigInfo, rax uint64, restart bool) (value uint64, stop bool) {
	pc, before := t.PC(), t.registers()
	t.CPU.SetReg(abi.RAX, rax)
	frame, ok := t.enterHandler(a, info, pc, 0)
	if !ok {
		return 0, true
	}
	if n := len(t.stack); n >= maxNested && !restart || n >= maxRestarting {
		t.flow = flowJump
		return 0, true
	}
	if !t.enterMore() {
		return 0, true
	}
	t.stack = append(t.stack, frame)
	t.execute()
	last := len(t.stack) - 1
	frame = t.stack[last]
	t.stack = t.stack[:last]
	if t.flow != flowReturn || t.left != frame {
		return 0, true
	}
	t.flow = flowNone
	if t.CPU.Reg(abi.PC) != pc || t.registers() != before {
		t.flow = flowJump
		return 0, true
	}
	return t.CPU.Reg(abi.RAX), false
}

// enterMore makes frames for all other signals that the handler to be run does
// not block, as Linux does: the last one's handler runs first, the others when
// it returns. It tells whether the task goes on.
func (t *Task) enterMore() bool {
	for {
		info, found, end := t.nextSignal()
		switch {
		case end:
			t.flow = flowExit
			return false
		case !found:
			t.rewritten = false // the registers are where it goes on
			return true
		}
		if !t.enter(info) {
			return false
		}
	}
}

// enter makes the frame of a signal's handler, or does what the signal does
// without one. It tells whether the task goes on.
func (t *Task) enter(info SigInfo) bool {
	action := t.Handlers.Get(info.Signo)
	t.K.Calls.Signal(t, info)
	if action.Handler == SigDfl || t.Handlers.ignores(info.Signo) {
		t.defaultAction(info.Signo)
		return t.flow == flowNone
	}
	_, ok := t.enterHandler(action, info, t.PC(), 0)
	return ok
}

// leaveFor leaves code that can't go on where it is, for a tracer has changed
// the registers.
func (t *Task) leaveFor(info SigInfo, found bool) {
	if !found || t.enter(info) {
		t.rewritten, t.flow = false, flowJump
	}
}

// PC is the guest address at which the code that made the system call or poll
// goes on.
func (t *Task) PC() uint64 { return t.CPU.Reg(abi.PC) }

// nests tells whether a frame is that of a handler being run nested.
func (t *Task) nests(frame uint64) bool { return slices.Contains(t.stack, frame) }

// forget drops nested handlers that were left by a jump: those whose frame is
// overwritten by a new one, or lies below the stack pointer before it. One on
// another stack may be dropped too, which only costs it the short way back.
func (t *Task) forget(frame, sp uint64) {
	for i, f := range t.stack {
		if f == frame || f < sp {
			t.stack[i] = 0
		}
	}
}

// enterHandler builds the frame and points the registers at the handler. If
// there is no room for the frame the process dies of SIGSEGV.
func (t *Task) enterHandler(a Action, info SigInfo, pc, faultAddr uint64) (frame uint64, ok bool) {
	sp := t.CPU.Reg(abi.RSP)
	frame, err := t.pushFrame(a, info, pc, faultAddr)
	if err != nil {
		if t.traced() {
			t.signalStop(SigInfo{Signo: unix.SIGSEGV, Code: SiKernel})
		}
		t.ExitGroup(SignalStatus(unix.SIGSEGV))
		return 0, false
	}
	t.forget(frame, sp)
	if a.Flags&SaResetHand != 0 {
		reset := a
		reset.Handler = SigDfl // flags and mask stay, as Linux has it
		t.Handlers.Set(info.Signo, reset)
	}
	mask := t.Mask() | a.Mask
	if a.Flags&SaNoDefer == 0 {
		mask |= Of(info.Signo)
	}
	t.SetMask(mask)
	return frame, true
}

// faultSignals are the signals and codes of the processor's exceptions.
var faultSignals = map[machine.FaultKind]SigInfo{
	machine.SEGV: {Signo: unix.SIGSEGV, Code: SegvMaper},
	machine.BUS:  {Signo: unix.SIGBUS, Code: BusAdrErr},
	machine.FPE:  {Signo: unix.SIGFPE, Code: FpeIntDiv},
	machine.ILL:  {Signo: unix.SIGILL, Code: IllOpn},
	machine.TRAP: {Signo: unix.SIGTRAP, Code: SiKernel},
}

// touchedPastEnd sends SIGBUS if the guest has touched a mapping past the end
// of its file, which becomes known only now.
func (t *Task) touchedPastEnd() bool {
	addr, found := t.CPU.PastEnd()
	if found {
		t.Force(SigInfo{Signo: unix.SIGBUS, Code: BusAdrErr, Addr: t.MM.Address(addr)})
	}
	return found
}

// faultInfo is the signal of a processor's exception.
func (t *Task) faultInfo(f *machine.Fault) SigInfo {
	info, ok := faultSignals[f.Kind]
	if !ok {
		panic("BUG: kernel: fault without a signal")
	}
	if info.Signo == unix.SIGFPE || info.Signo == unix.SIGILL {
		info.Addr = f.PC
	}
	if f.Addr != 0 {
		info.Addr = t.MM.Address(f.Addr)
	}
	if info.Signo == unix.SIGSEGV && t.MM.AS.Mapped(info.Addr, 1, 0) {
		info.Code = SegvAccerr
	}
	return info
}

// Fault implements machine.Handler: a handler, or a tracer, has the code that
// touched what it may not wait, to do so again.
func (t *Task) Fault(c *machine.CPU, f *machine.Fault) (retry, stop bool) {
	info := t.faultInfo(f)
	t.call = noCall
	traced, a := t.traced(), t.Handlers.Get(info.Signo)
	if !traced && (a.Handler == SigDfl || a.Handler == SigIgn || t.Mask().Has(info.Signo)) {
		return false, false
	}
	sp, rax := c.Reg(abi.RSP), c.Reg(abi.RAX)
	start, end, full := t.untouched(sp)
	if full && info.Addr < start && start-info.Addr < belowStack {
		c.SetReg(abi.RSP, info.Addr&^7) // off a stack that is full: that tells where it is
	}
	if traced {
		t.Force(info)
		_, _, stop = t.deliver(rax, nil)
	} else {
		if t.K.Faulted != nil {
			t.K.Faulted(t, f)
		}
		t.K.Calls.Signal(t, info)
		_, stop = t.runHandler(a, info, rax, false)
	}
	if stop {
		return false, true
	}
	c.SetReg(abi.RSP, sp)
	if start < end {
		t.MM.AS.Discard(start, end) // else the next frame lies lower, and so on
	}
	return true, false
}

// belowStack is how far below a stack an access is taken for one to the stack, bytes.
const belowStack = 64 << 10

// fault turns a processor's exception into a signal. It tells whether the
// task goes on, in a handler.
func (t *Task) fault(f *machine.Fault) bool {
	if addr, found := t.CPU.PastEnd(); found {
		f.Kind, f.Addr = machine.BUS, addr // what it read there led to the rest
	}
	info := t.faultInfo(f)
	if t.K.Faulted != nil {
		t.K.Faulted(t, f)
	}
	if t.traced() {
		return t.tracedFault(info, f.PC)
	}
	t.K.Calls.Signal(t, info)
	a := t.Handlers.Get(info.Signo)
	if a.Handler == SigDfl || a.Handler == SigIgn || t.Mask().Has(info.Signo) {
		t.ExitGroup(SignalStatus(info.Signo))
		return false
	}
	_, ok := t.enterHandler(a, info, f.PC, info.Addr)
	return ok
}

// tracedFault is a fault of a task whose tracer hears of it first.
func (t *Task) tracedFault(info SigInfo, pc uint64) bool {
	t.CPU.SetReg(abi.PC, pc)
	t.call = noCall
	t.Force(info)
	return t.enterMore()
}
