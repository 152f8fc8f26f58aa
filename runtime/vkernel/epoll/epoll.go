// Package epoll is epoll(7): a set of open files of which those that are
// ready can be asked for. It knows nothing of tasks; who waits uses Queue.
//
// An item is a descriptor and the open file description it meant when it was
// added; it leaves when the description is released, so not as long as a
// duplicate of the descriptor is open anywhere.
//
// An item that may be ready stands in a list, into which notifications put
// it; asking looks at that list only. Level-triggered items stay in it as long
// as they are ready, edge-triggered ones wait for the next notification.
//
// Lock order: nesting, Epoll.mu of the outer instance, that of the inner one,
// the locks and queues of the files watched, Epoll.readyMu.
package epoll

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// Flags of Event.Mask beyond poll's events, uapi/linux/eventpoll.h.
const (
	EdgeTriggered wait.Mask = 1 << 31
	OneShot       wait.Mask = 1 << 30
	wakeUp        wait.Mask = 1 << 29
	exclusive     wait.Mask = 1 << 28
	flags                   = EdgeTriggered | OneShot | wakeUp | exclusive
	// withExclusive is what may go with EPOLLEXCLUSIVE. That it wakes fewer
	// waiters is a hint, which is not followed.
	withExclusive = wait.In | wait.Out | wait.Err | wait.Hup | wakeUp | EdgeTriggered | exclusive
)

// Event is struct epoll_event.
type Event struct {
	Mask wait.Mask
	Data uint64
}

// Epoll is one instance.
type Epoll struct {
	queue wait.Queue

	mu    sync.Mutex
	items map[key]*item

	readyMu sync.Mutex
	ready   []*item // in the order they are looked at
}

// key is what an item is found by.
type key struct {
	fd int
	d  *vfs.Description
}

// item is one watched descriptor. It holds no reference.
type item struct {
	key
	epoll *Epoll
	entry *wait.Entry

	event Event // guarded by epoll.mu
	gone  bool  // guarded by epoll.mu
	// queued says that the item is in ready; guarded by epoll.readyMu.
	queued bool
}

// New makes an instance.
func New() *Epoll { return &Epoll{items: map[key]*item{}} }

// Release implements vfs.File.
func (e *Epoll) Release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, it := range e.items {
		e.remove(it)
	}
}

// Queue implements vfs.Poller: it is told whenever a file may have become
// ready.
func (e *Epoll) Queue() *wait.Queue { return &e.queue }

// Ready implements vfs.Poller.
func (e *Epoll) Ready() wait.Mask {
	e.mu.Lock()
	defer e.mu.Unlock()
	for it := e.pop(); it != nil; it = e.pop() {
		if it.ready() != 0 {
			e.keep(it)
			return wait.In
		}
	}
	return 0
}

// ready is the events of an item to be reported now: none once it is
// disabled by EPOLLONESHOT.
// Preconditions: epoll.mu is held.
func (it *item) ready() wait.Mask {
	if it.gone || it.event.Mask&^flags == 0 {
		return 0
	}
	return it.d.Ready().Full() & it.event.Mask
}

// push queues an item that may be ready, and tells who waits.
func (e *Epoll) push(it *item) {
	e.keep(it)
	e.queue.Notify(wait.In)
}

// keep queues an item of which who waits has been told.
func (e *Epoll) keep(it *item) {
	e.readyMu.Lock()
	defer e.readyMu.Unlock()
	if !it.queued {
		it.queued = true
		e.ready = append(e.ready, it)
	}
}

// pop takes the first item of the list. What happens to it from now on queues
// it again.
func (e *Epoll) pop() *item {
	e.readyMu.Lock()
	defer e.readyMu.Unlock()
	if len(e.ready) == 0 {
		e.ready = nil
		return nil
	}
	it := e.ready[0]
	e.ready[0] = nil
	e.ready = e.ready[1:]
	it.queued = false
	return it
}

// Add is EPOLL_CTL_ADD: EEXIST, EPERM for files that are always ready, ELOOP
// for instances that would watch each other.
func (e *Epoll) Add(fd int, d *vfs.Description, ev Event) error {
	inner, nested := d.File().(*Epoll)
	switch {
	case d.Queue() == nil:
		return unix.EPERM
	case inner == e:
		return unix.EINVAL
	case ev.Mask&exclusive != 0 && (nested || ev.Mask&^withExclusive != 0):
		return unix.EINVAL
	}
	if nested {
		nesting.Lock()
		defer nesting.Unlock()
		if !inner.mayNest(e, maxNesting) {
			return unix.ELOOP
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	ev.Mask |= wait.Always
	it := &item{key: key{fd, d}, epoll: e, event: ev}
	if e.items[it.key] != nil {
		return unix.EEXIST
	}
	e.items[it.key] = it
	d.OnRelease(it, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !it.gone {
			e.remove(it)
		}
	})
	it.hook()
	return nil
}

// nesting is held while an instance is put into another one.
var nesting sync.Mutex

// maxNesting is EP_MAX_NESTS.
const maxNesting = 4

// mayNest tells whether e can be put into outer: outer is not in it, and the
// instances in it are not nested too deeply.
func (e *Epoll) mayNest(outer *Epoll, depth int) bool {
	if e == outer || depth == 0 {
		return false
	}
	e.mu.Lock()
	var inner []*Epoll
	for k := range e.items {
		if i, nested := k.d.File().(*Epoll); nested {
			inner = append(inner, i)
		}
	}
	e.mu.Unlock()
	for _, i := range inner {
		if !i.mayNest(outer, depth-1) {
			return false
		}
	}
	return true
}

// hook registers the item with its file, and queues it if that is ready.
// Preconditions: epoll.mu is held.
func (it *item) hook() {
	it.entry = wait.NewEntry(it.event.Mask&^flags, func(wait.Mask) { it.epoll.push(it) })
	it.d.Queue().Register(it.entry)
	if it.ready() != 0 {
		it.epoll.push(it)
	}
}

// remove takes an item out. It may still be queued, but is not ready any more.
// Preconditions: mu is held.
func (e *Epoll) remove(it *item) {
	it.gone = true
	it.d.Queue().Unregister(it.entry)
	it.d.CancelRelease(it)
	delete(e.items, it.key)
}

// Modify is EPOLL_CTL_MOD.
func (e *Epoll) Modify(fd int, d *vfs.Description, ev Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	it := e.items[key{fd, d}]
	switch {
	case ev.Mask&exclusive != 0:
		return unix.EINVAL
	case it == nil:
		return unix.ENOENT
	case it.event.Mask&exclusive != 0:
		return unix.EINVAL
	}
	it.d.Queue().Unregister(it.entry)
	ev.Mask |= wait.Always
	it.event = ev
	it.hook()
	return nil
}

// Delete is EPOLL_CTL_DEL.
func (e *Epoll) Delete(fd int, d *vfs.Description) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	it := e.items[key{fd, d}]
	if it == nil {
		return unix.ENOENT
	}
	e.remove(it)
	return nil
}

// Collect gives up to n events that are ready: EAGAIN if there are none.
// Items reported go to the end of the line, so that none starves.
func (e *Epoll) Collect(n int) ([]Event, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var events []Event
	var again []*item
	for len(events) < n {
		it := e.pop()
		if it == nil {
			break
		}
		mask := it.ready()
		if mask == 0 {
			continue
		}
		events = append(events, Event{mask, it.event.Data})
		switch {
		case it.event.Mask&OneShot != 0:
			it.event.Mask &= flags
		case it.event.Mask&EdgeTriggered == 0:
			again = append(again, it)
		}
	}
	for _, it := range again {
		e.keep(it)
	}
	if len(events) == 0 {
		return nil, unix.EAGAIN
	}
	return events, nil
}
