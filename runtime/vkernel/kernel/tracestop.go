package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
)

// traceStop is why a task stopped for its tracer.
type traceStop struct {
	// code is what wait tells above the low byte: the signal in bits 0 to 7,
	// an event above.
	code uint32
	info *SigInfo // nil in a group-stop
	op   SyscallOp
	data uint32      // of a seccomp filter's verdict
	own  unix.Signal // what the task goes on with if nobody traces it any more
	// exiting is whether the process was ending already: an end that begins later ends the stop too.
	exiting bool
	then    func() // is called once the tracer has been told; nil is nothing
}

func (s traceStop) signal() unix.Signal { return unix.Signal(s.code & 0x7f) }

// siCode is the si_code of the tracer's SIGCHLD.
func (s traceStop) siCode() int32 {
	if s.info == nil || s.code>>8 == eventStop {
		return CldStopped
	}
	return CldTrapped
}

// trap stops the task for its tracer, until that lets it go on, and gives the
// signal that it is to go on with. Only the process's end is stronger.
func (t *Task) trap(s traceStop) unix.Signal {
	if s.then == nil {
		s.then = func() {}
	}
	k := t.K
	k.mu.Lock()
	tr := t.tracing.Load()
	if tr == nil {
		k.mu.Unlock()
		s.then()
		return s.own
	}
	t.Group.mu.Lock()
	s.exiting = t.Group.exiting
	t.Group.mu.Unlock()
	tr.stop, tr.told, tr.listens, tr.mode, tr.sig = &s, false, false, TraceCont, s.own
	t.tellTracer(tr, s.siCode(), int32(s.signal()))
	k.mu.Unlock()
	s.then()
	t.pause()
	for t.trapped(tr) {
		<-t.kick
	}
	t.meter.resume()
	k.mu.Lock()
	defer k.mu.Unlock()
	tr.stop, tr.listens = nil, false
	return tr.sig
}

// trapped tells whether the task is to stay in a stop.
func (t *Task) trapped(tr *tracing) bool {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	g := t.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case t.tracing.Load() != tr || tr.stop == nil:
		return false
	case t.leaving:
		return g.exiting == tr.stop.exiting
	case t.ends():
		return false
	}
	return !tr.listens || !t.mustTrap
}

// tellTracer sends SIGCHLD about a tracee, and wakes who waits for it.
// Preconditions: Kernel.mu is held.
func (t *Task) tellTracer(tr *tracing, code, status int32) {
	g := tr.tracer.Group
	info := SigInfo{Signo: unix.SIGCHLD, Code: code, PID: int32(t.TID), UID: t.Creds().UID, Status: status}
	if a, ok := g.action(unix.SIGCHLD); ok && a.Handler != SigIgn && a.Flags&SaNoCldStop == 0 {
		g.send(info, nil)
	}
	g.childChanged()
}

// tellTracerOfEnd is tellTracer about the end of a thread, or of a process whose
// parent is another.
// Preconditions: Kernel.mu is held.
func (t *Task) tellTracerOfEnd(tr *tracing, status WaitStatus) {
	code, value := status.childCode()
	info := SigInfo{Signo: unix.SIGCHLD, Code: code, PID: int32(t.TID), UID: t.Creds().UID, Status: value}
	tr.tracer.Group.send(info, nil)
	tr.tracer.Group.childChanged()
}

// signalStop is the stop before a signal is acted on. It gives the signal to
// act on, if any is left.
func (t *Task) signalStop(info SigInfo) (SigInfo, bool) {
	tracer := t.tracing.Load()
	if tracer == nil {
		return info, true
	}
	was := info.Signo
	sig := t.trap(traceStop{code: uint32(was), info: &info, own: was})
	switch {
	case sig == 0:
		return info, false
	case sig == unix.SIGKILL:
		t.Group.Exit(SignalStatus(sig))
		return info, false
	case sig != was:
		info = SigInfo{Signo: sig, Code: SiUser, PID: int32(tracer.tracer.Group.ID), UID: tracer.tracer.Creds().UID}
	}
	g := t.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.mask.Has(sig) {
		t.pending.add(info)
		return info, false
	}
	return info, true
}

// groupStop is the stop of a traced task whose process is stopped. It tells
// whether there is a tracer.
func (t *Task) groupStop() bool {
	g := t.Group
	t.K.mu.Lock()
	tr := t.tracing.Load()
	g.mu.Lock()
	s := traceStop{code: uint32(g.stopSig)}
	t.mustTrap = false
	g.mu.Unlock()
	t.K.mu.Unlock()
	if tr == nil {
		return false
	}
	if tr.seized {
		s = t.eventStop(s.signal(), eventStop)
	}
	t.trap(s)
	g.mu.Lock()
	defer g.mu.Unlock()
	t.goesOn = t.traced() && !t.mustTrap
	return true
}

// interruptStop is what PTRACE_INTERRUPT makes, and SIGCONT of what is seized.
func (t *Task) interruptStop() {
	g := t.Group
	g.mu.Lock()
	t.mustTrap = false
	sig := unix.SIGTRAP
	if g.stopSig != 0 {
		sig = g.stopSig
	}
	g.mu.Unlock()
	t.trap(t.eventStop(sig, eventStop))
}

// eventStop is a stop for an event.
func (t *Task) eventStop(sig unix.Signal, event int) traceStop {
	code := uint32(sig) | uint32(event)<<8
	return traceStop{code: code, info: t.ownInfo(int32(code))}
}

// ownInfo is the siginfo of a stop that is no signal's.
func (t *Task) ownInfo(code int32) *SigInfo {
	return &SigInfo{Signo: unix.SIGTRAP, Code: code, PID: int32(t.Group.ID), UID: t.Creds().UID}
}

// traceEvent stops the task if its tracer asked for an event, with a message.
func (t *Task) traceEvent(event int, message uint64) {
	if t.announces(event, message) {
		t.trap(t.eventStop(unix.SIGTRAP, event))
	}
}

// announces tells whether the task's tracer asked for an event, and leaves it the
// message.
func (t *Task) announces(event int, message uint64) bool {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	tr := t.tracing.Load()
	if !tr.wants(event) {
		return false
	}
	tr.message = message
	return true
}

// cloneEvent is what a tracer may ask to be told of when a task is made; 0 if
// it did not.
func (t *Task) cloneEvent(a CloneArgs) int {
	event := eventClone
	switch {
	case a.has(unix.CLONE_UNTRACED):
		return 0
	case a.has(unix.CLONE_VFORK):
		event = eventVfork
	case a.ExitSignal == unix.SIGCHLD:
		event = eventFork
	}
	if tr := t.tracing.Load(); tr.wants(event) {
		return event
	}
	return 0
}

// traceChild makes a new task its maker's tracer's too. It stops first of all.
// Preconditions: Kernel.mu is held.
func (child *Task) traceChild(t *Task) {
	tr := t.tracing.Load()
	if tr == nil {
		return
	}
	child.attach(tr.tracer, tr.seized, tr.options)
	g := child.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	if tr.seized {
		child.mustTrap = true
	} else {
		child.pending.add(SigInfo{Signo: unix.SIGSTOP, Code: SiUser})
	}
	child.notify()
}

// execStop is what a tracer learns of a program that was started.
func (t *Task) execStop(was int) {
	tr := t.tracing.Load()
	switch {
	case tr == nil:
		return
	case tr.wants(eventExec):
		t.traceEvent(eventExec, uint64(was))
	case !tr.seized:
		t.Send(SigInfo{Signo: unix.SIGTRAP, Code: SiUser, PID: int32(t.Group.ID), UID: t.Creds().UID})
	}
	t.CPU.SetReg(abi.RAX, 0)
	t.syscallStop(SyscallExit)
}

// SyscallOp says at which place of a system call a task has stopped,
// PTRACE_SYSCALL_INFO_* of uapi/linux/ptrace.h.
type SyscallOp uint8

// Places.
const (
	SyscallNone SyscallOp = iota
	SyscallEntry
	SyscallExit
	SyscallSeccomp
)

// syscallMode is the mode of resumption, which only the task's own goroutine
// and the tracer of a stopped task change.
func (t *Task) syscallMode() ResumeMode {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	if tr := t.tracing.Load(); tr != nil {
		return tr.mode
	}
	return TraceCont
}

// syscallStop stops the task at a place of a system call, if that was asked for.
func (t *Task) syscallStop(op SyscallOp) {
	mode := t.syscallMode()
	if mode == TraceCont || mode == TraceSysemu && op == SyscallExit {
		return
	}
	code := uint32(unix.SIGTRAP)
	if tr := t.tracing.Load(); tr.wants(0) {
		code |= 0x80
	}
	sig := t.trap(traceStop{code: code, info: t.ownInfo(int32(code)), op: op})
	if sig != 0 {
		t.Send(SigInfo{Signo: sig, Code: SiUser})
	}
}

// noCall is what orig_rax is outside of system calls.
const noCall = ^uint64(0)

// tracedCall is a system call of a task that has a tracer.
func (t *Task) tracedCall(nr uint64, args [6]uint64) (uint64, error) {
	t.call = nr
	t.CPU.SetReg(abi.RAX, failed(unix.ENOSYS))
	emulated := t.syscallMode() == TraceSysemu
	t.syscallStop(SyscallEntry)
	if t.mustEnd() {
		return 0, ERESTARTNOINTR // it ends before it would make it again
	}
	if t.rewritten {
		nr, args = t.call, t.arguments()
	}
	ret, err := t.CPU.Reg(abi.RAX), error(nil)
	if nr != noCall && !emulated {
		ret, err = t.K.Calls.Call(t, nr, args)
	}
	if t.Leaving() {
		return ret, err
	}
	if err != nil {
		ret = failed(errnoOf(err))
	}
	return t.leaveCall(ret, err)
}

// leaveCall is the stop at a system call's exit, at which the tracer may
// change what it gives.
func (t *Task) leaveCall(ret uint64, err error) (uint64, error) {
	if t.flow != flowReturn {
		t.CPU.SetReg(abi.RAX, ret)
	}
	t.syscallStop(SyscallExit)
	if now := t.CPU.Reg(abi.RAX); now != ret {
		return now, nil
	}
	return ret, err
}

// arguments are those of the system call as the registers have them.
func (t *Task) arguments() (args [6]uint64) {
	for i, r := range [...]abi.Reg{abi.RDI, abi.RSI, abi.RDX, abi.R10, abi.R8, abi.R9} {
		args[i] = t.CPU.Reg(r)
	}
	return args
}

// AskTracer is a seccomp filter's SECCOMP_RET_TRACE: false if no tracer wants
// to be asked. It gives the call that the tracer makes of it.
func (t *Task) AskTracer(nr uint64, args [6]uint64, data uint16) (newNr uint64, newArgs [6]uint64, asked bool) {
	if !t.announces(eventSeccomp, uint64(data)) {
		return nr, args, false
	}
	s := t.eventStop(unix.SIGTRAP, eventSeccomp)
	s.op, s.data = SyscallSeccomp, uint32(data)
	t.trap(s)
	if t.rewritten {
		nr, args = t.call, t.arguments()
	}
	return nr, args, true
}
