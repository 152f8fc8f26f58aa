package vfs

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/megabin/megabin/runtime/vkernel/wait"
	"golang.org/x/sys/unix"
)

// lockSet holds the flock locks and the record locks of one inode.
type lockSet struct {
	queue wait.Queue

	mu      sync.Mutex
	flocks  map[*Description]bool // true: exclusive
	records []record              // ascending; no two of one owner overlap
}

// record is a POSIX record lock.
type record struct {
	owner       any
	pid         int32
	write       bool
	start, last int64 // bytes, inclusive
}

// Lock is struct flock with absolute offsets.
type Lock struct {
	Type  int16 // F_RDLCK, F_WRLCK, F_UNLCK
	Start int64
	Len   int64 // 0: to the end of the file
	PID   int32
}

// LockQueue is what to wait on when Flock or SetLock gives EAGAIN.
func (d *Description) LockQueue() *wait.Queue { return &d.state.locks.queue }

// Flock is flock without waiting: op is LOCK_SH, LOCK_EX or LOCK_UN. EAGAIN
// if another description holds a lock in the way.
func (d *Description) Flock(op int) error {
	l := &d.state.locks
	l.mu.Lock()
	defer l.mu.Unlock()
	switch op {
	case unix.LOCK_UN:
		if _, held := l.flocks[d]; held {
			delete(l.flocks, d)
			l.queue.Notify(wait.In | wait.Out)
		}
		return nil
	case unix.LOCK_SH, unix.LOCK_EX:
	default:
		return unix.EINVAL
	}
	exclusive := op == unix.LOCK_EX
	for other, ex := range l.flocks {
		if other != d && (ex || exclusive) {
			delete(l.flocks, d) // a conversion loses the old lock first
			return unix.EAGAIN
		}
	}
	if l.flocks == nil {
		l.flocks = map[*Description]bool{}
	}
	l.flocks[d] = exclusive
	l.queue.Notify(wait.In | wait.Out)
	return nil
}

// span is the range of bytes of a Lock.
func (k *Lock) span() (start, last int64, err error) {
	start, last = k.Start, math.MaxInt64
	switch {
	case k.Len > 0:
		if start > math.MaxInt64-k.Len+1 {
			return 0, 0, unix.EOVERFLOW
		}
		last = start + k.Len - 1
	case k.Len < 0:
		start, last = start+k.Len, start-1
	}
	if start < 0 {
		return 0, 0, unix.EINVAL
	}
	return start, last, nil
}

// absolute makes whence-relative k absolute.
func (d *Description) absolute(k *Lock, whence int16) error {
	base := int64(0)
	switch whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		d.offMu.Lock()
		base = d.off
		d.offMu.Unlock()
	case unix.SEEK_END:
		a, err := d.Inode().Attr()
		if err != nil {
			return err
		}
		base = a.Size
	default:
		return unix.EINVAL
	}
	if k.Start > math.MaxInt64-base {
		return unix.EOVERFLOW
	}
	k.Start += base
	return nil
}

// SetLock is F_SETLK: owner is the FDTable for traditional locks, the
// description for OFD locks. EAGAIN if another owner's lock is in the way.
func (d *Description) SetLock(owner any, k Lock, whence int16) error {
	_, err := d.setLock(owner, k, whence)
	return err
}

// setLock is SetLock, and tells whose lock is in the way.
func (d *Description) setLock(owner any, k Lock, whence int16) (holder any, err error) {
	switch {
	case k.Type == unix.F_RDLCK && !d.Readable(), k.Type == unix.F_WRLCK && !d.Writable():
		return nil, unix.EBADF
	case k.Type != unix.F_RDLCK && k.Type != unix.F_WRLCK && k.Type != unix.F_UNLCK:
		return nil, unix.EINVAL
	}
	if err := d.absolute(&k, whence); err != nil {
		return nil, err
	}
	start, last, err := k.span()
	if err != nil {
		return nil, err
	}
	r := record{owner, k.PID, k.Type == unix.F_WRLCK, start, last}
	l := &d.state.locks
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.Type != unix.F_UNLCK {
		if other := l.conflict(r); other != nil {
			return other.owner, unix.EAGAIN
		}
	}
	l.cut(r)
	if k.Type != unix.F_UNLCK {
		l.add(r)
	}
	d.system().lockWaits.wake(owner)
	l.queue.Notify(wait.In | wait.Out)
	return nil, nil
}

// lockWaits says which owner of record locks waits for which other, in a whole
// system, to find those who wait for each other.
type lockWaits struct {
	mu    sync.Mutex
	waits map[any]any
}

// add says that owner waits for holder: EDEADLK if that one waits, by way of
// others or not, for owner.
func (w *lockWaits) add(owner, holder any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for next, waits := holder, true; waits; next, waits = w.waits[next] {
		if next == owner {
			return unix.EDEADLK
		}
	}
	if w.waits == nil {
		w.waits = map[any]any{}
	}
	w.waits[owner] = holder
	return nil
}

// wake says that who waits for holder tries again.
func (w *lockWaits) wake(holder any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for owner, other := range w.waits {
		if other == holder {
			delete(w.waits, owner)
		}
	}
}

func (w *lockWaits) remove(owner any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waits, owner)
}

// WaitLock is one try of F_SETLKW: SetLock, but EDEADLK if waiting would be for
// ever. After the last try EndWait must be called.
func (d *Description) WaitLock(owner any, k Lock, whence int16) error {
	holder, err := d.setLock(owner, k, whence)
	if err == unix.EAGAIN {
		if dead := d.system().lockWaits.add(owner, holder); dead != nil {
			return dead
		}
	}
	return err
}

// EndWait says that owner does not wait for a lock any more.
func (d *Description) EndWait(owner any) { d.system().lockWaits.remove(owner) }

func (d *Description) system() *System { return d.path.Dentry.super.sys }

// GetLock is F_GETLK: it returns the lock in the way, or k as F_UNLCK.
func (d *Description) GetLock(owner any, k Lock, whence int16) (Lock, error) {
	if k.Type != unix.F_RDLCK && k.Type != unix.F_WRLCK {
		return k, unix.EINVAL
	}
	abs := k
	if err := d.absolute(&abs, whence); err != nil {
		return k, err
	}
	start, last, err := abs.span()
	if err != nil {
		return k, err
	}
	l := &d.state.locks
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.conflict(record{owner, 0, k.Type == unix.F_WRLCK, start, last})
	if r == nil {
		k.Type = unix.F_UNLCK
		return k, nil
	}
	found := Lock{Type: unix.F_RDLCK, Start: r.start, PID: r.pid}
	if r.write {
		found.Type = unix.F_WRLCK
	}
	if r.last != math.MaxInt64 {
		found.Len = r.last - r.start + 1
	}
	return found, nil
}

// conflict returns another owner's lock that r cannot be beside.
func (l *lockSet) conflict(r record) *record {
	for i := range l.records {
		o := &l.records[i]
		if o.owner != r.owner && o.start <= r.last && r.start <= o.last && (o.write || r.write) {
			return o
		}
	}
	return nil
}

// cut takes r's range out of its owner's locks.
func (l *lockSet) cut(r record) {
	var out []record
	for _, o := range l.records {
		if o.owner != r.owner || o.last < r.start || r.last < o.start {
			out = append(out, o)
			continue
		}
		if o.start < r.start {
			left := o
			left.last = r.start - 1
			out = append(out, left)
		}
		if o.last > r.last {
			right := o
			right.start = r.last + 1
			out = append(out, right)
		}
	}
	l.records = out
}

// add adds r, joined with its owner's locks of the same type beside it.
func (l *lockSet) add(r record) {
	l.records = slices.DeleteFunc(l.records, func(o record) bool {
		if o.owner != r.owner || o.write != r.write || o.last != r.start-1 && o.start-1 != r.last {
			return false
		}
		r.start, r.last = min(r.start, o.start), max(r.last, o.last)
		return true
	})
	i, _ := slices.BinarySearchFunc(l.records, r.start, func(o record, start int64) int {
		return cmp.Compare(o.start, start)
	})
	l.records = slices.Insert(l.records, i, r)
}

// releaseOwner drops the locks of a table or a description that closes the
// file, and tells whether there were any.
func (l *lockSet) releaseOwner(owner any) (released bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.records) + len(l.flocks)
	l.records = slices.DeleteFunc(l.records, func(r record) bool { return r.owner == owner })
	if d, ok := owner.(*Description); ok {
		delete(l.flocks, d)
	}
	if released = len(l.records)+len(l.flocks) != n; released {
		l.queue.Notify(wait.In | wait.Out)
	}
	return released
}
