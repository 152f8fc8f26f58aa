package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/megabin/megabin/converter/ir"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/runtime/machine"
)

// world is what a run may read and change.
type world struct {
	regs  [abi.NumRegs]ir.Word
	mem   [scratchSz + 128]byte
	stack [0x1000]byte
	err   string
}

const stackLow = stackTop - 0x800

// initial is the world before a run: the return address of the outermost
// function is the exit's.
func initial(seed uint64, last int) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{}
	for i := range abi.Reg(16) {
		w.regs[i].Lo = r.Uint64()
	}
	w.regs[abi.XMM0+3] = ir.Word{Lo: r.Uint64(), Hi: r.Uint64()}
	w.regs[fuelReg].Lo = 300
	w.regs[abi.PC].Lo = unitBase + uint64(entryOf(last))
	w.regs[abi.RSP].Lo = stackTop - 0x100
	for i := range w.mem {
		w.mem[i] = byte(r.Uint32())
	}
	for i, b := range []byte{0, 0x10, 0x40} { // unitBase + exitEntry
		w.stack[stackTop-0x100-stackLow+i] = b
	}
	return w
}

// compared are the registers that polls don't write.
var compared = []abi.Reg{abi.RAX, abi.R9, abi.RBX, abi.RBP, abi.R10, abi.R11, abi.R13, abi.R14, abi.R15, abi.XMM0 + 3}

func (w *world) diff(o *world) string {
	if w.err != o.err {
		return fmt.Sprintf("ended with %q and %q", w.err, o.err)
	}
	for _, r := range compared {
		if w.regs[r] != o.regs[r] {
			return fmt.Sprintf("%v: %#x and %#x", r, w.regs[r], o.regs[r])
		}
	}
	for i := range w.mem {
		if w.mem[i] != o.mem[i] {
			return fmt.Sprintf("memory at %#x: %#x and %#x", i, w.mem[i], o.mem[i])
		}
	}
	if !bytes.Equal(w.stack[:], o.stack[:]) {
		return "the stack differs"
	}
	return ""
}

// interpret runs function last of fns.
func interpret(fns []*ir.Func, last int, w *world) {
	errExit := errors.New("exit")
	const size = stackTop
	m := &ir.Interp{Mem: make([]byte, size), Regs: w.regs, Lin: unitBase, Steps: 1e6}
	copy(m.Mem[scratch:], w.mem[:])
	copy(m.Mem[stackLow:], w.stack[:])
	m.Syscall = func(*ir.Interp, []ir.Word) (uint64, error) { return 0, errExit }
	m.Call = func(m *ir.Interp, info *ir.CallInfo, args []ir.Word) (ir.Returned, error) {
		off := info.Target
		if info.Kind == ir.Indirect {
			off = uint32(args[1+argCount].Lo) - unitBase
		}
		var a ir.Args
		for i := range a {
			a[i] = args[1+i].Lo
		}
		return m.Run(fns[(off-exitEntry)/0x10], uint32(args[0].Lo), a)
	}
	r := &m.Regs
	sp := uint32(r[abi.RSP].Lo)
	var in ir.Args
	for i, reg := range abi.ParamRegs {
		in[i] = r[reg].Lo
	}
	ret, err := m.Run(fns[last], sp, in)
	if err == nil && ret.RA != 0 {
		r[abi.RAX].Lo, r[abi.RDX].Lo = ret.RAX, ret.RDX
	}
	if err != nil && err != errExit {
		w.err = err.Error()
	}
	w.regs = m.Regs
	copy(w.mem[:], m.Mem[scratch:])
	copy(w.stack[:], m.Mem[stackLow:])
}

// build compiles fns and packs them as the runner gets them.
func build(t *testing.T, name string, fns []*ir.Func) machine.Unit {
	t.Helper()
	u := &unit.Unit{Meta: unit.Meta{Source: blob.Hash([]byte(name)), SourceSize: 0x10000}}
	for i, f := range fns {
		if err := ir.Verify(f); err != nil {
			t.Fatalf("%v\n%v", err, f)
		}
		code, err := Compile(f, partEnv{partOf(i), i})
		if err != nil {
			t.Fatal(err)
		}
		u.Funcs = append(u.Funcs, unit.Func{Entry: f.Entry, Part: uint32(partOf(i)), Body: code.Body, Calls: code.Calls})
	}
	var b pack.Buffer
	source, err := pack.Unit(u)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pack.Write(t.Context(), &b, []*pack.Source{source}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := pack.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	ref, ok, err := m.Unit(u.Source)
	if err != nil || !ok {
		t.Fatalf("unit found: %v, %v", ok, err)
	}
	return ref
}

// stopper ends a run at its system call, and a loop that goes on for too long.
type stopper struct{ left int }

func (s *stopper) Syscall(*machine.CPU, uint64, [6]uint64) (uint64, bool) { return 0, true }
func (s *stopper) Poll(*machine.CPU) bool                                 { s.left--; return s.left < 0 }
func (s *stopper) Fault(*machine.CPU, *machine.Fault) (bool, bool)        { return false, false }

// engineRun runs the unit with the engine.
func engineRun(t *testing.T, e *machine.Engine, u machine.Unit, w *world, polls int) {
	t.Helper()
	as, err := e.NewAddressSpace("")
	check(t, err)
	defer as.Release()
	check(t, as.MapAnon(scratch, 0x10000, machine.ProtRead|machine.ProtWrite))
	check(t, as.MapAnon(stackTop-0x10000, 0x20000, machine.ProtRead|machine.ProtWrite))
	check(t, as.MapUnit(unitBase, u))
	check(t, as.CopyOut(scratch, w.mem[:]))
	check(t, as.CopyOut(stackLow, w.stack[:]))
	c, err := e.NewCPU(as, &stopper{polls})
	check(t, err)
	defer c.Close()
	for i := range abi.PC + 1 {
		c.SetReg(i, w.regs[i].Lo)
	}
	for i := range 16 {
		c.SetXMM(i, [2]uint64{w.regs[abi.XMM0+abi.Reg(i)].Lo, w.regs[abi.XMM0+abi.Reg(i)].Hi})
	}
	if exit := c.Run(context.Background()); !exit.Stopped {
		w.err = fmt.Sprintf("%v, %v", exit.Fault, exit.Err)
	}
	for i := range abi.PC + 1 {
		w.regs[i].Lo = c.Reg(i)
	}
	for i := range 16 {
		x := c.XMM(i)
		w.regs[abi.XMM0+abi.Reg(i)] = ir.Word{Lo: x[0], Hi: x[1]}
	}
	check(t, as.CopyIn(scratch, w.mem[:]))
	check(t, as.CopyIn(stackLow, w.stack[:]))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRandomFunctions compares what the engine makes of emitted code with
// what the interpreter does. Functions that never end must poll.
func TestRandomFunctions(t *testing.T) {
	e, err := machine.NewEngine(context.Background(), machine.Options{})
	check(t, err)
	defer e.Close()
	endless := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		fns := []*ir.Func{exitFunc()}
		for i := 1; i < 12; i++ {
			fns = append(fns, randomFunc(r, i, 2+r.IntN(25)))
		}
		u := build(t, fmt.Sprint(seed), fns)
		for last := 1; last < len(fns); last++ {
			want, got := initial(seed, last), initial(seed, last)
			interpret(fns, last, want)
			if want.err == ir.ErrSteps.Error() {
				endless++
				engineRun(t, e, u, got, 3) // a poll must end it
				continue
			}
			engineRun(t, e, u, got, 1000)
			if d := want.diff(got); d != "" {
				t.Fatalf("seed %d, function %d: interpreter and engine: %s\n%v", seed, last, d, fns[last])
			}
		}
	}
	if endless == 0 {
		t.Error("no function was endless")
	}
}
