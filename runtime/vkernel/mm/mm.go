// Package mm is a process's memory map: which guest addresses are mapped, with
// what protection, to what. It implements mmap(2) and its family over a
// machine.AddressSpace, which holds the bytes. It knows nothing of tasks,
// descriptors or ELF; who may execute what is decided by the Code it is given.
//
// Lock order: MM.mu is taken before any lock of the machine or of a Backing.
package mm

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/machine"
	"github.com/megabin/megabin/runtime/vkernel/aio"
)

// The guest's address range. docs/architecture.md has the limits they follow.
const (
	PageSize = 4096
	// MinAddr is vm.mmap_min_addr.
	MinAddr = 0x10000
	// MmapTop is where the area for mmap ends; it is filled from the top down.
	MmapTop = 0xF0000000
	// StackTop is the end of the initial stack.
	StackTop = 0xFFFC0000
	// TaskSize is the end of what a guest may map.
	TaskSize = 0xFFFE0000
	// low2GB bounds MAP_32BIT.
	low2GB = 0x80000000
)

// PageDown rounds a to the start of its page.
func PageDown(a uint64) uint64 { return a &^ (PageSize - 1) }

// PageUp rounds a up to a page boundary. It wraps at 2^64.
func PageUp(a uint64) uint64 { return (a + PageSize - 1) &^ (PageSize - 1) }

// Code decides whether a mapping may be executed.
type Code interface {
	// Admit refuses, with the errno that the guest gets, code of a that was
	// not recompiled. memory is what is mapped there already, nil if nothing is.
	Admit(a *Area, memory []byte, by Asker) (Grant, error)
}

// Asker is who asks for executable memory.
type Asker struct {
	PID  int    // process id
	Call string // name of the system call
}

// Grant is what executable memory is made of.
type Grant struct {
	// File has the bytes that were decided on, and will have them as long as
	// they are mapped; nil for anonymous memory. The caller gets a reference.
	File Backing
	Unit machine.Unit // nil: nothing in the memory can run
	Base uint64       // guest address at which the unit's offset 0 comes to lie
}

// release gives the file's reference back.
func (g Grant) release() {
	if g.File != nil {
		g.File.DecRef()
	}
}

// give makes a an area of what was granted.
func (g Grant) give(a *Area) {
	a.File = g.File
	if g.Unit != nil {
		a.UnitBase = g.Base
	}
}

// load makes the granted code runnable.
func (g Grant) load(as *machine.AddressSpace) error {
	if g.Unit == nil {
		return nil
	}
	return as.MapUnit(g.Base, g.Unit)
}

// Layout is what /proc/PID/{cmdline,environ,stat,auxv} tell of a program.
type Layout struct {
	StartCode, EndCode uint64
	StartStack         uint64
	ArgStart, ArgEnd   uint64
	EnvStart, EnvEnd   uint64
	Auxv               []byte
}

// MM is the memory map of one process, shared by tasks made with CLONE_VM.
type MM struct {
	AS   *machine.AddressSpace
	AIO  aio.Table // a forked child has none of its parent's contexts
	code Code
	refs atomic.Int32

	mu        sync.Mutex
	areas     areas
	brkStart  uint64
	brkEnd    uint64
	layout    Layout
	exe       Backing // the program's file, held as long as it may run
	mapped    uint64  // bytes in areas, for limits and /proc
	limit     uint64  // RLIMIT_AS in bytes
	heapLimit uint64  // RLIMIT_DATA in bytes
}

// New is an empty map for a program, or for no one that is known: see
// machine.Engine.NewAddressSpace.
func New(engine *machine.Engine, code Code, program string) (*MM, error) {
	as, err := engine.NewAddressSpace(program)
	if err != nil {
		return nil, err
	}
	m := &MM{AS: as, code: code, limit: TaskSize, heapLimit: TaskSize}
	m.refs.Store(1)
	return m, nil
}

// Retain takes another reference.
func (m *MM) Retain() { m.refs.Add(1) }

// Shared tells whether there is more than one reference.
func (m *MM) Shared() bool { return m.refs.Load() > 1 }

// ReleaseShared gives a reference back if it is not the last one, and tells
// whether it was not.
func (m *MM) ReleaseShared() bool {
	for {
		n := m.refs.Load()
		if n <= 1 {
			return false
		}
		if m.refs.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// Release gives a reference back; the last one unmaps everything.
func (m *MM) Release() {
	switch n := m.refs.Add(-1); {
	case n < 0:
		panic("BUG: memory map released too often")
	case n > 0:
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.areas {
		if a.File != nil {
			a.File.DecRef()
		}
	}
	m.areas = nil
	if m.exe != nil {
		m.exe.DecRef()
	}
	m.AS.Release()
}

// SetExe holds the program's file, with a reference of its own. It is called
// once, by execve.
func (m *MM) SetExe(file Backing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	file.IncRef()
	m.exe = file
}

// initialStack is what Linux maps of a new program's stack, bytes.
const initialStack = 132 << 10

// SetLimits sets RLIMIT_AS and RLIMIT_DATA, in bytes; the latter bounds the
// heap only. The initial stack, which is mapped whole, counts as if it had not
// grown.
func (m *MM) SetLimits(space, data uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit, m.heapLimit = space, data
	if a := m.areas.at(StackTop - 1); a != nil && space < TaskSize {
		m.limit += a.Len() - min(a.Len(), initialStack)
	}
}

// Exceeds tells whether more is mapped than RLIMIT_AS allows.
func (m *MM) Exceeds() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mapped > m.limit
}

// Layout is where the program's arguments and code lie.
func (m *MM) Layout() Layout {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.layout
}

// SetLayout is called once by execve.
func (m *MM) SetLayout(l Layout) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.layout = l
}

// Areas is a copy of the map for /proc/PID/maps, ascending.
func (m *MM) Areas() []Area {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Area, len(m.areas))
	for i, a := range m.areas {
		list[i] = *a
	}
	return list
}

// Stack is the bounds of the writable area that holds addr, if there is one: end is
// exclusive.
func (m *MM) Stack(addr uint64) (start, end uint64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	low := m.AS.Lower(addr)
	a := m.areas.at(low)
	if a == nil || a.Prot&unix.PROT_WRITE == 0 {
		return 0, 0, false
	}
	return addr - low + a.Start, addr - low + a.End, true
}

// Address is the guest's address of memory, which is not its first one if it is raised.
func (m *MM) Address(addr uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.areas.at(addr); a != nil {
		return addr | a.Upper
	}
	return addr
}

// SharedAt names the memory at addr if it is shared with who else maps the
// same object: the object, and the place in it in bytes.
func (m *MM) SharedAt(addr uint64) (object any, off uint64, ok bool) {
	addr = m.AS.Lower(addr)
	m.mu.Lock()
	a := m.areas.at(addr)
	m.mu.Unlock()
	if a == nil || !a.Shared || a.File == nil {
		return nil, 0, false
	}
	dev, ino := a.File.ID()
	return [2]uint64{dev, ino}, uint64(a.Offset) + addr - a.Start, true
}

// Mapped is the size of all areas in bytes.
func (m *MM) Mapped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mapped
}

// checkRange validates an address and a length as munmap and mprotect do, and
// gives the end, rounded up to a page.
func checkRange(addr, length uint64) (end uint64, err error) {
	if addr%PageSize != 0 {
		return 0, unix.EINVAL
	}
	size := PageUp(length)
	if size < length || addr+size < addr || addr+size > TaskSize {
		return 0, unix.ENOMEM
	}
	return addr + size, nil
}
