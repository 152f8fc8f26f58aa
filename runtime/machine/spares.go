package machine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Bounds of the memories kept: how many, and how much of one may be in use.
const (
	maxSpares     = 4
	maxSpareBytes = 32 << 20
)

// spares are linear memories of forked address spaces that are no more. Their
// pages are still there: copying to those costs a tenth of copying to fresh
// ones, and the next child of the same parent needs the same. It needs the same files
// too, which stay mapped as long as the parent has them mapped as they were.
type spares struct {
	owned atomic.Int32 // of list

	mu   sync.Mutex
	list []*spare
}

// spare is a linear memory.
type spare struct {
	mem   []byte
	pages []pageRange   // no file's
	files []pageRange   // where owner's files and snapshots are mapped
	owner *AddressSpace // nil if no file is mapped
}

// birth is what a forked address space was made of.
type birth struct {
	of       *AddressSpace
	changes  uint64 // of its parent's, when it was made
	born     uint64 // of its own, then
	sigbuses uint64
}

// sigbuses counts the pages that onSIGBUS put in place of a file's.
var sigbuses atomic.Uint64

// take gives a memory of which anonymous pages may hold anything, with as's
// files mapped, or none; nil if there is none.
// Preconditions: as.mu is held.
func (s *spares) take(as *AddressSpace) *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return nil
	}
	i := slices.IndexFunc(s.list, func(sp *spare) bool { return sp.owner == as })
	if i < 0 {
		i = slices.IndexFunc(s.list, func(sp *spare) bool { return sp.owner == nil })
	}
	i = max(i, 0)
	sp := s.list[i]
	s.list = slices.Delete(s.list, i, i+1)
	switch sp.owner {
	case nil:
	case as:
		s.owned.Add(-1)
	default:
		if !s.unmap(sp) {
			unreserve(sp.mem)
			return nil
		}
	}
	return sp
}

// put keeps the memory of an address space that is no more, unless it is too
// much.
func (s *spares) put(as *AddressSpace) bool {
	pages, err := privatePages(as.mem)
	if err != nil || bytesOf(pages) > maxSpareBytes {
		return false
	}
	sp := &spare{mem: as.mem, pages: pages, files: as.fileRanges(), owner: as.birth.of}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owned.Add(1) // before the parent is asked, which looks at it after a change
	b := as.birth
	if b.of.changes.Load() != b.changes || as.changes.Load() != b.born || sigbuses.Load() != b.sigbuses || b.of.refs.Load() == 0 {
		if !s.unmap(sp) {
			return false
		}
	}
	if len(s.list) >= maxSpares {
		s.drop(0)
	}
	s.list = append(s.list, sp)
	return true
}

// disown unmaps the files of as, whose mappings change or which ends.
func (s *spares) disown(as *AddressSpace) {
	if s.owned.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.list) - 1; i >= 0; i-- {
		if s.list[i].owner == as && !s.unmap(s.list[i]) {
			s.drop(i)
		}
	}
}

// unmap leaves nothing but anonymous memory.
func (s *spares) unmap(sp *spare) bool {
	s.owned.Add(-1)
	sp.owner = nil
	for _, r := range sp.files {
		if hostMmap(sp.mem, r, -1, 0, zeroPages) != nil {
			return false
		}
		sp.pages = subtract(sp.pages, []pageRange{r})
	}
	return true
}

// drop gives a memory back to the host.
func (s *spares) drop(i int) {
	if s.list[i].owner != nil {
		s.owned.Add(-1)
	}
	unreserve(s.list[i].mem)
	s.list = slices.Delete(s.list, i, i+1)
}

// free gives all memories back to the host.
func (s *spares) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.list) > 0 {
		s.drop(0)
	}
}

// fileRanges lists what is not anonymous memory.
func (as *AddressSpace) fileRanges() (list []pageRange) {
	add := func(a area) {
		start := uint64(linear(a.start))
		list = append(list, pageRange{start, start + a.end - a.start})
	}
	for _, a := range as.areas {
		if a.file != nil {
			add(a)
		}
	}
	for _, a := range as.snaps {
		add(a)
	}
	return list
}
