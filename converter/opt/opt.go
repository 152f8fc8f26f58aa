// Package opt has the passes over IR between lifting and emission. A pass is
// a row of the table Passes; their order is checked by a test. A pass must
// keep the invariant of docs/architecture.md ("State is data"): what lives
// across a call is a register's value, a constant, or a known distance from
// rsp.
package opt

import "github.com/megabin/megabin/converter/ir"

// Pass is one transformation of a function.
type Pass struct {
	Name string
	Why  string
	Run  func(*ir.Func)
}

// Passes is the pipeline, in order.
var Passes = []Pass{
	{"dispatch", "switch in one place where many switches have the same targets", dispatch},
	{"params", "drop block parameters that can have one value only", params},
	{"park", "leave registers that are only handed on in the register file", park},
	{"spill", "put registers in the register file before calls, exits and polls need them there", spill},
	{"thread", "go straight through blocks that only jump on", thread},
	{"frame", "address the stack frame from its lowest address, so that one bounds check serves", frame},
	{"cse", "compute a value once, as the engine does not", cse},
	{"sink", "make a value only on the way that needs it", sink},
	{"dce", "drop values that nothing uses", dce},
	{"bounds", "check bounds once for all accesses at a base", bounds},
}

// Run runs all passes over f.
func Run(f *ir.Func) {
	for _, p := range Passes {
		p.Run(f)
	}
}

// inEdge is an edge into a block.
type inEdge struct {
	from *ir.Block
	edge *ir.Edge
}

// predecessors lists the edges into each block, by block ID.
func predecessors(f *ir.Func) [][]inEdge {
	count := make([]int, len(f.Blocks))
	total := 0
	for _, b := range f.Blocks {
		for i := range b.Term.Succs {
			count[b.Term.Succs[i].To.ID]++
		}
		total += len(b.Term.Succs)
	}
	in, all := make([][]inEdge, len(f.Blocks)), make([]inEdge, total)
	for i, n := range count {
		in[i], all = all[:0:n], all[n:]
	}
	for _, b := range f.Blocks {
		for i := range b.Term.Succs {
			e := &b.Term.Succs[i]
			in[e.To.ID] = append(in[e.To.ID], inEdge{b, e})
		}
	}
	return in
}

// postorder lists the blocks that the entry reaches, children before parents.
func postorder(f *ir.Func) []*ir.Block {
	type frame struct {
		b    *ir.Block
		next int
	}
	seen := make([]bool, len(f.Blocks))
	out := make([]*ir.Block, 0, len(f.Blocks))
	stack := []frame{{f.Blocks[0], 0}}
	seen[f.Blocks[0].ID] = true
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next == len(top.b.Term.Succs) {
			out = append(out, top.b)
			stack = stack[:len(stack)-1]
			continue
		}
		to := top.b.Term.Succs[top.next].To
		top.next++
		if !seen[to.ID] {
			seen[to.ID] = true
			stack = append(stack, frame{to, 0})
		}
	}
	return out
}

// reversePostorder lists the blocks that the entry reaches, a block before
// its successors but for back edges.
func reversePostorder(f *ir.Func) []*ir.Block {
	out := postorder(f)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}
