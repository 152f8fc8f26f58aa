package kernel

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Events of F_NOTIFY, uapi/linux/fcntl.h.
const (
	dnAccess    = 1 << 0
	dnModify    = 1 << 1
	dnCreate    = 1 << 2
	dnDelete    = 1 << 3
	dnRename    = 1 << 4
	dnAttrib    = 1 << 5
	dnMultishot = 1 << 31 // again and again
)

// dnotifyEvents are what the events of a directory's files are called in
// fcntl(2)'s F_NOTIFY.
var dnotifyEvents = []struct{ in, dn uint32 }{
	{unix.IN_ACCESS, dnAccess},
	{unix.IN_MODIFY, dnModify},
	{unix.IN_ATTRIB, dnAttrib},
	{unix.IN_CREATE | unix.IN_MOVED_TO, dnCreate},
	{unix.IN_DELETE | unix.IN_MOVED_FROM, dnDelete},
	{unix.IN_MOVED_FROM, dnRename},
}

// dnotify is a directory's description that tells its owner of events by signals. It is
// also the key of its release hook's.
type dnotify struct {
	k    *Kernel
	d    *vfs.Description
	fd   int
	mark *vfs.Mark

	mu   sync.Mutex
	mask uint32 // DN_*
}

// dnotifies are the descriptions for which there is a dnotify.
type dnotifies struct {
	mu   sync.Mutex
	byID map[*vfs.Description]*dnotify
}

// NotifyDirectory is F_NOTIFY: the process hears of the events of mask in the
// directory, once or, with DN_MULTISHOT, each time. A mask of none ends it.
func (t *Task) NotifyDirectory(fd int, d *vfs.Description, mask uint32) error {
	a, err := d.Stat()
	if err != nil {
		return err
	}
	if a.Type() != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	all := &t.K.dnotifies
	all.mu.Lock()
	defer all.mu.Unlock()
	n := all.byID[d]
	if mask&^dnMultishot == 0 {
		if n != nil {
			d.CancelRelease(all)
			all.drop(n)
		}
		return nil
	}
	d.SetOwner(vfs.Owner{Type: vfs.OwnerProcess, ID: uint32(t.PID())})
	if n == nil {
		n = &dnotify{k: t.K, d: d, fd: fd}
		n.mark = &vfs.Mark{Tell: n.tell}
		if all.byID == nil {
			all.byID = map[*vfs.Description]*dnotify{}
		}
		all.byID[d] = n
		d.Path().Watch(n.mark)
		d.OnRelease(all, func() { all.released(n) })
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fd = fd
	n.mask |= mask
	return nil
}

// drop ends n.
// Preconditions: mu is held.
func (all *dnotifies) drop(n *dnotify) {
	n.d.Path().Unwatch(n.mark)
	delete(all.byID, n.d)
}

func (all *dnotifies) released(n *dnotify) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.drop(n)
}

// tell is the mark's: it is called with a tree locked, perhaps.
func (n *dnotify) tell(e vfs.Event) {
	if e.Name == "" {
		return // of the directory itself
	}
	if n.wants(e.Mask) {
		n.k.signalOwner(n.d, SigInfo{Code: PollMsg, PID: pollMsgBand, Value: uint64(n.fd)})
	}
}

// pollMsgBand is what si_band tells with POLL_MSG: EPOLLIN, EPOLLRDNORM and
// EPOLLMSG.
const pollMsgBand = 0x001 | 0x040 | 0x400

// wants tells whether the owner is to hear of an event, IN_*.
func (n *dnotify) wants(mask uint32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range dnotifyEvents {
		if mask&e.in == 0 || n.mask&e.dn == 0 {
			continue
		}
		if n.mask&dnMultishot == 0 {
			n.mask = 0
		}
		return true
	}
	return false
}

// SetLease is F_SETLEASE of descriptor fd: the process hears by a signal that somebody
// waits for the lease's end, unless another is said to.
func (t *Task) SetLease(fd int, d *vfs.Description, kind int) error {
	err := d.SetLease(kind, func() {
		t.K.signalOwner(d, SigInfo{Code: PollMsg, PID: pollMsgBand, Value: uint64(fd)})
	})
	if err == nil && kind != unix.F_UNLCK && d.Owner().ID == 0 {
		d.SetOwner(vfs.Owner{Type: vfs.OwnerProcess, ID: uint32(t.PID())})
	}
	return err
}
