package kernel

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/ipc"
	"github.com/megabin/megabin/runtime/vkernel/keys"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/seccomp"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Task is one thread. The exported parts may be shared with other tasks; which
// ones is what clone's flags say. They change only on the task's own goroutine,
// which alone may read them without partsMu (or, TID and Handlers, without the
// group's lock).
type Task struct {
	K        *Kernel
	TID      int             // changes when a thread that is no leader calls execve
	MM       *mm.MM          // CLONE_VM
	FDs      *vfs.FDTable    // CLONE_FILES
	FS       *vfs.FSContext  // CLONE_FS
	Handlers *SignalHandlers // CLONE_SIGHAND
	Group    *ThreadGroup    // CLONE_THREAD
	CPU      *machine.CPU

	// ClearTID is set_tid_address, RobustList set_robust_list: guest addresses.
	ClearTID   uint64
	RobustList uint64

	rings *keys.Rings // the task's own always; never another
	undo  *ipc.Undo   // CLONE_SYSVSEM; nil: there is nothing to undo
	next  *image      // what execve left for the task's loop
	kick  chan struct{}
	vfork chan struct{} // closed when the task leaves the memory that its maker lent it; nil if none did
	// arrivals is told when a signal may have come: for signalfd.
	arrivals wait.Queue

	flow    flow     // why the CPU was stopped
	stack   []uint64 // frames of the signal handlers being run nested, innermost last
	left    uint64   // with flowReturn: the frame that is left
	saved   *SigSet  // mask to go back to after sigsuspend and the like
	retry   retry    // of a system call that a signal interrupted
	meter   meter
	charged time.Duration // of the meter's time, by the throttle
	turn    bool          // it has one of the throttle's
	onStack onStack

	// attention says that the group or a signal may want something of the task.
	// It is set under the group's lock, after what it tells of.
	attention atomic.Bool

	comm atomic.Pointer[string]
	exe  atomic.Pointer[vfs.Path]

	attributes atomic.Pointer[Attributes]

	// seccomp changes on the task's own goroutine, and on those of its group
	// under Kernel.mu.
	seccomp atomic.Pointer[seccomp.State]

	// tracing is nil for a task that is not traced. It is stored under
	// Kernel.mu.
	tracing atomic.Pointer[tracing]
	// Of the task's own goroutine; its tracer's while it has stopped for it.
	call      uint64 // the number of the system call that was made last; noCall: the task was interrupted elsewhere
	rewritten bool   // the tracer has changed registers: the code can't go on where it is

	credsMu sync.Mutex
	creds   *Creds

	partsMu sync.Mutex // guards changes of MM, FDs, FS and undo, and other tasks' looks at them

	// Guarded by the group's lock.
	mask     SigSet
	awaited  SigSet // what AwaitSignals has taken out of the mask
	pending  sigQueue
	altStack AltStack
	goesOn   bool // the tracer lets the task run while its process is stopped
	mustTrap bool // the task is to stop for its tracer
	leaving  bool // the task has decided to end, with status
	status   WaitStatus
}

// newTask is a task without parts.
func newTask(k *Kernel) *Task {
	t := &Task{K: k, kick: make(chan struct{}, 1), call: noCall}
	t.attributes.Store(newAttributes())
	t.meter.start()
	return t
}

// flow is why a Handler method stopped the CPU.
type flow uint8

const (
	flowNone   flow = iota
	flowReturn      // rt_sigreturn
	flowExec        // a new image is ready
	flowExit        // the task is to end
	flowJump        // the registers say where to go on
)

// Creds are the task's credentials, which are never changed in place.
func (t *Task) Creds() *Creds {
	t.credsMu.Lock()
	defer t.credsMu.Unlock()
	return t.creds
}

// SetCreds replaces the credentials: commit_creds.
func (t *Task) SetCreds(c *Creds) {
	t.credsMu.Lock()
	old := t.creds
	t.creds = c
	t.credsMu.Unlock()
	if c.EUID != old.EUID || c.EGID != old.EGID || c.FSUID != old.FSUID || c.FSGID != old.FSGID || c.Permitted&^old.Permitted != 0 {
		t.SetAttributes(func(a *Attributes) { a.Dumpable = false }) // others of the new user may not look into it
		t.Group.SetParentDeathSignal(0)
	}
	if c.FSUID != old.FSUID || c.FSGID != old.FSGID {
		t.K.Keys.Chown(t.rings, c.FSUID, c.FSGID)
	}
}

// Caller is the task as the vfs sees it.
func (t *Task) Caller() *vfs.Caller {
	return &vfs.Caller{NS: t.K.NS, FS: t.FS, Creds: t.Creds().VFS(), Task: t}
}

// PID is the process id: that of the thread group.
func (t *Task) PID() int { return t.Group.ID }

// commLen is TASK_COMM_LEN without the NUL, bytes.
const commLen = 15

// Comm is the task's name, at most 15 bytes.
func (t *Task) Comm() string {
	if p := t.comm.Load(); p != nil {
		return *p
	}
	return ""
}

// SetComm changes the name; what is too long is cut.
func (t *Task) SetComm(name string) {
	name = name[:min(len(name), commLen)]
	t.comm.Store(&name)
}

// Exe is the running program's file, the zero Path before the first execve.
func (t *Task) Exe() vfs.Path {
	if p := t.exe.Load(); p != nil {
		return *p
	}
	return vfs.Path{}
}

// parts are what another task may look at: what the task has now, nil for what
// it gave up when it ended.
func (t *Task) parts() (*vfs.FDTable, *vfs.FSContext) {
	t.partsMu.Lock()
	defer t.partsMu.Unlock()
	return t.FDs, t.FS
}

// memoryMap is the task's memory for another task, which releases it; nil if
// there is none any more.
func (t *Task) memoryMap() *mm.MM {
	t.partsMu.Lock()
	defer t.partsMu.Unlock()
	if t.MM != nil {
		t.MM.Retain()
	}
	return t.MM
}

// setMM, setFDs and setFS replace a part.
func (t *Task) setMM(m *mm.MM) {
	t.partsMu.Lock()
	defer t.partsMu.Unlock()
	t.MM = m
	t.onStack = onStack{}
}

func (t *Task) setFDs(f *vfs.FDTable) {
	t.partsMu.Lock()
	defer t.partsMu.Unlock()
	t.FDs = f
}

func (t *Task) setFS(f *vfs.FSContext) {
	t.partsMu.Lock()
	defer t.partsMu.Unlock()
	t.FS = f
}

// UnshareFiles gives the task a descriptor table of its own.
func (t *Task) UnshareFiles() {
	old := t.FDs
	if !old.Shared() {
		return
	}
	t.setFDs(old.Fork(t.Group.Limits.Files))
	old.Release()
}

// UnshareFS gives the task a root, working directory and umask of its own.
func (t *Task) UnshareFS() { t.setFS(t.FS.Fork()) }

// Syscall implements machine.Handler.
func (t *Task) Syscall(c *machine.CPU, nr uint64, args [6]uint64) (uint64, bool) {
	t.call = nr
	if t.touchedPastEnd() {
		if _, _, stop := t.deliver(nr, ERESTARTNOINTR); stop {
			return 0, true
		}
	}
	for {
		ret, err := t.make(nr, args)
		if err != nil {
			ret = failed(errnoOf(err))
		}
		again := isRestart(err)
		if t.flow == flowNone && !again && t.saved == nil && !t.attention.Load() && !t.rewritten {
			return ret, false
		}
		value, restart, stop := t.deliver(ret, err)
		if stop {
			return 0, true
		}
		if !again || !restart {
			t.retry = retry{}
			return value, false
		}
		t.retry.again = true
		if t.rewritten {
			nr, args = t.call, t.arguments()
		}
	}
}

// make makes a system call.
func (t *Task) make(nr uint64, args [6]uint64) (uint64, error) {
	if t.traced() {
		return t.tracedCall(nr, args)
	}
	return t.K.Calls.Call(t, nr, args)
}

// Poll implements machine.Handler.
func (t *Task) Poll(c *machine.CPU) bool {
	t.throttle()
	t.touchedPastEnd()
	if !t.onStack.holds(c.Reg(abi.RSP)) && !t.checkStack() {
		return true
	}
	if !t.attention.Load() {
		return false
	}
	t.call = noCall
	rax := c.Reg(abi.RAX)
	value, _, stop := t.deliver(rax, nil)
	if !stop && value != rax {
		t.flow = flowJump
		return true
	}
	return stop
}

// Run runs the task's program until it ends, on the caller's goroutine.
func (t *Task) Run() {
	defer t.exit()
	for t.advance() {
		t.execute()
	}
}

// advance gets ready what execute is to run, by why it ended before.
func (t *Task) advance() bool {
	why := t.flow
	t.flow = flowNone
	switch {
	case why == flowExit || t.mustEnd():
		return false
	case t.next == nil:
		return t.CPU != nil && (!t.traced() || t.enterMore())
	}
	was := t.next.was
	if err := t.install(); err != nil {
		t.K.problem("starting %s: %v", t.Comm(), err)
		t.Group.Exit(SignalStatus(unix.SIGKILL))
		return false
	}
	if !t.traced() {
		return true
	}
	t.execStop(was)
	return t.enterMore()
}

// execute runs the CPU until a flow that is not for this level: it returns
// after the rt_sigreturn that belongs to it, or to let the callers unwind.
func (t *Task) execute() {
	for {
		exit := t.CPU.Run(context.Background())
		switch {
		case exit.Err != nil:
			t.K.problem("%s: %v", t.Comm(), exit.Err)
			t.Group.Exit(SignalStatus(unix.SIGKILL))
			t.flow = flowExit
			return
		case exit.Fault != nil:
			if !t.fault(exit.Fault) {
				return
			}
		case t.flow == flowJump, t.flow == flowReturn && !t.nests(t.left):
			// All there is to know is in the registers: so are signals that a
			// handler's return let through.
			t.flow = flowNone
			if !t.enterMore() {
				return
			}
		default:
			return
		}
	}
}

// Leaving tells, within a system call, that its caller will not see it
// return: the task ends, or runs another program.
func (t *Task) Leaving() bool { return t.flow == flowExit || t.flow == flowExec }
