package ipc

import (
	"golang.org/x/sys/unix"
)

// Semaphore is what the GET commands of semctl tell of one.
type Semaphore struct {
	Value, PID    int
	Waiting, Zero int // who waits for it to grow, to become zero
}

// Semaphore looks at one semaphore.
func (t *SemTable) Semaphore(c Caller, id, num int) (Semaphore, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.use(c, id, mayRead)
	if err != nil {
		return Semaphore{}, err
	}
	if num < 0 || num >= len(s.sems) {
		return Semaphore{}, unix.EINVAL
	}
	return Semaphore{s.sems[num].value, s.sems[num].pid, s.waiters(num, false), s.waiters(num, true)}, nil
}

// Values is GETALL.
func (t *SemTable) Values(c Caller, id int) ([]uint16, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.use(c, id, mayRead)
	if err != nil {
		return nil, err
	}
	list := make([]uint16, len(s.sems))
	for i := range list {
		list[i] = uint16(s.sems[i].value)
	}
	return list, nil
}

// SetValue is SETVAL.
func (t *SemTable) SetValue(c Caller, id, num, value int) error {
	if value < 0 || value > SemVMX {
		return unix.ERANGE
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.find(id)
	if err != nil {
		return err
	}
	if num < 0 || num >= len(s.sems) {
		return unix.EINVAL
	}
	if err := s.perm().allows(c, mayWrite); err != nil {
		return err
	}
	s.forget(num)
	s.sems[num] = semaphore{value, c.PID}
	s.stat.Ctime = now()
	s.update()
	return nil
}

// Count is how many semaphores a set has that the caller may set.
func (t *SemTable) Count(c Caller, id int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.use(c, id, mayWrite)
	if err != nil {
		return 0, err
	}
	return len(s.sems), nil
}

// SetValues is SETALL; values are as many as Count said.
func (t *SemTable) SetValues(c Caller, id int, values []uint16) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.use(c, id, mayWrite)
	if err != nil {
		return err
	}
	if len(values) != len(s.sems) {
		return unix.EIDRM // it is another set by now
	}
	for _, v := range values {
		if v > SemVMX {
			return unix.ERANGE
		}
	}
	for i, v := range values {
		s.sems[i] = semaphore{int(v), c.PID}
		s.forget(i)
	}
	s.stat.Ctime = now()
	s.update()
	return nil
}

// Stat is IPC_STAT.
func (t *SemTable) Stat(c Caller, id int) (SemStat, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.use(c, id, mayRead)
	if err != nil {
		return SemStat{}, err
	}
	return s.stat, nil
}

// StatAt is SEM_STAT and SEM_STAT_ANY.
func (t *SemTable) StatAt(c Caller, index int, any bool) (SemStat, int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, id, err := t.sets.at(c, index, any)
	if err != nil {
		return SemStat{}, 0, err
	}
	return s.stat, id, nil
}

// Set is IPC_SET.
func (t *SemTable) Set(c Caller, id int, p Perm) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.own(c, id)
	if err != nil {
		return err
	}
	s.stat.set(p)
	s.stat.Ctime = now()
	return nil
}

// Remove is IPC_RMID: who waits gets EIDRM.
func (t *SemTable) Remove(c Caller, id int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.sets.own(c, id)
	if err != nil {
		return err
	}
	t.sets.remove(id)
	t.total -= len(s.sems)
	for _, w := range s.waiting {
		w.finish(unix.EIDRM)
	}
	return nil
}

// SemInfo tells how much there is.
type SemInfo struct {
	Last int // highest index in use
	Sets int
	Sems int
}

// Info is IPC_INFO and SEM_INFO.
func (t *SemTable) Info() SemInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	return SemInfo{t.sets.last(), len(t.sets.objects), t.total}
}
