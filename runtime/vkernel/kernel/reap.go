package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// WaitFor says which children wait4 and waitid are about, and what of them.
type WaitFor struct {
	PID     int          // > 0 this one, -1 any, 0 of the caller's group, < -1 of group -PID
	Process *ThreadGroup // if set, this one: P_PIDFD
	Options int          // WEXITED, WSTOPPED, WCONTINUED, WNOHANG, WNOWAIT, __WALL, __WCLONE, __WNOTHREAD
}

// Reaped is what wait tells about a child.
type Reaped struct {
	PID    int
	Status WaitStatus
	UID    uint32
	Usage  Usage
	Traced bool // it is about a stop for a tracer
}

// Info is the siginfo of waitid.
func (r Reaped) Info() SigInfo {
	if r.PID == 0 {
		return SigInfo{}
	}
	info := SigInfo{Signo: unix.SIGCHLD, PID: int32(r.PID), UID: r.UID}
	switch {
	case r.Status == ContinuedStatus:
		info.Code, info.Status = CldContinued, int32(unix.SIGCONT)
	case r.Status&0xff == 0x7f && r.Traced:
		info.Code, info.Status = CldTrapped, int32(r.Status>>8)
	case r.Status&0xff == 0x7f:
		info.Code, info.Status = CldStopped, int32(r.Status>>8)
	default:
		info.Code, info.Status = r.Status.childCode()
	}
	return info
}

// Wait is wait4: ECHILD if there is no such child. With WNOHANG and no news
// the result is zero.
func (t *Task) Wait(w WaitFor) (Reaped, error) {
	r, err := t.waitFor(w)
	if r.PID != 0 {
		_ = t.MM.AS.Regain() // else memory stays as it is: the child has been waited for
	}
	return r, err
}

func (t *Task) waitFor(w WaitFor) (Reaped, error) {
	for {
		r, changed, err := t.tryWait(w)
		if err != nil || r.PID != 0 || w.Options&unix.WNOHANG != 0 {
			return r, err
		}
		if err := t.Sleep(changed, time.Time{}); err != nil {
			if r, _, last := t.tryWait(w); last != nil || r.PID != 0 {
				return r, last // SIGCHLD came with it
			}
			return Reaped{}, err
		}
	}
}

func (t *Task) tryWait(w WaitFor) (Reaped, <-chan struct{}, error) {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	found := false
	for _, child := range t.Group.children {
		if !w.matches(child, t) {
			continue
		}
		found = true
		if tr := child.tracing(); tr != nil && tr.tracer.Group != t.Group && child.zombie {
			continue // the tracer's first
		}
		if r, ok := child.tell(w.Options); ok {
			return r, nil, nil
		}
	}
	for _, o := range t.Group.tracees {
		if !w.meets(o, t) {
			continue
		}
		found = true
		if r, ok := o.tellStop(w.Options); ok {
			return r, nil, nil
		}
	}
	if !found {
		return Reaped{}, nil, unix.ECHILD
	}
	return Reaped{}, t.Group.changed, nil
}

// matches tells whether a child of t's process is meant.
// Preconditions: Kernel.mu is held.
func (w WaitFor) matches(child *ThreadGroup, t *Task) bool {
	isClone := child.exitSignal != unix.SIGCHLD
	switch {
	case w.Options&unix.WALL == 0 && isClone != (w.Options&unix.WCLONE != 0):
		return false
	case w.Options&unix.WNOTHREAD != 0 && child.creator != t:
		return false
	case w.Process != nil:
		return child == w.Process
	case w.PID > 0:
		return child.ID == w.PID
	case w.PID == 0:
		return child.pgrp == t.Group.pgrp
	case w.PID < -1:
		return child.pgrp.ID == -w.PID
	}
	return true
}

// tell gives a child's news, if there is any of those asked for, once unless
// WNOWAIT is among the options.
// Preconditions: Kernel.mu is held.
func (g *ThreadGroup) tell(options int) (Reaped, bool) {
	keep := options&unix.WNOWAIT != 0
	r := Reaped{PID: g.ID, UID: g.uid(), Usage: g.totalUsage()}
	switch {
	case g.zombie && options&unix.WEXITED != 0:
		r.Status = g.Wait()
		if !keep {
			g.parent.childUsage.add(r.Usage)
			g.release()
		}
		return r, true
	case g.zombie:
		return r, false
	case g.news == newsStopped && options&unix.WSTOPPED != 0:
		g.mu.Lock()
		r.Status = StopStatus(g.stopSig)
		g.mu.Unlock()
	case g.news == newsContinued && options&unix.WCONTINUED != 0:
		r.Status = ContinuedStatus
	default:
		return r, false
	}
	if !keep {
		g.news = noNews
	}
	return r, true
}

// meets tells whether a task that t's process traces is meant: any kind is.
// Preconditions: Kernel.mu is held.
func (w WaitFor) meets(o, t *Task) bool {
	g := o.Group
	switch {
	case w.Options&unix.WNOTHREAD != 0 && o.tracing.Load().tracer != t:
		return false
	case w.Process != nil:
		return g == w.Process && o.TID == g.ID
	case w.PID > 0:
		return o.TID == w.PID
	case w.PID == 0:
		return g.pgrp == t.Group.pgrp
	case w.PID < -1:
		return g.pgrpID() == -w.PID
	}
	return true
}

// tellStop gives a tracee's news, if there is any, as tell does of children. The
// end of a child is told there.
// Preconditions: Kernel.mu is held.
func (t *Task) tellStop(options int) (Reaped, bool) {
	tr, g := t.tracing.Load(), t.Group
	keep := options&unix.WNOWAIT != 0
	r := Reaped{PID: t.TID, UID: t.Creds().UID, Traced: true, Usage: g.totalUsage()}
	switch {
	case tr.stop != nil && !tr.told && !tr.listens:
		r.Status = WaitStatus(tr.stop.code)<<8 | 0x7f
		if !keep {
			tr.told, tr.sig = true, 0 // what it would go on with if the tracer ended now
		}
		return r, true
	case options&unix.WEXITED == 0:
		return r, false
	case tr.ended:
		r.Status = tr.status
		if !keep {
			t.detach()
		}
		return r, true
	case g.zombie && t.TID == g.ID && g.parent != tr.tracer.Group:
		r.Status = g.Wait()
		if !keep {
			t.letGo()
		}
		return r, true
	}
	return r, false
}
