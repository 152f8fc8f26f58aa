package lift

import (
	"slices"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// Control transfer instructions that do not end a block; end has the others.
var controlRows = map[x86asm.Op]row{
	x86asm.CALL: call, x86asm.SYSCALL: syscall,
}

// site is a call or system call, kept with the state in front of it until
// summarize knows what has to be passed.
type site struct {
	call   *ir.Value // Call, Syscall or Place
	faults *ir.Value // the Trap of the instruction at a Place, which has the same state
	term   *ir.Block // tail call: the block it ends
	info   *ir.CallInfo
	direct bool
	callee *function           // of a direct call or tail call, if it is in the unit
	conv   *convention         // the function's
	vars   *[numRegs]*ir.Value // nil entries: as at the start of the block
	after  Set                 // live after the site
	// through is what the site leaves alone and a later call may want.
	through Set
	before  Set // what the site needs
	owed    Set // of a tail call: the registers that what it jumps to has yet to restore, see findBroken
}

// What stands for the calls and system calls of sites that were forgotten.
var (
	someCall    = &ir.Value{Op: ir.Call}
	someSyscall = &ir.Value{Op: ir.Syscall}
	somePlace   = &ir.Value{Op: ir.Place}
)

// known is s with what old knows for the data flow, if it is lifted again, in
// old's place.
func (s site) known(old *site) *site {
	if old == nil {
		return &s
	}
	old.call, old.term, old.info, old.vars, old.faults = s.call, s.term, s.info, s.vars, s.faults
	return old
}

// forget drops the site's values.
func (s *site) forget() {
	if s == nil {
		return
	}
	s.vars, s.faults = nil, nil
	switch {
	case s.term != nil:
		s.term = &ir.Block{Term: ir.Term{Kind: s.term.Term.Kind, Info: s.term.Term.Info}}
	case s.isCall():
		s.call = someCall
	case s.isPlace():
		s.call = somePlace
	default:
		s.call = someSyscall
	}
}

func nop(c *ctx, in *x86.Inst) error { return nil }

func trapRow(kind abi.TrapKind) row {
	return func(c *ctx, in *x86.Inst) error {
		c.trap(kind)
		return nil
	}
}

func interrupt(c *ctx, in *x86.Inst) error {
	if n, ok := in.Args[0].(x86asm.Imm); ok && n == 3 {
		return breakpoint(c, in)
	}
	c.trap(abi.TrapPrivileged)
	return nil
}

// breakpoint is int3. Where more of them follow, they are what linkers fill gaps with.
func breakpoint(c *ctx, in *x86.Inst) error {
	c.trapAndGoOn(abi.TrapBreakpoint, in.Next())
	return nil
}

func undefined(c *ctx, in *x86.Inst) error {
	c.trapAndGoOn(abi.TrapUD, in.Addr)
	return nil
}

// trapAndGoOn is a trap that a handler may return from, to the next instruction, with any registers. pc is
// what it finds as rip.
func (c *ctx) trapAndGoOn(kind abi.TrapKind, pc uint64) {
	if c.isFiller(c.in) {
		c.trapAt(kind, pc)
		return
	}
	c.forgetRegisters()
	v := c.B.Append(c.newTrap(kind, pc))
	c.placeBehind(c.in.Next()).Aux = ir.Afresh
	c.leaveState(v)
	for v := Var(0); v < numRegs; v++ {
		if v != RSP {
			c.b.vars[v] = inFile
		}
	}
}

// isFiller reports whether a trap is followed by the same, or by nothing.
func (c *ctx) isFiller(in *x86.Inst) bool {
	list := c.b.src.Insts
	i := slices.IndexFunc(list, func(x x86.Inst) bool { return x.Addr == in.Next() })
	return i < 0 && c.b.src.Term.Kind == disasm.Halt || i >= 0 && list[i].Op == in.Op
}

// call pushes the return address and calls. What it may change is afterwards
// in the register file.
func call(c *ctx, in *x86.Inst) error {
	info := &ir.CallInfo{Kind: ir.Indirect, Return: c.fn.offset(in.Next())}
	var target *ir.Value
	if rel, ok := in.Args[0].(x86asm.Rel); ok {
		entry := in.Next() + uint64(int64(rel))
		if target = c.behind(entry); target == nil {
			info.Kind, info.Target = ir.Direct, c.fn.offset(entry)
		}
	} else {
		t, err := c.read(0, 8)
		if err != nil {
			return err
		}
		target = c.Wrap(t)
	}
	c.push(c.ZExt(c.codeAddr(info.Return)), 8)
	sp := c.stack(c.get(RSP))
	v := c.B.Func.NewValue(ir.Call, ir.Void)
	v.Args = c.argsFor(sp, target)
	v.Info = info
	broken := c.fn.brokenBy(info)
	info.Changed = broken.regs()
	c.forgetRegisters()
	c.closeSegment(site{call: v, info: info, direct: info.Kind == ir.Direct})
	c.B.Append(v)
	c.afterCall(v, broken)
	if c.fn.checkpoints {
		c.checkpoint(in.Next())
	}
	return nil
}

// argsFor is the arguments of a call with stack pointer sp; link sets the
// others, and the target of a call whose callee turns out not to be in the unit.
func (c *ctx) argsFor(sp, target *ir.Value) []*ir.Value {
	args := c.fn.ir.List(len(argRegs) + 2)
	for range 1 + len(argRegs) {
		args = append(args, sp)
	}
	if target != nil {
		args = append(args, target)
	}
	return args
}

// forgetRegisters makes the registers' values ones of which no more is known than that they are
// the registers', in front of a site that other functions have too.
func (c *ctx) forgetRegisters() {
	if !c.b.src.Shared {
		return
	}
	for v := Var(0); v < numRegs; v++ {
		if x := c.b.find(v); v != RSP && x != inFile && x != fromCallee {
			c.b.vars[v] = c.Opaque(int(v.reg()), x)
		}
	}
}

// checkpoint puts rip and rsp in the register file, for the context of a fault's
// signal: Go's handler unwinds from it.
func (c *ctx) checkpoint(addr uint64) {
	c.SetReg(int(abi.RSP), c.get(RSP))
	c.SetReg(int(abi.PC), c.ZExt(c.codeAddr(c.fn.offset(addr))))
}

// makesFrame reports whether in takes room for a function's frame.
func makesFrame(in *x86.Inst) bool {
	_, imm := in.Args[1].(x86asm.Imm)
	return in.Op == x86asm.SUB && in.Args[0] == x86asm.RSP && imm
}

// closeSegment ends the block's segment at s and notes the state there.
func (c *ctx) closeSegment(s site) {
	s.info.Shared, s.conv = c.b.src.Shared, c.fn.conv
	s.vars = c.registers()
	for _, x := range s.vars {
		hold(x)
	}
	seg := c.b.segment()
	seg.site = s.known(seg.site)
	c.b.seg++
	c.b.segment()
	c.written = [XMM0]uint8{}
}

// place makes the instruction at addr, which is lifted next, one where execution can begin, with
// the registers of the register file: a handler of a fault may return there.
func (c *ctx) place(addr uint64) *ir.Value {
	c.forgetRegisters()
	return c.placeBehind(addr)
}

// placeBehind is place behind a trap with the same state.
func (c *ctx) placeBehind(addr uint64) *ir.Value {
	v := c.B.Func.NewValue(ir.Place, ir.Void)
	v.Info = &ir.CallInfo{Return: c.fn.offset(addr)}
	c.get(RSP)
	c.closeSegment(site{call: v, info: v.Info})
	return c.B.Append(v)
}

// newTrap is a trap at pc.
func (c *ctx) newTrap(kind abi.TrapKind, pc uint64) *ir.Value {
	v := c.B.Func.NewValue(ir.Trap, ir.Void)
	v.Aux, v.Aux2 = int64(kind), int64(c.fn.offset(pc))
	return v
}

// leaveState has trap v leave in the register file what the last place says to be live.
func (c *ctx) leaveState(v *ir.Value) {
	v.Info = &ir.CallInfo{}
	c.b.segs[c.b.seg-1].site.faults = v
}

// trapTo is a trap in a block of its own.
type trapTo struct {
	c     *ctx
	block *ir.Block
}

func (c *ctx) trapBlock(v *ir.Value) trapTo {
	b := c.fn.ir.NewBlock(c.B.Addr)
	b.Append(v)
	b.Term = ir.Term{Kind: ir.Unreachable}
	return trapTo{c, b}
}

// trapHere makes the trap of the instruction that place made one to begin at.
func (c *ctx) trapHere(kind abi.TrapKind) trapTo {
	v := c.newTrap(kind, c.in.Addr)
	c.leaveState(v)
	return c.trapBlock(v)
}

// trapIf takes the trap if cond holds.
func (t trapTo) trapIf(cond *ir.Value) {
	if isZero(cond) {
		return
	}
	good := t.c.fn.ir.NewBlock(t.c.B.Addr)
	t.c.B.Term = t.c.fn.ir.Branch(cond, t.block, good)
	t.c.B = good
}

// hold keeps the builder from using what x was made of behind a call: only
// registers are known there. What a register has zeroes above is known too.
func hold(x *ir.Value) {
	for ; x != nil && !x.Held && x != inFile && x != fromCallee; x = x.Args[0] {
		x.Held = true
		if x.Op != ir.I64ExtendI32U && x.Op != ir.I64ExtendI32S {
			return
		}
	}
}

// registers is a copy of the registers' values.
func (c *ctx) registers() *[numRegs]*ir.Value {
	regs := c.fn.lifter.memory.regs.New()
	copy(regs[:], c.b.vars[:])
	return regs
}

// afterCall gives the variables their values after a call of a function that
// changes the registers in broken besides those it may.
func (c *ctx) afterCall(call *ir.Value, broken Set) {
	for v := Var(0); v < numRegs; v++ {
		switch {
		case c.fn.conv.changed.has(v):
			c.b.vars[v] = inFile
		case broken.has(v):
			c.b.vars[v] = fromCallee
		}
	}
	c.result(RAX, call, 0)
	c.result(RDX, call, 1)
	zero := c.Const32(0)
	for f := CF; f < Dest; f++ {
		c.b.vars[f], c.b.flags[f-CF] = zero, nil
	}
	c.b.vars[RSP] = c.AddC(c.b.vars[RSP], 8)
	// rax and rdx count as read from the callee, not as written here.
	c.b.segment().def |= setOf(RSP) | flagSet
}

func (c *ctx) result(v Var, call *ir.Value, i int64) {
	x := c.Typed(ir.Result, ir.I64, call)
	x.Aux = i
	c.b.vars[v] = x
}

// syscall is one host call; only rax, rcx and r11 change.
func syscall(c *ctx, in *x86.Inst) error {
	v := c.systemCall(in, c.get(RAX))
	c.set(RAX, v)
	c.set(RCX, c.ZExt(c.codeAddr(v.Info.Return)))
	c.set(R11, c.Const64(0x202)) // rflags as user programs have them
	return nil
}

// systemCall is a call of the host.
func (c *ctx) systemCall(in *x86.Inst, nr *ir.Value) *ir.Value {
	c.get(RSP)
	v := c.B.Func.NewValue(ir.Syscall, ir.I64, nr, nr, nr, nr, nr, nr, nr) // arguments are set by link
	v.Info = &ir.CallInfo{Return: c.fn.offset(in.Next())}
	c.forgetRegisters()
	c.closeSegment(site{call: v, info: v.Info})
	c.B.Append(v)
	return v
}

// jump ends the IR block with a jump to d.
func (c *ctx) jump(d *disasm.Block) {
	c.B.Term = c.fn.ir.Jump(nil)
	c.edge(0, d)
}

// edge notes that successor i of the current IR block is d's block.
func (c *ctx) edge(i int, d *disasm.Block) {
	to := c.fn.blocks[1] // the entry block's only edge
	if d != nil {
		to = c.fn.bySrc[d.Index]
	}
	c.B.Term.Succs[i].To = to.first
	c.b.edges = append(c.b.edges, edge{from: c.B, succ: i, to: to})
}

// end lifts the end of a block.
func (c *ctx) end(t *disasm.Term) {
	switch t.Kind {
	case disasm.Fallthrough, disasm.Jump:
		c.jump(t.Succs[0])
	case disasm.CondJump:
		c.branch(c.jumpCondition(), t.Succs[0], t.Succs[1])
	case disasm.CondTail:
		tail, next := c.arms(c.jumpCondition())
		c.B = next
		c.jump(t.Succs[0])
		c.B = tail
		c.tailCall(&ir.CallInfo{Kind: ir.Direct, Target: c.fn.offset(t.Target)}, c.behind(t.Target))
	case disasm.TailCall:
		c.tailCall(&ir.CallInfo{Kind: ir.Direct, Target: c.fn.offset(t.Target)}, c.behind(t.Target))
	case disasm.Ret:
		c.ret()
	case disasm.IndirectJump, disasm.SwitchJump:
		if c.b.isSearch() {
			c.searchFor(t.Succs, c.get(Dest))
			return
		}
		c.indirect(t)
	default:
		c.halt(t)
	}
}

// arms ends the IR block with a branch to two new ones.
func (c *ctx) arms(cond *ir.Value) (then, els *ir.Block) {
	then, els = c.fn.ir.NewBlock(c.B.Addr), c.fn.ir.NewBlock(c.B.Addr)
	c.B.Term = c.fn.ir.Branch(cond, then, els)
	return then, els
}

func (c *ctx) branch(cond *ir.Value, then, els *disasm.Block) {
	if then == els {
		c.jump(then)
		return
	}
	for cond.Op == ir.I32Eqz { // the engine does not fold a negation into the branch
		cond, then, els = cond.Args[0], els, then
	}
	c.B.Term = c.fn.ir.Branch(cond, nil, nil)
	c.edge(0, then)
	c.edge(1, els)
}

// jumpCondition is when the conditional jump at the block's end is taken.
func (c *ctx) jumpCondition() *ir.Value {
	if cc, ok := jccs[c.in.Op]; ok {
		return c.condition(cc)
	}
	size := c.in.AddrSize / 8
	count := sized(RCX, size)
	switch c.in.Op {
	case x86asm.JCXZ, x86asm.JECXZ, x86asm.JRCXZ:
		size = map[x86asm.Op]int{x86asm.JCXZ: 2, x86asm.JECXZ: 4, x86asm.JRCXZ: 8}[c.in.Op]
		return c.Eqz(c.readGPR(sized(RCX, size), size))
	}
	left := c.AddC(c.readGPR(count, size), -1)
	c.writeGPR(count, size, left)
	taken := c.Bool(left)
	switch c.in.Op {
	case x86asm.LOOPE:
		taken = c.And(taken, c.condition(ccE))
	case x86asm.LOOPNE:
		taken = c.And(taken, c.condition(ccNE))
	}
	return taken
}

func (c *ctx) halt(t *disasm.Term) {
	if t.Err != "" {
		c.in = nil
		if n := len(c.b.src.Insts); n > 0 {
			c.in = &c.b.src.Insts[n-1]
		}
		c.untranslated(t.Err)
		return
	}
	c.trap(abi.TrapUD) // after a call that does not return
}

// ret returns when rsp is where it was at entry, and exits abnormally
// otherwise. A piece of a function returns as the function does, from further up the stack.
func (c *ctx) ret() {
	sp := c.get(RSP)
	extra := int64(0)
	if n, ok := c.in.Args[0].(x86asm.Imm); ok {
		extra = int64(n)
	}
	d, known := spOffset(sp)
	switch {
	case known && d == 0 && extra == 0:
		c.plainReturn(c.New(ir.SP))
	case known && d > 0 && extra == 0 && c.fn.src.Piece:
		c.plainReturn(c.stack(sp))
	case known || extra != 0:
		c.leave(sp, extra)
	default:
		at := c.stack(sp)
		same, other := c.arms(c.Bin(ir.I32Eq, at, c.fn.spAtEntry()))
		c.B = other
		c.leave(sp, extra)
		c.B = same
		c.plainReturn(at)
	}
}

// spAtEntry is the function's stack pointer to compare with where rsp may be
// anywhere: a resumed function can't tell if it has changed stacks.
func (fn *function) spAtEntry() *ir.Value {
	if fn.entrySP == nil {
		entry := fn.blocks[0].first
		fn.entrySP = fn.ir.NewValue(ir.EntrySP, ir.I32)
		fn.entrySP.Block = entry
		entry.Values = append([]*ir.Value{fn.entrySP}, entry.Values...)
	}
	return fn.entrySP
}

// plainReturn returns with the return address at the linear address sp.
func (c *ctx) plainReturn(sp *ir.Value) {
	ra := c.Load(ir.Load32, sp, 0)
	c.exit(ir.Term{Kind: ir.Return, Args: append(c.fn.ir.List(4), ra, ra, ra, sp)})
}

// exit ends the function; what it hands back is filled in by link.
func (c *ctx) exit(t ir.Term) {
	c.B.Term = t
	s := site{term: c.B, vars: c.registers(), conv: c.fn.conv}
	if c.b.exit == len(c.b.exits) {
		c.b.exits = append(c.b.exits, nil)
	}
	at := &c.b.exits[c.b.exit]
	*at = s.known(*at)
	c.b.exit++
}

// leave is a return that the wasm stack does not follow.
func (c *ctx) leave(sp *ir.Value, extra int64) {
	pc := c.Load(ir.Load32, c.stack(sp), 0)
	rsp := c.AddC(sp, 8+extra)
	c.exit(ir.Term{Kind: ir.Leave, Args: []*ir.Value{pc, rsp}})
}

// tailCall jumps to another function. If rsp may be anywhere, as in longjmp,
// and is not where the function began, the wasm stack does not follow.
func (c *ctx) tailCall(info *ir.CallInfo, target *ir.Value) {
	rsp := c.get(RSP)
	sp := c.stack(rsp)
	if _, known := spOffset(rsp); !known {
		same, other := c.arms(c.Bin(ir.I32Eq, sp, c.fn.spAtEntry()))
		c.B = other
		c.leaveTo(info, target, rsp)
		c.B = same
	}
	if target != nil {
		info.Kind = ir.Indirect
	}
	c.exit(ir.Term{Kind: ir.TailCall, Args: c.argsFor(sp, target), Info: info})
}

// leaveTo is a jump that the wasm stack does not follow.
func (c *ctx) leaveTo(info *ir.CallInfo, target, rsp *ir.Value) {
	if target == nil {
		target = c.codeAddr(info.Target)
	}
	c.exit(ir.Term{Kind: ir.Leave, Args: []*ir.Value{target, rsp}})
}

// indirect is a jump through a register or memory.
func (c *ctx) indirect(t *disasm.Term) {
	x, err := c.read(0, 8)
	if err != nil {
		c.untranslated("indirect jump: " + err.Error())
		return
	}
	c.noteSwitchLoad(len(c.b.src.Insts) - 1)
	target := c.Wrap(x)
	if c.fn.searches(c.b.src) {
		c.set(Dest, target)
		c.jump(c.fn.search)
		return
	}
	if s := t.Switch; s != nil {
		if idx, ok := c.fn.indexes[s]; ok && idx.in.leadsTo(c.b) {
			if r, ok := c.in.Args[0].(x86asm.Reg); ok {
				v, _, _ := gprOf(r)
				c.b.through = setOf(v)
			}
			c.table(s, idx.value, target)
			return
		}
		c.searchFor(s.Targets, target)
		return
	}
	c.searchFor(t.Succs, target)
}

// leadsTo reports whether b's values are there at the end of to.
func (b *block) leadsTo(to *block) bool {
	for ; to != nil; to = to.parent {
		if to == b {
			return true
		}
	}
	return false
}

// table branches by a jump table's index. Where the table's entry is in
// another function, or beyond what is known of the table, the real target
// decides.
func (c *ctx) table(s *disasm.Switch, index, target *ir.Value) {
	n := int64(len(s.Targets))
	sel := c.Wrap(index)
	if index.Op != ir.I64ExtendI32U {
		sel = c.Select(c.Bin(ir.I32LtU, index, c.Const64(n)), sel, c.Const32(n))
	}
	beyond := c.fn.ir.NewBlock(c.B.Addr)
	var other *ir.Block
	c.B.Term = ir.Term{Kind: ir.Switch, Cond: sel, Succs: make([]ir.Edge, n+1)}
	for i, d := range s.Targets {
		if d == nil { // in another function
			if other == nil {
				other = c.fn.ir.NewBlock(c.B.Addr)
			}
			c.B.Term.Succs[i].To = other
			continue
		}
		c.edge(i, d)
	}
	c.B.Term.Succs[n].To = beyond
	if other != nil {
		c.B = other
		c.tailCall(&ir.CallInfo{}, target)
	}
	c.B = beyond
	if s.Bounded || ir.Below(index, n) { // what follows would keep all registers alive for nothing
		c.trap(abi.TrapUD)
		return
	}
	c.leaveTo(&ir.CallInfo{}, target, c.get(RSP))
}
