package linux

import "testing"

func TestCPUSets(t *testing.T) {
	for _, c := range []struct {
		mask       uint64
		n          int
		list, bits string
	}{
		{1, 1, "0", "1"}, {3, 2, "0-1", "3"}, {0b101, 4, "0,2", "5"}, {0b1110110, 12, "1-2,4-6", "076"}, {0, 4, "", "0"},
		{^uint64(0), 64, "0-63", "ffffffff,ffffffff"}, {1 << 40, 44, "40", "100,00000000"}, {1<<63 | 1, 64, "0,63", "80000000,00000001"},
	} {
		if list, bits := CPUList(c.mask), CPUMask(c.mask, c.n); list != c.list || bits != c.bits {
			t.Errorf("%#x of %d: %q %q, want %q %q", c.mask, c.n, list, bits, c.list, c.bits)
		}
	}
}
