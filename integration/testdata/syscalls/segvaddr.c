// The address of an access below what can be mapped is in siginfo, also if nothing uses what was read.
#include "test.h"

static sigjmp_buf back;

static void handler(int sig, siginfo_t *i, void *uc) {
	P("signal %d code %d at %p\n", sig, i->si_code, i->si_addr);
	siglongjmp(back, 1);
}

struct big {
	char pad[0xabc0];
	int field;
};

TEST(segv_address) {
	struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	S(sigaction(SIGSEGV, &a, NULL));
	char *volatile null = NULL;
	volatile char *p = null;
	volatile struct big *q = (void *)p;
	if (!sigsetjmp(back, 1))
		P("%d\n", *p);
	if (!sigsetjmp(back, 1))
		(void)p[0x123];
	if (!sigsetjmp(back, 1))
		*(volatile long *)(p + 0xff00) = 1;
	if (!sigsetjmp(back, 1))
		q->field++;
	if (!sigsetjmp(back, 1))
		(void)*(volatile signed char *)(p + 0xffff);
}
