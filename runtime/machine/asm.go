package machine

import (
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Opcodes of the cpu module beyond those of wasmenc (wasm core spec 5.4).
const (
	opBlock              = 0x02
	opIf                 = 0x04
	opElse               = 0x05
	opBrTable            = 0x0e
	opReturnCallIndirect = 0x13
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opI64Load            = 0x29
	opI32Eq              = 0x46
	opI64Ne              = 0x52
	opI64Eqz             = 0x50
	opI64LtS             = 0x53
	opI32Mul             = 0x6c
	opI32And             = 0x71
	opI32Or              = 0x72
	opI32Shl             = 0x74
	opI32ShrU            = 0x76
	opI64Add             = 0x7c
	opI64Sub             = 0x7d
	opI64Mul             = 0x7e
	opI64And             = 0x83
	opI64ShrS            = 0x87
	opI64ShrU            = 0x88
	opI32WrapI64         = 0xa7
	opI64ExtendI32U      = 0xad
	opRefFunc            = 0xd2
	fcTableGrow          = 15
	opPrefixFD           = 0xfd
	fdI64x2Splat         = 0x12
	fdI64x2ExtractLane   = 0x1d
	fdI64x2ReplaceLane   = 0x1e
	fdV128Const          = 0x0c
	blockTypeEmpty       = 0x40
)

// asm is a function body being written.
type asm []byte

// op appends bytes as they are.
func (a asm) op(b ...byte) asm { return append(a, b...) }

// with appends an opcode and one unsigned immediate.
func (a asm) with(op byte, v uint32) asm { return wasmenc.AppendU(append(a, op), uint64(v)) }

func (a asm) get(locals ...uint32) asm {
	for _, l := range locals {
		a = a.with(wasmenc.OpLocalGet, l)
	}
	return a
}

func (a asm) set(local uint32) asm          { return a.with(opLocalSet, local) }
func (a asm) tee(local uint32) asm          { return a.with(opLocalTee, local) }
func (a asm) call(f uint32) asm             { return a.with(wasmenc.OpCall, f) }
func (a asm) i32(v int32) asm               { return wasmenc.AppendS(append(a, wasmenc.OpI32Const), int64(v)) }
func (a asm) i64(v int64) asm               { return wasmenc.AppendS(append(a, wasmenc.OpI64Const), v) }
func (a asm) indirect(op byte) asm          { return a.op(op, abi.TypeFunc, abi.TableSlots) }
func (a asm) byAddress(op byte) asm         { return a.op(op, abi.TypeFunc, abi.TableCode) }
func (a asm) global(op byte, r abi.Reg) asm { return a.with(op, uint32(r)) }

func (a asm) load(regs ...abi.Reg) asm {
	for _, r := range regs {
		a = a.global(wasmenc.OpGlobalGet, r)
	}
	return a
}

func (a asm) store(r abi.Reg) asm { return a.global(wasmenc.OpGlobalSet, r) }

// function ends the body and puts its local declarations, one group, before
// it.
func (a asm) function(locals int, t abi.ValType) []byte {
	b := []byte{0}
	if locals > 0 {
		b = append(wasmenc.AppendU([]byte{1}, uint64(locals)), byte(t))
	}
	return append(append(b, a...), wasmenc.OpEnd)
}
