package opt

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// TestDemandedBits: for every operation on integers, bits of operands that are not demanded
// make no difference to those of the result that are, and no bit is 1 that is said not to
// be possible.
func TestDemandedBits(t *testing.T) {
	r, arena := rand.New(rand.NewPCG(1, 2)), new(ir.Arena)
	for op := ir.Op(1); int(op) < ir.Ops(); op++ {
		if !onIntegers(op) {
			continue
		}
		for range 1000 {
			if err := tryBits(r, arena, op); err != nil {
				t.Errorf("%v: %v", op, err)
				break
			}
		}
	}
}

func onIntegers(op ir.Op) bool {
	if op == ir.Select {
		return true
	}
	info := op.Info()
	for _, a := range append([]ir.Type{info.Result}, info.Args...) {
		if a != ir.I32 && a != ir.I64 {
			return false
		}
	}
	return info.Effect == ir.Pure && len(info.Args) > 0
}

// tryBits runs op on random operands, some of them constants, then on others that differ in
// bits that are not demanded.
func tryBits(r *rand.Rand, arena *ir.Arena, op ir.Op) error {
	types, result := op.Info().Args, op.Info().Result
	if op == ir.Select {
		types, result = []ir.Type{ir.I64, ir.I64, ir.I32}, ir.I64
	}
	f := arena.NewFunc(0)
	b := ir.Builder{B: f.NewBlock(0)}
	sp := b.New(ir.SP)
	var before, after ir.Args
	var args []*ir.Value
	possible := map[*ir.Value]uint64{}
	for i, typ := range types {
		before[i] = randomBits(r)
		x := b.New(ir.Arg)
		x.Aux = int64(i)
		if typ == ir.I32 {
			x = b.Wrap(x)
		}
		possible[x] = (before[i] | randomBits(r)) & allBits(typ)
		if r.IntN(3) == 0 {
			x = b.Const(typ, int64(before[i]))
			possible[x] = before[i] & allBits(typ)
		}
		args = append(args, x)
	}
	v := b.Typed(op, result, args...)
	z := b.Const64(0)
	ext := v
	if result == ir.I32 {
		ext = b.New(ir.I64ExtendI32U, v)
	}
	b.B.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), ext, z, sp}}
	of := func(x *ir.Value) uint64 { return possible[x] }
	d := randomBits(r) & allBits(result)
	for i := range args {
		keep := demandedBits(v, i, d, of)
		after[i] = before[i]&keep | randomBits(r)&^keep
	}
	run := func(args ir.Args) uint64 {
		out, err := (&ir.Interp{Mem: make([]byte, 64), Steps: 100}).Run(f, 8, args)
		if err != nil {
			panic(err)
		}
		return out.RAX
	}
	got, want := run(after), run(before)
	if (got^want)&d != 0 {
		return fmt.Errorf("%#x of %#x is %#x, of %#x it is %#x\n%s", d, before, want, after, got, f)
	}
	if m := possibleBits(v, of); want&^m != 0 {
		return fmt.Errorf("%#x gives %#x, beyond %#x\n%s", before, want, m, f)
	}
	return nil
}

// randomBits has runs of ones of any length, at any place, some of them with holes.
func randomBits(r *rand.Rand) uint64 {
	x := ^uint64(0) >> r.IntN(64) << r.IntN(64)
	if r.IntN(2) == 0 {
		x &= r.Uint64()
	}
	return x
}

// TestDemandedRandom: what a function of random operations, many of them merges of parts, returns
// is not changed.
func TestDemandedRandom(t *testing.T) {
	arena := new(ir.Arena)
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 0))
		f := arena.NewFunc(0x10)
		head, body, exit := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2)
		b := ir.Builder{B: head}
		sp := b.New(ir.SP)
		var values []*ir.Value
		for i := range 4 {
			x := b.New(ir.Arg)
			x.Aux = int64(i)
			values = append(values, x)
		}
		n := body.AddParam(ir.I64)
		head.Term = f.Jump(body, append([]*ir.Value{b.Const64(3)}, values...)...)
		for i := range values {
			values[i] = body.AddParam(ir.I64)
		}
		b.B = body
		for range 8 {
			values = append(values, randomValue(r, b, values))
		}
		left := b.AddC(n, -1)
		body.Term = f.Branch(b.Wrap(left), body, exit)
		body.Term.Succs[0].Args = append([]*ir.Value{left}, values[len(values)-4:]...)
		exit.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{(ir.Builder{B: exit}).Load(ir.Load32, sp, 0), randomPart(r, ir.Builder{B: exit}, values[len(values)-1]), values[4], sp}}
		args := ir.Args{randomBits(r), randomBits(r), randomBits(r), randomBits(r)}
		want := returned(t, f, args)
		optimize(t, f)
		if got := returned(t, f, args); got != want {
			t.Fatalf("seed %d: %#x instead of %#x\n%s", seed, got, want, f)
		}
	}
}

var randomOps = []ir.Op{ir.I32Add, ir.I32Sub, ir.I32Mul, ir.I32And, ir.I32Or, ir.I32Xor, ir.I32Shl, ir.I32ShrS, ir.I32ShrU, ir.I32Rotl, ir.I32LtS, ir.I32Eq}

func randomValue(r *rand.Rand, b ir.Builder, from []*ir.Value) *ir.Value {
	x, y := randomPart(r, b, from[r.IntN(len(from))]), randomPart(r, b, from[r.IntN(len(from))])
	switch r.IntN(4) {
	case 0:
		return merged(b, x, b.Wrap(y), []int{0, 8}[r.IntN(2)], 1)
	case 1:
		return merged(b, x, b.Wrap(y), 0, 2)
	case 2:
		return b.Select(b.AndC(b.Wrap(y), 1), x, y)
	}
	op := randomOps[r.IntN(len(randomOps))]
	if r.IntN(2) == 0 {
		x, y = b.Wrap(x), b.Wrap(y)
	}
	if r.IntN(3) == 0 {
		y = b.Const(y.Type, int64(randomBits(r)))
	}
	v := b.Bin(op, x, y)
	if v.Type == ir.I32 {
		v = []func(*ir.Value) *ir.Value{b.ZExt, b.SExt}[r.IntN(2)](v)
	}
	return v
}

// randomPart is a part of x, or x.
func randomPart(r *rand.Rand, b ir.Builder, x *ir.Value) *ir.Value {
	switch r.IntN(5) {
	case 0:
		return b.AndC(x, int64(randomBits(r)))
	case 1:
		return b.ZExt(b.AndC(b.ShrUC(b.Wrap(x), int64(8*r.IntN(2))), 0xff))
	case 2:
		return b.SExt(b.Un([]ir.Op{ir.I32Extend8S, ir.I32Extend16S}[r.IntN(2)], b.Wrap(x)))
	case 3:
		return b.New(ir.I64Extend32S, x)
	}
	return x
}

// merged is x with size bytes from bit at on replaced by the low ones of part.
func merged(b ir.Builder, x, part *ir.Value, at, size int) *ir.Value {
	mask := int64(1)<<(8*size) - 1
	return b.Or(b.AndC(x, ^(mask<<at)), b.ShlC(b.ZExt(b.AndC(part, mask)), int64(at)))
}

// TestDemandedAround: a loop merges a byte into a register and reads the low byte of it. The
// rest is handed round, but only a way out may read it.
func TestDemandedAround(t *testing.T) {
	for _, read := range []bool{false, true} {
		f := &ir.Func{Entry: 0x10}
		entry, head, again, exit, whole := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2), f.NewBlock(3), f.NewBlock(4)
		b := ir.Builder{B: entry}
		second, sp := b.New(ir.Arg), b.New(ir.SP)
		second.Aux = 1
		entry.Term = f.Jump(head, second, b.New(ir.Arg))
		rbx, n := head.AddParam(ir.I64), head.AddParam(ir.I64)
		b = ir.Builder{B: head}
		low := b.AndC(b.Wrap(rbx), 0xff)
		next := merged(b, rbx, b.AddC(low, 1), 0, 1)
		left := b.AddC(n, -1)
		head.Term = f.Branch(b.Wrap(left), again, exit)
		again.Term = f.Jump(head, next, left)
		b = ir.Builder{B: exit}
		out := b.ZExt(b.AndC(b.Wrap(next), 0xff))
		exit.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), out, out, sp}}
		if read {
			done := exit.Term
			exit.Term = f.Branch(b.Wrap(b.ShrUC(second, 63)), whole, f.NewBlock(5))
			f.Blocks[5].Term = done
			b.B = whole
			whole.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), next, out, sp}}
		}
		optimize(t, f)
		ors := count(f, ir.I64Or)
		if read != (ors == 1) {
			t.Errorf("read %v: %d merges are left\n%s", read, ors, f)
		}
		for _, start := range []uint64{0x1234fe, 1<<63 | 0x1234fe} {
			want := uint64(3)
			if read && start>>63 != 0 {
				want = start&^0xff | 3
			}
			if got := returned(t, f, ir.Args{5, start}); got != want {
				t.Errorf("read %v: %#x gives %#x, want %#x\n%s", read, start, got, want, f)
			}
		}
	}
}

// TestDemandedHigh: a write of AH is nothing to who reads AL, and is one to who reads AX.
func TestDemandedHigh(t *testing.T) {
	for mask, want := range map[int64]int{0xff: 0, 0xffff: 1} {
		f := &ir.Func{Entry: 0x10}
		b := ir.Builder{B: f.NewBlock(0)}
		sp, rax, part := b.New(ir.SP), b.New(ir.Arg), b.New(ir.Arg)
		part.Aux = 1
		out := b.ZExt(b.AndC(b.Wrap(merged(b, rax, b.Wrap(part), 8, 1)), mask))
		b.B.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), out, out, sp}}
		optimize(t, f)
		if ors := count(f, ir.I64Or) + count(f, ir.I32Or); ors != want {
			t.Errorf("mask %#x: %d merges are left, want %d\n%s", mask, ors, want, f)
		}
		if got := returned(t, f, ir.Args{0x111111, 0x22}); got != 0x2211&uint64(mask) {
			t.Errorf("mask %#x: %#x\n%s", mask, got, f)
		}
	}
}

// TestDemandedCall: a callee gets a register whole. Behind the call the register is what is known, so
// its low byte is taken from there and not from what it was made of.
func TestDemandedCall(t *testing.T) {
	f := &ir.Func{Entry: 0x10, Kept: []abi.Reg{abi.RBX}}
	b := ir.Builder{B: f.NewBlock(0)}
	sp, first, part := b.New(ir.SP), b.New(ir.Arg), b.New(ir.Arg)
	part.Aux = 1
	byte1 := b.AndC(b.Wrap(part), 0xff)
	rbx := merged(b, first, byte1, 0, 1)
	z := b.Const64(0)
	front := b.AndC(b.Wrap(rbx), 0xff)
	b.Store(ir.Store8x32, sp, 16, front)
	c := b.New(ir.Call, sp, z, z, z, z)
	c.Info = &ir.CallInfo{Kind: ir.Direct, Target: callee, State: []ir.RegValue{{Reg: abi.RBX, Value: rbx, Kept: true}}}
	behind := b.AndC(b.Wrap(rbx), 0xff)
	out := b.ZExt(behind)
	b.B.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), out, out, sp}}
	optimize(t, f)
	if x := f.Blocks[0].Term.Args[1]; !uses(x, rbx) {
		t.Errorf("behind the call v%d is not made of rbx, v%d\n%s", x.ID, rbx.ID, f)
	}
	for _, v := range f.Blocks[0].Values {
		if v.Op == ir.Store8x32 && uses(v.Args[1], rbx) {
			t.Errorf("in front of the call v%d is made of rbx, v%d\n%s", v.ID, rbx.ID, f)
		}
	}
	m := &ir.Interp{Mem: make([]byte, 64), Steps: 1000}
	var passed uint64
	m.Call = func(m *ir.Interp, info *ir.CallInfo, args []ir.Word) (ir.Returned, error) {
		passed = m.Regs[abi.RBX].Lo
		return ir.Returned{RA: info.Return, SP: uint32(args[0].Lo)}, nil
	}
	if _, err := m.Run(f, 8, ir.Args{0x1111, 0x22}); err != nil || passed != 0x1122 {
		t.Errorf("the callee gets %#x, %v\n%s", passed, err, f)
	}
}

func uses(x, of *ir.Value) bool {
	if x == of {
		return true
	}
	for _, a := range x.Args {
		if uses(a, of) {
			return true
		}
	}
	return false
}

func count(f *ir.Func, op ir.Op) (n int) {
	for _, b := range f.Blocks {
		for _, v := range b.Values {
			if v.Op == op {
				n++
			}
		}
	}
	return n
}

// optimize runs all passes.
func optimize(t *testing.T, f *ir.Func) {
	t.Helper()
	if err := ir.Verify(f); err != nil {
		t.Fatal(err)
	}
	Run(f)
	if err := ir.Verify(f); err != nil {
		t.Fatal(err)
	}
}

// returned is rax after f, which calls nothing.
func returned(t *testing.T, f *ir.Func, args ir.Args) uint64 {
	t.Helper()
	out, err := (&ir.Interp{Mem: make([]byte, 64), Steps: 1000}).Run(f, 8, args)
	if err != nil {
		t.Fatal(err)
	}
	return out.RAX
}
