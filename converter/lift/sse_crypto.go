package lift

import (
	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/converter/x86"
	"github.com/megabin/megabin/layers/abi"
	"golang.org/x/arch/x86/x86asm"
)

// AES-NI, PCLMULQDQ and CRC32: wasm has nothing like them, so each is a call
// of the machine. That is slower than what libraries do without the first two,
// so CPUID announces only CRC32, as a part of SSE4.2.
var sseCryptoRows = map[x86asm.Op]row{
	x86asm.AESENC: aesRound(abi.HelperAESEnc), x86asm.AESENCLAST: aesRound(abi.HelperAESEncLast),
	x86asm.AESDEC: aesRound(abi.HelperAESDec), x86asm.AESDECLAST: aesRound(abi.HelperAESDecLast),
	x86asm.AESIMC: aesIMC, x86asm.AESKEYGENASSIST: aesKeygenAssist,
	x86asm.PCLMULQDQ: pclmulqdq, x86asm.CRC32: crc32,
}

// vectorHelper calls the machine with the halves of x and a third argument;
// the results are the halves of the value.
func (c *ctx) vectorHelper(op abi.HelperOp, x, arg *ir.Value) *ir.Value {
	lo, hi := c.helper(op, c.lane64(x, 0), c.lane64(x, 1), arg)
	return c.Lane(ir.I64x2ReplaceLane, 1, c.New(ir.I64x2Splat, lo), hi)
}

// aesRound is a round of the state in operand 0; the round key is added last.
func aesRound(op abi.HelperOp) row {
	return func(c *ctx, in *x86.Inst) error {
		state, key, err := c.vecs()
		if err != nil {
			return err
		}
		return c.setVec(0, c.New(ir.V128Xor, c.vectorHelper(op, state, c.Const64(0)), key))
	}
}

func aesIMC(c *ctx, in *x86.Inst) error {
	x, err := c.vec(1, 16)
	if err != nil {
		return err
	}
	return c.setVec(0, c.vectorHelper(abi.HelperAESIMC, x, c.Const64(0)))
}

func aesKeygenAssist(c *ctx, in *x86.Inst) error {
	rcon, ok := in.Args[2].(x86asm.Imm)
	if !ok {
		return errOperand
	}
	x, err := c.vec(1, 16)
	if err != nil {
		return err
	}
	return c.setVec(0, c.vectorHelper(abi.HelperAESKeygenAssist, x, c.Const64(int64(uint8(rcon)))))
}

// pclmulqdq multiplies without carries the halves that the immediate selects.
func pclmulqdq(c *ctx, in *x86.Inst) error {
	x, y, imm, err := c.vecsImm()
	if err != nil {
		return err
	}
	lo, hi := c.helper(abi.HelperCLMul, c.lane64(x, int(imm)&1), c.lane64(y, int(imm)>>4&1))
	return c.setVec(0, c.Lane(ir.I64x2ReplaceLane, 1, c.New(ir.I64x2Splat, lo), hi))
}

// crc32 accumulates CRC-32C.
func crc32(c *ctx, in *x86.Inst) error {
	size := c.size(1)
	y, err := c.read(1, size)
	if err != nil {
		return err
	}
	x := c.ZExt(c.Wrap(c.get(mustGPR(in.Args[0]))))
	r, _ := c.helper(abi.HelperCRC32C, x, c.widen64(y), c.Const64(int64(size)))
	c.set(mustGPR(in.Args[0]), r)
	return nil
}
