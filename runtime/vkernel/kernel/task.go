package kernel

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Task is one thread. The exported parts may be shared with other tasks; which
// ones is what clone's flags say. They change only on the task's own
// goroutine.
type Task struct {
	K        *Kernel
	TID      int
	MM       *mm.MM          // CLONE_VM
	FDs      *vfs.FDTable    // CLONE_FILES
	FS       *vfs.FSContext  // CLONE_FS
	Handlers *SignalHandlers // CLONE_SIGHAND
	Group    *ThreadGroup    // CLONE_THREAD
	CPU      *machine.CPU

	// ClearTID is set_tid_address, RobustList set_robust_list: guest addresses.
	ClearTID   uint64
	RobustList uint64

	ctx  context.Context
	next *image // what execve left for the task's loop
	kick chan struct{}
	// arrivals is told when a signal may have come: for signalfd.
	arrivals wait.Queue

	flow    flow // why the CPU was stopped
	faults  int  // signal frames of faults at this level of nesting
	level   int  // signal handlers being run nested
	started time.Time
	comm    atomic.Pointer[string]
	exe     atomic.Pointer[vfs.Path]

	credsMu sync.Mutex
	creds   *Creds

	sigMu    sync.Mutex
	mask     SigSet
	saved    *SigSet // mask to go back to after sigsuspend and the like
	pending  sigQueue
	altStack AltStack
}

// flow is why a Handler method stopped the CPU.
type flow uint8

const (
	flowNone   flow = iota
	flowReturn      // rt_sigreturn
	flowExec        // a new image is ready
	flowExit        // the task is to end
	flowJump        // a signal handler changed where to go on
)

// Context ends when the whole kernel is to stop.
func (t *Task) Context() context.Context { return t.ctx }

// Creds are the task's credentials, which are never changed in place.
func (t *Task) Creds() *Creds {
	t.credsMu.Lock()
	defer t.credsMu.Unlock()
	return t.creds
}

// SetCreds replaces the credentials.
func (t *Task) SetCreds(c *Creds) {
	t.credsMu.Lock()
	defer t.credsMu.Unlock()
	t.creds = c
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

// Syscall implements machine.Handler.
func (t *Task) Syscall(c *machine.CPU, nr uint64, args [6]uint64) (uint64, bool) {
	for {
		ret, err := t.K.Calls.Call(t, nr, args)
		if t.stopping() {
			return 0, true
		}
		again := isRestart(err)
		if err != nil {
			ret = failed(errnoOf(err))
		}
		if !t.hasSignal() && !again {
			t.RestoreMask()
			return ret, false
		}
		value, restart, stop := t.deliver(ret, err)
		if stop {
			return 0, true
		}
		if !again || !restart {
			return value, false
		}
	}
}

// Poll implements machine.Handler.
func (t *Task) Poll(c *machine.CPU) bool {
	if t.stopping() {
		return true
	}
	if !t.hasSignal() {
		return false
	}
	rax := c.Reg(abi.RAX)
	_, _, stop := t.deliver(rax, nil)
	return stop
}

// stopping tells whether the CPU must be left: for a reason already set or
// because the process or the kernel ends.
func (t *Task) stopping() bool {
	if t.flow != flowNone {
		return true
	}
	if t.Group.Exiting() || t.ctx.Err() != nil {
		t.flow = flowExit
		return true
	}
	return false
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
	case t.Group.Exiting() || t.ctx.Err() != nil || why == flowExit:
		return false
	case t.next == nil:
		return t.CPU != nil
	}
	if err := t.install(); err != nil {
		t.K.problem("starting %s: %v", t.Comm(), err)
		t.Group.Exit(SignalStatus(unix.SIGKILL))
		return false
	}
	return true
}

// execute runs the CPU until a flow that is not for this level: it returns
// after the rt_sigreturn that belongs to it, or to let the callers unwind.
func (t *Task) execute() {
	for {
		exit := t.CPU.Run(t.ctx)
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
		case t.flow == flowReturn && t.faults > 0:
			t.faults--
			t.flow = flowNone
		case t.flow == flowJump:
			t.flow = flowNone
		default:
			t.stopping()
			return
		}
	}
}

// Leaving tells, within a system call, that its caller will not see it
// return: the task ends, or runs another program.
func (t *Task) Leaving() bool { return t.flow == flowExit || t.flow == flowExec }
