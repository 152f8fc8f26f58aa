// Package lift turns x86-64 functions into IR: the meaning of every
// instruction is in this package and nowhere else.
//
// A function is lifted block by block. The guest's registers and flags are
// the variables Var; a row of the instruction table (one file per category
// of the Intel manual) reads, computes, writes, and sets flags last. Flags are kept as
// recipes (operation and operands) and become values only where they are read.
// Then, with all functions at hand, summary.go finds which registers are live
// across calls, and link.go connects the blocks with block arguments.
//
// The package knows nothing of ELF beyond a load address, of wasm, or of how
// the result is run beyond layers/abi.
package lift

import (
	"fmt"
	"iter"
	"slices"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// Result is a lifted program: what functions need to know of each other. It
// lifts each function again when it is asked for, in the memory of the one before: to
// keep all of them costs 2 kB for each instruction, and more time.
type Result struct {
	// Untranslated counts the instructions that became traps, by mnemonic or reason.
	Untranslated map[string]int
	Instructions int

	unit *unit
	at   map[uint64]string // vaddr of an untranslated instruction → why; nil if nobody asks
}

// Len is the number of functions: the program's, in its order.
func (r *Result) Len() int { return len(r.unit.fns) }

// Entry is the entry of function i, a unit offset.
func (r *Result) Entry(i int) uint32 { return r.unit.fns[i].entry() }

// Size is the number of values that function i has. It is known before Func(i).
func (r *Result) Size(i int) int { return r.unit.fns[i].size }

// Func gives function i until the next one is asked for. It can be asked for once.
func (r *Result) Func(i int) *ir.Func { return r.unit.finish(i) }

// Funcs gives all functions, to be kept.
func (r *Result) Funcs() iter.Seq[*ir.Func] {
	return func(yield func(*ir.Func) bool) {
		for i := range r.Len() {
			r.unit.fns[i].lifter.memory = new(memory)
			if !yield(r.Func(i)) {
				return
			}
		}
	}
}

// Untranslated gives the addresses of the instructions of p that would become
// traps, and why. It is much cheaper than Program.
func Untranslated(p *disasm.Program) map[uint64]string {
	l := newLifter(p, systemV)
	l.res.at = map[uint64]string{}
	l.liftAll(p)
	return l.res.at
}

// Program lifts all functions of p. It takes the instructions out of p's
// blocks, for they are much of what a translation has in memory.
func Program(p *disasm.Program) *Result {
	l := newLifter(p, systemV)
	fns := l.liftAll(p)
	if conventionOf(fns) != systemV {
		return Fragment(p)
	}
	l.liftForeign(fns)
	l.liftCallers(fns)
	return l.link(fns)
}

// Fragment lifts functions of p that are a part of a program: whatever
// convention the others follow, they can call these.
func Fragment(p *disasm.Program) *Result {
	l := newLifter(p, anyRegister)
	return l.link(l.liftAll(p))
}

// lifter is what lifting the functions of a program has in common.
type lifter struct {
	conv        *convention
	vmin        uint64
	fixed       bool // the program runs at vmin only
	checkpoints bool
	memory      *memory
	stubs       map[uint64]*x86.Inst
	broken      map[uint32]Set // by entry: see liftCallers
	res         *Result
}

// memory is where functions are lifted, one after the other.
type memory struct {
	ir      ir.Arena
	values  ir.Slab[blockValues]
	params  ir.Slab[[numVars]*ir.Value]
	regs    ir.Slab[[numRegs]*ir.Value]
	recipes ir.Slab[recipe]
	edges   ir.Slab[edge]
	numbers ir.Slab[int32]
}

// next makes the memory of one function that of the next.
func (m *memory) next(entry uint32) *ir.Func {
	m.values.Reset()
	m.params.Reset()
	m.regs.Reset()
	m.recipes.Reset()
	m.edges.Reset()
	m.numbers.Reset()
	return m.ir.NewFunc(entry)
}

func newLifter(p *disasm.Program, conv *convention) *lifter {
	return &lifter{
		conv: conv, vmin: p.File.VMin, fixed: p.File.Fixed(), checkpoints: len(p.File.GoFuncs) > 0,
		memory: new(memory), stubs: stubs(p), broken: map[uint32]Set{},
		res: &Result{Untranslated: map[string]int{}},
	}
}

// liftAll lifts the program's functions without connecting them. It stops where they
// are certain not to follow System V's convention, if that was assumed.
func (l *lifter) liftAll(p *disasm.Program) []*function {
	fns := make([]*function, 0, len(p.Funcs))
	breaches := 0
	for _, f := range p.Funcs {
		fn := l.lift(f)
		if l.res.at != nil { // nothing else is asked for
			continue
		}
		if fns = append(fns, fn); fn.broken != 0 {
			breaches++
		}
		if l.conv == systemV && tooMany(breaches, len(p.Funcs)) {
			break
		}
	}
	return fns
}

// link finds what the functions need to know of each other.
func (l *lifter) link(fns []*function) *Result {
	u := newUnit(l, fns)
	u.summarize()
	u.recursion()
	l.res.unit = u
	return l.res
}

// forget drops the values; what the data flow needs stays.
func (fn *function) forget() {
	fn.ir, fn.loads, fn.indexes, fn.entrySP = nil, nil, nil, nil
	for _, b := range fn.blocks {
		b.blockValues = nil
		for i := range b.segs {
			b.segs[i].site.forget()
		}
		for _, s := range b.exits {
			s.forget()
		}
	}
}

// finish completes function i.
func (u *unit) finish(i int) *ir.Func {
	fn := u.fns[i]
	fn.res = &Result{Untranslated: map[string]int{}}
	fn.liftBlocks()
	fn.src.Drop()
	u.link(fn)
	f := fn.ir
	fn.forget()
	fn.blocks = nil
	return f
}

// function is a function being lifted.
type function struct {
	src    *disasm.Func
	lifter *lifter
	conv   *convention
	vmin   uint64
	ir     *ir.Func
	blocks []*block      // in reverse postorder; blocks[0] is the entry
	bySrc  []*block      // by index in src.Blocks, and search's
	search *disasm.Block // see findSearch, or nil
	res    *Result
	looks  bool // at abi.Guard at its entry, see recursion
	// dynamicSP: predecessors disagree on the distance of rsp from its entry
	// value somewhere, so rsp is a variable like the others.
	dynamicSP bool
	// spMoves: some block does not know rsp's distance from its entry value.
	spMoves bool
	// checkpoints: the register file tells about where in the function control is.
	checkpoints bool
	entrySP     *ir.Value                     // made where it is needed
	indexes     map[*disasm.Switch]indexValue // see noteSwitchIndex
	loads       map[switchAt][]*disasm.Switch
	stubs       map[uint64]*x86.Inst
	sum         summary
	fetches     []int // blocks, see findHot
	hot         Set
	size        int         // values before linking
	absolute    bool        // see ir.Func
	broken      Set         // see findBroken
	breaks      Set         // what a call of it changes besides what the convention lets it
	ends        bool        // likewise
	callees     []*function // called directly, once for each call
	callers     []*function // the other way round
	queued      bool        // see summarize and modifies
}

// lift finds what the data flow has to know of f, by lifting its blocks.
func (l *lifter) lift(f *disasm.Func) *function {
	fn := l.newFunction(f, l.res)
	if fn.liftBlocks(); !fn.consistentSP() {
		fn = l.newFunction(f, &Result{Untranslated: map[string]int{}})
		fn.dynamicSP = true
		fn.liftBlocks()
	}
	fn.spMoves = slices.ContainsFunc(fn.blocks, func(b *block) bool { return b.parent == nil && b.src != nil && !b.spKnown })
	fn.size, fn.absolute = fn.ir.NumValues(), fn.ir.Absolute
	fn.findBroken()
	fn.forget()
	return fn
}

func (l *lifter) newFunction(f *disasm.Func, res *Result) *function {
	fn := &function{src: f, lifter: l, conv: l.conv, vmin: l.vmin, checkpoints: l.checkpoints, stubs: l.stubs, res: res}
	fn.order()
	return fn
}

// liftBlocks lifts every block, in reverse postorder, so that a block with one
// predecessor starts from what that one knows, and looks through them. Done again, it
// finds the same: sites stay what they are for the data flow.
func (fn *function) liftBlocks() {
	fn.makeBlocks()
	c := new(ctx)
	for _, b := range fn.blocks {
		*c = ctx{Builder: ir.Builder{B: b.first}, fn: fn, b: b}
		c.liftBlock()
	}
}

// valuesPerInst is how many values most blocks have at most for each of their
// instructions.
const valuesPerInst = 10

// makeBlocks makes the IR function with a block for each of fn's.
func (fn *function) makeBlocks() {
	m := fn.lifter.memory
	fn.ir = m.next(fn.entry())
	fn.ir.Dead = fn.absolute
	fn.ir.Name, fn.ir.Kept = fn.src.Name, fn.conv.keptRegs
	fn.loads = switchLoads(fn.src)
	for _, b := range fn.blocks {
		b.blockValues = m.values.New()
		b.edges = m.edges.Take(len(b.succs))[:0]
		if b.src == nil {
			b.first = fn.ir.NewBlock(fn.ir.Entry)
			continue
		}
		b.first = fn.ir.NewBlock(fn.offset(b.src.Addr))
		b.first.Values = fn.ir.List(valuesPerInst * len(b.src.Insts))
	}
}

// order lists the blocks, in reverse postorder, and their predecessors.
func (fn *function) order() {
	fn.findSearch()
	post := fn.postorder()
	all := make([]block, len(post)+1)
	fn.blocks = make([]*block, len(all))
	fn.bySrc = make([]*block, len(fn.src.Blocks)+1)
	// The entry gets a block of its own when something jumps back to it.
	all[0] = block{fn: fn}
	edges := 1
	for i := range all {
		b := &all[i]
		fn.blocks[i] = b
		if i == 0 {
			continue
		}
		d := post[len(post)-i]
		*b = block{fn: fn, index: i, src: d}
		fn.bySrc[d.Index] = b
		edges += len(fn.successors(d))
	}
	fn.connect(edges)
	for _, b := range fn.blocks {
		if len(b.preds) == 1 && !b.repeats() && !b.preds[0].isSearch() {
			b.parent = b.preds[0]
			b.saves = savesVectors(b)
		}
	}
}

// connect lists the successors and predecessors of all blocks, between which
// there are so many edges.
func (fn *function) connect(edges int) {
	incoming := make([]int, len(fn.blocks))
	all := make([]*block, 2*edges)
	next := func(b *block) (list []*block) {
		if b.src == nil {
			return append(all[:0:1], fn.blocks[1])
		}
		succs := fn.successors(b.src)
		list = all[:0:len(succs)]
		for _, s := range succs {
			list = append(list, fn.bySrc[s.Index])
		}
		return list
	}
	for _, b := range fn.blocks {
		b.succs = next(b)
		all = all[len(b.succs):]
		for _, s := range b.succs {
			incoming[s.index]++
		}
	}
	for i, n := range incoming {
		fn.blocks[i].preds, all = all[:0:n], all[n:]
	}
	for _, b := range fn.blocks {
		for _, s := range b.succs {
			s.preds = append(s.preds, b)
		}
	}
}

// postorder lists the blocks that the function's entry reaches, children before parents.
func (fn *function) postorder() []*disasm.Block {
	type frame struct {
		d    *disasm.Block
		next int
	}
	f := fn.src
	seen := make([]bool, len(f.Blocks)+1)
	seen[f.Blocks[0].Index] = true
	post := make([]*disasm.Block, 0, len(f.Blocks))
	stack := []frame{{f.Blocks[0], 0}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		succs := fn.successors(top.d)
		if top.next < len(succs) {
			s := succs[top.next]
			top.next++
			if !seen[s.Index] {
				seen[s.Index] = true
				stack = append(stack, frame{s, 0})
			}
			continue
		}
		post = append(post, top.d)
		stack = stack[:len(stack)-1]
	}
	return post
}

// successors lists where d's end may go in the function, without repeats.
func (fn *function) successors(d *disasm.Block) []*disasm.Block {
	s := d.Term.Succs
	if fn.searches(d) {
		return []*disasm.Block{fn.search}
	}
	if len(s) == 2 && s[0] == s[1] {
		return s[:1]
	}
	return s
}

// entry is the function's entry, a unit offset.
func (fn *function) entry() uint32 { return fn.offset(fn.src.Entry) }

// offset turns a vaddr into a unit offset.
func (fn *function) offset(vaddr uint64) uint32 { return uint32(vaddr - fn.vmin) }

// liftBlock lifts the instructions and the end of c's block.
func (c *ctx) liftBlock() {
	if c.b.src == nil {
		c.b.pivot = c.B
		c.entry()
		return
	}
	c.startSP()
	d := c.b.src
	n := len(d.Insts)
	ends := n > 0 && d.Term.Kind != disasm.Fallthrough && isJump(&d.Insts[n-1])
	if ends {
		n--
	}
	for i := 0; i < n; i++ {
		if k := x87Zeros(d.Insts[i:n]); k > 0 {
			c.in = &d.Insts[i]
			c.x87(abi.X87(abi.X87Zeros, abi.X87SrcReg, uint8(k-1), 0), nil)
			c.fn.res.Instructions += 2 * k
			i += 2*k - 1
			continue
		}
		c.noteSwitchIndex(i)
		c.fn.res.Instructions++
		if !c.inst(&d.Insts[i]) {
			return
		}
		c.noteSwitchLoad(i)
	}
	if ends {
		c.noteSwitchIndex(n)
		c.fn.res.Instructions++
		c.in = &d.Insts[n]
	}
	c.b.pivot = c.B
	c.end(&d.Term)
}

// isJump reports whether in is the control transfer that a Term describes,
// rather than an ordinary last instruction.
func isJump(in *x86.Inst) bool {
	switch in.Op {
	case x86asm.JMP, x86asm.RET, x86asm.JCXZ, x86asm.JECXZ, x86asm.JRCXZ, x86asm.LOOP, x86asm.LOOPE, x86asm.LOOPNE:
		return true
	}
	return isJcc[in.Op]
}

var isJcc = func() *x86.ByOp[bool] {
	set := new(x86.ByOp[bool])
	for op := range jccs {
		set[op] = true
	}
	return set
}()

// inst lifts one instruction; false means that control does not go on.
func (c *ctx) inst(in *x86.Inst) bool {
	c.in = in
	row := rows[in.Op]
	if row == nil {
		return c.untranslated(x86.OpName(in.Op))
	}
	if err := row(c, in); err != nil {
		return c.untranslated(fmt.Sprintf("%s: %v", x86.OpName(in.Op), err))
	}
	if c.fn.checkpoints && makesFrame(in) {
		c.checkpoint(in.Next())
	}
	return !c.stopped
}

// untranslated makes the instruction a trap, and counts why.
func (c *ctx) untranslated(reason string) bool {
	c.fn.res.Untranslated[reason]++
	if at := c.fn.res.at; at != nil && c.in != nil {
		at[c.in.Addr] = reason
	}
	c.trap(abi.TrapUntranslated)
	return false
}

// trap ends the block with a trap at the current instruction.
func (c *ctx) trap(kind abi.TrapKind) {
	if c.in == nil {
		c.trapAt(kind, c.b.src.End)
		return
	}
	c.trapAt(kind, c.in.Addr)
}

// trapAt is a trap that has the address pc.
func (c *ctx) trapAt(kind abi.TrapKind, pc uint64) {
	c.B.Append(c.newTrap(kind, pc))
	c.B.Term = ir.Term{Kind: ir.Unreachable}
	c.stopped = true
}

// switchAt is the place of a jump table's load: instruction index in block.
type switchAt struct {
	block *disasm.Block
	load  int
}

// indexValue is a jump table's index as it was before the load.
type indexValue struct {
	in    *block
	value *ir.Value
}

func switchLoads(f *disasm.Func) map[switchAt][]*disasm.Switch {
	var loads map[switchAt][]*disasm.Switch
	for _, b := range f.Blocks {
		if s := b.Term.Switch; s != nil {
			if loads == nil {
				loads = map[switchAt][]*disasm.Switch{}
			}
			at := switchAt{s.LoadBlock, s.Load}
			loads[at] = append(loads[at], s)
		}
	}
	return loads
}

// noteSwitchIndex keeps the value of the index register before instruction i
// when that is the table load of a switch.
func (c *ctx) noteSwitchIndex(i int) {
	if c.fn.loads == nil {
		return
	}
	for _, s := range c.fn.loads[switchAt{c.b.src, i}] {
		if v, size, ok := gprOf(s.Index); ok && size >= 4 {
			if c.fn.indexes == nil {
				c.fn.indexes = map[*disasm.Switch]indexValue{}
			}
			c.fn.indexes[s] = indexValue{c.b, c.get(v)}
		}
	}
}

// noteSwitchLoad marks what instruction i just read, when that is the table of a
// switch.
func (c *ctx) noteSwitchLoad(i int) {
	if c.fn.loads == nil || len(c.fn.loads[switchAt{c.b.src, i}]) == 0 {
		return
	}
	for k := len(c.B.Values) - 1; k >= 0; k-- {
		if v := c.B.Values[k]; v.Op.Info().Effect == ir.ReadMem {
			v.Aux2 = ir.Fixed
			return
		}
	}
}
