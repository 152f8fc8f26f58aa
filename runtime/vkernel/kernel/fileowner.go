package kernel

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/megabin/megabin/runtime/vkernel/wait"
)

// signalOwner sends the signal of F_SETSIG, with info, to who owns d; without
// F_SETSIG it is SIGIO, which tells nothing more.
func (k *Kernel) signalOwner(d *vfs.Description, info SigInfo) {
	if info.Signo = unix.Signal(d.OwnerSignal()); info.Signo == 0 {
		info = SigInfo{Signo: unix.SIGIO, Code: SiKernel}
	}
	k.sendOwner(d, info)
}

// sendOwner sends a signal to who owns d.
func (k *Kernel) sendOwner(d *vfs.Description, info SigInfo) {
	o := d.Owner()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch t := k.tasks[int(o.ID)]; {
	case o.Type == vfs.OwnerGroup && k.pgroups[int(o.ID)] != nil:
		for g := range k.pgroups[int(o.ID)].members {
			g.send(info, nil)
		}
	case t == nil:
	case o.Type == vfs.OwnerThread:
		t.Group.send(info, t)
	case o.Type == vfs.OwnerProcess:
		t.Group.send(info, nil)
	}
}

// watcher sends the signals of a description.
type watcher struct {
	k       *Kernel
	watched watched
	fd      int
	entry   *wait.Entry
	pending atomic.Uint32 // events to tell of
}

// watched is what a watcher is for: the signals of O_ASYNC, or SIGURG.
type watched struct {
	d      *vfs.Description
	urgent bool
}

// watchers are those of descriptions with O_ASYNC whose files can become
// ready, and of sockets that have, or had, an owner.
type watchers struct {
	mu   sync.Mutex
	byID map[watched]*watcher
}

// SetStatusFlags is F_SETFL of descriptor fd, by whose number signals call it.
func (k *Kernel) SetStatusFlags(fd int, d *vfs.Description, flags int) {
	d.SetFlags(flags)
	if _, able := d.File().(vfs.Asyncer); !able {
		return
	}
	all := &k.watchers
	all.mu.Lock()
	defer all.mu.Unlock()
	w := all.byID[watched{d: d}]
	switch on := d.Flags()&linux.O_ASYNC != 0; {
	case on && w == nil:
		w = &watcher{k: k, watched: watched{d: d}, fd: fd}
		all.add(w, asyncMask(d), w.notify)
	case !on && w != nil:
		d.CancelRelease(w.watched)
		all.drop(w)
	}
}

// asyncMask is what O_ASYNC tells of.
func asyncMask(d *vfs.Description) (mask wait.Mask) {
	if d.Readable() {
		mask |= wait.In | wait.Urgent
	}
	if d.Writable() {
		mask |= wait.Out
	}
	return mask
}

// SetOwner is F_SETOWN. From the first owner on a socket's description is
// watched for out-of-band data.
func (k *Kernel) SetOwner(d *vfs.Description, o vfs.Owner) {
	d.SetOwner(o)
	if _, able := d.File().(vfs.Urger); !able || o.ID == 0 {
		return
	}
	all := &k.watchers
	all.mu.Lock()
	defer all.mu.Unlock()
	key := watched{d: d, urgent: true}
	if all.byID[key] == nil {
		w := &watcher{k: k, watched: key}
		all.add(w, wait.Urgent, w.sendUrgent)
	}
}

func (all *watchers) add(w *watcher, mask wait.Mask, notify func(wait.Mask)) {
	w.entry = wait.NewEntry(mask, notify)
	if all.byID == nil {
		all.byID = map[watched]*watcher{}
	}
	all.byID[w.watched] = w
	d := w.watched.d
	d.Queue().Register(w.entry)
	d.OnRelease(w.watched, func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		all.drop(w)
	})
}

// drop ends w.
// Preconditions: mu is held.
func (all *watchers) drop(w *watcher) {
	w.watched.d.Queue().Unregister(w.entry)
	delete(all.byID, w.watched)
}

// notify is called with the file's lock held, perhaps: another goroutine sends
// the signals of O_ASYNC.
func (w *watcher) notify(events wait.Mask) {
	if w.pending.Or(uint32(events)) == 0 {
		go func() { w.send(wait.Mask(w.pending.Swap(0))) }()
	}
}

// pollCodes are the si_code and si_band of the signals of F_SETSIG.
var pollCodes = []struct {
	event wait.Mask
	code  int32
	band  int32
}{
	{wait.In, 1, 0x041},             // POLL_IN: EPOLLIN, EPOLLRDNORM
	{wait.Out, 2, 0x004 | 0x100},    // POLL_OUT: EPOLLOUT, EPOLLWRNORM, EPOLLWRBAND
	{wait.Err, 4, 0x008},            // POLL_ERR: EPOLLERR
	{wait.Urgent, 5, 0x002 | 0x080}, // POLL_PRI: EPOLLPRI, EPOLLRDBAND
	{wait.Hup, 6, 0x010 | 0x008},    // POLL_HUP: EPOLLHUP, EPOLLERR
}

// send sends the signals of O_ASYNC. Of out-of-band data there is SIGURG,
// and another one only if F_SETSIG chose it.
func (w *watcher) send(events wait.Mask) {
	d := w.watched.d
	if d.OwnerSignal() == 0 {
		events &^= wait.Urgent
	}
	for _, c := range pollCodes {
		if events&c.event != 0 {
			w.k.signalOwner(d, SigInfo{Code: c.code, PID: c.band, Value: uint64(w.fd)})
		}
	}
}

// sendUrgent sends SIGURG, at once: it is there before a reader is woken.
// Preconditions: of locks of sockets, only the queue's is held.
func (w *watcher) sendUrgent(events wait.Mask) {
	if events&wait.Urgent != 0 {
		w.k.sendOwner(w.watched.d, SigInfo{Signo: unix.SIGURG, Code: SiKernel})
	}
}
