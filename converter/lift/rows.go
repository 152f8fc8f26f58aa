package lift

import (
	"maps"

	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// row lifts one instruction: read, compute, write, flags last. An error says
// that this form is not translated; nothing must have been appended then
// that has an effect.
type row func(c *ctx, in *x86.Inst) error

// rows is the instruction table. Each file adds its category of the manual.
var rows = collect(dataRows, arithRows, logicRows, shiftRows, mulRows, bitRows, stringRows, controlRows, flagRows, systemRows, privilegedRows)

func collect(tables ...map[x86asm.Op]row) *x86.ByOp[row] {
	all := map[x86asm.Op]row{}
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return x86.NewByOp(all)
}

// register adds a category to the table, from an init function.
func register(t map[x86asm.Op]row) bool {
	for op, r := range t {
		rows[op] = r
	}
	return true
}

func isMem(a x86asm.Arg) bool {
	_, ok := a.(x86asm.Mem)
	return ok
}
