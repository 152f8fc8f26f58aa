// Package tty is terminals: the line discipline, pseudoterminals with their
// file system, and what job control keeps with a terminal. It knows nothing of
// tasks: who owns a terminal is told to its Control, and asked through it.
//
// Lock order: Pty.mu, then Control.mu and the wait queues. Signals are sent with
// none of them held.
package tty

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Control says which session a terminal controls and which process group of it
// is in the foreground. The kernel decides who may change it.
type Control struct {
	// Device is its number, as st_rdev has it.
	Device uint64
	// Open opens the terminal again, for /dev/tty.
	Open func(flags int) (vfs.File, error)
	// StopsOutput, if set, tells whether writing from the background stops the
	// writer (TOSTOP).
	StopsOutput func() bool

	mu         sync.Mutex
	session    int // 0: none
	foreground int
	signal     func(pgrp int, sig unix.Signal)
}

// File is an open terminal.
type File interface {
	vfs.File
	Control() *Control
}

// Attach makes the terminal that of a session. signal sends a signal to a
// process group.
func (c *Control) Attach(session, foreground int, signal func(pgrp int, sig unix.Signal)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.foreground, c.signal = session, foreground, signal
}

// Detach makes it nobody's.
func (c *Control) Detach() { c.Attach(0, 0, nil) }

// Session is the id of the session, 0 for none.
func (c *Control) Session() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Foreground is the id of the foreground process group, 0 for none.
func (c *Control) Foreground() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.foreground
}

// SetForeground changes it.
func (c *Control) SetForeground(pgrp int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.foreground = pgrp
}

// Signal sends a signal to the foreground process group, if there is one.
func (c *Control) Signal(sig unix.Signal) {
	c.mu.Lock()
	pgrp, send := c.foreground, c.signal
	c.mu.Unlock()
	if send != nil && pgrp != 0 {
		send(pgrp, sig)
	}
}
