#include "test.h"

static volatile int count, last, code;
static void counts(int s) { count++; last = s; }
static void counts_info(int s, siginfo_t *i, void *c) { count++; last = s; code = i->si_code; }

static void on(int sig, void *h, int flags) {
	struct sigaction a = {.sa_handler = h, .sa_flags = flags};
	sigaction(sig, &a, NULL);
}

static sigset_t set_of(int sig) {
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, sig);
	return s;
}

TEST(raise_handler) {
	on(SIGUSR1, counts, 0);
	S(raise(SIGUSR1));
	P("%d %d\n", count, last);
}

TEST(kill_self_is_synchronous) {
	on(SIGUSR1, counts, 0);
	kill(getpid(), SIGUSR1);
	P("%d\n", count);
}

TEST(blocked_is_pending) {
	on(SIGUSR1, counts, 0);
	sigset_t s = set_of(SIGUSR1), p;
	sigprocmask(SIG_BLOCK, &s, NULL);
	raise(SIGUSR1);
	raise(SIGUSR1);
	sigpending(&p);
	P("%d %d\n", count, sigismember(&p, SIGUSR1));
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	P("%d\n", count);
}

TEST(realtime_signals_queue_in_order) {
	static int values[10], n;
	void h(int s, siginfo_t *i, void *c) { values[n++] = s * 1000 + i->si_value.sival_int; }
	on(SIGRTMIN + 1, h, SA_SIGINFO);
	on(SIGRTMIN + 2, h, SA_SIGINFO);
	sigset_t s = set_of(SIGRTMIN + 1);
	sigaddset(&s, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &s, NULL);
	for (int i = 0; i < 3; i++) {
		sigqueue(getpid(), SIGRTMIN + 2, (union sigval){i});
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){10 + i});
	}
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	for (int i = 0; i < n; i++) P("%d\n", values[i]);
}

TEST(codes) {
	on(SIGUSR1, counts_info, SA_SIGINFO);
	kill(getpid(), SIGUSR1);
	P("%s\n", code_name(code));
	raise(SIGUSR1);
	P("%s\n", code_name(code));
	sigqueue(getpid(), SIGUSR1, (union sigval){1});
	P("%s\n", code_name(code));
}

TEST(reset_hand) {
	on(SIGUSR1, counts, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction a;
	sigaction(SIGUSR1, NULL, &a);
	P("%d %d %d\n", count, a.sa_handler == SIG_DFL, (a.sa_flags & SA_RESETHAND) != 0); // only the handler goes
}

TEST(nodefer) {
	static int depth, deepest;
	void h(int s) {
		if (++depth > deepest) deepest = depth;
		if (count++ < 3) raise(s);
		depth--;
	}
	on(SIGUSR1, h, SA_NODEFER);
	raise(SIGUSR1);
	P("%d\n", deepest);
	count = deepest = 0;
	on(SIGUSR1, h, 0);
	raise(SIGUSR1);
	P("%d\n", deepest);
}

TEST(handler_mask) {
	void h1(int s) { P("usr1 begins\n"); raise(SIGUSR2); P("usr1 ends\n"); }
	void h2(int s) { P("usr2\n"); }
	struct sigaction a = {.sa_handler = h1};
	sigaddset(&a.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &a, NULL);
	on(SIGUSR2, h2, 0);
	raise(SIGUSR1);
	sigemptyset(&a.sa_mask);
	sigaction(SIGUSR1, &a, NULL);
	raise(SIGUSR1);
}

TEST(sigaction_errors) {
	struct sigaction a = {.sa_handler = counts};
	S(sigaction(SIGKILL, &a, NULL));
	S(sigaction(SIGSTOP, &a, NULL));
	S(sigaction(0, &a, NULL));
	S(sigaction(65, &a, NULL));
	S(sigaction(SIGKILL, NULL, &a));
}

TEST(unblockable) {
	sigset_t s;
	sigfillset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	sigprocmask(SIG_SETMASK, NULL, &s);
	P("%d %d %d\n", sigismember(&s, SIGKILL), sigismember(&s, SIGSTOP), sigismember(&s, SIGTERM));
}

TEST(read_interrupted_and_restarted) {
	int p[2];
	pipe(p);
	char c;
	on(SIGALRM, counts, 0);
	ualarm(10000, 0);
	S(read(p[0], &c, 1));
	on(SIGALRM, counts, SA_RESTART);
	pid_t pid = CHILD(nap(40); write(p[1], "x", 1));
	ualarm(10000, 0);
	S(read(p[0], &c, 1));
	P("%d\n", count);
	REAP(pid);
}

TEST(nanosleep_interrupted) {
	on(SIGALRM, counts, SA_RESTART);
	ualarm(10000, 0);
	struct timespec ts = {5, 0}, left = {0};
	S(nanosleep(&ts, &left));
	P("%d\n", left.tv_sec == 4);
}

TEST(nanosleep_through_stop) {
	struct timespec a, b;
	pid_t pid = fork();
	if (pid == 0) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		struct timespec ts = {1, 0};
		int r = nanosleep(&ts, NULL);
		clock_gettime(CLOCK_MONOTONIC, &b);
		long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
		P("%d %d\n", r, ms >= 999 && ms < 1500);
		_exit(0);
	}
	nap(600);
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	kill(pid, SIGCONT);
	REAP(pid);
}

TEST(sigsuspend_returns) {
	on(SIGUSR1, counts, 0);
	sigset_t s = set_of(SIGUSR1), none;
	sigprocmask(SIG_BLOCK, &s, NULL);
	raise(SIGUSR1);
	sigemptyset(&none);
	S(sigsuspend(&none));
	sigprocmask(SIG_BLOCK, NULL, &s);
	P("%d %d\n", count, sigismember(&s, SIGUSR1));
}

TEST(sigwait_takes) {
	sigset_t s = set_of(SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	pid_t pid = CHILD(nap(10); kill(getppid(), SIGUSR1));
	int sig;
	P("%d ", sigwait(&s, &sig));
	P("%d\n", sig);
	REAP(pid);
	struct timespec ts = {0, 5000000};
	siginfo_t i;
	S(sigtimedwait(&s, &i, &ts));
	kill(getpid(), SIGUSR1);
	S(sigtimedwait(&s, &i, &ts));
	P("%d %s %d\n", i.si_signo, code_name(i.si_code), i.si_pid == getpid());
}

// A signal that is ignored by default is kept for who waits for it, if it is blocked.
TEST(sigwait_takes_ignored) {
	sigset_t s = set_of(SIGCHLD);
	sigaddset(&s, SIGWINCH);
	sigprocmask(SIG_BLOCK, &s, NULL);
	struct timespec ts = {5, 0};
	siginfo_t i;
	pid_t pid = CHILD(nap(20); _exit(3));
	S(sigtimedwait(&s, &i, &ts));
	P("%d %s %d\n", i.si_signo, code_name(i.si_code), i.si_status);
	REAP(pid);
	pid = CHILD(nap(20); kill(getppid(), SIGWINCH); pause());
	S(sigtimedwait(&s, &i, &ts));
	P("%d %s %d\n", i.si_signo, code_name(i.si_code), i.si_pid == pid);
	kill(pid, SIGKILL);
	S(sigtimedwait(&s, NULL, &ts));
	REAP(pid);
}

// One that is ignored and not blocked is lost, also while it is waited for.
TEST(sigwait_loses_unblocked) {
	sigset_t s = set_of(SIGWINCH);
	struct timespec ts = {0, 60000000};
	pid_t pid = CHILD(nap(20); kill(getppid(), SIGWINCH));
	S(sigtimedwait(&s, NULL, &ts));
	REAP(pid);
}

// sigsuspend waits for handlers only.
TEST(sigsuspend_loses_ignored) {
	on(SIGALRM, counts, 0);
	sigset_t s = set_of(SIGWINCH), none;
	sigprocmask(SIG_BLOCK, &s, NULL);
	sigemptyset(&none);
	pid_t pid = CHILD(nap(20); kill(getppid(), SIGWINCH); nap(20); kill(getppid(), SIGALRM));
	S(sigsuspend(&none));
	sigset_t pending;
	sigpending(&pending);
	P("%d\n", sigismember(&pending, SIGWINCH));
	REAP(pid);
}

TEST(alternate_stack) {
	static char stack[65536], *where;
	void h(int s) { char c; where = &c; stack_t o; sigaltstack(NULL, &o); P("%d\n", o.ss_flags == SS_ONSTACK); S(sigaltstack(&o, NULL)); }
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack}, old;
	S(sigaltstack(&ss, &old));
	P("%d\n", old.ss_flags == SS_DISABLE);
	on(SIGUSR1, h, SA_ONSTACK);
	raise(SIGUSR1);
	P("%d\n", where > stack && where < stack + sizeof stack);
	ss.ss_size = 100;
	S(sigaltstack(&ss, NULL));
}

static sigjmp_buf env;
TEST(siglongjmp_from_handler) {
	void h(int s) { siglongjmp(env, count + 1); }
	on(SIGUSR1, h, 0);
	volatile int k = 0;
	int v = sigsetjmp(env, 1);
	count++;
	if (k++ < 50) raise(SIGUSR1);
	sigset_t s;
	sigprocmask(SIG_BLOCK, NULL, &s);
	P("%d %d %d\n", v, count, sigismember(&s, SIGUSR1));
}

TEST(siglongjmp_then_return) {
	static volatile int jump = 1;
	void h(int s) { if (jump) siglongjmp(env, 1); count++; }
	on(SIGUSR1, h, 0);
	volatile int k = 0;
	sigsetjmp(env, 1);
	if (k++ < 30) kill(getpid(), SIGUSR1);
	jump = 0;
	for (int i = 0; i < 30; i++) kill(getpid(), SIGUSR1);
	P("%d %d\n", k, count);
}

TEST(signal_in_deep_recursion) {
	on(SIGUSR1, counts, 0);
	int deep(int n) { volatile int x = n; if (n == 0) raise(SIGUSR1); else deep(n - 1); return x; }
	P("%d\n", deep(2000));
	P("%d\n", count);
}

TEST(handler_changes_context) {
	static volatile int done;
	auto void target(void);
	void target(void) { P("at the target\n"); _exit(4); }
	void h(int s, siginfo_t *i, void *c) {
		ucontext_t *u = c;
		u->uc_mcontext.gregs[REG_RIP] = (long)target;
		u->uc_mcontext.gregs[REG_RSP] &= ~15L;
		u->uc_mcontext.gregs[REG_RSP] -= 8;
	}
	on(SIGUSR1, h, SA_SIGINFO);
	raise(SIGUSR1);
	P("not reached\n");
}

TEST(signals_nest_across_numbers) {
	static char order[100];
	void h(int s) { sprintf(order + strlen(order), "<%d", s); if (s == SIGUSR1) raise(SIGUSR2); if (s == SIGUSR2) raise(SIGHUP); strcat(order, ">"); }
	on(SIGUSR1, h, 0);
	on(SIGUSR2, h, 0);
	on(SIGHUP, h, 0);
	raise(SIGUSR1);
	P("%s\n", order);
}

TEST(segv_handler_continues) {
	static sigjmp_buf j;
	void h(int s, siginfo_t *i, void *c) { P("%d %d\n", s, i->si_code == SEGV_MAPERR); siglongjmp(j, 1); }
	on(SIGSEGV, h, SA_SIGINFO);
	for (volatile int k = 0; k < 3; k++) if (!sigsetjmp(j, 1)) *(volatile int *)8 = 1;
}

TEST(fpe_handler) {
	static sigjmp_buf j;
	void h(int s, siginfo_t *i, void *c) { P("%d %d\n", s, i->si_code == FPE_INTDIV); siglongjmp(j, 1); }
	on(SIGFPE, h, SA_SIGINFO);
	volatile int zero = 0, x = 100;
	if (!sigsetjmp(j, 1)) x = x / zero;
}

TEST(fork_in_handler) {
	void h(int s) { pid_t p = fork(); if (p) REAP(p); else P("child in handler\n"); }
	on(SIGUSR1, h, 0);
	pid_t me = getpid();
	raise(SIGUSR1);
	P("%s after handler\n", getpid() == me ? "parent" : "child");
	if (getpid() != me) _exit(9);
}

TEST(thread_signal) {
	static pthread_t t;
	static volatile int ready, right, done;
	void h(int s) { right = pthread_equal(pthread_self(), t); }
	void *f(void *x) { ready = 1; while (!right) pause(); done = 1; return NULL; }
	on(SIGUSR1, h, 0);
	pthread_create(&t, NULL, f, NULL);
	while (!ready) nap(1);
	while (!done) { pthread_kill(t, SIGUSR1); nap(1); } // it may come in front of pause
	pthread_join(t, NULL);
	P("%d\n", right);
}

TEST(process_signal_goes_to_unblocked_thread) {
	static volatile int got;
	static pthread_t t;
	void h(int s) { got = pthread_equal(pthread_self(), t) ? 1 : 2; }
	void *f(void *x) { sigset_t s = set_of(SIGUSR1); pthread_sigmask(SIG_UNBLOCK, &s, NULL); while (!got) nap(1); return NULL; }
	on(SIGUSR1, h, 0);
	sigset_t s = set_of(SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	pthread_create(&t, NULL, f, NULL);
	kill(getpid(), SIGUSR1);
	pthread_join(t, NULL);
	P("%d\n", got);
}

TEST(sigpipe) {
	int p[2];
	pipe(p);
	close(p[0]);
	on(SIGPIPE, counts, 0);
	S(write(p[1], "x", 1));
	P("%d\n", count);
	signal(SIGPIPE, SIG_IGN);
	S(write(p[1], "x", 1));
	REAP(CHILD(signal(SIGPIPE, SIG_DFL); write(p[1], "x", 1)));
}

TEST(kill_errors) {
	S(kill(getpid(), 0));
	S(kill(getpid(), 65));
	S(kill(0x3ffffff, SIGTERM));
	S(kill(-0x3ffffff, SIGTERM));
	S(syscall(SYS_tgkill, getpid(), 0x3ffffff, 0));
	S(syscall(SYS_tgkill, 0, getpid(), 0));
	S(syscall(SYS_tkill, getpid(), 0));
}

TEST(kill_without_permission) {
	pid_t pid = CHILD(for (;;) pause());
	REAP(CHILD(setuid(65534); S(kill(pid, SIGTERM)); S(kill(pid, 0))));
	kill(pid, SIGKILL);
	REAP(pid);
}

TEST(kill_process_group) {
	pid_t a = CHILD(setpgid(0, 0); for (;;) pause()), b;
	setpgid(a, a);
	b = CHILD(setpgid(0, a); for (;;) pause());
	setpgid(b, a);
	S(kill(-a, SIGTERM));
	REAP(a);
	REAP(b);
	S(kill(-a, SIGTERM));
}

TEST(itimer_real) {
	on(SIGALRM, counts, SA_RESTART);
	struct itimerval it = {{0, 5000}, {0, 5000}}, old;
	setitimer(ITIMER_REAL, &it, NULL);
	while (count < 5) pause();
	memset(&it, 0, sizeof it);
	setitimer(ITIMER_REAL, &it, &old);
	P("%d %ld\n", count >= 5, (long)old.it_interval.tv_usec);
	S(alarm(10));
	S(alarm(0));
}

TEST(timer_in_busy_loop) {
	on(SIGALRM, counts, 0);
	ualarm(10000, 0);
	for (volatile long i = 0; !count; i++) {}
	P("%d\n", count);
}

TEST(xmm_survives_handler) {
	void h(int s) { volatile double d = 1; for (int i = 0; i < 100; i++) d = d * 1.5 + s; count++; }
	on(SIGALRM, h, 0);
	struct itimerval it = {{0, 1000}, {0, 1000}};
	setitimer(ITIMER_REAL, &it, NULL);
	double sum = 0;
	while (count < 20) {
		double a = 0.5, b = 0.25;
		for (int i = 0; i < 1000; i++) { a = a * 0.5 + b; b = b * 0.5 + 0.125; }
		sum = a + b;
	}
	P("%.17g\n", sum);
}

TEST(stop_signal_with_handler) {
	on(SIGTSTP, counts, 0);
	raise(SIGTSTP);
	P("%d\n", count);
	signal(SIGTTOU, SIG_IGN);
	raise(SIGTTOU);
	P("not stopped\n");
}

TEST(cont_discards_stop) {
	sigset_t s = set_of(SIGTSTP), p;
	sigprocmask(SIG_BLOCK, &s, NULL);
	raise(SIGTSTP);
	sigpending(&p);
	P("%d\n", sigismember(&p, SIGTSTP));
	kill(getpid(), SIGCONT);
	sigpending(&p);
	P("%d\n", sigismember(&p, SIGTSTP));
}

TEST(cont_handler_runs_after_stop) {
	pid_t pid = fork();
	if (pid == 0) {
		on(SIGCONT, counts, 0);
		raise(SIGSTOP);
		P("%d\n", count);
		_exit(0);
	}
	waitpid(pid, NULL, WUNTRACED);
	kill(pid, SIGCONT);
	REAP(pid);
}

TEST(posix_timer) {
	on(SIGRTMIN, counts_info, SA_SIGINFO | SA_RESTART);
	timer_t t;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	S(timer_create(CLOCK_MONOTONIC, &ev, &t));
	struct itimerspec it = {{0, 5000000}, {0, 5000000}};
	S(timer_settime(t, 0, &it, NULL));
	while (count < 3) pause();
	S(timer_delete(t));
	S(timer_delete(t));
	P("%s\n", code_name(code));
}

// Recursion without a loop, directly and through a pointer, that ends when
// the alarm comes.
static volatile sig_atomic_t rung;
static void ring(int sig) { rung = sig; }

__attribute__((noinline, optimize("O1"))) static int even(int depth);
__attribute__((noinline, optimize("O1"))) static int odd(int depth) {
	if (rung || !depth) return 0;
	return even(depth - 1) + even(depth - 1);
}
static int even(int depth) {
	if (rung || !depth) return 0;
	return odd(depth - 1) + odd(depth - 1);
}
static int (*volatile through)(int);
__attribute__((noinline, optimize("O1"))) static int pointed(int depth) {
	if (rung || !depth) return 0;
	return through(depth - 1) + through(depth - 1);
}

static void recurse(const char *name, int (*f)(int)) {
	struct itimerval soon = {.it_value = {.tv_usec = 20000}};
	rung = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
	f(60); // years
	P("%s: signal %d\n", name, rung);
}

TEST(alarm_in_recursion) {
	signal(SIGALRM, ring);
	through = pointed;
	recurse("direct", even);
	recurse("through a pointer", pointed);
}

static void trapped(int sig, siginfo_t *info, void *context) {
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	P("signal %d code %d rax %#llx rcx %#llx\n", sig, info->si_code, r[REG_RAX], r[REG_RCX]);
	r[REG_RDX]++;
}

static void on_trap(void (*f)(int, siginfo_t *, void *)) {
	struct sigaction a = {.sa_sigaction = f, .sa_flags = SA_SIGINFO};
	sigaction(SIGTRAP, &a, NULL);
}

TEST(int3_handled) {
	on_trap(trapped);
	long rax = 0x1111, rcx = 0x2222, rdx = 0, r11 = 0x3333;
	for (int i = 0; i < 3; i++) {
		register long v11 asm("r11") = r11;
		unsigned char zero;
		asm volatile("cmp %%rax, %%rax\n int3\n setz %4" : "+a"(rax), "+c"(rcx), "+d"(rdx), "+r"(v11), "=q"(zero));
		P("%#lx %#lx %ld %#lx %d\n", rax, rcx, rdx, v11, zero);
	}
}

static void *trap_rip;
static void notes_rip(int sig, siginfo_t *info, void *context) { trap_rip = (void *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]; }

TEST(int3_rip) {
	extern char after_int3[];
	on_trap(notes_rip);
	asm volatile("int3\n .globl after_int3\n after_int3:");
	P("%d\n", trap_rip == after_int3);
}

static int traps;
static void counts_trap(int sig, siginfo_t *info, void *context) { traps++; }

static __attribute__((noinline)) int trapping(int n) {
	int sum = n;
	double half = n * 0.5;
	if (n & 1) asm volatile("int3");
	sum += traps + half * 100;
	if (n > 3) __builtin_trap();
	return sum;
}

TEST(int3_in_functions) {
	on_trap(counts_trap);
	for (int i = 0; i < 4; i++) P("%d %d\n", trapping(i), traps);
	raise(SIGTRAP);
	P("%d\n", traps);
	asm volatile(".byte 0xcd, 3");
	P("%d\n", traps);
}

TEST(int3_unhandled) {
	REAP(CHILD(asm volatile("int3")));
	REAP(CHILD(sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK, &s, NULL); asm volatile("int3")));
	REAP(CHILD(signal(SIGTRAP, SIG_IGN); asm volatile("int3")));
}

// Handlers that change what the processor does next.
static int faults;

static void skips(int s, siginfo_t *i, void *c) {
	ucontext_t *u = c;
	u->uc_mcontext.gregs[REG_RIP] += 2;
	u->uc_mcontext.gregs[REG_RAX] = 77;
	faults++;
}

TEST(ill_handler_skips) {
	on(SIGILL, skips, SA_SIGINFO);
	long a = 5;
	__asm__ volatile("add $1, %0\n ud2\n add $2, %0" : "+b"(a));
	P("%ld %d\n", a, faults);
}

TEST(fpe_handler_skips) {
	on(SIGFPE, skips, SA_SIGINFO);
	int a = 100, d = 0, zero = 0;
	__asm__ volatile("cltd\n idivl %2" : "+a"(a), "=&d"(d) : "r"(zero));
	P("%d %d\n", a, faults);
}

static volatile int divisor;

static void mends(int s, siginfo_t *i, void *c) {
	divisor = 7;
	faults++;
}

TEST(fpe_handler_mends) {
	on(SIGFPE, mends, SA_SIGINFO);
	int a = 100, d = 0;
	__asm__ volatile("cltd\n idivl %2" : "+a"(a), "=&d"(d) : "m"(divisor));
	P("%d %d\n", a, faults);
}

static void sets_register(int s, siginfo_t *i, void *c) {
	((ucontext_t *)c)->uc_mcontext.gregs[REG_RBX] = (long)"x";
	if (faults++ > 9) _exit(1);
}

TEST(segv_handler_sets_register) {
	on(SIGSEGV, sets_register, SA_SIGINFO);
	long v;
	__asm__ volatile("mov $16, %%rbx\n movzbl (%%rbx), %k0" : "=r"(v) : : "rbx");
	P("%ld %d\n", v, faults);
}
