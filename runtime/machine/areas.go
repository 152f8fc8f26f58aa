package machine

import (
	"os"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// pageSize is the granularity of mappings.
const pageSize = 4096

// backing is a file that areas map, counted by reference.
type backing struct {
	file *os.File // our own descriptor
	refs atomic.Int32

	stores *stores // that it is one of, or nil
	mu     sync.Mutex
	uses   uses // of a store
}

// newBacking duplicates f, so that the caller may close it.
func newBacking(f *os.File) (*backing, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &backing{file: os.NewFile(uintptr(fd), f.Name())}, nil
}

// retain and release count what maps the area's file.
func (a area) retain() {
	a.file.retain()
	if a.file != nil && a.file.stores != nil {
		a.file.use(a.pages(), 1)
	}
}

func (a area) release() {
	if a.file != nil && a.file.stores != nil {
		a.file.use(a.pages(), -1)
	}
	a.file.release()
}

func (b *backing) retain() {
	if b != nil {
		b.refs.Add(1)
	}
}

func (b *backing) release() {
	if b != nil && b.refs.Add(-1) == 0 {
		if b.stores != nil {
			b.stores.forget(b)
		}
		b.file.Close()
	}
}

// area is a mapped range of guest addresses [start, end).
type area struct {
	start, end uint64
	prot       Prot
	file       *backing // nil: anonymous
	off        int64    // file offset of start
	shared     bool
}

// slice returns the part of a within [start, end), which it overlaps.
func (a area) slice(start, end uint64) area {
	if start > a.start {
		a.off += int64(start - a.start)
		a.start = start
	}
	a.end = min(a.end, end)
	return a
}

// continues tells whether b is a's neighbour and has the same properties.
func (a area) continues(b area) bool {
	if a.end != b.start || a.prot != b.prot || a.file != b.file || a.shared != b.shared {
		return false
	}
	return a.file == nil || b.off-a.off == int64(b.start-a.start)
}

// areas is a set of disjoint areas in ascending order. Each holds one
// reference to its backing.
type areas []area

// from returns the index of the first area that ends after addr.
func (s areas) from(addr uint64) int {
	return sort.Search(len(s), func(i int) bool { return s[i].end > addr })
}

// overlap returns the index range of the areas that overlap [start, end).
func (s areas) overlap(start, end uint64) (lo, hi int) {
	lo = s.from(start)
	for hi = lo; hi < len(s) && s[hi].start < end; hi++ {
	}
	return lo, hi
}

// covers tells whether each address of [start, end) is mapped with at least
// prot.
func (s areas) covers(start, end uint64, prot Prot) bool {
	for i := s.from(start); start < end; i++ {
		if i == len(s) || s[i].start > start || s[i].prot&prot != prot {
			return false
		}
		start = s[i].end
	}
	return true
}

// hasFile tells whether a file is mapped in [start, end).
func (s areas) hasFile(start, end uint64) bool {
	lo, hi := s.overlap(start, end)
	return slices.ContainsFunc(s[lo:hi], func(a area) bool { return a.file != nil })
}

// extent returns how many bytes from addr on, at most max, are mapped with
// at least prot.
func (s areas) extent(addr, max uint64, prot Prot) uint64 {
	at := addr
	for i := s.from(addr); i < len(s) && at-addr < max; i++ {
		if s[i].start > at || s[i].prot&prot != prot {
			break
		}
		at = s[i].end
	}
	return min(at-addr, max)
}

// replace puts list, whose areas lie within [start, end), in place of what the
// set has there. It takes over the references of list.
func (s areas) replace(start, end uint64, list ...area) areas {
	lo, hi := s.overlap(start, end)
	var mid []area
	if lo < hi && s[lo].start < start {
		mid = append(mid, s[lo].slice(s[lo].start, start))
	}
	mid = append(mid, list...)
	if lo < hi && s[hi-1].end > end {
		mid = append(mid, s[hi-1].slice(end, s[hi-1].end))
	}
	for _, a := range mid {
		a.retain()
	}
	for _, a := range s[lo:hi] {
		a.release()
	}
	for _, a := range list {
		a.release()
	}
	return slices.Replace(s, lo, hi, mid...).merge(lo, lo+len(mid))
}

// merge joins areas with index in [lo-1, hi] that continue each other.
func (s areas) merge(lo, hi int) areas {
	lo, hi = max(lo-1, 0), min(hi+1, len(s))
	n := lo
	for i := lo; i < hi; i++ {
		if n > lo && s[n-1].continues(s[i]) {
			s[n-1].end = s[i].end
			s[i].file.release()
			continue
		}
		s[n] = s[i]
		n++
	}
	return slices.Delete(s, n, hi)
}

// protect sets prot on the mapped parts of [start, end).
func (s areas) protect(start, end uint64, prot Prot) areas {
	lo, hi := s.overlap(start, end)
	var list []area
	for _, a := range s[lo:hi] {
		a = a.slice(start, end)
		a.prot = prot
		a.retain()
		list = append(list, a)
	}
	return s.replace(start, end, list...)
}

// clone returns a copy that holds its own references.
func (s areas) clone() areas {
	for _, a := range s {
		a.retain()
	}
	return slices.Clone(s)
}
