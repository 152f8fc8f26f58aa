package difftest

import (
	"encoding/binary"
	"flag"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

// generator makes programs of random instructions and random control flow:
// what goes wrong between instructions, in the optimiser or in the structuring
// of control flow.
type generator struct {
	Random
	forms []*Form
	n     int // programs so far, for labels
}

// fuel is the register that bounds how often a program jumps back.
const fuel = "r15"

func newGenerator(seed uint64) *generator {
	g := &generator{Random: NewRandom(seed)}
	for _, f := range Forms() {
		if composable(f) {
			g.forms = append(g.forms, f)
		}
	}
	return g
}

// uncomposable are instructions that leave something undefined in a register,
// fault, or need registers or memory prepared for them.
const uncomposable = "DIV IDIV ENTER LEAVE PUSH POP PUSHF PUSHFQ POPF POPFQ XLATB MASKMOVQ MASKMOVDQU LDMXCSR STMXCSR FXSAVE FXSAVE64 FXRSTOR FXRSTOR64 " +
	"FLDENV FRSTOR FLDCW FNSAVE FNSTENV RCPPS RCPSS RSQRTPS RSQRTSS F2XM1 FYL2X FYL2XP1 FPATAN FPTAN FSIN FCOS FSINCOS FINCSTP FDECSTP FFREE FFREEP " +
	"STD LAR LSL VERR VERW LFS LGS LSS SMSW SLDT STR SGDT SIDT"

var uncomposableOps = invert(map[string]string{"x": uncomposable})

func composable(f *Form) bool {
	if f.Untested() != "" || f.status() != translated || uncomposableOps[x86.OpName(f.Op)] != "" || stringOps[f.Op] {
		return false
	}
	for _, a := range f.Inst.Args {
		if r, ok := a.(x86asm.Reg); ok && r >= x86asm.ES && r <= x86asm.GS {
			return false
		}
	}
	return true
}

// instruction is one instruction as assembler text. Flags that it leaves
// undefined are defined by a comparison after it.
func (g *generator) instruction() string {
	for {
		f := pick(g.Random, g.forms)
		code := f.Variant(g.Random)
		in, err := x86.Decode(code, CodeBase)
		if err != nil || !keepsWorld(&in) || in.DataSize == 16 && (in.Op == x86asm.SHLD || in.Op == x86asm.SHRD) {
			continue // 16-bit double shifts are undefined for counts above 16
		}
		text := byteDirective(code)
		if undefinedByOp[x86.OpName(in.Op)] != nil {
			text += "\n\tcmp eax, ecx"
		}
		return text
	}
}

// keepsWorld: rbx, which points at the data, and the fuel stay as they are, and
// bit offsets do not reach beyond the data.
func keepsWorld(in *x86.Inst) bool {
	for i, a := range in.Args {
		switch a {
		case x86asm.BL, x86asm.BH, x86asm.BX, x86asm.EBX, x86asm.RBX, x86asm.R15, x86asm.R15L, x86asm.R15W, x86asm.R15B:
			return false
		}
		if r, ok := a.(x86asm.Reg); ok && i == 1 && r <= x86asm.R15 && isMem(in.Args[0]) && strings.HasPrefix(x86.OpName(in.Op), "BT") {
			return false
		}
	}
	return true
}

// program is a function of several blocks.
func (g *generator) program() string {
	g.n++
	blocks := 2 + g.IntN(7)
	label := func(i int) string { return fmt.Sprintf(".LP%d_%d", g.n, i) }
	var s strings.Builder
	fmt.Fprintf(&s, "mov %s, %d; ", fuel, 2+g.IntN(6))
	for i := range blocks {
		fmt.Fprintf(&s, "%s: ", label(i))
		for range 1 + g.IntN(6) {
			s.WriteString(g.instruction() + "; ")
		}
		cc := pick(g.Random, strings.Fields(conditions))
		switch g.IntN(4) {
		case 0: // back, while there is fuel
			fmt.Fprintf(&s, "j%s 1f; dec %s; jns %s; 1: ", cc, fuel, label(g.IntN(i+1)))
		case 1, 2:
			fmt.Fprintf(&s, "j%s %s; ", cc, label(i+1+g.IntN(blocks-i)))
		}
	}
	fmt.Fprintf(&s, "%s: nop", label(blocks))
	return s.String()
}

// TestRandomPrograms compares generated programs.
func TestRandomPrograms(t *testing.T) {
	programs, states := 300, 8
	if thorough {
		programs, states = 6000, 30
	}
	g := newGenerator(5)
	t.Logf("%d programs of %d forms, %d states each", programs, len(g.forms), states)
	for done := 0; done < programs; done += perProgram / 2 {
		asm := make([]string, min(perProgram/2, programs-done))
		for i := range asm {
			asm[i] = wrap(g.program())
		}
		code := assemble(t, asm)
		image, entries := link(t, asm, sharedDump)
		e := engines{loadLifted(t, image, entries), startInterpreted(t, image, entries)}
		for i := range asm {
			in := programStates(uint64(done+i), states)
			d := e.compareProgram(t, i, code[i], in)
			if d != "" && *shrink {
				asm[i], d = shrunk(t, asm[i], in)
			}
			if d != "" {
				t.Errorf("program %d:\n%s\n%s", done+i, strings.ReplaceAll(asm[i], "; ", "\n"), d)
			}
		}
	}
}

var shrink = flag.Bool("shrink", false, "leave out what does not matter of programs that differ")

// shrunk is, interpreted, asm without the instructions that can go without the program
// becoming right, and how it differs.
func shrunk(t *testing.T, asm string, in []State) (string, string) {
	differs := func(lines []string) (d string) {
		asm := []string{strings.Join(lines, "; ")}
		code := assemble(t, asm)
		image, entries := link(t, asm, sharedDump)
		e := engines{interpreted: startInterpreted(t, image, entries)}
		return e.compareProgram(t, 0, code[0], in)
	}
	lines := strings.Split(asm, "; ")
	last := differs(lines)
	for i := len(lines) - 3; i > 0; i-- { // the wrapping stays
		less := append(lines[:i:i], lines[i+1:]...)
		if at := strings.LastIndex(lines[i], ": "); at >= 0 {
			less = append(append(lines[:i:i], lines[i][:at+2]+"nop"), lines[i+1:]...)
		}
		if d := differs(less); d != "" {
			lines, last = less, d
		}
	}
	return strings.Join(lines, "; "), last
}

func programStates(seed uint64, n int) []State {
	r := NewRandom(seed)
	in := make([]State, n)
	for j := range in {
		in[j] = r.State()
		if r.IntN(2) == 0 {
			r.Doubles(&in[j])
		}
		if r.IntN(2) == 0 {
			r.X87(&in[j])
		}
		binary.LittleEndian.PutUint64(in[j].Stack[stackTop-8-StackBase:], in[j].Flags|0x202)
		in[j].GPR[RSP] -= 8
	}
	return in
}

// compareProgram describes the first difference.
func (e *engines) compareProgram(t *testing.T, i int, code []byte, in []State) string {
	want, err := native.Run(code, in)
	if err != nil {
		t.Fatal(err)
	}
	for j := range in {
		d := ""
		if e.lifted != nil {
			d = programDiff(e.lifted.run(t, i, in[j]), want[j])
		}
		if got, ok := e.interpreted.run(t, i, in[j]); ok {
			if di := programDiff(got, want[j]); di != d {
				d += "interpreted:\n" + di
			}
		}
		if d != "" {
			return describe(&in[j]) + d
		}
	}
	return ""
}

func programDiff(got, want State) string {
	takeFlags(&got)
	takeFlags(&want)
	return Diff(&got, &want, noExceptions)
}
