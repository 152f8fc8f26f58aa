package difftest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/megabin/megabin/converter/translate"
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/runtime/machine"
)

// dumpBase is where a recompiled snippet leaves its registers: a processor's
// are all in the register file at a system call, but recompiled code keeps only
// those that live.
const dumpBase = DataBase + 0x800

var regNames = [16]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}

// dump stores the registers and ends the program.
func dump() string {
	var s strings.Builder
	for i, r := range regNames {
		fmt.Fprintf(&s, "mov qword ptr [%#x], %s; ", dumpBase+8*i, r)
	}
	for i := range 16 {
		fmt.Fprintf(&s, "movups xmmword ptr [%#x], xmm%d; ", dumpBase+128+16*i, i)
	}
	return s.String() + "mov eax, 60; syscall"
}

// lifted runs the snippets of one program that was recompiled as a whole.
type lifted struct {
	cpu     *machine.CPU
	space   *machine.AddressSpace
	entries []uint64
	data    []byte // the page at DataBase
	stack   []byte
	stopped bool
}

// Syscall implements machine.Handler: it ends the snippet.
func (l *lifted) Syscall(*machine.CPU, uint64, [6]uint64) (uint64, bool) {
	l.stopped = true
	return 0, true
}

// Poll implements machine.Handler.
func (l *lifted) Poll(*machine.CPU) bool { return false }

func (l *lifted) Fault(*machine.CPU, *machine.Fault) (retry, stop bool) { return false, false }

// startLifted links snippets to a program, recompiles and loads it.
func startLifted(t *testing.T, snippets []string, end string) *lifted {
	t.Helper()
	elf, entries := link(t, snippets, end)
	return loadLifted(t, elf, entries)
}

// loadLifted recompiles and loads a linked program.
func loadLifted(t *testing.T, elf []byte, entries []uint64) *lifted {
	t.Helper()
	u, err := translate.ELF(context.Background(), "snippets", elf)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range u.Coverage.Reasons {
		t.Logf("untranslated: %s × %d", r.Name, r.Count)
	}
	var mega pack.Buffer
	source, err := pack.Unit(u)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pack.Write(t.Context(), &mega, []*pack.Source{source}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := pack.Open(bytes.NewReader(mega.Bytes()), int64(mega.Len()))
	if err != nil {
		t.Fatal(err)
	}
	ref, ok, err := m.Unit(u.Source)
	if err != nil || !ok {
		t.Fatal("unit not found in the megabinary", err)
	}
	l := &lifted{entries: entries}
	engine, err := machine.NewEngine(context.Background(), machine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	if l.space, err = engine.NewAddressSpace(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.space.Release)
	for _, base := range []uint64{DataBase, StackBase} {
		if err := l.space.MapAnon(base, 0x1000, machine.ProtRead|machine.ProtWrite); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.space.MapUnit(u.VMin, ref); err != nil {
		t.Fatal(err)
	}
	if l.cpu, err = engine.NewCPU(l.space, l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.cpu.Close)
	l.data, l.stack = l.slice(t, DataBase), l.slice(t, StackBase)
	return l
}

// How snippets end: with their own copy of dump, so that the optimiser sees
// what becomes of each register, or with a shared one, which is shorter.
var (
	ownDump    = dump()
	sharedDump = "jmp D"
)

// link assembles and links snippets, each a function that goes on with end.
func link(t *testing.T, snippets []string, end string) (elf []byte, entries []uint64) {
	t.Helper()
	dir := t.TempDir()
	var src strings.Builder
	src.WriteString(".intel_syntax noprefix\n.text\n.type D, @function\nD: " + dump() + "\n.size D, .-D\n")
	for i, s := range snippets {
		fmt.Fprintf(&src, ".globl S%d; .type S%d, @function\nS%d: %s; %s\n.size S%d, .-S%d\n", i, i, i, s, end, i, i)
	}
	asm, obj, bin := filepath.Join(dir, "s.s"), filepath.Join(dir, "s.o"), filepath.Join(dir, "s")
	if err := os.WriteFile(asm, []byte(src.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range [][]string{{"as", "-o", obj, asm}, {"ld", "-Ttext=0x10000000", "-e", "S0", "-o", bin, obj}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", cmd, err, out)
		}
	}
	out, err := exec.Command("nm", bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	entries = make([]uint64, len(snippets))
	for line := range strings.Lines(string(out)) {
		var addr uint64
		var kind string
		var i int
		if n, _ := fmt.Sscanf(line, "%x %s S%d", &addr, &kind, &i); n == 3 {
			entries[i] = addr
		}
	}
	if elf, err = os.ReadFile(bin); err != nil {
		t.Fatal(err)
	}
	return elf, entries
}

var signals = map[machine.FaultKind]uint64{machine.SEGV: 11, machine.FPE: 8, machine.ILL: 4, machine.TRAP: 5, machine.BUS: 7}

// run runs snippet i from s.
func (l *lifted) run(t *testing.T, i int, s State) State {
	t.Helper()
	c := l.cpu
	data, stack := l.data, l.stack
	copy(data, s.Data[:])
	copy(stack, s.Stack[:])
	for r, v := range s.GPR {
		c.SetReg(abi.Reg(r), v)
	}
	c.RestoreFX(s.FX[:])
	c.SetReg(abi.DF, 0)
	c.SetReg(abi.PC, l.entries[i])
	l.stopped = false
	exit := c.Run(context.Background())
	switch {
	case exit.Fault != nil:
		s.Signal = signals[exit.Fault.Kind]
	case exit.Err != nil:
		t.Fatal(exit.Err)
	}
	c.SaveFX(s.FX[:])
	s.collect(data, stack)
	return s
}

// collect takes memory, and the registers that dump left there.
func (s *State) collect(data, stack []byte) {
	regs := data[dumpBase-DataBase:]
	for r := range s.GPR {
		s.GPR[r] = binary.LittleEndian.Uint64(regs[8*r:])
	}
	copy(s.FX[160:416], regs[128:])
	copy(s.Data[:], data)
	copy(s.Stack[:], stack)
}

func (l *lifted) slice(t *testing.T, addr uint64) []byte {
	b, err := l.space.Slice(addr, 0x1000, true)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// flagsAt is where a wrapped snippet leaves its flags.
const flagsAt = 0x1f8

// wrap takes flags from the top of the stack in front of asm and stores them
// afterwards.
func wrap(asm string) string {
	return fmt.Sprintf("popfq; %s; pushfq; pop qword ptr [%#x]", asm, DataBase+flagsAt)
}

// testCases compares all cases, n states each.
func testCases(t *testing.T, cases []Case, n int) {
	n *= *more
	var asm []string
	for _, c := range cases {
		asm = append(asm, wrap(c.Asm))
	}
	code := assemble(t, asm)
	l := startLifted(t, asm, ownDump)
	for i := range cases {
		t.Run(cases[i].Name(), func(t *testing.T) { cases[i].test(t, l, i, code[i], n) })
	}
}

func (c *Case) test(t *testing.T, l *lifted, i int, code []byte, n int) {
	r := NewRandom(uint64(i))
	in := make([]State, n)
	for j := range in {
		in[j] = r.State()
		if c.Prep != nil {
			c.Prep(r, &in[j])
		}
		binary.LittleEndian.PutUint64(in[j].Stack[stackTop-8-StackBase:], in[j].Flags|0x202)
		in[j].GPR[RSP] -= 8
	}
	want, err := native.Run(code, in)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for j := range in {
		got := l.run(t, i, in[j])
		m := c.Mask
		if c.Undef != nil {
			m.Flags |= c.Undef(&in[j])
		}
		w := want[j]
		takeFlags(&got)
		takeFlags(&w)
		if c.Fix != nil {
			c.Fix(&got, &w)
		}
		if d := Diff(&got, &w, m); d != "" {
			if bad++; bad <= 2 {
				t.Errorf("% x: vector %d: %s\n%s", code, j, describe(&in[j]), d)
			}
		}
	}
	if bad > 2 {
		t.Errorf("%d of %d vectors differ", bad, n)
	}
}

// takeFlags moves the flags out of memory, where wrap put them.
func takeFlags(s *State) {
	s.Flags = binary.LittleEndian.Uint64(s.Data[flagsAt:])
	clear(s.Data[flagsAt:])
	// Flags that the snippet pushed itself are below the stack's top.
	clear(s.Stack[stackTop-16-StackBase : stackTop-StackBase])
	clear(s.FX[5:24])
	clear(s.FX[28:32])
	clear(s.FX[416:])
}

func describe(s *State) string {
	return fmt.Sprintf("rax %#x rcx %#x rdx %#x flags %s mem %x xmm0 %s xmm1 %s", s.GPR[RAX], s.GPR[RCX], s.GPR[RDX], FlagString(s.Flags),
		s.Data[0x100:0x110], reversed(s.XMM(0)), reversed(s.XMM(1)))
}

func TestInt(t *testing.T) { testCases(t, IntCases(), 50) }

func TestSSE(t *testing.T) { testCases(t, SSECases(), 50) }

func TestMMX(t *testing.T) { testCases(t, MMXCases(), 50) }

func TestX87Lifted(t *testing.T) { testCases(t, X87Cases(), 60) }
