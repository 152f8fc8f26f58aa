package kernel

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// WaitStatus is the status that wait4 reports.
type WaitStatus uint32

// ExitStatus is the status of a process that called exit(code).
func ExitStatus(code int) WaitStatus { return WaitStatus(code&0xff) << 8 }

// SignalStatus is the status of a process that a signal ended.
func SignalStatus(sig unix.Signal) WaitStatus { return WaitStatus(sig) & 0x7f }

// Code is the status as a shell has it: the exit code, or 128 + signal.
func (s WaitStatus) Code() int {
	if sig := s & 0x7f; sig != 0 {
		return 128 + int(sig)
	}
	return int(s>>8) & 0xff
}

// Session is what setsid makes.
type Session struct {
	ID int
}

// ThreadGroup is a process: what all its threads share that no clone flag
// separates.
type ThreadGroup struct {
	ID     int
	Limits *Limits
	Timers Timers
	k      *Kernel

	mu        sync.Mutex
	tasks     map[int]*Task
	exiting   bool
	status    WaitStatus
	done      chan struct{} // closed when the last task is gone
	parent    *ThreadGroup
	children  map[int]*ThreadGroup
	pgid      int
	session   *Session
	pending   sigQueue
	subreaper bool
	started   time.Time
	childWait chan struct{} // closed and replaced when a child changes
}

func newThreadGroup(k *Kernel, id int, limits *Limits) *ThreadGroup {
	g := &ThreadGroup{
		ID: id, k: k, Limits: limits, tasks: map[int]*Task{}, done: make(chan struct{}),
		children: map[int]*ThreadGroup{}, started: time.Now(), childWait: make(chan struct{}),
	}
	g.Timers.group = g
	return g
}

// add makes t a thread of g.
func (g *ThreadGroup) add(t *Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.Group = g
	g.tasks[t.TID] = t
}

// Started is when the process was made.
func (g *ThreadGroup) Started() time.Time { return g.started }

// Tasks lists the threads.
func (g *ThreadGroup) Tasks() []*Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]*Task, 0, len(g.tasks))
	for _, t := range g.tasks {
		list = append(list, t)
	}
	return list
}

// ParentID is the parent's process id, 0 for the first process.
func (g *ThreadGroup) ParentID() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.parent == nil {
		return 0
	}
	return g.parent.ID
}

// ProcessGroup and SessionID are getpgrp and getsid.
func (g *ThreadGroup) ProcessGroup() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pgid
}

// SessionID is getsid.
func (g *ThreadGroup) SessionID() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.session.ID
}

// SetProcessGroup is setpgid on the process itself: EPERM for a session
// leader or a group of another session.
func (g *ThreadGroup) SetProcessGroup(pgid int) error {
	if pgid == 0 {
		pgid = g.ID
	}
	if pgid != g.ID && !g.k.groupInSession(pgid, g.SessionID()) {
		return unix.EPERM
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.session.ID == g.ID {
		return unix.EPERM
	}
	g.pgid = pgid
	return nil
}

func (k *Kernel) groupInSession(pgid, session int) bool {
	for _, t := range k.Tasks() {
		if t.Group.ProcessGroup() == pgid && t.Group.SessionID() == session {
			return true
		}
	}
	return false
}

// NewSession is setsid: EPERM for the leader of a process group.
func (g *ThreadGroup) NewSession() (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pgid == g.ID {
		return 0, unix.EPERM
	}
	g.session, g.pgid = &Session{ID: g.ID}, g.ID
	return g.ID, nil
}

// Exiting tells whether the process is to end.
func (g *ThreadGroup) Exiting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.exiting
}

// Exit begins the end of the process: its threads stop at their next system
// call or poll. Only the first status counts.
func (g *ThreadGroup) Exit(status WaitStatus) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.exiting {
		return
	}
	g.exiting, g.status = true, status
	for _, t := range g.tasks {
		t.wake()
	}
}

// Wait blocks until the process has ended and gives its status.
func (g *ThreadGroup) Wait() WaitStatus {
	<-g.done
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}

// ExitThread is exit(2): the task ends; the last one ends the process.
func (t *Task) ExitThread(code int) {
	g := t.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	t.flow = flowExit
	if len(g.tasks) == 1 && !g.exiting {
		g.exiting, g.status = true, ExitStatus(code)
	}
}

// ExitGroup is exit_group(2).
func (t *Task) ExitGroup(status WaitStatus) {
	t.Group.Exit(status)
	t.flow = flowExit
}

// exit frees what the task holds, on its own goroutine and last.
func (t *Task) exit() {
	if t.ctx.Err() != nil {
		t.Group.Exit(SignalStatus(unix.SIGKILL))
	}
	t.releaseThread()
	g := t.Group
	g.mu.Lock()
	delete(g.tasks, t.TID)
	last := len(g.tasks) == 0
	status := g.status
	g.mu.Unlock()
	if !last {
		t.K.forget(t.TID)
		return
	}
	g.Timers.Stop()
	t.K.Calls.Exit(t, status)
	if t.MM != nil {
		t.MM.Release()
	}
	t.FDs.Release()
	t.K.reap(g)
	close(g.done)
}

// releaseThread tells who waits for the thread's end (CLONE_CHILD_CLEARTID)
// and frees its processor.
func (t *Task) releaseThread() {
	if t.ClearTID != 0 && t.MM != nil && len(t.Group.Tasks()) > 1 {
		t.MM.AS.Store32(t.ClearTID, 0)
		t.K.Futexes.Wake(t.FutexKey(t.ClearTID), 1, allBits)
	}
	if t.CPU != nil {
		t.CPU.Close()
		t.CPU = nil
	}
}
