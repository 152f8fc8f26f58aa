package opt

import (
	"slices"
	"testing"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
)

// TestSink: what one way out of a block uses is made there, unless it would be
// another value there, or something else, a fault included, would be missed.
func TestSink(t *testing.T) {
	f := &ir.Func{Entry: 0x10}
	head, left, right := f.NewBlock(0), f.NewBlock(1), f.NewBlock(2)
	b := ir.Builder{B: head}
	arg := b.New(ir.Arg)
	address := b.Wrap(arg)
	load := b.Load(ir.Load64, address, 0)
	table := b.Load(ir.Load64, address, 8)
	table.Aux2 = ir.Fixed
	rbx, rcx := b.GetReg(int(abi.RBX), ir.I64), b.GetReg(int(abi.RCX), ir.I64)
	b.SetReg(int(abi.RBX), arg)
	both, chained, polled := b.AddC(arg, 1), b.AddC(rcx, 2), b.AddC(arg, 3)
	left.Poll = []ir.RegValue{{Reg: abi.RDX, Value: polled}}
	head.Term = ir.Term{Kind: ir.Branch, Cond: address, Succs: []ir.Edge{{To: left}, {To: right}}}
	for i, blk := range []*ir.Block{left, right} {
		b = ir.Builder{B: blk}
		sum := both
		if i == 0 {
			for _, x := range []*ir.Value{load, table, rbx, chained, polled} {
				sum = b.Add(sum, x)
			}
		}
		sp := b.New(ir.SP)
		blk.Term = ir.Term{Kind: ir.Return, Args: []*ir.Value{b.Load(ir.Load32, sp, 0), sum, sum, sp}}
	}
	sink(f)
	if err := ir.Verify(f); err != nil {
		t.Fatalf("%v\n%s", err, f)
	}
	for _, tt := range []struct {
		what string
		v    *ir.Value
		want *ir.Block
	}{
		{"a load that may fault", load, head}, {"a jump table's load", table, left}, {"a register written later on", rbx, head},
		{"a register", rcx, left}, {"what uses it", chained, left}, {"what both ways use", both, head}, {"an argument", arg, head},
		{"what a poll wants", polled, head},
	} {
		if tt.v.Block != tt.want || !slices.Contains(tt.want.Values, tt.v) {
			t.Errorf("%s (v%d) is in b%d, want b%d\n%s", tt.what, tt.v.ID, tt.v.Block.ID, tt.want.ID, f)
		}
	}
}
