package mm

import (
	"os"
	"sort"

	"golang.org/x/sys/unix"
)

// Backing is the open file behind a mapping. Values are compared with ==.
type Backing interface {
	// HostFile returns a host file with the same bytes at the same offsets, nil
	// for zeros; if shared, stores through a mapping of it reach the file.
	HostFile(shared bool) (*os.File, error)
	// Name is the path that /proc/PID/maps shows.
	Name() string
	// ID identifies the file: device and inode number.
	ID() (dev, ino uint64)
	// IncRef and DecRef keep the open file alive while it is mapped.
	IncRef()
	DecRef()
}

// Area is one mapping: Linux' vm_area_struct. Start and End are page-aligned
// guest addresses, End exclusive.
type Area struct {
	Start, End uint64
	Upper      uint64 // what the guest has in addresses of it besides: see machine.AddressSpace.Raise
	Prot       int    // unix.PROT_*
	MaxProt    int    // what mprotect may ask for
	Shared     bool
	GrowsDown  bool
	File       Backing // nil for anonymous memory
	Offset     int64   // file offset of Start, bytes
	Label      string  // "[heap]", "[stack]", or "" for the file's name
	OnFork     OnFork
	UnitBase   uint64 // where the unit of executable memory is mapped, else 0
}

// Len is the area's size in bytes.
func (a *Area) Len() uint64 { return a.End - a.Start }

// slice is the part of a between start and end, which must lie within it.
func (a *Area) slice(start, end uint64) *Area {
	b := *a
	b.Start, b.End = start, end
	if a.File != nil {
		b.Offset += int64(start - a.Start)
	}
	return &b
}

// follows tells whether b continues a, so that one area may say both.
func (a *Area) follows(b *Area) bool {
	return a.End == b.Start && a.Upper == b.Upper && a.Prot == b.Prot && a.MaxProt == b.MaxProt &&
		a.Shared == b.Shared && a.OnFork == b.OnFork && a.GrowsDown == b.GrowsDown && a.Label == b.Label && a.UnitBase == b.UnitBase &&
		a.File == b.File && (a.File == nil || a.Offset+int64(a.Len()) == b.Offset)
}

// areas is the set of mappings in ascending order, never overlapping.
type areas []*Area

// from is the index of the first area that ends above addr.
func (s areas) from(addr uint64) int {
	return sort.Search(len(s), func(i int) bool { return s[i].End > addr })
}

// at is the area that holds addr, or nil.
func (s areas) at(addr uint64) *Area {
	if i := s.from(addr); i < len(s) && s[i].Start <= addr {
		return s[i]
	}
	return nil
}

// free tells whether nothing is mapped between start and end.
func (s areas) free(start, end uint64) bool {
	i := s.from(start)
	return i == len(s) || s[i].Start >= end
}

// covered tells whether every byte between start and end is mapped.
func (s areas) covered(start, end uint64) bool {
	for i := s.from(start); start < end; i++ {
		if i == len(s) || s[i].Start > start {
			return false
		}
		start = s[i].End
	}
	return true
}

// split cuts the area that holds addr in two there, if one does and addr is
// not its first byte.
func (s areas) split(addr uint64) areas {
	i := s.from(addr)
	if i == len(s) || s[i].Start >= addr {
		return s
	}
	low, high := s[i].slice(s[i].Start, addr), s[i].slice(addr, s[i].End)
	if s[i].File != nil {
		s[i].File.IncRef()
	}
	s = append(s, nil)
	copy(s[i+2:], s[i+1:])
	s[i], s[i+1] = low, high
	return s
}

// isolate splits at both ends and gives the index range of the areas between
// start and end.
func (s areas) isolate(start, end uint64) (set areas, lo, hi int) {
	s = s.split(start).split(end)
	lo = s.from(start)
	hi = lo
	for hi < len(s) && s[hi].End <= end {
		hi++
	}
	return s, lo, hi
}

// remove takes out what is mapped between start and end and returns it.
func (s areas) remove(start, end uint64) (set, removed areas) {
	s, lo, hi := s.isolate(start, end)
	removed = append(removed, s[lo:hi]...)
	return append(s[:lo], s[hi:]...), removed
}

// insert adds a, whose range must be free, joined with its neighbours where
// they say the same.
func (s areas) insert(a *Area) areas {
	i := s.from(a.Start)
	if i < len(s) && s[i].Start < a.End {
		panic("BUG: mm: mapping over an area that was not removed")
	}
	s = append(s, nil)
	copy(s[i+1:], s[i:])
	s[i] = a
	return s.merge(i, i+1)
}

// merge joins neighbours whose index is in [lo-1, hi].
func (s areas) merge(lo, hi int) areas {
	for i := min(hi, len(s)-1); i > 0 && i >= lo; i-- {
		if !s[i-1].follows(s[i]) {
			continue
		}
		joined := *s[i-1]
		joined.End = s[i].End
		if joined.File != nil {
			joined.File.DecRef()
		}
		s[i-1] = &joined
		s = append(s[:i], s[i+1:]...)
	}
	return s
}

// gapBelow is the highest free range of size bytes within [floor, ceil).
func (s areas) gapBelow(size, floor, ceil uint64) (uint64, error) {
	for i := len(s); ; i-- {
		low := floor
		if i > 0 {
			low = max(low, s[i-1].End)
		}
		if ceil >= low && ceil-low >= size {
			return ceil - size, nil
		}
		if i == 0 || s[i-1].Start <= floor {
			return 0, unix.ENOMEM
		}
		ceil = min(ceil, s[i-1].Start)
	}
}

// holdsUnit tells whether an area belongs to the unit mapped at base.
func (s areas) holdsUnit(base uint64) bool {
	for _, a := range s {
		if a.UnitBase == base {
			return true
		}
	}
	return false
}
