// Package wait is how a task learns that a non-blocking operation which gave
// EAGAIN may succeed now. An object that can become ready has a Queue; who
// wants to wait registers an Entry, tries the operation again, and only then
// sleeps, so no wake-up is lost. The package knows nothing of tasks: an Entry
// is a function to call.
//
// Lock order: an object's own mutex, then Queue.mu. Entry functions run with
// Queue.mu held; they must not block nor touch the queue or its object
// (sending on a buffered channel is what they are for).
package wait

import "sync"

// Mask is a set of poll events; the values are those of poll and epoll.
type Mask uint32

// Events, uapi/asm-generic/poll.h.
const (
	In    Mask = 0x001
	Pri   Mask = 0x002
	Out   Mask = 0x004
	Err   Mask = 0x008
	Hup   Mask = 0x010
	NVal  Mask = 0x020
	RDHup Mask = 0x2000

	// Other names of In and Out, which objects need not know.
	RdNorm Mask = 0x040
	WrNorm Mask = 0x100

	// Urgent is no event of poll: out-of-band data has come. Pri holds as long as
	// it can be read, while of this a queue is told once.
	Urgent Mask = 1 << 16
)

// Full is a mask that an object gives with the other names of its events.
func (m Mask) Full() Mask { return m | m&In<<6 | m&Out<<6 }

// plain is a mask that is asked for in an object's own names.
func (m Mask) plain() Mask { return m | m&RdNorm>>6 | m&WrNorm>>6 }

// Always are the events that poll reports whether asked for or not.
const Always = Err | Hup

// Entry is one registered waiter.
type Entry struct {
	mask   Mask
	notify func(Mask)

	next, prev *Entry
	queue      *Queue
}

// NewEntry returns an entry that calls notify when one of the events of mask
// (or of Always) happens.
func NewEntry(mask Mask, notify func(Mask)) *Entry {
	return &Entry{mask: mask.plain() | Always, notify: notify}
}

// NewChannelEntry returns an entry and the channel on which it leaves at most
// one token.
func NewChannelEntry(mask Mask) (*Entry, <-chan struct{}) {
	c := make(chan struct{}, 1)
	return NewEntry(mask, func(Mask) {
		select {
		case c <- struct{}{}:
		default:
		}
	}), c
}

// Queue is a set of waiters; the zero value is ready for use.
type Queue struct {
	mu    sync.Mutex
	first *Entry
}

// Register adds e, which must not be registered anywhere. A nil queue (of an
// object that is always ready) takes it and never calls it.
func (q *Queue) Register(e *Entry) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != nil {
		panic("BUG: wait entry registered twice")
	}
	e.queue, e.next = q, q.first
	if q.first != nil {
		q.first.prev = e
	}
	q.first = e
}

// Unregister removes e; when it returns, e is not called any more. An entry
// that is not registered is left alone.
func (q *Queue) Unregister(e *Entry) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.queue != q {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.queue, e.next, e.prev = nil, nil, nil
}

// Notify calls all entries that asked for one of the events of mask.
func (q *Queue) Notify(mask Mask) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.first; e != nil; e = e.next {
		if e.mask&mask != 0 {
			e.notify(e.mask & mask)
		}
	}
}
