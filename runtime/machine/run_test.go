package machine

import (
	"context"
	"math/bits"
	"strings"
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/wasmenc"
)

// run makes a unit of f (function 0), an exit (function 1) and more, and runs
// from function 0.
func run(t *testing.T, h *recorder, f []byte, more ...testFunc) (*CPU, Exit) {
	t.Helper()
	h.stopAt = testExit
	u := &testUnit{name: t.Name(), funcs: append([]testFunc{{0, f}, {0, exitBody(testExit)}}, more...)}
	c := newTestCPU(t, newTestSpace(t, newTestEngine(t, Options{}), u), h, 0)
	return c, c.Run(context.Background())
}

func wantStop(t *testing.T, e Exit) {
	t.Helper()
	if !e.Stopped {
		t.Fatalf("exit %+v, fault %v, want a stop", e, e.Fault)
	}
}

// TestReturnToDispatcher: a function returns where no caller is, and the
// register file is then as after a ret.
func TestReturnToDispatcher(t *testing.T) {
	var h recorder
	c, e := run(t, &h, asm{}.ret(func(a asm) asm { return a.i64(42) }))
	wantStop(t, e)
	if c.Reg(abi.RAX) != 42 || c.Reg(abi.RSP) != testStack-0xf8 {
		t.Errorf("rax %d rsp %#x", c.Reg(abi.RAX), c.Reg(abi.RSP))
	}
}

// TestSyscall: arguments, result and a stop.
func TestSyscall(t *testing.T) {
	a := asm{}.i64(7)
	for i := range int64(6) {
		a = a.i64(10 + i)
	}
	var h recorder
	c, e := run(t, &h, a.call(abi.FuncSyscall).set(lTmp).ret(func(a asm) asm { return a.get(lTmp) }))
	wantStop(t, e)
	if len(h.calls) != 2 || h.calls[0] != 7 || c.Reg(abi.RAX) != 1007 {
		t.Errorf("calls %v, rax %d", h.calls, c.Reg(abi.RAX))
	}
	h.calls = nil
	enterAt(t, c, 1)
	wantStop(t, c.Run(context.Background()))
	if len(h.calls) != 1 {
		t.Errorf("calls %v", h.calls)
	}
}

func TestSyscallArguments(t *testing.T) {
	a := asm{}.i64(testExit)
	for i := range int64(6) {
		a = a.i64(10 + i)
	}
	var h recorder
	_, e := run(t, &h, a.call(abi.FuncSyscall).op(opUnreachable).function(0, 0))
	wantStop(t, e)
	if h.args != [6]uint64{10, 11, 12, 13, 14, 15} {
		t.Errorf("args %v", h.args)
	}
}

// TestCalls: within a part, to another part (loaded on the first call), and
// indirectly; each callee returns a constant that the caller returns.
func TestCalls(t *testing.T) {
	constant := func(v int64) []byte { return asm{}.ret(func(a asm) asm { return a.i64(v) }) }
	tmp := func(a asm) asm { return a.get(lTmp) }
	const ra = testBase + 0x1234
	for name, f := range map[string]struct {
		body []byte
		want uint64
	}{
		"direct":   {asm{}.push(ra).calleeArgs().call(abi.NumImports + 2).keepRAX().ret(tmp), 22},
		"cross":    {asm{}.push(ra).crossCall(3).keepRAX().ret(tmp), 33},
		"twice":    {asm{}.push(ra).crossCall(3).keepRAX().push(ra).crossCall(3).keepRAX().ret(tmp), 33},
		"indirect": {asm{}.i64(int64(testBase + entry(4))).set(lRDI).push(ra).indirectCall().keepRAX().ret(tmp), 44},
	} {
		t.Run(name, func(t *testing.T) {
			var h recorder
			c, e := run(t, &h, f.body, testFunc{0, constant(22)}, testFunc{1, constant(33)}, testFunc{2, constant(44)})
			wantStop(t, e)
			if got := c.Reg(abi.RAX); got != f.want {
				t.Errorf("rax %d, want %d", got, f.want)
			}
		})
	}
}

// TestKnownByAddress: a second call of the same address asks nobody, and what is known goes when its
// unit does. Addresses that have one place in the first way of the table are both known.
func TestKnownByAddress(t *testing.T) {
	const otherBase = testBase + 1<<15 // the place is of an address's bits 4 to 13
	var body asm
	for range 3 {
		for _, base := range []int64{testBase, otherBase} {
			body = body.i64(base + int64(entry(2))).set(lRDI).push(0).indirectCall().keepRAX()
		}
	}
	body = body.syscall(1).op(opDrop).i64(otherBase + int64(entry(2))).set(lRDI).push(0).indirectCall().keepRAX()
	five := testFunc{1, asm{}.ret(func(a asm) asm { return a.i64(5) })}
	u := &testUnit{name: t.Name(), funcs: []testFunc{{0, body.ret(func(a asm) asm { return a.get(lTmp) })}, {0, exitBody(testExit)}, five}}
	as := newTestSpace(t, newTestEngine(t, Options{}), u)
	check(t, as.MapUnit(otherBase, &testUnit{name: "other", funcs: []testFunc{five, five, five}}))
	c := newTestCPU(t, as, &recorder{stopAt: testExit, onCall: func(c *CPU, nr uint64) {
		if n := c.engine.Stats().Resolves; n > 3 { // where it began, and two functions
			t.Errorf("asked %d times", n)
		}
		as.UnmapUnit(otherBase)
	}}, 0)
	if e := c.Run(context.Background()); e.Fault == nil || e.Fault.Kind != SEGV || e.Fault.PC != otherBase+uint64(entry(2)) {
		t.Errorf("exit %+v after unmapping", e)
	}
}

// TestKeyedIsForCalls: whoever could write to the table by addresses could make code of anything.
func TestKeyedIsForCalls(t *testing.T) {
	const table, null = byte(abi.TableCode), 0xd0
	for name, body := range map[string]asm{
		"get":         asm{}.i32(0).op(0x25, table, opDrop),
		"set":         asm{}.i32(0).op(null, byte(abi.Funcref)).op(0x26, table),
		"size":        asm{}.op(wasmenc.OpPrefixFC, 16, table, opDrop),
		"grow":        asm{}.op(null, byte(abi.Funcref)).i32(1).op(wasmenc.OpPrefixFC, fcTableGrow, table, opDrop),
		"fill":        asm{}.i32(0).op(null, byte(abi.Funcref)).i32(1).op(wasmenc.OpPrefixFC, 17, table),
		"copy to":     asm{}.i32(0).i32(0).i32(1).op(wasmenc.OpPrefixFC, 14, table, abi.TableSlots),
		"copy from":   asm{}.i32(0).i32(0).i32(1).op(wasmenc.OpPrefixFC, 14, abi.TableSlots, table),
		"init":        asm{}.i32(0).i32(0).i32(1).op(wasmenc.OpPrefixFC, wasmenc.FCTableInit, 0, table),
		"other types": asm{}.i32(0).op(wasmenc.OpCallIndirect, abi.TypeVoid, table),
	} {
		t.Run(name, func(t *testing.T) {
			var h recorder
			_, e := run(t, &h, body.ret(func(a asm) asm { return a.i64(0) }))
			if e.Err == nil || !strings.Contains(e.Err.Error(), "keyed table") {
				t.Errorf("exit %+v", e)
			}
		})
	}
}

// TestPastEnd: compiled code that touches a page past a file's end is left
// there, as often as it does.
func TestPastEnd(t *testing.T) {
	const at = 0x100000
	body := asm{}.i32(at+pageSize+8).i64(1).op(opI64Store, 3, 0).call(abi.FuncPoll).op(opUnreachable).function(0, 0)
	u := &testUnit{name: t.Name(), funcs: []testFunc{{0, body}}}
	as := newTestSpace(t, newTestEngine(t, Options{}), u)
	f := testFile(t, pageSize)
	check(t, as.MapFile(at, 2*pageSize, f, 0, ProtRead|ProtWrite, true))
	c := newTestCPU(t, as, &recorder{}, 0)
	for range 2 {
		enterAt(t, c, 0)
		e := c.Run(context.Background())
		if e.Fault == nil || e.Fault.Kind != BUS || e.Fault.Addr != at+pageSize+8 {
			t.Fatalf("exit %+v", e)
		}
		if tr := e.Fault.Trace; len(tr) != 1 || tr[0] != testBase+0x1000 {
			t.Errorf("trace %#x", tr)
		}
		if _, found := c.PastEnd(); found {
			t.Error("a touch of the kernel's")
		}
	}
	check(t, f.Truncate(2*pageSize))
	enterAt(t, c, 0)
	if e := c.Run(context.Background()); e.Fault == nil || e.Fault.Kind != ILL {
		t.Errorf("exit %+v when the file has grown", e)
	}
}

// TestMissing: a jump into the middle of a function is told and faults.
func TestMissing(t *testing.T) {
	var offs []uint32
	e := newTestEngine(t, Options{Missing: func(_ *AddressSpace, _ Unit, off uint32) { offs = append(offs, off) }})
	u := &testUnit{name: t.Name(), funcs: []testFunc{{0, exitBody(testExit)}, {0, exitBody(testExit)}}}
	c := newTestCPU(t, newTestSpace(t, e, u), &recorder{}, 0)
	c.SetReg(abi.PC, testBase+0x1003)
	exit := c.Run(context.Background())
	if exit.Fault == nil || exit.Fault.PC != testBase+0x1003 || !strings.Contains(exit.Fault.Reason, "0x1003") {
		t.Errorf("exit %+v", exit)
	}
	if len(offs) != 1 || offs[0] != 0x1003 || e.Stats().Missing != 1 {
		t.Errorf("missing %#x, stats %+v", offs, e.Stats())
	}
}

// TestFaults: each kind, after which the CPU and the engine go on.
func TestFaults(t *testing.T) {
	trap := func(kind abi.TrapKind) []byte {
		return asm{}.i32(int32(kind)).i32(0x1005).call(abi.FuncTrap).op(opUnreachable).function(0, 0)
	}
	helper := func(op abi.HelperOp, a, b, c int64) []byte {
		return asm{}.i32(int32(op)).i64(a).i64(b).i64(c).call(abi.FuncHelper).op(opUnreachable).function(0, 0)
	}
	tests := []struct {
		name string
		body []byte
		kind FaultKind
		pc   uint64
	}{
		{"null load", asm{}.i32(0).op(opI64Load, 3, 0).op(opUnreachable).function(0, 0), SEGV, 0},
		{"null store", asm{}.i32(-8).i64(1).op(opI64Store, 3, 0).op(opUnreachable).function(0, 0), SEGV, 0},
		{"divide by zero", asm{}.i32(1).i32(0).op(opI32DivS, opUnreachable).function(0, 0), FPE, 0},
		{"quotient overflow", asm{}.i32(-1<<31).i32(-1).op(opI32DivS, opUnreachable).function(0, 0), FPE, 0},
		{"div128 overflow", helper(abi.HelperDivU128, 0, 5, 5), FPE, 0},
		{"idiv128 overflow", helper(abi.HelperDivS128, -1<<63, -1, -1), FPE, 0},
		{"unreachable", asm{}.op(opUnreachable).function(0, 0), ILL, 0},
		{"null slot", asm{}.args().i32(0).indirect(0x11).function(0, 0), SEGV, 0},
		{"no slot", asm{}.args().i32(9999).indirect(0x11).function(0, 0), SEGV, 0},
		{"recursion", asm{}.args().call(abi.NumImports).function(0, 0), SEGV, 0},
		{"ud2", trap(abi.TrapUD), ILL, testBase + 0x1005},
		{"untranslated", trap(abi.TrapUntranslated), ILL, testBase + 0x1005},
		{"int3", trap(abi.TrapBreakpoint), TRAP, testBase + 0x1005},
		{"divide error", trap(abi.TrapDivide), FPE, testBase + 0x1005},
		{"hlt", trap(abi.TrapPrivileged), SEGV, testBase + 0x1005},
		{"xgetbv", helper(abi.HelperXGETBV, 0, 0, 0), ILL, 0},
		{"fxsave at null", helper(abi.HelperFXSave, 0xffff0000, 0, 0), SEGV, 0},
		{"fbld at null", asm{}.i32(int32(abi.X87Load)|int32(abi.X87SrcBCD)<<abi.X87SrcShift).i64(0xffff0000).call(abi.FuncX87).op(opUnreachable).function(0, 0), SEGV, 0},
		{"jump to nowhere", asm{}.i32(0x1234567).store(abi.Target).args().load(abi.Target).byAddress(wasmenc.OpCallIndirect).function(0, 0), SEGV, 0x1234567},
	}
	for _, f := range tests {
		t.Run(f.name, func(t *testing.T) {
			var h recorder
			c, e := run(t, &h, f.body)
			if e.Fault == nil || e.Fault.Kind != f.kind || f.pc != 0 && e.Fault.PC != f.pc {
				t.Fatalf("exit %+v, fault %v, want %v at %#x", e, e.Fault, f.kind, f.pc)
			}
			if tr := e.Fault.Trace; f.name != "recursion" && (len(tr) == 0 || tr[0] != testBase+0x1000) {
				t.Errorf("trace %#x", tr)
			}
			enterAt(t, c, 1)
			wantStop(t, c.Run(context.Background()))
		})
	}
}

// TestNestedRun: a system call that runs a guest function before it returns,
// as a signal handler.
func TestNestedRun(t *testing.T) {
	h := &recorder{}
	h.onCall = func(c *CPU, nr uint64) {
		if nr != 5 {
			return
		}
		sp, pc := c.Reg(abi.RSP), c.Reg(abi.PC)
		c.SetReg(abi.RSP, testStack-0x1000)
		c.SetReg(abi.PC, testBase+uint64(entry(1)))
		wantStop(t, c.Run(context.Background()))
		c.SetReg(abi.RSP, sp)
		c.SetReg(abi.PC, pc)
	}
	c, e := run(t, h, asm{}.syscall(5).set(lTmp).ret(func(a asm) asm { return a.get(lTmp) }))
	wantStop(t, e)
	if len(h.calls) != 3 || c.Reg(abi.RAX) != 1005 {
		t.Errorf("calls %v rax %d", h.calls, c.Reg(abi.RAX))
	}
}

// TestPoll: code that polls forever is stopped, by the handler or the context.
func TestPoll(t *testing.T) {
	forever := asm{}.op(opLoop, blockTypeEmpty).call(abi.FuncPoll).op(opBr, 0, 0x0b).op(opUnreachable).function(0, 0)
	n := 0
	h := &recorder{onPoll: func(*CPU) bool { n++; return n == 10 }}
	c, e := run(t, h, forever)
	wantStop(t, e)
	ctx, cancel := context.WithCancel(context.Background())
	h.onPoll = func(*CPU) bool { cancel(); return false }
	enterAt(t, c, 0)
	if e := c.Run(ctx); e.Err != context.Canceled {
		t.Errorf("exit %+v, want the context's error", e)
	}
}

// TestPollAtEntry: a function that polls at its entry has its parameters and a
// clear pc after that, and its caller's return address.
func TestPollAtEntry(t *testing.T) {
	polled := uint64(0)
	h := &recorder{onPoll: func(c *CPU) bool { polled = c.Reg(abi.PC); return false }}
	body := asm{}.get(lSP).load(abi.Guard).op(opI32LtU, opIf, blockTypeEmpty).
		i64(testBase+int64(entry(0))).store(abi.PC).args().op(opReturnCall, abi.FuncAgain, wasmenc.OpEnd).
		ret(func(a asm) asm { return a.get(lRDI).get(lRCX).op(opI64Add).load(abi.PC).op(opI64Add) })
	as := newTestSpace(t, newTestEngine(t, Options{}), &testUnit{name: t.Name(), funcs: []testFunc{{0, body}, {0, exitBody(testExit)}}})
	h.stopAt = testExit
	c := newTestCPU(t, as, h, 0)
	c.SetReg(abi.RDI, 40)
	c.SetReg(abi.RCX, 2)
	wantStop(t, c.Run(context.Background()))
	if v := c.Reg(abi.RAX); v != 42 || polled != testBase+uint64(entry(0)) {
		t.Errorf("polled at %#x, answered %d", polled, v)
	}
}

// TestDispatcherPolls: code that never polls but goes round the dispatcher.
func TestDispatcherPolls(t *testing.T) {
	n := 0
	h := &recorder{onPoll: func(*CPU) bool { n++; return n == 3 }}
	// Returns to itself, with ra = 0 as after an abnormal exit.
	self := asm{}.i64(testBase+0x1000).store(abi.PC).i32(0).i64(0).i64(0).i32(0).function(0, 0)
	_, e := run(t, h, self)
	wantStop(t, e)
}

// TestMulHigh compares with math/bits.
func TestMulHigh(t *testing.T) {
	values := []uint64{0, 1, 2, 0x7fffffff, 0xffffffff, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1, 0x123456789abcdef0, 0xfedcba9876543210}
	c, e := run(t, &recorder{}, exitBody(testExit))
	wantStop(t, e)
	hu, hs := c.module.ExportedFunction("mulhu"), c.module.ExportedFunction("mulhs")
	for _, a := range values {
		for _, b := range values {
			want, _ := bits.Mul64(a, b)
			signed := want
			if int64(a) < 0 {
				signed -= b
			}
			if int64(b) < 0 {
				signed -= a
			}
			u, err := hu.Call(context.Background(), a, b)
			if err != nil || u[0] != want {
				t.Errorf("mulhu(%#x, %#x) = %#x, %v, want %#x", a, b, u, err, want)
			}
			s, err := hs.Call(context.Background(), a, b)
			if err != nil || s[0] != signed {
				t.Errorf("mulhs(%#x, %#x) = %#x, %v, want %#x", a, b, s, err, signed)
			}
		}
	}
}

// TestRegisters: each register keeps its own value, and CopyState takes all but
// the guard, which is a CPU's own.
func TestRegisters(t *testing.T) {
	c, _ := run(t, &recorder{}, exitBody(testExit))
	value := func(i int) uint64 { return 0x1111111111111111 * uint64(i%15+1) }
	for r := range abi.XMM0 {
		c.SetReg(r, value(int(r)))
	}
	for i := range 16 {
		c.SetXMM(i, [2]uint64{value(i), ^value(i)})
	}
	d := newTestCPU(t, c.Space(), &recorder{}, 0)
	d.CopyState(c)
	for r := range abi.XMM0 {
		want := value(int(r))
		if r.Type() == abi.I32 {
			want &= 0xffffffff
		}
		if c.Reg(r)&want != want || d.Reg(r) != c.Reg(r) && r != abi.Guard {
			t.Errorf("%v is %#x and %#x, want %#x", r, c.Reg(r), d.Reg(r), want)
		}
	}
	for i := range 16 {
		want := [2]uint64{value(i), ^value(i)}
		if c.XMM(i) != want || d.XMM(i) != want {
			t.Errorf("xmm%d is %#x and %#x, want %#x", i, c.XMM(i), d.XMM(i), want)
		}
	}
	c.SetFSBase(0x12345000)
	if c.FSBase() != 0x12345000 || c.Reg(abi.FS) != 0x12345000 {
		t.Errorf("fs base %#x, linear %#x", c.FSBase(), c.Reg(abi.FS))
	}
}
