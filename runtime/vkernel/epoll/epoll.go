// Package epoll is epoll(7): a set of open files of which those that are
// ready can be asked for. It knows nothing of tasks; who waits uses Queue.
//
// Lock order: Epoll.mu, then the queues of the files watched. An entry's
// notification takes no lock but those of Epoll's own queue.
package epoll

import (
	"sync"
	"sync/atomic"

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
)

// Event is struct epoll_event.
type Event struct {
	Mask wait.Mask
	Data uint64
}

// Lookup tells which open file a descriptor means now, without a reference;
// nil if none.
type Lookup func(fd int) *vfs.Description

// Epoll is one instance. A file leaves it when its descriptor is closed.
type Epoll struct {
	queue wait.Queue

	mu    sync.Mutex
	items map[int]*item
	order []*item // in the order they are looked at
}

// item is one watched descriptor. It holds no reference: closing the
// descriptor must close the file.
type item struct {
	fd    int
	d     *vfs.Description
	event Event
	entry *wait.Entry
	// edge is set by each notification; an edge-triggered item is looked at
	// only then.
	edge atomic.Bool
}

// New makes an instance.
func New() *Epoll { return &Epoll{items: map[int]*item{}} }

// Release implements vfs.File.
func (e *Epoll) Release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, it := range e.order {
		e.unhook(it)
	}
	e.items, e.order = map[int]*item{}, nil
}

// Queue implements vfs.Poller: it is told whenever a file may have become
// ready.
func (e *Epoll) Queue() *wait.Queue { return &e.queue }

// Ready implements vfs.Poller.
func (e *Epoll) Ready() wait.Mask {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, it := range e.order {
		if it.ready() != 0 {
			return wait.In
		}
	}
	return 0
}

// ready is the events of an item to be reported now.
func (it *item) ready() wait.Mask {
	if it.event.Mask&^flags == 0 || it.event.Mask&EdgeTriggered != 0 && !it.edge.Load() {
		return 0
	}
	return it.d.Ready() & (it.event.Mask&^flags | wait.Always)
}

// Add is EPOLL_CTL_ADD: EEXIST, EPERM for files that are always ready.
func (e *Epoll) Add(fd int, d *vfs.Description, ev Event) error {
	if d.Queue() == nil {
		return unix.EPERM
	}
	if d.File() == vfs.File(e) {
		return unix.EINVAL
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.items[fd]; old != nil {
		if old.d == d {
			return unix.EEXIST
		}
		e.remove(old) // its descriptor was closed and used again
	}
	it := &item{fd: fd, d: d, event: ev}
	e.items[fd] = it
	e.order = append(e.order, it)
	e.hook(it)
	return nil
}

func (e *Epoll) hook(it *item) {
	it.edge.Store(true)
	it.entry = wait.NewEntry(it.event.Mask&^flags, func(wait.Mask) {
		it.edge.Store(true)
		e.queue.Notify(wait.In)
	})
	it.d.Queue().Register(it.entry)
	if it.ready() != 0 {
		e.queue.Notify(wait.In)
	}
}

func (e *Epoll) unhook(it *item) { it.d.Queue().Unregister(it.entry) }

func (e *Epoll) remove(it *item) {
	e.unhook(it)
	delete(e.items, it.fd)
	for i, other := range e.order {
		if other == it {
			e.order = append(e.order[:i:i], e.order[i+1:]...)
			return
		}
	}
}

// find is the item of a descriptor, or ENOENT.
// Preconditions: mu is held.
func (e *Epoll) find(fd int, d *vfs.Description) (*item, error) {
	it := e.items[fd]
	if it == nil || it.d != d {
		return nil, unix.ENOENT
	}
	return it, nil
}

// Modify is EPOLL_CTL_MOD.
func (e *Epoll) Modify(fd int, d *vfs.Description, ev Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	it, err := e.find(fd, d)
	if err != nil {
		return err
	}
	e.unhook(it)
	it.event = ev
	e.hook(it)
	return nil
}

// Delete is EPOLL_CTL_DEL.
func (e *Epoll) Delete(fd int, d *vfs.Description) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	it, err := e.find(fd, d)
	if err == nil {
		e.remove(it)
	}
	return err
}

// Collect gives up to n events that are ready: EAGAIN if there are none.
// Items reported go to the end of the line, so that none starves.
func (e *Epoll) Collect(n int, lookup Lookup) ([]Event, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var events []Event
	var waiting, reported []*item
	for _, it := range e.order {
		if lookup(it.fd) != it.d {
			e.unhook(it)
			delete(e.items, it.fd)
			continue
		}
		mask := wait.Mask(0)
		if len(events) < n {
			mask = it.report()
		}
		if mask == 0 {
			waiting = append(waiting, it)
			continue
		}
		events = append(events, Event{mask, it.event.Data})
		reported = append(reported, it)
	}
	e.order = append(waiting, reported...)
	if len(events) == 0 {
		return nil, unix.EAGAIN
	}
	return events, nil
}

// report is ready, and marks the item as reported.
func (it *item) report() wait.Mask {
	if it.event.Mask&EdgeTriggered != 0 && !it.edge.Swap(false) {
		return 0
	}
	mask := it.d.Ready() & (it.event.Mask&^flags | wait.Always)
	if it.event.Mask&^flags == 0 {
		mask = 0 // disabled by EPOLLONESHOT
	}
	if mask != 0 && it.event.Mask&OneShot != 0 {
		it.event.Mask &= flags
	}
	return mask
}
