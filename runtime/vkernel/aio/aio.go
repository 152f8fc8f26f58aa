// Package aio is the contexts of io_setup(2): queues of what was submitted
// and is done. What is submitted is done at once, as Linux does it too with
// files that are cached; so a context has events, but no requests on their way.
//
// Lock order: Table.mu, Context.mu, then the wait.Queue's.
package aio

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// MaxEvents is /proc/sys/fs/aio-max-nr, of each memory map: what is not fetched
// takes memory that no limit of the guest's counts.
const MaxEvents = 65536

// leastEvents is what a context holds if it was asked for less.
const leastEvents = 64

// Event is struct io_event.
type Event struct {
	Data   uint64 // of the request
	Object uint64 // the request's address
	Result int64  // a count, or an errno, negated
}

// Context is one queue of events.
type Context struct {
	queue wait.Queue

	mu     sync.Mutex
	asked  int // events, by io_setup
	events []Event
	room   int // for events that were not fetched
	dead   bool
}

// Queue tells of events with wait.In.
func (c *Context) Queue() *wait.Queue { return &c.queue }

// Reserve keeps room for one event, EAGAIN if there is none.
func (c *Context) Reserve() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room == 0 {
		return unix.EAGAIN
	}
	c.room--
	return nil
}

// Cancel gives the room back that no event took.
func (c *Context) Cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room++
}

// Complete adds the event that there is room for.
func (c *Context) Complete(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e)
	c.queue.Notify(wait.In)
}

// Take fetches up to n events: EINVAL once the context is destroyed.
func (c *Context) Take(n int) ([]Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return nil, unix.EINVAL
	}
	n = min(n, len(c.events))
	taken := c.events[:n:n]
	c.events = c.events[n:]
	c.room += n
	return taken, nil
}

// Table is the contexts of a memory map, by the address that names each.
type Table struct {
	mu       sync.Mutex
	contexts map[uint64]*Context
	asked    int // events of all contexts, by io_setup
}

// Add makes the context at addr, for n events: EAGAIN if
// that were too many.
func (t *Table) Add(addr uint64, n int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n > MaxEvents-t.asked {
		return unix.EAGAIN
	}
	t.asked += n
	if t.contexts == nil {
		t.contexts = map[uint64]*Context{}
	}
	t.contexts[addr] = &Context{asked: n, room: max(2*n, leastEvents)}
	return nil
}

// Get is the context at addr, or EINVAL.
func (t *Table) Get(addr uint64) (*Context, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.contexts[addr]; c != nil {
		return c, nil
	}
	return nil, unix.EINVAL
}

// Remove destroys the context at addr and ends what waits for it.
func (t *Table) Remove(addr uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.contexts[addr]
	if c == nil {
		return unix.EINVAL
	}
	delete(t.contexts, addr)
	t.asked -= c.asked
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	c.queue.Notify(wait.In)
	return nil
}
