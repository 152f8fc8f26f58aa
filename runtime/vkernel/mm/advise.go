package mm

import "golang.org/x/sys/unix"

// OnFork is what a forked child gets of an area.
type OnFork uint8

// Kinds of OnFork.
const (
	ForkCopies OnFork = iota
	ForkDrops         // MADV_DONTFORK
	ForkWipes         // MADV_WIPEONFORK
)

// advices is the advice that does something to each area of a range. Other
// advice only concerns speed.
var advices = map[int]func(m *MM, a *Area) error{
	unix.MADV_DONTNEED:       (*MM).drop,
	unix.MADV_REMOVE:         (*MM).punch,
	unix.MADV_DONTFORK:       setOnFork(ForkDrops),
	unix.MADV_DOFORK:         setOnFork(ForkCopies),
	unix.MADV_WIPEONFORK:     (*MM).wipeOnFork,
	unix.MADV_KEEPONFORK:     setOnFork(ForkCopies),
	unix.MADV_POPULATE_READ:  populate(unix.PROT_READ),
	unix.MADV_POPULATE_WRITE: populate(unix.PROT_WRITE),
}

// Advise is madvise(2).
func (m *MM) Advise(addr, length uint64, advice int) error {
	addr = m.AS.Lower(addr)
	end, err := checkRange(addr, length)
	if err != nil || advice < 0 || advice > unix.MADV_POPULATE_WRITE {
		return unix.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	covered := m.areas.covered(addr, end)
	if f := advices[advice]; f != nil {
		if err := m.each(addr, end, f); err != nil {
			return err
		}
	}
	if !covered {
		return unix.ENOMEM
	}
	return nil
}

// each calls f for all areas between start and end, which are divided there.
// f may change them.
func (m *MM) each(start, end uint64, f func(*MM, *Area) error) error {
	set, lo, hi := m.areas.isolate(start, end)
	m.areas = set
	defer func() { m.areas = m.areas.merge(lo, hi) }()
	for _, a := range m.areas[lo:hi] {
		if err := f(m, a); err != nil {
			return err
		}
	}
	return nil
}

// drop gives private memory its first contents again.
func (m *MM) drop(a *Area) error {
	if a.Shared {
		return nil
	}
	return m.fill(a)
}

// Puncher is a Backing in which holes can be made.
type Puncher interface {
	// Punch makes length bytes from off zero.
	Punch(off, length int64) error
}

// punch is MADV_REMOVE.
func (m *MM) punch(a *Area) error {
	p, ok := a.File.(Puncher)
	switch {
	case !ok:
		return unix.EINVAL
	case !a.Shared || a.MaxProt&unix.PROT_WRITE == 0:
		return unix.EACCES
	}
	return p.Punch(a.Offset, int64(a.Len()))
}

func setOnFork(what OnFork) func(*MM, *Area) error {
	return func(_ *MM, a *Area) error {
		a.OnFork = what
		return nil
	}
}

func (m *MM) wipeOnFork(a *Area) error {
	if a.File != nil || a.Shared {
		return unix.EINVAL
	}
	a.OnFork = ForkWipes
	return nil
}

// populate only looks whether the memory could be touched.
func populate(prot int) func(*MM, *Area) error {
	return func(_ *MM, a *Area) error {
		if a.Prot&prot == 0 {
			return unix.EINVAL
		}
		return nil
	}
}

// inherit makes b, which is a copy of a parent's, what a forked child gets.
// It tells whether that is anything.
func (m *MM) inherit(b *Area) (bool, error) {
	switch b.OnFork {
	case ForkDrops:
		return false, m.AS.Unmap(b.Start, b.Len())
	case ForkWipes:
		return true, m.fill(b)
	}
	return true, nil
}
