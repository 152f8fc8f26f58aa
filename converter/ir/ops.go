package ir

// Type is the type of a Value.
type Type uint8

// Value types. A Void value is an effect.
const (
	Void Type = iota
	I32
	I64
	F32
	F64
	V128
)

var typeNames = [...]string{"void", "i32", "i64", "f32", "f64", "v128"}

func (t Type) String() string { return typeNames[t] }

// Bits is the width of an integer.
func (t Type) Bits() int64 {
	if t == I64 {
		return 64
	}
	return 32
}

// Op is an operation. Pure operations have the semantics of the operation
// of the same name in the WebAssembly core specification 2.0.
type Op uint16

// Effect says what an operation does besides computing its result; it is
// what reordering has to respect.
type Effect uint8

// Effects.
const (
	Pure     Effect = iota
	MayTrap         // depends on no state but may end the function (division, float to int)
	ReadReg         // reads the register file
	WriteReg        // writes the register file
	ReadMem         // reads guest memory; may trap
	WriteMem        // writes guest memory; may trap
	Anything        // a call
)

// OpInfo describes an Op: one row of the table.
type OpInfo struct {
	Name   string
	Args   []Type
	Result Type
	Effect Effect
}

// NoReg is the Aux of a Param that is not the value of a register.
const NoReg = -1

// Structural operations. Aux is the only immediate unless said otherwise.
const (
	OpInvalid Op = iota
	Param        // block parameter; Aux: the abi.Reg whose value it is, or NoReg
	Const32      // Aux
	Const64      // Aux
	ConstF32     // Aux: bits
	ConstF64     // Aux: bits
	ConstV128    // Aux low 64 bits, Aux2 high 64 bits
	SP           // I32: the function's sp parameter
	EntrySP      // I32: SP, but 0 in a resumed function that can't know it; for comparisons
	Arg          // I64: Aux 0…4 = rdi rsi rdx rcx r8 at entry
	Lin          // I32: linear address of unit offset 0
	GetReg       // Aux: abi.Reg; the type is the register's
	SetReg       // Aux: abi.Reg
	Opaque       // Args[0], the value of register Aux (an abi.Reg), of which no pass may know more: see CallInfo.Shared
	Call         // see CallInfo; Args: sp, rdi, rsi, rdx, rcx, r8 [, target i32]
	Result       // Aux 0: rax, 1: rdx of the Call in Args[0]
	Syscall      // Args: nr, rdi, rsi, rdx, r10, r8, r9 → rax; Info holds the state
	Trap         // Aux: abi.TrapKind, Aux2: unit offset of pc; Info, if any, holds the state to leave
	Place        // nothing, but a resumed function can begin here, at Info.Return; Info holds the state; Aux: Afresh or 0
	X87          // Aux: operation; Args: I64 operand → I64
	Helper       // Aux: abi.HelperOp; Args: a, b, c → first result
	Helper2      // second result of the Helper in Args[0]
	MulHU        // high half of the 128-bit product
	MulHS
	Copy32 // memory.copy: Args dst, src, n (linear addresses)
	Fill32 // memory.fill: Args dst, value, n
	Fence  // full memory barrier

	// Loads: Args[0] linear address, Aux offset.
	Load32
	Load8U32
	Load8S32
	Load16U32
	Load16S32
	Load64
	Load8U64
	Load8S64
	Load16U64
	Load16S64
	Load32U64
	Load32S64
	LoadF32
	LoadF64
	LoadV128
	Load32Zero // v128.load32_zero
	Load64Zero // v128.load64_zero
	// Stores: Args[0] linear address, Args[1] value, Aux offset.
	Store32
	Store8x32
	Store16x32
	Store64
	Store8x64
	Store16x64
	Store32x64
	StoreF32
	StoreF64
	StoreV128
	// Atomics (sequentially consistent; natural alignment only, so the lifter
	// guards): same argument order as loads and stores. Aux2: width in bytes.
	AtomicLoad
	AtomicStore
	AtomicAdd // → old value
	AtomicSub
	AtomicAnd
	AtomicOr
	AtomicXor
	AtomicXchg
	AtomicCmpxchg // Args: address, expected, new → old value

	Select // Args: a, b, cond: cond != 0 ? a : b (any one type)

	// Integer operations; the I64 form of an I32 one is I64Base-I32Base further.
	I32Add
	I32Sub
	I32Mul
	I32DivS
	I32DivU
	I32RemS
	I32RemU
	I32And
	I32Or
	I32Xor
	I32Shl
	I32ShrS
	I32ShrU
	I32Rotl
	I32Rotr
	I32Clz
	I32Ctz
	I32Popcnt
	I32Eqz
	I32Eq
	I32Ne
	I32LtS
	I32LtU
	I32GtS
	I32GtU
	I32LeS
	I32LeU
	I32GeS
	I32GeU
	I32Extend8S
	I32Extend16S
	I64Add
	I64Sub
	I64Mul
	I64DivS
	I64DivU
	I64RemS
	I64RemU
	I64And
	I64Or
	I64Xor
	I64Shl
	I64ShrS
	I64ShrU
	I64Rotl
	I64Rotr
	I64Clz
	I64Ctz
	I64Popcnt
	I64Eqz
	I64Eq
	I64Ne
	I64LtS
	I64LtU
	I64GtS
	I64GtU
	I64LeS
	I64LeU
	I64GeS
	I64GeU
	I64Extend8S
	I64Extend16S
	I64Extend32S
	I32WrapI64
	I64ExtendI32S
	I64ExtendI32U

	firstNamed // every operation after this is named as in the wasm text format
)

// toI64 is what turns an I32 integer operation into its I64 form.
const toI64 = I64Add - I32Add

var (
	t1i32 = []Type{I32}
	t2i32 = []Type{I32, I32}
	t1i64 = []Type{I64}
	t2i64 = []Type{I64, I64}
)

var infos = buildInfos()

// Info returns the row of op.
func (op Op) Info() *OpInfo { return &infos[op] }

// Width is the number of bytes that a plain load or store accesses; 0 of other operations.
func (op Op) Width() int {
	if op < Load32 || op > StoreV128 {
		return 0
	}
	return int(widths[op-Load32])
}

var widths = [...]uint8{
	Load32 - Load32: 4, Load8U32 - Load32: 1, Load8S32 - Load32: 1, Load16U32 - Load32: 2, Load16S32 - Load32: 2,
	Load64 - Load32: 8, Load8U64 - Load32: 1, Load8S64 - Load32: 1, Load16U64 - Load32: 2, Load16S64 - Load32: 2,
	Load32U64 - Load32: 4, Load32S64 - Load32: 4, LoadF32 - Load32: 4, LoadF64 - Load32: 8,
	LoadV128 - Load32: 16, Load32Zero - Load32: 4, Load64Zero - Load32: 8,
	Store32 - Load32: 4, Store8x32 - Load32: 1, Store16x32 - Load32: 2, Store64 - Load32: 8, Store8x64 - Load32: 1,
	Store16x64 - Load32: 2, Store32x64 - Load32: 4, StoreF32 - Load32: 4, StoreF64 - Load32: 8, StoreV128 - Load32: 16,
}

func (op Op) String() string {
	if int(op) < len(infos) && infos[op].Name != "" {
		return infos[op].Name
	}
	return "invalid"
}

// Ops returns the number of operations; valid ones are 1 … Ops()-1.
func Ops() int { return len(infos) }

func buildInfos() []OpInfo {
	t := make([]OpInfo, int(firstNamed)+1+len(named))
	for op, i := range structural {
		t[op] = i
	}
	for i, n := range intNames {
		fillInt(t, I32Add+Op(i), "i32."+n, t1i32, t2i32, I32, i)
		fillInt(t, I64Add+Op(i), "i64."+n, t1i64, t2i64, I64, i)
	}
	t[I64Extend32S] = OpInfo{"i64.extend32_s", t1i64, I64, Pure}
	t[I32WrapI64] = OpInfo{"i32.wrap_i64", t1i64, I32, Pure}
	t[I64ExtendI32S] = OpInfo{"i64.extend_i32_s", t1i32, I64, Pure}
	t[I64ExtendI32U] = OpInfo{"i64.extend_i32_u", t1i32, I64, Pure}
	for i, n := range named {
		t[int(firstNamed)+1+i] = n
	}
	return t
}

var intNames = [...]string{"add", "sub", "mul", "div_s", "div_u", "rem_s", "rem_u", "and", "or", "xor", "shl", "shr_s", "shr_u",
	"rotl", "rotr", "clz", "ctz", "popcnt", "eqz", "eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u",
	"extend8_s", "extend16_s"}

func fillInt(t []OpInfo, op Op, name string, one, two []Type, res Type, i int) {
	info := OpInfo{Name: name, Args: two, Result: res}
	first := Op(i) + I32Add
	switch {
	case first >= I32DivS && first <= I32RemU:
		info.Effect = MayTrap
	case first == I32Clz || first == I32Ctz || first == I32Popcnt || first >= I32Extend8S:
		info.Args = one
	case first == I32Eqz:
		info.Args, info.Result = one, I32
	case first >= I32Eq && first <= I32GeU:
		info.Result = I32
	}
	t[op] = info
}

var structural = map[Op]OpInfo{
	Param:         {"param", nil, Void, Pure},
	Const32:       {"i32.const", nil, I32, Pure},
	Const64:       {"i64.const", nil, I64, Pure},
	ConstF32:      {"f32.const", nil, F32, Pure},
	ConstF64:      {"f64.const", nil, F64, Pure},
	ConstV128:     {"v128.const", nil, V128, Pure},
	SP:            {"sp", nil, I32, Pure},
	EntrySP:       {"entrysp", nil, I32, Pure},
	Arg:           {"arg", nil, I64, Pure},
	Lin:           {"lin", nil, I32, Pure},
	GetReg:        {"getreg", nil, Void, ReadReg},
	SetReg:        {"setreg", nil, Void, WriteReg},
	Opaque:        {"opaque", nil, Void, ReadReg},
	Call:          {"call", nil, Void, Anything},
	Result:        {"result", nil, I64, Pure},
	Syscall:       {"syscall", nil, I64, Anything},
	Trap:          {"trap", nil, Void, Anything},
	Place:         {"place", nil, Void, Anything},
	X87:           {"x87", t1i64, I64, Anything},
	Helper:        {"helper", []Type{I64, I64, I64}, I64, Anything},
	Helper2:       {"helper2", nil, I64, Pure},
	MulHU:         {"mulhu", t2i64, I64, Pure},
	MulHS:         {"mulhs", t2i64, I64, Pure},
	Copy32:        {"memory.copy", []Type{I32, I32, I32}, Void, WriteMem},
	Fill32:        {"memory.fill", []Type{I32, I32, I32}, Void, WriteMem},
	Fence:         {"atomic.fence", nil, Void, WriteMem},
	Load32:        {"i32.load", t1i32, I32, ReadMem},
	Load8U32:      {"i32.load8_u", t1i32, I32, ReadMem},
	Load8S32:      {"i32.load8_s", t1i32, I32, ReadMem},
	Load16U32:     {"i32.load16_u", t1i32, I32, ReadMem},
	Load16S32:     {"i32.load16_s", t1i32, I32, ReadMem},
	Load64:        {"i64.load", t1i32, I64, ReadMem},
	Load8U64:      {"i64.load8_u", t1i32, I64, ReadMem},
	Load8S64:      {"i64.load8_s", t1i32, I64, ReadMem},
	Load16U64:     {"i64.load16_u", t1i32, I64, ReadMem},
	Load16S64:     {"i64.load16_s", t1i32, I64, ReadMem},
	Load32U64:     {"i64.load32_u", t1i32, I64, ReadMem},
	Load32S64:     {"i64.load32_s", t1i32, I64, ReadMem},
	LoadF32:       {"f32.load", t1i32, F32, ReadMem},
	LoadF64:       {"f64.load", t1i32, F64, ReadMem},
	LoadV128:      {"v128.load", t1i32, V128, ReadMem},
	Load32Zero:    {"v128.load32_zero", t1i32, V128, ReadMem},
	Load64Zero:    {"v128.load64_zero", t1i32, V128, ReadMem},
	Store32:       {"i32.store", t2i32, Void, WriteMem},
	Store8x32:     {"i32.store8", t2i32, Void, WriteMem},
	Store16x32:    {"i32.store16", t2i32, Void, WriteMem},
	Store64:       {"i64.store", []Type{I32, I64}, Void, WriteMem},
	Store8x64:     {"i64.store8", []Type{I32, I64}, Void, WriteMem},
	Store16x64:    {"i64.store16", []Type{I32, I64}, Void, WriteMem},
	Store32x64:    {"i64.store32", []Type{I32, I64}, Void, WriteMem},
	StoreF32:      {"f32.store", []Type{I32, F32}, Void, WriteMem},
	StoreF64:      {"f64.store", []Type{I32, F64}, Void, WriteMem},
	StoreV128:     {"v128.store", []Type{I32, V128}, Void, WriteMem},
	AtomicLoad:    {"atomic.load", nil, Void, WriteMem},
	AtomicStore:   {"atomic.store", nil, Void, WriteMem},
	AtomicAdd:     {"atomic.rmw.add", nil, Void, WriteMem},
	AtomicSub:     {"atomic.rmw.sub", nil, Void, WriteMem},
	AtomicAnd:     {"atomic.rmw.and", nil, Void, WriteMem},
	AtomicOr:      {"atomic.rmw.or", nil, Void, WriteMem},
	AtomicXor:     {"atomic.rmw.xor", nil, Void, WriteMem},
	AtomicXchg:    {"atomic.rmw.xchg", nil, Void, WriteMem},
	AtomicCmpxchg: {"atomic.rmw.cmpxchg", nil, Void, WriteMem},
	Select:        {"select", nil, Void, Pure},
}
