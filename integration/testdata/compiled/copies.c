// Functions share code in which they fork. Two of them always come to it with the same value in a
// register, which the child of another must not take for its own.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

// The functions give five times the value, and the pid: seven, nine, what they are told.
#define SHARED(kind, forks)                                             \
	FUNCTION("seven_" kind, "mov $7, %ebx", "jmp .Lshared_" kind)       \
	FUNCTION("nine_" kind, "mov $9, %ebx", "jmp .Lshared_" kind)        \
	FUNCTION("told_" kind, "mov %rdi, %rbx",                            \
	".Lshared_" kind ": mov %rsi, %r12\n"                               \
	forks                                                               \
	"mov %rax, (%r12)\n"                                                \
	"lea (%rbx,%rbx,4), %rax\n"                                         \
	"add $8, %rsp; .cfi_adjust_cfa_offset -8\n"                         \
	"pop %r12; .cfi_adjust_cfa_offset -8\n"                             \
	"pop %rbx; .cfi_adjust_cfa_offset -8\n"                             \
	"ret")

#define FUNCTION(name, sets, goes_on)                \
	".globl " name "; .type " name ", @function\n"   \
	name ": .cfi_startproc\n"                        \
	"push %rbx; .cfi_adjust_cfa_offset 8\n"          \
	"push %r12; .cfi_adjust_cfa_offset 8\n"          \
	"sub $8, %rsp; .cfi_adjust_cfa_offset 8\n"       \
	sets "\n" goes_on "\n"                           \
	".cfi_endproc; .size " name ", . - " name "\n"

typedef long function(long value, long *pid);
function seven_syscall, nine_syscall, told_syscall, seven_call, nine_call, told_call, seven_loop, nine_loop, told_loop, seven_trap, nine_trap, told_trap;

long forks(void) { return fork(); }

// A signal's handler forks: of a trap, or while a loop waits for it.
volatile long forked;

static void handler(int signal) { forked = fork() ?: -1; }

__asm__(".text\n"
	SHARED("syscall", "mov $57, %eax; syscall\n")
	SHARED("call", "call forks\n")
	SHARED("loop", "1: mov forked(%rip), %rax; test %rax, %rax; je 1b; cmp $-1, %rax; jne 2f; xor %eax, %eax; 2:\n")
	SHARED("trap", "int3; mov forked(%rip), %rax; cmp $-1, %rax; jne 1f; xor %eax, %eax; 1:\n"));

static void run(const char *name, function *f, long value) {
	struct itimerval soon = {.it_value = {0, 20000}};
	forked = 0;
	setitimer(ITIMER_REAL, &soon, 0);
	long pid, result = f(value, &pid);
	if (pid == 0)
		_exit(result);
	int status;
	waitpid(pid, &status, 0);
	printf("%s %ld: %ld, in the child %d\n", name, value, result, WEXITSTATUS(status));
}

#define RUN(name) run(#name, name, value)

int main(void) {
	for (long value = 1; value < 4; value++) {
		signal(SIGALRM, SIG_IGN);
		RUN(seven_syscall), RUN(nine_syscall), RUN(told_syscall);
		RUN(seven_call), RUN(nine_call), RUN(told_call);
		signal(SIGTRAP, handler);
		RUN(seven_trap), RUN(nine_trap), RUN(told_trap);
		signal(SIGALRM, handler);
		RUN(seven_loop), RUN(nine_loop), RUN(told_loop);
	}
	return 0;
}
