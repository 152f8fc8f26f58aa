package kernel

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// tracing is what ptrace(2) has of a task that is traced. Kernel.mu guards it.
type tracing struct {
	tracer  *Task
	seized  bool       // PTRACE_SEIZE
	options uint32     // PTRACE_O_*
	stop    *traceStop // what the task stopped for; nil: it was let go on
	told    bool       // wait has told of the stop
	listens bool       // PTRACE_LISTEN: the stop lasts, but the tracer may do nothing with it
	message uint64     // PTRACE_GETEVENTMSG

	// How the task was let go on.
	mode ResumeMode
	sig  unix.Signal

	ended  bool // a thread that is no leader, not yet waited for
	status WaitStatus
}

// ResumeMode says at which system calls a task stops again.
type ResumeMode uint8

// Modes, each named as the request of ptrace(2).
const (
	TraceCont    ResumeMode = iota // at none
	TraceSyscall                   // at the entry and the exit of the next
	TraceSysemu                    // at the entry of the next, which is not made
)

// Options of a tracer, PTRACE_O_* of uapi/linux/ptrace.h: bit n is event n,
// bit 0 marks the stops of system calls.
const (
	traceSysGood   = 1
	traceExitKill  = 1 << 20
	traceKnownOpts = 0xff | traceExitKill
)

// Events of a tracer, PTRACE_EVENT_* of uapi/linux/ptrace.h.
const (
	eventFork      = 1
	eventVfork     = 2
	eventClone     = 3
	eventExec      = 4
	eventVforkDone = 5
	eventExit      = 6
	eventSeccomp   = 7
	eventStop      = 128
)

// wants tells whether the tracer asked for an event.
func (tr *tracing) wants(event int) bool {
	return tr != nil && tr.options&(1<<event) != 0
}

// traced tells whether the task has a tracer. Any task may ask.
func (t *Task) traced() bool { return t.tracing.Load() != nil }

// attach makes tracer the task's.
// Preconditions: Kernel.mu is held; it has none.
func (t *Task) attach(tracer *Task, seized bool, options uint32) {
	t.tracing.Store(&tracing{tracer: tracer, seized: seized, options: options})
	tracer.Group.tracees = append(tracer.Group.tracees, t)
}

// detach ends the tracing of a task, which goes on, or stops with its process.
// Preconditions: Kernel.mu is held.
func (t *Task) detach() {
	tr := t.tracing.Swap(nil)
	from := tr.tracer.Group
	from.tracees = slices.DeleteFunc(from.tracees, func(o *Task) bool { return o == t })
	if tr.ended {
		delete(t.K.tasks, t.TID)
		return
	}
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	t.goesOn, t.mustTrap = false, false
	t.notify()
}

// letGo ends the tracing of a task whose tracer ends, or does not want it any
// more. A process that has ended is its parent's again.
// Preconditions: Kernel.mu is held.
func (t *Task) letGo() {
	g, tracer := t.Group, t.tracing.Load().tracer.Group
	t.detach()
	if !g.zombie || t.TID != g.ID || g.parent == nil || g.parent == tracer {
		return
	}
	if g.reportEnd(g.status) {
		g.release()
	}
}

// leaveTracees lets go of all that t traces.
// Preconditions: Kernel.mu is held.
func (t *Task) leaveTracees() {
	for _, o := range slices.Clone(t.Group.tracees) {
		tr := o.tracing.Load()
		if tr.tracer != t {
			continue
		}
		if tr.options&traceExitKill != 0 {
			o.Group.send(SigInfo{Signo: unix.SIGKILL, Code: SiKernel}, nil)
		}
		o.letGo()
	}
}

// TraceMe is PTRACE_TRACEME: the parent becomes the tracer. EPERM if there is
// one already.
func (t *Task) TraceMe() error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	g := t.Group
	if t.traced() || g.parent == nil {
		return unix.EPERM
	}
	tracer := g.creator
	if tracer == nil {
		tracer = g.parent.anyTask()
	}
	if tracer == nil {
		return unix.EPERM
	}
	t.attach(tracer, false, 0)
	return nil
}

// anyTask is a thread of the process that has not ended, nil if there is none.
func (g *ThreadGroup) anyTask() *Task {
	for _, t := range g.Tasks() {
		return t
	}
	return nil
}

// Attach is PTRACE_ATTACH, or PTRACE_SEIZE with these options.
func (t *Task) Attach(tid int, seize bool, options uint32) error {
	if seize && options&^traceKnownOpts != 0 {
		return unix.EIO
	}
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	o := t.K.tasks[tid]
	switch {
	case o == nil:
		return unix.ESRCH
	case o.Group == t.Group || o.traced() || !o.alive() || !t.mayAccess(o):
		return unix.EPERM
	}
	o.attach(t, seize, options)
	if !seize {
		o.Group.send(SigInfo{Signo: unix.SIGSTOP, Code: SiUser}, o)
	}
	o.prod() // if it is stopped already, that is for the tracer now
	return nil
}

// tracing is that of the process's leader: the tracer hears of the process's
// stops and its end.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) tracing() *tracing {
	if t := g.leader(); t != nil {
		return t.tracing.Load()
	}
	return nil
}

// tracedBy tells whether the leader's tracer is of process p.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) tracedBy(p *ThreadGroup) bool {
	tr := g.tracing()
	return tr != nil && tr.tracer.Group == p
}

// prod is notify with the group's lock taken.
func (t *Task) prod() {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	t.notify()
}

// alive tells whether the task is one of its process still.
func (t *Task) alive() bool {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	_, alive := t.Group.tasks[t]
	return alive
}

// tracee is the task with this id if t traces it: ESRCH if not.
// Preconditions: Kernel.mu is held.
func (t *Task) tracee(tid int) (*Task, *tracing, error) {
	o := t.K.tasks[tid]
	if o == nil {
		return nil, nil, unix.ESRCH
	}
	tr := o.tracing.Load()
	if tr == nil || tr.tracer != t {
		return nil, nil, unix.ESRCH
	}
	return o, tr, nil
}

// Interrupt is PTRACE_INTERRUPT: EIO for what was not seized.
func (t *Task) Interrupt(tid int) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	o, tr, err := t.tracee(tid)
	switch {
	case err != nil:
		return err
	case !tr.seized:
		return unix.EIO
	}
	o.Group.mu.Lock()
	defer o.Group.mu.Unlock()
	o.mustTrap = true
	o.notify()
	return nil
}

// KillTracee is PTRACE_KILL.
func (t *Task) KillTracee(tid int) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	o, _, err := t.tracee(tid)
	if err != nil {
		return err
	}
	return o.Group.send(SigInfo{Signo: unix.SIGKILL, Code: SiKernel}, nil)
}

// Stopped is a task in a ptrace-stop, for its tracer. It is good only within
// the function that WithStopped gave it to.
type Stopped struct {
	t  *Task
	tr *tracing
}

// WithStopped calls do with a task that t traces and that has stopped for it:
// ESRCH if there is no such task. do must not touch guest memory.
func (t *Task) WithStopped(tid int, do func(Stopped) error) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	o, tr, err := t.tracee(tid)
	switch {
	case err != nil:
		return err
	case tr.stop == nil || tr.listens:
		return unix.ESRCH
	}
	return do(Stopped{o, tr})
}

// Memory is the task's, which the caller releases; nil if it has none.
func (s Stopped) Memory() *mm.MM { return s.t.memoryMap() }

// Resume makes the task go on with a signal, 0 for none.
func (s Stopped) Resume(mode ResumeMode, sig unix.Signal) {
	s.tr.stop, s.tr.mode, s.tr.sig = nil, mode, sig
	s.t.prod()
}

// Detach is PTRACE_DETACH.
func (s Stopped) Detach(sig unix.Signal) {
	s.Resume(TraceCont, sig)
	s.t.letGo()
}

// Listen is PTRACE_LISTEN: EIO if the task did not stop with its process.
func (s Stopped) Listen() error {
	if !s.tr.seized || s.tr.stop.code>>8 != eventStop {
		return unix.EIO
	}
	s.tr.listens = true
	s.t.prod()
	return nil
}

// SetOptions is PTRACE_SETOPTIONS: EINVAL for unknown ones.
func (s Stopped) SetOptions(options uint64) error {
	if options&^traceKnownOpts != 0 {
		return unix.EINVAL
	}
	s.tr.options = uint32(options)
	return nil
}

// Message is PTRACE_GETEVENTMSG.
func (s Stopped) Message() uint64 { return s.tr.message }

// Info is the signal that the task stopped for; EINVAL if it stopped with its
// process.
func (s Stopped) Info() (SigInfo, error) {
	if s.tr.stop.info == nil {
		return SigInfo{}, unix.EINVAL
	}
	return *s.tr.stop.info, nil
}

// SetInfo is PTRACE_SETSIGINFO.
func (s Stopped) SetInfo(info SigInfo) error {
	if s.tr.stop.info == nil {
		return unix.EINVAL
	}
	*s.tr.stop.info = info
	return nil
}

// Pending are the signals that are pending for the task, or for its process.
func (s Stopped) Pending(shared bool) []SigInfo {
	s.t.Group.mu.Lock()
	defer s.t.Group.mu.Unlock()
	if shared {
		return slices.Clone(s.t.Group.pending.list)
	}
	return slices.Clone(s.t.pending.list)
}

// Mask is the set of signals that the task blocks.
func (s Stopped) Mask() SigSet { return s.t.Mask() }

// SetMask replaces it.
func (s Stopped) SetMask(m SigSet) { s.t.SetMask(m) }
