#include "test.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define FIELD(F) (offsetof(struct seccomp_data, F))
#define LOAD(F) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(F))
#define RET(V) BPF_STMT(BPF_RET | BPF_K, (V))
/* ON makes a filter that returns V for system call NR and allows all others. */
#define ON(NR, V) LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (NR), 0, 1), RET(V), RET(SECCOMP_RET_ALLOW)

static long seccomp_(unsigned op, unsigned flags, void *arg) { return syscall(SYS_seccomp, op, flags, arg); }
static int install(unsigned flags, struct sock_filter *f, size_t n) {
	struct sock_fprog p = {n, f};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return seccomp_(SECCOMP_SET_MODE_FILTER, flags, &p);
}
#define FILTER(FLAGS, ...) ({ struct sock_filter f_[] = {__VA_ARGS__}; install(FLAGS, f_, sizeof f_ / sizeof *f_); })

static void status(void) {
	char line[200];
	FILE *f = fopen("/proc/thread-self/status", "r");
	while (fgets(line, sizeof line, f)) if (!strncmp(line, "Seccomp", 7)) P("%s", line);
	fclose(f);
}

TEST(seccomp_errno) {
	S(prctl(PR_GET_SECCOMP));
	status();
	S(FILTER(0, ON(SYS_getppid, SECCOMP_RET_ERRNO | EDOM)));
	S(getppid());
	S(getpid() > 0);
	S(prctl(PR_GET_SECCOMP));
	status();
	S(FILTER(0, ON(SYS_getppid, SECCOMP_RET_ERRNO | 0)));
	S(getppid()); // the newest of equals
	S(FILTER(0, ON(SYS_getuid, SECCOMP_RET_ERRNO | 0xffff)));
	P("%ld %d\n", (long)getuid(), errno);
	S(FILTER(0, ON(SYS_getgid, SECCOMP_RET_TRACE)));
	S(syscall(SYS_getgid));
	S(FILTER(0, ON(SYS_getegid, SECCOMP_RET_LOG)));
	S(syscall(SYS_getegid));
	status();
}

TEST(seccomp_by_prctl) {
	struct sock_filter f[] = {ON(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV)};
	struct sock_fprog p = {4, f};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	S(prctl(PR_SET_SECCOMP, 3, &p));
	S(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL));
	S(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p));
	S(getppid());
	S(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, NULL));
}

TEST(seccomp_kills) {
	unsigned how[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, 0x00010000};
	for (int i = 0; i < 4; i++) REAP(CHILD(FILTER(0, ON(SYS_getppid, how[i])); getppid(); P("not reached\n")));
	REAP(CHILD(FILTER(0, ON(SYS_getppid, SECCOMP_RET_TRAP)); signal(SIGSYS, SIG_IGN); getppid(); P("not reached\n")));
}

static void *calls(void *unused) {
	S(getppid());
	return "went on";
}
TEST(seccomp_kills_a_thread) {
	REAP(CHILD(FILTER(0, ON(SYS_getppid, SECCOMP_RET_KILL_THREAD)); pthread_t t; pthread_create(&t, NULL, calls, NULL); nap(50); P("alive\n")));
	REAP(CHILD(FILTER(0, ON(SYS_getppid, SECCOMP_RET_KILL_PROCESS)); pthread_t t; pthread_create(&t, NULL, calls, NULL); nap(5000); P("alive\n")));
}

static void trapped(int sig, siginfo_t *i, void *u) {
	greg_t *r = ((ucontext_t *)u)->uc_mcontext.gregs;
	P("signal %d code %d errno %d call %d arch %x addr %d\n", sig, i->si_code, i->si_errno, i->si_syscall == SYS_getppid, i->si_arch, (long)i->si_call_addr == r[REG_RIP]);
	P("rax %d rdi %lld\n", r[REG_RAX] == SYS_getppid, r[REG_RDI]);
	r[REG_RAX] = 4242;
}
TEST(seccomp_trap) {
	struct sigaction a = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
	sigaction(SIGSYS, &a, NULL);
	S(FILTER(0, ON(SYS_getppid, SECCOMP_RET_TRAP | 77)));
	S(syscall(SYS_getppid, 5));
	sigset_t s;
	sigemptyset(&s), sigaddset(&s, SIGSYS);
	REAP(CHILD(sigprocmask(SIG_BLOCK, &s, NULL); getppid(); P("not reached\n")));
}

TEST(seccomp_arguments) {
	S(FILTER(0, LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), RET(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_dup2, 1, 0), RET(SECCOMP_RET_ALLOW),
		LOAD(args[0]), BPF_STMT(BPF_MISC | BPF_TAX, 0), LOAD(args[1]), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff), BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0)));
	S(dup2(3, 30));
	S(dup2(0, 1));
	S(FILTER(0, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_dup, 1, 0), RET(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(args[0]) + 4), RET(SECCOMP_RET_ERRNO | 9)));
	S(dup(0));
}

/* FOR begins a filter that is of getppid with N as its argument only. */
#define FOR(N) LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0), RET(SECCOMP_RET_ALLOW), \
	LOAD(args[0]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (N), 1, 0), RET(SECCOMP_RET_ALLOW)
static void answer(const char *what, int n) {
	errno = 0;
	syscall(SYS_getppid, n);
	P("%s: %d\n", what, errno);
}

/* computes shows what an operation leaves in A, when A and X are 64. */
static void computes(const char *what, struct sock_filter op) {
	static int n;
	if (FILTER(0, FOR(++n), BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), op,
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff), BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0)))
		P("%s: %s\n", what, strerrorname_np(errno));
	else
		answer(what, n);
}
TEST(seccomp_arithmetic) {
	struct { const char *name; int op; } ops[] = {{"add", BPF_ADD}, {"sub", BPF_SUB}, {"mul", BPF_MUL}, {"div", BPF_DIV}, {"and", BPF_AND}, {"or", BPF_OR},
		{"xor", BPF_XOR}, {"lsh", BPF_LSH}, {"rsh", BPF_RSH}, {"neg", BPF_NEG}, {"mod", BPF_MOD}, {"0xb0", 0xb0}};
	for (int i = 0; i < 12; i++) {
		computes(ops[i].name, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_K | ops[i].op, 3));
		computes(ops[i].name, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_X | ops[i].op, 0));
	}
	computes("div 0", (struct sock_filter)BPF_STMT(BPF_ALU | BPF_K | BPF_DIV, 0));
	computes("lsh 32", (struct sock_filter)BPF_STMT(BPF_ALU | BPF_K | BPF_LSH, 32));
	computes("rsh 31", (struct sock_filter)BPF_STMT(BPF_ALU | BPF_K | BPF_RSH, 31));
}

TEST(seccomp_divides_by_zero) {
	REAP(CHILD(FILTER(0, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0), RET(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LDX | BPF_IMM, 0), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RET(SECCOMP_RET_ALLOW)); getppid(); P("alive\n")));
}

TEST(seccomp_jumps) {
	int ops[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
	for (int i = 0; i < 4; i++)
		for (unsigned k = 63; k <= 65; k++) {
			FILTER(0, FOR(100 * i + k), BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_LDX | BPF_IMM, k),
				BPF_JUMP(BPF_JMP | BPF_X | ops[i], 0, 1, 0), BPF_STMT(BPF_JMP | BPF_JA, 1), RET(SECCOMP_RET_ERRNO | 1), RET(SECCOMP_RET_ERRNO | 2));
			answer("jump", 100 * i + k);
		}
}

#define BAD(...) S(FILTER(0, __VA_ARGS__))
TEST(seccomp_refused_programs) {
	BAD(RET(SECCOMP_RET_ALLOW), LOAD(nr));
	BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_JMP | BPF_JA, 1), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_JMP | BPF_JA, -2), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_JUMP(BPF_JMP | BPF_JEQ, 0, 0, 1), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_LD | BPF_MEM, 16), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_LD | BPF_MEM, 3), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_JUMP(BPF_JMP | BPF_JEQ, 0, 0, 1), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_JUMP(BPF_JMP | BPF_JEQ, 0, 0, 2), BPF_STMT(BPF_STX, 3), BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), RET(SECCOMP_RET_ALLOW));
	BAD(BPF_STMT(BPF_RET | BPF_X, 0));
	BAD(BPF_STMT(0x106, 0));
	struct sock_fprog empty = {0, NULL}, far = {1, (void *)8};
	S(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &empty));
	S(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &far));
	S(seccomp_(SECCOMP_SET_MODE_FILTER, 0, NULL));
	S(seccomp_(SECCOMP_SET_MODE_FILTER, 1 << 20, NULL));
	S(seccomp_(99, 0, NULL));
}

TEST(seccomp_needs_no_new_privs) {
	struct sock_filter f[] = {RET(SECCOMP_RET_ALLOW)};
	struct sock_fprog p = {1, f};
	setresuid(1234, 1234, 1234);
	S(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &p));
	S(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	S(seccomp_(SECCOMP_SET_MODE_FILTER, 0, &p));
}

TEST(seccomp_actions) {
	unsigned list[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO, SECCOMP_RET_TRACE, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW, 0x00010000};
	for (int i = 0; i < 8; i++) S(seccomp_(SECCOMP_GET_ACTION_AVAIL, 0, &list[i]));
	S(seccomp_(SECCOMP_GET_ACTION_AVAIL, 1, &list[0]));
	S(seccomp_(SECCOMP_GET_ACTION_AVAIL, 0, NULL));
}

TEST(seccomp_strict) {
	REAP(CHILD(S(seccomp_(SECCOMP_SET_MODE_STRICT, 1, NULL)); seccomp_(SECCOMP_SET_MODE_STRICT, 0, NULL); write(1, "written\n", 8); syscall(SYS_exit, 3)));
	REAP(CHILD(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); write(1, "written\n", 8); getppid(); write(1, "not reached\n", 12)));
	REAP(CHILD(FILTER(0, RET(SECCOMP_RET_ALLOW)); S(seccomp_(SECCOMP_SET_MODE_STRICT, 0, NULL))));
}

TEST(seccomp_is_inherited) {
	FILTER(0, ON(SYS_getppid, SECCOMP_RET_ERRNO | EDOM));
	REAP(CHILD(S(getppid()); status()));
	pthread_t t;
	pthread_create(&t, NULL, calls, NULL);
	pthread_join(t, NULL);
	char *argv[] = {"self", "seccomp_after_exec", 0};
	execv(SELF, argv);
}
TEST(seccomp_after_exec) { S(getppid() > 0); }

static sem_t begin, done;
static void *later(void *own) {
	if (own) S(FILTER(0, ON(SYS_getuid, SECCOMP_RET_ERRNO | EXDEV)));
	sem_post(&done);
	sem_wait(&begin);
	S(getppid() > 0);
	S(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return NULL;
}
TEST(seccomp_of_all_threads) {
	for (long own = 0; own < 2; own++) REAP(CHILD(
		sem_init(&begin, 0, 0); sem_init(&done, 0, 0);
		pthread_t t;
		pthread_create(&t, NULL, later, (void *)own);
		sem_wait(&done);
		S(FILTER(SECCOMP_FILTER_FLAG_TSYNC, ON(SYS_getppid, SECCOMP_RET_ERRNO | EDOM)) > 0);
		S(FILTER(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, ON(SYS_getppid, SECCOMP_RET_ERRNO | EDOM)));
		sem_post(&begin);
		pthread_join(t, NULL)));
}
