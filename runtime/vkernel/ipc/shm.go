package ipc

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/mm"
)

// Bits of a segment's mode and of shmget's flags, uapi/linux/shm.h.
const (
	ShmDest    = 0o1000 // removed when the last attachment is gone
	ShmLocked  = 0o2000
	shmHugeTLB = 0o4000
)

// Limits of segments: those of Linux.
const (
	ShmMin = 1
	ShmMax = 1<<64 - 1 - 1<<24 // bytes
	ShmMNI = 4096              // segments
	ShmAll = ShmMax            // pages of all segments
)

// ShmTable is the shared memory segments.
type ShmTable struct {
	mu       sync.Mutex
	segments table[*Segment]
	pages    uint64
}

// Segment is a shared memory segment. It is the mm.Backing of its mappings,
// each of which counts as an attachment.
type Segment struct {
	shms *ShmTable
	mem  mm.Backing // size bytes, rounded up to a page
	name string
	stat ShmStat
	id   int
}

// ShmStat is struct shmid64_ds.
type ShmStat struct {
	Perm
	Size                uint64 // bytes
	Atime, Dtime, Ctime int64  // seconds
	CPID, LPID          int
	Attached            int
}

func (s *Segment) perm() *Perm { return &s.stat.Perm }

// HostFile implements mm.Backing.
func (s *Segment) HostFile(shared bool) (*os.File, error) { return s.mem.HostFile(shared) }

// Name implements mm.Backing.
func (s *Segment) Name() string { return s.name }

// ID implements mm.Backing.
func (s *Segment) ID() (dev, ino uint64) { return s.mem.ID() }

// IncRef implements mm.Backing: one more attachment.
func (s *Segment) IncRef() {
	s.shms.mu.Lock()
	defer s.shms.mu.Unlock()
	s.stat.Attached++
	s.stat.Atime = now()
}

// DecRef implements mm.Backing: one attachment less.
func (s *Segment) DecRef() {
	s.shms.mu.Lock()
	s.stat.Dtime = now()
	s.shms.mu.Unlock()
	s.Release()
}

// Release gives back what Attach or IncRef took.
func (s *Segment) Release() {
	s.shms.mu.Lock()
	s.stat.Attached--
	gone := s.stat.Attached == 0 && s.stat.Mode&ShmDest != 0
	if gone {
		s.shms.drop(s)
	}
	s.shms.mu.Unlock()
	if gone {
		s.mem.DecRef()
	}
}

func pages(size uint64) uint64 { return mm.PageUp(size) / mm.PageSize }

// drop forgets a segment, whose memory the caller gives back.
func (t *ShmTable) drop(s *Segment) {
	t.segments.remove(s.id)
	t.pages -= pages(s.stat.Size)
}

// Get is shmget. create makes memory of size bytes, with a reference.
func (t *ShmTable) Get(c Caller, key int32, size uint64, flags int, create func(size uint64) (mm.Backing, error)) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.segments.limit = ShmMNI
	var made *Segment
	id, err := t.segments.get(c, key, flags, func(s *Segment) error {
		if size > s.stat.Size {
			return unix.EINVAL
		}
		return nil
	}, func(p Perm) (s *Segment, err error) {
		made, err = t.create(c, p, size, flags, create)
		return made, err
	})
	if made != nil {
		made.id = id
	}
	return id, err
}

func (t *ShmTable) create(c Caller, p Perm, size uint64, flags int, create func(uint64) (mm.Backing, error)) (*Segment, error) {
	switch {
	case size < ShmMin, size > ShmMax:
		return nil, unix.EINVAL
	case flags&shmHugeTLB != 0, size > mm.TaskSize:
		return nil, unix.ENOMEM
	}
	mem, err := create(size)
	if err != nil {
		return nil, err
	}
	t.pages += pages(size)
	name := fmt.Sprintf("/SYSV%08x (deleted)", uint32(p.Key))
	return &Segment{shms: t, mem: mem, name: name, stat: ShmStat{Perm: p, Size: size, Ctime: now(), CPID: c.PID}}, nil
}

// Attach finds the segment that shmat is to map, and its size in bytes. It
// counts as attached until Release, which is called once the mapping does.
func (t *ShmTable) Attach(c Caller, id int, write, exec bool) (*Segment, uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mode := mayRead
	if write {
		mode |= mayWrite
	}
	if exec {
		mode |= 0o111
	}
	s, err := t.segments.use(c, id, mode)
	if err != nil {
		return nil, 0, err
	}
	s.stat.Attached++
	return s, s.stat.Size, nil
}

// Touched notes that a process has attached or detached a segment.
func (s *Segment) Touched(c Caller) {
	s.shms.mu.Lock()
	defer s.shms.mu.Unlock()
	s.stat.LPID = c.PID
}

// Stat is IPC_STAT.
func (t *ShmTable) Stat(c Caller, id int) (ShmStat, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.segments.use(c, id, mayRead)
	if err != nil {
		return ShmStat{}, err
	}
	return s.stat, nil
}

// StatAt is SHM_STAT and SHM_STAT_ANY.
func (t *ShmTable) StatAt(c Caller, index int, any bool) (ShmStat, int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, id, err := t.segments.at(c, index, any)
	if err != nil {
		return ShmStat{}, 0, err
	}
	return s.stat, id, nil
}

// Set is IPC_SET.
func (t *ShmTable) Set(c Caller, id int, p Perm) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.segments.own(c, id)
	if err != nil {
		return err
	}
	s.stat.set(p)
	s.stat.Ctime = now()
	return nil
}

// Lock is SHM_LOCK and SHM_UNLOCK, which change what Stat says only.
func (t *ShmTable) Lock(c Caller, id int, locked bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.segments.own(c, id)
	if err != nil {
		return err
	}
	s.stat.Mode &^= ShmLocked
	if locked {
		s.stat.Mode |= ShmLocked
	}
	return nil
}

// Remove is IPC_RMID: the key is free at once, the memory with the last
// attachment.
func (t *ShmTable) Remove(c Caller, id int) error {
	t.mu.Lock()
	s, err := t.segments.own(c, id)
	gone := err == nil && s.stat.Attached == 0
	switch {
	case gone:
		t.drop(s)
	case err == nil:
		s.stat.Key, s.stat.Mode = Private, s.stat.Mode|ShmDest
	}
	t.mu.Unlock()
	if gone {
		s.mem.DecRef()
	}
	return err
}

// ShmInfo tells how much there is.
type ShmInfo struct {
	Last     int // highest index in use
	Segments int
	Pages    uint64
}

// Info is IPC_INFO and SHM_INFO.
func (t *ShmTable) Info() ShmInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	return ShmInfo{t.segments.last(), len(t.segments.objects), t.pages}
}
