package tmp

import (
	"maps"
	"slices"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// heapMax is the bytes a file may take on the heap before it becomes a memfd.
const heapMax = 4 << 20

const pageSize = linux.PageSize

type page [pageSize]byte

// heapStore holds pages by their number. There are at most
// heapMax/pageSize of them, and one write's.
type heapStore struct {
	fs    *FS
	pages map[int64]*page
	used  int64 // bytes
}

// inPages calls fn for the pieces of [off, off+n) that lie in one page each.
func inPages(off, n int64, fn func(num, from, to int64) error) error {
	for end := off + n; off < end; {
		num, from := off/pageSize, off%pageSize
		to := min(pageSize, from+end-off)
		if err := fn(num, from, to); err != nil {
			return err
		}
		off += to - from
	}
	return nil
}

func (s *heapStore) readAt(p []byte, off int64) error {
	return inPages(off, int64(len(p)), func(num, from, to int64) error {
		if pg := s.pages[num]; pg != nil {
			copy(p, pg[from:to])
		} else {
			clear(p[:to-from])
		}
		p = p[to-from:]
		return nil
	})
}

func (s *heapStore) writeAt(p []byte, off int64) (n int, err error) {
	err = inPages(off, int64(len(p)), func(num, from, to int64) error {
		pg, err := s.page(num)
		if err != nil {
			return err
		}
		n += copy(pg[from:to], p[n:])
		return nil
	})
	if n > 0 {
		err = nil
	}
	return n, err
}

// page returns the page, made if need be.
func (s *heapStore) page(num int64) (*page, error) {
	if pg := s.pages[num]; pg != nil {
		return pg, nil
	}
	if err := s.fs.reserve(pageSize); err != nil {
		return nil, err
	}
	if s.pages == nil {
		s.pages = map[int64]*page{}
	}
	pg := new(page)
	s.pages[num] = pg
	s.used += pageSize
	return pg, nil
}

// dropIf frees pages.
func (s *heapStore) dropIf(which func(num int64) bool) {
	for num := range s.pages {
		if which(num) {
			delete(s.pages, num)
			s.used -= pageSize
			s.fs.used.Add(-pageSize)
		}
	}
}

func (s *heapStore) truncate(size int64) error {
	if pg := s.pages[size/pageSize]; pg != nil {
		clear(pg[size%pageSize:])
	}
	first := (size + pageSize - 1) / pageSize
	s.dropIf(func(num int64) bool { return num >= first })
	return nil
}

func (s *heapStore) punch(off, length int64) error {
	last := off + length
	clearPart := func(num, from, to int64) {
		if pg := s.pages[num]; pg != nil && from < to {
			clear(pg[from:to])
		}
	}
	first, end := (off+pageSize-1)/pageSize, last/pageSize
	clearPart(off/pageSize, off%pageSize, min(pageSize, off%pageSize+length))
	if end >= first {
		clearPart(end, 0, last%pageSize)
	}
	s.dropIf(func(num int64) bool { return num >= first && num < end })
	return nil
}

func (s *heapStore) allocate(off, length int64) error {
	if s.used+length > s.fs.limit {
		return unix.ENOSPC
	}
	return inPages(off, length, func(num, _, _ int64) error {
		_, err := s.page(num)
		return err
	})
}

func (s *heapStore) blocks() int64 { return s.used / 512 }

func (s *heapStore) seekData(off, size int64) (int64, error) {
	for _, num := range slices.Sorted(maps.Keys(s.pages)) {
		if (num+1)*pageSize > off && num*pageSize < size {
			return max(off, num*pageSize), nil
		}
	}
	return 0, unix.ENXIO
}

func (s *heapStore) seekHole(off, size int64) int64 {
	for num := off / pageSize; num*pageSize < size; num++ {
		if s.pages[num] == nil {
			return max(off, num*pageSize)
		}
	}
	return size
}

func (s *heapStore) close() {}

func (s *heapStore) free() { s.dropIf(func(int64) bool { return true }) }
