package vfs

import (
	"sync"
	"sync/atomic"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// FDTable maps descriptors to descriptions (files_struct). Tasks made with
// CLONE_FILES share one.
type FDTable struct {
	// limit returns RLIMIT_NOFILE, soft.
	limit func() int
	refs  atomic.Int32 // users besides the first

	mu    sync.Mutex
	slots []slot
	next  int // no free slot below it
}

type slot struct {
	d       *Description // nil if free
	cloexec bool
}

// maxFDs bounds descriptors whatever the limit says (the kernel's nr_open).
const maxFDs = 1 << 20

// NewFDTable makes an empty table. limit returns the soft RLIMIT_NOFILE; it
// is called with the table locked and must not use it.
func NewFDTable(limit func() int) *FDTable { return &FDTable{limit: limit} }

// Get returns the description of fd with a reference for the caller to give
// back, or EBADF.
func (t *FDTable) Get(fd int) (*Description, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.slot(fd)
	if s == nil {
		return nil, unix.EBADF
	}
	s.d.Ref()
	return s.d, nil
}

// GetFile is Get for operations that O_PATH descriptors do not support.
func (t *FDTable) GetFile(fd int) (*Description, error) {
	d, err := t.Get(fd)
	if err == nil && d.Flags()&linux.O_PATH != 0 {
		d.Unref()
		return nil, unix.EBADF
	}
	return d, err
}

// slot returns the used slot of fd, or nil.
func (t *FDTable) slot(fd int) *slot {
	if fd < 0 || fd >= len(t.slots) || t.slots[fd].d == nil {
		return nil
	}
	return &t.slots[fd]
}

// Install gives d the lowest free descriptor that is at least min. It takes
// over the caller's reference, unless it fails: EMFILE, or EINVAL if min is
// not below the limit.
func (t *FDTable) Install(d *Description, min int, cloexec bool) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.max()
	if min < 0 || min > 0 && min >= limit {
		return -1, unix.EINVAL
	}
	fd := max(min, t.next)
	for fd < len(t.slots) && t.slots[fd].d != nil {
		fd++
	}
	if fd >= limit {
		return -1, unix.EMFILE
	}
	t.grow(fd)
	t.slots[fd] = slot{d, cloexec}
	if min <= t.next {
		t.next = fd + 1
	}
	return fd, nil
}

func (t *FDTable) max() int { return min(t.limit(), maxFDs) }

func (t *FDTable) grow(fd int) {
	if fd >= len(t.slots) {
		t.slots = append(t.slots, make([]slot, fd+1-len(t.slots))...)
	}
}

// InstallAt makes fd stand for d, as dup2 does, and closes what it was. It
// takes over the caller's reference, unless it fails: EBADF if fd is not
// below the limit.
func (t *FDTable) InstallAt(d *Description, fd int, cloexec bool) error {
	t.mu.Lock()
	if fd < 0 || fd >= t.max() {
		t.mu.Unlock()
		return unix.EBADF
	}
	t.grow(fd)
	old := t.slots[fd].d
	t.slots[fd] = slot{d, cloexec}
	t.mu.Unlock()
	t.closed(old)
	return nil
}

// closed ends what closing a descriptor ends: POSIX locks of this table on the file,
// and the reference.
func (t *FDTable) closed(d *Description) {
	if d == nil {
		return
	}
	if d.state.locks.releaseOwner(t) {
		d.system().lockWaits.wake(t)
	}
	if f, ok := d.file.(Flusher); ok {
		f.Flush(t)
	}
	d.Unref()
}

// Close closes fd, or gives EBADF.
func (t *FDTable) Close(fd int) error {
	t.mu.Lock()
	s := t.slot(fd)
	if s == nil {
		t.mu.Unlock()
		return unix.EBADF
	}
	d := t.take(fd)
	t.mu.Unlock()
	t.closed(d)
	return nil
}

// take frees the slot of fd.
func (t *FDTable) take(fd int) *Description {
	d := t.slots[fd].d
	t.slots[fd] = slot{}
	t.next = min(t.next, fd)
	return d
}

// closeIf closes all descriptors in first … last for which which returns true.
func (t *FDTable) closeIf(first, last int, which func(slot) bool) {
	var gone []*Description
	t.mu.Lock()
	for fd := first; fd <= last && fd < len(t.slots); fd++ {
		if t.slots[fd].d != nil && which(t.slots[fd]) {
			gone = append(gone, t.take(fd))
		}
	}
	t.mu.Unlock()
	for _, d := range gone {
		t.closed(d)
	}
}

// CloseRange closes descriptors first … last (close_range).
func (t *FDTable) CloseRange(first, last int) {
	t.closeIf(first, last, func(slot) bool { return true })
}

// CloseOnExec closes what execve closes.
func (t *FDTable) CloseOnExec() {
	t.closeIf(0, maxFDs, func(s slot) bool { return s.cloexec })
}

// Retain says that one more task uses the table.
func (t *FDTable) Retain() { t.refs.Add(1) }

// Shared tells whether more than one task does.
func (t *FDTable) Shared() bool { return t.refs.Load() > 0 }

// Release says that one does not any more; the last one closes all.
func (t *FDTable) Release() {
	if t.refs.Add(-1) < 0 {
		t.CloseRange(0, maxFDs)
	}
}

// Cloexec reports FD_CLOEXEC of fd.
func (t *FDTable) Cloexec(fd int) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.slot(fd); s != nil {
		return s.cloexec, nil
	}
	return false, unix.EBADF
}

// SetCloexec changes FD_CLOEXEC of fd.
func (t *FDTable) SetCloexec(fd int, cloexec bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.slot(fd); s != nil {
		s.cloexec = cloexec
		return nil
	}
	return unix.EBADF
}

// Fork returns a copy that shares the descriptions. limit is as in
// NewFDTable.
func (t *FDTable) Fork(limit func() int) *FDTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &FDTable{limit: limit, slots: make([]slot, len(t.slots)), next: t.next}
	for fd, s := range t.slots {
		if s.d != nil {
			s.d.Ref()
			n.slots[fd] = s
		}
	}
	return n
}

// FDs lists the descriptors in use, ascending.
func (t *FDTable) FDs() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var fds []int
	for fd, s := range t.slots {
		if s.d != nil {
			fds = append(fds, fd)
		}
	}
	return fds
}
