package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// MMX registers are the significands of the x87 registers, which the machine
// keeps. Programs have hardly any MMX code, so each access is a host call;
// the operations themselves are the SSE rows on the low half of a vector.

func init() {
	register(map[x86asm.Op]row{x86asm.EMMS: emms})
}

func emms(c *ctx, in *x86.Inst) error {
	c.x87(abi.X87(abi.X87Emms, 0, 0, 0), nil)
	return nil
}

func (c *ctx) getMMX(r x86asm.Reg) *ir.Value {
	x := c.x87(abi.X87(abi.X87GetMMX, 0, uint8(r-x86asm.M0), 0), nil)
	return c.Lane(ir.I64x2ReplaceLane, 0, c.zeroVec(), x)
}

func (c *ctx) setMMX(r x86asm.Reg, x *ir.Value) {
	c.x87(abi.X87(abi.X87SetMMX, 0, uint8(r-x86asm.M0), 0), x)
}
