package machine

import (
	"slices"
	"sort"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// mapping is a unit at a base address, with its slots in the table of each CPU
// of the address space.
type mapping struct {
	unit  Unit
	base  uint64
	slots uint32 // slot of ordinal 0
	live  bool   // guarded by AddressSpace.mu
	// all is the mapping and what was recompiled for it on demand, at the same base.
	// Guarded by AddressSpace.mu; what it was is not changed.
	all []*mapping
}

func newMapping(u Unit, base uint64) *mapping {
	m := &mapping{unit: u, base: base}
	m.all = []*mapping{m}
	return m
}

// slotRange is a run of slots: those of a unit's functions, or the one of a
// site.
type slotRange struct {
	first, end uint32
	of         *mapping
	site       piece // 0 for functions
}

// siteKey names a site in an address space.
type siteKey struct {
	of *mapping
	n  piece
}

// code is what an address space knows of units, guarded by AddressSpace.mu.
// Slots are given out once: a unit that comes back to the same base gets its
// old ones, so that the instances CPUs have of it are good again.
type code struct {
	live   []*mapping         // ascending by base
	ranges []slotRange        // ascending
	sites  map[siteKey]uint32 // slots of the sites in use
	byBase map[uint64][]*mapping
	cpus   map[*CPU]struct{}
	end    atomic.Uint32 // first free slot; read without the lock
}

func newCode() *code {
	c := &code{byBase: map[uint64][]*mapping{}, sites: map[siteKey]uint32{}, cpus: map[*CPU]struct{}{}}
	c.end.Store(slotResolve + 1)
	return c
}

// retire makes no unit live. Their slots stay given out.
func (c *code) retire() {
	for _, m := range c.live {
		m.live = false
	}
	c.live = nil
}

// same tells whether two address spaces gave out a run of slots for the same code.
func (r slotRange) same(o slotRange) bool {
	return r.first == o.first && r.end == o.end && r.site == o.site &&
		r.of.slots == o.of.slots && r.of.base == o.of.base && r.of.unit == o.of.unit
}

// agrees tells whether what o gave out is good in c too: one of them gave out what
// the other did and then went on, o for sites only.
func (c *code) agrees(o *code) bool {
	n := min(len(c.ranges), len(o.ranges))
	return slices.EqualFunc(c.ranges[:n], o.ranges[:n], slotRange.same) &&
		!slices.ContainsFunc(o.ranges[n:], func(r slotRange) bool { return r.site == 0 })
}

// follow gives out what o did, with which c agrees, but c not yet.
func (c *code) follow(o *code) {
	for _, r := range o.ranges[min(len(c.ranges), len(o.ranges)):] {
		of, _ := c.ofSlot(r.of.slots)
		r.of = of.of
		c.ranges = append(c.ranges, r)
		c.sites[siteKey{r.of, r.site}] = r.first
		c.end.Store(r.end)
	}
}

// copyFrom makes c a copy of another address space's, without its CPUs.
func (c *code) copyFrom(o *code) {
	copies := map[*mapping]*mapping{}
	for _, list := range o.byBase {
		for _, m := range list {
			n := m.copyTo(copies)
			c.byBase[n.base] = append(c.byBase[n.base], n)
			if n.live {
				c.insert(n)
			}
		}
	}
	for _, r := range o.ranges {
		r.of = copies[r.of]
		c.ranges = append(c.ranges, r)
	}
	for key, slot := range o.sites {
		c.sites[siteKey{copies[key.of], key.n}] = slot
	}
	c.end.Store(o.end.Load())
}

// copyTo copies m and what belongs to it, and notes which is whose copy.
func (m *mapping) copyTo(copies map[*mapping]*mapping) *mapping {
	all := make([]*mapping, len(m.all))
	for i, x := range m.all {
		n := *x
		all[i], copies[x] = &n, &n
	}
	all[0].all = all
	return all[0]
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

// maxSlots is wazero's limit of a table's size.
const maxSlots = 1 << 27

// reserve gives n slots to m; false if there are not as many.
func (c *code) reserve(m *mapping, n int, site piece) (first uint32, ok bool) {
	first = c.end.Load()
	if uint64(first)+uint64(n) > maxSlots {
		return 0, false
	}
	end := first + uint32(n)
	c.ranges = append(c.ranges, slotRange{first, end, m, site})
	c.end.Store(end)
	return first, true
}

// ofSlot returns the range that slot belongs to.
func (c *code) ofSlot(slot uint32) (r slotRange, ok bool) {
	i := sort.Search(len(c.ranges), func(i int) bool { return c.ranges[i].end > slot })
	if i == len(c.ranges) || c.ranges[i].first > slot {
		return r, false
	}
	return c.ranges[i], true
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
	c := as.code
	if i := c.above(base) - 1; i >= 0 && c.live[i].base == base {
		if c.live[i].unit.ID() == u.ID() {
			return nil
		}
		as.unmapAt(i)
	}
	for _, m := range c.byBase[base] {
		if m.unit == u {
			c.insert(m)
			return nil
		}
	}
	m := newMapping(u, base)
	var ok bool
	if m.slots, ok = c.reserve(m, u.Functions(), 0); !ok {
		return unix.ENOMEM
	}
	c.byBase[base] = append(c.byBase[base], m)
	c.insert(m)
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

// unmapAt removes a live mapping, and what the CPUs know of it.
func (as *AddressSpace) unmapAt(i int) {
	c := as.code
	m, end := c.live[i], uint64(MaxAddr)
	if i+1 < len(c.live) {
		end = c.live[i+1].base
	}
	m.live = false
	c.live = slices.Delete(c.live, i, i+1)
	for cpu := range c.cpus {
		cpu.forget(linear(m.base), linear(end-1))
	}
}

// holds reports whether slot is one of what is at addr.
func (c *code) holds(addr uint64, slot uint32) bool {
	m := c.find(addr)
	r, ok := c.ofSlot(slot)
	return m != nil && ok && slices.Contains(m.all, r.of)
}

// resolve returns the slot of the function whose entry is at addr, or of the
// site that is there, and otherwise the mapping that addr belongs to, if any.
func (as *AddressSpace) resolve(addr uint64) (slot uint32, m *mapping, ok bool, err error) {
	slot, all, ok := as.resolveEntry(addr)
	if len(all) == 0 {
		return 0, nil, false, nil
	}
	if ok {
		return slot, all[0], true, nil
	}
	for _, m := range all {
		n, ok, err := m.unit.Site(uint32(addr - m.base))
		if err != nil {
			return 0, all[0], false, err
		}
		if ok {
			slot, ok = as.siteSlot(siteKey{m, sitePiece(n)})
			return slot, all[0], ok, nil
		}
	}
	return 0, all[0], false, nil
}

// resolveEntry is resolve for functions. It gives the mapping that addr belongs
// to and what was added to that.
func (as *AddressSpace) resolveEntry(addr uint64) (slot uint32, all []*mapping, ok bool) {
	as.mu.RLock()
	defer as.mu.RUnlock()
	m := as.code.find(addr)
	if m == nil || addr-m.base > 1<<32-1 {
		return 0, nil, false
	}
	for _, x := range m.all {
		if ordinal, ok := x.unit.Lookup(uint32(addr - x.base)); ok {
			return x.slots + uint32(ordinal), m.all, true
		}
	}
	return 0, m.all, false
}

// siteSlot is the slot of a site.
func (as *AddressSpace) siteSlot(key siteKey) (slot uint32, ok bool) {
	as.mu.Lock()
	defer as.mu.Unlock()
	c := as.code
	if slot, ok = c.sites[key]; !ok {
		if slot, ok = c.reserve(key.of, 1, key.n); !ok {
			return 0, false
		}
		c.sites[key] = slot
	}
	return slot, true
}

// pieceOf returns what has to be loaded for a slot, and the program for which
// it is.
func (as *AddressSpace) pieceOf(slot uint32) (*mapping, piece, *program) {
	as.mu.RLock()
	defer as.mu.RUnlock()
	r, ok := as.code.ofSlot(slot)
	switch {
	case !ok:
		return nil, 0, nil
	case r.site < 0:
		return r.of, r.site, as.program
	}
	return r.of, piece(r.of.unit.PartOf(int(slot - r.first))), as.program
}
