package kernel

import (
	"golang.org/x/sys/unix"
)

// Send makes a signal pending for one thread (tgkill).
func (t *Task) Send(info SigInfo) {
	if t.Handlers.ignores(info.Signo) && !t.Mask().Has(info.Signo) {
		return
	}
	t.sigMu.Lock()
	t.pending.add(info)
	t.sigMu.Unlock()
	t.wake()
}

// Send makes a signal pending for the process (kill).
func (g *ThreadGroup) Send(info SigInfo) {
	tasks := g.Tasks()
	if len(tasks) == 0 {
		return
	}
	blocked := true
	for _, t := range tasks {
		blocked = blocked && t.Mask().Has(info.Signo)
	}
	if tasks[0].Handlers.ignores(info.Signo) && !blocked {
		return
	}
	if info.Signo == unix.SIGKILL {
		g.Exit(SignalStatus(unix.SIGKILL))
		return
	}
	g.mu.Lock()
	g.pending.add(info)
	g.mu.Unlock()
	for _, t := range tasks {
		t.wake()
	}
}

// Kill is kill(2) by t.
func (t *Task) Kill(pid int, info SigInfo) error {
	found, allowed := false, false
	for _, g := range t.K.groups() {
		if !t.selects(g, pid) {
			continue
		}
		found = true
		if !t.maySignal(g, info.Signo) {
			continue
		}
		allowed = true
		if info.Signo != 0 {
			g.Send(info)
		}
	}
	switch {
	case !found:
		return unix.ESRCH
	case !allowed:
		return unix.EPERM
	}
	return nil
}

// groups lists all processes.
func (k *Kernel) groups() []*ThreadGroup {
	seen := map[*ThreadGroup]bool{}
	var list []*ThreadGroup
	for _, t := range k.Tasks() {
		if !seen[t.Group] {
			seen[t.Group] = true
			list = append(list, t.Group)
		}
	}
	return list
}

// selects tells whether kill's pid argument means g.
func (t *Task) selects(g *ThreadGroup, pid int) bool {
	switch {
	case pid > 0:
		return g.ID == pid
	case pid == 0:
		return g.ProcessGroup() == t.Group.ProcessGroup()
	case pid == -1:
		return g.ID != 1 && g != t.Group
	}
	return g.ProcessGroup() == -pid
}

// maySignal is check_kill_permission.
func (t *Task) maySignal(g *ThreadGroup, sig unix.Signal) bool {
	tasks := g.Tasks()
	if len(tasks) == 0 || g == t.Group {
		return true
	}
	me, other := t.Creds(), tasks[0].Creds()
	if me.EUID == other.SUID || me.EUID == other.UID || me.UID == other.SUID || me.UID == other.UID {
		return true
	}
	return me.Has(unix.CAP_KILL) || sig == unix.SIGCONT && g.SessionID() == t.Group.SessionID()
}

// SignalThread is tgkill and tkill; tgid 0 means any.
func (t *Task) SignalThread(tgid, tid int, info SigInfo) error {
	other := t.K.Task(tid)
	if other == nil || tgid != 0 && other.Group.ID != tgid {
		return unix.ESRCH
	}
	if !t.maySignal(other.Group, info.Signo) {
		return unix.EPERM
	}
	if info.Signo != 0 {
		other.Send(info)
	}
	return nil
}

// Mask is the set of blocked signals.
func (t *Task) Mask() SigSet {
	t.sigMu.Lock()
	defer t.sigMu.Unlock()
	return t.mask
}

// SetMask replaces the set of blocked signals and gives the one before.
func (t *Task) SetMask(m SigSet) SigSet {
	t.sigMu.Lock()
	defer t.sigMu.Unlock()
	old := t.mask
	t.mask = m &^ unblockable
	return old
}

// SetMaskFor replaces the mask until the next system call has returned or a
// handler has run: sigsuspend, ppoll, pselect6, epoll_pwait.
func (t *Task) SetMaskFor(m SigSet) {
	old := t.SetMask(m)
	t.sigMu.Lock()
	defer t.sigMu.Unlock()
	t.saved = &old
}

// RestoreMask ends SetMaskFor.
func (t *Task) RestoreMask() {
	t.sigMu.Lock()
	defer t.sigMu.Unlock()
	if t.saved != nil {
		t.mask, t.saved = *t.saved, nil
	}
}

// Pending is sigpending.
func (t *Task) Pending() SigSet {
	t.sigMu.Lock()
	own := t.pending.set
	t.sigMu.Unlock()
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	return own | t.Group.pending.set
}

// hasSignal tells whether a signal is to be delivered.
func (t *Task) hasSignal() bool { return t.Pending()&^t.Mask() != 0 }

// Take removes a pending signal that is not in mask.
func (t *Task) Take(mask SigSet) (SigInfo, bool) {
	t.sigMu.Lock()
	info, ok := t.pending.take(mask)
	t.sigMu.Unlock()
	if ok {
		return info, true
	}
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	return t.Group.pending.take(mask)
}

// Discard forgets pending signals, which SIG_IGN does.
func (t *Task) Discard(set SigSet) {
	t.sigMu.Lock()
	t.pending.drop(set)
	t.sigMu.Unlock()
	t.Group.mu.Lock()
	defer t.Group.mu.Unlock()
	t.Group.pending.drop(set)
}

// SetAction is rt_sigaction: EINVAL for what cannot be changed.
func (t *Task) SetAction(sig unix.Signal, a Action) (Action, error) {
	if sig < 1 || sig > MaxSignal || sig == unix.SIGKILL || sig == unix.SIGSTOP {
		return Action{}, unix.EINVAL
	}
	old := t.Handlers.Set(sig, a)
	if t.Handlers.ignores(sig) {
		t.Discard(Of(sig))
	}
	return old, nil
}

// AltStack is the alternate signal stack, with SS_ONSTACK if sp is on it.
func (t *Task) AltStack(sp uint64) AltStack {
	t.sigMu.Lock()
	defer t.sigMu.Unlock()
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
	t.sigMu.Lock()
	defer t.sigMu.Unlock()
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
