package machine

import (
	"fmt"
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
	MinAddr = abi.PageBias
	MaxAddr = abi.CacheBase
)

// memorySize is the size of linear memory in bytes.
const memorySize = abi.MemoryPages << 16

// linear converts a guest address to a linear one.
func linear(addr uint64) uint32 { return uint32(addr) - abi.PageBias }

// guest converts a linear address to a guest address.
func guest(lin uint32) uint64 { return uint64(lin + abi.PageBias) }

// AddressSpace is guest memory: 64-bit guest addresses of which those from
// MinAddr to MaxAddr can be mapped. All access by the kernel goes through it
// and is checked: errors are unix.Errno. It is safe for concurrent use and
// counted by reference.
//
// All of linear memory stays readable and writable on the host, as a fault in
// compiled code could not be survived: what guest code does to pages that are
// not mapped goes unnoticed, and they are zero when they are mapped.
type AddressSpace struct {
	engine *Engine
	mem    []byte // linear memory
	refs   atomic.Int32

	// changes counts those of the host's mappings that concern a file. Of a
	// child are told what it was made of, and when.
	changes atomic.Uint64
	birth   birth

	mu      sync.RWMutex
	areas   areas
	snaps   areas // what is mapped privately of snapshots; see snapshot.go
	code    code
	program *program // nil: nothing is remembered
}

// NewAddressSpace reserves an empty address space with one reference.
func (e *Engine) NewAddressSpace() (*AddressSpace, error) {
	mem, err := reserve()
	if err != nil {
		return nil, err
	}
	return e.newSpace(mem), nil
}

// newSpace is an address space in memory from reserve.
func (e *Engine) newSpace(mem []byte) *AddressSpace {
	as := &AddressSpace{engine: e, mem: mem}
	as.refs.Store(1)
	as.code.init()
	return as
}

// reserve gives fresh linear memory.
func reserve() ([]byte, error) {
	if err := surviveSIGBUS(); err != nil {
		return nil, err
	}
	p, err := unix.MmapPtr(-1, 0, nil, memorySize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserving guest memory: %w", err)
	}
	mem := unsafe.Slice((*byte)(p), memorySize)
	widen(mem)
	_, err = pagemap() // opened where it is not missed
	return mem, err
}

// unreserve gives linear memory back to the host.
func unreserve(mem []byte) {
	if err := unix.MunmapPtr(unsafe.Pointer(&mem[0]), memorySize); err != nil {
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
	if as.birth.of == nil || !as.engine.spares.put(as) {
		unreserve(as.mem)
	}
	as.areas.replace(0, 1<<32)
	as.snaps.replace(0, 1<<32)
	as.mem, as.birth = nil, birth{}
}

// span returns the linear memory of [addr, addr+n) after checking that all of
// it is mapped with prot.
func (as *AddressSpace) span(addr, n uint64, prot Prot) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if addr > 1<<32 || n > 1<<32 {
		return nil, unix.EFAULT
	}
	as.mu.RLock()
	ok := as.areas.covers(addr, addr+n, prot)
	as.mu.RUnlock()
	if !ok {
		return nil, unix.EFAULT
	}
	return as.bytes(addr, n), nil
}

// bytes is the linear memory of a mapped range.
func (as *AddressSpace) bytes(addr, n uint64) []byte {
	lin := uint64(linear(addr))
	return as.mem[lin : lin+n : lin+n]
}
