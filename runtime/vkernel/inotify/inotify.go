// Package inotify is inotify(7): a queue of what happened to watched files. It
// gets the events from the vfs, and knows nothing of tasks or descriptors.
//
// Lock order: locks of the vfs, Instance.mu, then its queue's.
package inotify

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

const (
	headerSize = 16    // sizeof(struct inotify_event), bytes
	maxEvents  = 16384 // fs.inotify.max_queued_events
	maxWatches = 65536 // fs.inotify.max_user_watches
)

// Instance is an open inotify file.
type Instance struct {
	queue wait.Queue

	mu      sync.Mutex
	events  []event
	size    int // of the events, bytes
	watches map[int32]*watch
	byInode map[vfs.Inode]*watch
	lastWD  int32
}

// watch is a file that is watched.
type watch struct {
	wd   int32
	path vfs.Path
	mark *vfs.Mark
	mask uint32
}

// event is one that was not read.
type event struct {
	wd int32
	vfs.Event
}

// size is the length of the event's structure: names are padded with NULs to
// a multiple of the header's.
func (e *event) size() int {
	if e.Name == "" {
		return headerSize
	}
	return headerSize + (len(e.Name)+headerSize)/headerSize*headerSize
}

// New makes an instance that watches nothing.
func New() *Instance {
	return &Instance{watches: map[int32]*watch{}, byInode: map[vfs.Inode]*watch{}}
}

// Release implements vfs.File.
func (i *Instance) Release() {
	i.mu.Lock()
	watches := i.watches
	i.watches, i.byInode = map[int32]*watch{}, map[vfs.Inode]*watch{}
	i.mu.Unlock()
	for _, w := range watches {
		w.path.Unwatch(w.mark)
	}
}

// Add is inotify_add_watch; who calls has checked permissions. A file that is
// watched already gets a new mask.
func (i *Instance) Add(p vfs.Path, mask uint32) (int32, error) {
	if mask&unix.IN_ALL_EVENTS == 0 || mask&unix.IN_MASK_ADD != 0 && mask&unix.IN_MASK_CREATE != 0 {
		return 0, unix.EINVAL
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if w := i.byInode[p.Inode()]; w != nil {
		if mask&unix.IN_MASK_CREATE != 0 {
			return 0, unix.EEXIST
		}
		if mask&unix.IN_MASK_ADD != 0 {
			mask |= w.mask
		}
		w.mask = mask
		return w.wd, nil
	}
	if len(i.watches) >= maxWatches {
		return 0, unix.ENOSPC
	}
	i.lastWD++
	w := &watch{wd: i.lastWD, path: p, mask: mask}
	w.mark = &vfs.Mark{Tell: func(e vfs.Event) { i.tell(w, e) }}
	i.watches[w.wd], i.byInode[p.Inode()] = w, w
	p.Watch(w.mark)
	return w.wd, nil
}

// Remove is inotify_rm_watch.
func (i *Instance) Remove(wd int32) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	w := i.watches[wd]
	if w == nil {
		return unix.EINVAL
	}
	i.drop(w)
	return nil
}

// drop ends a watch.
// Preconditions: mu is held.
func (i *Instance) drop(w *watch) {
	delete(i.watches, w.wd)
	delete(i.byInode, w.path.Inode())
	w.path.Unwatch(w.mark)
	i.add(event{w.wd, vfs.Event{Mask: unix.IN_IGNORED}})
}

// tell takes an event for a watch.
func (i *Instance) tell(w *watch, e vfs.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.watches[w.wd] != w {
		return
	}
	if e.Mask&w.mask&unix.IN_ALL_EVENTS != 0 {
		i.add(event{w.wd, e})
		if w.mask&unix.IN_ONESHOT != 0 {
			i.drop(w)
			return
		}
	}
	if e.Mask&unix.IN_DELETE_SELF != 0 {
		i.drop(w)
	}
}

// add queues an event; the same twice in a row is one.
// Preconditions: mu is held.
func (i *Instance) add(e event) {
	if n := len(i.events); n > 0 && i.events[n-1] == e {
		return
	}
	switch {
	case len(i.events) == maxEvents:
		e = event{-1, vfs.Event{Mask: unix.IN_Q_OVERFLOW}}
	case len(i.events) > maxEvents:
		return
	}
	i.events = append(i.events, e)
	i.size += e.size()
	i.queue.Notify(wait.In)
}

// Read implements vfs.Reader: whole events, as many as fit; EINVAL if not
// even one does.
func (i *Instance) Read(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for len(i.events) > 0 {
		e := i.events[0]
		if len(p)-n < e.size() {
			if n == 0 {
				return 0, unix.EINVAL
			}
			break
		}
		e.put(p[n : n+e.size()])
		n += e.size()
		i.size -= e.size()
		i.events = i.events[1:]
	}
	if n == 0 {
		return 0, unix.EAGAIN
	}
	return n, nil
}

// put writes struct inotify_event.
func (e *event) put(p []byte) {
	le := binary.LittleEndian
	le.PutUint32(p, uint32(e.wd))
	le.PutUint32(p[4:], e.Mask)
	le.PutUint32(p[8:], e.Cookie)
	le.PutUint32(p[12:], uint32(len(p)-headerSize))
	clear(p[headerSize:])
	copy(p[headerSize:], e.Name)
}

// Ready implements vfs.Poller.
func (i *Instance) Ready() wait.Mask {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.events) > 0 {
		return wait.In
	}
	return 0
}

// Async implements vfs.Asyncer.
func (i *Instance) Async() {}

// Queue implements vfs.Poller.
func (i *Instance) Queue() *wait.Queue { return &i.queue }

// Ioctl implements vfs.Ioctler: FIONREAD is the size of all events.
func (i *Instance) Ioctl(_ *vfs.Caller, cmd uint32, arg uint64, mem vfs.Memory) (uint64, error) {
	if cmd != unix.SIOCINQ { // FIONREAD
		return 0, unix.ENOTTY
	}
	i.mu.Lock()
	n := uint32(i.size)
	i.mu.Unlock()
	return 0, mem.CopyOut(arg, binary.LittleEndian.AppendUint32(nil, n))
}
