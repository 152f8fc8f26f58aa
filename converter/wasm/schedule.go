package wasm

import "github.com/megabin/megabin/converter/ir"

// scheduler finds the statements of blocks. A value with one use, in the
// same block, waits until that use and becomes part of its expression,
// unless something that it depends on changes before.
type scheduler struct {
	c       *compiler
	block_  *ir.Block
	waiting []tree      // in order of definition
	stmts   []*ir.Value // of all blocks so far
}

// tree is a waiting value with the values that are already part of its
// expression.
type tree struct {
	root  *ir.Value
	reads effects
	local bool // it has an operand in a local
}

func (s *scheduler) block(b *ir.Block) {
	s.block_, s.waiting = b, s.waiting[:0]
	for _, v := range b.Values {
		s.value(v)
	}
}

func (s *scheduler) value(v *ir.Value) {
	c := s.c
	if c.canon(v) != v || c.values[v.ID].place == remade || !c.isUsed(v) && !isRoot(v) {
		return
	}
	switch v.Op {
	case ir.SP, ir.Lin, ir.Arg, ir.Result, ir.Helper2:
		return // no code of their own
	}
	t := s.grow(v)
	s.settle(v)
	if s.mayWait(v) {
		c.values[v.ID].place = inTree
		s.waiting = append(s.waiting, t)
		return
	}
	s.emit(v)
}

// grow takes v's operands out of the waiting list and into its tree.
func (s *scheduler) grow(v *ir.Value) tree {
	t := tree{root: v, reads: reads(v)}
	for _, a := range v.Args {
		a = s.c.canon(a)
		if j := s.find(a); j >= 0 {
			t.reads = t.reads.or(s.waiting[j].reads)
			t.local = t.local || s.waiting[j].local
			s.waiting = append(s.waiting[:j], s.waiting[j+1:]...)
			continue
		}
		if s.c.values[a.ID].place != remade {
			t.local = true
		}
	}
	return t
}

func (s *scheduler) find(v *ir.Value) int {
	if s.c.values[v.ID].place != inTree {
		return -1
	}
	for j := len(s.waiting) - 1; j >= 0; j-- {
		if s.waiting[j].root == v {
			return j
		}
	}
	return -1
}

// settle emits the waiting values that v's effect would change. None waits
// across a call: what lives there must be a value of its own, for the call's
// state names whole values only.
func (s *scheduler) settle(v *ir.Value) {
	w := writes(v)
	if w == (effects{}) {
		return
	}
	call := v.Op.Info().Effect == ir.Anything
	keep := s.waiting[:0]
	for _, t := range s.waiting {
		if t.reads.conflicts(w) || call && t.local {
			s.emit(t.root)
		} else {
			keep = append(keep, t)
		}
	}
	s.waiting = keep
}

// mayWait reports whether v can become part of its only use. An operand of
// an edge or of the terminator counts as used at the end of the block; a use
// elsewhere can't be found in the waiting list and needs a local.
func (s *scheduler) mayWait(v *ir.Value) bool {
	info := &s.c.values[v.ID]
	return info.uses == 1 && v.Type != ir.Void && writes(v) == (effects{}) && info.usedIn == s.block_
}

func (s *scheduler) emit(v *ir.Value) {
	if s.c.isUsed(v) {
		s.c.values[v.ID].place = inLocal
	}
	s.stmts = append(s.stmts, v)
}
