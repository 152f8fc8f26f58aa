package ipc

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Limits of semaphores. SemMNS is below Linux' so that memory is bounded.
const (
	SemMNI = 32000     // sets
	SemMSL = 32000     // semaphores of a set
	SemMNS = 1_024_000 // semaphores of all sets
	SemOPM = 500       // operations of a semop
	SemVMX = 32767     // highest value
)

// SemUndo is a flag of a SemOp, uapi/linux/sem.h.
const SemUndo = 0x1000

// SemOp is struct sembuf.
type SemOp struct {
	Num   uint16
	Op    int16
	Flags int16
}

// SemTable is the semaphore sets.
type SemTable struct {
	mu    sync.Mutex
	sets  table[*semSet]
	total int // semaphores
}

// SemStat is struct semid64_ds.
type SemStat struct {
	Perm
	Otime, Ctime int64 // seconds
	Count        int
}

type semaphore struct {
	value int
	pid   int // of who changed it last
}

type semSet struct {
	stat    SemStat
	sems    []semaphore
	waiting []*SemWaiter // oldest first
	undos   map[*Undo][]int16
}

func (s *semSet) perm() *Perm { return &s.stat.Perm }

// SemWaiter is a semop that can't be done yet.
type SemWaiter struct {
	C        <-chan struct{} // closed when it is done
	c        chan struct{}
	err      error
	ops      []SemOp
	undo     *Undo
	pid      int
	blocking int // index in ops of what can't be done
}

// Get is semget.
func (t *SemTable) Get(c Caller, key int32, count, flags int) (int, error) {
	if count < 0 || count > SemMSL {
		return 0, unix.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sets.limit = SemMNI
	return t.sets.get(c, key, flags, func(s *semSet) error {
		if count > len(s.sems) {
			return unix.EINVAL
		}
		return nil
	}, func(p Perm) (*semSet, error) {
		if count == 0 {
			return nil, unix.EINVAL
		}
		if t.total+count > SemMNS {
			return nil, unix.ENOSPC
		}
		t.total += count
		return &semSet{stat: SemStat{Perm: p, Ctime: now(), Count: count}, sems: make([]semaphore, count), undos: map[*Undo][]int16{}}, nil
	})
}

// Op is semop: all operations at once. If that can't be yet, the caller is to
// sleep on the result, and to Cancel it when it does not want to any more.
func (t *SemTable) Op(c Caller, undo *Undo, id int, ops []SemOp) (*SemWaiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.find(id)
	if err != nil {
		return nil, err
	}
	mode := mayRead
	for _, op := range ops {
		if int(op.Num) >= len(s.sems) {
			return nil, unix.EFBIG
		}
		if op.Op != 0 {
			mode = mayWrite
		}
	}
	if err := s.perm().allows(c, mode); err != nil {
		return nil, err
	}
	w := &SemWaiter{ops: ops, undo: undo, pid: c.PID}
	if err := s.try(w); err != unix.EAGAIN {
		if err == nil {
			s.update()
		}
		return nil, err
	}
	if ops[w.blocking].Flags&NoWait != 0 {
		return nil, unix.EAGAIN
	}
	w.c = make(chan struct{})
	w.C = w.c
	s.waiting = append(s.waiting, w)
	return w, nil
}

// Cancel ends waiting, with what became of the operations if they are done.
func (t *SemTable) Cancel(id int, w *SemWaiter) (done bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-w.C:
		return true, w.err
	default:
	}
	if s, err := t.sets.find(id); err == nil {
		s.waiting = slices.DeleteFunc(s.waiting, func(o *SemWaiter) bool { return o == w })
	}
	return false, nil
}

// try does the operations of w if all can be done, else it is EAGAIN and
// w.blocking is the first that can't; ERANGE if a value would be too large.
func (s *semSet) try(w *SemWaiter) error {
	values := make(map[uint16]int, len(w.ops))
	var undo map[uint16]int
	for i, op := range w.ops {
		v, seen := values[op.Num]
		if !seen {
			v = s.sems[op.Num].value
		}
		n := v + int(op.Op)
		switch {
		case op.Op == 0 && v != 0, n < 0:
			w.blocking = i
			return unix.EAGAIN
		case n > SemVMX:
			return unix.ERANGE
		}
		values[op.Num] = n
		if op.Flags&SemUndo != 0 {
			if undo == nil {
				undo = map[uint16]int{}
			}
			undo[op.Num] -= int(op.Op)
		}
	}
	if err := s.remember(w.undo, undo); err != nil {
		return err
	}
	for _, op := range w.ops {
		s.sems[op.Num] = semaphore{values[op.Num], w.pid}
	}
	s.stat.Otime = now()
	return nil
}

// update does what waiters can do now, the oldest first.
func (s *semSet) update() {
	for i := 0; i < len(s.waiting); {
		w := s.waiting[i]
		err := s.try(w)
		if err == unix.EAGAIN {
			i++
			continue
		}
		s.waiting = slices.Delete(s.waiting, i, i+1)
		w.finish(err)
		if err == nil && slices.ContainsFunc(w.ops, func(op SemOp) bool { return op.Op != 0 }) {
			i = 0 // older ones may go on now
		}
	}
}

func (w *SemWaiter) finish(err error) {
	w.err = err
	close(w.c)
}

// Err is what became of the operations, once C is closed.
func (w *SemWaiter) Err() error { return w.err }

// waiters counts who waits for a semaphore to become zero, or to grow.
func (s *semSet) waiters(num int, zero bool) (n int) {
	for _, w := range s.waiting {
		op := w.ops[w.blocking]
		if int(op.Num) == num && (op.Op == 0) == zero {
			n++
		}
	}
	return n
}
