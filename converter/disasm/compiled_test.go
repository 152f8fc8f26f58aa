package disasm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// compileHere compiles a program of the integration tests, if there is the
// compiler.
func compileHere(t *testing.T, command, source string) *Program {
	words := append(strings.Fields(command), "-w")
	if _, err := exec.LookPath(words[0]); err != nil {
		t.Skip(err)
	}
	return compile(t, words, "../../integration/testdata/compiled/"+source)
}

// compile compiles and analyses a program.
func compile(t *testing.T, command []string, source string) *Program {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	if msg, err := exec.Command(command[0], append(command[1:], "-o", out, source)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return analyzeBytes(t, out, data)
}

// assemble analyses a program of assembly.
func assemble(t *testing.T, code string) *Program {
	t.Helper()
	source := filepath.Join(t.TempDir(), "program.s")
	if err := os.WriteFile(source, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	return compile(t, []string{"gcc"}, source)
}

// TestLandingPads: each landing pad of the unwind tables can be entered.
func TestLandingPads(t *testing.T) {
	for _, command := range []string{"g++ -O0", "g++ -O2", "g++ -O2 -static", "g++ -O2 -no-pie", "clang++ -O2"} {
		t.Run(command, func(t *testing.T) {
			p := compileHere(t, command, "exceptions.cpp")
			checkProgram(t, p)
			entries := map[uint64]bool{}
			for _, f := range p.Funcs {
				entries[f.Entry] = true
			}
			pads := 0
			for _, fde := range p.File.FDEs {
				for _, pad := range fde.LandingPads {
					if pads++; !entries[pad] {
						t.Errorf("landing pad %#x of %#x is no entry", pad, fde.Start)
					}
				}
			}
			if pads < 20 {
				t.Errorf("%d landing pads", pads)
			}
		})
	}
}

// TestComputedJumps: all jumps in labels.c, C's and hand-written ones, are
// resolved. What is left are the C runtime's own tail calls and one through an
// argument.
func TestComputedJumps(t *testing.T) {
	for _, command := range []string{"gcc -O0", "gcc -O2", "gcc -O2 -no-pie", "clang -O2"} {
		t.Run(command, func(t *testing.T) {
			p := compileHere(t, command, "labels.c")
			checkProgram(t, p)
			if n := len(p.Stats.Unresolved); n > 3 {
				t.Errorf("%d jumps are not resolved: %#x", n, p.Stats.Unresolved)
			}
		})
	}
}

// adjacent has two jump tables without bounds, one right behind the other. The
// code that loads the second's address is behind an entry of the first. The
// second's first entry, relative to the first's base, is a place inside an
// instruction of the case in front of b0.
const adjacent = `
	.globl main
main:	lea a(%rip), %r15
	movslq (%r15,%rdi,4), %rax
	add %r15, %rax
	jmp *%rax
a0:	mov $1, %eax
	ret
a1:	mov $2, %eax
	ret
a2:	mov $3, %eax
	ret
a3:	lea b(%rip), %r14
	movslq (%r14,%rsi,4), %rax
	add %r14, %rax
	jmp *%rax
b3:	mov %rax, -0x18(%rsp)
	mov %rax, -0x28(%rsp)
	mov %rax, -0x38(%rsp)
	mov %rax, -0x48(%rsp)
	jmp b1
b0:	mov $4, %eax
	ret
b1:	mov $5, %eax
	ret
b2:	mov $6, %eax
	ret
	.section .rodata
	.p2align 2
a:	.long a0 - a, a1 - a, a2 - a, a3 - a
b:	.long b0 - b, b1 - b, b2 - b, b3 - b
	.section .note.GNU-stack
`

// TestAdjacentTables: both tables have their four entries.
func TestAdjacentTables(t *testing.T) { checkTables(t, adjacent, false) }

// checkTables checks that a program of assembly has two tables of four entries each, with bounds or without.
func checkTables(t *testing.T, code string, bounded bool) {
	p := assemble(t, code)
	tables := 0
	for _, f := range p.Funcs {
		for _, b := range f.Blocks {
			if s := b.Term.Switch; s != nil {
				tables++
				if len(s.Targets) != 4 || s.Bounded != bounded {
					t.Errorf("a table of %d entries, bounded: %v", len(s.Targets), s.Bounded)
				}
			}
		}
	}
	if tables != 2 {
		t.Errorf("%d tables", tables)
	}
}

// shifted has jump tables whose indexes are compared before they are shifted: what lies behind them
// looks like more of them.
const shifted = `
	.globl main
main:	mov %edi, %edx
	mov %edx, %eax
	shr $2, %al
	cmp $0xf, %dl
	ja none
	lea a(%rip), %rdx
	movzbl %al, %eax
	movslq (%rdx,%rax,4), %rax
	add %rdx, %rax
	jmp *%rax
a0:	cmp $0x7f, %esi
	ja none
	shr $5, %esi
	lea b(%rip), %rdx
	movslq (%rdx,%rsi,4), %rax
	add %rdx, %rax
	jmp *%rax
a1:	mov $2, %eax
	ret
a2:	mov $3, %eax
	ret
a3:	mov $4, %eax
	ret
none:	xor %eax, %eax
	ret
	.section .rodata
	.p2align 2
a:	.long a0 - a, a1 - a, a2 - a, a3 - a
	.long a0 - a, a1 - a, a2 - a, a3 - a
b:	.long a1 - b, a2 - b, a3 - b, none - b
	.long a1 - b, a2 - b, a3 - b, none - b
	.section .note.GNU-stack
`

// TestShiftedIndexes: both tables have the four entries that their bounds say.
func TestShiftedIndexes(t *testing.T) { checkTables(t, shifted, true) }

// behindBreakpoints has a function that nothing names, behind a call that is taken to return.
const behindBreakpoints = `
	.globl main
main:	call *%rdi
	int3
	.p2align 6, 0xcc
	mov $0x12345678, %eax
	ret
	.section .note.GNU-stack
`

// TestBreakpointsEndFunctions: what follows a gap of int3 is a function of its own.
func TestBreakpointsEndFunctions(t *testing.T) {
	for _, f := range assemble(t, behindBreakpoints).Funcs {
		if in := f.Blocks[0].Insts; len(in) > 0 && in[0].Args[1] == x86asm.Imm(0x12345678) {
			return
		}
	}
	t.Error("it is no entry")
}
