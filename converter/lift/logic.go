package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"golang.org/x/arch/x86/x86asm"
)

// Logical instructions, SDM volume 1, 5.1.4, and test.
var logicRows = map[x86asm.Op]row{
	x86asm.AND: binary(ir.I32And, rLogic, ir.AtomicAnd), x86asm.OR: binary(ir.I32Or, rLogic, ir.AtomicOr),
	x86asm.XOR: binary(ir.I32Xor, rLogic, ir.AtomicXor), x86asm.NOT: not, x86asm.TEST: test,
}

func not(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	ones := c.Const(intType(size), -1)
	_, _, err := c.update(size, ir.AtomicXor, c.low(ones, size), func(x *ir.Value) *ir.Value { return c.Xor(x, ones) })
	return err
}

func test(c *ctx, in *x86.Inst) error {
	size := c.size(0)
	x, y, err := c.readPair(0, 1, size)
	if err != nil {
		return err
	}
	c.setAll(rLogic, size, x, y, c.And(x, y))
	return nil
}
