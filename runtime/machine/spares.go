package machine

import "sync"

// Bounds of the memories kept: how many, and how much of one may be in use.
const (
	maxSpares     = 4
	maxSpareBytes = 32 << 20
)

// spares are linear memories of forked address spaces that are no more. Their
// pages are still there: copying to those costs a tenth of copying to fresh
// ones, and the next child of the same parent needs the same.
type spares struct {
	mu   sync.Mutex
	list [][]byte
}

// take gives a memory of which anonymous pages may hold anything.
func (s *spares) take() (mem []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.list)
	if n == 0 {
		return nil, false
	}
	mem = s.list[n-1]
	s.list = s.list[:n-1]
	return mem, true
}

// put keeps a memory that has no file mapped, unless there is enough.
func (s *spares) put(mem []byte) bool {
	pages, err := privatePages(mem)
	size := uint64(0)
	for _, r := range pages {
		size += r.end - r.start
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || size > maxSpareBytes || len(s.list) >= maxSpares {
		return false
	}
	s.list = append(s.list, mem)
	return true
}

// free gives all memories back to the host.
func (s *spares) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, mem := range s.list {
		unreserve(mem)
	}
	s.list = nil
}
