package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/tty"
)

// ProcessGroup is what setpgid makes: a job of a shell. It is guarded by
// Kernel.mu.
type ProcessGroup struct {
	ID      int
	session *Session
	members map[*ThreadGroup]struct{} // zombies too
}

// Session is what setsid makes. It is guarded by Kernel.mu.
type Session struct {
	ID     int
	groups int          // process groups in it
	tty    *tty.Control // controlling terminal, nil if there is none
}

// newSession makes g the leader of a session and a process group of its own.
// Preconditions: Kernel.mu is held, and nothing else has g's id.
func (g *ThreadGroup) newSession() {
	s := &Session{ID: g.ID}
	g.k.sessions[s.ID] = s
	g.join(g.k.newProcessGroup(g.ID, s))
}

func (k *Kernel) newProcessGroup(id int, s *Session) *ProcessGroup {
	p := &ProcessGroup{ID: id, session: s, members: map[*ThreadGroup]struct{}{}}
	s.groups++
	k.pgroups[id] = p
	return p
}

// join moves g to another process group; nil for none. What is empty then is
// no more.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) join(p *ProcessGroup) {
	old := g.pgrp
	if old == p {
		return
	}
	g.pgrp = p
	if p != nil {
		p.members[g] = struct{}{}
	}
	if old == nil {
		return
	}
	delete(old.members, g)
	if len(old.members) > 0 {
		return
	}
	delete(g.k.pgroups, old.ID)
	if old.session.groups--; old.session.groups == 0 {
		delete(g.k.sessions, old.session.ID)
	}
}

// ProcessGroup is getpgrp.
func (g *ThreadGroup) ProcessGroup() int {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	return g.pgrpID()
}

// pgrpID is 0 for a process that was reaped.
func (g *ThreadGroup) pgrpID() int {
	if g.pgrp == nil {
		return 0
	}
	return g.pgrp.ID
}

// SessionID is getsid.
func (g *ThreadGroup) SessionID() int {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	if g.pgrp == nil {
		return 0
	}
	return g.pgrp.session.ID
}

// SetProcessGroup is setpgid: of the caller for pid 0, to a new group of that
// process for pgid 0.
func (t *Task) SetProcessGroup(pid, pgid int) error {
	k := t.K
	k.mu.Lock()
	defer k.mu.Unlock()
	g := t.Group
	if pid != 0 {
		g = k.groups[pid]
	}
	if err := t.mayRegroup(g); err != nil {
		return err
	}
	if pgid == 0 {
		pgid = g.ID
	}
	p := k.pgroups[pgid]
	switch {
	case p != nil && p.session != t.Group.pgrp.session:
		return unix.EPERM
	case p == nil && pgid != g.ID:
		return unix.EPERM
	case p == nil:
		p = k.newProcessGroup(pgid, g.pgrp.session)
	}
	g.join(p)
	return nil
}

// mayRegroup is what setpgid refuses whatever the group is.
func (t *Task) mayRegroup(g *ThreadGroup) error {
	switch {
	case g == nil || g != t.Group && g.parent != t.Group || g.pgrp == nil:
		return unix.ESRCH
	case g.pgrp.session != t.Group.pgrp.session:
		return unix.EPERM
	case g != t.Group && g.execed:
		return unix.EACCES
	case g.pgrp.session.ID == g.ID:
		return unix.EPERM
	}
	return nil
}

// NewSession is setsid: EPERM for the leader of a process group, and while a
// group of its id is left.
func (g *ThreadGroup) NewSession() (int, error) {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	if g.k.pgroups[g.ID] != nil || g.k.sessions[g.ID] != nil {
		return 0, unix.EPERM
	}
	g.newSession()
	return g.ID, nil
}

// orphaned tells whether nobody in the session could continue the group, but
// for one process that does not count.
// Preconditions: Kernel.mu is held.
func (p *ProcessGroup) orphaned(but *ThreadGroup) bool {
	for g := range p.members {
		if g == but || g.zombie || g.parent == nil || g.parent.pgrp == nil {
			continue
		}
		if q := g.parent.pgrp; q != p && q.session == p.session {
			return false
		}
	}
	return true
}

// hangupIfOrphaned sends SIGHUP and SIGCONT to a group that has stopped jobs
// and that nobody can continue after g, a child or a parent of which it is,
// has ended.
// Preconditions: Kernel.mu is held.
func (p *ProcessGroup) hangupIfOrphaned(g, parent *ThreadGroup) {
	if parent == nil || parent.pgrp == nil || p == nil || parent.pgrp == p || parent.pgrp.session != p.session {
		return // it was orphaned before
	}
	if !p.orphaned(g) || !p.hasStopped() {
		return
	}
	p.send(SigInfo{Signo: unix.SIGHUP, Code: SiKernel})
	p.send(SigInfo{Signo: unix.SIGCONT, Code: SiKernel})
}

func (p *ProcessGroup) hasStopped() bool {
	for g := range p.members {
		g.mu.Lock()
		stopped := g.stopped
		g.mu.Unlock()
		if stopped {
			return true
		}
	}
	return false
}

// send makes a signal pending for all members.
// Preconditions: Kernel.mu is held.
func (p *ProcessGroup) send(info SigInfo) {
	for g := range p.members {
		g.send(info, nil)
	}
}

// stop makes the process stop by a signal's default action; t is one of its
// threads. Only SIGSTOP stops what nobody in the session could continue.
func (t *Task) stop(sig unix.Signal) {
	k, g := t.K, t.Group
	k.mu.Lock()
	defer k.mu.Unlock()
	if sig != unix.SIGSTOP && g.pgrp.orphaned(nil) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.exiting || g.stopSig != 0 || g.pending.set.Has(unix.SIGCONT) || t.pending.set.Has(unix.SIGCONT) {
		return
	}
	g.stopSig = sig
	for other := range g.tasks {
		other.goesOn = false
		other.notify()
	}
}

// park stops the task until the process is continued or ends.
func (t *Task) park() {
	g := t.Group
	g.mu.Lock()
	g.parked++
	g.mu.Unlock()
	g.reportStop()
	t.pause()
	for t.isStopped() {
		if !t.groupStop() {
			<-t.kick
		}
	}
	t.meter.resume()
	g.mu.Lock()
	g.parked--
	g.mu.Unlock()
}

func (t *Task) isStopped() bool {
	g := t.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopSig != 0 && !t.goesOn && !t.ends()
}

// reportStop tells the parent when the last thread has stopped.
func (g *ThreadGroup) reportStop() {
	g.k.mu.Lock()
	defer g.k.mu.Unlock()
	g.mu.Lock()
	report := g.stopSig != 0 && !g.stopped && len(g.tasks) > 0 && g.parked == len(g.tasks)
	if report {
		g.stopped = true
	}
	sig := g.stopSig
	g.mu.Unlock()
	if report && !g.tracedBy(g.parent) {
		g.news = newsStopped
		g.tellParent(CldStopped, int32(sig))
	}
}

// resume undoes a stop, and tells the parent if it knew of it.
// Preconditions: Kernel.mu and g.mu are held. The parent is told without g.mu.
func (g *ThreadGroup) resume() (tell bool) {
	tell = g.stopped
	g.stopSig, g.stopped = 0, false
	for t := range g.tasks {
		t.goesOn = false
		if tr := t.tracing.Load(); tr != nil && tr.seized {
			t.mustTrap = true
		}
		t.notify()
	}
	return tell
}

// tellParent sends SIGCHLD about a stop or its end, unless the parent has
// SA_NOCLDSTOP.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) tellParent(code, status int32) {
	p := g.parent
	if p == nil {
		return
	}
	if a, ok := p.action(unix.SIGCHLD); ok && a.Handler != SigIgn && a.Flags&SaNoCldStop == 0 {
		p.send(g.childInfo(code, status), nil)
	}
	p.childChanged()
}

// childInfo is the siginfo of a SIGCHLD about g.
func (g *ThreadGroup) childInfo(code, status int32) SigInfo {
	return SigInfo{Signo: unix.SIGCHLD, Code: code, PID: int32(g.ID), UID: g.uid(), Status: status}
}

// uid is the real user id of the process.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) uid() uint32 {
	if t := g.leader(); t != nil {
		return t.Creds().UID
	}
	return 0
}

// childChanged wakes who waits for children.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) childChanged() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// action is what the process does with a signal; false if it has ended.
func (g *ThreadGroup) action(sig unix.Signal) (Action, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for t := range g.tasks {
		return t.Handlers.Get(sig), true
	}
	return Action{}, false
}
