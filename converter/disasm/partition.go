package disasm

import (
	"slices"
	"strings"
)

const (
	// A tail that several functions share is copied into each if it has no
	// more instructions than this, else it becomes a function of its own.
	smallTail = 64
	// A function that has something on its stack copies longer tails too: a
	// function of their own would return past what it was entered with.
	longTail = 1024
	// A shared fragment is copied whole up to this many bytes.
	smallFragment = 2048
)

// partition divides what was discovered into functions.
type partition struct {
	*discovery
	bounds    []uint64          // the cuts, ascending
	fragments map[uint64]bool   // FDE starts that are a part of what jumps to them
	owner     map[uint64]uint64 // big fragment → the one function that has it
	pieces    []uint64          // where functions of much code are divided, ascending
	todo      []uint64          // partial entries to be built
	crowds    map[uint64]int    // start of an extent → partial entries in it
	budget    int               // instructions that copies may still take
	builder   builder           // keeps its memory from function to function
}

// Up to this many partial entries of an extent get a copy each of all that
// they reach there. Of more, each has its own few blocks and goes on in the
// next, so that together they take about one copy.
const fewEntries = 4

// require makes addr a partial entry.
func (p *partition) require(addr uint64) {
	if !p.is(addr, isPartial) {
		p.mark(addr, isPartial)
		p.todo = append(p.todo, addr)
	}
}

// isRoomy reports whether a copy of what the partial entry at addr reaches is
// affordable.
func (p *partition) isRoomy(addr uint64) bool {
	return p.budget > 0 && p.crowds[p.extent(addr).start] <= fewEntries
}

func newPartition(d *discovery) *partition {
	p := &partition{
		discovery: d,
		fragments: map[uint64]bool{},
		owner:     map[uint64]uint64{},
		crowds:    map[uint64]int{},
	}
	p.findFragments()
	for i := range d.regions {
		r := &d.regions[i]
		for off, why := range r.entry {
			if why != 0 {
				p.classify(r.base+uint64(off), why)
			}
		}
	}
	slices.Sort(p.bounds)
	p.dividePieces()
	for _, a := range p.todo {
		p.crowds[p.extent(a).start]++
	}
	for _, r := range d.regions {
		p.budget += len(r.code) / 8
	}
	return p
}

// classify makes of addr, an entry, what it is in the division.
func (p *partition) classify(addr uint64, why evidence) {
	switch {
	case !p.decoded(addr) && !p.failed(addr), p.fragments[addr]:
	case why&^byPad == 0:
		p.require(addr)
	default:
		p.mark(addr, isCut)
		p.bounds = append(p.bounds, addr)
	}
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
		if p.evidence(a)&firm != 0 || !p.is(a, isTarget) && !p.fallenInto(a) {
			continue
		}
		if p.framed[a] || names[a] || p.jumpsIntoMiddle(a) {
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
			if (t < s.start || t >= s.end) && p.isLabel(t) && p.evidence(t) == 0 {
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
// FDE, else up to the entries around it; of a function in pieces, the piece.
func (p *partition) extent(addr uint64) span {
	return p.piece(p.whole(addr), addr)
}

// whole is the extent around addr, pieces or not.
func (p *partition) whole(addr uint64) span {
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
	if _, owned := p.owner[s.start]; !owned && !p.is(entry, isPartial) {
		p.owner[s.start] = entry
	}
	return s, p.owner[s.start] == entry
}

// smallFrom reports whether no more than smallTail instructions can be reached
// from addr. That stays so, as entries are only added.
func (p *partition) smallFrom(addr uint64) bool {
	if p.is(addr, isSmall) {
		return true
	}
	small := p.tailSize(addr, smallTail) <= smallTail
	if small && p.isCode(addr) {
		p.mark(addr, isSmall)
	}
	return small
}

// tailSize counts the instructions that can be reached from addr without
// passing through an entry. It stops above limit.
func (p *partition) tailSize(addr uint64, limit int) int {
	seen := &p.visited
	seen.clear()
	work := []uint64{addr}
	for len(work) > 0 && len(seen.addrs) <= limit {
		a := work[len(work)-1]
		work = work[:len(work)-1]
		for !seen.has(a) && !p.is(a, isCut) && len(seen.addrs) <= limit {
			f, next := p.at(a)
			if f == flowBad {
				break
			}
			seen.set(a, struct{}{})
			switch f & flowKind {
			case flowJump, flowCond:
				work = append(work, p.target(a))
			case flowJumpIndirect:
				work = p.appendFresh(work, p.indirectTargets(a), limit+1)
			}
			if !p.fallsThrough(f, next) {
				break
			}
			a = next
		}
	}
	return len(seen.addrs)
}

// appendFresh appends up to n targets that tailSize would count: there may be
// thousands.
func (p *partition) appendFresh(work, targets []uint64, n int) []uint64 {
	for _, t := range targets {
		if p.visited.has(t) || p.is(t, isCut) {
			continue
		}
		if work = append(work, t); n == 1 {
			break
		}
		n--
	}
	return work
}

// From this many labels on a function's jumps to them leave it, and enter the partial
// function that each label has: what could follow every jump is the square of their number, and the
// engine takes seconds for one function of them.
const manyLabels = 1024

// indirectTargets are where the indirect jump at addr may go: its table, or
// the labels of the function whose addresses are taken, unless there are too many.
func (p *partition) indirectTargets(addr uint64) []uint64 {
	if t := p.tables[addr]; t != nil {
		if t.distinct == nil {
			t.distinct = distinct(t.targets)
		}
		return t.distinct
	}
	labels := p.labelsIn(p.whole(addr))
	if len(labels) >= manyLabels {
		return nil
	}
	return labels
}
