package wasm

import (
	"math/rand/v2"
	"slices"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// Random units have functions at unit offsets 0x1000+0x10*i. Function 0 makes
// the system call exit, so that a return address of it, or leaving to it, ends
// a run. Function i calls only functions between 0 and i, so all ends.
const (
	unitBase  = 0x400000 // guest address
	exitEntry = 0x1000
	scratch   = 0x600000 // linear address of memory that functions use
	scratchSz = 0x1000
	stackTop  = 0x800000
	fuelReg   = abi.R15 // blocks left
	argCount  = len(abi.ParamRegs)
	exitCall  = 60
)

func entryOf(i int) uint32 { return exitEntry + 0x10*uint32(i) }

// partEnv has every other function in another part.
type partEnv struct{ part, function int }

func partOf(i int) int { return i & 1 }

// Base is told to every third function.
func (e partEnv) Base() (uint32, bool) { return unitBase, e.function%3 == 0 }

func (e partEnv) Callee(entry uint32) (uint32, bool) {
	i := int(entry-exitEntry) / 0x10
	return uint32(i), partOf(i) == e.part
}

// generator makes one random function.
type generator struct {
	r     *rand.Rand
	f     *ir.Func
	index int
	g     *ir.CFG
	dom   []int
	b     ir.Builder
	// values of each block, by its position; a block sees its dominators'
	made [][]*ir.Value
}

func exitFunc() *ir.Func {
	f := &ir.Func{Entry: exitEntry}
	b := ir.Builder{B: f.NewBlock(0)}
	z := b.Const64(0)
	b.New(ir.Syscall, b.Const64(exitCall), z, z, z, z, z, z)
	b.B.Term.Kind = ir.Unreachable
	return f
}

func randomFunc(r *rand.Rand, index, blocks int) *ir.Func {
	g := &generator{r: r, f: &ir.Func{Entry: entryOf(index), PollAtEntry: r.IntN(4) == 0}, index: index}
	g.shape(blocks)
	g.g = ir.NewCFG(g.f)
	g.dom = g.g.Dominators(nil)
	g.made = make([][]*ir.Value, len(g.g.Order))
	for i, blk := range g.g.Order {
		g.fill(i, blk)
	}
	for i, blk := range g.g.Order {
		g.arguments(i, blk)
	}
	g.f.Blocks = g.g.Order
	for i, blk := range g.f.Blocks {
		blk.ID = i
	}
	return g.f
}

var paramTypes = []ir.Type{ir.I32, ir.I64, ir.I64, ir.I64, ir.F64, ir.V128}

// shape makes the blocks, their parameters and edges; more edges lead forward
// than back.
func (g *generator) shape(n int) {
	for i := range n {
		b := g.f.NewBlock(uint32(i))
		for range g.r.IntN(4) {
			if i > 0 {
				b.AddParam(paramTypes[g.r.IntN(len(paramTypes))])
			}
		}
	}
	for i, b := range g.f.Blocks {
		kinds := []ir.TermKind{ir.Jump, ir.Jump, ir.Branch, ir.Branch, ir.Branch, ir.Switch, ir.Return, ir.Leave, ir.TailCall}
		b.Term.Kind = kinds[g.r.IntN(len(kinds))]
		if i+1 == n || i > 0 && b.Term.Kind > ir.Switch && g.r.IntN(3) > 0 {
			b.Term.Kind = ir.Return
		} else if i < n/2 && b.Term.Kind > ir.Switch {
			b.Term.Kind = ir.Branch
		}
		edges := map[ir.TermKind]int{ir.Jump: 1, ir.Branch: 2, ir.Switch: 1 + g.r.IntN(5)}[b.Term.Kind]
		for range edges {
			to := i + 1 + g.r.IntN(min(4, n-i-1))
			if g.r.IntN(4) == 0 {
				to = 1 + g.r.IntN(n-1)
			}
			b.Term.Succs = append(b.Term.Succs, ir.Edge{To: g.f.Blocks[to]})
		}
	}
}

// fill gives block i its values and all of its terminator but edge arguments.
// Every block first takes one from the fuel and leaves when there is none.
func (g *generator) fill(i int, blk *ir.Block) {
	g.b = ir.Builder{B: blk}
	g.made[i] = append(g.made[i], blk.Params...)
	if i == 0 {
		g.keep(i, g.b.New(ir.SP))
		for k := range argCount {
			a := g.b.New(ir.Arg)
			a.Aux = int64(k)
			g.keep(i, a)
		}
	}
	fuel := g.b.AddC(g.b.GetReg(int(fuelReg), ir.I64), -1)
	g.b.SetReg(int(fuelReg), fuel)
	for range g.r.IntN(12) {
		g.operation(i)
	}
	t := &blk.Term
	left := g.b.New(ir.I64GtS, fuel, g.b.Const64(0))
	switch t.Kind {
	case ir.Branch:
		t.Cond = g.b.And(g.b.AndC(g.pick(i, ir.I32), 1), left)
	case ir.Switch:
		// Without fuel the default.
		t.Cond = g.b.Select(left, g.b.AndC(g.pick(i, ir.I32), 3), g.b.Const32(-1))
	case ir.Return:
		t.Args = []*ir.Value{g.b.Load(ir.Load32, g.b.New(ir.SP), 0), g.pick(i, ir.I64), g.pick(i, ir.I64), g.b.New(ir.SP)}
	case ir.Leave:
		g.b.SetReg(int(abi.RAX), g.pick(i, ir.I64))
		g.b.SetReg(int(abi.RDX), g.pick(i, ir.I64))
		t.Args = []*ir.Value{g.guest(exitEntry), g.pick(i, ir.I64)}
	case ir.TailCall:
		var args []*ir.Value
		t.Info, args = g.target(i)
		t.Args = append(append([]*ir.Value{g.b.New(ir.SP)}, g.callArguments(i)...), args...)
	}
	if i > 0 && (g.r.IntN(8) == 0 || slices.Contains(g.g.Headers(), blk)) {
		blk.Poll = []ir.RegValue{{Reg: abi.R12, Value: g.outside(i)}}
	}
}

// outside is a value that exists at the start of block i.
func (g *generator) outside(i int) *ir.Value {
	for _, p := range g.g.Order[i].Params {
		if p.Type == ir.I64 {
			return p
		}
	}
	args := g.made[0][1 : 1+argCount]
	return args[g.r.IntN(len(args))]
}

func (g *generator) keep(i int, v *ir.Value) { g.made[i] = append(g.made[i], v) }

// pick returns a random value of type t that block i sees.
func (g *generator) pick(i int, t ir.Type) *ir.Value {
	var from []*ir.Value
	for d := i; d != ir.NoDom; d = g.dom[d] {
		for _, v := range g.made[d] {
			if v.Type == t {
				from = append(from, v)
			}
		}
	}
	if len(from) > 0 && g.r.IntN(8) > 0 {
		return from[g.r.IntN(len(from))]
	}
	if t == ir.F64 {
		return g.b.New(ir.F64ConvertI32S, g.b.Const32(int64(g.r.IntN(1000))))
	}
	if t == ir.V128 {
		return g.b.ConstV128(g.r.Uint64(), g.r.Uint64())
	}
	return g.b.Const(t, int64(g.r.Uint64())>>g.r.IntN(64))
}

// guest is the guest address of a unit offset, as an I32.
func (g *generator) guest(off uint32) *ir.Value {
	return g.b.AddC(g.b.New(ir.Lin), int64(off))
}

func (g *generator) address(i int) *ir.Value {
	return g.b.AddC(g.b.AndC(g.pick(i, ir.I32), scratchSz-1), scratch)
}

var guestRegs = []abi.Reg{abi.R9, abi.RBX, abi.RBP, abi.R13, abi.R14, abi.XMM0 + 3}

func (g *generator) operation(i int) {
	b := g.b
	switch g.r.IntN(12) {
	case 0:
		op := loadOps[g.r.IntN(len(loadOps))]
		g.keep(i, b.Load(op, g.address(i), uint32(g.r.IntN(64))))
	case 1:
		op := storeOps[g.r.IntN(len(storeOps))]
		b.Store(op, g.address(i), uint32(g.r.IntN(64)), g.pick(i, op.Info().Args[1]))
	case 2:
		r := guestRegs[g.r.IntN(len(guestRegs))]
		g.keep(i, b.GetReg(int(r), ir.RegType(r)))
	case 3:
		r := guestRegs[g.r.IntN(len(guestRegs))]
		b.SetReg(int(r), g.pick(i, ir.RegType(r)))
	case 4:
		g.call(i)
	case 5:
		t := paramTypes[g.r.IntN(len(paramTypes))]
		g.keep(i, b.Select(g.pick(i, ir.I32), g.pick(i, t), g.pick(i, t)))
	case 6:
		g.atomic(i)
	default:
		g.arithmetic(i)
	}
}

var (
	loadOps = []ir.Op{ir.Load32, ir.Load8U32, ir.Load8S32, ir.Load16S32, ir.Load64, ir.Load8S64, ir.Load16U64, ir.Load32U64, ir.Load32S64,
		ir.LoadV128, ir.Load32Zero, ir.Load64Zero}
	storeOps = []ir.Op{ir.Store32, ir.Store8x32, ir.Store16x32, ir.Store64, ir.Store8x64, ir.Store16x64, ir.Store32x64, ir.StoreF64, ir.StoreV128}
	mathOps  = append(integerOps(), ir.F64Add, ir.F64Sub, ir.F64Lt, ir.F64Ge, ir.I64ReinterpretF64, ir.F64ConvertI32S, ir.V128And, ir.V128Xor,
		ir.V128Andnot, ir.I64x2Add, ir.I64x2Splat, ir.I64x2ExtractLane, ir.I64x2ReplaceLane, ir.MulHU, ir.MulHS)
)

// integerOps are those that can't trap.
func integerOps() (list []ir.Op) {
	for op := ir.I32Add; op <= ir.I64ExtendI32U; op++ {
		if op.Info().Effect == ir.Pure {
			list = append(list, op)
		}
	}
	return list
}

func (g *generator) arithmetic(i int) {
	op := mathOps[g.r.IntN(len(mathOps))]
	var args []*ir.Value
	for _, t := range op.Info().Args {
		args = append(args, g.pick(i, t))
	}
	v := g.b.New(op, args...)
	if immediates()[op] == immLane {
		v.Aux = int64(g.r.IntN(2))
	}
	g.keep(i, v)
}

func (g *generator) atomic(i int) {
	addr := g.b.AndC(g.address(i), -8)
	v := g.b.Typed(ir.AtomicAdd, ir.I64, addr, g.pick(i, ir.I64))
	if g.r.IntN(2) == 0 {
		v.Op = ir.AtomicXchg
	}
	v.Aux2 = 8 >> g.r.IntN(4)
	g.keep(i, v)
}

// target is a random earlier function, and the last argument of an indirect
// call.
func (g *generator) target(i int) (*ir.CallInfo, []*ir.Value) {
	off := entryOf(0)
	if g.index > 1 {
		off = entryOf(1 + g.r.IntN(g.index-1))
	}
	info := &ir.CallInfo{Target: off, Return: 0x5000 + uint32(g.r.IntN(0x1000))}
	if g.r.IntN(3) == 0 {
		info.Kind = ir.Indirect
		return info, []*ir.Value{g.guest(off)}
	}
	return info, nil
}

func (g *generator) callArguments(i int) (args []*ir.Value) {
	for range argCount {
		args = append(args, g.pick(i, ir.I64))
	}
	return args
}

// call pushes a return address, wrong once in a while, and calls.
func (g *generator) call(i int) {
	b := g.b
	info, last := g.target(i)
	sp := b.AddC(b.New(ir.SP), -8*int64(1+g.r.IntN(4)))
	ra := b.AddC(b.ZExt(b.New(ir.Lin)), int64(info.Return))
	if g.r.IntN(30) == 0 {
		ra = b.ZExt(g.guest(exitEntry))
	}
	b.Store(ir.Store64, sp, 0, ra)
	c := b.New(ir.Call, append(append([]*ir.Value{sp}, g.callArguments(i)...), last...)...)
	c.Info = info
	for k := range 2 {
		if g.r.IntN(3) > 0 {
			r := b.New(ir.Result, c)
			r.Aux = int64(k)
			g.keep(i, r)
		}
	}
}

func (g *generator) arguments(i int, blk *ir.Block) {
	g.b = ir.Builder{B: blk}
	for k := range blk.Term.Succs {
		e := &blk.Term.Succs[k]
		for _, p := range e.To.Params {
			e.Args = append(e.Args, g.pick(i, p.Type))
		}
	}
}
