// Package ir is the translator's intermediate representation: functions of
// basic blocks with block arguments, in SSA form, whose operations have
// WebAssembly's semantics. It has a builder that simplifies as it goes, a
// printer, a verifier and an interpreter.
//
// It knows neither x86 (no flags, no partial registers: the lifter has
// turned them into ordinary values) nor wasm's encoding. The guest machine
// shows only as the register file (GetReg, SetReg) of layers/abi, linear
// memory, and calls.
//
// A block's Values are in execution order; values with an effect must stay in
// that order among each other as their Effects demand. A value may be used
// in its own block after its definition and in blocks that its block
// dominates.
package ir

import "github.com/megabin/megabin/layers/abi"

// Value is one SSA value or, with type Void, one effect.
type Value struct {
	ID    int32 // unique in the function
	Op    Op
	Type  Type
	Held  bool // by a register across a call: the builder makes nothing of its operands any more
	Aux   int64
	Aux2  int64
	Args  []*Value
	Block *Block
	Info  *CallInfo // of Call, Syscall, Place, and some Traps
	// Instead is what a pass puts in the place of the value, or nil. Once the pass is
	// done nothing uses the value any more.
	Instead *Value
	args    [3]*Value
}

// RegValue says which value a guest register has at a program point.
type RegValue struct {
	Reg   abi.Reg
	Value *Value
	// Kept: at a call or system call, it still has the value afterwards; at a
	// poll, it has it already.
	Kept bool
}

// Afresh is the Aux of a Place behind which the register file is not known to hold what was written
// there before.
const Afresh = 1

// CallKind is how a callee is found.
type CallKind uint8

// Call kinds.
const (
	Direct   CallKind = iota // Target is the callee's entry (unit offset)
	Indirect                 // the last argument is the callee's guest address, I32
)

// CallInfo is what a Call, TailCall or Syscall needs besides its arguments. Of a Place Return is
// the instruction that follows, of a Trap it is nothing.
type CallInfo struct {
	Kind   CallKind
	Target uint32 // Direct: entry (unit offset) of the callee
	Return uint32 // unit offset of the guest's return address
	// State is where the guest's registers stand at this point, those that
	// are not passed as arguments. Package opt turns it into SetRegs in front
	// of the call and keeps what a resumed function has to read back.
	State []RegValue
	// Changed are registers that this callee changes although Func.Kept has them.
	Changed []abi.Reg
	// Shared says that other functions have a copy of this call or place, with the same
	// Return: what was interrupted in one of them may go on in this one. The values of State are
	// Opaque then, and nothing else is known of the register file behind it.
	Shared bool
	// SP is rsp at a Call, the pushed return address included, for resumed
	// functions. It need not be in the register file.
	SP *Value
}

// TermKind is how a block ends.
type TermKind uint8

// Terminators.
const (
	NoTerm      TermKind = iota
	Jump                 // Succs[0]
	Branch               // Cond != 0 → Succs[0], else Succs[1]
	Switch               // Cond is an I32 index into Succs; the last one is the default
	Return               // Args: ra i32, rax, rdx, sp i32: where the return address is
	TailCall             // Args as Call's; Info; the guest's return address is at sp
	Leave                // abnormal exit: Args: pc i32, rsp i64; all other registers are in the register file
	Unreachable          // after a Trap
)

// Edge is a control-flow edge with the arguments of the target's parameters.
type Edge struct {
	To   *Block
	Args []*Value
}

// Term ends a block.
type Term struct {
	Kind  TermKind
	Cond  *Value
	Succs []Edge
	Args  []*Value
	Info  *CallInfo  // TailCall
	State []RegValue // registers to stand in the register file; a TailCall has them in Info
}

// Block is a basic block.
type Block struct {
	ID     int
	Addr   uint32 // unit offset of the guest code
	Params []*Value
	Values []*Value
	Term   Term
	// Poll is not nil at the headers of guest loops: the registers that have
	// to be in the register file when the loop polls; those that are not Kept
	// are written for it. The machine knows the place from Addr.
	Poll []RegValue
	// Shared is to a poll what CallInfo.Shared is to a call.
	Shared bool
	Func   *Func
}

// Func is one guest function. Blocks[0] is the entry; it has no
// predecessors and no parameters.
type Func struct {
	Entry  uint32 // unit offset
	Name   string
	Blocks []*Block
	// PollAtEntry asks for a look at abi.Guard at entry (recursion).
	PollAtEntry bool
	Kept        []abi.Reg // registers that a callee leaves as they were
	// Dead asks the builder for constants that nothing uses too. Absolute says that an access
	// has a constant address: two of them have one base if they are equal to a constant, used or not, that
	// is on the way to both (opt's cse and bounds).
	Dead, Absolute bool
	nextID         int32
	arena          *Arena
}

// NewBlock appends a block.
func (f *Func) NewBlock(addr uint32) *Block {
	b := f.memory().blocks.New()
	b.ID, b.Addr, b.Func = len(f.Blocks), addr, f
	f.Blocks = append(f.Blocks, b)
	return b
}

// NumValues bounds the IDs in f from above.
func (f *Func) NumValues() int { return int(f.nextID) }

// NewValue makes a value of f that is in no block yet.
func (f *Func) NewValue(op Op, t Type, args ...*Value) *Value {
	v := f.memory().values.New()
	v.ID, v.Op, v.Type = f.number(), op, t
	if len(args) <= len(v.args) {
		v.Args = v.args[:copy(v.args[:], args)]
	} else {
		v.Args = append(f.List(len(args)), args...)
	}
	return v
}

// number is the ID of the next value.
func (f *Func) number() int32 {
	f.nextID++
	return f.nextID - 1
}

// AddParam gives b one more parameter, which is no register's value.
func (b *Block) AddParam(t Type) *Value {
	v := b.Func.NewValue(Param, t)
	v.Aux, v.Block = NoReg, b
	b.Params = append(b.Params, v)
	return v
}

// Append puts v at the end of b.
func (b *Block) Append(v *Value) *Value {
	v.Block = b
	if n := len(b.Values); n == cap(b.Values) {
		b.Values = append(b.Func.List(max(leastValues, 2*n)), b.Values...)
	}
	b.Values = append(b.Values, v)
	return v
}

// leastValues is the number of values that a block has room for from its first on.
const leastValues = 8

// Fixed as Aux2 of a load says that it reads memory that never changes, and
// does not fault where its value is needed: a jump table's.
const Fixed = 1

// IsFixed reports whether v is a load from fixed memory: it can be left out, or be
// done later.
func (v *Value) IsFixed() bool { return v.Op.Info().Effect == ReadMem && v.Aux2 == Fixed }

// IsConst reports whether v is an integer constant, and its value.
func (v *Value) IsConst() (int64, bool) {
	return v.Aux, v.Op == Const32 || v.Op == Const64
}

// States replaces every list of where registers stand in b by what fn makes of
// it, but for the emptiness of Poll, which says that b is no loop's header.
func (b *Block) States(fn func([]RegValue) []RegValue) {
	for _, v := range b.Values {
		if v.Info != nil {
			v.Info.State = fn(v.Info.State)
		}
	}
	if b.Term.Info != nil {
		b.Term.Info.State = fn(b.Term.Info.State)
	}
	b.Term.State = fn(b.Term.State)
	if b.Poll != nil {
		b.Poll = fn(b.Poll)
	}
}
