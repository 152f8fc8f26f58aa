package machine

import (
	"errors"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// checkRange refuses what mmap(2) and its like refuse.
func checkRange(addr, length uint64) error {
	if addr%pageSize != 0 || length == 0 || length%pageSize != 0 {
		return unix.EINVAL
	}
	if addr < MinAddr || addr >= MaxAddr || length > MaxAddr-addr {
		return unix.ENOMEM
	}
	return nil
}

// MapAnon maps zero pages, replacing what is there. addr and length are
// multiples of the page size.
func (as *AddressSpace) MapAnon(addr, length uint64, prot Prot) error {
	if err := checkRange(addr, length); err != nil {
		return err
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	as.open(addr, addr+length)
	again := as.emptyStored(addr, addr+length)
	if !again && !(as.isLarge(length) && as.mapStored(addr, addr+length, prot)) {
		if err := as.hostZero(addr, addr+length, prot); err != nil {
			return err
		}
	}
	as.areas = as.areas.replace(addr, addr+length, area{start: addr, end: addr + length, prot: prot})
	if again {
		return as.fence.hold(addr, addr+length, as.areas)
	}
	return nil
}

// MapFile maps length bytes of file from off, replacing what is there. A page
// past the file's end is the file's if it grows; a touch before is a PastEnd. The file may be closed. Writes to a shared
// mapping of a file that isn't open for writing stay private.
func (as *AddressSpace) MapFile(addr, length uint64, file *os.File, off int64, prot Prot, shared bool) error {
	if err := checkRange(addr, length); err != nil {
		return err
	}
	if off < 0 || off%pageSize != 0 {
		return unix.EINVAL
	}
	b, err := newBacking(file)
	if err != nil {
		return err
	}
	b.retain()
	a := area{start: addr, end: addr + length, prot: prot, file: b, off: off, shared: shared}
	as.mu.Lock()
	defer as.mu.Unlock()
	if err := as.hostMap(a); err != nil {
		b.release()
		return err
	}
	as.areas = as.areas.replace(a.start, a.end, a)
	return nil
}

// Unmap removes all mappings of the range.
func (as *AddressSpace) Unmap(addr, length uint64) error {
	if err := checkRange(addr, length); err != nil {
		return err
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	as.open(addr, addr+length)
	for _, a := range as.areas[as.areas.from(addr):] {
		if a.start >= addr+length {
			break
		}
		a = a.slice(addr, addr+length)
		if a.file == nil && as.emptyStored(a.start, a.end) {
			continue
		}
		if err := as.hostZero(a.start, a.end, 0); err != nil {
			return err
		}
	}
	as.areas = as.areas.replace(addr, addr+length)
	return as.fence.hold(addr, addr+length, as.areas)
}

// Protect changes what code and CopyIn and the like may do; ENOMEM if some page
// isn't mapped.
func (as *AddressSpace) Protect(addr, length uint64, prot Prot) error {
	if err := checkRange(addr, length); err != nil {
		return err
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	complete := as.areas.covers(addr, addr+length, 0)
	if prot&ProtWrite != 0 {
		as.open(addr, addr+length)
	}
	as.areas = as.areas.protect(addr, addr+length, prot)
	if err := as.fence.hold(addr, addr+length, as.areas); err != nil {
		return err
	}
	if !complete {
		return unix.ENOMEM
	}
	return nil
}

// open notes that what could not be written in a range may be other now.
func (as *AddressSpace) open(start, end uint64) {
	lo, hi := as.areas.overlap(start, end)
	if slices.ContainsFunc(as.areas[lo:hi], func(a area) bool { return a.prot&ProtWrite == 0 }) {
		as.opened.Add(1)
	}
}

// Opened calls do with memory that is mapped, whatever its protection, for what the
// kernel itself does to it. EFAULT if not all of it is mapped.
func (as *AddressSpace) Opened(addr, n uint64, do func(b []byte) error) error {
	b, err := as.span(addr, n, 0)
	if err != nil {
		return err
	}
	start, end := addr&^(pageSize-1), (addr+n+pageSize-1)&^(pageSize-1)
	as.mu.Lock()
	as.opened.Add(1)
	err = as.fence.set(start, end, ProtRead|ProtWrite)
	as.mu.Unlock()
	if err == nil {
		err = do(b)
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	if again := as.fence.hold(start, end, as.areas); err == nil {
		err = again
	}
	return err
}

// hostMap makes the host's mapping of a, which has a file.
func (as *AddressSpace) hostMap(a area) error {
	fd, flags := int(a.file.file.Fd()), unix.MAP_PRIVATE
	if a.shared {
		flags = unix.MAP_SHARED
	}
	err := as.hostMmap(a.start, a.end, fd, a.off, flags, a.prot)
	if a.shared && errors.Is(err, unix.EACCES) {
		err = as.hostMmap(a.start, a.end, fd, a.off, unix.MAP_PRIVATE, a.prot)
	}
	return err
}

// hostZero replaces a range by fresh zero pages.
func (as *AddressSpace) hostZero(start, end uint64, prot Prot) error {
	return as.hostMmap(start, end, -1, 0, zeroPages, prot)
}

// hostMmap maps [start, end) of guest addresses in place of what is there.
// Preconditions: as.mu is held for writing, or nobody else has as.
func (as *AddressSpace) hostMmap(start, end uint64, fd int, off int64, flags int, prot Prot) error {
	if fd >= 0 || as.hasFile(start, end) {
		as.changes.Add(1)
		as.engine.spares.disown(as)
	}
	if err := as.fence.hostMmap(pageRange{start, end}, fd, off, flags, hostProt(prot)); err != nil {
		return err
	}
	if len(as.stored) > 0 {
		as.stored = as.stored.replace(start, end)
	}
	return nil
}

func hostMmap(mem []byte, r pageRange, fd int, off int64, flags int, p Prot) error {
	_, err := unix.MmapPtr(fd, off, unsafe.Pointer(&mem[r.start]), uintptr(r.end-r.start), int(p), flags|unix.MAP_FIXED)
	return err
}

// zeroPages are flags of hostMmap for fresh memory.
const zeroPages = unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_NORESERVE

// hasFile tells whether a file or a store is mapped in a range.
func (as *AddressSpace) hasFile(start, end uint64) bool {
	lo, hi := as.stored.overlap(start, end)
	return lo < hi || as.areas.hasFile(start, end)
}
