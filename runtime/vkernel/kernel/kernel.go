// Package kernel is processes: tasks and the parts they share, program
// execution, signals, exit and wait. Kernel only wires the parts together; a
// Task points to parts that clone's flags let tasks share. It knows nothing of
// system call numbers or argument registers (package syscalls), of how files
// work (vfs) or how memory is mapped (mm).
//
// Lock order: Kernel.mu, ThreadGroup.mu, SignalHandlers.mu, Task.sigMu. None is
// held while guest code runs or a vfs or mm method is called.
package kernel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/futex"
	"github.com/megabin/megabin/runtime/vkernel/socket"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Dispatcher makes system calls; package syscalls has it.
type Dispatcher interface {
	// Call does system call nr for t. Errors are unix.Errno values, those
	// above 511 among them (ERESTARTSYS), which a guest never sees.
	Call(t *Task, nr uint64, args [6]uint64) (uint64, error)
	// Signal is told of each signal that is delivered, Exit of a task's end.
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
	// Refused is told of each file that was to be executed and may not be.
	Refused func(Refusal)
	// Problem is told what a person should know: the runner's own troubles.
	Problem func(text string)
	// Faulted, if set, is told of each fault before it becomes a signal.
	Faulted func(t *Task, f *machine.Fault)
}

// Kernel is one container's kernel.
type Kernel struct {
	Config
	Futexes futex.Table
	Boot    time.Time
	code    *codeGate

	mu      sync.Mutex
	tasks   map[int]*Task
	lastPID int
	running sync.WaitGroup
}

// New makes a kernel without tasks.
func New(c Config) *Kernel {
	k := &Kernel{Config: c, Boot: time.Now(), tasks: map[int]*Task{}}
	k.code = &codeGate{units: c.Units, refused: c.Refused}
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

// allocate gives t a free task id and makes it known under it.
func (k *Kernel) allocate(t *Task) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range maxPID {
		k.lastPID = k.lastPID%(maxPID-1) + 1
		if k.tasks[k.lastPID] == nil {
			t.TID = k.lastPID
			k.tasks[t.TID] = t
			return nil
		}
	}
	return unix.EAGAIN
}

// forget frees a task id.
func (k *Kernel) forget(tid int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tasks, tid)
}

// Task is the task with this id, or nil.
func (k *Kernel) Task(tid int) *Task {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tasks[tid]
}

// Tasks lists all tasks, in no order.
func (k *Kernel) Tasks() []*Task {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]*Task, 0, len(k.tasks))
	for _, t := range k.tasks {
		list = append(list, t)
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
// one, and Run runs it.
func (k *Kernel) NewInit(ctx context.Context, i Init) (*Task, error) {
	if i.Limits == nil {
		i.Limits = DefaultLimits()
	}
	if i.FDs == nil {
		i.FDs = vfs.NewFDTable(i.Limits.Files)
	}
	t := &Task{
		K: k, ctx: ctx, FDs: i.FDs, FS: i.FS, creds: i.Creds,
		Handlers: &SignalHandlers{}, kick: make(chan struct{}, 1),
	}
	if err := k.allocate(t); err != nil {
		return nil, err
	}
	g := newThreadGroup(k, t.TID, i.Limits)
	g.session = &Session{ID: t.TID}
	g.pgid = t.TID
	g.add(t)
	return t, nil
}
