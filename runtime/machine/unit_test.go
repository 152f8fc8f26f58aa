package machine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Test units are written by hand with asm. Function i is at unit offset
// 0x1000 + 0x10*i.

// testFunc is a guest function: a body for a TypeFunc and the part it is in.
type testFunc struct {
	part int
	body []byte
}

type testUnit struct {
	name  string
	funcs []testFunc
	made  map[int][]byte // parts made ahead, for benchmarks
}

const testBase = 0x400000

// entry is the unit offset of function i.
func entry(i int) uint32 { return 0x1000 + 0x10*uint32(i) }

func (u *testUnit) ID() [32]byte           { return sha256.Sum256([]byte(u.name)) }
func (u *testUnit) Functions() int         { return len(u.funcs) }
func (u *testUnit) PartOf(ordinal int) int { return u.funcs[ordinal].part }

func (u *testUnit) Lookup(off uint32) (int, bool) {
	i := int(off-0x1000) / 0x10
	return i, off >= 0x1000 && off%0x10 == 0 && i < len(u.funcs)
}

func (u *testUnit) Entry(ordinal int) uint32 { return entry(ordinal) }

// Part writes the module that docs/formats.md describes.
func (u *testUnit) Part(n int) (wasm []byte, ordinals []int, err error) {
	var code [][]byte
	for i, f := range u.funcs {
		if f.part == n {
			ordinals = append(ordinals, i)
			code = append(code, wasmenc.AppendBytes(nil, f.body))
		}
	}
	if wasm := u.made[n]; wasm != nil {
		return wasm, ordinals, nil
	}
	code = append(code, wasmenc.AppendBytes(nil, initBody(ordinals)))
	b := unit.AppendPrelude(nil, false)
	b = unit.AppendFunctions(b, len(ordinals), abi.TypeInit)
	zero := append([]byte{byte(abi.I32), wasmenc.Mutable}, asm{}.i32(0).op(wasmenc.OpEnd)...)
	b = wasmenc.AppendSection(b, wasmenc.SectionGlobal, vector([][]byte{zero, zero}))
	export := append(wasmenc.AppendName(nil, abi.InitName), wasmenc.KindFunc, byte(abi.NumImports+len(ordinals)))
	b = wasmenc.AppendSection(b, wasmenc.SectionExport, vector([][]byte{export}))
	declare := []byte{3, 0, byte(len(ordinals))}
	for i := range ordinals {
		declare = append(declare, byte(abi.NumImports+i))
	}
	b = wasmenc.AppendSection(b, wasmenc.SectionElement, vector([][]byte{declare}))
	return wasmenc.AppendSection(b, wasmenc.SectionCode, vector(code)), ordinals, nil
}

// PartID is the hash of Part's module.
func (u *testUnit) PartID(n int) (id [32]byte, ordinals []int, ok bool) {
	wasm, ordinals, err := u.Part(n)
	return sha256.Sum256(wasm), ordinals, err == nil && len(ordinals) > 0
}

// Site: test units have none.
func (u *testUnit) Site(uint32) (int, bool, error) { return 0, false, nil }

func (u *testUnit) Resume(n int) ([]byte, int, error) { return nil, 0, fmt.Errorf("no site %d", n) }

func initBody(ordinals []int) []byte {
	const tableSet = 0x26
	a := asm{}.get(0).with(wasmenc.OpGlobalSet, abi.GlobalLin).get(1).with(wasmenc.OpGlobalSet, abi.GlobalSlots)
	for i, ordinal := range ordinals {
		a = a.get(1).i32(int32(ordinal)).op(wasmenc.OpI32Add).with(opRefFunc, uint32(abi.NumImports+i)).op(tableSet, 0)
	}
	return a.function(0, 0)
}

// Locals of a TypeFunc, and the first ones a body adds.
const (
	lSP, lRDI, lRSI, lRDX, lRCX = 0, 1, 2, 3, 4
	lTmp                        = 5 // i64, of 3
)

// Opcodes of test bodies.
const (
	opUnreachable = 0x00
	opLoop        = 0x03
	opBr          = 0x0c
	opReturn      = 0x0f
	opReturnCall  = 0x12
	opDrop        = 0x1a
	opI32Load     = 0x28
	opI32Add      = 0x6a
	opI32Sub      = 0x6b
	opI64Store    = 0x37
	opI32LtU      = 0x49
	opI32DivS     = 0x6d
	opI64DivU     = 0x80
)

func (a asm) args() asm { return a.get(lSP, lRDI, lRSI, lRDX, lRCX) }

// ret ends a function as guest code does: ra from the stack, then rax and rdx.
func (a asm) ret(rax func(asm) asm) []byte {
	a = a.get(lSP).op(opI32Load, 2, 0)
	return rax(a).i64(0).get(lSP).function(3, abi.I64)
}

// push writes a return address below sp.
func (a asm) push(addr int64) asm {
	return a.get(lSP).i32(8).op(opI32Sub).i64(addr).op(opI64Store, 3, 0)
}

// calleeArgs are args with sp lowered by the return address.
func (a asm) calleeArgs() asm {
	return a.get(lSP).i32(8).op(opI32Sub).get(lRDI, lRSI, lRDX, lRCX)
}

// keepRAX drops the results of a call but rax, which goes to lTmp.
func (a asm) keepRAX() asm { return a.op(opDrop, opDrop).set(lTmp).op(opDrop) }

// syscall makes system call nr with six zero arguments.
func (a asm) syscall(nr int64) asm {
	a = a.i64(nr)
	for range 6 {
		a = a.i64(0)
	}
	return a.call(abi.FuncSyscall)
}

// exitBody makes system call nr, at which the test's handler stops.
func exitBody(nr int64) []byte {
	return asm{}.syscall(nr).op(opDrop).ret(func(a asm) asm { return a.i64(0) })
}

// crossCall calls a function of another part by its slot.
func (a asm) crossCall(ordinal int) asm {
	a = a.with(wasmenc.OpGlobalGet, abi.GlobalSlots).i32(int32(ordinal)).op(wasmenc.OpI32Add).store(abi.Target)
	return a.calleeArgs().load(abi.Target).indirect(wasmenc.OpCallIndirect)
}

// indirectCall calls the guest address in rdi.
func (a asm) indirectCall() asm {
	a = a.get(lRDI).op(opI32WrapI64).store(abi.Target)
	return a.calleeArgs().load(abi.Target).byAddress(wasmenc.OpCallIndirect)
}

// recorder is a handler that records system calls and stops at stopAt.
type recorder struct {
	calls  []uint64
	args   [6]uint64
	stopAt uint64
	onCall func(c *CPU, nr uint64)
	onPoll func(c *CPU) bool
}

func (r *recorder) Syscall(c *CPU, nr uint64, args [6]uint64) (uint64, bool) {
	r.calls = append(r.calls, nr)
	r.args = args
	if r.onCall != nil {
		r.onCall(c, nr)
	}
	return nr + 1000, nr == r.stopAt
}

func (r *recorder) Poll(c *CPU) bool { return r.onPoll != nil && r.onPoll(c) }

func (r *recorder) Fault(*CPU, *Fault) (bool, bool) { return false, false }

const (
	testStack = 0x800000
	testExit  = 60
)

// newTestEngine has no cache directory.
func newTestEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := NewEngine(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// newTestSpace has a stack and u at testBase.
func newTestSpace(t testing.TB, e *Engine, u Unit) *AddressSpace {
	t.Helper()
	as := spaceFor(t, e, "", testBase, u)
	t.Cleanup(as.Release)
	return as
}

// spaceFor is an address space of a program with a stack and, unless it is nil, a unit.
func spaceFor(t testing.TB, e *Engine, program string, base uint64, u Unit) *AddressSpace {
	t.Helper()
	as, err := e.NewAddressSpace(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := as.MapAnon(testStack-0x10000, 0x10000, ProtRead|ProtWrite); err != nil {
		t.Fatal(err)
	}
	if u != nil {
		if err := as.MapUnit(base, u); err != nil {
			t.Fatal(err)
		}
	}
	return as
}

// newTestCPU is at function i of the unit at testBase, with a full stack whose
// return address is that of function 1.
func newTestCPU(t testing.TB, as *AddressSpace, h Handler, i int) *CPU {
	t.Helper()
	c, err := as.engine.NewCPU(as, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	enterAt(t, c, i)
	return c
}

// enterAt sets pc to function i of the unit at testBase and rsp to a return
// address to its function 1.
func enterAt(t testing.TB, c *CPU, i int) {
	t.Helper()
	enterIn(t, c, testBase, i)
}

// enterIn is enterAt in the unit at base.
func enterIn(t testing.TB, c *CPU, base uint64, i int) {
	t.Helper()
	c.SetReg(abi.PC, base+uint64(entry(i)))
	c.SetReg(abi.RSP, testStack-0x100)
	if err := c.Space().Store64(testStack-0x100, base+uint64(entry(1))); err != nil {
		t.Fatal(err)
	}
}
