package ir

import "math/bits"

// Arena is the memory of one function after another: each is made where the one
// before was, so that it need not be asked for and is near the processor.
type Arena struct {
	fn     Func
	values Slab[Value]
	blocks Slab[Block]
	lists  Slab[*Value]
	edges  Slab[Edge]
	states Slab[RegValue]
}

// NewFunc makes an empty function. The last one that a made is gone then, with
// its blocks and values.
func (a *Arena) NewFunc(entry uint32) *Func {
	a.values.Reset()
	a.blocks.Reset()
	a.lists.Reset()
	a.edges.Reset()
	a.states.Reset()
	a.fn = Func{Entry: entry, Blocks: a.fn.Blocks[:0], arena: a}
	return &a.fn
}

// memory is where f's values are.
func (f *Func) memory() *Arena {
	if f.arena == nil {
		f.arena = new(Arena)
	}
	return f.arena
}

// List makes an empty list with room for n values.
func (f *Func) List(n int) []*Value { return f.memory().lists.Take(n)[:0] }

// Edges makes n edges.
func (f *Func) Edges(n int) []Edge { return f.memory().edges.Take(n) }

// Jump is the end of a block with a jump to another one.
func (f *Func) Jump(to *Block, args ...*Value) Term {
	t := Term{Kind: Jump, Succs: f.Edges(1)}
	t.Succs[0] = Edge{To: to, Args: args}
	return t
}

// Branch is the end of a block that goes to then if cond is not 0, else to els.
func (f *Func) Branch(cond *Value, then, els *Block) Term {
	t := Term{Kind: Branch, Cond: cond, Succs: f.Edges(2)}
	t.Succs[0].To, t.Succs[1].To = then, els
	return t
}

// State makes an empty list with room for where n registers stand.
func (f *Func) State(n int) []RegValue { return f.memory().states.Take(n)[:0] }

// Slab gives out memory for Ts piece by piece and takes it back all at once.
type Slab[T any] struct {
	chunks [][]T
	chunk  int // the one that is given out
	used   int // of it
}

// chunkLen is the number of Ts in a chunk; one for a longer piece has the next power of
// two of them, so that it fits another of about that length.
const chunkLen = 512

// Reset takes back all that was given out.
func (s *Slab[T]) Reset() { s.chunk, s.used = 0, 0 }

// New gives a zero T.
func (s *Slab[T]) New() *T { return &s.Take(1)[0] }

// Take gives n zero Ts, with no room behind them.
func (s *Slab[T]) Take(n int) []T {
	for s.chunk < len(s.chunks) {
		if c := s.chunks[s.chunk]; s.used+n <= len(c) {
			piece := c[s.used : s.used+n : s.used+n]
			s.used += n
			clear(piece)
			return piece
		}
		s.chunk++
		s.used = 0
	}
	s.chunks = append(s.chunks, make([]T, max(chunkLen, 1<<bits.Len(uint(n-1)))))
	s.used = n
	return s.chunks[s.chunk][:n:n]
}
