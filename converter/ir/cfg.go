package ir

// CFG is the control-flow graph of a function as passes need it: the blocks
// that can be reached, in reverse postorder, and their predecessors. It is a
// snapshot; a pass that changes edges makes a new one.
type CFG struct {
	Order []*Block   // reverse postorder; Order[0] is the entry
	Num   []int      // by Block.ID: position in Order, or -1
	Preds [][]*Block // by position in Order; one entry per edge
	In    [][]*Edge  // by position in Order: the edges from Preds
}

// NewCFG analyses f. Blocks that can't be reached are left out.
func NewCFG(f *Func) *CFG {
	g := &CFG{Num: make([]int, len(f.Blocks))}
	g.Order = postorder(f)
	for i, j := 0, len(g.Order)-1; i < j; i, j = i+1, j-1 {
		g.Order[i], g.Order[j] = g.Order[j], g.Order[i]
	}
	for i := range g.Num {
		g.Num[i] = -1
	}
	for i, b := range g.Order {
		g.Num[b.ID] = i
	}
	g.findEdges()
	return g
}

func (g *CFG) findEdges() {
	count := make([]int, len(g.Order))
	total := 0
	for _, b := range g.Order {
		for i := range b.Term.Succs {
			count[g.Num[b.Term.Succs[i].To.ID]]++
		}
		total += len(b.Term.Succs)
	}
	g.Preds, g.In = make([][]*Block, len(g.Order)), make([][]*Edge, len(g.Order))
	preds, in := make([]*Block, total), make([]*Edge, total)
	for i, n := range count {
		g.Preds[i], preds = preds[:0:n], preds[n:]
		g.In[i], in = in[:0:n], in[n:]
	}
	for _, b := range g.Order {
		for i := range b.Term.Succs {
			e := &b.Term.Succs[i]
			n := g.Num[e.To.ID]
			g.Preds[n] = append(g.Preds[n], b)
			g.In[n] = append(g.In[n], e)
		}
	}
}

// postorder walks without recursion: a function may have thousands of blocks
// in a row. Successors are visited last first, so that in reverse postorder
// the first successor comes right after its block where that is possible.
func postorder(f *Func) []*Block {
	type visit struct {
		b    *Block
		left int
	}
	seen := make([]bool, len(f.Blocks))
	order := make([]*Block, 0, len(f.Blocks))
	seen[f.Blocks[0].ID] = true
	stack := []visit{{f.Blocks[0], len(f.Blocks[0].Term.Succs)}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.left == 0 {
			order = append(order, top.b)
			stack = stack[:len(stack)-1]
			continue
		}
		top.left--
		if to := top.b.Term.Succs[top.left].To; !seen[to.ID] {
			seen[to.ID] = true
			stack = append(stack, visit{to, len(to.Term.Succs)})
		}
	}
	return order
}

// Retreating reports whether an edge goes back in the order: every cycle has
// such an edge.
func (g *CFG) Retreating(from, to *Block) bool { return g.Num[to.ID] <= g.Num[from.ID] }

// Headers returns the targets of retreating edges in order: a poll at each of
// them is a poll in every cycle.
func (g *CFG) Headers() []*Block {
	var list []*Block
	for i, b := range g.Order {
		for _, p := range g.Preds[i] {
			if g.Retreating(p, b) {
				list = append(list, b)
				break
			}
		}
	}
	return list
}

// NoDom is the immediate dominator of a root.
const NoDom = -1

// Dominators returns the immediate dominator of each block as positions in
// Order, NoDom for roots. Besides the entry each block for which root is true
// counts as an entry of the function; root may be nil. (Cooper, Harvey,
// Kennedy: A Simple, Fast Dominance Algorithm.)
func (g *CFG) Dominators(root []bool) []int {
	const unknown = -2
	dom := make([]int, len(g.Order))
	for i := range dom {
		dom[i] = unknown
		if i == 0 || root != nil && root[i] {
			dom[i] = NoDom
		}
	}
	for changed := true; changed; {
		changed = false
		for i := range g.Order {
			if i == 0 || root != nil && root[i] {
				continue
			}
			d := unknown
			for _, p := range g.Preds[i] {
				switch n := g.Num[p.ID]; {
				case dom[n] == unknown:
				case d == unknown:
					d = n
				default:
					d = intersect(dom, d, n)
				}
			}
			if d != dom[i] {
				dom[i], changed = d, true
			}
		}
	}
	return dom
}

func intersect(dom []int, a, b int) int {
	for a != b {
		if a == NoDom || b == NoDom {
			return NoDom
		}
		if a > b {
			a = dom[a]
		} else {
			b = dom[b]
		}
	}
	return a
}

// Dominates reports whether position a dominates position b by the result of
// Dominators.
func Dominates(dom []int, a, b int) bool {
	for b > a {
		b = dom[b]
	}
	return a == b
}
