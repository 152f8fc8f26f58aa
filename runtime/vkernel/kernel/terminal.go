package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/tty"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// terminal is the controlling terminal of the task's session, or nil.
// Preconditions: Kernel.mu is held.
func (t *Task) terminal() *tty.Control { return t.Group.pgrp.session.tty }

// OpenTerminal opens the controlling terminal: ENXIO if there is none.
func (t *Task) OpenTerminal(flags int) (vfs.File, error) {
	t.K.mu.Lock()
	c := t.terminal()
	t.K.mu.Unlock()
	if c == nil {
		return nil, unix.ENXIO
	}
	return c.Open(flags)
}

// AcquireTerminal is TIOCSCTTY: only a session's leader gets one, and only one
// that is no other session's.
func (t *Task) AcquireTerminal(c *tty.Control) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	s := t.Group.pgrp.session
	switch {
	case s.tty == c && s.ID == t.Group.ID:
		return nil
	case s.tty != nil || s.ID != t.Group.ID || c.Session() != 0:
		return unix.EPERM
	}
	s.tty = c
	c.Attach(s.ID, t.Group.pgrp.ID, t.K.signalGroup)
	return nil
}

// ReleaseTerminal is TIOCNOTTY: ENOTTY if c is not the controlling terminal.
// When the session's leader gives it up nobody has it any more.
func (t *Task) ReleaseTerminal(c *tty.Control) error {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	if t.terminal() != c {
		return unix.ENOTTY
	}
	if s := t.Group.pgrp.session; s.ID == t.Group.ID {
		t.K.hangup(s, SigInfo{Code: SiUser, PID: int32(t.Group.ID), UID: t.Creds().UID})
	}
	return nil
}

// hangup takes a session's terminal away. info is what its signals tell.
// Preconditions: Kernel.mu is held.
func (k *Kernel) hangup(s *Session, info SigInfo) {
	c := s.tty
	s.tty = nil
	if p := k.pgroups[c.Foreground()]; p != nil {
		for _, info.Signo = range []unix.Signal{unix.SIGHUP, unix.SIGCONT} {
			p.send(info)
		}
	}
	c.Detach()
}

// signalGroup sends a terminal's signal to a process group. When the terminal
// is hung up, SIGHUP goes to the session's leader too.
func (k *Kernel) signalGroup(pgrp int, sig unix.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pgroups[pgrp]
	if p == nil {
		return
	}
	p.send(SigInfo{Signo: sig, Code: SiKernel})
	if sig != unix.SIGHUP {
		return
	}
	if leader := k.groups[p.session.ID]; leader != nil && leader.pgrp != p {
		leader.send(SigInfo{Signo: sig, Code: SiKernel}, nil)
	}
	p.send(SigInfo{Signo: unix.SIGCONT, Code: SiKernel})
}

// Foreground is TIOCGPGRP: ENOTTY unless c is the controlling terminal.
func (t *Task) Foreground(c *tty.Control) (int, error) {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	if t.terminal() != c {
		return 0, unix.ENOTTY
	}
	return c.Foreground(), nil
}

// SetForeground is TIOCSPGRP.
func (t *Task) SetForeground(c *tty.Control, pgrp int) error {
	if err := t.MayChange(c); err != nil {
		return err
	}
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	p := t.K.pgroups[pgrp]
	switch {
	case t.terminal() != c:
		return unix.ENOTTY
	case pgrp < 0:
		return unix.EINVAL
	case p == nil:
		return unix.ESRCH
	case p.session != t.Group.pgrp.session:
		return unix.EPERM
	}
	c.SetForeground(pgrp)
	return nil
}

// MayRead stops a background process that reads its terminal: SIGTTIN and
// ERESTARTSYS, or EIO if it could not be stopped.
func (t *Task) MayRead(c *tty.Control) error {
	_, err := t.background(c, unix.SIGTTIN)
	return err
}

// MayChange stops a background process that changes its terminal: SIGTTOU and
// ERESTARTSYS. If it blocks or ignores the signal it may.
func (t *Task) MayChange(c *tty.Control) error {
	immune, err := t.background(c, unix.SIGTTOU)
	if immune {
		return nil
	}
	return err
}

// MayWrite is MayChange for output, which is free unless the terminal has
// TOSTOP.
func (t *Task) MayWrite(c *tty.Control) error {
	if c.StopsOutput == nil || !c.StopsOutput() {
		return nil
	}
	return t.MayChange(c)
}

// background sends the signal to the task's process group if that is one in
// the background. immune says that the task blocks or ignores it; err is then
// EIO, and nil in the foreground.
func (t *Task) background(c *tty.Control, sig unix.Signal) (immune bool, err error) {
	t.K.mu.Lock()
	defer t.K.mu.Unlock()
	p := t.Group.pgrp
	if t.terminal() != c || c.Foreground() == p.ID {
		return false, nil
	}
	switch {
	case t.Mask().Has(sig) || t.Handlers.Get(sig).Handler == SigIgn:
		return true, unix.EIO
	case p.orphaned(nil):
		return false, unix.EIO
	}
	p.send(SigInfo{Signo: sig, Code: SiKernel})
	return false, ERESTARTSYS
}
