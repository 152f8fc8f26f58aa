package mm

import "golang.org/x/sys/unix"

const mremapMask = unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED | mremapDontUnmap

const mremapDontUnmap = 4

// Remap is mremap(2).
func (m *MM) Remap(addr, oldLen, newLen uint64, flags int, to uint64, by Asker) (uint64, error) {
	addr = m.AS.Lower(addr)
	old, size := PageUp(oldLen), PageUp(newLen)
	switch {
	case flags&^mremapMask != 0, flags&mremapDontUnmap != 0 && (flags&unix.MREMAP_MAYMOVE == 0 || old != size),
		flags&unix.MREMAP_FIXED != 0 && flags&unix.MREMAP_MAYMOVE == 0,
		addr%PageSize != 0, size == 0, size < newLen, size > TaskSize:
		return 0, unix.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.areas.at(addr)
	switch {
	case a == nil:
		return 0, unix.EFAULT
	case old == 0 && !a.Shared:
		return 0, unix.EINVAL
	case addr+old > a.End || addr+old < addr:
		return 0, unix.EFAULT
	case flags&unix.MREMAP_FIXED != 0:
		return m.remapTo(addr, old, size, to, flags)
	case flags&mremapDontUnmap != 0:
		return m.moveAway(addr, old, size, flags)
	}
	if size <= old {
		m.unmapLocked(addr+size, addr+old)
		return addr + a.Upper, nil
	}
	if m.growInPlace(a, addr+old, addr+size, by) == nil {
		return addr + a.Upper, nil
	}
	if flags&unix.MREMAP_MAYMOVE == 0 {
		return 0, unix.ENOMEM
	}
	return m.moveAway(addr, old, size, flags)
}

// moveAway moves to where there is room.
func (m *MM) moveAway(addr, old, size uint64, flags int) (uint64, error) {
	to, err := m.areas.gapBelow(size, MinAddr, MmapTop)
	if err != nil {
		return 0, err
	}
	return m.move(addr, old, size, to+m.areas.at(addr).Upper, flags)
}

// growInPlace extends a, if it ends at end and what follows is free.
func (m *MM) growInPlace(a *Area, end, newEnd uint64, by Asker) error {
	if a.End != end || newEnd > TaskSize || !m.areas.free(end, newEnd) || m.mapped+newEnd-end > m.limit {
		return unix.ENOMEM
	}
	more := *a
	more.Start, more.End = end, newEnd
	if a.File != nil {
		more.Offset += int64(end - a.Start)
	}
	return m.establish(&more, by)
}

func (m *MM) remapTo(addr, old, size, to uint64, flags int) (uint64, error) {
	low := m.AS.Lower(to)
	end, err := checkRange(low, size)
	if err != nil || low < addr+old && addr < end {
		return 0, unix.EINVAL
	}
	m.unmapLocked(low, end)
	if size < old {
		m.unmapLocked(addr+size, addr+old)
		old = size
	}
	return m.move(addr, old, size, to, flags)
}

// move maps at to what is mapped at addr, size bytes of it, and takes old
// bytes away from addr, or with MREMAP_DONTUNMAP what was stored in them. The range at to is free.
func (m *MM) move(addr, old, size, to uint64, flags int) (uint64, error) {
	a, low := m.areas.at(addr), m.AS.Lower(to)
	if a.Prot&unix.PROT_EXEC != 0 {
		return 0, unix.EPERM // recompiled code is bound to its addresses
	}
	if m.mapped+size-old > m.limit {
		return 0, unix.ENOMEM
	}
	moved := *a
	moved.Start, moved.End, moved.Upper = low, low+size, to-low
	if a.File != nil {
		moved.Offset += int64(addr - a.Start)
	}
	if err := m.establish(&moved, Asker{}); err != nil {
		return 0, err
	}
	if !a.Shared {
		if err := m.copyMemory(low, addr, old); err != nil {
			m.unmapLocked(low, low+size)
			return 0, err
		}
	}
	if flags&mremapDontUnmap != 0 {
		m.each(addr, addr+old, (*MM).drop)
	} else {
		m.unmapLocked(addr, addr+old)
	}
	return to, nil
}

// copyMemory copies n bytes, readable and writable or not.
func (m *MM) copyMemory(to, from, n uint64) error {
	return m.AS.Opened(from, n, func(src []byte) error {
		return m.AS.Opened(to, n, func(dst []byte) error {
			copy(dst, src)
			return nil
		})
	})
}
