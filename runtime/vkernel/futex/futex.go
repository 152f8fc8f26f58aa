// Package futex is the table of threads that wait on words of guest memory,
// futex(2). It knows keys, not addresses or tasks: who calls it says which
// words are the same, compares them, and sleeps.
//
// Lock order: Table.mu is innermost; the check functions run under it and may
// only read guest memory.
package futex

import (
	"sync"

	"golang.org/x/sys/unix"
)

// AllBits is the bitset of plain FUTEX_WAIT and FUTEX_WAKE.
const AllBits = 0xffffffff

// Key names a word: a private one by its address space, a shared one by what
// backs it.
type Key struct {
	Space any
	Addr  uint64
}

// Waiter is one queued thread. C becomes ready when it is woken.
type Waiter struct {
	C      chan struct{} // has room for one; a thread that waits on several words has one for all
	key    Key
	bitset uint32
	owner  uint32 // who gets the lock that is waited for; 0: none is
	target Key    // of the lock that the waiter is to be moved to, if owner is set
	woken  bool
}

// wake ends the wait. The caller takes w out of its queue.
func (w *Waiter) wake() {
	w.woken = true
	select {
	case w.C <- struct{}{}:
	default: // another of the thread's words woke it
	}
}

// Table is one kernel's futexes; the zero value is ready for use.
type Table struct {
	mu    sync.Mutex
	queue map[Key][]*Waiter
}

// Enqueue adds a waiter unless check fails: the comparison with the expected
// value, atomic to every Wake.
func (t *Table) Enqueue(key Key, bitset uint32, check func() error) (*Waiter, error) {
	return t.EnqueueOn(make(chan struct{}, 1), key, bitset, check)
}

// EnqueueOn is Enqueue for one of several words that a thread waits on: a
// wake of any makes c ready, which has room for one.
func (t *Table) EnqueueOn(c chan struct{}, key Key, bitset uint32, check func() error) (*Waiter, error) {
	return t.enqueue(&Waiter{C: c, key: key, bitset: bitset}, check)
}

func (t *Table) enqueue(w *Waiter, check func() error) (*Waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := check(); err != nil {
		return nil, err
	}
	if t.queue == nil {
		t.queue = map[Key][]*Waiter{}
	}
	t.queue[w.key] = append(t.queue[w.key], w)
	return w, nil
}

// EnqueueOwner is Enqueue for a lock that is handed from owner to owner; id is
// who waits.
func (t *Table) EnqueueOwner(key Key, id uint32, check func() error) (*Waiter, error) {
	return t.enqueue(&Waiter{C: make(chan struct{}, 1), key: key, bitset: AllBits, owner: id}, check)
}

// EnqueueTo is Enqueue for who wants to wait for a lock next: only MoveToLock
// ends its wait or moves it.
func (t *Table) EnqueueTo(key, lock Key, id uint32, check func() error) (*Waiter, error) {
	return t.enqueue(&Waiter{C: make(chan struct{}, 1), key: key, owner: id, target: lock}, check)
}

// MoveToLock moves the oldest waiter of from, and up to move others, to those
// who wait for a lock, if check passes. take tries to get the lock for the
// first one, whose wait is then over. EINVAL for waiters that wait for something else.
func (t *Table) MoveToLock(from, lock Key, move int, check func() error, take func(id uint32) (bool, error)) (n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := check(); err != nil {
		return 0, err
	}
	for list := t.queue[from]; len(list) > 0 && n <= move; n++ {
		w := list[0]
		if w.owner == 0 || w.target != lock {
			return 0, unix.EINVAL
		}
		taken := false
		if n == 0 {
			if taken, err = take(w.owner); err != nil {
				return 0, err
			}
		}
		list = list[1:]
		t.set(from, list)
		if taken {
			w.wake()
			continue
		}
		w.key, w.bitset = lock, AllBits
		t.queue[lock] = append(t.queue[lock], w)
	}
	return n, nil
}

// Moved tells whether a waiter that gave up was waiting for its lock already.
func (w *Waiter) Moved() bool { return w.key == w.target }

// HandOver gives a lock to the first of those who wait for it: give is told
// who that is (0: nobody) and whether more wait.
func (t *Table) HandOver(key Key, give func(next uint32, more bool) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.queue[key]
	if len(list) == 0 {
		return give(0, false)
	}
	w := list[0]
	if err := give(w.owner, len(list) > 1); err != nil {
		return err
	}
	w.wake()
	t.set(key, list[1:])
	return nil
}

// Cancel removes a waiter that gave up. It reports whether it was woken before.
func (t *Table) Cancel(w *Waiter) (woken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.woken {
		return true
	}
	list := t.queue[w.key]
	for i, other := range list {
		if other == w {
			t.set(w.key, append(list[:i:i], list[i+1:]...))
			return false
		}
	}
	panic("BUG: futex waiter neither queued nor woken")
}

func (t *Table) set(key Key, list []*Waiter) {
	if len(list) == 0 {
		delete(t.queue, key)
		return
	}
	t.queue[key] = list
}

// Wake wakes up to n waiters that share a bit with bitset, oldest first, and
// tells how many.
func (t *Table) Wake(key Key, n int, bitset uint32) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wakeLocked(key, n, bitset)
}

func (t *Table) wakeLocked(key Key, n int, bitset uint32) (woken int) {
	var rest []*Waiter
	for _, w := range t.queue[key] {
		if woken == n || w.bitset&bitset == 0 {
			rest = append(rest, w)
			continue
		}
		w.wake()
		woken++
	}
	t.set(key, rest)
	return woken
}

// Requeue wakes up to wake waiters of from and moves up to move others to to,
// if check passes.
func (t *Table) Requeue(from, to Key, wake, move int, check func() error) (woken, moved int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := check(); err != nil {
		return 0, 0, err
	}
	woken = t.wakeLocked(from, wake, AllBits)
	list := t.queue[from]
	moved = min(move, len(list))
	if from == to || moved == 0 {
		return woken, moved, nil
	}
	for _, w := range list[:moved] {
		w.key = to
		t.queue[to] = append(t.queue[to], w)
	}
	t.set(from, list[moved:])
	return woken, moved, nil
}

// WakeOp is FUTEX_WAKE_OP: modify changes the second word and tells whether
// its waiters are to be woken too.
func (t *Table) WakeOp(a, b Key, n, m int, modify func() (bool, error)) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	both, err := modify()
	if err != nil {
		return 0, err
	}
	woken := t.wakeLocked(a, n, AllBits)
	if both {
		woken += t.wakeLocked(b, m, AllBits)
	}
	return woken, nil
}
