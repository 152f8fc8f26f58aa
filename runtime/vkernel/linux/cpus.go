package linux

import (
	"fmt"
	"math/bits"
	"strings"
)

// CPUList is a set of processors as the kernel lists them: "0-2,5".
func CPUList(mask uint64) string {
	var list []string
	for mask != 0 {
		first := bits.TrailingZeros64(mask)
		last := first + bits.TrailingZeros64(^(mask >> first)) - 1
		if last > first {
			list = append(list, fmt.Sprintf("%d-%d", first, last))
		} else {
			list = append(list, fmt.Sprint(first))
		}
		mask = mask >> first >> (last - first) >> 1 << last << 1
	}
	return strings.Join(list, ",")
}

// CPUMask is a set of processors, of n that may be, as the kernel writes masks:
// groups of 32 bits.
func CPUMask(mask uint64, n int) string {
	if n > 32 {
		return fmt.Sprintf("%0*x,%08x", (n-32+3)/4, mask>>32, uint32(mask))
	}
	return fmt.Sprintf("%0*x", (n+3)/4, mask)
}
