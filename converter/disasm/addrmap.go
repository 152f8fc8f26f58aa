package disasm

// addrMap maps addresses to T. It is a hash table with linear probing that
// keeps its memory when it is emptied, and remembers the order in which
// addresses came.
type addrMap[T any] struct {
	slots []addrSlot[T] // a power of two of them
	round uint32        // slots of other rounds are free
	addrs []uint64      // in the map, oldest first
}

type addrSlot[T any] struct {
	addr  uint64
	round uint32
	value T
}

// addrSet is a set of addresses.
type addrSet = addrMap[struct{}]

// clear empties m.
func (m *addrMap[T]) clear() {
	m.round++
	m.addrs = m.addrs[:0]
	if m.round == 0 || m.slots == nil { // the first time, and where rounds repeat
		m.slots, m.round = make([]addrSlot[T], 64), 1
	}
}

// slot finds addr, or the free slot where it belongs. Precondition: m was
// cleared once.
func (m *addrMap[T]) slot(addr uint64) (s *addrSlot[T], found bool) {
	const odd = 0x9e3779b97f4a7c15 // 2⁶⁴ divided by the golden ratio
	mask := uint64(len(m.slots) - 1)
	for at := addr * odd >> 32 & mask; ; at = (at + 1) & mask {
		s := &m.slots[at]
		if s.round != m.round || s.addr == addr {
			return s, s.round == m.round
		}
	}
}

func (m *addrMap[T]) has(addr uint64) bool {
	_, found := m.slot(addr)
	return found
}

// get gives T's zero value for an address that is not in m.
func (m *addrMap[T]) get(addr uint64) (value T, found bool) {
	if s, ok := m.slot(addr); ok {
		return s.value, true
	}
	return value, false
}

func (m *addrMap[T]) set(addr uint64, value T) {
	s, found := m.slot(addr)
	if !found {
		m.addrs = append(m.addrs, addr)
		*s = addrSlot[T]{addr, m.round, value}
		m.grow()
		return
	}
	s.value = value
}

// grow doubles the slots when more than half of them are in use.
func (m *addrMap[T]) grow() {
	if 2*len(m.addrs) <= len(m.slots) {
		return
	}
	old := m.slots
	m.slots = make([]addrSlot[T], 2*len(old))
	for _, s := range old {
		if s.round == m.round {
			to, _ := m.slot(s.addr)
			*to = s
		}
	}
}
