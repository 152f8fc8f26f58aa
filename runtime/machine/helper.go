package machine

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/runtime/machine/crypto"
	"github.com/megabin/megabin/runtime/machine/x87"
)

// Offsets in the FXSAVE area (Intel SDM volume 1, table 10-2).
const (
	fxMXCSR     = 24
	fxMXCSRMask = 28
	fxXMM       = 160
)

// helpers are the operations of abi.HelperOp.
var helpers = [...]func(c *CPU, a, b, d uint64) (r0, r1 uint64){
	abi.HelperCPUID:       func(_ *CPU, a, b, _ uint64) (uint64, uint64) { return cpuid(uint32(a), uint32(b)) },
	abi.HelperRDTSC:       func(*CPU, uint64, uint64, uint64) (uint64, uint64) { return uint64(time.Since(tscStart)), 0 },
	abi.HelperXGETBV:      noXGETBV,
	abi.HelperDivU128:     divU128,
	abi.HelperDivS128:     divS128,
	abi.HelperDivS128Fits: divS128Fits,
	abi.HelperFXSave:      fxsave,
	abi.HelperFXRstor:     fxrstor,
	abi.HelperLDMXCSR:     loadGuestMXCSR,
	abi.HelperSTMXCSR:     storeGuestMXCSR,

	abi.HelperAESEnc:     aes(crypto.Block.Enc),
	abi.HelperAESEncLast: aes(crypto.Block.EncLast),
	abi.HelperAESDec:     aes(crypto.Block.Dec),
	abi.HelperAESDecLast: aes(crypto.Block.DecLast),
	abi.HelperAESIMC:     aes(crypto.Block.IMC),
	abi.HelperAESKeygenAssist: func(_ *CPU, lo, hi, rcon uint64) (uint64, uint64) {
		return crypto.BlockOf(lo, hi).KeygenAssist(byte(rcon)).Halves()
	},
	abi.HelperCLMul:       func(_ *CPU, a, b, _ uint64) (uint64, uint64) { return crypto.CLMul(a, b) },
	abi.HelperCRC32C:      crc32c,
	abi.HelperCmpxchg16:   cmpxchg16,
	abi.HelperDescriptor:  lookupDescriptor,
	abi.HelperLoadSegment: loadSegment,
	abi.HelperRest:        rest,
}

// aes is a round of AES on the state hi:lo.
func aes(round func(crypto.Block) crypto.Block) func(*CPU, uint64, uint64, uint64) (uint64, uint64) {
	return func(_ *CPU, lo, hi, _ uint64) (uint64, uint64) { return round(crypto.BlockOf(lo, hi)).Halves() }
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c accumulates size bytes of x; the instruction does not invert the
// sum, which the Go function does on either side.
func crc32c(_ *CPU, sum, x, size uint64) (uint64, uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], x)
	return uint64(^crc32.Update(^uint32(sum), castagnoli, b[:size&15])), 0
}

// cmpxchg16 needs an aligned operand, or #GP.
func cmpxchg16(c *CPU, lin, lo, hi uint64) (uint64, uint64) {
	if lin%16 != 0 {
		c.fault(SEGV, 0, "general protection: misaligned cmpxchg16b")
		c.unwind()
	}
	return cas16(alignedPair(c.operand(uint32(lin), 16)), lo, hi, c.Reg(abi.RBX), c.Reg(abi.RCX))
}

// rest is a place where the garbage collector may stop this goroutine.
func rest(*CPU, uint64, uint64, uint64) (uint64, uint64) { return 0, 0 }

// tscStart is when the time stamp counter was zero; it counts nanoseconds.
var tscStart = time.Now()

func hostHelper(c *CPU, _ api.Module, stack []uint64) {
	op := uint32(stack[0])
	if int(op) >= len(helpers) {
		c.fault(ILL, 0, "helper operation of a newer version")
		c.unwind()
	}
	stack[0], stack[1] = helpers[op](c, stack[1], stack[2], stack[3])
}

// noXGETBV: cpuid does not announce OSXSAVE.
func noXGETBV(c *CPU, _, _, _ uint64) (uint64, uint64) {
	c.fault(ILL, 0, "xgetbv")
	c.unwind()
	return 0, 0
}

// divideError is #DE.
func (c *CPU) divideError() {
	c.fault(FPE, 0, "divide error")
	c.unwind()
}

// divU128 divides high:low by d.
func divU128(c *CPU, low, high, d uint64) (quo, rem uint64) {
	if high >= d {
		c.divideError()
	}
	return bits.Div64(high, low, d)
}

// divS128 divides high:low by d as idiv does.
func divS128(c *CPU, low, high, d uint64) (quo, rem uint64) {
	quo, rem, fits := idiv128(low, high, d)
	if !fits {
		c.divideError()
	}
	return quo, rem
}

func divS128Fits(_ *CPU, low, high, d uint64) (fits, _ uint64) {
	if _, _, ok := idiv128(low, high, d); ok {
		fits = 1
	}
	return fits, 0
}

// idiv128 truncates; the remainder has the dividend's sign.
func idiv128(low, high, d uint64) (quo, rem uint64, fits bool) {
	negN, negD := int64(high) < 0, int64(d) < 0
	if negN {
		var borrow uint64
		low, borrow = bits.Sub64(0, low, 0)
		high, _ = bits.Sub64(0, high, borrow)
	}
	if negD {
		d = -d
	}
	if high >= d {
		return 0, 0, false
	}
	quo, rem = bits.Div64(high, low, d)
	limit := uint64(1)<<63 - 1
	if negN != negD {
		limit++
	}
	fits = quo <= limit
	if negN != negD {
		quo = -quo
	}
	if negN {
		rem = -rem
	}
	return quo, rem, fits
}

func fxsave(c *CPU, lin, _, _ uint64) (uint64, uint64) {
	c.SaveFX(c.operand(uint32(lin), x87.FXSaveSize))
	return 0, 0
}

func fxrstor(c *CPU, lin, _, _ uint64) (uint64, uint64) {
	c.RestoreFX(c.operand(uint32(lin), x87.FXSaveSize))
	return 0, 0
}

// SaveFX writes the x87 and xmm state as FXSAVE64 does. area has 512 bytes, of
// which the last 96 are left alone.
func (c *CPU) SaveFX(area []byte) {
	c.x87.PutFXSave(area)
	le := binary.LittleEndian
	le.PutUint32(area[fxMXCSR:], c.MXCSR())
	le.PutUint32(area[fxMXCSRMask:], mxcsrBits)
	for i := range 16 {
		v := c.XMM(i)
		le.PutUint64(area[fxXMM+16*i:], v[0])
		le.PutUint64(area[fxXMM+16*i+8:], v[1])
	}
}

// ResetFX makes the x87 and xmm state a new program's.
func (c *CPU) ResetFX() {
	c.x87 = x87.NewState()
	c.SetMXCSR(mxcsrReset)
	for i := range 16 {
		c.SetXMM(i, [2]uint64{})
	}
}

// RestoreFX reads what SaveFX wrote.
func (c *CPU) RestoreFX(area []byte) {
	c.x87.SetFXSave(area)
	le := binary.LittleEndian
	c.SetMXCSR(le.Uint32(area[fxMXCSR:]) & mxcsrBits)
	for i := range 16 {
		at := area[fxXMM+16*i:]
		c.SetXMM(i, [2]uint64{le.Uint64(at), le.Uint64(at[8:])})
	}
}
