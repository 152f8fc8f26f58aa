package machine

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
)

// Prot is a set of mmap's prot bits.
type Prot uint8

// Protection bits, as PROT_READ, PROT_WRITE and PROT_EXEC of mmap(2).
const (
	ProtRead  Prot = 1
	ProtWrite Prot = 2
	ProtExec  Prot = 4
)

// Guest addresses that can be mapped are [MinAddr, MaxAddr).
const (
	MinAddr = abi.MinAddress
	MaxAddr = memorySize
)

// memorySize is the size of linear memory in bytes. memoryBelow and memoryReach are how
// far compiled code could get from its beginning: down by a small constant that an
// addressing mode takes from a register, up with 32 bits, an offset of 32 and an operand
// of 16 bytes. What is not linear memory is reserved and can't be accessed, as are
// the addresses below MinAddr, so that an engine need not compare addresses with a bound.
const (
	memorySize  = abi.MemoryPages << 16
	memoryBelow = 1 << 16
	memoryReach = 1<<33 + 1<<16
)

// upperHalf is what an address has beyond the linear one.
const upperHalf = math.MaxUint64 &^ math.MaxUint32

// linear is the linear address of a guest address: compiled code looks at its low half only.
func linear(addr uint64) uint32 { return uint32(addr) }

// guest is the guest address of a linear address.
func guest(lin uint32) uint64 { return uint64(lin) }

// AddressSpace is guest memory: 64-bit guest addresses of which those from
// MinAddr to MaxAddr can be mapped. All access by the kernel goes through it
// and is checked: errors are unix.Errno. It is safe for concurrent use and
// counted by reference.
//
// Guest code is held to what is mapped by the host: see fence.go.
type AddressSpace struct {
	engine *Engine
	mem    []byte // linear memory
	fence  *fence // guarded by mu
	key    string // the program's, "" of a child
	refs   atomic.Int32

	// changes counts those of the host's mappings that concern a file. Of a
	// child are told what it was made of, and when.
	changes atomic.Uint64
	birth   birth
	upper   atomic.Uint64 // the upper half of addresses that all memory has besides its own; 0: none
	// opened counts when memory that could not be written may have become other.
	opened atomic.Uint64

	mu      sync.RWMutex
	areas   areas
	stored  areas    // what is mapped of files that stand for anonymous memory; see snapshot.go
	own     *backing // that of them for more memory, or nil
	code    *code
	idle    []*core  // of closed CPUs, for the next ones
	program *program // nil: nothing is remembered
}

// NewAddressSpace reserves an empty address space with one reference. program
// says what it is about to run: a key that is the same for runs that are likely to
// need the same code, or empty.
func (e *Engine) NewAddressSpace(program string) (*AddressSpace, error) {
	as := e.spares.takeFresh(program)
	if as == nil {
		f, err := e.reserve()
		if err != nil {
			return nil, err
		}
		as = e.newSpace(f)
	}
	as.key = program
	as.program = e.newProgram(program, len(as.idle) > 0)
	return as, nil
}

// newSpace is an address space in memory from reserve.
func (e *Engine) newSpace(f *fence) *AddressSpace {
	as := &AddressSpace{engine: e, mem: f.mem, fence: f, code: newCode()}
	as.refs.Store(1)
	return as
}

// reserve gives fresh linear memory.
func (e *Engine) reserve() (*fence, error) {
	if err := surviveFaults(); err != nil {
		return nil, err
	}
	const size = memoryBelow + memoryReach
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserving guest memory: %w", err)
	}
	f, err := newFence(unsafe.Slice((*byte)(unsafe.Add(p, memoryBelow)), memorySize), &e.pieces)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reserving guest memory: %w", err), unix.MunmapPtr(p, size))
	}
	widen(uintptr(p), uintptr(p)+size)
	return f, nil
}

// unreserve gives linear memory back to the host.
func (f *fence) unreserve() {
	f.forget()
	if err := unix.MunmapPtr(unsafe.Add(unsafe.Pointer(&f.mem[0]), -memoryBelow), memoryBelow+memoryReach); err != nil {
		panic(fmt.Sprintf("BUG: freeing guest memory: %v", err))
	}
}

// Retain adds a reference.
func (as *AddressSpace) Retain() { as.refs.Add(1) }

// Release drops a reference; the last one frees the memory.
func (as *AddressSpace) Release() {
	switch n := as.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("BUG: address space released too often")
	}
	as.program.release()
	as.engine.spares.disown(as)
	as.engine.spares.put(as)
	as.areas.replace(0, 1<<32)
	as.stored.replace(0, 1<<32)
	as.own.release()
	as.mem, as.fence, as.idle, as.birth, as.own = nil, nil, nil, birth{}, nil
}

// maxIdle is how many cores an address space keeps for its next CPUs.
const maxIdle = 4

// takeCore gives a CPU of the address space its core, with zero registers.
func (as *AddressSpace) takeCore() (*core, error) {
	as.mu.Lock()
	n := len(as.idle)
	if n == 0 {
		as.mu.Unlock()
		return as.engine.newCore(as.mem)
	}
	c := as.idle[n-1]
	as.idle = as.idle[:n-1]
	as.mu.Unlock()
	c.reset()
	c.forget(0, math.MaxUint32) // of another process, or of before mappings changed
	return c, nil
}

// putCore keeps the core of a CPU that is no more, unless there are enough.
func (as *AddressSpace) putCore(c *core) {
	as.mu.Lock()
	keep := len(as.idle) < maxIdle
	if keep {
		as.idle = append(as.idle, c)
	}
	as.mu.Unlock()
	if !keep {
		c.close()
	}
}

// AddUpper lets all memory have a second address, with the upper half that hint has: code that was recompiled
// looks at lower halves only. It does nothing if memory has second addresses already.
func (as *AddressSpace) AddUpper(hint uint64) { as.upper.CompareAndSwap(0, hint&upperHalf) }

// Raise is the second address of memory at addr, if that has the upper half of hint, else addr.
func (as *AddressSpace) Raise(addr, hint uint64) uint64 {
	if upper := hint & upperHalf; upper != 0 && as.upper.Load() == upper {
		return addr | upper
	}
	return addr
}

// Lower is the first address of memory that may have a second one.
func (as *AddressSpace) Lower(addr uint64) uint64 {
	if upper := addr & upperHalf; upper != 0 && upper == as.upper.Load() {
		return addr &^ upperHalf
	}
	return addr
}

// span returns the linear memory of [addr, addr+n) after checking that all of
// it is mapped with prot and, if that is not 0, there.
func (as *AddressSpace) span(addr, n uint64, prot Prot) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	addr = as.Lower(addr)
	if addr > 1<<32 || n > 1<<32 {
		return nil, unix.EFAULT
	}
	as.mu.RLock()
	ok := as.areas.covers(addr, addr+n, prot)
	files := ok && prot != 0 && as.areas.hasFile(addr, addr+n)
	as.mu.RUnlock()
	if !ok || files && !as.reaches(addr, n) {
		return nil, unix.EFAULT
	}
	return as.bytes(addr, n), nil
}

// bytes is the linear memory of a mapped range.
func (as *AddressSpace) bytes(addr, n uint64) []byte {
	lin := uint64(linear(addr))
	return as.mem[lin : lin+n : lin+n]
}
