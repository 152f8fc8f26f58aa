#include "test.h"
#include <fenv.h>

static long double inside;

static void computes(int sig, siginfo_t *si, void *context) {
	unsigned short cw, sw;
	unsigned mxcsr;
	__asm__ volatile("fnstcw %0; fnstsw %1; stmxcsr %2" : "=m"(cw), "=m"(sw), "=m"(mxcsr));
	P("cw %x sw %x mxcsr %x\n", cw, sw & 0x3800, mxcsr);
	volatile long double x = 2;
	for (int i = 0; i < 9; i++) x = x * x - 1;
	inside = x;
	struct _libc_fpstate *fp = ((ucontext_t *)context)->uc_mcontext.fpregs;
	P("interrupted cw %x top %d tag %x mxcsr %x st0 %lx\n", fp->cwd, fp->swd >> 11 & 7, fp->ftw, fp->mxcsr & 0xff80, *(long *)fp->_st[0].significand);
	fp->_st[1].significand[3] ^= 0x1000;
	__asm__ volatile("fninit; fld1; fld1; pxor %%xmm7, %%xmm7" ::: "xmm7");
}

TEST(x87_survives_handler) {
	struct sigaction sa = {.sa_sigaction = computes, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &sa, NULL);
	unsigned short cw = 0x27f, after;
	unsigned mxcsr = 0x3f80, mafter;
	long double a, b;
	double d;
	__asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(cw), "m"(mxcsr));
	long pid = getpid(), tid = gettid(), r;
	double seven = 7.25;
	__asm__ volatile(
		"movsd %[s], %%xmm7\n fldpi\n fld1\n"
		"syscall\n"
		"fstpt %[a]\n fstpt %[b]\n movsd %%xmm7, %[d]\n fnstcw %[c]\n stmxcsr %[m]"
		: "=a"(r), [a] "=m"(a), [b] "=m"(b), [d] "=m"(d), [c] "=m"(after), [m] "=m"(mafter)
		: "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"((long)SIGUSR1), [s] "m"(seven)
		: "rcx", "r11", "memory", "xmm7");
	mxcsr = 0x1f80;
	cw = 0x37f;
	__asm__ volatile("fldcw %0; ldmxcsr %1" : : "m"(cw), "m"(mxcsr));
	P("%.20Lg %.20Lg %g cw %x mxcsr %x\n", a, b, d, after, mafter & 0xff80);
	P("%.20Lg\n", inside);
}
