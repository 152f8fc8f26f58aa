// Package abi is the contract between recompiled code and the machine that
// runs it: index spaces, signatures, register numbering, trap kinds. The
// converter emits against it and the runtime implements it; it knows neither
// x86 decoding nor wazero. docs/architecture.md says what the numbers mean.
package abi

import "fmt"

// Version is written into every unit and megabinary. A reader refuses a newer
// one, and an older one as well: its code calls by other rules.
const Version = 14

// CheckVersion is nil if this program can use what was written with version v.
func CheckVersion(v uint64) error {
	switch {
	case v > Version:
		return fmt.Errorf("version %d, this program reads up to %d: use a newer megabin", v, Version)
	case v < Version:
		return fmt.Errorf("version %d, this program reads from %d on: convert the image again", v, Version)
	}
	return nil
}

// MinAddress is the lowest guest address that can be mapped. What is below, the
// lowest page of linear memory, can't be accessed: null pointers fault.
const MinAddress = 0x10000

// MemoryPages is the size of linear memory in wasm pages. 65536 would make
// the byte length overflow in the engine.
const MemoryPages = 65535

// Table indexes of the imports.
const (
	TableSlots = iota // functions of all units, each at its slot
	TableCode         // functions and sites at their guest addresses: a keyed table of the engine's (runtime/wazero)
	NumTables
)

// LoopStrip is the number of back edges in one run of a function between two
// looks at Guard.
const LoopStrip = 1024

// PollNow is what the machine sets Guard to when it wants to be called.
const PollNow = 0xFFFFFFFF

// Reg numbers the register file: the index of the imported global.
type Reg uint8

// The register file, in the order of the global index space.
const (
	RAX Reg = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
	PC     // i64, valid at polls, system calls and after an abnormal exit; else 0, or in Go code a place control was at
	FS     // i32, linear address of fs:0
	GS     // i32, linear address of gs:0
	Guard  // i32: linear address that rsp is not below while on its stack; PollNow asks for a poll
	Target // i32: slot, or through TableCode guest address, that is being called, for what stands in for the function
	MXCSR  // i32, with MXCSRLive
	// Flags, i32 each, 0 or 1: what they were at the last poll in front of which they were live.
	CF
	PF
	AF
	ZF
	SF
	OF
	DF
	XMM0 // v128 … XMM0+15
)

// MXCSRLive is a bit of the register MXCSR, reserved in the processor's, that says that its flags
// are elsewhere: HelperSTMXCSR gives them.
const MXCSRLive = 1 << 16

// FlagBits are the places in rflags of the flags from CF to DF.
var FlagBits = [...]int{CF - CF: 0, PF - CF: 2, AF - CF: 4, ZF - CF: 6, SF - CF: 7, OF - CF: 11, DF - CF: 10}

// NumRegs is the number of imported globals.
const NumRegs = XMM0 + 16

// A part's own globals follow the imported ones.
const (
	GlobalLin   = uint32(NumRegs)     // i32, linear address of unit offset 0
	GlobalSlots = uint32(NumRegs) + 1 // i32, table index of function 0
)

// ValType is a wasm value type byte.
type ValType byte

// Value types used in the ABI (wasm core spec 5.3).
const (
	I32     ValType = 0x7f
	I64     ValType = 0x7e
	F32     ValType = 0x7d
	F64     ValType = 0x7c
	V128    ValType = 0x7b
	Funcref ValType = 0x70
)

// Type is the wasm type of a register.
func (r Reg) Type() ValType {
	switch {
	case r >= XMM0:
		return V128
	case r <= PC:
		return I64
	}
	return I32
}

// Module is the module name of all imports.
const Module = "cpu"

// FuncType is one entry of the fixed type index space.
type FuncType struct {
	Params, Results []ValType
}

// Type indexes that emitted code uses. A part's type section is Types,
// always and in this order.
const (
	// A guest function: (sp, rdi, rsi, rdx, rcx) → (return address, rax, rdx, sp at
	// the return address). The fifth and sixth argument go through the register
	// file: few functions have them, and a caller that does not know would have
	// to load them for all.
	TypeFunc    = iota
	TypeSyscall // (nr, rdi, rsi, rdx, r10, r8, r9) → rax
	TypeVoid    // () → ()
	TypeTrap    // (kind i32, unit offset of pc i32) → ()
	TypeX87     // (op i32, operand i64) → i64
	TypeHelper  // (op i32, a, b, c i64) → (i64, i64)
	TypeMul     // (i64, i64) → i64
	TypeInit    // (lin i32, slots i32) → ()
	NumTypes
)

// ParamRegs are the registers that a guest function's parameters after sp
// stand for.
var ParamRegs = [...]Reg{RDI, RSI, RDX, RCX}

// Types is the type section of every part and of the megabinary.
var Types = [NumTypes]FuncType{
	TypeFunc:    {[]ValType{I32, I64, I64, I64, I64}, []ValType{I32, I64, I64, I32}},
	TypeSyscall: {[]ValType{I64, I64, I64, I64, I64, I64, I64}, []ValType{I64}},
	TypeVoid:    {},
	TypeTrap:    {[]ValType{I32, I32}, nil},
	TypeX87:     {[]ValType{I32, I64}, []ValType{I64}},
	TypeHelper:  {[]ValType{I32, I64, I64, I64}, []ValType{I64, I64}},
	TypeMul:     {[]ValType{I64, I64}, []ValType{I64}},
	TypeInit:    {[]ValType{I32, I32}, nil},
}

// Function indexes of the imports.
const (
	FuncSyscall = iota // a system call; the register file is in sync
	FuncPoll           // a look at Guard found a poll due; the register file is in sync
	FuncTrap           // does not return
	FuncX87            // x87 operation, see X87Op
	FuncHelper         // rare instruction, see HelperOp
	FuncMulHU          // high 64 bits of unsigned 64×64
	FuncMulHS          // high 64 bits of signed 64×64
	FuncAgain          // FuncPoll at a function's entry, then the function at pc; a tail call
	NumImports         // a part's own functions start here
)

// Import is an imported function.
type Import struct {
	Name string
	Type int
}

// Imports is the function import list of every part.
var Imports = [NumImports]Import{
	FuncSyscall: {"syscall", TypeSyscall},
	FuncPoll:    {"poll", TypeVoid},
	FuncTrap:    {"trap", TypeTrap},
	FuncX87:     {"x87", TypeX87},
	FuncHelper:  {"helper", TypeHelper},
	FuncMulHU:   {"mulhu", TypeMul},
	FuncMulHS:   {"mulhs", TypeMul},
	FuncAgain:   {"again", TypeFunc},
}

// TrapKind is the first argument of the trap import.
type TrapKind int32

// Why recompiled code stopped.
const (
	TrapUD           TrapKind = iota // ud2 or an invalid opcode: SIGILL
	TrapUntranslated                 // an instruction the translator does not know: SIGILL, reported
	TrapBreakpoint                   // int3: SIGTRAP; pc is behind it
	TrapDivide                       // #DE: SIGFPE
	TrapPrivileged                   // hlt, in, out, …: SIGSEGV
)

// HelperOp selects a rare instruction done by the machine.
type HelperOp int32

// Helper operations: (a, b, c) → (r0, r1).
const (
	HelperCPUID       HelperOp = iota // a=eax b=ecx → r0=eax|ebx<<32 r1=ecx|edx<<32
	HelperRDTSC                       // → r0=tsc r1=processor id (rdtscp)
	HelperXGETBV                      // a=ecx → r0
	HelperDivU128                     // a=low b=high c=divisor → quotient, remainder; #DE traps
	HelperDivS128                     // likewise, signed
	HelperDivS128Fits                 // whether that does not trap → 0 or 1
	HelperFXSave                      // a=linear address; x87 and xmm state, mxcsr
	HelperFXRstor                     // a=linear address
	HelperLDMXCSR                     // a=value; #GP traps
	// Rounds of AES (FIPS 197) on the state b:a, without the round key.
	HelperAESEnc
	HelperAESEncLast
	HelperAESDec
	HelperAESDecLast
	HelperAESIMC          // b:a → InvMixColumns
	HelperAESKeygenAssist // b:a, c=round constant
	HelperCLMul           // a·b without carries → low, high
	HelperCRC32C          // a=crc b=data c=bytes of data → r0
	HelperCmpxchg16       // a=linear address, b=expected low, c=expected high; new value in rbx and rcx of the register file → old low, high
	HelperDescriptor      // a=selector → r0=rights|limit<<32, r1 bits: 0 there is one, 1 readable, 2 writable
	HelperLoadSegment     // a=selector b=0…5 for es cs ss ds fs gs; #GP traps
	HelperSTMXCSR         // → r0=mxcsr with the flags raised so far
	HelperRest            // a repeated string instruction has done another million bytes
)
