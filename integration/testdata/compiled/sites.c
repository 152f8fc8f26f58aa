// A signal's handler forks where a loop has flags live at its head; and a function where the stack pointer was rounded.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

volatile long forked;

static void handler(int signal) { forked = fork() ?: -1; }

// It waits with these flags for forked, and gives those that it has then.
long keeps(long flags);
__asm__(".globl keeps; .type keeps, @function\n"
	"keeps: .cfi_startproc\n"
	"push %rdi; .cfi_adjust_cfa_offset 8; popfq; .cfi_adjust_cfa_offset -8\n"
	"1: mov forked(%rip), %rcx; jrcxz 1b\n"
	"pushfq; .cfi_adjust_cfa_offset 8; pop %rax; .cfi_adjust_cfa_offset -8\n"
	"cld; ret\n"
	".cfi_endproc; .size keeps, . - keeps");

long forks(void) { return fork(); }

// It gives what it is told, and forks before.
long rounded(long value, long *pid);
__asm__(".globl rounded; .type rounded, @function\n"
	"rounded: .cfi_startproc\n"
	"push %rbp; .cfi_def_cfa_offset 16; .cfi_offset 6, -16; mov %rsp, %rbp; .cfi_def_cfa_register 6\n"
	"sub $64, %rsp; and $-64, %rsp\n"
	"mov %rdi, 8(%rsp); mov %rsi, 16(%rsp)\n"
	"call forks\n"
	"mov 16(%rsp), %rsi; mov %rax, (%rsi); mov 8(%rsp), %rax\n"
	"leave; .cfi_def_cfa 7, 8; ret\n"
	".cfi_endproc; .size rounded, . - rounded");

enum { CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, DF = 0x400, OF = 0x800, ALL = CF | PF | AF | ZF | SF | DF | OF };

int main(void) {
	static const int tests[] = {0, CF, PF, AF, ZF, SF, DF, OF, ALL};
	signal(SIGALRM, handler);
	for (int i = 0; i < sizeof tests / sizeof *tests; i++) {
		struct itimerval soon = {.it_value = {0, 20000}};
		forked = 0;
		setitimer(ITIMER_REAL, &soon, 0);
		long flags = keeps(tests[i]) & ALL;
		if (forked == -1)
			_exit(flags == tests[i] ? 1 : 2);
		int status;
		waitpid(forked, &status, 0);
		printf("%#x: %#lx, in the child %s\n", tests[i], flags, WEXITSTATUS(status) == 1 ? "too" : "others");
	}
	signal(SIGALRM, SIG_IGN);
	long pid, value = rounded(7, &pid);
	if (pid == 0)
		_exit(value);
	int status;
	waitpid(pid, &status, 0);
	printf("rounded: %ld, in the child %d\n", value, WEXITSTATUS(status));
	return 0;
}
