package disasm

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAddrMap compares addrMap with a map, over several rounds.
func TestAddrMap(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var m addrMap[int]
	for round := range 20 {
		m.clear()
		want := map[uint64]int{}
		var order []uint64
		for i := range random.IntN(500) {
			addr := 0x401000 + random.Uint64N(400)
			if _, known := want[addr]; !known {
				order = append(order, addr)
			}
			want[addr] = i
			m.set(addr, i)
		}
		for addr := uint64(0x400f00); addr < 0x401200; addr++ {
			value, known := want[addr]
			if got, found := m.get(addr); got != value || found != known || m.has(addr) != known {
				t.Fatalf("round %d, %#x: %d, %v, want %d, %v", round, addr, got, found, value, known)
			}
		}
		if !slices.Equal(m.addrs, order) {
			t.Fatalf("round %d: order %x, want %x", round, m.addrs, order)
		}
	}
}
