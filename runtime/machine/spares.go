package machine

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// Bounds of what is kept.
const (
	maxSpares     = 8        // of children
	maxSpareBytes = 32 << 20 // that may be in use in one of them
	maxFresh      = 16       // of programs
	maxKeptParts  = 2048     // that a core may have
	maxKeptSlots  = 1 << 20
)

// spares are linear memories of address spaces that are no more, most of them with a
// core.
//
// Of a child its pages are still there: copying to those costs a tenth of copying to fresh
// ones, and the next child of the same parent needs the same. It needs the same files
// too, which stay mapped as long as the parent has them mapped as they were.
//
// Of a program that execve started there is nothing in memory, but what its
// core has is what the next run of the same program needs.
type spares struct {
	owned atomic.Int32 // of list

	mu    sync.Mutex
	list  []*spare // of children
	fresh []*spare // of programs
}

// spare is a linear memory.
type spare struct {
	*fence
	pages []pageRange   // no file's
	files []pageRange   // where owner's files and stores are mapped
	owner *AddressSpace // nil if no file is mapped
	// opened is what it was of owner if pages that can't be written are still as they were.
	opened uint64

	core *core // or nil
	code *code // how its slots were given out
	key  string
}

// changed is an opened that no address space has.
const changed = math.MaxUint64

// birth is what a forked address space was made of.
type birth struct {
	of       *AddressSpace
	opened   uint64 // that of its parent
	changes  uint64 // of its parent's, when it was made
	born     uint64 // of its own, then
	sigbuses uint64
}

// takeFresh gives an empty address space that has a core of an earlier run of a
// program, or nil.
func (s *spares) takeFresh(key string) *AddressSpace {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.fresh) - 1; i >= 0; i-- {
		if sp := s.fresh[i]; sp.key == key {
			s.fresh = slices.Delete(s.fresh, i, i+1)
			as := sp.core.engine.newSpace(sp.fence)
			as.code, as.idle = sp.code, []*core{sp.core}
			return as
		}
	}
	return nil
}

// take gives a memory of which anonymous pages may hold anything, with as's
// files mapped, or none; nil if there is none. The last one of another's children is
// left to it: a process that forks without end would take it from all others.
// Preconditions: as.mu is held.
func (s *spares) take(as *AddressSpace) *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return nil
	}
	best := slices.MinFunc(s.list, func(a, b *spare) int { return a.trouble(as) - b.trouble(as) })
	if best.owner != nil && best.owner != as && s.of(best.owner) == 1 {
		return nil
	}
	i := slices.Index(s.list, best)
	s.list = slices.Delete(s.list, i, i+1)
	switch best.owner {
	case nil:
	case as:
		s.owned.Add(-1)
	default:
		if !s.unmap(best) {
			best.free()
			return nil
		}
	}
	return best
}

// of is how many there are of an owner's children.
func (s *spares) of(owner *AddressSpace) (n int) {
	for _, sp := range s.list {
		if sp.owner == owner {
			n++
		}
	}
	return n
}

// dropOne frees the oldest spare of whoever has most.
func (s *spares) dropOne() {
	most := slices.MaxFunc(s.list, func(a, b *spare) int { return s.of(a.owner) - s.of(b.owner) })
	s.drop(slices.IndexFunc(s.list, func(sp *spare) bool { return sp.owner == most.owner }))
}

// trouble is how much a child of as has to do before the memory is as its own.
func (sp *spare) trouble(as *AddressSpace) (n int) {
	switch sp.owner {
	case as:
	case nil:
		n = 2
	default:
		n = 4
	}
	if sp.core == nil || !as.code.agrees(sp.code) {
		n++
	}
	return n
}

// giveCore lets a child have the core if its slots are good there.
// Preconditions: the child's code is a copy of its parent's.
func (sp *spare) giveCore(child *AddressSpace) {
	switch {
	case sp.core == nil:
	case child.code.agrees(sp.code):
		child.code.follow(sp.code)
		child.idle = []*core{sp.core}
		if child.program != nil {
			child.program.warm.Store(true)
		}
	default:
		sp.core.close()
	}
}

// put keeps or frees the memory and the cores of an address space that is no more.
func (s *spares) put(as *AddressSpace) {
	sp := &spare{fence: as.fence, code: as.code, key: as.key, core: as.bestCore()}
	if as.birth.of == nil && !s.putFresh(sp) || as.birth.of != nil && !s.putChild(sp, as) {
		sp.free()
	}
}

// bestCore leaves none but the core that has most parts; nil if that is none, or
// too many.
func (as *AddressSpace) bestCore() (best *core) {
	for _, c := range as.idle {
		if best == nil || len(c.parts) > len(best.parts) {
			best, c = c, best
		}
		if c != nil {
			c.close()
		}
	}
	if best != nil && (len(best.parts) > maxKeptParts || as.code.end.Load() > maxKeptSlots) {
		best.close()
		best = nil
	}
	return best
}

// putFresh keeps what a program had; false if it is no use.
func (s *spares) putFresh(sp *spare) bool {
	if sp.core == nil || sp.key == "" || hostMmap(sp.mem, pageRange{MinAddr, memorySize}, -1, 0, zeroPages, 0) != nil {
		return false
	}
	sp.forget()
	sp.code.retire()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) >= maxFresh {
		s.fresh[0].free()
		s.fresh = slices.Delete(s.fresh, 0, 1)
	}
	s.fresh = append(s.fresh, sp)
	return true
}

// putChild keeps what a child had, unless it is too much.
func (s *spares) putChild(sp *spare, as *AddressSpace) bool {
	var err error
	if sp.pages, err = privatePages(as.mem); err != nil || bytesOf(sp.pages) > maxSpareBytes {
		return false
	}
	sp.files, sp.owner, sp.opened = as.fileRanges(), as.birth.of, as.birth.opened
	if as.opened.Load() > 0 {
		sp.opened = changed
	}
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
		s.dropOne()
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
		if sp.hostMmap(r, -1, 0, zeroPages, 0) != nil {
			return false
		}
		sp.pages = subtract(sp.pages, []pageRange{r})
	}
	return true
}

// drop frees the memory of a child.
func (s *spares) drop(i int) {
	if s.list[i].owner != nil {
		s.owned.Add(-1)
	}
	s.list[i].free()
	s.list = slices.Delete(s.list, i, i+1)
}

// free gives the memory back to the host.
func (sp *spare) free() {
	if sp.core != nil {
		sp.core.close()
	}
	sp.unreserve()
}

// free frees all.
func (s *spares) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.list) > 0 {
		s.drop(0)
	}
	for _, sp := range s.fresh {
		sp.free()
	}
	s.fresh = nil
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
	for _, a := range as.stored {
		add(a)
	}
	return list
}
