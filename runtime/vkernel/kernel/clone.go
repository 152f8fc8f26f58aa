package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// CloneArgs is struct clone_args, uapi/linux/sched.h. Addresses are the
// guest's.
type CloneArgs struct {
	Flags      uint64      // CLONE_*
	ExitSignal unix.Signal // 0 for none
	Stack      uint64      // the child's stack pointer; 0: as the caller's
	TLS        uint64      // CLONE_SETTLS
	ParentTID  uint64      // CLONE_PARENT_SETTID
	ChildTID   uint64      // CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID

	// PIDFile and PIDFD are an open file for CLONE_PIDFD, and its descriptor in
	// the caller's table.
	PIDFile *PIDFile
	PIDFD   int
}

// namespaces are the flags that need CAP_SYS_ADMIN, which no container has.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// knownFlags are what clone3 does not refuse as unknown.
const knownFlags = namespaces | unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_PIDFD |
	unix.CLONE_PTRACE | unix.CLONE_VFORK | unix.CLONE_PARENT | unix.CLONE_THREAD | unix.CLONE_SYSVSEM |
	unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID | unix.CLONE_DETACHED |
	unix.CLONE_UNTRACED | unix.CLONE_CHILD_SETTID | unix.CLONE_IO | unix.CLONE_CLEAR_SIGHAND

// cloneRules are combinations of flags that are refused: all of set, and none
// of unset.
var cloneRules = []struct {
	set, unset uint64
	err        error
}{
	{unix.CLONE_FS | unix.CLONE_NEWNS, 0, unix.EINVAL},
	{unix.CLONE_FS | unix.CLONE_NEWUSER, 0, unix.EINVAL},
	{unix.CLONE_THREAD, unix.CLONE_SIGHAND, unix.EINVAL},
	{unix.CLONE_SIGHAND, unix.CLONE_VM, unix.EINVAL},
	{unix.CLONE_SIGHAND | unix.CLONE_CLEAR_SIGHAND, 0, unix.EINVAL},
	{unix.CLONE_THREAD | unix.CLONE_NEWUSER, 0, unix.EINVAL},
	{unix.CLONE_THREAD | unix.CLONE_NEWPID, 0, unix.EINVAL},
	{unix.CLONE_THREAD | unix.CLONE_PIDFD, 0, unix.EINVAL},
	{unix.CLONE_DETACHED | unix.CLONE_PIDFD, 0, unix.EINVAL},
	{unix.CLONE_VM | unix.CLONE_NEWTIME, 0, unix.EINVAL},
	{unix.CLONE_SYSVSEM | unix.CLONE_NEWIPC, 0, unix.EINVAL},
}

// check is what clone refuses before it does anything.
func (a CloneArgs) check() error {
	if a.Flags&^knownFlags != 0 {
		return unix.EINVAL
	}
	for _, r := range cloneRules {
		if a.Flags&r.set == r.set && (r.unset == 0 || a.Flags&r.unset == 0) {
			return r.err
		}
	}
	if a.Flags&namespaces != 0 {
		return unix.EPERM
	}
	return nil
}

func (a CloneArgs) has(flag uint64) bool { return a.Flags&flag != 0 }

// Clone makes a task as fork, vfork and clone do, and gives its id. With
// CLONE_VFORK it returns when the child has left the memory it shares.
func (t *Task) Clone(a CloneArgs) (int, error) { return t.clone(a, (*Task).Run) }

// clone is Clone of a task that does what run says.
func (t *Task) clone(a CloneArgs, run func(*Task)) (int, error) {
	if err := a.check(); err != nil {
		return 0, err
	}
	if t.Interrupted() {
		return 0, ERESTARTNOINTR
	}
	if err := t.K.full(); err != nil {
		return 0, err // before anything is copied: a fork bomb would use the whole of its time for that
	}
	child, err := t.copyTask(a)
	if err != nil {
		return 0, err
	}
	event := t.cloneEvent(a)
	if err := t.adopt(child, a, event != 0 || a.has(unix.CLONE_PTRACE)); err != nil {
		child.discard()
		return 0, err
	}
	tid, vfork := child.TID, child.vfork
	t.tellIDs(child, a)
	t.K.running.Add(1)
	start := func() {
		go func() {
			defer t.K.running.Done()
			run(child)
		}()
	}
	if event != 0 && t.announces(event, uint64(tid)) {
		s := t.eventStop(unix.SIGTRAP, event)
		s.then = start // or the child's first stop might be told before
		t.trap(s)
	} else {
		start()
	}
	if vfork != nil {
		t.sleepUnlessKilled(vfork)
		t.traceEvent(eventVforkDone, uint64(tid))
	}
	return tid, nil
}

// copyTask makes a task that nobody knows yet, with copies of the parts that
// are not shared.
func (t *Task) copyTask(a CloneArgs) (*Task, error) {
	child := newTask(t.K)
	child.comm.Store(t.comm.Load())
	child.exe.Store(t.exe.Load())
	child.attributes.Store(t.Attributes().fork())
	child.mask, child.call = t.Mask(), t.call
	child.Handlers = t.Handlers
	if !a.has(unix.CLONE_SIGHAND) {
		child.Handlers = t.Handlers.Fork()
	}
	if a.has(unix.CLONE_CLEAR_SIGHAND) {
		child.Handlers.reset()
	}
	if !a.has(unix.CLONE_VM) || a.has(unix.CLONE_VFORK) {
		child.altStack = t.altStack
	}
	if a.has(unix.CLONE_CHILD_CLEARTID) {
		child.ClearTID = a.ChildTID
	}
	if a.has(unix.CLONE_VFORK) {
		child.vfork = make(chan struct{})
	}
	child.FS = t.FS
	if !a.has(unix.CLONE_FS) {
		child.FS = t.FS.Fork()
	}
	var err error
	if child.MM, err = t.copyMM(a); err != nil {
		return nil, unix.ENOMEM
	}
	if err := t.copyCPU(child, a); err != nil {
		child.MM.Release()
		return nil, unix.ENOMEM
	}
	return child, nil
}

func (t *Task) copyMM(a CloneArgs) (*mm.MM, error) {
	if a.has(unix.CLONE_VM) {
		t.MM.Retain()
		return t.MM, nil
	}
	return t.MM.Fork()
}

// copyCPU gives the child a processor that is about to return from the same
// system call, with 0.
func (t *Task) copyCPU(child *Task, a CloneArgs) error {
	if t.CPU == nil {
		return nil // a task without a program, in tests
	}
	cpu, err := t.K.Engine.NewCPU(child.MM.AS, child)
	if err != nil {
		return err
	}
	cpu.CopyState(t.CPU)
	cpu.SetReg(abi.RAX, 0)
	cpu.SetReg(abi.PC, t.PC())
	if a.Stack != 0 {
		cpu.SetReg(abi.RSP, a.Stack)
	}
	if a.has(unix.CLONE_SETTLS) {
		cpu.SetFSBase(a.TLS)
	}
	child.CPU = cpu
	return nil
}

// adopt gives the child an id, its descriptors and its place in the family, with
// traced also the tracer.
// ERESTARTNOINTR if a signal came, which the child of a group must not miss.
func (t *Task) adopt(child *Task, a CloneArgs, traced bool) (err error) {
	k := t.K
	k.mu.Lock()
	defer k.mu.Unlock()
	defer func() {
		if traced && err == nil {
			child.traceChild(t)
		}
	}()
	if t.Interrupted() {
		return ERESTARTNOINTR
	}
	if err := t.mayClone(); err != nil {
		return err
	}
	child.inherit(t, a)
	if err := k.allocate(child); err != nil {
		return err
	}
	child.FDs = t.FDs
	if a.has(unix.CLONE_SYSVSEM) {
		child.setUndo(t.Undo())
		child.undo.Retain()
	}
	if a.has(unix.CLONE_THREAD) {
		t.Group.add(child)
		child.FDs.Retain()
		return nil
	}
	g := newThreadGroup(k, child.TID, t.Group.Limits.Fork())
	if a.has(unix.CLONE_FILES) {
		child.FDs.Retain()
	} else {
		child.FDs = t.FDs.Fork(g.Limits.Files)
	}
	if a.PIDFile != nil {
		a.PIDFile.Process = g
		if child.FDs != t.FDs {
			child.FDs.Close(a.PIDFD)
		}
	}
	g.exitSignal, g.nice, g.oom = a.ExitSignal, t.Group.nice, t.Group.oom
	g.parent, g.creator = t.Group, t
	if a.has(unix.CLONE_PARENT) && t.Group.parent != nil {
		g.parent, g.creator, g.exitSignal = t.Group.parent, t.Group.creator, t.Group.exitSignal
	}
	g.parent.children = append(g.parent.children, g)
	k.groups[g.ID] = g
	g.join(t.Group.pgrp)
	g.add(child)
	return nil
}

// mayClone is RLIMIT_NPROC: the tasks of one user, root excepted.
// Preconditions: Kernel.mu is held.
func (t *Task) mayClone() error {
	limit, err := t.Group.Limits.Get(unix.RLIMIT_NPROC)
	uid := t.Creds().UID
	if err != nil || uid == 0 || limit.Cur == Infinity {
		return err
	}
	n := uint64(0)
	for _, other := range t.K.tasks {
		if other.Creds().UID == uid {
			n++
		}
	}
	if n >= limit.Cur {
		return unix.EAGAIN
	}
	return nil
}

// tellIDs writes the child's id where the flags say, in its memory and in its
// maker's. What can't be written is not.
func (t *Task) tellIDs(child *Task, a CloneArgs) {
	if a.has(unix.CLONE_PARENT_SETTID) {
		t.MM.AS.Store32(a.ParentTID, uint32(child.TID))
	}
	if a.has(unix.CLONE_CHILD_SETTID) {
		child.MM.AS.Store32(a.ChildTID, uint32(child.TID))
	}
}

// discard frees a task that nobody came to know.
func (t *Task) discard() {
	if t.CPU != nil {
		t.CPU.Close()
	}
	t.Seccomp().Release()
	t.K.Keys.Release(t.rings)
	t.MM.Release()
}
