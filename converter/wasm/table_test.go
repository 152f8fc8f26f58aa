package wasm

import (
	"context"
	"testing"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine"
)

// bytecode is an interpreter: operations that each go to the next one through
// one switch. Every third one swaps its values, so that there are copies on
// the way. Function 0 is the exit.
func bytecode(operations int) *ir.Func {
	f := &ir.Func{Entry: entryOf(1)}
	entry, exit, table, never := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2), f.NewBlock(3)
	never.Term.Kind = ir.Unreachable
	op, x, y, n := table.AddParam(ir.I32), table.AddParam(ir.I64), table.AddParam(ir.I64), table.AddParam(ir.I64)
	table.Term = ir.Term{Kind: ir.Switch, Cond: op}
	b := ir.Builder{B: entry}
	arg := func(i int64) *ir.Value { v := b.New(ir.Arg); v.Aux = i; return v }
	entry.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: table, Args: []*ir.Value{b.Const32(3), arg(0), arg(1), b.Const64(500)}}}}
	result := exit.AddParam(ir.I64)
	b = ir.Builder{B: exit}
	exit.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, b.New(ir.SP), 0), result, result, b.New(ir.SP)}}
	for k := range operations {
		blk := f.NewBlock(uint32(10 + k))
		p, q, left := blk.AddParam(ir.I64), blk.AddParam(ir.I64), blk.AddParam(ir.I64)
		args := []*ir.Value{x, y, n}
		if k%3 == 0 {
			args = []*ir.Value{y, x, n}
		}
		table.Term.Succs = append(table.Term.Succs, ir.Edge{To: blk, Args: args})
		b = ir.Builder{B: blk}
		sum := b.Add(b.Bin(ir.I32Mul, p, b.Const64(int64(2*k+1))), q)
		next := b.Bin(ir.I32RemU, b.Wrap(b.ShrUC(sum, 7)), b.Const32(int64(operations)))
		fewer := b.AddC(left, -1)
		blk.Term = ir.Term{Kind: ir.Branch, Cond: b.Bool(fewer), Succs: []ir.Edge{{To: table, Args: []*ir.Value{next, q, sum, fewer}}, {To: exit, Args: []*ir.Value{sum}}}}
	}
	table.Term.Succs = append(table.Term.Succs, ir.Edge{To: never})
	return f
}

// fetching is an interpreter too big for one region. Most operations go to one block
// that finds out the next, every seventh to another such block; in both it may be
// none, which ends it. Each takes one of two ways, and every fifth is a loop.
func fetching(operations int) *ir.Func {
	f := &ir.Func{Entry: entryOf(1)}
	entry, exit := f.NewBlock(0), f.NewBlock(1)
	result := exit.AddParam(ir.I64)
	b := ir.Builder{B: exit}
	exit.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, b.New(ir.SP), 0), result, result, b.New(ir.SP)}}
	var fetches []*ir.Block
	for k := range 2 {
		fetch := f.NewBlock(uint32(2 + k))
		x, y := fetch.AddParam(ir.I64), fetch.AddParam(ir.I64)
		b = ir.Builder{B: fetch}
		sum := b.Add(b.Bin(ir.I32Mul, x, b.Const64(int64(2*k+3))), y)
		fetch.Poll = []ir.RegValue{}
		fetch.Term = ir.Term{Kind: ir.Switch, Cond: b.Bin(ir.I32RemU, b.Wrap(b.ShrUC(sum, 5)), b.Const32(int64(operations+1+k)))}
		fetches = append(fetches, fetch)
	}
	b = ir.Builder{B: entry}
	arg := func(i int64) *ir.Value { v := b.New(ir.Arg); v.Aux = i; return v }
	factor := b.AddC(arg(2), 5) // wanted everywhere
	entry.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: fetches[0], Args: []*ir.Value{arg(0), arg(1)}}}}
	for k := range operations {
		at := uint32(10 + 4*k)
		begin, left, right, end := f.NewBlock(at), f.NewBlock(at+1), f.NewBlock(at+2), f.NewBlock(at+3)
		x, y := begin.AddParam(ir.I64), begin.AddParam(ir.I64)
		for i, fetch := range fetches {
			args := []*ir.Value{fetch.Params[0], fetch.Params[1]}
			if (k+i)%3 == 0 {
				args[0], args[1] = args[1], args[0]
			}
			fetch.Term.Succs = append(fetch.Term.Succs, ir.Edge{To: begin, Args: args})
		}
		b = ir.Builder{B: begin}
		begin.Term = ir.Term{Kind: ir.Branch, Cond: b.AndC(b.Wrap(x), 4), Succs: []ir.Edge{{To: left}, {To: right}}}
		z := end.AddParam(ir.I64)
		b = ir.Builder{B: left}
		left.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: end, Args: []*ir.Value{b.AddC(y, int64(k))}}}}
		b = ir.Builder{B: right}
		right.Term = ir.Term{Kind: ir.Jump, Succs: []ir.Edge{{To: end, Args: []*ir.Value{b.Add(b.Bin(ir.I32Mul, y, factor), x)}}}}
		b = ir.Builder{B: end}
		next := fetches[0]
		if k%7 == 0 {
			next = fetches[1]
		}
		on := ir.Edge{To: next, Args: []*ir.Value{z, x}}
		if end.Term = (ir.Term{Kind: ir.Jump, Succs: []ir.Edge{on}}); k%5 == 0 {
			more := ir.Edge{To: end, Args: []*ir.Value{b.ShrUC(z, 3)}}
			end.Term = ir.Term{Kind: ir.Branch, Cond: b.AndC(b.Wrap(z), 1), Succs: []ir.Edge{more, on}}
		}
	}
	for _, fetch := range fetches {
		fetch.Term.Succs = append(fetch.Term.Succs, ir.Edge{To: exit, Args: []*ir.Value{fetch.Params[0]}})
	}
	return f
}

// TestTable: a big switch that is part of the dispatcher.
func TestTable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		f      *ir.Func
		tables int
		hub    bool
	}{
		{"bare", bytecode(100), 1, false},
		{"fetch", fetching(120), 2, true},
		{"small", fetching(70), 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) { testTable(t, tt.f, tt.tables, tt.hub) })
	}
}

func testTable(t *testing.T, f *ir.Func, tables int, hub bool) {
	e, err := machine.NewEngine(context.Background(), machine.Options{})
	check(t, err)
	defer e.Close()
	fns := []*ir.Func{exitFunc(), f}
	c := &compiler{env: env{}, f: fns[1], cfg: ir.NewCFG(fns[1])}
	c.place()
	c.findSlots()
	c.liveness()
	c.assign()
	if c.findRegions(); len(c.tables) != tables || (c.hub >= 0) != hub {
		t.Fatalf("%d tables, hub %d", len(c.tables), c.hub)
	}
	u := build(t, t.Name(), fns)
	for seed := range uint64(5) {
		want, got := initial(seed, 1), initial(seed, 1)
		want.regs[abi.PC].Lo, got.regs[abi.PC].Lo = unitBase+uint64(entryOf(1)), unitBase+uint64(entryOf(1))
		interpret(fns, 1, want)
		engineRun(t, e, u, got, 1000)
		if d := want.diff(got); d != "" {
			t.Errorf("seed %d: interpreter and engine: %s", seed, d)
		}
	}
}
