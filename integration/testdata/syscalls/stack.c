// What happens at a stack's end.
#include "test.h"

static char alternate[65536];

static void overflowed(int sig, siginfo_t *info, void *context) {
	ucontext_t *uc = context;
	long distance = (char *)info->si_addr - (char *)uc->uc_mcontext.gregs[REG_RSP];
	P("signal %d, touched near the stack pointer: %d\n", sig, labs(distance) < 65536);
	_exit(0);
}

// deep calls itself without end, and loops each time.
__attribute__((noinline)) static long deep(volatile long n) {
	volatile long frame[100];
	for (long i = 0; i < 600; i++) frame[i % 100] = i;
	return n < 0 ? 0 : deep(n + 1) + frame[n % 100];
}

// small has the smallest frame, so that what runs the program may have less
// stack than the program has.
__attribute__((noinline)) static long small(long n) {
	if (n < 0) return 0;
	long below = small(n + 1);
	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

static void on_alternate(void) {
	stack_t st = {.ss_sp = alternate, .ss_size = sizeof alternate};
	struct sigaction a = {.sa_sigaction = overflowed, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	S(sigaltstack(&st, NULL));
	S(sigaction(SIGSEGV, &a, NULL));
}

TEST(stack_overflow_handled) {
	REAP(CHILD(on_alternate(); deep(0)));
}

TEST(stack_overflow_of_small_frames) {
	REAP(CHILD(on_alternate(); small(0)));
}

TEST(stack_overflow_kills) {
	REAP(CHILD(deep(0)));
}

static void counted(int sig, siginfo_t *info, void *context) { _exit(5); }

// There is no room for the handler either.
TEST(stack_overflow_without_another) {
	struct sigaction a = {.sa_sigaction = counted, .sa_flags = SA_SIGINFO};
	REAP(CHILD(S(sigaction(SIGSEGV, &a, NULL)); deep(0)));
	REAP(CHILD(S(sigaction(SIGSEGV, &a, NULL)); small(0)));
}
