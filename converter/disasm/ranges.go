package disasm

import (
	"cmp"
	"slices"

	"github.com/megabin/megabin/converter/elf"
)

// span is a half-open range of vaddrs.
type span struct{ start, end uint64 }

// ranges says which addresses belong to one function: ascending, disjoint.
type ranges []span

// rangesOf takes the ranges of a file's functions from the most reliable
// source that has any: unwind tables, Go's function table, symbols with a
// size. The later ones fill what the earlier leave free.
func rangesOf(f *elf.File) ranges {
	var unwind, table, symbols []span
	for _, d := range f.FDEs {
		unwind = append(unwind, span{d.Start, d.End})
	}
	for _, g := range f.GoFuncs {
		table = append(table, span{g.Start, g.End})
	}
	for _, s := range f.Symbols {
		if end := s.Addr + s.Size; s.Size > 0 && f.IsCode(end-1) {
			symbols = append(symbols, span{s.Addr, end})
		}
	}
	var r ranges
	for _, source := range [][]span{unwind, table, symbols} {
		r = r.fill(source)
	}
	return r
}

// fill adds the spans that start in no range, cut off where another starts.
func (r ranges) fill(spans []span) ranges {
	all := slices.Clone(r)
	for _, s := range spans {
		if r.index(s.start) < 0 {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	all = slices.CompactFunc(all, func(a, b span) bool { return a.start == b.start })
	for i := range all[:max(len(all), 1)-1] {
		all[i].end = min(all[i].end, all[i+1].start)
	}
	return all
}

// index gives the index of the range that holds addr, or -1.
func (r ranges) index(addr uint64) int {
	i, _ := slices.BinarySearchFunc(r, addr, func(s span, a uint64) int { return cmp.Compare(s.start, a+1) })
	if i--; i < 0 || addr >= r[i].end {
		return -1
	}
	return i
}

// of gives the range that holds addr.
func (r ranges) of(addr uint64) (span, bool) {
	i := r.index(addr)
	if i < 0 {
		return span{}, false
	}
	return r[i], true
}
