package wasm

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
)

// env is a unit of functions 0x10 bytes apart, every other one of which is
// in the part.
type env struct{}

func (env) Callee(entry uint32) (uint32, bool) { return 0, entry%0x20 == 0 }
func (env) Base() (uint32, bool)               { return 0, false }

// validate wraps bodies in a module and lets wabt check it.
func validate(t *testing.T, codes ...Code) {
	t.Helper()
	wabt(t, codes, "wasm-validate", "--enable-tail-call", "--enable-threads")
}

// wabt runs a tool of wabt on a module with the given functions.
func wabt(t *testing.T, codes []Code, name string, args ...string) string {
	t.Helper()
	tool, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s (wabt) is not installed", name)
	}
	u := &unit.Unit{}
	for i, c := range codes {
		u.Funcs = append(u.Funcs, unit.Func{Entry: uint32(i), Body: c.Body, Calls: c.Calls})
	}
	if err := u.Validate(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "unit.wasm")
	if err := os.WriteFile(file, u.Encode(), 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, append(args, file)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func compile(t *testing.T, f *ir.Func) Code {
	t.Helper()
	c, err := Compile(f, env{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryOperationIsEncoded(t *testing.T) {
	special := map[ir.Op]bool{ir.Param: true, ir.Const32: true, ir.Const64: true, ir.ConstF32: true, ir.ConstF64: true, ir.ConstV128: true,
		ir.SP: true, ir.EntrySP: true, ir.Arg: true, ir.Lin: true, ir.GetReg: true, ir.SetReg: true, ir.Call: true, ir.Result: true, ir.Syscall: true,
		ir.Opaque: true, ir.Trap: true, ir.Place: true, ir.X87: true, ir.Helper: true, ir.Helper2: true, ir.MulHU: true, ir.MulHS: true}
	for op := ir.Op(1); int(op) < ir.Ops(); op++ {
		_, atomic := atomicBase[op]
		if op.String() == "invalid" || special[op] || atomic {
			continue
		}
		if opcodes()[op] == nil {
			t.Errorf("%v has no opcode", op)
		}
	}
}

// eachOp calls fn with a function for each operation that is one wasm
// instruction, and the instruction's name.
func eachOp(fn func(f *ir.Func, name string)) {
	for op := ir.Op(1); int(op) < ir.Ops(); op++ {
		if _, ok := atomicBase[op]; ok {
			eachAtomic(op, fn)
		} else if opcodes()[op] != nil && op != ir.Select {
			fn(oneOp(op, op.Info().Result, op.Info().Args, 1), op.String())
		}
	}
	fn(oneOp(ir.Select, ir.I64, []ir.Type{ir.I64, ir.I64, ir.I32}, 0), "select")
	fn(oneOp(ir.Select, ir.V128, []ir.Type{ir.V128, ir.V128, ir.I32}, 0), "select")
}

func oneOp(op ir.Op, result ir.Type, args []ir.Type, aux2 int64) *ir.Func {
	f := &ir.Func{}
	b := ir.Builder{B: f.NewBlock(0)}
	var operands []*ir.Value
	for _, t := range args {
		operands = append(operands, operand(b, t))
	}
	v := b.Typed(op, result, operands...)
	v.Aux, v.Aux2 = 1, aux2
	if result != ir.Void {
		sink(b, v)
	}
	ret(b)
	return f
}

func operand(b ir.Builder, t ir.Type) *ir.Value {
	switch t {
	case ir.I32:
		return b.New(ir.SP)
	case ir.I64:
		return b.New(ir.Arg)
	case ir.F32:
		return b.New(ir.F32ReinterpretI32, b.New(ir.SP))
	case ir.F64:
		return b.New(ir.F64ReinterpretI64, b.New(ir.Arg))
	}
	return b.GetReg(int(abi.XMM0), ir.V128)
}

func eachAtomic(op ir.Op, fn func(f *ir.Func, name string)) {
	for t, widths := range atomicForm {
		for w := range widths {
			args, res := []ir.Type{ir.I32, t}, t
			switch op {
			case ir.AtomicLoad:
				args = args[:1]
			case ir.AtomicStore:
				res = ir.Void
			case ir.AtomicCmpxchg:
				args = append(args, t)
			}
			fn(oneOp(op, res, args, w), atomicName(op, t, w))
		}
	}
}

// atomicName is the name in the threads proposal's text format.
func atomicName(op ir.Op, t ir.Type, width int64) string {
	name, size := op.String(), ""
	if full := map[ir.Type]int64{ir.I32: 4, ir.I64: 8}[t]; width != full {
		size = strconv.Itoa(8 * int(width))
	}
	u := ""
	if size != "" && op != ir.AtomicStore {
		u = "_u"
	}
	if rmw, found := strings.CutPrefix(name, "atomic.rmw"); found {
		return t.String() + ".atomic.rmw" + size + rmw + u
	}
	return t.String() + "." + name + size + u
}

// TestOpcodesAgainstDisassembler compares with the names that an independent
// disassembler gives to what is emitted.
func TestOpcodesAgainstDisassembler(t *testing.T) {
	var codes []Code
	var names []string
	eachOp(func(f *ir.Func, name string) {
		codes, names = append(codes, compile(t, f)), append(names, name)
	})
	validate(t, codes...)
	bodies := regexp.MustCompile(`(?m)^[0-9a-f]+ func\[\d+\]`).Split(wabt(t, codes, "wasm-objdump", "-d"), -1)[1:]
	if len(bodies) != len(names) {
		t.Fatalf("%d functions disassembled, %d emitted", len(bodies), len(names))
	}
	for i, name := range names {
		if !regexp.MustCompile(`\| +` + regexp.QuoteMeta(name) + `( |\n)`).MatchString(bodies[i]) {
			t.Errorf("%s is not in\n%s", name, bodies[i])
		}
	}
}

// sink stores v so that it is used.
func sink(b ir.Builder, v *ir.Value) {
	op := map[ir.Type]ir.Op{ir.I32: ir.Store32, ir.I64: ir.Store64, ir.F32: ir.StoreF32, ir.F64: ir.StoreF64, ir.V128: ir.StoreV128}[v.Type]
	b.Store(op, b.New(ir.SP), 8, v)
}

func ret(b ir.Builder) {
	ra := b.Load(ir.Load32, b.New(ir.SP), 0)
	b.B.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{ra, b.Const64(1), b.Const64(2), b.New(ir.SP)}}
}

// calls has every kind of call in a loop, and values that live across them.
func calls() *ir.Func {
	f := &ir.Func{Entry: 0x40, PollAtEntry: true}
	entry, head, body, exit := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2), f.NewBlock(3)
	b := ir.Builder{B: entry}
	sp := b.New(ir.SP)
	frame := b.AddC(sp, -0x40)
	zero := b.Const64(0)
	rsp := b.ZExt(sp)
	entry.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: head, Args: []*ir.Value{b.New(ir.Arg)}}}}
	n := head.AddParam(ir.I64)
	b = ir.Builder{B: head}
	head.Poll = []ir.RegValue{{Reg: abi.RSP, Value: rsp}, {Reg: abi.RBX, Value: n}}
	head.Term = ir.Term{Kind: ir.Branch, Cond: b.Eqz(n), Succs: []ir.Edge{{To: exit}, {To: body}}}
	b = ir.Builder{B: body}
	var last *ir.Value
	for i, info := range []*ir.CallInfo{
		{Kind: ir.Direct, Target: 0x20, Return: 0x44, State: []ir.RegValue{{Reg: abi.RBX, Value: n, Kept: true}}},
		{Kind: ir.Direct, Target: 0x10, Return: 0x48, State: []ir.RegValue{{Reg: abi.RBX, Value: n, Kept: true}}},
		{Kind: ir.Indirect, Return: 0x4c, State: []ir.RegValue{{Reg: abi.RBX, Value: n, Kept: true}}},
	} {
		args := []*ir.Value{frame, n, zero, zero, zero}
		if i == 2 {
			args = append(args, b.Wrap(n))
		}
		c := b.New(ir.Call, args...)
		c.Info = info
		last = b.New(ir.Result, c)
		b.Store(ir.Store64, frame, uint32(8*i), last)
	}
	body.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: head, Args: []*ir.Value{b.AddC(n, -1)}}}}
	b = ir.Builder{B: exit}
	exit.Term = ir.Term{Kind: ir.TailCall, Info: &ir.CallInfo{Kind: ir.Direct, Target: 0x20},
		Args: []*ir.Value{sp, zero, zero, zero, zero}}
	return f
}

func TestCalls(t *testing.T) {
	c := compile(t, calls())
	validate(t, c)
	if len(c.Calls) != 2 || len(c.Sites) != 4 || c.Lost != 0 {
		t.Fatalf("%d direct calls, %d sites, %d lost", len(c.Calls), len(c.Sites), c.Lost)
	}
}

// randomCFG makes a function of n blocks with arbitrary edges.
func randomCFG(r *rand.Rand, n int) *ir.Func {
	f := &ir.Func{}
	for i := range n {
		b := f.NewBlock(uint32(i))
		if i > 0 {
			b.AddParam(ir.I64)
		}
	}
	for i, blk := range f.Blocks {
		b := ir.Builder{B: blk}
		x := b.New(ir.Arg)
		if i > 0 {
			x = blk.Params[0]
		}
		x = b.AddC(x, int64(i))
		edges := make([]ir.Edge, r.IntN(4))
		for k := range edges {
			edges[k] = ir.Edge{To: f.Blocks[1+r.IntN(n-1)], Args: []*ir.Value{x}}
		}
		switch len(edges) {
		case 0:
			blk.Term = ir.Term{Kind: ir.Leave, Args: []*ir.Value{b.Wrap(x), x}}
		case 1:
			blk.Term = ir.Term{Kind: ir.Jump, Succs: edges}
		case 2:
			blk.Term = ir.Term{Kind: ir.Branch, Cond: b.Wrap(x), Succs: edges}
		default:
			blk.Term = ir.Term{Kind: ir.Switch, Cond: b.Wrap(x), Succs: edges}
		}
	}
	return f
}

func TestAnyControlFlowValidates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var codes []Code
	for range 300 {
		codes = append(codes, compile(t, randomCFG(r, 2+r.IntN(30))))
	}
	codes = append(codes, compile(t, randomCFG(r, 3000)))
	validate(t, codes...)
}

// early is a function of two blocks that may go straight to the last one.
func early() *ir.Func {
	f := &ir.Func{}
	var blocks [4]*ir.Block
	for i := range blocks {
		blocks[i] = f.NewBlock(uint32(i))
	}
	b := ir.Builder{B: blocks[0]}
	n := b.New(ir.Arg)
	for i := range 2 {
		b.B = blocks[i]
		cond := b.Bin(ir.I64LtS, n, b.Const64(int64(i+1)))
		b.B.Term = ir.Term{Kind: ir.Branch, Cond: cond, Succs: []ir.Edge{{To: blocks[3]}, {To: blocks[i+1]}}}
	}
	b.B = blocks[2]
	b.SetReg(int(abi.RBX), n)
	b.B.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: blocks[3]}}}
	b.B = blocks[3]
	sp := b.New(ir.SP)
	b.B.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), n, n, sp}}
	return f
}

// TestBranchesAlone: an if that does nothing but branch is a br_if.
func TestBranchesAlone(t *testing.T) {
	text := wabt(t, []Code{compile(t, early())}, "wasm-objdump", "-d")
	if strings.Count(text, " br_if ") != 2 || strings.Contains(text, " if") {
		t.Errorf("not two br_if and no if:\n%s", text)
	}
}
