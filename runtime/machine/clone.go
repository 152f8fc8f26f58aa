package machine

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageRange is a range of linear memory.
type pageRange struct{ start, end uint64 }

// Clone returns a copy with one reference: fork. Shared mappings stay shared;
// of the others the pages that were written are copied.
func (as *AddressSpace) Clone() (*AddressSpace, error) {
	as.mu.Lock()
	defer as.mu.Unlock()
	pages, err := as.pagesToCopy()
	if err != nil {
		return nil, err
	}
	used := as.engine.spares.take(as)
	if used == nil {
		f, err := as.engine.reserve()
		if err != nil {
			return nil, err
		}
		used = &spare{fence: f}
	}
	child := as.engine.newSpace(used.fence)
	if err := as.cloneTo(child, used, pages); err != nil {
		child.Release()
		return nil, err
	}
	child.birth = birth{of: as, opened: as.opened.Load(), changes: as.changes.Load(), born: child.changes.Load(), sigbuses: sigbuses.Load()}
	return child, nil
}

// pagesToCopy lists the pages that a child must have for itself. If they are many,
// they go to a store before.
// Preconditions: as.mu is held for writing.
func (as *AddressSpace) pagesToCopy() ([]pageRange, error) {
	if err := as.settle(); err != nil {
		return nil, err
	}
	pages, err := privatePages(as.mem)
	if err != nil || bytesOf(pages) < snapshotBytes || len(as.code.cpus) > 1 {
		return pages, err
	}
	if err := as.snapshot(pages); err != nil {
		return nil, err
	}
	return privatePages(as.mem)
}

// cloneTo fills a new address space with these pages and all else.
func (as *AddressSpace) cloneTo(child *AddressSpace, used *spare, pages []pageRange) error {
	child.areas = as.areas.clone()
	child.upper.Store(as.upper.Load())
	child.code.copyFrom(as.code)
	child.program = as.program.retain()
	used.giveCore(child)
	if used.owner == as {
		child.stored = as.stored.clone()
	} else if err := child.mapFiles(as.stored); err != nil {
		return err
	}
	for _, r := range subtract(used.pages, pages) {
		if err := unix.Madvise(child.mem[r.start:r.end], unix.MADV_DONTNEED); err != nil {
			return err
		}
	}
	if used.owner == as && used.opened == as.opened.Load() {
		pages = subtract(pages, as.readOnly(used.pages))
	}
	for _, r := range pages {
		if err := as.copyTo(child, r, used.pages == nil); err != nil {
			return err
		}
	}
	return child.fence.hold(MinAddr, memorySize, child.areas)
}

// readOnly is what of pages can't be written.
func (as *AddressSpace) readOnly(pages []pageRange) (list []pageRange) {
	for _, r := range pages {
		for r.start < r.end {
			p, till := as.areas.protAt(r.start, r.end)
			if p&ProtWrite == 0 {
				list = append(list, pageRange{r.start, till})
			}
			r.start = till
		}
	}
	return list
}

// copyTo copies pages to a child, where they have never been if they are fresh.
// The child's fence is left open for that.
func (as *AddressSpace) copyTo(child *AddressSpace, r pageRange, fresh bool) error {
	if err := as.reveal(r); err != nil {
		return err
	}
	if err := child.fence.set(r.start, r.end, ProtRead|ProtWrite); err != nil {
		return err
	}
	if fresh {
		// Populating a range at once costs less than a fault per page; when it
		// fails the copy faults them in.
		_ = unix.Madvise(child.mem[r.start:r.end], unix.MADV_POPULATE_WRITE)
	}
	copy(child.mem[r.start:r.end], as.mem[r.start:r.end])
	return as.fence.hold(r.start, r.end, as.areas)
}

// reveal makes all pages readable that can't be accessed.
func (as *AddressSpace) reveal(r pageRange) error {
	for at := r.start; at < r.end && !as.fence.open; {
		have, till := as.fence.held.protAt(at, r.end)
		if have == 0 {
			if err := as.fence.set(at, till, ProtRead); err != nil {
				return err
			}
		}
		at = till
	}
	return nil
}

// PrivateBytes is how much memory no file gives, in bytes: what was written. What
// it has in common with its relatives is counted for the first one with the same seen.
func (as *AddressSpace) PrivateBytes(seen map[any]bool) uint64 {
	as.mu.RLock()
	defer as.mu.RUnlock()
	pages, err := privatePages(as.mem)
	if err != nil {
		return 0
	}
	total := bytesOf(pages)
	for _, a := range as.stored {
		if !seen[a.file] {
			seen[a.file] = true
			total += a.file.bytes()
		}
	}
	return total
}

// MappedBytes is how much memory it maps that no file of the guest's gives, in bytes, whoever else has it.
func (as *AddressSpace) MappedBytes() uint64 {
	as.mu.RLock()
	defer as.mu.RUnlock()
	pages, err := privatePages(as.mem)
	if err != nil {
		return 0
	}
	stored, err := as.inStores()
	if err != nil {
		return bytesOf(pages)
	}
	return bytesOf(union(pages, stored))
}

func bytesOf(list []pageRange) (n uint64) {
	for _, r := range list {
		n += r.end - r.start
	}
	return n
}

// privatePages lists the pages of mem that no file gives.
func privatePages(mem []byte) (list []pageRange, err error) {
	add := func(r pageRange) { list = append(list, r) }
	err = scanPages(mem, add)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
		list = nil
		err = readPagemap(mem, add)
	}
	return list, err
}

// subtract gives what is in a and not in b; both are ascending.
func subtract(a, b []pageRange) (rest []pageRange) {
	for _, r := range a {
		for len(b) > 0 && b[0].end <= r.start {
			b = b[1:]
		}
		for i := 0; i < len(b) && b[i].start < r.end; i++ {
			if b[i].start > r.start {
				rest = append(rest, pageRange{r.start, b[i].start})
			}
			r.start = min(b[i].end, r.end)
		}
		if r.start < r.end {
			rest = append(rest, r)
		}
	}
	return rest
}

// mapFiles makes the host's mappings of all areas with files, and of another's
// stores, which were settled.
func (as *AddressSpace) mapFiles(stored areas) error {
	for _, a := range as.areas {
		if a.file == nil {
			continue
		}
		if err := as.hostMap(a); err != nil {
			return err
		}
	}
	for _, a := range stored {
		if err := as.mapHeld(a); err != nil {
			return err
		}
	}
	return nil
}

// The PAGEMAP_SCAN ioctl of Linux 6.7: include/uapi/linux/fs.h.
const (
	pagemapScan = 0xc0606610

	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4
	pageIsPFNZero = 1 << 5
)

// pmScanArg is struct pm_scan_arg.
type pmScanArg struct {
	size, flags, start, end, walkEnd            uint64
	vec, vecLen, maxPages                       uint64
	inverted, mask, anyOfMask, returnedCategory uint64
}

// pageRegion is struct page_region.
type pageRegion struct{ start, end, categories uint64 }

// pagemap is what the host tells of this process's pages, opened once.
var pagemap = sync.OnceValues(func() (*os.File, error) { return os.Open("/proc/self/pagemap") })

// scanPages calls add for each range of mem's pages that exist and are neither a
// file's nor the shared zero page.
func scanPages(mem []byte, add func(pageRange)) error {
	f, err := pagemap()
	if err != nil {
		return err
	}
	base := uint64(uintptr(unsafe.Pointer(&mem[0])))
	var regions [256]pageRegion
	var pin runtime.Pinner // the kernel writes to regions by an address kept in arg
	pin.Pin(&regions)
	defer pin.Unpin()
	arg := pmScanArg{
		start: base, end: base + uint64(len(mem)),
		vec: uint64(uintptr(unsafe.Pointer(&regions))), vecLen: uint64(len(regions)),
		inverted: pageIsFile | pageIsPFNZero, mask: pageIsFile | pageIsPFNZero,
		anyOfMask:        pageIsPresent | pageIsSwapped,
		returnedCategory: pageIsPresent,
	}
	arg.size = uint64(unsafe.Sizeof(arg))
	for arg.start < arg.end {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if errno != 0 {
			return errno
		}
		for _, r := range regions[:n] {
			add(pageRange{r.start - base, r.end - base})
		}
		arg.start = arg.walkEnd
	}
	return nil
}

// Bits of a /proc/self/pagemap entry (Documentation/admin-guide/mm/pagemap).
const (
	pagemapPresent = 1 << 63
	pagemapSwapped = 1 << 62
	pagemapFile    = 1 << 61
)

// readPagemap is scanPages for older kernels; it also gives zero pages.
func readPagemap(mem []byte, add func(pageRange)) error {
	f, err := pagemap()
	if err != nil {
		return err
	}
	base := uint64(uintptr(unsafe.Pointer(&mem[0])))
	var entries [8192]byte
	var run pageRange
	for at := uint64(0); at < uint64(len(mem)); {
		n, err := f.ReadAt(entries[:], int64((base+at)/pageSize*8))
		if n < 8 {
			return err
		}
		for i := 0; i+8 <= n && at < uint64(len(mem)); i += 8 {
			e := binary.LittleEndian.Uint64(entries[i:])
			private := e&(pagemapPresent|pagemapSwapped) != 0 && e&pagemapFile == 0
			if private && run.end == at {
				run.end = at + pageSize
			} else if private {
				run.flush(add)
				run = pageRange{at, at + pageSize}
			}
			at += pageSize
		}
	}
	run.flush(add)
	return nil
}

// flush gives a range that isn't empty to f.
func (r pageRange) flush(f func(pageRange)) {
	if r.end > r.start {
		f(r)
	}
}

// Touched is the lowest page of a range that may hold something, or its end: memory
// that was mapped and never accessed is below it. whole says that all pages may.
func (as *AddressSpace) Touched(start, end uint64) (low uint64, whole bool) {
	if start >= end {
		return end, true
	}
	raised := start - as.Lower(start)
	start, end = start-raised, end-raised
	low, whole = as.touched(start, end)
	return low + raised, whole
}

// touched is Touched of first addresses.
func (as *AddressSpace) touched(start, end uint64) (low uint64, whole bool) {
	as.mu.RLock()
	defer as.mu.RUnlock()
	pages, err := privatePages(as.mem[start:end])
	if err != nil {
		return start, false
	}
	for i := range pages {
		pages[i].start, pages[i].end = pages[i].start+start, pages[i].end+start
	}
	lo, hi := as.stored.overlap(start, end)
	for _, a := range as.stored[lo:hi] {
		data, err := a.slice(start, end).appendData(nil)
		if err != nil {
			return start, false
		}
		pages = union(pages, data)
	}
	if len(pages) == 0 {
		return end, false
	}
	return pages[0].start, bytesOf(pages) == end-start
}

// Discard makes zeros of anonymous memory, or what it was at the last fork.
// Preconditions: the range is mapped and within pages of its own.
func (as *AddressSpace) Discard(start, end uint64) error {
	start, end = as.Lower(start), as.Lower(end)
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.emptyStored(start, end) {
		return nil
	}
	return unix.Madvise(as.mem[start:end], unix.MADV_DONTNEED)
}
