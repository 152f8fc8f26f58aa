package lift

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// assemble lifts a program of assembly and finds what its functions do not keep.
func assemble(t *testing.T, code string) (*lifter, []*function) {
	t.Helper()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "program.s"), filepath.Join(dir, "program.so")
	if err := os.WriteFile(source, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip(err)
	}
	if msg, err := exec.Command("gcc", "-shared", "-nostdlib", "-o", out, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	p := analyze(t, out)
	l := newLifter(p, systemV)
	fns := l.liftAll(p)
	l.liftCallers(fns)
	return l, fns
}

// TestBroken: which of the registers that System V has functions keep these change. What
// a function has yet to restore where it jumps on with its frame on the stack it does not.
func TestBroken(t *testing.T) {
	l, fns := assemble(t, `
	.macro function name
	.globl \name
	.hidden \name
	.type \name, @function
	\name:
	.endm
	function keeps
		push %rbx
		mov %rdi, %rbx
		mov %rbx, %rax
		pop %rbx
		ret
	function table
		push %rbx
		mov %rdi, %rbx
		cmpl $2, (%rsi)
		ja 9f
		mov (%rsi), %eax
		lea 8f(%rip), %rdx
		movslq (%rdx,%rax,4), %rax
		add %rdx, %rax
		jmp *%rax
	1:	add $1, %rbx
	2:	add $2, %rbx
	9:	mov %rbx, %rax
		pop %rbx
		ret
		.section .rodata
		.balign 4
	8:	.long 1b-8b, 2b-8b, 9b-8b
		.text
	function jumps
		push %rbx
		mov %rdi, %rbx
		jmp *%rsi
	function returns_r15
		mov %rdi, %r15
		ret
	function jumps_to_r15
		jmp returns_r15
	function calls_r15
		push %rbx
		call returns_r15
		pop %rbx
		ret
	function pops_rbx
		pop %rbx
		ret
	function part_with_r15
		mov %rdi, %r15
		jmp pops_rbx
	function saves_rbx
		push %rbx
		mov %rsi, %rbx
		jmp part_with_r15
	function pops_both
		pop %rbx
		pop %r15
		ret
	function part_with_saved_r15
		add %rbx, %r15
		jmp pops_both
	function saves_both
		push %r15
		push %rbx
		mov %rdi, %r15
		mov %rsi, %rbx
		jmp part_with_saved_r15
	function jumps_with_r15
		mov %rdi, %r15
		jmp *%rsi
	.data
	.quad pops_rbx, part_with_r15, pops_both, part_with_saved_r15
	`)
	want := map[string]Set{
		"returns_r15": setOf(R15), "jumps_to_r15": setOf(R15), "calls_r15": setOf(R15), "jumps_with_r15": setOf(R15),
		"part_with_r15": setOf(R15), "saves_rbx": setOf(R15), "part_with_saved_r15": setOf(R15),
	}
	seen := 0
	for _, fn := range fns {
		if fn.src.Name == "" {
			continue
		}
		seen++
		if got := l.broken[fn.entry()]; got != want[fn.src.Name] {
			t.Errorf("%s changes %b, not %b", fn.src.Name, got, want[fn.src.Name])
		}
	}
	if seen != 13 {
		t.Errorf("%d functions", seen)
	}
}
