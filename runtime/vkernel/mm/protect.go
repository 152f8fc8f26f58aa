package mm

import (
	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
)

// Unmap is munmap(2).
func (m *MM) Unmap(addr, length uint64) error {
	addr = m.AS.Lower(addr)
	if length == 0 {
		return unix.EINVAL
	}
	end, err := checkRange(addr, length)
	if err != nil {
		return unix.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unmapLocked(addr, end)
	return nil
}

// unmapLocked removes all areas between start and end.
func (m *MM) unmapLocked(start, end uint64) {
	var gone areas
	m.areas, gone = m.areas.remove(start, end)
	for _, a := range gone {
		m.AS.Unmap(a.Start, a.Len())
		m.mapped -= a.Len()
		if a.File != nil {
			a.File.DecRef()
		}
		if a.UnitBase != 0 && !m.areas.holdsUnit(a.UnitBase) {
			m.AS.UnmapUnit(a.UnitBase)
		}
	}
}

// Protect is mprotect(2). Areas before the first that refuses are changed, as
// on Linux.
func (m *MM) Protect(addr, length uint64, prot int, by Asker) error {
	addr = m.AS.Lower(addr)
	end, err := checkRange(addr, length)
	if err != nil {
		return err
	}
	if prot&^(protMask|unix.PROT_GROWSDOWN|unix.PROT_GROWSUP|protSem) != 0 {
		return unix.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if addr == end {
		return nil
	}
	start := addr
	if prot&unix.PROT_GROWSDOWN != 0 {
		a := m.areas.at(addr)
		if a == nil || !a.GrowsDown {
			return unix.EINVAL
		}
		start = a.Start
	}
	if m.areas.at(start) == nil {
		return unix.ENOMEM
	}
	return m.protectLocked(start, end, prot&protMask, by)
}

const protSem = 0x8 // PROT_SEM, which x86 ignores

func (m *MM) protectLocked(start, end uint64, prot int, by Asker) error {
	set, lo, hi := m.areas.isolate(start, end)
	m.areas = set
	defer func() { m.areas = m.areas.merge(lo, hi) }()
	for i := lo; i < hi; i++ {
		if m.areas[i].Start > start {
			return unix.ENOMEM
		}
		changed := *m.areas[i]
		changed.Prot = prot
		if err := m.changeProt(m.areas[i], &changed, by); err != nil {
			return err
		}
		m.areas[i] = &changed
		start = changed.End
	}
	if start < end {
		return unix.ENOMEM
	}
	return nil
}

func (m *MM) changeProt(old, new *Area, by Asker) error {
	if new.Prot&^new.MaxProt != 0 {
		return unix.EACCES
	}
	if new.Prot&unix.PROT_EXEC != 0 && old.Prot&unix.PROT_EXEC == 0 {
		return m.makeExecutable(old, new, by)
	}
	return m.AS.Protect(new.Start, new.Len(), machine.Prot(new.Prot))
}

// makeExecutable is changeProt of memory that gets PROT_EXEC: it becomes a
// mapping of the bytes that were decided on.
func (m *MM) makeExecutable(old, new *Area, by Asker) error {
	var g Grant
	err := m.AS.Opened(old.Start, old.Len(), func(memory []byte) (err error) {
		g, err = m.code.Admit(new, memory, by)
		return err
	})
	if err != nil {
		return err
	}
	if g.Unit == nil {
		g.release()
		return m.AS.Protect(new.Start, new.Len(), machine.Prot(new.Prot))
	}
	g.give(new)
	if err := m.fill(new); err != nil {
		g.release()
		return err
	}
	if err := g.load(m.AS); err != nil {
		g.release()
		return err
	}
	old.File.DecRef()
	return nil
}

// Sync is msync(2). Shared mappings are the host's, so there is nothing to
// write: only the arguments are checked.
func (m *MM) Sync(addr, length uint64, flags int) error {
	addr = m.AS.Lower(addr)
	end, err := checkRange(addr, length)
	if err != nil {
		return err
	}
	const both = unix.MS_ASYNC | unix.MS_SYNC
	if flags&^(both|unix.MS_INVALIDATE) != 0 || flags&both == both {
		return unix.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if addr < end && !m.areas.covered(addr, end) {
		return unix.ENOMEM
	}
	return nil
}

// Resident is mincore(2): one byte for each page, all of them resident.
func (m *MM) Resident(addr, length uint64) ([]byte, error) {
	addr = m.AS.Lower(addr)
	end, err := checkRange(addr, length)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.areas.covered(addr, end) {
		return nil, unix.ENOMEM
	}
	pages := make([]byte, (end-addr)/PageSize)
	for i := range pages {
		pages[i] = 1
	}
	return pages, nil
}

// UnmapFile takes away what was mapped at addr of a file that is of the kind
// that is tells, with the parts that it was divided into. It tells whether
// there was anything.
func (m *MM) UnmapFile(addr uint64, is func(Backing) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	var file Backing
	var parts areas
	for _, a := range m.areas[m.areas.from(addr):] {
		if a.File == nil || a.Start-uint64(a.Offset) != addr {
			continue
		}
		if file == nil && is(a.File) {
			file = a.File
		}
		if file != nil && a.File == file {
			parts = append(parts, a)
		}
	}
	for _, a := range parts {
		m.unmapLocked(a.Start, a.End)
	}
	return file != nil
}
