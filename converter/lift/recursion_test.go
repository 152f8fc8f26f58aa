package lift

import (
	"math/rand/v2"
	"testing"
)

// blocksOf makes blocks with edges; those of calls call a function that looks
// at its entry.
func blocksOf(n int, edges [][2]int, calls map[int]bool) *function {
	fn := &function{}
	for i := range n {
		b := &block{fn: fn, index: i}
		if calls[i] {
			b.segs = []segment{{site: &site{call: someCall, direct: true, callee: &function{looks: true}}}}
		}
		fn.blocks = append(fn.blocks, b)
	}
	for _, e := range edges {
		from, to := fn.blocks[e[0]], fn.blocks[e[1]]
		from.succs, to.preds = append(from.succs, to), append(to.preds, from)
	}
	return fn
}

// TestQuiet: in random graphs a block that can be gone round without a call
// of a function that looks is quiet, and what is quiet lies on a way from such
// a round to another.
func TestQuiet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	rounds, others := 0, 0
	for range 3000 {
		n := 2 + r.IntN(7)
		calls := map[int]bool{r.IntN(n): true}
		for range r.IntN(2) {
			calls[r.IntN(n)] = true
		}
		var edges [][2]int
		for range r.IntN(2*n + 1) {
			edges = append(edges, [2]int{r.IntN(n), r.IntN(n)})
		}
		set := blocksOf(n, edges, calls).quiet()
		reach := make([][]bool, n) // by at least one edge, past no call
		for i := range reach {
			reach[i] = make([]bool, n)
		}
		for _, e := range edges {
			if !calls[e[0]] && !calls[e[1]] {
				reach[e[0]][e[1]] = true
			}
		}
		for k := range n {
			for i := range n {
				for j := range n {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		for b := range n {
			from, to := false, false
			for i := range n {
				from = from || reach[i][i] && (i == b || reach[i][b])
				to = to || reach[i][i] && (i == b || reach[b][i])
			}
			if reach[b][b] {
				rounds++
			} else {
				others++
			}
			if set[b] != (from && to) {
				t.Fatalf("%d blocks, edges %v, calls in %v: block %d is quiet: %v", n, edges, calls, b, set[b])
			}
		}
	}
	if rounds < 1000 || others < 1000 {
		t.Errorf("%d blocks in rounds, %d others", rounds, others)
	}
}

// TestQuietWithoutCalls: nothing is known of a function that calls none that
// looks.
func TestQuietWithoutCalls(t *testing.T) {
	if set := blocksOf(2, [][2]int{{0, 1}, {1, 1}}, nil).quiet(); set != nil {
		t.Errorf("quiet: %v", set)
	}
}
