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
	next   int // the chunk after the one that is given out
	free   []T // of that
}

// chunkLen is the number of Ts in a chunk; one for a longer piece has the next power of
// two of them, so that it fits another of about that length.
const chunkLen = 512

// Reset takes back all that was given out.
func (s *Slab[T]) Reset() { s.next, s.free = 0, nil }

// New gives a zero T.
func (s *Slab[T]) New() *T {
	if len(s.free) == 0 {
		s.refill(1)
	}
	var zero T
	x := &s.free[0]
	s.free = s.free[1:]
	*x = zero
	return x
}

// Take gives n zero Ts, with no room behind them. It is not nil for none.
func (s *Slab[T]) Take(n int) []T {
	if n > len(s.free) || s.free == nil {
		s.refill(n)
	}
	piece := s.free[:n:n]
	s.free = s.free[n:]
	clear(piece)
	return piece
}

// refill goes on to a chunk with room for n Ts.
func (s *Slab[T]) refill(n int) {
	for s.next < len(s.chunks) && len(s.chunks[s.next]) < n {
		s.next++
	}
	if s.next == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, max(chunkLen, 1<<bits.Len(uint(n-1)))))
	}
	s.free = s.chunks[s.next]
	s.next++
}
