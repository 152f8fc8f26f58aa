package ir

// Named operations: floating point, conversions and vectors. The name is
// wasm's; lane operations take the lane in Aux, i8x16.shuffle its 16 lanes in
// Aux (lanes 0-7, low byte first) and Aux2 (lanes 8-15).
const (
	F32Abs = firstNamed + 1 + iota
	F32Neg
	F32Ceil
	F32Floor
	F32Trunc
	F32Nearest
	F32Sqrt
	F32Add
	F32Sub
	F32Mul
	F32Div
	F32Min
	F32Max
	F32Copysign
	F32Eq
	F32Ne
	F32Lt
	F32Gt
	F32Le
	F32Ge
	F64Abs
	F64Neg
	F64Ceil
	F64Floor
	F64Trunc
	F64Nearest
	F64Sqrt
	F64Add
	F64Sub
	F64Mul
	F64Div
	F64Min
	F64Max
	F64Copysign
	F64Eq
	F64Ne
	F64Lt
	F64Gt
	F64Le
	F64Ge
	I32TruncF32S
	I32TruncSatF32S
	I32TruncF32U
	I32TruncSatF32U
	I32TruncF64S
	I32TruncSatF64S
	I32TruncF64U
	I32TruncSatF64U
	I64TruncF32S
	I64TruncSatF32S
	I64TruncF32U
	I64TruncSatF32U
	I64TruncF64S
	I64TruncSatF64S
	I64TruncF64U
	I64TruncSatF64U
	F32ConvertI32S
	F32ConvertI32U
	F32ConvertI64S
	F32ConvertI64U
	F64ConvertI32S
	F64ConvertI32U
	F64ConvertI64S
	F64ConvertI64U
	F32DemoteF64
	F64PromoteF32
	I32ReinterpretF32
	I64ReinterpretF64
	F32ReinterpretI32
	F64ReinterpretI64
	I8x16Shuffle
	I8x16Swizzle
	I8x16Splat
	I8x16ExtractLaneS
	I8x16ExtractLaneU
	I8x16ReplaceLane
	I16x8Splat
	I16x8ExtractLaneS
	I16x8ExtractLaneU
	I16x8ReplaceLane
	I32x4Splat
	I32x4ExtractLane
	I32x4ReplaceLane
	I64x2Splat
	I64x2ExtractLane
	I64x2ReplaceLane
	F32x4Splat
	F32x4ExtractLane
	F32x4ReplaceLane
	F64x2Splat
	F64x2ExtractLane
	F64x2ReplaceLane
	I8x16Eq
	I8x16Ne
	I8x16LtS
	I8x16LtU
	I8x16GtS
	I8x16GtU
	I8x16LeS
	I8x16LeU
	I8x16GeS
	I8x16GeU
	I16x8Eq
	I16x8Ne
	I16x8LtS
	I16x8LtU
	I16x8GtS
	I16x8GtU
	I16x8LeS
	I16x8LeU
	I16x8GeS
	I16x8GeU
	I32x4Eq
	I32x4Ne
	I32x4LtS
	I32x4LtU
	I32x4GtS
	I32x4GtU
	I32x4LeS
	I32x4LeU
	I32x4GeS
	I32x4GeU
	I64x2Eq
	I64x2Ne
	I64x2LtS
	I64x2GtS
	I64x2LeS
	I64x2GeS
	F32x4Eq
	F32x4Ne
	F32x4Lt
	F32x4Gt
	F32x4Le
	F32x4Ge
	F64x2Eq
	F64x2Ne
	F64x2Lt
	F64x2Gt
	F64x2Le
	F64x2Ge
	V128Not
	V128And
	V128Andnot
	V128Or
	V128Xor
	V128Bitselect
	V128AnyTrue
	I8x16Abs
	I8x16Neg
	I8x16AllTrue
	I8x16Bitmask
	I8x16Shl
	I8x16ShrS
	I8x16ShrU
	I8x16Add
	I8x16Sub
	I8x16AddSatS
	I8x16AddSatU
	I8x16SubSatS
	I8x16SubSatU
	I8x16AvgrU
	I8x16MinS
	I8x16MinU
	I8x16MaxS
	I8x16MaxU
	I16x8Abs
	I16x8Neg
	I16x8AllTrue
	I16x8Bitmask
	I16x8Shl
	I16x8ShrS
	I16x8ShrU
	I16x8Add
	I16x8Sub
	I16x8AddSatS
	I16x8AddSatU
	I16x8SubSatS
	I16x8SubSatU
	I16x8AvgrU
	I16x8MinS
	I16x8MinU
	I16x8MaxS
	I16x8MaxU
	I16x8Mul
	I32x4Abs
	I32x4Neg
	I32x4AllTrue
	I32x4Bitmask
	I32x4Shl
	I32x4ShrS
	I32x4ShrU
	I32x4Add
	I32x4Sub
	I32x4MinS
	I32x4MinU
	I32x4MaxS
	I32x4MaxU
	I32x4Mul
	I64x2Abs
	I64x2Neg
	I64x2AllTrue
	I64x2Bitmask
	I64x2Shl
	I64x2ShrS
	I64x2ShrU
	I64x2Add
	I64x2Sub
	I64x2Mul
	I8x16Popcnt
	I8x16NarrowI16x8S
	I8x16NarrowI16x8U
	I16x8NarrowI32x4S
	I16x8NarrowI32x4U
	I32x4DotI16x8S
	I16x8Q15mulrSatS
	I16x8ExtendLowI8x16S
	I16x8ExtmulLowI8x16S
	I16x8ExtendLowI8x16U
	I16x8ExtmulLowI8x16U
	I16x8ExtendHighI8x16S
	I16x8ExtmulHighI8x16S
	I16x8ExtendHighI8x16U
	I16x8ExtmulHighI8x16U
	I32x4ExtendLowI16x8S
	I32x4ExtmulLowI16x8S
	I32x4ExtendLowI16x8U
	I32x4ExtmulLowI16x8U
	I32x4ExtendHighI16x8S
	I32x4ExtmulHighI16x8S
	I32x4ExtendHighI16x8U
	I32x4ExtmulHighI16x8U
	I64x2ExtendLowI32x4S
	I64x2ExtmulLowI32x4S
	I64x2ExtendLowI32x4U
	I64x2ExtmulLowI32x4U
	I64x2ExtendHighI32x4S
	I64x2ExtmulHighI32x4S
	I64x2ExtendHighI32x4U
	I64x2ExtmulHighI32x4U
	I16x8ExtaddPairwiseI8x16S
	I16x8ExtaddPairwiseI8x16U
	I32x4ExtaddPairwiseI16x8S
	I32x4ExtaddPairwiseI16x8U
	F32x4Abs
	F32x4Neg
	F32x4Sqrt
	F32x4Ceil
	F32x4Floor
	F32x4Trunc
	F32x4Nearest
	F32x4Add
	F32x4Sub
	F32x4Mul
	F32x4Div
	F32x4Min
	F32x4Max
	F32x4Pmin
	F32x4Pmax
	F64x2Abs
	F64x2Neg
	F64x2Sqrt
	F64x2Ceil
	F64x2Floor
	F64x2Trunc
	F64x2Nearest
	F64x2Add
	F64x2Sub
	F64x2Mul
	F64x2Div
	F64x2Min
	F64x2Max
	F64x2Pmin
	F64x2Pmax
	I32x4TruncSatF32x4S
	F32x4ConvertI32x4S
	I32x4TruncSatF64x2SZero
	F64x2ConvertLowI32x4S
	I32x4TruncSatF32x4U
	F32x4ConvertI32x4U
	I32x4TruncSatF64x2UZero
	F64x2ConvertLowI32x4U
	F32x4DemoteF64x2Zero
	F64x2PromoteLowF32x4
)

var named = []OpInfo{
	{"f32.abs", []Type{F32}, F32, Pure},
	{"f32.neg", []Type{F32}, F32, Pure},
	{"f32.ceil", []Type{F32}, F32, Pure},
	{"f32.floor", []Type{F32}, F32, Pure},
	{"f32.trunc", []Type{F32}, F32, Pure},
	{"f32.nearest", []Type{F32}, F32, Pure},
	{"f32.sqrt", []Type{F32}, F32, Pure},
	{"f32.add", []Type{F32, F32}, F32, Pure},
	{"f32.sub", []Type{F32, F32}, F32, Pure},
	{"f32.mul", []Type{F32, F32}, F32, Pure},
	{"f32.div", []Type{F32, F32}, F32, Pure},
	{"f32.min", []Type{F32, F32}, F32, Pure},
	{"f32.max", []Type{F32, F32}, F32, Pure},
	{"f32.copysign", []Type{F32, F32}, F32, Pure},
	{"f32.eq", []Type{F32, F32}, I32, Pure},
	{"f32.ne", []Type{F32, F32}, I32, Pure},
	{"f32.lt", []Type{F32, F32}, I32, Pure},
	{"f32.gt", []Type{F32, F32}, I32, Pure},
	{"f32.le", []Type{F32, F32}, I32, Pure},
	{"f32.ge", []Type{F32, F32}, I32, Pure},
	{"f64.abs", []Type{F64}, F64, Pure},
	{"f64.neg", []Type{F64}, F64, Pure},
	{"f64.ceil", []Type{F64}, F64, Pure},
	{"f64.floor", []Type{F64}, F64, Pure},
	{"f64.trunc", []Type{F64}, F64, Pure},
	{"f64.nearest", []Type{F64}, F64, Pure},
	{"f64.sqrt", []Type{F64}, F64, Pure},
	{"f64.add", []Type{F64, F64}, F64, Pure},
	{"f64.sub", []Type{F64, F64}, F64, Pure},
	{"f64.mul", []Type{F64, F64}, F64, Pure},
	{"f64.div", []Type{F64, F64}, F64, Pure},
	{"f64.min", []Type{F64, F64}, F64, Pure},
	{"f64.max", []Type{F64, F64}, F64, Pure},
	{"f64.copysign", []Type{F64, F64}, F64, Pure},
	{"f64.eq", []Type{F64, F64}, I32, Pure},
	{"f64.ne", []Type{F64, F64}, I32, Pure},
	{"f64.lt", []Type{F64, F64}, I32, Pure},
	{"f64.gt", []Type{F64, F64}, I32, Pure},
	{"f64.le", []Type{F64, F64}, I32, Pure},
	{"f64.ge", []Type{F64, F64}, I32, Pure},
	{"i32.trunc_f32_s", []Type{F32}, I32, MayTrap},
	{"i32.trunc_sat_f32_s", []Type{F32}, I32, Pure},
	{"i32.trunc_f32_u", []Type{F32}, I32, MayTrap},
	{"i32.trunc_sat_f32_u", []Type{F32}, I32, Pure},
	{"i32.trunc_f64_s", []Type{F64}, I32, MayTrap},
	{"i32.trunc_sat_f64_s", []Type{F64}, I32, Pure},
	{"i32.trunc_f64_u", []Type{F64}, I32, MayTrap},
	{"i32.trunc_sat_f64_u", []Type{F64}, I32, Pure},
	{"i64.trunc_f32_s", []Type{F32}, I64, MayTrap},
	{"i64.trunc_sat_f32_s", []Type{F32}, I64, Pure},
	{"i64.trunc_f32_u", []Type{F32}, I64, MayTrap},
	{"i64.trunc_sat_f32_u", []Type{F32}, I64, Pure},
	{"i64.trunc_f64_s", []Type{F64}, I64, MayTrap},
	{"i64.trunc_sat_f64_s", []Type{F64}, I64, Pure},
	{"i64.trunc_f64_u", []Type{F64}, I64, MayTrap},
	{"i64.trunc_sat_f64_u", []Type{F64}, I64, Pure},
	{"f32.convert_i32_s", []Type{I32}, F32, Pure},
	{"f32.convert_i32_u", []Type{I32}, F32, Pure},
	{"f32.convert_i64_s", []Type{I64}, F32, Pure},
	{"f32.convert_i64_u", []Type{I64}, F32, Pure},
	{"f64.convert_i32_s", []Type{I32}, F64, Pure},
	{"f64.convert_i32_u", []Type{I32}, F64, Pure},
	{"f64.convert_i64_s", []Type{I64}, F64, Pure},
	{"f64.convert_i64_u", []Type{I64}, F64, Pure},
	{"f32.demote_f64", []Type{F64}, F32, Pure},
	{"f64.promote_f32", []Type{F32}, F64, Pure},
	{"i32.reinterpret_f32", []Type{F32}, I32, Pure},
	{"i64.reinterpret_f64", []Type{F64}, I64, Pure},
	{"f32.reinterpret_i32", []Type{I32}, F32, Pure},
	{"f64.reinterpret_i64", []Type{I64}, F64, Pure},
	{"i8x16.shuffle", []Type{V128, V128}, V128, Pure},
	{"i8x16.swizzle", []Type{V128, V128}, V128, Pure},
	{"i8x16.splat", []Type{I32}, V128, Pure},
	{"i8x16.extract_lane_s", []Type{V128}, I32, Pure},
	{"i8x16.extract_lane_u", []Type{V128}, I32, Pure},
	{"i8x16.replace_lane", []Type{V128, I32}, V128, Pure},
	{"i16x8.splat", []Type{I32}, V128, Pure},
	{"i16x8.extract_lane_s", []Type{V128}, I32, Pure},
	{"i16x8.extract_lane_u", []Type{V128}, I32, Pure},
	{"i16x8.replace_lane", []Type{V128, I32}, V128, Pure},
	{"i32x4.splat", []Type{I32}, V128, Pure},
	{"i32x4.extract_lane", []Type{V128}, I32, Pure},
	{"i32x4.replace_lane", []Type{V128, I32}, V128, Pure},
	{"i64x2.splat", []Type{I64}, V128, Pure},
	{"i64x2.extract_lane", []Type{V128}, I64, Pure},
	{"i64x2.replace_lane", []Type{V128, I64}, V128, Pure},
	{"f32x4.splat", []Type{F32}, V128, Pure},
	{"f32x4.extract_lane", []Type{V128}, F32, Pure},
	{"f32x4.replace_lane", []Type{V128, F32}, V128, Pure},
	{"f64x2.splat", []Type{F64}, V128, Pure},
	{"f64x2.extract_lane", []Type{V128}, F64, Pure},
	{"f64x2.replace_lane", []Type{V128, F64}, V128, Pure},
	{"i8x16.eq", []Type{V128, V128}, V128, Pure},
	{"i8x16.ne", []Type{V128, V128}, V128, Pure},
	{"i8x16.lt_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.lt_u", []Type{V128, V128}, V128, Pure},
	{"i8x16.gt_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.gt_u", []Type{V128, V128}, V128, Pure},
	{"i8x16.le_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.le_u", []Type{V128, V128}, V128, Pure},
	{"i8x16.ge_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.ge_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.eq", []Type{V128, V128}, V128, Pure},
	{"i16x8.ne", []Type{V128, V128}, V128, Pure},
	{"i16x8.lt_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.lt_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.gt_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.gt_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.le_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.le_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.ge_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.ge_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.eq", []Type{V128, V128}, V128, Pure},
	{"i32x4.ne", []Type{V128, V128}, V128, Pure},
	{"i32x4.lt_s", []Type{V128, V128}, V128, Pure},
	{"i32x4.lt_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.gt_s", []Type{V128, V128}, V128, Pure},
	{"i32x4.gt_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.le_s", []Type{V128, V128}, V128, Pure},
	{"i32x4.le_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.ge_s", []Type{V128, V128}, V128, Pure},
	{"i32x4.ge_u", []Type{V128, V128}, V128, Pure},
	{"i64x2.eq", []Type{V128, V128}, V128, Pure},
	{"i64x2.ne", []Type{V128, V128}, V128, Pure},
	{"i64x2.lt_s", []Type{V128, V128}, V128, Pure},
	{"i64x2.gt_s", []Type{V128, V128}, V128, Pure},
	{"i64x2.le_s", []Type{V128, V128}, V128, Pure},
	{"i64x2.ge_s", []Type{V128, V128}, V128, Pure},
	{"f32x4.eq", []Type{V128, V128}, V128, Pure},
	{"f32x4.ne", []Type{V128, V128}, V128, Pure},
	{"f32x4.lt", []Type{V128, V128}, V128, Pure},
	{"f32x4.gt", []Type{V128, V128}, V128, Pure},
	{"f32x4.le", []Type{V128, V128}, V128, Pure},
	{"f32x4.ge", []Type{V128, V128}, V128, Pure},
	{"f64x2.eq", []Type{V128, V128}, V128, Pure},
	{"f64x2.ne", []Type{V128, V128}, V128, Pure},
	{"f64x2.lt", []Type{V128, V128}, V128, Pure},
	{"f64x2.gt", []Type{V128, V128}, V128, Pure},
	{"f64x2.le", []Type{V128, V128}, V128, Pure},
	{"f64x2.ge", []Type{V128, V128}, V128, Pure},
	{"v128.not", []Type{V128}, V128, Pure},
	{"v128.and", []Type{V128, V128}, V128, Pure},
	{"v128.andnot", []Type{V128, V128}, V128, Pure},
	{"v128.or", []Type{V128, V128}, V128, Pure},
	{"v128.xor", []Type{V128, V128}, V128, Pure},
	{"v128.bitselect", []Type{V128, V128, V128}, V128, Pure},
	{"v128.any_true", []Type{V128}, I32, Pure},
	{"i8x16.abs", []Type{V128}, V128, Pure},
	{"i8x16.neg", []Type{V128}, V128, Pure},
	{"i8x16.all_true", []Type{V128}, I32, Pure},
	{"i8x16.bitmask", []Type{V128}, I32, Pure},
	{"i8x16.shl", []Type{V128, I32}, V128, Pure},
	{"i8x16.shr_s", []Type{V128, I32}, V128, Pure},
	{"i8x16.shr_u", []Type{V128, I32}, V128, Pure},
	{"i8x16.add", []Type{V128, V128}, V128, Pure},
	{"i8x16.sub", []Type{V128, V128}, V128, Pure},
	{"i8x16.add_sat_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.add_sat_u", []Type{V128, V128}, V128, Pure},
	{"i8x16.sub_sat_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.sub_sat_u", []Type{V128, V128}, V128, Pure},
	{"i8x16.avgr_u", []Type{V128, V128}, V128, Pure},
	{"i8x16.min_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.min_u", []Type{V128, V128}, V128, Pure},
	{"i8x16.max_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.max_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.abs", []Type{V128}, V128, Pure},
	{"i16x8.neg", []Type{V128}, V128, Pure},
	{"i16x8.all_true", []Type{V128}, I32, Pure},
	{"i16x8.bitmask", []Type{V128}, I32, Pure},
	{"i16x8.shl", []Type{V128, I32}, V128, Pure},
	{"i16x8.shr_s", []Type{V128, I32}, V128, Pure},
	{"i16x8.shr_u", []Type{V128, I32}, V128, Pure},
	{"i16x8.add", []Type{V128, V128}, V128, Pure},
	{"i16x8.sub", []Type{V128, V128}, V128, Pure},
	{"i16x8.add_sat_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.add_sat_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.sub_sat_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.sub_sat_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.avgr_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.min_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.min_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.max_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.max_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.mul", []Type{V128, V128}, V128, Pure},
	{"i32x4.abs", []Type{V128}, V128, Pure},
	{"i32x4.neg", []Type{V128}, V128, Pure},
	{"i32x4.all_true", []Type{V128}, I32, Pure},
	{"i32x4.bitmask", []Type{V128}, I32, Pure},
	{"i32x4.shl", []Type{V128, I32}, V128, Pure},
	{"i32x4.shr_s", []Type{V128, I32}, V128, Pure},
	{"i32x4.shr_u", []Type{V128, I32}, V128, Pure},
	{"i32x4.add", []Type{V128, V128}, V128, Pure},
	{"i32x4.sub", []Type{V128, V128}, V128, Pure},
	{"i32x4.min_s", []Type{V128, V128}, V128, Pure},
	{"i32x4.min_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.max_s", []Type{V128, V128}, V128, Pure},
	{"i32x4.max_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.mul", []Type{V128, V128}, V128, Pure},
	{"i64x2.abs", []Type{V128}, V128, Pure},
	{"i64x2.neg", []Type{V128}, V128, Pure},
	{"i64x2.all_true", []Type{V128}, I32, Pure},
	{"i64x2.bitmask", []Type{V128}, I32, Pure},
	{"i64x2.shl", []Type{V128, I32}, V128, Pure},
	{"i64x2.shr_s", []Type{V128, I32}, V128, Pure},
	{"i64x2.shr_u", []Type{V128, I32}, V128, Pure},
	{"i64x2.add", []Type{V128, V128}, V128, Pure},
	{"i64x2.sub", []Type{V128, V128}, V128, Pure},
	{"i64x2.mul", []Type{V128, V128}, V128, Pure},
	{"i8x16.popcnt", []Type{V128}, V128, Pure},
	{"i8x16.narrow_i16x8_s", []Type{V128, V128}, V128, Pure},
	{"i8x16.narrow_i16x8_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.narrow_i32x4_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.narrow_i32x4_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.dot_i16x8_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.q15mulr_sat_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.extend_low_i8x16_s", []Type{V128}, V128, Pure},
	{"i16x8.extmul_low_i8x16_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.extend_low_i8x16_u", []Type{V128}, V128, Pure},
	{"i16x8.extmul_low_i8x16_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.extend_high_i8x16_s", []Type{V128}, V128, Pure},
	{"i16x8.extmul_high_i8x16_s", []Type{V128, V128}, V128, Pure},
	{"i16x8.extend_high_i8x16_u", []Type{V128}, V128, Pure},
	{"i16x8.extmul_high_i8x16_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.extend_low_i16x8_s", []Type{V128}, V128, Pure},
	{"i32x4.extmul_low_i16x8_s", []Type{V128, V128}, V128, Pure},
	{"i32x4.extend_low_i16x8_u", []Type{V128}, V128, Pure},
	{"i32x4.extmul_low_i16x8_u", []Type{V128, V128}, V128, Pure},
	{"i32x4.extend_high_i16x8_s", []Type{V128}, V128, Pure},
	{"i32x4.extmul_high_i16x8_s", []Type{V128, V128}, V128, Pure},
	{"i32x4.extend_high_i16x8_u", []Type{V128}, V128, Pure},
	{"i32x4.extmul_high_i16x8_u", []Type{V128, V128}, V128, Pure},
	{"i64x2.extend_low_i32x4_s", []Type{V128}, V128, Pure},
	{"i64x2.extmul_low_i32x4_s", []Type{V128, V128}, V128, Pure},
	{"i64x2.extend_low_i32x4_u", []Type{V128}, V128, Pure},
	{"i64x2.extmul_low_i32x4_u", []Type{V128, V128}, V128, Pure},
	{"i64x2.extend_high_i32x4_s", []Type{V128}, V128, Pure},
	{"i64x2.extmul_high_i32x4_s", []Type{V128, V128}, V128, Pure},
	{"i64x2.extend_high_i32x4_u", []Type{V128}, V128, Pure},
	{"i64x2.extmul_high_i32x4_u", []Type{V128, V128}, V128, Pure},
	{"i16x8.extadd_pairwise_i8x16_s", []Type{V128}, V128, Pure},
	{"i16x8.extadd_pairwise_i8x16_u", []Type{V128}, V128, Pure},
	{"i32x4.extadd_pairwise_i16x8_s", []Type{V128}, V128, Pure},
	{"i32x4.extadd_pairwise_i16x8_u", []Type{V128}, V128, Pure},
	{"f32x4.abs", []Type{V128}, V128, Pure},
	{"f32x4.neg", []Type{V128}, V128, Pure},
	{"f32x4.sqrt", []Type{V128}, V128, Pure},
	{"f32x4.ceil", []Type{V128}, V128, Pure},
	{"f32x4.floor", []Type{V128}, V128, Pure},
	{"f32x4.trunc", []Type{V128}, V128, Pure},
	{"f32x4.nearest", []Type{V128}, V128, Pure},
	{"f32x4.add", []Type{V128, V128}, V128, Pure},
	{"f32x4.sub", []Type{V128, V128}, V128, Pure},
	{"f32x4.mul", []Type{V128, V128}, V128, Pure},
	{"f32x4.div", []Type{V128, V128}, V128, Pure},
	{"f32x4.min", []Type{V128, V128}, V128, Pure},
	{"f32x4.max", []Type{V128, V128}, V128, Pure},
	{"f32x4.pmin", []Type{V128, V128}, V128, Pure},
	{"f32x4.pmax", []Type{V128, V128}, V128, Pure},
	{"f64x2.abs", []Type{V128}, V128, Pure},
	{"f64x2.neg", []Type{V128}, V128, Pure},
	{"f64x2.sqrt", []Type{V128}, V128, Pure},
	{"f64x2.ceil", []Type{V128}, V128, Pure},
	{"f64x2.floor", []Type{V128}, V128, Pure},
	{"f64x2.trunc", []Type{V128}, V128, Pure},
	{"f64x2.nearest", []Type{V128}, V128, Pure},
	{"f64x2.add", []Type{V128, V128}, V128, Pure},
	{"f64x2.sub", []Type{V128, V128}, V128, Pure},
	{"f64x2.mul", []Type{V128, V128}, V128, Pure},
	{"f64x2.div", []Type{V128, V128}, V128, Pure},
	{"f64x2.min", []Type{V128, V128}, V128, Pure},
	{"f64x2.max", []Type{V128, V128}, V128, Pure},
	{"f64x2.pmin", []Type{V128, V128}, V128, Pure},
	{"f64x2.pmax", []Type{V128, V128}, V128, Pure},
	{"i32x4.trunc_sat_f32x4_s", []Type{V128}, V128, Pure},
	{"f32x4.convert_i32x4_s", []Type{V128}, V128, Pure},
	{"i32x4.trunc_sat_f64x2_s_zero", []Type{V128}, V128, Pure},
	{"f64x2.convert_low_i32x4_s", []Type{V128}, V128, Pure},
	{"i32x4.trunc_sat_f32x4_u", []Type{V128}, V128, Pure},
	{"f32x4.convert_i32x4_u", []Type{V128}, V128, Pure},
	{"i32x4.trunc_sat_f64x2_u_zero", []Type{V128}, V128, Pure},
	{"f64x2.convert_low_i32x4_u", []Type{V128}, V128, Pure},
	{"f32x4.demote_f64x2_zero", []Type{V128}, V128, Pure},
	{"f64x2.promote_low_f32x4", []Type{V128}, V128, Pure},
}
