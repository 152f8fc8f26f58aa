package wasm

import (
	"strings"
	"sync"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Opcodes that the emitter writes by itself (WebAssembly core specification
// 2.0, 5.4, and the tail call proposal).
const (
	opUnreachable        = 0x00
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opDrop               = 0x1a
	opSelect             = 0x1b
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opI64Load            = 0x29
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI32Eq              = 0x46
	opI32GtS             = 0x4a
	opI32Ne              = 0x47
	opI32LtS             = 0x48
	opI32LtU             = 0x49
	opI32Add             = 0x6a
	opI32Sub             = 0x6b
	opI32And             = 0x71
	opI32Or              = 0x72
	opI32Xor             = 0x73
	opI32Shl             = 0x74
	opI32ShrU            = 0x76
	opI64Add             = 0x7c
	opI64Sub             = 0x7d
	opI64ShrU            = 0x88
	opI32WrapI64         = 0xa7
	opI64ExtendI32U      = 0xad

	prefixFC = 0xfc // saturating truncation, bulk memory
	prefixFD = 0xfd // vectors
	prefixFE = 0xfe // threads

	blockVoid = 0x40
)

// opcodeRun is a row of consecutive opcodes, by their names in the text
// format.
type opcodeRun struct {
	prefix byte // 0: none
	first  uint32
	names  string
}

var opcodeRuns = []opcodeRun{
	{0, 0x1b, "select"},
	{0, 0x28, "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u " +
		"i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u " +
		"i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32"},
	{0, 0x45, "i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u " +
		"i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u " +
		"f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge"},
	{0, 0x67, "i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u " +
		"i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr " +
		"i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u " +
		"i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr"},
	{0, 0x8b, "f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt " +
		"f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign " +
		"f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt " +
		"f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign"},
	{0, 0xa7, "i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u " +
		"i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u " +
		"f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64 " +
		"f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32 " +
		"i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64 " +
		"i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s"},
	{prefixFC, 0, "i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u " +
		"i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u"},
	{prefixFC, 10, "memory.copy memory.fill"},
	{prefixFD, 0x00, "v128.load"},
	{prefixFD, 0x0b, "v128.store v128.const i8x16.shuffle i8x16.swizzle " +
		"i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat " +
		"i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane " +
		"i16x8.extract_lane_s i16x8.extract_lane_u i16x8.replace_lane i32x4.extract_lane i32x4.replace_lane " +
		"i64x2.extract_lane i64x2.replace_lane f32x4.extract_lane f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane " +
		"i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u " +
		"i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u " +
		"i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u " +
		"f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge " +
		"v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true"},
	{prefixFD, 0x5c, "v128.load32_zero v128.load64_zero f32x4.demote_f64x2_zero f64x2.promote_low_f32x4 " +
		"i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u " +
		"f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest i8x16.shl i8x16.shr_s i8x16.shr_u " +
		"i8x16.add i8x16.add_sat_s i8x16.add_sat_u i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u f64x2.ceil f64x2.floor " +
		"i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u " +
		"i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u " +
		"i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u " +
		"i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u " +
		"i16x8.shl i16x8.shr_s i16x8.shr_u i16x8.add i16x8.add_sat_s i16x8.add_sat_u i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u " +
		"f64x2.nearest i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u"},
	{prefixFD, 0x9b, "i16x8.avgr_u i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u " +
		"i32x4.abs i32x4.neg"},
	{prefixFD, 0xa3, "i32x4.all_true i32x4.bitmask"},
	{prefixFD, 0xa7, "i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u " +
		"i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add"},
	{prefixFD, 0xb1, "i32x4.sub"},
	{prefixFD, 0xb5, "i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s"},
	{prefixFD, 0xbc, "i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u " +
		"i64x2.abs i64x2.neg"},
	{prefixFD, 0xc3, "i64x2.all_true i64x2.bitmask"},
	{prefixFD, 0xc7, "i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u " +
		"i64x2.shl i64x2.shr_s i64x2.shr_u i64x2.add"},
	{prefixFD, 0xd1, "i64x2.sub"},
	{prefixFD, 0xd5, "i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s " +
		"i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u " +
		"f32x4.abs f32x4.neg"},
	{prefixFD, 0xe3, "f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax f64x2.abs f64x2.neg"},
	{prefixFD, 0xef, "f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin f64x2.pmax " +
		"i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u " +
		"i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u"},
	{prefixFE, 3, "atomic.fence"},
}

// opcodes holds the bytes of each operation that is one wasm instruction. It
// is made when a function is compiled first: those who run programs have no
// use for it.
var opcodes = sync.OnceValue(func() [][]byte {
	byName := map[string][]byte{}
	for _, run := range opcodeRuns {
		for i, name := range strings.Fields(run.names) {
			byName[name] = opcodeBytes(run.prefix, run.first+uint32(i))
		}
	}
	t := make([][]byte, ir.Ops())
	for op := range t {
		t[op] = byName[ir.Op(op).String()]
	}
	return t
})

func opcodeBytes(prefix byte, n uint32) []byte {
	if prefix == 0 {
		return []byte{byte(n)}
	}
	return wasmenc.AppendU([]byte{prefix}, uint64(n))
}

// immediate says what follows the opcode of an operation.
type immediate uint8

const (
	immNone   immediate = iota
	immMemarg           // natural alignment unknown: alignment 0; offset in Aux
	immLane             // lane in Aux
	immLanes            // 16 lanes in Aux and Aux2
	immCopy             // two memory indexes
	immFill             // one memory index
	immFence            // one zero byte
)

var immediates = sync.OnceValue(func() []immediate {
	t := make([]immediate, ir.Ops())
	for op := range t {
		switch name := ir.Op(op).String(); {
		case ir.Op(op) >= ir.Load32 && ir.Op(op) <= ir.StoreV128:
			t[op] = immMemarg
		case strings.Contains(name, "_lane"):
			t[op] = immLane
		}
	}
	t[ir.I8x16Shuffle] = immLanes
	t[ir.Copy32] = immCopy
	t[ir.Fill32] = immFill
	t[ir.Fence] = immFence
	return t
})

// atomicBase is the first of the seven opcodes of each atomic operation.
var atomicBase = map[ir.Op]uint32{
	ir.AtomicLoad:    0x10,
	ir.AtomicStore:   0x17,
	ir.AtomicAdd:     0x1e,
	ir.AtomicSub:     0x25,
	ir.AtomicAnd:     0x2c,
	ir.AtomicOr:      0x33,
	ir.AtomicXor:     0x3a,
	ir.AtomicXchg:    0x41,
	ir.AtomicCmpxchg: 0x48,
}

// atomicForm is the place among the seven, by operand type and width in
// bytes.
var atomicForm = map[ir.Type]map[int64]uint32{
	ir.I32: {4: 0, 1: 2, 2: 3},
	ir.I64: {8: 1, 1: 4, 2: 5, 4: 6},
}

// alignLog2 is the alignment immediate of an atomic access.
var alignLog2 = map[int64]byte{1: 0, 2: 1, 4: 2, 8: 3}
