package kernel

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// WaitStatus is the status that wait4 reports.
type WaitStatus uint32

// ExitStatus is the status of a process that called exit(code).
func ExitStatus(code int) WaitStatus { return WaitStatus(code&0xff) << 8 }

// SignalStatus is the status of a process that a signal ended.
func SignalStatus(sig unix.Signal) WaitStatus { return WaitStatus(sig) & 0x7f }

// StopStatus is the status of a process that a signal stopped.
func StopStatus(sig unix.Signal) WaitStatus { return WaitStatus(sig)<<8 | 0x7f }

// ContinuedStatus is the status of a process that SIGCONT made go on.
const ContinuedStatus WaitStatus = 0xffff

// Code is the status as a shell has it: the exit code, or 128 + signal.
func (s WaitStatus) Code() int {
	if sig := s & 0x7f; sig != 0 {
		return 128 + int(sig)
	}
	return int(s>>8) & 0xff
}

// ThreadGroup is a process: what all its threads share that no clone flag
// separates.
type ThreadGroup struct {
	ID          int
	Limits      *Limits
	Timers      Timers
	Membarrier  atomic.Bool // registered for MEMBARRIER_CMD_PRIVATE_EXPEDITED
	PosixTimers PosixTimers
	k           *Kernel

	started time.Time
	done    chan struct{} // closed when the process has ended
	ended   wait.Queue    // told then too; for pidfds

	// The family, guarded by Kernel.mu.
	parent     *ThreadGroup // nil for the first process
	creator    *Task        // the parent's thread that made it, nil if that has ended
	children   []*ThreadGroup
	tracees    []*Task // what its threads trace
	pgrp       *ProcessGroup
	exitSignal unix.Signal // what the parent gets when it ends; 0 for none
	pdeath     unix.Signal // PR_SET_PDEATHSIG
	subreaper  bool        // PR_SET_CHILD_SUBREAPER
	nice       int
	oom        oomScore
	execed     bool // has called execve since it was made
	zombie     bool
	news       news          // what the parent has not waited for
	changed    chan struct{} // closed and replaced when a child has news
	childUsage Usage         // of children that were waited for, and theirs

	mu      sync.Mutex // guards what follows and the signal state of the tasks
	tasks   map[*Task]struct{}
	exiting bool
	status  WaitStatus // with exiting; without: what the leader gave to exit(2)
	execer  *Task      // the thread in execve, for which all others end
	pending sigQueue
	stopSig unix.Signal // all threads are to stop, by this signal; 0: none are
	parked  int         // threads that have stopped
	stopped bool        // all have, and the parent was told
	usage   Usage       // of threads that ended
}

// news is a change of a process that wait4 tells besides its end.
type news uint8

const (
	noNews news = iota
	newsStopped
	newsContinued
)

func newThreadGroup(k *Kernel, id int, limits *Limits) *ThreadGroup {
	g := &ThreadGroup{
		ID: id, k: k, Limits: limits, tasks: map[*Task]struct{}{}, done: make(chan struct{}),
		started: time.Now(), changed: make(chan struct{}), exitSignal: unix.SIGCHLD,
	}
	g.Timers.init(g)
	return g
}

// add makes t a thread of g.
func (g *ThreadGroup) add(t *Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.Group = g
	g.tasks[t] = struct{}{}
}

// Started is when the process was made.
func (g *ThreadGroup) Started() time.Time { return g.started }

// Tasks lists the threads that have not ended.
func (g *ThreadGroup) Tasks() []*Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]*Task, 0, len(g.tasks))
	for t := range g.tasks {
		list = append(list, t)
	}
	return list
}

// leader is the thread whose id is the process's, ended or not.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) leader() *Task { return g.k.tasks[g.ID] }

// ParentID is the parent's process id, 0 for the first process.
func (g *ThreadGroup) ParentID() int {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	if g.parent == nil {
		return 0
	}
	return g.parent.ID
}

// SetSubreaper is PR_SET_CHILD_SUBREAPER.
func (g *ThreadGroup) SetSubreaper(on bool) {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	g.subreaper = on
}

// Subreaper is PR_GET_CHILD_SUBREAPER.
func (g *ThreadGroup) Subreaper() bool {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	return g.subreaper
}

// SetParentDeathSignal is PR_SET_PDEATHSIG; 0 is none.
func (g *ThreadGroup) SetParentDeathSignal(sig unix.Signal) {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	g.pdeath = sig
}

// ParentDeathSignal is PR_GET_PDEATHSIG.
func (g *ThreadGroup) ParentDeathSignal() unix.Signal {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	return g.pdeath
}

// Exit begins the end of the process: its threads stop at their next system
// call or poll. Only the first status counts.
func (g *ThreadGroup) Exit(status WaitStatus) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exit(status)
}

// exit is Exit with g.mu held.
func (g *ThreadGroup) exit(status WaitStatus) {
	if g.exiting {
		return
	}
	g.exiting, g.status, g.stopSig = true, status, 0
	for t := range g.tasks {
		t.notify()
	}
}

// Wait blocks until the process has ended and gives its status.
func (g *ThreadGroup) Wait() WaitStatus {
	<-g.done
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}
