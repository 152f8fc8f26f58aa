package disasm

import "slices"

// A function of much code is divided into pieces: partial functions of a few
// kilobytes that go on in each other. A resumed function is the rest of one
// function, which the engine compiles while the guest waits; and much of what
// the engine does for a function takes more than linear time.
const (
	// A goroutine is interrupted every 10 ms, wherever it is then, and goes on by a resumed
	// function. Those of functions from 16 KB on take the engine longer than that.
	giantGo = 16 << 10 // bytes
	giant   = 512 << 10
	// A piece is divided from the next where the fewest jumps pass by.
	leastPiece, mostPiece = 2 << 10, 6 << 10
)

// dividePieces finds where the functions of much code are divided.
func (p *partition) dividePieces() {
	limit := uint64(giant)
	if len(p.file.GoFuncs) > 0 {
		limit = giantGo
	}
	end := uint64(0)
	for _, entry := range p.bounds {
		if s := p.whole(entry); s.start >= end && s.end-s.start > limit {
			end = s.end
			p.divide(s)
		}
	}
}

// divide finds the pieces of s, and makes each an entry. No flags are handed on between
// functions, so where they are live no piece ends.
func (p *partition) divide(s span) {
	passing := p.passing(s)
	for at := s.start; s.end-at > mostPiece; {
		next, least := s.end, int32(0)
		for a := at + leastPiece; a < s.end; a++ {
			if a >= at+mostPiece && next < s.end {
				break
			}
			n := passing[a-s.start]
			if p.decoded(a) && !p.is(a, isCut) && (next == s.end || n <= least) && !p.flagsLive(a) {
				next, least = a, n
			}
		}
		if at = next; at < s.end {
			p.require(at)
			p.mark(at, isPiece)
			p.pieces = append(p.pieces, at)
		}
	}
}

// passing gives, for each byte of s, how many jumps within s pass by it: a jump to
// it does not.
func (p *partition) passing(s span) []int32 {
	change := make([]int32, s.end-s.start+1)
	jump := func(from, to uint64) {
		if to < s.start || to >= s.end {
			return
		}
		change[min(from, to)-s.start+1]++
		if to > from {
			change[to-s.start]--
		} else {
			change[from-s.start+1]--
		}
	}
	for a := s.start; a < s.end; {
		f, next := p.at(a)
		switch f & flowKind {
		case flowJump, flowCond:
			jump(a, p.target(a))
		case flowJumpIndirect:
			for _, to := range p.indirectTargets(a) {
				jump(a, to)
			}
		}
		a = max(next, a+1)
	}
	n := int32(0)
	for i, c := range change {
		n += c
		change[i] = n
	}
	return change
}

// piece narrows an extent to the piece of it that holds addr.
func (p *partition) piece(s span, addr uint64) span {
	i, found := slices.BinarySearch(p.pieces, addr)
	if found {
		i++
	}
	if i > 0 {
		s.start = max(s.start, p.pieces[i-1])
	}
	if i < len(p.pieces) {
		s.end = min(s.end, p.pieces[i])
	}
	return s
}

// inPieces reports whether addr is in a function that is divided.
func (p *partition) inPieces(addr uint64) bool {
	return p.whole(addr) != p.extent(addr)
}
