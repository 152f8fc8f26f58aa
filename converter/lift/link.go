package lift

import (
	"slices"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// linker connects the blocks of one function: block parameters for what is
// live where several blocks meet, arguments of calls, and the register state
// at calls, polls and exits.
type linker struct {
	u       *unit
	fn      *function
	before  ir.Table[int32] // where in inserts what is to be inserted in front of a call is
	inserts [][]*ir.Value
	reads   []*ir.Value // of what is no parameter of a block
	entryIR *ir.Block
	fronts  map[*block]*ir.Block
	opaque  [numVars]*ir.Value // what the block whose edges are completed hands to blocks that others have too
}

func (u *unit) link(fn *function) {
	l := &linker{u: u, fn: fn, before: fn.lifter.memory.numbers.Take(fn.ir.NumValues()), entryIR: fn.blocks[0].first, fronts: map[*block]*ir.Block{}}
	fn.findHot()
	for _, b := range fn.blocks {
		b.file = b.throughFile()
		l.params(b)
	}
	for _, b := range fn.blocks {
		l.edges(b)
		for i := range b.segs {
			if s := b.segs[i].site; s != nil {
				l.site(b, s)
			}
		}
		for _, s := range b.exits {
			l.exit(b, s)
		}
	}
	fn.ir.PollAtEntry = fn.looks
	quiet := fn.quiet()
	for _, b := range fn.blocks {
		if quiet == nil || quiet[b.index] {
			l.poll(b)
		}
	}
	l.insert()
	fn.blocks, fn.bySrc = nil, nil // only the IR is needed from here on
}

// params gives a block without parent the parameters it needs.
func (l *linker) params(b *block) {
	if b.parent != nil || b.src == nil {
		return
	}
	b.first.Params = l.fn.ir.List(b.passed().size())
	l.reads = l.reads[:0]
	for v := Var(0); v < numVars; v++ {
		switch {
		case l.isParam(b, v):
			b.first.Params = append(b.first.Params, b.param(v))
		case v < numRegs && b.in != nil && b.in[v] != nil && (b.file | ^b.liveIn).has(v):
			p := b.in[v] // if it is not live, it is left alone by a write of a part that nothing wants whole
			p.Op, p.Aux = ir.GetReg, int64(v.reg())
			l.reads = append(l.reads, p)
		}
	}
	if n := len(l.reads); n > 0 {
		slices.Reverse(l.reads)
		b.first.Values = append(append(l.fn.ir.List(n+len(b.first.Values)), l.reads...), b.first.Values...)
	}
}

func (l *linker) isParam(b *block, v Var) bool { return b.passed().has(v) }

// passed is what b, which has no parent, has parameters for.
func (b *block) passed() Set {
	s := (b.liveIn | b.softIn) &^ b.file
	if b.spKnown {
		s &^= setOf(RSP)
	}
	return s
}

// Numbers of predecessors from which on registers are not worth a copy on each
// edge: those that only a call may want, and all. The latter are the
// operations of an interpreter that jumps from each of them to the next.
const (
	manyPreds     = 8
	veryManyPreds = 32
)

// bigFunction is the number of blocks from which on the engine has no
// registers left for what blocks hand on, but in a loop; hugeFunction that
// from which on vector registers are not even kept there: some read of a
// register's old upper half keeps each alive throughout.
const (
	bigFunction  = 400
	hugeFunction = 1000
)

const (
	registers = Set(1<<numRegs - 1)
	allRegs   = registers &^ (1 << RSP)
)

// throughFile is what reaches b in the register file if nothing but a call
// that may want it reads it: registers that would be copied from block to
// block through whole functions, for hardly any call wants them.
func (b *block) throughFile() Set {
	var hard Set // though read for certain
	soft := hiddenArgs
	switch n := len(b.preds); {
	case b.fn.fetches != nil && (!hasBackEdge(b) || b.around()):
		hard, soft = b.fn.passable()&^b.fn.hot, b.fn.passable()
		if b.isOperation() { // others get those as values
			soft = hard
		}
	case n >= veryManyPreds, len(b.fn.blocks) >= bigFunction && !hasBackEdge(b):
		hard, soft = b.fn.passable(), b.fn.passable()
	case n >= manyPreds:
		soft = callerSaved
	}
	if len(b.fn.blocks) >= hugeFunction {
		hard |= xmmSet
	}
	return b.softIn&soft&^b.liveIn | b.liveIn&hard
}

// passable are the registers that blocks may hand on in the register file. Where
// the stack pointer moves, others tell resumed functions where the frame is.
func (fn *function) passable() Set {
	if fn.spMoves {
		return callerSaved
	}
	return allRegs
}

// edges completes the jumps out of b with arguments.
func (l *linker) edges(b *block) {
	c := &ctx{Builder: ir.Builder{B: b.pivot}, fn: l.fn, b: b}
	l.opaque = [numVars]*ir.Value{}
	for _, e := range b.edges {
		if e.to.parent != nil {
			continue
		}
		l.edgeState(c, e)
		if b.dispatches() {
			l.operationEdge(c, e)
			continue
		}
		to := &e.from.Term.Succs[e.succ]
		set := e.to.passed()
		to.Args = l.fn.ir.List(set.size())
		for ; set != 0; set = set.rest() {
			to.Args = append(to.Args, l.handedTo(c, e.to, set.first()))
		}
	}
}

// handedTo is the value of v that the end of c's block hands to another one, of which that must not
// know more where other functions have it too and what they hand to it. A switch hands the same to
// all such blocks, so that several of them can become one (opt's dispatch).
func (l *linker) handedTo(c *ctx, to *block, v Var) *ir.Value {
	x := c.atEnd(v)
	back := to.index <= c.b.index && c.b.src.Term.Kind != disasm.SwitchJump // nothing leads back to the entry, which has no src
	if !to.src.Shared || !to.polls() || back || v == RSP || v == Dest {
		return x
	}
	if l.opaque[v] == nil {
		l.opaque[v] = c.Opaque(int(v.reg()), x)
	}
	return l.opaque[v]
}

// operationEdge completes an edge from where an interpreter fetches its next
// operation. One that begins with a loop gets its registers as values, but not from
// there, where it would be a copy for each operation: a block in front of it
// reads them from the register file.
func (l *linker) operationEdge(c *ctx, e edge) {
	to := &e.from.Term.Succs[e.succ]
	file := l.fn.passable() &^ l.fn.hot
	for v := Var(0); v < numVars; v++ {
		switch {
		case !l.isParam(e.to, v):
		case file.has(v):
			to.To = l.front(e.to, file)
			l.leave(c, e, v)
		default:
			to.Args = append(to.Args, l.handedTo(c, e.to, v))
		}
	}
}

// front is the block in front of b that reads the registers in file.
func (l *linker) front(b *block, file Set) *ir.Block {
	if f := l.fronts[b]; f != nil {
		return f
	}
	c := ctx{Builder: ir.Builder{B: l.fn.ir.NewBlock(b.first.Addr)}}
	edge := ir.Edge{To: b.first}
	for v := Var(0); v < numVars; v++ {
		switch {
		case !l.isParam(b, v):
		case file.has(v):
			edge.Args = append(edge.Args, c.GetReg(int(v.reg()), v.typ()))
		default:
			p := c.B.AddParam(v.typ())
			if v < numRegs {
				p.Aux = int64(v.reg())
			}
			edge.Args = append(edge.Args, p)
		}
	}
	c.B.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{edge}}
	l.fronts[b] = c.B
	return c.B
}

// edgeState makes an edge leave in the register file what its target looks for
// there.
func (l *linker) edgeState(c *ctx, e edge) {
	meant := e.to.liveIn | ^c.b.through
	for set := e.to.file & registers & meant; set != 0; set = set.rest() {
		l.leave(c, e, set.first())
	}
}

// leave makes an edge leave v in the register file.
func (l *linker) leave(c *ctx, e edge, v Var) {
	if x := c.b.find(v); !isInFile(x) {
		e.from.Term.State = append(e.from.Term.State, ir.RegValue{Reg: v.reg(), Value: x})
	}
}

// isInFile tells whether x stands for what the register file holds: after a
// call, or as a parameter that its block did not get.
func isInFile(x *ir.Value) bool {
	return x == inFile || x == fromCallee || x.Op == ir.Param && !slices.Contains(x.Block.Params, x)
}

// atEnd is v's value at the end of c's block, made at its pivot if need be.
func (c *ctx) atEnd(v Var) *ir.Value {
	if flagSet.has(v) {
		return c.flagAt(c.b, v)
	}
	x := c.b.find(v)
	if isInFile(x) {
		x = c.GetReg(int(v.reg()), v.typ())
		c.b.vars[v] = x
	}
	return x
}

// at is register v's value at site s of block b; it may be inFile.
func (l *linker) at(b *block, s *site, v Var) *ir.Value {
	x := s.vars[v]
	switch {
	case x != nil:
	case b.parent != nil:
		x = b.parent.find(v)
	default:
		x = b.param(v)
	}
	if isInFile(x) {
		return inFile
	}
	return x
}

// state lists where the registers in set stand at s. What is in the register
// file already is not listed.
func (l *linker) state(b *block, s *site, set Set) []ir.RegValue {
	kept := l.u.kept(s)
	set &= allRegs
	out := l.fn.ir.State(set.size() + 1)
	for ; set != 0; set = set.rest() {
		v := set.first()
		if x := l.at(b, s, v); x != inFile {
			out = append(out, ir.RegValue{Reg: v.reg(), Value: x, Kept: kept.has(v)})
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (l *linker) stateAndSP(b *block, s *site, set Set) []ir.RegValue {
	return append(l.state(b, s, set), ir.RegValue{Reg: abi.RSP, Value: l.at(b, s, RSP), Kept: true})
}

// site fills in a call's arguments and state.
func (l *linker) site(b *block, s *site) {
	if s.isPlace() {
		s.info.State = l.stateAndSP(b, s, s.after&^flagSet)
		if s.faults != nil {
			s.faults.Info.State = s.info.State
		}
		return
	}
	if !s.isCall() {
		for i, v := range sysRegs {
			s.call.Args[i+1] = l.arg(b, s, v)
		}
		s.info.State = l.stateAndSP(b, s, s.conv.kept|s.before&sysSet|s.after&^l.u.kills(s)&^flagSet)
		return
	}
	s.info.SP = l.at(b, s, RSP)
	l.resolve(s.info, &s.call.Args, func(x *ir.Value) { l.put(s.call, x) })
	for i, v := range argRegs {
		s.call.Args[i+1] = l.arg(b, s, v)
	}
	set := s.before &^ argSet
	if s.direct {
		set |= (s.after | s.through) & argSet &^ l.u.calleeMods(s) // still there afterwards
	}
	s.info.State = l.state(b, s, set)
}

// resolve turns a direct call of something that is no function of the unit
// into an indirect one.
func (l *linker) resolve(info *ir.CallInfo, args *[]*ir.Value, put func(*ir.Value)) {
	if info.Kind != ir.Direct || l.u.byEntry[info.Target] != nil {
		return
	}
	info.Kind = ir.Indirect
	k := l.fn.ir.NewValue(ir.Const32, ir.I32)
	k.Aux = int64(int32(info.Target))
	put(k)
	if l.fn.lifter.fixed {
		k.Aux = int64(int32(uint32(l.fn.vmin) + info.Target))
		*args = append(*args, k)
		return
	}
	lin := l.fn.ir.NewValue(ir.Lin, ir.I32)
	sum := l.fn.ir.NewValue(ir.I32Add, ir.I32, lin, k)
	put(lin)
	put(sum)
	*args = append(*args, sum)
}

// arg is what a call passes in v: 0 if the callee can't want it.
func (l *linker) arg(b *block, s *site, v Var) *ir.Value {
	if !s.before.has(v) {
		return l.put(s.call, l.fn.ir.NewValue(ir.Const64, ir.I64))
	}
	x := l.at(b, s, v)
	if x == inFile {
		x = l.fn.ir.NewValue(ir.GetReg, ir.I64)
		x.Aux = int64(v.reg())
		return l.put(s.call, x)
	}
	return x
}

// maxInserts is how many values most calls have at most put in front of them.
const maxInserts = 8

// put inserts x in front of the call.
func (l *linker) put(call, x *ir.Value) *ir.Value {
	n := l.before.Get(call)
	if n == 0 {
		l.inserts = append(l.inserts, l.fn.ir.List(maxInserts))
		n = int32(len(l.inserts))
		l.before.Set(call, n)
	}
	l.inserts[n-1] = append(l.inserts[n-1], x)
	return x
}

func (l *linker) insert() {
	if len(l.inserts) == 0 {
		return
	}
	for _, b := range l.fn.ir.Blocks {
		var out []*ir.Value
		for i, v := range b.Values {
			if n := l.before.Get(v); n > 0 {
				ins := l.inserts[n-1]
				if out == nil {
					out = append(l.fn.ir.List(len(b.Values)+2*maxInserts), b.Values[:i]...)
				}
				for _, x := range ins {
					x.Block = b
				}
				out = append(out, ins...)
			}
			if out != nil {
				out = append(out, v)
			}
		}
		if out != nil {
			b.Values = out
		}
	}
}

// exit fills in what a return, tail call or abnormal exit hands over.
func (l *linker) exit(b *block, s *site) {
	t := &s.term.Term
	c := &ctx{Builder: ir.Builder{B: b.pivot}, fn: l.fn, b: b}
	switch t.Kind {
	case ir.Return:
		t.Args[1], t.Args[2] = c.orZero(s, RAX), c.orZero(s, RDX)
		t.State = l.state(b, s, s.before&^retSet)
	case ir.Leave:
		t.State = l.state(b, s, s.before)
	case ir.TailCall:
		l.resolve(t.Info, &t.Args, func(x *ir.Value) { b.pivot.Append(x) })
		for i, v := range argRegs {
			t.Args[i+1] = c.orZero(s, v)
		}
		t.Info.State = l.state(b, s, s.before&^argSet)
	}
}

// orZero is v's value at the block's end if exit s needs it, else 0.
func (c *ctx) orZero(s *site, v Var) *ir.Value {
	if s.before.has(v) {
		return c.atEnd(v)
	}
	return c.Const64(0)
}

// poll notes the live registers and flags at the head of a loop, which a repeated string
// instruction is too.
func (l *linker) poll(b *block) {
	if !b.polls() {
		return
	}
	b.first.Poll, b.first.Shared = []ir.RegValue{}, b.src.Shared
	for v := Var(0); v < Dest; v++ {
		switch {
		case v == RSP && b.spKnown:
			c := &ctx{Builder: ir.Builder{B: l.entryIR}, fn: l.fn}
			b.first.Poll = append(b.first.Poll, ir.RegValue{Reg: abi.RSP, Value: c.spValue(b.sp)})
		case l.isParam(b, v):
			b.first.Poll = append(b.first.Poll, ir.RegValue{Reg: v.reg(), Value: b.param(v)})
		}
	}
}

// polls reports whether b may poll at its start.
func (b *block) polls() bool {
	return b.parent == nil && b.src != nil && !b.isSearch() && (hasBackEdge(b) || b.repeats() || b.behindLoop())
}

func hasBackEdge(b *block) bool {
	for _, p := range b.preds {
		if p.index >= b.index {
			return true
		}
	}
	return false
}

// repeats reports whether b starts with a repeated string instruction.
func (b *block) repeats() bool {
	return b.src != nil && len(b.src.Insts) > 0 && b.src.Insts[0].Repeats()
}
