package kernel

import (
	"hash/maphash"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/mm"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// mayAccess tells whether t may look into o as a debugger would
// (PTRACE_MODE_REALCREDS in ptrace(2)).
func (t *Task) mayAccess(o *Task) bool {
	if t.Group == o.Group {
		return true
	}
	me, you := t.Creds(), o.Creds()
	if !me.Landlock.Contains(you.Landlock) {
		return false
	}
	if me.Has(unix.CAP_SYS_PTRACE) {
		return true
	}
	same := me.UID == you.UID && me.UID == you.EUID && me.UID == you.SUID &&
		me.GID == you.GID && me.GID == you.EGID && me.GID == you.SGID
	return same && o.Attributes().Dumpable && you.Permitted&^me.Permitted == 0
}

// peer is the task with an id: ESRCH if there is none, EPERM if t may not
// look into it.
func (t *Task) peer(tid int) (*Task, error) {
	o := t.K.Task(tid)
	switch {
	case o == nil:
		return nil, unix.ESRCH
	case !t.mayAccess(o):
		return nil, unix.EPERM
	}
	return o, nil
}

// PeerMemory is the memory of a task that t may look into. The caller releases
// it.
func (t *Task) PeerMemory(tid int) (*mm.MM, error) {
	o := t.K.Task(tid)
	if o == nil {
		return nil, unix.ESRCH
	}
	m := o.memoryMap()
	switch {
	case m == nil:
		return nil, unix.ESRCH
	case !t.mayAccess(o):
		m.Release()
		return nil, unix.EPERM
	}
	return m, nil
}

// PeerFile is the open file of a descriptor of a process that t may look into;
// the caller gets a reference.
func (t *Task) PeerFile(g *ThreadGroup, fd int) (*vfs.Description, error) {
	o, err := t.peer(g.ID)
	if err != nil {
		return nil, err
	}
	fds, _ := o.parts()
	if fds == nil {
		return nil, unix.ESRCH
	}
	return fds.Get(fd)
}

// part is one of the things of a task that kcmp compares.
type part func(o *Task, fd uint64) (any, error)

// parts are those that tasks can share, by KCMP_*, uapi/linux/kcmp.h.
var parts = []part{
	func(o *Task, fd uint64) (any, error) {
		fds, _ := o.parts()
		if fds == nil {
			return nil, unix.EBADF
		}
		d, err := fds.Get(int(fd))
		if err != nil {
			return nil, err
		}
		defer d.Unref()
		return d, nil
	},
	func(o *Task, _ uint64) (any, error) {
		m := o.memoryMap()
		if m != nil {
			defer m.Release()
		}
		return m, nil
	},
	func(o *Task, _ uint64) (any, error) {
		fds, _ := o.parts()
		return fds, nil
	},
	func(o *Task, _ uint64) (any, error) {
		_, fs := o.parts()
		return fs, nil
	},
	func(o *Task, _ uint64) (any, error) {
		o.Group.mu.Lock()
		defer o.Group.mu.Unlock()
		return o.Handlers, nil
	},
	func(*Task, uint64) (any, error) { return nil, nil }, // there are no IO contexts
	func(o *Task, _ uint64) (any, error) {
		o.partsMu.Lock()
		defer o.partsMu.Unlock()
		return o.undo, nil
	},
}

// partOrder makes an order of parts that says nothing of where they are.
var partOrder = maphash.MakeSeed()

// Compare is kcmp: 0 for the same part of two tasks, else 1 or 2, whichever
// is first in some order. fds are those of KCMP_FILE.
func (t *Task) Compare(tids [2]int, what int, fds [2]uint64) (int, error) {
	var both [2]*Task
	for i, tid := range tids {
		if both[i] = t.K.Task(tid); both[i] == nil {
			return 0, unix.ESRCH
		}
	}
	if !t.mayAccess(both[0]) || !t.mayAccess(both[1]) {
		return 0, unix.EPERM
	}
	if what < 0 || what >= len(parts) {
		return 0, unix.EINVAL
	}
	var got [2]any
	for i := range both {
		var err error
		if got[i], err = parts[what](both[i], fds[i]); err != nil {
			return 0, err
		}
	}
	switch {
	case got[0] == got[1]:
		return 0, nil
	case maphash.Comparable(partOrder, got[0]) < maphash.Comparable(partOrder, got[1]):
		return 1, nil
	}
	return 2, nil
}
