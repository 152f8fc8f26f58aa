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

// TestTable: a big switch that is part of the dispatcher.
func TestTable(t *testing.T) {
	e, err := machine.NewEngine(context.Background(), machine.Options{})
	check(t, err)
	defer e.Close()
	fns := []*ir.Func{exitFunc(), bytecode(100)}
	c := &compiler{f: fns[1], cfg: ir.NewCFG(fns[1])}
	c.place()
	c.findSlots()
	c.liveness()
	c.assign()
	if c.findRegions(); len(c.tables) != 1 {
		t.Fatalf("%d tables", len(c.tables))
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
