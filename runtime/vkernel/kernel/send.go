package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Send makes a signal pending for one thread (tgkill).
func (t *Task) Send(info SigInfo) {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	t.Group.send(info, t)
}

// Send makes a signal pending for the process (kill).
func (g *ThreadGroup) Send(info SigInfo) {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	g.send(info, nil)
}

// send makes a signal pending for a thread of g, or for all for nil. EAGAIN if
// a real-time signal finds the queue full.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) send(info SigInfo, to *Task) error {
	g.mu.Lock()
	tell := g.prepare(info.Signo)
	err := g.queue(info, to)
	g.mu.Unlock()
	if tell {
		g.news = newsContinued
		g.tellParent(CldContinued, int32(unix.SIGCONT))
	}
	return err
}

// stopSignals are what SIGCONT takes back.
var stopSignals = Of(unix.SIGSTOP) | Of(unix.SIGTSTP) | Of(unix.SIGTTIN) | Of(unix.SIGTTOU)

// prepare does what signals do when they are sent, blocked and ignored or not.
// It tells whether the parent is to hear that the process goes on.
func (g *ThreadGroup) prepare(sig unix.Signal) (tell bool) {
	switch {
	case sig == unix.SIGKILL:
		g.exit(SignalStatus(sig))
	case sig == unix.SIGCONT:
		g.drop(stopSignals)
		if g.stopSig != 0 && !g.exiting {
			return g.resume()
		}
	case sig > 0 && stopSignals.Has(sig):
		g.drop(Of(unix.SIGCONT))
	}
	return false
}

// drop forgets pending signals of the process and all its threads.
func (g *ThreadGroup) drop(set SigSet) {
	g.pending.drop(set)
	for t := range g.tasks {
		t.pending.drop(set)
	}
}

// queue adds a signal that is not ignored to a queue and wakes who may take it.
func (g *ThreadGroup) queue(info SigInfo, to *Task) error {
	if to != nil {
		if _, alive := g.tasks[to]; !alive || to.discards(info.Signo) {
			return nil
		}
		err := to.pending.add(info)
		to.notifyOf(info.Signo)
		return err
	}
	if g.ignores(info.Signo) {
		return nil
	}
	err := g.pending.add(info)
	for t := range g.tasks {
		t.notifyOf(info.Signo)
	}
	return err
}

// ignores tells whether a signal to the process has no effect.
func (g *ThreadGroup) ignores(sig unix.Signal) bool {
	for t := range g.tasks {
		if !t.discards(sig) {
			return false
		}
	}
	return true
}

// discards tells whether a signal to the task has no effect: a blocked one has,
// later, and a tracer hears of those that are ignored.
func (t *Task) discards(sig unix.Signal) bool {
	return t.Handlers.ignores(sig) && !t.blocks(sig) && !t.traced()
}

// blocks tells whether the task blocks a signal, or does when it does not await it.
func (t *Task) blocks(sig unix.Signal) bool { return (t.mask | t.awaited).Has(sig) }

// notify makes the task look at what its group and signals want of it.
// Preconditions: the group's lock is held.
func (t *Task) notify() {
	t.attention.Store(true)
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

func (t *Task) notifyOf(sig unix.Signal) {
	t.arrivals.Notify(wait.In)
	if !t.mask.Has(sig) {
		t.notify()
	}
}

// Kill is kill(2) by t. Signal 0 only asks whether one could be sent.
func (t *Task) Kill(pid int, info SigInfo) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	targets := t.targets(pid)
	if len(targets) == 0 {
		return unix.ESRCH
	}
	allowed := false
	var err error
	for _, g := range targets {
		if !t.maySignal(g, info.Signo) {
			continue
		}
		allowed = true
		if info.Signo != 0 && !t.sparesFirst(g, info.Signo) {
			err = g.send(info, nil)
		}
	}
	if !allowed {
		return unix.EPERM
	}
	return err
}

// targets are the processes that kill's argument means.
// Preconditions: Kernel.mu is held.
func (t *Task) targets(pid int) (list []*ThreadGroup) {
	k := t.K
	switch {
	case pid > 0:
		if other := k.tasks[pid]; other != nil {
			list = append(list, other.Group)
		}
		return list
	case pid == -1:
		for _, g := range k.groups {
			if g != k.init && g != t.Group {
				list = append(list, g)
			}
		}
		return list
	}
	p := t.Group.pgrp
	if pid != 0 {
		p = k.pgroups[-pid]
	}
	if p != nil {
		for g := range p.members {
			list = append(list, g)
		}
	}
	return list
}

// SignalProcess is pidfd_send_signal: ESRCH if the process was waited for.
func (t *Task) SignalProcess(g *ThreadGroup, info SigInfo) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	switch {
	case t.K.groups[g.ID] != g:
		return unix.ESRCH
	case !t.maySignal(g, info.Signo):
		return unix.EPERM
	case info.Signo == 0 || t.sparesFirst(g, info.Signo):
		return nil
	}
	return g.send(info, nil)
}

// maySignal is check_kill_permission.
// Preconditions: Kernel.mu is held.
func (t *Task) maySignal(g *ThreadGroup, sig unix.Signal) bool {
	leader := g.leader()
	if leader == nil || g == t.Group {
		return true
	}
	me, other := t.Creds(), leader.Creds()
	if me.EUID == other.SUID || me.EUID == other.UID || me.UID == other.SUID || me.UID == other.UID {
		return true
	}
	return me.Has(unix.CAP_KILL) || sig == unix.SIGCONT && g.pgrp != nil && g.pgrp.session == t.Group.pgrp.session
}

// SignalThread is tgkill and tkill; tgid 0 means any.
func (t *Task) SignalThread(tgid, tid int, info SigInfo) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	other := t.K.tasks[tid]
	if other == nil || tgid != 0 && other.Group.ID != tgid {
		return unix.ESRCH
	}
	if !t.maySignal(other.Group, info.Signo) {
		return unix.EPERM
	}
	if info.Signo == 0 || t.sparesFirst(other.Group, info.Signo) {
		return nil
	}
	return other.Group.send(info, other)
}

// sparesFirst tells whether g is the first process, and a signal of another one's has no
// effect on it: it has no handler for it (pid_namespaces(7)).
// Preconditions: Kernel.mu is held.
func (t *Task) sparesFirst(g *ThreadGroup, sig unix.Signal) bool {
	if g != t.K.init || g == t.Group {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for o := range g.tasks {
		if o.Handlers.Get(sig).Handler != SigDfl || o.blocks(sig) || o.traced() {
			return false
		}
	}
	return true
}

// Mask is the set of blocked signals.
func (t *Task) Mask() SigSet {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	return t.mask
}

// SetMask replaces the set of blocked signals and gives the one before.
func (t *Task) SetMask(m SigSet) SigSet {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	old := t.mask
	t.mask = m &^ unblockable
	t.recheck()
	return old
}

// SetMaskFor replaces the mask until the next system call has returned or a
// handler has run: sigsuspend, ppoll, pselect6, epoll_pwait.
func (t *Task) SetMaskFor(m SigSet) {
	old := t.SetMask(m)
	t.saved = &old
}

// AwaitSignals lets the signals of a set end the sleep that follows, until
// RestoreMask. Those of them that are blocked stay so for whoever sends them: one that
// is ignored becomes pending all the same (struct task_struct, real_blocked).
func (t *Task) AwaitSignals(set SigSet) {
	old := t.Mask()
	t.setAwaited(old & set)
	t.SetMaskFor(old &^ set)
}

func (t *Task) setAwaited(s SigSet) {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	t.awaited = s
}

// RestoreMask ends SetMaskFor and AwaitSignals.
func (t *Task) RestoreMask() {
	if old := t.saved; old != nil {
		t.saved = nil
		t.SetMask(*old)
		t.setAwaited(0)
	}
}

// Pending is the set of signals that are pending for the thread or its process.
func (t *Task) Pending() SigSet {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	return t.pending.set | t.Group.pending.set
}

// recheck finds out whether the task has something to attend to.
// Preconditions: the group's lock is held.
func (t *Task) recheck() bool {
	g := t.Group
	wanted := t.ends() || t.mustTrap || g.stopSig != 0 && !t.goesOn || (t.pending.set|g.pending.set)&^t.mask != 0
	t.attention.Store(wanted)
	return wanted
}

// ends tells whether the task is to end.
// Preconditions: the group's lock is held.
func (t *Task) ends() bool {
	g := t.Group
	return g.exiting || g.execer != nil && g.execer != t
}

func (t *Task) mustEnd() bool {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	return t.ends()
}

// Take removes a pending signal that is not in mask.
func (t *Task) Take(mask SigSet) (SigInfo, bool) {
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	return t.take(mask)
}

func (t *Task) take(mask SigSet) (SigInfo, bool) {
	if info, ok := t.pending.take(mask); ok {
		return info, true
	}
	return t.Group.pending.take(mask)
}

// SetAction is rt_sigaction: EINVAL for what cannot be changed.
func (t *Task) SetAction(sig unix.Signal, a Action) (Action, error) {
	if sig < 1 || sig > MaxSignal || sig == unix.SIGKILL || sig == unix.SIGSTOP {
		return Action{}, unix.EINVAL
	}
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	old := t.Handlers.Set(sig, a)
	if t.Handlers.ignores(sig) {
		t.Group.drop(Of(sig))
	}
	return old, nil
}

// AltStack is the alternate signal stack, with SS_ONSTACK if sp is on it.
func (t *Task) AltStack(sp uint64) AltStack {
	a := t.altStack
	switch {
	case a.Size == 0:
		a.Flags = SsDisable
	case a.holds(sp):
		a.Flags |= SsOnStack
	}
	return a
}

// minSigStack is MINSIGSTKSZ, bytes.
const minSigStack = 2048

// SetAltStack is sigaltstack.
func (t *Task) SetAltStack(a AltStack, sp uint64) error {
	if t.altStack.holds(sp) {
		return unix.EPERM
	}
	switch mode := a.Flags &^ SsAutodisarm; {
	case mode == SsDisable:
		a = AltStack{}
	case mode != 0 && mode != SsOnStack:
		return unix.EINVAL
	case a.Size < minSigStack:
		return unix.ENOMEM
	}
	a.Flags &= SsAutodisarm
	t.altStack = a
	return nil
}
