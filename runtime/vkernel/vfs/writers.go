package vfs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// writers counts who may write to a file, or below zero who runs it: never
// both (ETXTBSY).
type writers struct{ n atomic.Int32 }

// What a description counts for.
const (
	aWriter = 1
	aRunner = -1
)

func (w *writers) enter(who int32) error {
	for {
		n := w.n.Load()
		if n*who < 0 {
			return unix.ETXTBSY
		}
		if w.n.CompareAndSwap(n, n+who) {
			return nil
		}
	}
}

func (w *writers) leave(who int32) { w.n.Add(-who) }

// count makes d a writer or a runner of its file until it is released.
func (d *Description) count(who int32) error {
	err := d.state.writers.enter(who)
	if err == nil {
		d.counts = who
	}
	return err
}

// DenyWrite keeps others from opening the file for writing until the description
// is released: ETXTBSY if somebody has.
// Preconditions: d is open for reading only, and nobody else has it yet.
func (d *Description) DenyWrite() error { return d.count(aRunner) }
