package ir

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/megabin/megabin/layers/abi"
)

// loop counts its first argument down and returns the sum of what it saw.
func loop() *Func {
	f := &Func{Entry: 0x1000, Name: "loop"}
	entry, head, body, exit := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2), f.NewBlock(3)
	b := Builder{B: entry}
	entry.Term = Term{Kind: Jump, Succs: []Edge{{To: head, Args: []*Value{b.New(Arg), b.Const64(0)}}}}
	n, sum := head.AddParam(I64), head.AddParam(I64)
	head.Poll = []RegValue{{Reg: abi.RAX, Value: sum}}
	b = Builder{B: head}
	head.Term = Term{Kind: Branch, Cond: b.Bool(n), Succs: []Edge{{To: body}, {To: exit}}}
	b = Builder{B: body}
	body.Term = Term{Kind: Jump, Succs: []Edge{{To: head, Args: []*Value{b.AddC(n, -1), b.Add(sum, n)}}}}
	b = Builder{B: exit}
	exit.Term = Term{Kind: Return, Args: []*Value{b.Load(Load32, b.New(SP), 0), sum, sum, b.New(SP)}}
	return f
}

func TestInterpreter(t *testing.T) {
	m := &Interp{Mem: make([]byte, 64), Steps: 1000}
	m.Mem[8] = 42
	r, err := m.Run(loop(), 8, Args{10})
	if err != nil || r != (Returned{RA: 42, SP: 8, RAX: 55, RDX: 55}) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := m.Run(loop(), 8, Args{1 << 40}); err != ErrSteps {
		t.Errorf("an endless function: %v", err)
	}
	m.Steps = 1000
	if _, err := m.Run(loop(), 62, Args{}); err != ErrBounds {
		t.Errorf("a load across the end: %v", err)
	}
}

func TestVerify(t *testing.T) {
	if err := Verify(loop()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(f *Func)
		want  string
	}{
		"type":        {func(f *Func) { f.Blocks[2].Values[1].Op = I32Add }, "is i64, not i32"},
		"operand":     {func(f *Func) { f.Blocks[1].Term.Cond = nil }, "operand missing"},
		"dominance":   {func(f *Func) { f.Blocks[3].Term.Args[1] = f.Blocks[2].Values[1] }, "is not defined here"},
		"order":       {func(f *Func) { slices.Reverse(f.Blocks[2].Values) }, "is not defined here"},
		"edge":        {func(f *Func) { f.Blocks[2].Term.Succs[0].Args = nil }, "0 operands, not 2"},
		"entry":       {func(f *Func) { f.Blocks[2].Term.Succs[0].To = f.Blocks[0] }, "edge to the entry"},
		"terminator":  {func(f *Func) { f.Blocks[3].Term.Kind = NoTerm }, "no terminator"},
		"poll":        {func(f *Func) { f.Blocks[1].Poll[0].Reg = abi.XMM0 }, "is i64, not v128"},
		"register":    {func(f *Func) { Builder{B: f.Blocks[0]}.SetReg(int(abi.NumRegs), f.Blocks[0].Values[0]) }, "no such register"},
		"call":        {func(f *Func) { Builder{B: f.Blocks[0]}.New(Call) }, "no call information"},
		"moved value": {func(f *Func) { f.Blocks[2].Values[0].Block = f.Blocks[3] }, "belongs to another place"},
	} {
		f := loop()
		c.spoil(f)
		if err := Verify(f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestPrint(t *testing.T) {
	s := loop().String()
	for _, want := range []string{"func 0x1000 loop\n", "b1 0x1(v2:i64, v3:i64): poll {rax=v3}\n", "= i32.load v", " +0\n", "jump b1("} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is not in\n%s", want, s)
		}
	}
}

// TestDominators compares with the definition: a dominates b if b can't be
// reached without a.
func TestDominators(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		f := &Func{}
		n := 2 + r.IntN(12)
		for i := range n {
			f.NewBlock(uint32(i))
		}
		for _, b := range f.Blocks {
			for range r.IntN(3) {
				b.Term.Succs = append(b.Term.Succs, Edge{To: f.Blocks[1+r.IntN(n-1)]})
			}
		}
		g := NewCFG(f)
		dom := g.Dominators(nil)
		for a := range g.Order {
			without := reach(g, a)
			for b := range g.Order {
				if got, want := Dominates(dom, a, b), a == b || !without[b]; got != want {
					t.Fatalf("%d dominates %d: %v, want %v in\n%v", a, b, got, want, f)
				}
			}
		}
	}
}

// reach returns which blocks can be reached without coming by block avoid.
func reach(g *CFG, avoid int) []bool {
	seen := make([]bool, len(g.Order))
	var visit func(i int)
	visit = func(i int) {
		if i == avoid || seen[i] {
			return
		}
		seen[i] = true
		for _, e := range g.Order[i].Term.Succs {
			visit(g.Num[e.To.ID])
		}
	}
	visit(0)
	return seen
}
