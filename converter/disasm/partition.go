package disasm

import (
	"slices"
	"strings"
)

const (
	// A tail that several functions share is copied into each if it has no
	// more instructions than this, else it becomes a function of its own.
	smallTail = 64
	// A shared fragment is copied whole up to this many bytes.
	smallFragment = 2048
)

// partition divides what was discovered into functions.
type partition struct {
	*discovery
	cuts      map[uint64]bool   // entries: a jump from another function to one is a tail call
	bounds    []uint64          // the cuts, ascending
	fragments map[uint64]bool   // FDE starts that are a part of what jumps to them
	owner     map[uint64]uint64 // big fragment → the one function that has it
	partial   map[uint64]bool   // entries in the middle of functions
	todo      []uint64          // partial entries that building asked for
	budget    int               // instructions that copies for partial entries may still take
}

// require makes addr a partial entry.
func (p *partition) require(addr uint64) {
	if !p.partial[addr] {
		p.partial[addr] = true
		p.todo = append(p.todo, addr)
	}
}

func newPartition(d *discovery) *partition {
	p := &partition{
		discovery: d,
		cuts:      map[uint64]bool{},
		fragments: map[uint64]bool{},
		owner:     map[uint64]uint64{},
		partial:   map[uint64]bool{},
	}
	p.findFragments()
	for a, why := range d.entries {
		switch {
		case !d.decoded(a) && !d.failed(a), p.fragments[a]:
		case why&^byPad == 0:
			p.partial[a] = true
		default:
			p.cuts[a] = true
			p.bounds = append(p.bounds, a)
		}
	}
	slices.Sort(p.bounds)
	for _, r := range d.regions {
		p.budget += len(r.code) / 8
	}
	return p
}

func (d *discovery) failed(addr uint64) bool {
	r, off := d.region(addr)
	return r != nil && r.flow[off] == flowBad
}

// findFragments tells functions from parts that the compiler moved away
// (.cold): those are only jumped to, and run in the frame of who jumps.
func (p *partition) findFragments() {
	names := map[uint64]bool{}
	for _, s := range p.file.Symbols {
		if isFragmentName(s.Name) {
			names[s.Addr] = true
		}
	}
	for _, fde := range p.file.FDEs {
		a := fde.Start
		if p.entries[a]&firm != 0 || len(p.jumps[a]) == 0 && !p.fallenInto(a) {
			continue
		}
		if fde.CFAOffset != 8 || names[a] || p.jumpsIntoMiddle(a) {
			p.fragments[a] = true
		}
	}
}

func isFragmentName(name string) bool {
	return strings.HasSuffix(name, ".cold") || strings.Contains(name, ".cold.")
}

func (p *partition) fallenInto(addr uint64) bool {
	return slices.ContainsFunc(p.previous(addr), func(a uint64) bool { return p.flowsInto(a, addr) })
}

// jumpsIntoMiddle reports whether the code of the FDE at start jumps into the
// middle of another.
func (p *partition) jumpsIntoMiddle(start uint64) bool {
	s, ok := p.rangeOf(start)
	for a := start; ok && a < s.end; {
		f, next := p.at(a)
		if k := f & flowKind; k == flowJump || k == flowCond {
			t := p.target(a)
			if (t < s.start || t >= s.end) && p.isLabel(t) && p.entries[t] == 0 {
				return true
			}
		}
		if next == a {
			return false
		}
		a = next
	}
	return false
}

// extent is the address range around addr whose code belongs together: its
// FDE, else up to the entries around it.
func (p *partition) extent(addr uint64) span {
	if s, ok := p.rangeOf(addr); ok {
		return s
	}
	i, found := slices.BinarySearch(p.bounds, addr)
	if found {
		i++
	}
	r, _ := p.region(addr)
	s := span{r.base, r.base + uint64(len(r.code))}
	if i > 0 {
		s.start = max(s.start, p.bounds[i-1])
	}
	if i < len(p.bounds) {
		s.end = p.bounds[i]
	}
	return s
}

// home is the ranges whose blocks a function keeps for itself.
type home []span

func (h home) has(addr uint64) bool {
	return slices.ContainsFunc(h, func(s span) bool { return addr >= s.start && addr < s.end })
}

// adopt reports whether the function at entry takes the fragment that holds
// addr as its own, and its extent.
func (p *partition) adopt(entry, addr uint64) (span, bool) {
	s, ok := p.rangeOf(addr)
	if !ok || !p.fragments[s.start] {
		return span{}, false
	}
	if s.end-s.start <= smallFragment {
		return s, true
	}
	if _, owned := p.owner[s.start]; !owned && !p.partial[entry] {
		p.owner[s.start] = entry
	}
	return s, p.owner[s.start] == entry
}

// isSmall reports whether at most smallTail instructions can be reached from
// addr without passing through an entry.
func (p *partition) isSmall(addr uint64) bool {
	seen := map[uint64]bool{}
	work := []uint64{addr}
	for len(work) > 0 {
		a := work[len(work)-1]
		work = work[:len(work)-1]
		for !seen[a] && !p.cuts[a] {
			f, next := p.at(a)
			if f == flowBad {
				break
			}
			seen[a] = true
			if len(seen) > smallTail || p.tables[a] != nil {
				return false
			}
			if k := f & flowKind; k == flowJump || k == flowCond {
				work = append(work, p.target(a))
			}
			if !p.fallsThrough(f, next) {
				break
			}
			a = next
		}
	}
	return true
}
