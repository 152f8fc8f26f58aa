package wasm

import (
	"slices"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/wasmenc"
)

// function emits the whole body. Calls that fail their return check leave
// through one exit around everything.
func (e *emitter) function() {
	e.entry()
	exit := e.c.hasCalls()
	if exit {
		e.open(opBlock)
		e.exitAt = e.frames
	}
	if len(e.c.roots) > 1 {
		e.dispatcher()
	} else {
		e.tree(0)
	}
	if exit {
		e.close()
		e.abnormalExit()
	}
	e.op(opEnd)
}

func (c *compiler) hasCalls() bool {
	for _, stmts := range c.stmts {
		for _, v := range stmts {
			if v.Op == ir.Call {
				return true
			}
		}
	}
	return false
}

// dispatcher emits the regions as the cases of a br_table in a loop, which the
// state local leads to. The entry's region is in front of the loop, so that
// what it makes does not change in the loop. The hub is at the loop's head, before the
// br_table.
func (e *emitter) dispatcher() {
	e.stateLocal = e.newLocal(ir.I32)
	labels, extra := e.states()
	e.region = len(e.c.roots)
	e.open(opBlock)
	e.dispatchAt = e.frames
	e.tree(0)
	e.close()

	e.open(opLoop)
	loop := e.frames
	if hub := e.c.hub; hub >= 0 {
		e.local(opLocalGet, e.stateLocal)
		e.constI32(int64(e.c.state[hub]))
		e.op(opI32Eq)
		e.open(opIf)
		e.dispatchAt = e.frames
		e.tree(hub)
		e.closeIf()
	}
	e.dispatchAt = loop
	for range len(e.c.roots) + len(extra) {
		e.open(opBlock)
	}
	e.regionEnd = e.frames
	e.local(opLocalGet, e.stateLocal)
	e.op(opBrTable)
	e.u(uint64(len(labels) - 1))
	for _, l := range labels {
		e.u(uint64(l))
	}
	for i, r := range e.c.roots {
		e.close()
		e.region = i
		if i == 0 || r == e.c.hub || e.c.isBare(r) {
			e.op(opUnreachable) // nothing goes there by the br_table
		} else {
			e.tree(r)
		}
	}
	for _, x := range extra {
		e.close()
		e.edge(x.from, x.edge)
	}
	e.close()
	e.op(opUnreachable)
}

// tableEdge is an edge of a table's switch that copies values.
type tableEdge struct {
	from int
	edge *ir.Edge
}

// states lists the label of each state: one for each root, then those of the
// tables' targets. The labels after the roots' are those of edges that have
// values to copy on the way. The last one stands for all higher states too.
func (e *emitter) states() (labels []int, extra []tableEdge) {
	for i := range e.c.roots {
		labels = append(labels, i)
	}
	for _, t := range e.c.tables {
		if e.tableAt == nil {
			e.tableAt = map[int]int{}
		}
		e.tableAt[t] = len(labels)
		succs := e.c.cfg.Order[t].Term.Succs
		known := map[string]int{}
		var key []byte
		for k := range succs[:len(succs)-1] {
			to := &succs[k]
			if !e.needsCopies(to) {
				labels = append(labels, e.c.state[e.c.cfg.Num[to.To.ID]])
				continue
			}
			key = appendEdgeKey(key[:0], to)
			l, ok := known[string(key)]
			if !ok {
				l = len(e.c.roots) + len(extra)
				known[string(key)] = l
				extra = append(extra, tableEdge{t, to})
			}
			labels = append(labels, l)
		}
	}
	return labels, extra
}

// needsCopies reports whether values change their locals on an edge.
func (e *emitter) needsCopies(edge *ir.Edge) bool {
	for k, p := range edge.To.Params {
		if e.c.isUsed(p) && !e.isIn(edge.Args[k], e.slotLocal(p)) {
			return true
		}
	}
	return false
}

// isIn reports whether v is kept in local l.
func (e *emitter) isIn(v *ir.Value, l int32) bool {
	s := e.c.slotOf(e.c.canon(v))
	return s >= 0 && e.c.slots[s].local == l
}

// tree emits block i and all that it dominates in its region. Control does
// not come out at its end.
func (e *emitter) tree(i int) {
	if !e.c.header[i] {
		if e.c.polled[i] {
			e.look(e.c.cfg.Order[i])
		}
		e.withMerges(i)
		return
	}
	polls := e.c.polls(i)
	if polls {
		e.open(opLoop)
		e.outerAt[i] = e.frames
		e.strip(e.c.cfg.Order[i])
		e.loops++
	}
	e.open(opLoop)
	e.innerAt[i] = e.frames
	e.withMerges(i)
	e.close()
	if polls {
		e.close()
		e.loops--
	}
	e.op(opUnreachable)
}

// withMerges emits block i inside one wasm block for each merge block that it
// dominates, so that a branch out of the wasm block goes to the merge block.
func (e *emitter) withMerges(i int) {
	merges := e.c.merges[i]
	for k := len(merges) - 1; k >= 0; k-- {
		e.open(opBlock)
		e.mergeAt[merges[k]] = e.frames
	}
	e.block(i)
	for _, m := range merges {
		e.close()
		e.tree(m)
	}
}

func (e *emitter) block(i int) {
	for _, v := range e.c.stmts[i] {
		e.statement(v)
	}
	e.terminator(i, &e.c.cfg.Order[i].Term)
}

func (e *emitter) terminator(i int, t *ir.Term) {
	switch t.Kind {
	case ir.Jump:
		e.edge(i, &t.Succs[0])
	case ir.Branch:
		e.push(t.Cond)
		e.open(opIf)
		e.edge(i, &t.Succs[0])
		e.closeIf()
		e.edge(i, &t.Succs[1])
	case ir.Switch:
		if slices.Contains(e.c.tables, i) {
			e.toTable(i, t)
		} else {
			e.branchTable(i, t)
		}
	case ir.Return:
		e.pushAll(t.Args)
		e.op(opReturn)
	case ir.TailCall:
		e.tailCall(t)
	case ir.Leave:
		e.leave(t)
	case ir.Unreachable:
		e.op(opUnreachable)
	default:
		e.fail("block %d has no terminator", e.c.cfg.Order[i].ID)
		e.op(opUnreachable)
	}
}

// edge emits the copies to the target's parameters and the way there: a
// branch, or the target itself if this is its only way in.
func (e *emitter) edge(from int, edge *ir.Edge) {
	e.copies(edge)
	to := e.c.cfg.Num[edge.To.ID]
	switch {
	case e.c.isBare(to):
		e.dispatch(to)
	case e.c.isBackEdge(e.c.cfg.Order[from], to):
		e.again(to)
	case e.c.state[to] > e.region && to != e.c.hub: // the end of whose block is where that begins
		e.br(e.regionEnd - e.c.state[to])
	case e.c.state[to] >= 0:
		e.constI32(int64(e.c.state[to]))
		e.local(opLocalSet, e.stateLocal)
		e.br(e.dispatchAt)
	case e.c.merge[to]:
		e.br(e.mergeAt[to])
	default:
		e.tree(to)
	}
}

// dispatch goes to the target of table i that its condition says.
func (e *emitter) dispatch(i int) {
	e.push(e.c.cfg.Order[i].Term.Cond)
	e.constI32(int64(e.tableAt[i]))
	e.op(opI32Add)
	e.local(opLocalSet, e.stateLocal)
	e.br(e.dispatchAt)
}

// toTable ends table i with what comes before its switch.
func (e *emitter) toTable(i int, t *ir.Term) {
	n := len(t.Succs) - 1
	if e.c.neverDefault(e.c.cfg.Order[i]) {
		e.dispatch(i)
		return
	}
	e.push(t.Cond)
	e.constI32(int64(n))
	e.op(opI32LtU)
	e.open(opIf)
	e.dispatch(i)
	e.closeIf()
	e.edge(i, &t.Succs[n])
}

// copies assigns the edge's arguments to the target's parameters. All are on
// the stack before the first is assigned, so the copies are parallel.
func (e *emitter) copies(edge *ir.Edge) {
	to := e.targets[:0]
	for k, p := range edge.To.Params {
		if !e.c.isUsed(p) {
			continue
		}
		if l := e.slotLocal(p); !e.isIn(edge.Args[k], l) {
			e.push(edge.Args[k])
			to = append(to, l)
		}
	}
	e.targets = to
	for k := len(to) - 1; k >= 0; k-- {
		e.local(opLocalSet, to[k])
	}
}

// again closes a loop: to the inner loop until the strip is used up, then to
// the outer one, which looks at the guard. A loop that does not poll has no
// outer one.
func (e *emitter) again(to int) {
	if !e.c.polls(to) {
		e.back(e.innerAt[to])
		return
	}
	e.countBack()
	e.open(opIf)
	e.back(e.innerAt[to])
	e.closeIf()
	e.back(e.outerAt[to])
}

// back branches to the beginning of the loop that was opened as number at. An if
// around it stays one: of a br_if the engine would make a jump to the copies that the
// next turn needs, elsewhere, and one back from there.
func (e *emitter) back(at int) {
	e.br(at)
	e.brEnd = -1
}

// branchTable emits a switch. Each distinct edge is a case behind its own
// wasm block, unless it is a plain branch.
func (e *emitter) branchTable(from int, t *ir.Term) {
	var cases []*ir.Edge
	caseOf := map[string]int{}
	index := make([]int, len(t.Succs))
	var key []byte
	for k := range t.Succs {
		key = appendEdgeKey(key[:0], &t.Succs[k])
		n, known := caseOf[string(key)]
		if !known {
			n = len(cases)
			caseOf[string(key)] = n
			cases = append(cases, &t.Succs[k])
		}
		index[k] = n
	}
	for range cases {
		e.open(opBlock)
	}
	e.push(t.Cond)
	e.op(opBrTable)
	e.u(uint64(len(index) - 1))
	for _, n := range index {
		e.u(uint64(n))
	}
	for _, edge := range cases {
		e.close()
		e.edge(from, edge)
	}
}

// appendEdgeKey appends what is equal for edges that do the same.
func appendEdgeKey(b []byte, edge *ir.Edge) []byte {
	b = wasmenc.AppendU(b, uint64(edge.To.ID))
	for _, a := range edge.Args {
		b = wasmenc.AppendU(b, uint64(a.ID))
	}
	return b
}

func (e *emitter) open(op byte) {
	e.op(op)
	e.op(blockVoid)
	e.frames++
	e.ifAt = -1
	if op == opIf {
		e.ifAt = len(e.b)
	}
}

func (e *emitter) close() {
	e.op(opEnd)
	e.frames--
	e.ifAt = -1
}

// closeIf ends an if. One that only branches is a br_if: the engine would jump
// around a jump.
func (e *emitter) closeIf() {
	if e.ifAt >= 0 && len(e.b) == e.brEnd && e.brAt == e.ifAt {
		e.b = e.b[:e.ifAt-2]
		e.frames--
		e.ifAt = -1
		e.op(opBrIf)
		e.u(uint64(e.frames - e.brTo))
		return
	}
	e.close()
}

// br branches to the frame that was opened as number at.
func (e *emitter) br(at int) {
	e.brAt, e.brTo = len(e.b), at
	e.op(opBr)
	e.u(uint64(e.frames - at))
	e.brEnd = len(e.b)
}
