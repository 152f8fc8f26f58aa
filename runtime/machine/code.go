package machine

import (
	"slices"
	"sort"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/abi"
)

// mapping is a unit at a base address, with its slots in the table of each CPU
// of the address space.
type mapping struct {
	unit  Unit
	base  uint64
	slots uint32 // slot of ordinal 0
	live  bool   // guarded by AddressSpace.mu
}

// end is the slot after the last.
func (m *mapping) end() uint32 { return m.slots + uint32(m.unit.Functions()) }

// code is what an address space knows of units, guarded by AddressSpace.mu.
// Slots are given out once: a unit that comes back to the same base gets its
// old ones, so that the instances CPUs have of it are good again.
type code struct {
	live   []*mapping // ascending by base
	all    []*mapping // ascending by slots
	byBase map[uint64][]*mapping
	cpus   map[*CPU]struct{}
	end    atomic.Uint32 // first free slot; read without the lock
}

func (c *code) init() {
	c.byBase = map[uint64][]*mapping{}
	c.cpus = map[*CPU]struct{}{}
	c.end.Store(1) // slot 0 is null: an empty cache entry names it
}

// copyFrom makes c a copy of another address space's, without its CPUs.
func (c *code) copyFrom(o *code) {
	for _, m := range o.all {
		m := &mapping{m.unit, m.base, m.slots, m.live}
		c.all = append(c.all, m)
		c.byBase[m.base] = append(c.byBase[m.base], m)
		if m.live {
			c.insert(m)
		}
	}
	c.end.Store(o.end.Load())
}

// above returns the position in live of the first mapping above addr.
func (c *code) above(addr uint64) int {
	return sort.Search(len(c.live), func(i int) bool { return c.live[i].base > addr })
}

func (c *code) insert(m *mapping) {
	m.live = true
	c.live = slices.Insert(c.live, c.above(m.base), m)
}

// find returns the live mapping that addr belongs to.
func (c *code) find(addr uint64) *mapping {
	if i := c.above(addr); i > 0 {
		return c.live[i-1]
	}
	return nil
}

// ofSlot returns the mapping that slot belongs to.
func (c *code) ofSlot(slot uint32) *mapping {
	i := sort.Search(len(c.all), func(i int) bool { return c.all[i].end() > slot })
	if i == len(c.all) || c.all[i].slots > slot {
		return nil
	}
	return c.all[i]
}

// MapUnit says that unit offset 0 of u is at guest address base. A unit owns
// the addresses up to the next one's base. Mapping the same unit at the same
// base again is no error; another unit there is replaced.
func (as *AddressSpace) MapUnit(base uint64, u Unit) error {
	if base < MinAddr || base >= MaxAddr {
		return unix.ENOMEM
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	c := &as.code
	if i := c.above(base) - 1; i >= 0 && c.live[i].base == base {
		if c.live[i].unit.ID() == u.ID() {
			return nil
		}
		as.unmapAt(i)
	}
	for _, m := range c.byBase[base] {
		if m.unit.ID() == u.ID() {
			c.insert(m)
			return nil
		}
	}
	m := &mapping{unit: u, base: base, slots: c.end.Load()}
	if uint64(m.slots)+uint64(u.Functions()) > 1<<27 { // wazero's limit of a table
		return unix.ENOMEM
	}
	c.all = append(c.all, m)
	c.byBase[base] = append(c.byBase[base], m)
	c.insert(m)
	c.end.Store(m.end())
	as.program.expect(u)
	return nil
}

// UnmapUnit removes the unit at base, if any.
func (as *AddressSpace) UnmapUnit(base uint64) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if i := as.code.above(base) - 1; i >= 0 && as.code.live[i].base == base {
		as.unmapAt(i)
	}
}

// unmapAt removes a live mapping and its entries of the indirect-call cache.
func (as *AddressSpace) unmapAt(i int) {
	m := as.code.live[i]
	m.live = false
	as.code.live = slices.Delete(as.code.live, i, i+1)
	for e := range uint32(abi.CacheEntries) {
		entry := as.cacheEntry(e)
		v := atomic.LoadUint64(entry)
		if slot := uint32(v >> 32); slot >= m.slots && slot < m.end() {
			atomic.StoreUint64(entry, 0)
		}
	}
}

// cacheEntry is entry i of the indirect-call cache: address in the low, slot
// in the high half. Linear memory is page aligned, so it may be used
// atomically.
func (as *AddressSpace) cacheEntry(i uint32) *uint64 {
	at := linear(abi.CacheBase) + i*abi.CacheEntry
	return (*uint64)(unsafe.Pointer(&as.mem[at]))
}

// cacheIndex is the entry that addr may be in.
func cacheIndex(addr uint32) uint32 {
	return (addr>>abi.CacheShift ^ addr>>abi.CacheShift2) & (abi.CacheEntries - 1)
}

// resolve returns the slot of the function whose entry is at addr, and
// otherwise the mapping that addr belongs to, if any. What it finds goes to
// the indirect-call cache, which all CPUs of the address space read.
func (as *AddressSpace) resolve(addr uint64) (slot uint32, m *mapping, ok bool) {
	as.mu.RLock()
	defer as.mu.RUnlock()
	m = as.code.find(addr)
	if m == nil || addr-m.base > 1<<32-1 {
		return 0, nil, false
	}
	ordinal, ok := m.unit.Lookup(uint32(addr - m.base))
	if !ok {
		return 0, m, false
	}
	slot = m.slots + uint32(ordinal)
	if as.allReach(m.end()) {
		atomic.StoreUint64(as.cacheEntry(cacheIndex(uint32(addr))), addr|uint64(slot)<<32)
	}
	return slot, m, true
}

// allReach tells whether each CPU has a table of at least end slots or will
// have before it runs guest code again. See CPU.catchUp.
func (as *AddressSpace) allReach(end uint32) bool {
	for c := range as.code.cpus {
		if c.inGuest.Load() && c.slots.Load() < end {
			return false
		}
	}
	return true
}

// mappingOf returns the mapping of a slot, and the program for which its part
// is loaded.
func (as *AddressSpace) mappingOf(slot uint32) (*mapping, *program) {
	as.mu.RLock()
	defer as.mu.RUnlock()
	return as.code.ofSlot(slot), as.program
}
