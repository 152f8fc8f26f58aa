// Package kernel is processes: tasks and the parts they share, clone, program
// execution, signals, job control, exit and wait. Kernel only wires the parts
// together; a Task points to parts that clone's flags let tasks share. It knows
// nothing of system call numbers or argument registers (package syscalls), of
// how files work (vfs), of what a terminal does with characters (tty) or how
// memory is mapped (mm).
//
// Lock order: Kernel.mu, ThreadGroup.mu, SignalHandlers.mu; Task.credsMu,
// Task.partsMu and that of Keys are leaves. Kernel.mu guards the family (who is whose child, in
// which process group and session), ThreadGroup.mu what concerns the signals
// of a process and of its threads. None is held while guest code runs or a vfs
// or mm method is called.
package kernel

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/futex"
	"github.com/megabin/megabin/runtime/vkernel/ipc"
	"github.com/megabin/megabin/runtime/vkernel/keys"
	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Dispatcher makes system calls; package syscalls has it.
type Dispatcher interface {
	// Call does system call nr for t. Errors are unix.Errno values, those
	// above 511 among them (ERESTARTSYS), which a guest never sees.
	Call(t *Task, nr uint64, args [6]uint64) (uint64, error)
	// Signal is told of each signal that is delivered, Exit of a process's end.
	Signal(t *Task, info SigInfo)
	Exit(t *Task, status WaitStatus)
}

// Config is what a Kernel is made of.
type Config struct {
	Engine   *machine.Engine
	Units    Units
	NS       *vfs.Namespace
	Memory   vfs.TmpMaker // makes files without a name, for memfd_create
	Hostname string
	Net      *socket.Network // nil: there are no sockets
	Calls    Dispatcher
	// SetID has execve heed files' set-id bits and capabilities; otherwise it is as on file systems mounted nosuid.
	SetID bool
	// MaxTasks bounds how many threads there are at a time; 0 is no bound.
	MaxTasks int
	// Throttle, if set, bounds processor time.
	Throttle *Throttle
	// Policy is what may be executed, Decided is told of each decision.
	Policy  Policy
	Decided func(Decision)
	// Problem is told what a person should know: the runner's own troubles.
	Problem func(text string)
	// Faulted, if set, is told of each fault before it becomes a signal.
	Faulted func(t *Task, f *machine.Fault)
}

// Kernel is one container's kernel.
type Kernel struct {
	Config
	Futexes   futex.Table
	IPC       ipc.Namespace
	Keys      keys.Table
	Boot      time.Time
	code      *codeGate
	dnotifies dnotifies
	watchers  watchers
	running   sync.WaitGroup // tasks with a goroutine of their own
	logins    atomic.Uint32  // the number of the last

	mu       sync.Mutex
	tasks    map[int]*Task         // by thread id; a leader that ended stays until its process is reaped
	groups   map[int]*ThreadGroup  // by process id, zombies too
	pgroups  map[int]*ProcessGroup // by id
	sessions map[int]*Session      // by id
	init     *ThreadGroup
	ending   bool // no task may be made any more
	lastPID  int
}

// New makes a kernel without tasks.
func New(c Config) *Kernel {
	k := &Kernel{
		Config: c, Boot: time.Now(), tasks: map[int]*Task{}, groups: map[int]*ThreadGroup{},
		pgroups: map[int]*ProcessGroup{}, sessions: map[int]*Session{},
	}
	k.code = &codeGate{units: c.Units, policy: c.Policy, decided: c.Decided, live: map[[32]byte]*content{}}
	return k
}

// problem reports trouble of ours to the person.
func (k *Kernel) problem(format string, args ...any) {
	if k.Problem != nil {
		k.Problem(fmt.Sprintf(format, args...))
	}
}

// maxPID is kernel.pid_max.
const maxPID = 1 << 22

// allocate gives t a task id that nothing has, and makes it known under it.
// EAGAIN if there are too many tasks.
// Preconditions: k.mu is held.
func (k *Kernel) allocate(t *Task) error {
	if k.isFull() {
		return unix.EAGAIN
	}
	for range maxPID {
		k.lastPID = k.lastPID%(maxPID-1) + 1
		if !k.taken(k.lastPID) {
			t.TID = k.lastPID
			k.tasks[t.TID] = t
			return nil
		}
	}
	return unix.EAGAIN
}

// isFull tells whether no task can be made.
// Preconditions: k.mu is held.
func (k *Kernel) isFull() bool {
	return k.ending || k.MaxTasks > 0 && len(k.tasks) >= k.MaxTasks
}

// full is EAGAIN if no task could be made at the moment.
func (k *Kernel) full() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.isFull() {
		return unix.EAGAIN
	}
	return nil
}

// taken tells whether an id names something.
func (k *Kernel) taken(id int) bool {
	return k.tasks[id] != nil || k.pgroups[id] != nil || k.sessions[id] != nil
}

// Task is the task with this id, or nil. The leader of a process is there as
// long as the process, even if it has ended.
func (k *Kernel) Task(tid int) *Task {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tasks[tid]
}

// Exists tells whether there is a task, or a process group, with an id.
func (k *Kernel) Exists(id int, group bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if group {
		return k.pgroups[id] != nil
	}
	return k.tasks[id] != nil
}

// Process is the process with this id, or nil.
func (k *Kernel) Process(pid int) *ThreadGroup {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.groups[pid]
}

// Processes lists all processes, in no order.
func (k *Kernel) Processes() []*ThreadGroup {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]*ThreadGroup, 0, len(k.groups))
	for _, g := range k.groups {
		list = append(list, g)
	}
	return list
}

// Init is what the first process starts with.
type Init struct {
	FDs   *vfs.FDTable // nil: an empty one
	FS    *vfs.FSContext
	Creds *Creds
	// Limits are the resource limits; nil for DefaultLimits.
	Limits *Limits
}

// NewInit makes the first process, which has no program yet: Exec gives it
// one, and Run runs it. When ctx is done all processes are killed.
func (k *Kernel) NewInit(ctx context.Context, i Init) (*Task, error) {
	if i.Limits == nil {
		i.Limits = DefaultLimits()
	}
	if i.FDs == nil {
		i.FDs = vfs.NewFDTable(i.Limits.Files)
	}
	t := newTask(k)
	t.FDs, t.FS, t.creds, t.Handlers, t.rings = i.FDs, i.FS, i.Creds, &SignalHandlers{}, &keys.Rings{}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.allocate(t); err != nil {
		return nil, err
	}
	g := newThreadGroup(k, t.TID, i.Limits)
	k.groups[g.ID], k.init = g, g
	g.newSession()
	g.add(t)
	context.AfterFunc(ctx, k.KillAll)
	return t, nil
}

// Run runs the first process on the caller's goroutine until it has ended and
// all others with it.
func (k *Kernel) Run(init *Task) WaitStatus {
	init.Run()
	status := init.Group.Wait()
	k.running.Wait()
	return status
}

// KillAll ends all processes. None can be made any more.
func (k *Kernel) KillAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.killAll()
}

// killAll is KillAll with k.mu held.
func (k *Kernel) killAll() {
	k.ending = true
	for _, g := range k.groups {
		g.Exit(SignalStatus(unix.SIGKILL))
	}
}
