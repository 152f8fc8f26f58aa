// Handlers of SIGFPE and SIGILL that return: to the instruction, with what it reads changed, or behind
// it, with registers changed.
#include "test.h"

static volatile long rax, rbx, rcx, rdx; // what the handler found
static long set_rax, set_rcx, set_rdx;   // what it leaves
static int skip, count;

static void handler(int sig, siginfo_t *info, void *context) {
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	count++;
	rax = r[REG_RAX], rbx = r[REG_RBX], rcx = r[REG_RCX], rdx = r[REG_RDX];
	if (count > 20) _exit(1);
	if (info->si_addr != (void *)r[REG_RIP]) P("at %d\n", (int)((long)info->si_addr - r[REG_RIP]));
	r[REG_RIP] += skip;
	r[REG_RAX] = set_rax, r[REG_RCX] = set_rcx, r[REG_RDX] = set_rdx;
}

static void on_fault(int sig) {
	struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	sigaction(sig, &a, NULL);
	count = 0;
}

// Each division with operands that fault, then with others for which the handler has it executed again.
static __attribute__((noipa)) long given(long x) { return x; }
#define DIVIDES(name, insn, a, d, c) \
	static __attribute__((noinline)) void name(int len) { \
		for (int again = 0; again < 2; again++) { \
			long x = given(a), y = given(d), z = given(c), keep = 0x1234567; \
			on_fault(SIGFPE); \
			skip = again ? 0 : len, set_rax = 0x1566, set_rcx = 0x77, set_rdx = again ? 0 : 0x99; \
			asm volatile(insn : "+a"(x), "+d"(y), "+c"(z), "+b"(keep)); \
			P(#name " %d: %lx %lx %lx %lx, %d: %lx %lx %lx %lx\n", again, x, y, z, keep, count, rax, rdx, rcx, rbx); \
		} \
	}

DIVIDES(div8, "divb %%cl", 0x1234, 0x10001, 0x500)
DIVIDES(div8_fits_not, "divb %%cl", 0x1234, 1, 0x12)
DIVIDES(idiv8, "idivb %%cl", 0x8000, 2, 0x1ff)
DIVIDES(div16, "divw %%cx", 0xabcd1234, 0x50001, 0x90000)
DIVIDES(idiv16, "idivw %%cx", 0xabcd8000, 0x5ffff, 0x9ffff)
DIVIDES(div32, "divl %%ecx", 0xabcd12345678, 0x700000001, 0x900000000)
DIVIDES(div32_fits_not, "divl %%ecx", 5, 0x700000004, 0x900000004)
DIVIDES(idiv32, "idivl %%ecx", 0x1180000000, 0x7ffffffff, 0x9ffffffff)
DIVIDES(idiv32_zero, "idivl %%ecx", 0x1180000000, 0x7ffffffff, 0)
DIVIDES(idiv32_least, "idivl %%ecx", 0, 0x80000000, -1)
DIVIDES(idiv32_fits_not, "idivl %%ecx", 7, 1, 2)
DIVIDES(div64, "divq %%rcx", 5, 0, 0)
DIVIDES(div64_fits_not, "divq %%rcx", 5, 9, 9)
DIVIDES(idiv64, "idivq %%rcx", LONG_MIN, -1, -1)
DIVIDES(idiv64_zero, "idivq %%rcx", 99, 0, 0)
DIVIDES(idiv64_fits_not, "idivq %%rcx", 99, 12, 3)

TEST(fpe_divisions) {
	div8(2), div8_fits_not(2), idiv8(2), div16(3), idiv16(3), div32(2), div32_fits_not(2);
	idiv32(2), idiv32_zero(2), idiv32_least(2), idiv32_fits_not(2), div64(3), div64_fits_not(3), idiv64(3), idiv64_zero(3), idiv64_fits_not(3);
}

// What translators know before they run it is a register's value for the handler too.
TEST(fpe_of_constants) {
	on_fault(SIGFPE);
	skip = 2, set_rax = 1, set_rcx = 2, set_rdx = 3;
	long x = 100, y = 0, z = 0;
	asm volatile("divl %%ecx" : "+a"(x), "+d"(y), "+c"(z));
	P("%lx %lx %lx, %lx %lx %lx\n", x, y, z, rax, rdx, rcx);
	skip = 0, set_rax = 1000, set_rcx = 7, set_rdx = 0;
	x = 100, y = 0, z = 0;
	asm volatile("divl %%ecx" : "+a"(x), "+d"(y), "+c"(z));
	P("%lx %lx %lx, %d\n", x, y, z, count);
}

static volatile unsigned zero;

// What lives across a division that is skipped, in a loop, with values on the stack and in all kinds of registers.
static __attribute__((noinline)) long divides_much(unsigned a, unsigned b, long c, double d, const char *s) {
	long sum = c;
	for (unsigned i = 1; i < 6; i++) {
		unsigned q = a * i, r = 0;
		double e = d * i;
		asm volatile("divl %2" : "+a"(q), "+d"(r) : "r"(i % 3 ? i : zero));
		sum += q + r * b + (long)(e * 10) + s[i];
	}
	return sum;
}

TEST(fpe_in_a_loop) {
	on_fault(SIGFPE);
	skip = 2, set_rax = 1000, set_rdx = 3, set_rcx = 0;
	P("%ld %d\n", divides_much(1000000, 7, 11, 2.5, "abcdefgh"), 0);
}

static void mends_memory(int sig, siginfo_t *info, void *context) { zero = 7, count++; }

static void *divides_in_memory(void *arg) {
	long total = 0;
	for (int i = 0; i < 50; i++) {
		unsigned q = 100 + i, r = 0;
		zero = i % 5;
		asm volatile("divl %2" : "+a"(q), "+d"(r) : "m"(zero));
		total += q * 10 + r;
	}
	return (void *)total;
}

TEST(fpe_in_memory) {
	struct sigaction a = {.sa_sigaction = mends_memory, .sa_flags = SA_SIGINFO};
	sigaction(SIGFPE, &a, NULL);
	P("%ld %d\n", (long)divides_in_memory(0), count);
	pthread_t t;
	void *r;
	pthread_create(&t, NULL, divides_in_memory, NULL);
	pthread_join(t, &r);
	P("%ld %d\n", (long)r, count);
	REAP(CHILD(P("%ld %d\n", (long)divides_in_memory(0), count)));
}

static int divide(int a, int b) { return a / b; }
static int (*volatile divides)(int, int) = divide;

// gcc's own division, with nothing special about it; the handler makes the divisor 1 in the register it is in.
static void makes_one(int sig, siginfo_t *info, void *context) {
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	int regs[] = {REG_RSI, REG_RCX, REG_R8, REG_RDI};
	for (int i = 0; i < 4; i++)
		if ((int)r[regs[i]] == 0) r[regs[i]] = 1;
	if (count++ > 9) _exit(1);
}

TEST(fpe_of_c) {
	struct sigaction a = {.sa_sigaction = makes_one, .sa_flags = SA_SIGINFO};
	sigaction(SIGFPE, &a, NULL);
	P("%d %d\n", divides(77, 0), count);
	P("%d %d\n", divides(77, 5), count);
}

static __attribute__((noinline)) long invalid(long a, long b, double d) {
	long x = a * 3, y = b - 5;
	double e = d / 2;
	for (int i = 0; i < 3; i++) {
		asm volatile("ud2" : "+a"(x), "+c"(y));
		x += i, e += x;
	}
	return x + 2 * y + (long)e;
}

TEST(ill_in_a_loop) {
	on_fault(SIGILL);
	skip = 2, set_rax = 50, set_rcx = 60, set_rdx = 70;
	P("%ld %d %lx %lx\n", invalid(5, 9, 4.5), count, rax, rcx);
}

static __attribute__((noinline)) int invalid_branch(int n, int *out) {
	*out = n;
	if (n > 2) asm volatile("ud2");
	*out += 2;
	return n * 2;
}

TEST(ill_in_a_branch) {
	on_fault(SIGILL);
	skip = 2;
	for (int i = 0; i < 5; i++) {
		int out, r = invalid_branch(i, &out);
		P("%d %d %d\n", r, out, count);
	}
}
