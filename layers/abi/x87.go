package abi

// X87Op is the first argument of the x87 import: an operation with its
// operand form packed into one number, so that recompiled code passes a
// constant. The machine keeps the x87 state (eight 80-bit registers, TOP,
// tags, control and status word).
//
//	bits 0–7   operation (X87Add …)
//	bits 8–10  i of ST(i)
//	bits 11–13 source of the second operand (X87Src…)
//	bits 14–15 how many times the stack is popped afterwards
type X87Op int32

// Fields of an X87Op.
const (
	X87RegShift = 8
	X87SrcShift = 11
	X87PopShift = 14
)

// X87Src says where the second operand of an arithmetic, compare or load
// operation comes from, or where a store goes.
type X87Src uint8

// Sources. Memory operands up to 64 bits are loaded by recompiled code and
// passed as the import's operand; larger ones are passed as a linear address.
const (
	X87SrcReg  X87Src = iota // ST(i)
	X87SrcDest               // ST(i) is the destination, ST(0) the other operand
	X87SrcF32                // the operand's low 32 bits are a single
	X87SrcF64                // the operand is a double
	X87SrcInt                // the operand is an integer, sign-extended to 64 bits
	X87SrcF80                // the operand is the linear address of 10 bytes
	X87SrcBCD                // the operand is the linear address of a packed BCD
)

// Operations. Arithmetic: ST(0) ← ST(0) op source, or ST(i) ← ST(i) op ST(0)
// for X87SrcDest; the R forms swap the operands.
const (
	X87Add X87Op = iota
	X87Mul
	X87Sub
	X87SubR
	X87Div
	X87DivR
	X87Com   // compare, result in C3 C2 C0
	X87Ucom  // the same, quiet NaNs are not invalid
	X87ComI  // compare with ST(i) → EFLAGS bits ZF PF CF
	X87UcomI // the same, quiet NaNs are not invalid
	X87Load  // push the source
	X87LoadConst
	X87StoreReg // ST(i) ← ST(0)
	X87StoreF32 // → bits
	X87StoreF64 // → bits
	X87StoreF80 // operand: linear address
	X87StoreBCD // operand: linear address; pops by its pop field
	X87StoreI16 // → integer rounded by the control word
	X87StoreI32
	X87StoreI64
	X87TruncI16 // → integer rounded to zero
	X87TruncI32
	X87TruncI64
	X87Move // if the operand is not 0: ST(0) ← ST(i)
	X87Xch
	X87Free
	X87IncStp
	X87DecStp
	X87Chs
	X87Abs
	X87Tst
	X87Xam
	X87Sqrt
	X87RndInt
	X87Scale
	X87Xtract
	X87Prem
	X87Prem1
	X87F2xm1
	X87Yl2x
	X87Yl2xp1
	X87Patan
	X87Ptan
	X87Sin
	X87Cos
	X87SinCos
	X87GetCW   // → control word
	X87SetCW   // operand: control word
	X87GetSW   // → status word
	X87Clear   // fnclex
	X87Init    // fninit
	X87GetEnv  // fnstenv; operand: linear address of 28 bytes, or 14 if the ST(i) field is X87Small
	X87SetEnv  // fldenv
	X87Save    // fnsave; operand: linear address of 80 bytes more
	X87Restore // frstor
	X87GetMMX  // → MMX register i; enters MMX state
	X87SetMMX  // MMX register i ← operand; enters MMX state
	X87Emms
	X87Zeros // i + 1 times: push +0; then as often pop
	NumX87Ops
)

// Constants of X87LoadConst, in its ST(i) field.
const (
	X87One uint8 = iota
	X87L2T
	X87L2E
	X87Pi
	X87Lg2
	X87Ln2
	X87Zero
)

// X87Small is the ST(i) field of environments in the 16-bit format.
const X87Small uint8 = 1

// X87 packs an operation with its operand form.
func X87(op X87Op, src X87Src, i uint8, pops int) X87Op {
	return op | X87Op(i)<<X87RegShift | X87Op(src)<<X87SrcShift | X87Op(pops)<<X87PopShift
}

// Code is the operation without its operand form.
func (op X87Op) Code() X87Op { return op & 0xff }

// Reg is i of ST(i).
func (op X87Op) Reg() uint8 { return uint8(op >> X87RegShift & 7) }

// Src is the source of the second operand.
func (op X87Op) Src() X87Src { return X87Src(op >> X87SrcShift & 7) }

// Pops is how many times the stack is popped afterwards.
func (op X87Op) Pops() int { return int(op >> X87PopShift & 3) }
