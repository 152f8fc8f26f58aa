package mm

import (
	"golang.org/x/sys/unix"
)

// Request is one mmap(2).
type Request struct {
	Addr, Len uint64
	Prot      int // unix.PROT_*
	Flags     int // unix.MAP_*
	File      Backing
	Offset    int64
	// MaxProt is what the file's open mode allows later; 0 means everything.
	MaxProt int
	Label   string
	By      Asker // used with PROT_EXEC only
}

// Map establishes a mapping and gives its address.
func (m *MM) Map(r Request) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mapLocked(r)
}

func (m *MM) mapLocked(r Request) (uint64, error) {
	size := PageUp(r.Len)
	switch {
	case r.Len == 0 || r.Offset%PageSize != 0 || r.Offset < 0:
		return 0, unix.EINVAL
	case size < r.Len:
		return 0, unix.ENOMEM
	case size > TaskSize:
		m.AS.AddUpper(r.Addr)
		return 0, unix.ENOMEM
	}
	if m.mapped+size > m.limit || m.upper(r, 0) != 0 && size > maxRaised {
		return 0, unix.ENOMEM
	}
	start, err := m.place(r, size)
	if err != nil {
		return 0, err
	}
	a := &Area{
		Start: start, End: start + size, Upper: m.upper(r, start), Prot: r.Prot & protMask, MaxProt: r.MaxProt,
		Shared: r.Flags&unix.MAP_SHARED != 0, GrowsDown: r.Flags&unix.MAP_GROWSDOWN != 0,
		File: r.File, Offset: r.Offset, Label: r.Label,
	}
	if a.MaxProt == 0 {
		a.MaxProt = protMask
	}
	return start + a.Upper, m.establish(a, r.By)
}

// upper is what the guest's addresses of a mapping have besides its first ones: something where it wanted more memory
// than there is far above 4 GiB. GHC's heap has to be there, and Go's, for
// which stacks are made, takes what it gets. Code has the addresses that it was recompiled for, and where rsp is has lower
// halves only.
func (m *MM) upper(r Request, start uint64) uint64 {
	if r.Prot&unix.PROT_EXEC != 0 || r.Flags&(unix.MAP_STACK|unix.MAP_GROWSDOWN) != 0 {
		return 0
	}
	return m.AS.Raise(start, r.Addr) - start
}

// maxRaised is the size of what is mapped at most with second addresses, bytes: who asks for more
// asks for less next, and there is to be memory for others.
const maxRaised = 2 << 30

const protMask = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC

// place chooses the address of a mapping of size bytes.
func (m *MM) place(r Request, size uint64) (uint64, error) {
	if r.Flags&(unix.MAP_FIXED|unix.MAP_FIXED_NOREPLACE) != 0 {
		return m.placeFixed(r, size)
	}
	if hint := PageDown(m.AS.Lower(r.Addr)); hint >= MinAddr && hint+size <= TaskSize && hint+size > hint && m.areas.free(hint, hint+size) {
		return hint, nil
	}
	if r.Flags&unix.MAP_32BIT != 0 {
		return m.areas.gapBelow(size, MinAddr, low2GB)
	}
	return m.areas.gapBelow(size, MinAddr, MmapTop)
}

func (m *MM) placeFixed(r Request, size uint64) (uint64, error) {
	r.Addr = m.AS.Lower(r.Addr)
	if r.Addr%PageSize != 0 {
		return 0, unix.EINVAL
	}
	if r.Addr < MinAddr {
		return 0, unix.EPERM
	}
	if r.Addr+size > TaskSize || r.Addr+size < r.Addr {
		return 0, unix.ENOMEM
	}
	if r.Flags&unix.MAP_FIXED_NOREPLACE != 0 && !m.areas.free(r.Addr, r.Addr+size) {
		return 0, unix.EEXIST
	}
	return r.Addr, nil
}

// establish replaces what is mapped in a's range by a. When the code of a may
// not run nothing is changed.
func (m *MM) establish(a *Area, by Asker) error {
	var g Grant
	if a.Prot&unix.PROT_EXEC != 0 {
		var err error
		if g, err = m.code.Admit(a, nil, by); err != nil {
			return err
		}
		g.give(a)
	} else if a.File != nil {
		a.File.IncRef()
	}
	m.unmapLocked(a.Start, a.End)
	if err := m.mapNew(a, g); err != nil {
		if a.File != nil {
			a.File.DecRef()
		}
		return err
	}
	m.areas = m.areas.insert(a)
	m.mapped += a.Len()
	return nil
}

// mapNew maps a, of which m.areas does not know yet.
func (m *MM) mapNew(a *Area, g Grant) error {
	if err := m.fill(a); err != nil {
		return err
	}
	err := g.load(m.AS)
	if err != nil {
		m.AS.Unmap(a.Start, a.Len())
	}
	return err
}

// Fork is a copy of the map whose private memory is its own.
func (m *MM) Fork() (*MM, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	as, err := m.AS.Clone()
	if err != nil {
		return nil, err
	}
	child := &MM{
		AS: as, code: m.code, brkStart: m.brkStart, brkEnd: m.brkEnd,
		layout: m.layout, exe: m.exe, mapped: m.mapped, limit: m.limit, heapLimit: m.heapLimit,
	}
	child.refs.Store(1)
	if child.exe != nil {
		child.exe.IncRef()
	}
	for _, a := range m.areas {
		b := *a
		if kept, err := child.inherit(&b); err != nil {
			child.Release()
			return nil, err
		} else if !kept {
			child.mapped -= b.Len()
			continue
		}
		if b.File != nil {
			b.File.IncRef()
		}
		child.areas = append(child.areas, &b)
	}
	return child, nil
}
