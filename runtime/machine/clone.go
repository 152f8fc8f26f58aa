package machine

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageRange is a range of linear memory.
type pageRange struct{ start, end uint64 }

// Clone returns a copy with one reference: fork. Shared mappings stay shared;
// of the others the pages that were written are copied.
func (as *AddressSpace) Clone() (*AddressSpace, error) {
	child, err := as.engine.NewAddressSpace()
	if err != nil {
		return nil, err
	}
	as.mu.RLock()
	defer as.mu.RUnlock()
	child.areas = as.areas.clone()
	child.code.copyFrom(&as.code)
	child.program = as.program.retain()
	if err := child.mapFiles(); err != nil {
		child.Release()
		return nil, err
	}
	if err := copyPrivate(child.mem, as.mem); err != nil {
		child.Release()
		return nil, err
	}
	return child, nil
}

// mapFiles makes the host's mappings of all areas with files.
func (as *AddressSpace) mapFiles() error {
	for _, a := range as.areas {
		if a.file == nil {
			continue
		}
		if err := as.hostMap(a); err != nil {
			return err
		}
	}
	return nil
}

// copyPrivate copies the pages of src that no file gives.
func copyPrivate(dst, src []byte) error {
	err := scanPages(src, func(r pageRange) {
		// Populating a range at once costs less than a fault per page; when it
		// fails the copy faults them in.
		_ = unix.Madvise(dst[r.start:r.end], unix.MADV_POPULATE_WRITE)
		copy(dst[r.start:r.end], src[r.start:r.end])
	})
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
		return readPagemap(src, func(r pageRange) { copy(dst[r.start:r.end], src[r.start:r.end]) })
	}
	return err
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

// scanPages calls f for each range of mem's pages that exist and are neither a
// file's nor the shared zero page.
func scanPages(mem []byte, f func(pageRange)) error {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	defer pagemap.Close()
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
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, pagemap.Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if errno != 0 {
			return errno
		}
		for _, r := range regions[:n] {
			f(pageRange{r.start - base, r.end - base})
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
func readPagemap(mem []byte, f func(pageRange)) error {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	defer pagemap.Close()
	base := uint64(uintptr(unsafe.Pointer(&mem[0])))
	var entries [8192]byte
	var run pageRange
	for at := uint64(0); at < uint64(len(mem)); {
		n, err := pagemap.ReadAt(entries[:], int64((base+at)/pageSize*8))
		if n < 8 {
			return err
		}
		for i := 0; i+8 <= n && at < uint64(len(mem)); i += 8 {
			e := binary.LittleEndian.Uint64(entries[i:])
			private := e&(pagemapPresent|pagemapSwapped) != 0 && e&pagemapFile == 0
			if private && run.end == at {
				run.end = at + pageSize
			} else if private {
				run.flush(f)
				run = pageRange{at, at + pageSize}
			}
			at += pageSize
		}
	}
	run.flush(f)
	return nil
}

// flush gives a range that isn't empty to f.
func (r pageRange) flush(f func(pageRange)) {
	if r.end > r.start {
		f(r)
	}
}
