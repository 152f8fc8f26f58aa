// Code that nothing in the file points to: its address is computed, it has no
// symbol and no unwind information, and what is around it is no code.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char before[];
static volatile long distance = 65;
static jmp_buf back;

__attribute__((noinline)) long square(long x) { return x * x; }

// Discovery looks for functions between others at multiples of 16.
#define LINE ".balign 16, 6; .byte 6; " // 6 is an invalid opcode
asm(".text\n"
    ".globl before\n"
    ".balign 16, 6\n"
    "before: .fill 64, 1, 6\n"
    LINE "push %rbx; push %r12; sub $8, %rsp; jmp 2f\n"
    LINE "2: mov %rdi, %rbx; xor %r12d, %r12d; jmp 1f\n"
    LINE "1: mov %rbx, %rdi; call *%rsi; jmp 3f\n"
    LINE "3: add %rax, %r12; jmp 4f\n"
    LINE "4: mov %rbx, %rdi; call square; jmp 5f\n"
    LINE "5: add %rax, %r12; lea square(%rip), %rsi; jmp 6f\n"
    LINE "6: dec %rbx; jnz 1b; jmp 7f\n"
    LINE "7: mov %r12, %rax; add $8, %rsp; pop %r12; pop %rbx; ret\n"
    ".fill 64, 1, 6\n");

static long leave(long x) { longjmp(back, x); }

static long in_child(long x) {
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		return x + 1;
	int status;
	waitpid(pid, &status, 0);
	printf("child %d\n", WEXITSTATUS(status));
	return x;
}

int main(void) {
	long (*hidden)(long, long (*)(long)) = (void *)(before + distance);
	for (int i = 1; i < 4; i++)
		printf("%ld\n", hidden(10 * i, square));
	int n = setjmp(back);
	if (n == 0)
		hidden(7, leave);
	printf("left with %d\n", n);
	pid_t self = getpid();
	long x = hidden(3, in_child);
	if (getpid() != self)
		exit(x);
	printf("%ld\n", x);
	return 0;
}
