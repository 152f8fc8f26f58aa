package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/seccomp"
)

// Seccomp is what the task may ask for; nil: everything.
func (t *Task) Seccomp() *seccomp.State { return t.seccomp.Load() }

// SetSeccomp replaces the task's state by what change makes of it. With all, the
// other threads get it too, if theirs is what the task's was made of; otherwise
// nothing changes and the result is the id of a thread for which that is not
// so.
func (t *Task) SetSeccomp(all bool, change func(*seccomp.State) (*seccomp.State, error)) (tid int, err error) {
	k, g := t.K, t.Group
	k.mu.Lock() // no thread is made
	defer k.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	old := t.Seccomp()
	next, err := change(old)
	if err != nil {
		return 0, err
	}
	if all {
		for other := range g.tasks {
			if !old.From(other.Seccomp()) {
				return other.TID, nil
			}
		}
		for other := range g.tasks {
			if other != t {
				next.Retain()
				other.seccomp.Swap(next).Release()
			}
			if t.Creds().NoNewPrivs {
				other.SetCreds(other.Creds().With(func(c *Creds) { c.NoNewPrivs = true }))
			}
		}
	}
	t.seccomp.Store(next)
	return 0, nil
}

// inherit gives a new task what must not change between its making and its
// joining a group: an other thread may restrict all, a child give its keyring.
// Preconditions: Kernel.mu is held.
func (child *Task) inherit(t *Task, a CloneArgs) {
	child.creds = t.Creds()
	child.rings = t.K.Keys.Fork(t.KeyCaller(), a.has(unix.CLONE_THREAD))
	t.Seccomp().Retain()
	child.seccomp.Store(t.Seccomp())
}

// EndThread ends the task as a signal would that kills threads; the last one
// takes the process with it.
func (t *Task) EndThread(sig unix.Signal) {
	g := t.Group
	g.mu.Lock()
	last := len(g.tasks) == 1
	t.flow = flowExit
	t.leaving, t.status = true, SignalStatus(sig)
	if !last && t.TID == g.ID && !g.exiting {
		g.status = SignalStatus(sig)
	}
	g.mu.Unlock()
	if last {
		t.ExitGroup(SignalStatus(sig))
	}
}

// Force sends a signal that the task has caused by itself and can't put off:
// where it is blocked or ignored, it kills.
func (t *Task) Force(info SigInfo) {
	g := t.Group
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.mask.Has(info.Signo) || t.Handlers.ignores(info.Signo) {
		t.Handlers.Set(info.Signo, Action{})
		t.mask &^= Of(info.Signo)
	}
	t.pending.add(info)
	t.notify()
}
