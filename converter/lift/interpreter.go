package lift

import (
	"slices"

	"github.com/megabin/megabin/converter/disasm"
)

// minOperations is the number of places from which on a jump through a table
// is taken for the one from an interpreter's operation to the next.
const minOperations = 64

// findHot finds the registers that an interpreter's operations hand to each
// other: those that most ends of operations, where the next one is fetched, or
// many beginnings read. They stay values throughout the function; the others are in the
// register file, where an operation that does not want them leaves them.
func (fn *function) findHot() {
	var ends, begins reads
	seen := map[*block]bool{}
	for _, b := range fn.blocks {
		if !b.dispatches() {
			continue
		}
		fn.fetches = append(fn.fetches, b.index)
		if b.isSearch() {
			for _, p := range b.preds {
				ends.add(p.segs)
			}
		} else {
			ends.add(b.segs)
		}
		for _, o := range b.succs {
			if !seen[o] {
				seen[o] = true
				begins.add(o.segs[:min(1, len(o.segs))])
			}
		}
	}
	if fn.fetches != nil {
		fn.hot = (ends.of(1./2) | begins.of(1./5)) & allRegs &^ xmmSet
	}
}

// reads counts places, and the registers that they read.
type reads struct {
	places int
	count  [numRegs]int
}

func (r *reads) add(segs []segment) {
	r.places++
	var use Set
	for i := range segs {
		use |= segs[i].use
	}
	for v := range r.count {
		if use.has(Var(v)) {
			r.count[v]++
		}
	}
}

// of is the registers that such a part of the places reads.
func (r *reads) of(part float64) (s Set) {
	for v, n := range r.count {
		if float64(n) >= part*float64(r.places) {
			s |= setOf(Var(v))
		}
	}
	return s
}

// dispatches reports whether b ends with a jump to an interpreter's operation.
func (b *block) dispatches() bool {
	if b.isSearch() {
		return len(b.succs) >= minOperations
	}
	return b.src != nil && b.src.Term.Kind == disasm.SwitchJump && len(b.src.Term.Switch.Targets) >= minOperations
}

// isOperation reports whether b is where an interpreter's operation begins.
func (b *block) isOperation() bool {
	return slices.ContainsFunc(b.preds, (*block).dispatches)
}

// around reports whether b is where an interpreter's loop begins, from one
// operation to the next.
func (b *block) around() bool {
	last := -1
	for _, p := range b.preds {
		last = max(last, p.index)
	}
	return slices.ContainsFunc(b.fn.fetches, func(f int) bool { return b.index <= f && f <= last })
}
