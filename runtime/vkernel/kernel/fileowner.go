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

// watcher sends the signals of a description with O_ASYNC.
type watcher struct {
	k       *Kernel
	d       *vfs.Description
	fd      int
	entry   *wait.Entry
	pending atomic.Uint32 // events to tell of
}

// watchers are the descriptions with O_ASYNC whose files can become ready.
type watchers struct {
	mu   sync.Mutex
	byID map[*vfs.Description]*watcher
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
	w := all.byID[d]
	switch on := d.Flags()&linux.O_ASYNC != 0; {
	case on && w == nil:
		all.add(k, fd, d)
	case !on && w != nil:
		d.CancelRelease(all)
		all.drop(w)
	}
}

func (all *watchers) add(k *Kernel, fd int, d *vfs.Description) {
	w := &watcher{k: k, d: d, fd: fd}
	mask := wait.Mask(0)
	if d.Readable() {
		mask |= wait.In | wait.Pri
	}
	if d.Writable() {
		mask |= wait.Out
	}
	w.entry = wait.NewEntry(mask, w.notify)
	if all.byID == nil {
		all.byID = map[*vfs.Description]*watcher{}
	}
	all.byID[d] = w
	d.Queue().Register(w.entry)
	d.OnRelease(all, func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		all.drop(w)
	})
}

// drop ends w.
// Preconditions: mu is held.
func (all *watchers) drop(w *watcher) {
	w.d.Queue().Unregister(w.entry)
	delete(all.byID, w.d)
}

// notify is called with the file's lock held, perhaps: another goroutine sends
// the signals.
func (w *watcher) notify(events wait.Mask) {
	if w.pending.Or(uint32(events)) == 0 {
		go w.send()
	}
}

// pollCodes are the si_code and si_band of the signals of F_SETSIG.
var pollCodes = []struct {
	event wait.Mask
	code  int32
	band  int32
}{
	{wait.In, 1, 0x041},          // POLL_IN: EPOLLIN, EPOLLRDNORM
	{wait.Out, 2, 0x004 | 0x100}, // POLL_OUT: EPOLLOUT, EPOLLWRNORM, EPOLLWRBAND
	{wait.Err, 4, 0x008},         // POLL_ERR: EPOLLERR
	{wait.Pri, 5, 0x002 | 0x080}, // POLL_PRI: EPOLLPRI, EPOLLRDBAND
	{wait.Hup, 6, 0x010 | 0x008}, // POLL_HUP: EPOLLHUP, EPOLLERR
}

func (w *watcher) send() {
	events := wait.Mask(w.pending.Swap(0))
	for _, c := range pollCodes {
		if events&c.event != 0 {
			w.k.signalOwner(w.d, SigInfo{Code: c.code, PID: c.band, Value: uint64(w.fd)})
		}
	}
}
