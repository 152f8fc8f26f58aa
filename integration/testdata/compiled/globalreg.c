// A global register variable: r15, which callees save otherwise, is changed by functions for their callers, as PHP's
// interpreter has it: in a block before the one that returns, by the callee of one that returns, and by what another one jumps to with its frame on the stack.
#include <stdio.h>

long prog[64], out;
long *run(long *ip, long n);
long *run_by(long *ip, long n);
long *run_on(long *ip, long n);

__asm__(".text\n"
	"step:\n push %rbx\n mov %rdi,%rbx\n mov (%r15),%rax\n add %rbx,%rax\n test $1,%al\n je 1f\n"
	" add $32,%r15\n mov %rax,out(%rip)\n"
	"2: pop %rbx\n ret\n"
	"1: mov 24(%r15),%r15\n jmp 2b\n"
	".data\n .quad tail\n .text\n"
	"tail:\n mov (%r15),%rax\n add %rbx,%rax\n mov %rax,out(%rip)\n mov 24(%r15),%r15\n pop %rbx\n ret\n"
	"on:\n push %rbx\n mov %rdi,%rbx\n jmp tail\n"
	"by:\n sub $8,%rsp\n call step\n add $8,%rsp\n ret\n"
	".macro runner name callee\n"
	"\\name:\n push %r15\n push %rbx\n push %rbp\n mov %rdi,%r15\n mov %rsi,%rbx\n"
	"3: mov %rbx,%rdi\n call \\callee\n dec %rbx\n jne 3b\n"
	" mov %r15,%rax\n pop %rbp\n pop %rbx\n pop %r15\n ret\n"
	".endm\n"
	"runner run step\n"
	"runner run_by by\n"
	"runner run_on on\n");

int main(void) {
	for (int i = 0; i < 64; i++)
		prog[i] = i % 4 == 3 ? (long)&prog[(i + 5) / 4 * 4 % 64] : i;
	for (int i = 1; i < 8; i++) {
		printf("at %ld, %ld\n", (long)(run(prog, i) - prog), out);
		printf("by another at %ld, %ld\n", (long)(run_by(prog, i) - prog), out);
		printf("on to another at %ld, %ld\n", (long)(run_on(prog, i) - prog), out);
	}
}
