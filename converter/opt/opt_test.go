package opt

import (
	"slices"
	"testing"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

const callee = 0x20

// handsOn calls a function n times, n being its first argument; r9 is its
// second argument at first, then what each call left there. Nothing reads r9
// but the calls and the loop's poll. Every other turn writes rax to r9 if
// dirty is set.
func handsOn(dirty bool) *ir.Func {
	f := &ir.Func{Entry: 0x10}
	entry, head, body, odd, next, exit := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2), f.NewBlock(3), f.NewBlock(4), f.NewBlock(5)
	b := ir.Builder{B: entry}
	sp := b.New(ir.SP)
	second := b.New(ir.Arg)
	second.Aux = 1
	entry.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: head, Args: []*ir.Value{b.New(ir.Arg), second}}}}
	n, r9 := head.AddParam(ir.I64), head.AddParam(ir.I64)
	n.Aux, r9.Aux = int64(abi.RBX), int64(abi.R9)
	head.Poll = []ir.RegValue{{Reg: abi.R9, Value: r9}, {Reg: abi.RBX, Value: n}}
	head.Term = ir.Term{Kind: ir.Branch, Cond: (ir.Builder{B: head}).Eqz(n), Succs: []ir.Edge{{To: exit}, {To: body}}}
	b = ir.Builder{B: body}
	zero := b.Const64(0)
	c := b.New(ir.Call, sp, n, zero, zero, zero)
	c.Info = &ir.CallInfo{Kind: ir.Direct, Target: callee, State: []ir.RegValue{{Reg: abi.R9, Value: r9}, {Reg: abi.RBX, Value: n, Kept: true}}}
	rax := b.New(ir.Result, c)
	left := b.GetReg(int(abi.R9), ir.I64)
	less := b.AddC(n, -1)
	body.Term = ir.Term{Kind: ir.Branch, Cond: b.Wrap(b.And(n, b.Const64(1))), Succs: []ir.Edge{{To: odd}, {To: next, Args: []*ir.Value{left}}}}
	p := next.AddParam(ir.I64)
	p.Aux = int64(abi.R9)
	odd.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: next, Args: []*ir.Value{left}}}}
	if dirty {
		odd.Term.Succs[0].Args[0] = rax
	}
	next.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: head, Args: []*ir.Value{less, p}}}}
	b = ir.Builder{B: exit}
	exit.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), b.Const64(0), b.Const64(0), sp}}
	return f
}

// TestPark: after all passes r9 is no parameter and is read nowhere, and the
// callee finds in the register file what it would have otherwise.
func TestPark(t *testing.T) {
	for _, dirty := range []bool{false, true} {
		want := seenR9(t, handsOn(dirty), []string{"spill"})
		f := handsOn(dirty)
		got := seenR9(t, f, nil)
		if !slices.Equal(got, want) {
			t.Errorf("dirty %v: r9 at the calls is %d, want %d\n%s", dirty, got, want, f)
		}
		params, reads := 0, 0
		for _, b := range f.Blocks {
			params += len(b.Params)
			for _, v := range b.Values {
				if v.Op == ir.GetReg && v.Aux == int64(abi.R9) {
					reads++
				}
			}
		}
		if params != 1 || reads != 0 {
			t.Errorf("dirty %v: %d parameters and %d reads of r9, want 1 and 0\n%s", dirty, params, reads, f)
		}
	}
}

// seenR9 runs f after the passes named, all if none are, and returns r9 as its
// callee sees it each time. The callee adds 10 to r9 and returns 1000.
func seenR9(t *testing.T, f *ir.Func, passes []string) (seen []uint64) {
	t.Helper()
	if err := ir.Verify(f); err != nil {
		t.Fatal(err)
	}
	for _, p := range Passes {
		if passes == nil || slices.Contains(passes, p.Name) {
			p.Run(f)
		}
	}
	if err := ir.Verify(f); err != nil {
		t.Fatal(err)
	}
	m := &ir.Interp{Mem: make([]byte, 64), Steps: 1000}
	m.Regs[abi.R9].Lo = 77 // not what the function has there
	m.Call = func(m *ir.Interp, info *ir.CallInfo, args []ir.Word) (ir.Returned, error) {
		seen = append(seen, m.Regs[abi.R9].Lo)
		m.Regs[abi.R9].Lo += 10
		return ir.Returned{RA: info.Return, SP: uint32(args[0].Lo), RAX: 1000}, nil
	}
	if _, err := m.Run(f, 8, ir.Args{5, 3}); err != nil {
		t.Fatal(err)
	}
	return seen
}

// TestPollMayWrite: a poll writes a register that was not in the file, if it
// is taken; afterwards the file has the new value or the old one.
func TestPollMayWrite(t *testing.T) {
	f := &ir.Func{Entry: 0x10}
	entry, head, again, exit := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2), f.NewBlock(3)
	b := ir.Builder{B: entry}
	old, sp := b.GetReg(int(abi.RBX), ir.I64), b.New(ir.SP)
	fresh := b.AddC(old, 1)
	entry.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: head}}}
	head.Poll = []ir.RegValue{{Reg: abi.RBX, Value: fresh}}
	head.Term = ir.Term{Kind: ir.Branch, Cond: (ir.Builder{B: head}).Wrap(old), Succs: []ir.Edge{{To: again}, {To: exit}}}
	again.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: head}}}
	b = ir.Builder{B: exit}
	exit.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), fresh, fresh, sp}, State: []ir.RegValue{{Reg: abi.RBX, Value: old}}}
	Run(f)
	for _, v := range f.Blocks[len(f.Blocks)-1].Values {
		if v.Op == ir.SetReg && v.Aux == int64(abi.RBX) {
			return
		}
	}
	t.Errorf("rbx is not written back after the poll\n%s", f)
}

// TestParkElsewhere: a parameter that is rcx's value and that a call gets in rbx
// does not go to rbx before that is due: the function still has to save rbx.
func TestParkElsewhere(t *testing.T) {
	f := &ir.Func{Entry: 0x10}
	entry, one, other, join := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2), f.NewBlock(3)
	b := ir.Builder{B: entry}
	first, second, sp := b.New(ir.Arg), b.New(ir.Arg), b.New(ir.SP)
	second.Aux = 1
	entry.Term = ir.Term{Kind: ir.Branch, Cond: b.Wrap(first), Succs: []ir.Edge{{To: one}, {To: other}}}
	rcx := join.AddParam(ir.I64)
	rcx.Aux = int64(abi.RCX)
	for i, from := range []*ir.Block{one, other} {
		from.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: join, Args: []*ir.Value{[]*ir.Value{first, second}[i]}}}}
	}
	b = ir.Builder{B: join}
	b.Store(ir.Store64, sp, 16, b.GetReg(int(abi.RBX), ir.I64))
	zero := b.Const64(0)
	b.New(ir.Call, sp, zero, zero, zero, zero).Info = &ir.CallInfo{
		Kind: ir.Direct, Target: callee, State: []ir.RegValue{{Reg: abi.RBX, Value: rcx}}}
	join.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), zero, zero, sp}}
	Run(f)
	m := &ir.Interp{Mem: make([]byte, 64), Steps: 1000}
	m.Regs[abi.RBX].Lo = 77
	var passed uint64
	m.Call = func(m *ir.Interp, info *ir.CallInfo, args []ir.Word) (ir.Returned, error) {
		passed = m.Regs[abi.RBX].Lo
		return ir.Returned{RA: info.Return, SP: uint32(args[0].Lo)}, nil
	}
	if _, err := m.Run(f, 8, ir.Args{1, 2}); err != nil {
		t.Fatal(err)
	}
	if saved := m.Mem[8+16]; saved != 77 || passed != 1 {
		t.Errorf("rbx is saved as %d and passed as %d, want 77 and 1\n%s", saved, passed, f)
	}
}
