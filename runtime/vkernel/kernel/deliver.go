package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine"
)

// deliver acts on all pending signals at the end of a system call that gave
// ret and err, or at a poll. value is what goes to rax. restart says that a
// call which was interrupted is to be made again.
//
// A handler runs nested: on the same CPU, on the guest's stack below a signal
// frame, while the code that was interrupted waits in the wasm stack for this
// function to return.
func (t *Task) deliver(ret uint64, err error) (value uint64, restart, stop bool) {
	value, restart = ret, isRestart(err)
	for {
		info, ok := t.Take(t.Mask())
		if !ok {
			t.RestoreMask()
			return value, restart, false
		}
		action := t.Handlers.Get(info.Signo)
		t.K.Calls.Signal(t, info)
		switch {
		case t.Handlers.ignores(info.Signo):
			continue
		case action.Handler == SigDfl:
			t.ExitGroup(SignalStatus(info.Signo))
			return 0, false, true
		}
		if isRestart(err) && (err == ERESTARTNOHAND || action.Flags&SaRestart == 0) {
			value, restart = failed(unix.EINTR), false
		}
		if value, stop = t.runHandler(action, info, value); stop {
			return 0, false, true
		}
	}
}

// runHandler runs a handler to its rt_sigreturn. rax is what the interrupted
// code gets in rax; the handler may change that.
func (t *Task) runHandler(a Action, info SigInfo, rax uint64) (uint64, bool) {
	pc := t.CPU.Reg(abi.PC)
	t.CPU.SetReg(abi.RAX, rax)
	if !t.enterHandler(a, info, pc, 0) {
		return 0, true
	}
	faults := t.faults
	t.faults = 0
	t.level++
	t.execute()
	t.level--
	t.faults = faults
	if t.flow != flowReturn {
		return 0, true
	}
	t.flow = flowNone
	if t.CPU.Reg(abi.PC) != pc {
		t.flow = flowJump
		return 0, true
	}
	return t.CPU.Reg(abi.RAX), false
}

// maxLevel bounds handlers within handlers: each holds a wasm stack and a Go
// stack.
const maxLevel = 1000

// enterHandler builds the frame and points the registers at the handler. If
// there is no room for the frame the process dies of SIGSEGV.
func (t *Task) enterHandler(a Action, info SigInfo, pc, faultAddr uint64) bool {
	if t.level >= maxLevel || t.pushFrame(a, info, pc, faultAddr) != nil {
		t.ExitGroup(SignalStatus(unix.SIGSEGV))
		return false
	}
	if a.Flags&SaResetHand != 0 {
		t.Handlers.Set(info.Signo, Action{})
	}
	mask := t.Mask() | a.Mask
	if a.Flags&SaNoDefer == 0 {
		mask |= Of(info.Signo)
	}
	t.SetMask(mask)
	return true
}

// faultSignals are the signals and codes of the processor's exceptions.
var faultSignals = map[machine.FaultKind]SigInfo{
	machine.SEGV: {Signo: unix.SIGSEGV, Code: SegvMaper},
	machine.BUS:  {Signo: unix.SIGBUS, Code: BusAdrErr},
	machine.FPE:  {Signo: unix.SIGFPE, Code: FpeIntDiv},
	machine.ILL:  {Signo: unix.SIGILL, Code: IllOpn},
	machine.TRAP: {Signo: unix.SIGTRAP, Code: TrapBrkpt},
}

// fault turns a processor's exception into a signal. It tells whether the
// task goes on, in a handler.
func (t *Task) fault(f *machine.Fault) bool {
	info, ok := faultSignals[f.Kind]
	if !ok {
		panic("BUG: kernel: fault without a signal")
	}
	if info.Signo == unix.SIGFPE || info.Signo == unix.SIGILL {
		info.Addr = f.PC
	}
	if t.K.Faulted != nil {
		t.K.Faulted(t, f)
	}
	t.K.Calls.Signal(t, info)
	a := t.Handlers.Get(info.Signo)
	if a.Handler == SigDfl || a.Handler == SigIgn || t.Mask().Has(info.Signo) {
		t.ExitGroup(SignalStatus(info.Signo))
		return false
	}
	if !t.enterHandler(a, info, f.PC, info.Addr) {
		return false
	}
	t.faults++
	return true
}
