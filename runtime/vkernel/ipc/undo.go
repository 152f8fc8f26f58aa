package ipc

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Undo is what the SEM_UNDO operations of a process, or of tasks that share
// them (CLONE_SYSVSEM), did: when the last of these ends it is undone.
type Undo struct {
	mu   sync.Mutex
	refs int
}

// NewUndo has one reference.
func NewUndo() *Undo { return &Undo{refs: 1} }

// Retain takes another reference.
func (u *Undo) Retain() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refs++
}

// remember adds adjustments to those of u for the set: ERANGE if they are too
// large.
func (s *semSet) remember(u *Undo, add map[uint16]int) error {
	if add == nil {
		return nil
	}
	list := s.undos[u]
	if list == nil {
		list = make([]int16, len(s.sems))
	}
	for num, n := range add {
		if sum := int(list[num]) + n; sum <= -SemVMX-1 || sum > SemVMX {
			return unix.ERANGE
		}
	}
	for num, n := range add {
		list[num] += int16(n)
	}
	s.undos[u] = list
	return nil
}

// Release gives a reference back; with the last one what u did is undone, as
// the process pid. u may be nil.
func (t *SemTable) Release(u *Undo, pid int) {
	if u == nil {
		return
	}
	u.mu.Lock()
	u.refs--
	last := u.refs == 0
	u.mu.Unlock()
	if !last {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sets.objects {
		if list := s.undos[u]; list != nil {
			delete(s.undos, u)
			s.undo(list, pid)
		}
	}
}

func (s *semSet) undo(list []int16, pid int) {
	for i, n := range list {
		if n != 0 {
			v := s.sems[i].value + int(n)
			s.sems[i] = semaphore{min(max(v, 0), SemVMX), pid}
		}
	}
	s.stat.Otime = now()
	s.update()
}

// forget drops all adjustments of a semaphore whose value was set.
func (s *semSet) forget(num int) {
	for _, list := range s.undos {
		list[num] = 0
	}
}
