package lift

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
)

// Calls of other files go through stubs of one jump (the PLT): a call of one
// is lifted as one through the pointer that the stub jumps through.

// stubs finds the functions that only jump through a pointer at a fixed
// place: entry → the jump.
func stubs(p *disasm.Program) map[uint64]*x86.Inst {
	found := map[uint64]*x86.Inst{}
	for _, f := range p.Funcs {
		if in := stubJump(f); in != nil {
			found[f.Entry] = in
		}
	}
	return found
}

func stubJump(f *disasm.Func) *x86.Inst {
	if len(f.Blocks) != 1 || f.Blocks[0].Term.Kind != disasm.IndirectJump {
		return nil
	}
	insts := f.Blocks[0].Insts
	last := len(insts) - 1
	for i := range insts[:last] {
		if op := insts[i].Op; op != x86asm.NOP && op != x86.ENDBR64 {
			return nil
		}
	}
	if m, ok := insts[last].Args[0].(x86asm.Mem); !ok || m.Base != x86asm.RIP {
		return nil
	}
	return &insts[last]
}

// behind is where the stub at vaddr entry, if there is one, goes: nil otherwise.
func (c *ctx) behind(entry uint64) *ir.Value {
	stub := c.fn.stubs[entry]
	if stub == nil {
		return nil
	}
	in := c.in
	defer func() { c.in = in }()
	c.in = stub
	return c.Wrap(c.loadInt(stub.Args[0].(x86asm.Mem), 8))
}
