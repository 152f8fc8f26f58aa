package mm

import "golang.org/x/sys/unix"

// SetBrk places the program break; execve calls it with the end of the bss.
func (m *MM) SetBrk(addr uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.brkStart, m.brkEnd = PageUp(addr), PageUp(addr)
}

// BrkRange is where the heap begins and ends.
func (m *MM) BrkRange() (start, end uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.brkStart, m.brkEnd
}

// Brk is brk(2): it moves the break to addr if it can and tells where it is.
func (m *MM) Brk(addr uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if addr < m.brkStart || addr > TaskSize {
		return m.brkEnd
	}
	old, end := PageUp(m.brkEnd), PageUp(addr)
	switch {
	case end < old:
		m.unmapLocked(end, old)
	case end > old:
		if !m.growHeap(old, end) {
			return m.brkEnd
		}
	}
	m.brkEnd = addr
	return addr
}

func (m *MM) growHeap(old, end uint64) bool {
	if !m.areas.free(old, end) || m.mapped+end-old > m.limit || end-m.brkStart > m.heapLimit {
		return false
	}
	return m.establish(&Area{
		Start: old, End: end, Prot: unix.PROT_READ | unix.PROT_WRITE, MaxProt: protMask, Label: "[heap]",
	}, Asker{}) == nil
}
