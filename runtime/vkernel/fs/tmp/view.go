package tmp

import (
	"math/bits"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// view is a memfd, mapped, so that bytes move without a system call: a tenth of
// the time for a page, a third for a megabyte. Pages that were not written are not
// looked at, for that would make them.
// The file's lock is held: for writing, except by read.
type view struct {
	size  int64    // the file has at least so many bytes
	pages []uint64 // a bit for each page that is there

	mu  sync.Mutex // of making mem
	mem atomic.Pointer[mapping]
}

// mapping is a mapping of the host's. It may go beyond the file's end.
type mapping struct {
	bytes   []byte
	cleanup runtime.Cleanup
}

const (
	// viewMin is from which size on a file is worth a mapping, and viewMax how
	// much of it is mapped.
	viewMin, viewMax = 256 << 10, 16 << 30
	// viewsMax is how many mappings of the host's, of which there are 65,530 in
	// a process, go to views.
	viewsMax = 4096
	// viewAhead is how much of it the host maps where a page is read that is not
	// mapped yet (fault_around_bytes).
	viewAhead = 64 << 10
	// viewPiece is the most to move at once: a goroutine does not stop inside of
	// copy, and the garbage collector waits for it.
	viewPiece = 256 << 10
)

var views atomic.Int64

// read fills p if it can.
func (v *view) read(f *os.File, p []byte, off int64) bool {
	from := v.window(f, off, int64(len(p)))
	for i := 0; i < len(from); i += viewPiece {
		copy(p[i:], from[i:min(len(from), i+viewPiece)])
	}
	return from != nil
}

// write writes p if it can.
func (v *view) write(f *os.File, p []byte, off int64) bool {
	to := v.window(f, off, int64(len(p)))
	if to == nil {
		return false
	}
	touch(v.mem.Load().bytes, off, int64(len(p)))
	for i := 0; i < len(to); i += viewPiece {
		copy(to[i:min(len(to), i+viewPiece)], p[i:])
	}
	return true
}

// touch reads a byte here and there: the host then maps what is around it,
// which it does not do for a page that is written.
func touch(mem []byte, off, n int64) {
	for at := off &^ (viewAhead - 1); at < off+n; at += viewAhead {
		atomic.LoadUint32((*uint32)(unsafe.Pointer(&mem[max(at, off&^3)])))
	}
}

// window is n mapped bytes at off, or nil.
func (v *view) window(f *os.File, off, n int64) []byte {
	if n == 0 || off+n > v.size || v.size < viewMin || !v.there(off, n) {
		return nil
	}
	m := v.mem.Load()
	if m == nil {
		m = v.make(f)
	}
	if m == nil || off+n > int64(len(m.bytes)) {
		return nil
	}
	return m.bytes[off : off+n]
}

// there tells whether all pages of a range are.
func (v *view) there(off, n int64) bool {
	first, end := off/pageSize, (off+n+pageSize-1)/pageSize
	if end > int64(len(v.pages))*64 {
		return false
	}
	for at := first; at < end; at = (at | 63) + 1 {
		if want := wordBits(at, end); v.pages[at/64]&want != want {
			return false
		}
	}
	return true
}

// wordBits are those of the pages from at to end that are in at's word.
func wordBits(at, end int64) uint64 {
	bits := ^uint64(0) << (at % 64)
	if last := at | 63; end <= last {
		bits &= 1<<(end%64) - 1
	}
	return bits
}

// make maps the file, with room to grow.
func (v *view) make(f *os.File) *mapping {
	v.mu.Lock()
	defer v.mu.Unlock()
	if m := v.mem.Load(); m != nil {
		return m
	}
	if views.Add(1) > viewsMax {
		views.Add(-1)
		return nil
	}
	size := 2 << bits.Len64(uint64(min(v.size, viewMax)))
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		views.Add(-1)
		return nil
	}
	m := &mapping{bytes: b}
	m.cleanup = runtime.AddCleanup(v, unmapView, b) // of a container that is forgotten
	v.mem.Store(m)
	return m
}

func unmapView(b []byte) {
	_ = unix.Munmap(b)
	views.Add(-1)
}

// filled notes that bytes were written.
func (v *view) filled(off, n int64) {
	v.size = max(v.size, off+n)
	end := (min(off+n, viewMax) + pageSize - 1) / pageSize
	if more := (end+63)/64 - int64(len(v.pages)); more > 0 {
		v.pages = append(v.pages, make([]uint64, more)...)
	}
	for at := off / pageSize; at < end; at = (at | 63) + 1 {
		v.pages[at/64] |= wordBits(at, end)
	}
	if m := v.mem.Load(); m != nil && end*pageSize > int64(len(m.bytes)) {
		v.drop()
	}
}

// punched notes that pages may be gone.
func (v *view) punched(off, n int64) {
	end := min((off+n+pageSize-1)/pageSize, int64(len(v.pages))*64)
	for at := off / pageSize; at < end; at = (at | 63) + 1 {
		v.pages[at/64] &^= wordBits(at, end)
	}
}

// cut notes that the file has only size bytes.
func (v *view) cut(size int64) {
	if size < v.size {
		v.punched(size, v.size-size)
		v.size = size
	}
}

// drop unmaps the file.
func (v *view) drop() {
	if m := v.mem.Swap(nil); m != nil {
		m.cleanup.Stop()
		unmapView(m.bytes)
	}
}
