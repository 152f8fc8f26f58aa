#include "test.h"
#include <linux/audit.h>
#include <linux/elf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ptrace.h>
#include <sys/user.h>

// WAIT waits for a tracee and shows its stop.
#define WAIT(pid) wait_for(pid, 0)

static int wait_for(pid_t pid, int options) {
	int st = 0;
	pid_t got = waitpid(pid, &st, options | __WALL);
	if (got < 0) {
		show("waitpid", -1);
		return -1;
	}
	if (pid > 0 && got != pid) P("another task\n");
	if (WIFSTOPPED(st))
		P("stopped: signal %d event %d%s\n", WSTOPSIG(st) & 0x7f, st >> 16, WSTOPSIG(st) & 0x80 ? " at a system call" : "");
	else
		show_status(st);
	return st;
}

// TRACED is a child that stops itself before its block.
#define TRACED(...) CHILD(ptrace(PTRACE_TRACEME, 0, 0, 0); raise(SIGSTOP); __VA_ARGS__)

TEST(ptrace_traceme) {
	pid_t pid = TRACED(_exit(7));
	WAIT(pid);
	S(ptrace(PTRACE_CONT, pid, 0, 0));
	WAIT(pid);
	S(ptrace(PTRACE_CONT, pid, 0, 0));
}

TEST(ptrace_traceme_twice) {
	pid_t pid = CHILD(S(ptrace(PTRACE_TRACEME, 0, 0, 0)); S(ptrace(PTRACE_TRACEME, 0, 0, 0)));
	WAIT(pid);
}

TEST(ptrace_errors) {
	S(ptrace(PTRACE_CONT, 1234567, 0, 0));
	S(ptrace(PTRACE_ATTACH, 1234567, 0, 0));
	S(ptrace(PTRACE_ATTACH, getpid(), 0, 0));
	S(ptrace(PTRACE_CONT, getpid(), 0, 0));
	S(ptrace(0x7777, getpid(), 0, 0));
	pid_t pid = TRACED(pause());
	WAIT(pid);
	S(ptrace(0x7777, pid, 0, 0));
	S(ptrace(PTRACE_ATTACH, pid, 0, 0));
	S(ptrace(PTRACE_CONT, pid, 0, 65));
	S(ptrace(PTRACE_SETOPTIONS, pid, 0, 1 << 30));
	S(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	S(ptrace(PTRACE_LISTEN, pid, 0, 0));
	S(ptrace(PTRACE_SEIZE, pid, 0, 0));
	S(ptrace(PTRACE_GETREGS, pid, 0, 8));
	S(ptrace(PTRACE_SETREGS, pid, 0, 8));
	S(syscall(SYS_ptrace, PTRACE_PEEKDATA, pid, 8, 8));
	S(ptrace(PTRACE_POKEDATA, pid, 8, 0));
	S(syscall(SYS_ptrace, PTRACE_PEEKUSER, pid, 3, 8));
	S(ptrace(PTRACE_POKEUSER, pid, 912, 0));
	S(ptrace(PTRACE_CONT, pid, 0, 0));
	S(ptrace(PTRACE_CONT, pid, 0, 0)); // it runs
	S(ptrace(PTRACE_KILL, pid, 0, 0));
	WAIT(pid);
}

TEST(ptrace_signal) {
	int signals[] = {SIGUSR1, SIGTERM, SIGCHLD, SIGRTMIN + 2};
	for (int i = 0; i < 4; i++) {
		pid_t pid = TRACED(raise(signals[i]); P("went on\n"));
		WAIT(pid);
		ptrace(PTRACE_CONT, pid, 0, 0);
		WAIT(pid);
		siginfo_t si = {0};
		S(ptrace(PTRACE_GETSIGINFO, pid, 0, &si));
		P("signo %d code %d from itself %d\n", si.si_signo, si.si_code, si.si_pid == pid);
		ptrace(PTRACE_CONT, pid, 0, i & 1 ? si.si_signo : 0);
		WAIT(pid);
	}
}

static void got(int sig, siginfo_t *si, void *uc) { P("handler %d code %d value %d\n", sig, si->si_code, si->si_value.sival_int); }

static void handle(int sig) {
	struct sigaction sa = {.sa_sigaction = got, .sa_flags = SA_SIGINFO};
	sigaction(sig, &sa, NULL);
}

TEST(ptrace_other_signal) {
	pid_t pid = TRACED(handle(SIGUSR2); raise(SIGUSR1); P("went on\n"));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, SIGUSR2);
	WAIT(pid);
}

TEST(ptrace_other_siginfo) {
	pid_t pid = TRACED(handle(SIGUSR1); raise(SIGUSR1); P("went on\n"));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	siginfo_t si;
	ptrace(PTRACE_GETSIGINFO, pid, 0, &si);
	si.si_code = SI_QUEUE;
	si.si_value.sival_int = 77;
	S(ptrace(PTRACE_SETSIGINFO, pid, 0, &si));
	ptrace(PTRACE_CONT, pid, 0, SIGUSR1);
	WAIT(pid);
}

TEST(ptrace_blocked_signal) {
	pid_t pid = TRACED(
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		sigprocmask(SIG_BLOCK, &set, NULL);
		handle(SIGUSR2);
		raise(SIGUSR1);
		sigpending(&set);
		P("pending %d\n", sigismember(&set, SIGUSR2)));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, SIGUSR2);
	WAIT(pid);
}

TEST(ptrace_ignored_signal) {
	pid_t pid = TRACED(signal(SIGUSR1, SIG_IGN); raise(SIGUSR1));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, SIGUSR1);
	WAIT(pid);
}

TEST(ptrace_sigmask) {
	pid_t pid = TRACED(
		handle(SIGUSR1);
		sigset_t set;
		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGUSR1);
		raise(SIGUSR2);
		kill(getpid(), SIGTERM);
		raise(SIGSTOP);
		P("went on\n"));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	unsigned long mask = 0;
	S(ptrace(PTRACE_GETSIGMASK, pid, 8, &mask));
	P("mask %lx\n", mask);
	S(ptrace(PTRACE_GETSIGMASK, pid, 4, &mask));
	struct __ptrace_peeksiginfo_args args = {0, 0, 10};
	siginfo_t si[10];
	S(ptrace(PTRACE_PEEKSIGINFO, pid, &args, si));
	P("first %d\n", si[0].si_signo);
	args.off = 1;
	S(ptrace(PTRACE_PEEKSIGINFO, pid, &args, si));
	args.off = 0;
	args.flags = PTRACE_PEEKSIGINFO_SHARED;
	S(ptrace(PTRACE_PEEKSIGINFO, pid, &args, si));
	P("first %d\n", si[0].si_signo);
	mask &= ~(1ul << (SIGUSR1 - 1));
	S(ptrace(PTRACE_SETSIGMASK, pid, 8, &mask));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, SIGUSR1);
	WAIT(pid);
}

TEST(ptrace_memory) {
	static long word = 0x1122334455667788;
	static const long fixed = 42;
	pid_t pid = TRACED(P("word %lx\n", word));
	WAIT(pid);
	errno = 0;
	P("%lx %ld", ptrace(PTRACE_PEEKDATA, pid, &word, 0), ptrace(PTRACE_PEEKTEXT, pid, &fixed, 0));
	P(" %d\n", errno);
	P("%lx\n", ptrace(PTRACE_PEEKDATA, pid, (char *)&word + 3, 0) & 0xffffffffff);
	S(ptrace(PTRACE_POKEDATA, pid, &word, 0x99));
	P("ours %lx\n", word);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

static long nr(pid_t pid) {
	struct user_regs_struct r;
	return ptrace(PTRACE_GETREGS, pid, 0, &r) ? -1 : (long)r.orig_rax;
}

TEST(ptrace_syscall) {
	pid_t pid = TRACED(syscall(SYS_getppid, 1, 2, 3, 4, 5, 6); syscall(SYS_close, -1); _exit(3));
	WAIT(pid);
	S(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	while (WIFSTOPPED(wait_for(pid, 0))) {
		struct user_regs_struct r;
		ptrace(PTRACE_GETREGS, pid, 0, &r);
		P("nr %ld args %ld %ld %ld %ld result %ld\n", (long)r.orig_rax, (long)r.rdi, r.orig_rax == SYS_getppid ? (long)r.rsi : 0,
			r.orig_rax == SYS_getppid ? (long)r.r10 : 0, r.orig_rax == SYS_getppid ? (long)r.r9 : 0,
			(long)r.rax == getpid() ? 1 : (long)r.rax);
		siginfo_t si;
		ptrace(PTRACE_GETSIGINFO, pid, 0, &si);
		P("info %d %d %d\n", si.si_signo, si.si_code, si.si_pid == pid);
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
	}
}

TEST(ptrace_syscall_info) {
	pid_t pid = TRACED(syscall(SYS_getppid, 1, 2, 3, 4, 5, 6); syscall(SYS_close, -1); _exit(3));
	WAIT(pid);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	do {
		struct __ptrace_syscall_info i;
		memset(&i, 0xaa, sizeof i);
		S(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof i, &i));
		P("op %d arch %x sp %d\n", i.op, i.arch, i.stack_pointer != 0);
		if (i.op == PTRACE_SYSCALL_INFO_ENTRY) P("nr %ld arg %ld\n", (long)i.entry.nr, (long)i.entry.args[0]);
		if (i.op == PTRACE_SYSCALL_INFO_EXIT) P("result %d error %d\n", i.exit.rval == getpid() ? 1 : (int)i.exit.rval, i.exit.is_error);
		S(ptrace(PTRACE_GET_SYSCALL_INFO, pid, 4, &i));
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
	} while (WIFSTOPPED(wait_for(pid, 0)));
}

// next lets a tracee go on to its next stop at a system call.
static void next(pid_t pid) {
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_change_result) {
	pid_t pid = TRACED(P("close gives %ld", syscall(SYS_close, -1)); P(" errno %d\n", errno));
	WAIT(pid);
	next(pid);
	next(pid);
	struct user_regs_struct r;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	r.rax = 1234;
	S(ptrace(PTRACE_SETREGS, pid, 0, &r));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_change_call) {
	pid_t pid = TRACED(long r = syscall(SYS_close, -1); P("a call gives %d\n", r == getppid()));
	WAIT(pid);
	next(pid);
	struct user_regs_struct r;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	r.orig_rax = SYS_getppid;
	S(ptrace(PTRACE_SETREGS, pid, 0, &r));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_change_argument) {
	int p[2];
	pipe(p);
	pid_t pid = TRACED(long r = syscall(SYS_write, -1, "text", 4); P("write gives %ld\n", r));
	WAIT(pid);
	next(pid);
	S(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rdi), p[1]));
	S(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rdx), 3));
	errno = 0;
	P("rdx %ld\n", ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rdx), 0));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	char b[9] = "";
	S(read(p[0], b, 8));
	P("%s\n", b);
}

TEST(ptrace_skip_call) {
	pid_t pid = TRACED(long r = syscall(SYS_getppid); P("a call gives %ld", r); P(" errno %d\n", errno));
	WAIT(pid);
	next(pid);
	S(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1l));
	next(pid);
	S(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), -(long)EXDEV));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_sysemu) {
	pid_t pid = TRACED(long r = syscall(SYS_close, -1); P("close gives %ld\n", r); _exit(4));
	WAIT(pid);
	ptrace(PTRACE_SYSEMU, pid, 0, 0);
	WAIT(pid);
	P("nr %ld\n", nr(pid));
	S(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), 99));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

static void landed(void) {
	P("landed\n");
	_exit(5);
}

TEST(ptrace_jump) {
	pid_t pid = TRACED(raise(SIGUSR1); P("not reached\n"));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	struct user_regs_struct r;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	r.rip = (long)landed;
	r.rsp = (r.rsp - 1024 & ~15) - 8;
	S(ptrace(PTRACE_SETREGS, pid, 0, &r));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_jump_with_signal) {
	pid_t pid = TRACED(handle(SIGUSR1); raise(SIGUSR1); P("not reached\n"));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	struct user_regs_struct r;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	r.rip = (long)landed;
	r.rsp = (r.rsp - 1024 & ~15) - 8;
	r.orig_rax = -1;
	S(ptrace(PTRACE_SETREGS, pid, 0, &r));
	ptrace(PTRACE_CONT, pid, 0, SIGUSR1);
	WAIT(pid);
}

// A debugger's call of a function in the program it debugs.
static long twice(long v) {
	return 2 * v;
}

TEST(ptrace_call_function) {
	static volatile int hold = 1;
	pid_t pid = TRACED(while (hold) ; P("as before\n"));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	nap(20);
	kill(pid, SIGUSR1);
	WAIT(pid);
	struct user_regs_struct was, r;
	ptrace(PTRACE_GETREGS, pid, 0, &was);
	r = was;
	r.rip = (long)twice;
	r.rdi = 21;
	r.rsp = (r.rsp - 1024 & ~15) - 8;
	r.orig_rax = -1;
	ptrace(PTRACE_POKEDATA, pid, r.rsp, 16); // where it returns to
	ptrace(PTRACE_SETREGS, pid, 0, &r);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	P("result %ld\n", (long)r.rax);
	ptrace(PTRACE_POKEDATA, pid, &hold, 0);
	ptrace(PTRACE_SETREGS, pid, 0, &was);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_regset) {
	pid_t pid = TRACED(syscall(SYS_getppid));
	WAIT(pid);
	next(pid);
	struct user_regs_struct r;
	struct iovec v = {&r, sizeof r};
	S(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &v));
	P("%zu of %zu nr %ld\n", v.iov_len, sizeof r, (long)r.orig_rax);
	v.iov_len = 16;
	S(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &v));
	P("%zu\n", v.iov_len);
	v.iov_len = 13;
	S(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &v));
	v.iov_len = 16;
	S(ptrace(PTRACE_GETREGSET, pid, 0x7777, &v));
	struct user_fpregs_struct f;
	v = (struct iovec){&f, sizeof f};
	S(ptrace(PTRACE_GETREGSET, pid, NT_PRFPREG, &v));
	P("%zu mxcsr %x\n", v.iov_len, f.mxcsr);
	S(ptrace(PTRACE_SETREGSET, pid, NT_PRFPREG, &v));
	S(ptrace(PTRACE_GETFPREGS, pid, 0, &f));
	S(ptrace(PTRACE_SETFPREGS, pid, 0, &f));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_fault) {
	pid_t pid = TRACED(*(volatile int *)16 = 1);
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	siginfo_t si;
	ptrace(PTRACE_GETSIGINFO, pid, 0, &si);
	P("signo %d code %d addr %p\n", si.si_signo, si.si_code, si.si_addr);
	ptrace(PTRACE_CONT, pid, 0, SIGSEGV);
	WAIT(pid);
}

TEST(ptrace_trap_instruction) {
	pid_t pid = TRACED(__asm__ volatile("int3"); P("after\n"));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	siginfo_t si;
	ptrace(PTRACE_GETSIGINFO, pid, 0, &si);
	P("signo %d code %d\n", si.si_signo, si.si_code);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_exec) {
	char *argv[] = {"syscalls", "exit", "9", NULL};
	pid_t pid = TRACED(execv(SELF, argv));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	siginfo_t si;
	ptrace(PTRACE_GETSIGINFO, pid, 0, &si);
	P("signo %d code %d\n", si.si_signo, si.si_code);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_event_exec) {
	char *argv[] = {"syscalls", "exit", "9", NULL};
	pid_t pid = TRACED(execv(SELF, argv));
	WAIT(pid);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD);
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	WAIT(pid);
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	WAIT(pid);
	unsigned long msg = 0;
	S(ptrace(PTRACE_GETEVENTMSG, pid, 0, &msg));
	P("was itself %d\n", msg == pid);
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	WAIT(pid);
	struct user_regs_struct r;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	P("nr %ld result %ld\n", (long)r.orig_rax, (long)r.rax);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

static void show_exit_event(pid_t pid) {
	unsigned long msg = 0;
	S(ptrace(PTRACE_GETEVENTMSG, pid, 0, &msg));
	P("status %lx\n", msg);
}

TEST(ptrace_event_exit) {
	for (int how = 0; how < 3; how++) {
		pid_t pid = TRACED(
			if (how == 0) _exit(6);
			if (how == 1) raise(SIGTERM);
			pause());
		WAIT(pid);
		ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
		ptrace(PTRACE_CONT, pid, 0, 0);
		if (how == 2) {
			nap(20);
			kill(pid, SIGTERM);
		}
		int st = WAIT(pid);
		if (st >> 16 == 0) {
			ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(st));
			WAIT(pid);
		}
		show_exit_event(pid);
		ptrace(PTRACE_CONT, pid, 0, 0);
		WAIT(pid);
	}
}

// What a tracer is told of the end of those that others end, in a system call.
TEST(ptrace_event_exit_of_killed) {
	for (int how = 0; how < 3; how++) {
		pid_t pid = TRACED(
			if (how == 1) {
				if (fork() == 0) { nap(50); kill(getppid(), SIGTERM); _exit(0); }
			}
			pause());
		WAIT(pid);
		ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
		ptrace(PTRACE_CONT, pid, 0, 0);
		nap(20);
		if (how != 1) kill(pid, SIGKILL);
		int st = WAIT(pid);
		if (how == 1) {
			ptrace(PTRACE_CONT, pid, 0, SIGTERM);
			WAIT(pid);
		}
		show_exit_event(pid);
		if (how == 2) {
			kill(pid, SIGKILL); // once more: it is ending already
			nap(30);
			P("%d\n", waitpid(pid, &st, WNOHANG | __WALL));
		}
		ptrace(PTRACE_CONT, pid, 0, 0);
		WAIT(pid);
	}
}

static void *ends_all(void *arg) {
	nap(30);
	_exit(5);
}

TEST(ptrace_event_exit_of_threads) {
	pid_t pid = TRACED(pthread_t t; pthread_create(&t, NULL, ends_all, NULL); pause());
	WAIT(pid);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid); // the thread that is not traced ends all
	show_exit_event(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

// A parent sees its child stop, though another traces that.
TEST(ptrace_stop_seen_by_the_parent) {
	pid_t pid = CHILD(pause());
	pid_t tracer = CHILD(
		ptrace(PTRACE_SEIZE, pid, 0, 0);
		int st;
		waitpid(pid, &st, __WALL);
		ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(st));
		waitpid(pid, &st, __WALL);
		ptrace(PTRACE_LISTEN, pid, 0, 0);
		waitpid(pid, &st, __WALL);
		_exit(st >> 16));
	nap(30);
	kill(pid, SIGSTOP);
	int st;
	P("%d\n", waitpid(pid, &st, WUNTRACED) == pid);
	show_status(st);
	kill(pid, SIGCONT);
	REAP(tracer);
	kill(pid, SIGKILL);
	REAP(pid);
}

static void exits_5(int sig) { _exit(5); }

static int deeper(volatile char *p) {
	volatile char frame[4096];
	frame[0] = p ? p[0] : 1;
	return deeper(frame) + frame[0];
}

// The handler's frame has no place on a stack that is full.
TEST(ptrace_stack_overflow) {
	pid_t pid = TRACED(signal(SIGSEGV, exits_5); deeper(NULL));
	int st = WAIT(pid);
	for (int i = 0; i < 5 && WIFSTOPPED(st); i++) {
		ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(st) == SIGSTOP ? 0 : WSTOPSIG(st));
		st = WAIT(pid);
	}
}

// follow lets all tracees go on until none is left, and shows what it sees of
// the one and of the others in turn.
static void follow(pid_t pid) {
	pid_t other = 0;
	for (;;) {
		int st;
		pid_t got = waitpid(-1, &st, __WALL);
		if (got < 0) return;
		if (got != pid) other = got;
		P("%s: ", got == pid ? "parent" : "child");
		int sig = 0;
		if (WIFSTOPPED(st)) {
			P("stop %d event %d\n", WSTOPSIG(st), st >> 16);
			sig = WSTOPSIG(st) & 0x7f;
			if (sig == SIGSTOP || sig == SIGTRAP || sig == SIGCHLD) sig = 0;
		} else {
			show_status(st);
		}
		if (st >> 16 && st >> 16 < 4 || st >> 16 == PTRACE_EVENT_VFORK_DONE) {
			unsigned long msg = 0;
			ptrace(PTRACE_GETEVENTMSG, got, 0, &msg);
			int child;
			if (st >> 16 != PTRACE_EVENT_VFORK_DONE) {
				// Of what happens at once one after the other is shown.
				waitpid(msg, &child, __WALL);
				P("its stop %d event %d\n", WSTOPSIG(child), child >> 16);
				ptrace(PTRACE_CONT, msg, 0, 0);
				waitpid(msg, &child, __WALL);
				P("its end ");
				show_status(child);
			} else {
				P("about %s\n", msg != 0 ? "the child" : "nothing");
			}
		}
		ptrace(PTRACE_CONT, got, 0, sig);
	}
}

TEST(ptrace_event_fork) {
	pid_t pid = TRACED(pid_t p = CHILD(_exit(2)); waitpid(p, NULL, 0); _exit(1));
	WAIT(pid);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK);
	ptrace(PTRACE_CONT, pid, 0, 0);
	follow(pid);
}

TEST(ptrace_event_vfork) {
	pid_t pid = TRACED(
		pid_t p = vfork();
		if (p == 0) _exit(2);
		waitpid(p, NULL, 0);
		_exit(1));
	WAIT(pid);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE);
	ptrace(PTRACE_CONT, pid, 0, 0);
	follow(pid);
}

static void *quick(void *p) { return p; }

TEST(ptrace_event_clone) {
	pid_t pid = TRACED(
		pthread_t th;
		pthread_create(&th, NULL, quick, NULL);
		pthread_join(th, NULL);
		_exit(1));
	WAIT(pid);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE);
	ptrace(PTRACE_CONT, pid, 0, 0);
	follow(pid);
}

TEST(ptrace_attach) {
	pid_t pid = CHILD(for (;;) pause());
	await(pid, 'S');
	S(ptrace(PTRACE_ATTACH, pid, 0, 0));
	WAIT(pid);
	P("nr %ld\n", nr(pid));
	await(pid, 't');
	S(ptrace(PTRACE_DETACH, pid, 0, 0));
	await(pid, 'S');
	S(ptrace(PTRACE_CONT, pid, 0, 0));
	kill(pid, SIGTERM);
	REAP(pid);
}

TEST(ptrace_attach_running) {
	static volatile long n;
	pid_t pid = CHILD(for (;;) n++);
	nap(10);
	S(ptrace(PTRACE_ATTACH, pid, 0, 0));
	WAIT(pid);
	P("nr %ld\n", nr(pid));
	long a = ptrace(PTRACE_PEEKDATA, pid, &n, 0);
	nap(10);
	P("stands still %d\n", a == ptrace(PTRACE_PEEKDATA, pid, &n, 0));
	S(ptrace(PTRACE_DETACH, pid, 0, SIGTERM));
	REAP(pid);
}

TEST(ptrace_attach_stopped) {
	pid_t pid = CHILD(raise(SIGSTOP); _exit(3));
	int st;
	waitpid(pid, &st, WUNTRACED);
	S(ptrace(PTRACE_ATTACH, pid, 0, 0));
	WAIT(pid);
	kill(pid, SIGCONT); // which takes the tracer's SIGSTOP back
	S(ptrace(PTRACE_CONT, pid, 0, 0));
	for (;;) {
		st = WAIT(pid);
		if (!WIFSTOPPED(st)) break;
		ptrace(PTRACE_CONT, pid, 0, 0);
	}
}

TEST(ptrace_group_stop) {
	pid_t pid = TRACED(raise(SIGTSTP); _exit(3));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	S(ptrace(PTRACE_CONT, pid, 0, SIGSTOP));
	WAIT(pid); // with its process
	siginfo_t si;
	S(ptrace(PTRACE_GETSIGINFO, pid, 0, &si));
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_seize) {
	pid_t pid = CHILD(for (;;) pause());
	await(pid, 'S');
	S(ptrace(PTRACE_SEIZE, pid, 1, 0));
	S(ptrace(PTRACE_SEIZE, pid, 0, 1 << 30));
	S(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD));
	S(waitpid(pid, NULL, WNOHANG));
	S(ptrace(PTRACE_CONT, pid, 0, 0));
	S(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	WAIT(pid);
	siginfo_t si;
	S(ptrace(PTRACE_GETSIGINFO, pid, 0, &si));
	P("signo %d code %d\n", si.si_signo, si.si_code);
	S(ptrace(PTRACE_LISTEN, pid, 0, 0));
	S(ptrace(PTRACE_CONT, pid, 0, 0));
	S(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	WAIT(pid);
	S(ptrace(PTRACE_DETACH, pid, 0, SIGTERM)); // which is for stops at signals only
	kill(pid, SIGKILL);
	REAP(pid);
}

TEST(ptrace_seize_group_stop) {
	pid_t pid = CHILD(for (;;) pause());
	await(pid, 'S');
	ptrace(PTRACE_SEIZE, pid, 0, 0);
	kill(pid, SIGSTOP);
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, SIGSTOP);
	WAIT(pid);
	S(ptrace(PTRACE_LISTEN, pid, 0, 0));
	S(waitpid(pid, NULL, WNOHANG | __WALL));
	kill(pid, SIGCONT);
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid); // SIGCONT itself
	ptrace(PTRACE_CONT, pid, 0, SIGCONT);
	kill(pid, SIGKILL);
	WAIT(pid);
}

TEST(ptrace_not_child) {
	int p[2], q[2];
	pipe(p);
	pipe(q);
	pid_t pid = CHILD(char c; read(p[0], &c, 1); _exit(4));
	pid_t tracer = CHILD(
		S(ptrace(PTRACE_SEIZE, pid, 0, 0));
		write(q[1], "x", 1);
		write(p[1], "x", 1);
		WAIT(pid);
		nap(20);
		write(q[1], "y", 1));
	char c;
	read(q[0], &c, 1);
	waitpid(pid, NULL, 0); // the tracer hears of it first
	read(q[0], &c, 1);
	P("%c\n", c);
	REAP(tracer);
}

TEST(ptrace_tracer_ends) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(char c; read(p[0], &c, 1); _exit(4));
	pid_t tracer = CHILD(
		S(ptrace(PTRACE_ATTACH, pid, 0, 0));
		WAIT(pid));
	REAP(tracer);
	write(p[1], "x", 1);
	REAP(pid);
}

TEST(ptrace_exit_kill) {
	pid_t pid = CHILD(for (;;) pause());
	pid_t tracer = CHILD(S(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL)));
	REAP(tracer);
	REAP(pid);
}

TEST(ptrace_kill_stopped) {
	pid_t pid = TRACED(pause());
	WAIT(pid);
	kill(pid, SIGKILL);
	WAIT(pid);
}

TEST(ptrace_waitid) {
	pid_t pid = TRACED(raise(SIGUSR1));
	siginfo_t si = {0};
	for (int i = 0; i < 2; i++) {
		S(waitid(P_PID, pid, &si, WSTOPPED | WNOWAIT));
		P("code %d status %d\n", si.si_code, si.si_status);
		S(waitid(P_PID, pid, &si, WSTOPPED));
		S(waitid(P_PID, pid, &si, WSTOPPED | WNOHANG));
		P("pid %d\n", si.si_pid);
		ptrace(PTRACE_CONT, pid, 0, 0);
	}
	WAIT(pid);
}

static void chld(int sig, siginfo_t *si, void *uc) { P("SIGCHLD code %d status %d\n", si->si_code, si->si_status); }

TEST(ptrace_sigchld) {
	struct sigaction sa = {.sa_sigaction = chld, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGCHLD, &sa, NULL);
	pid_t pid = TRACED(raise(SIGUSR1));
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_interrupted_call) {
	int p[2];
	pipe(p);
	pid_t pid = TRACED(char c = 0; long n = read(p[0], &c, 1); P("read %ld %c\n", n, c));
	WAIT(pid);
	next(pid);
	P("nr %ld\n", nr(pid));
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	await(pid, 'S');
	kill(pid, SIGUSR1);
	WAIT(pid); // the call's exit
	struct user_regs_struct r;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	P("result %ld\n", (long)r.rax);
	next(pid); // the signal
	next(pid); // the call again
	P("nr %ld\n", nr(pid));
	write(p[1], "x", 1);
	next(pid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
}

TEST(ptrace_status) {
	pid_t pid = TRACED(pause());
	WAIT(pid);
	char path[64], line[128];
	sprintf(path, "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (fgets(line, sizeof line, f)) {
		int tracer = -1;
		if (!strncmp(line, "State:", 6)) P("%s", line);
		if (sscanf(line, "TracerPid: %d", &tracer) == 1) P("tracer %d\n", tracer == getpid());
	}
	kill(pid, SIGKILL);
	WAIT(pid);
}

TEST(ptrace_arch_prctl) {
	pid_t pid = TRACED(pause());
	WAIT(pid);
	unsigned long fs = 0;
	struct user_regs_struct r;
	S(ptrace(PTRACE_ARCH_PRCTL, pid, &fs, 0x1003));
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	P("same %d\n", fs == r.fs_base && fs != 0);
	S(ptrace(PTRACE_ARCH_PRCTL, pid, 0x1000, 0x1001));
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	P("gs %lx\n", (long)r.gs_base);
	S(ptrace(PTRACE_ARCH_PRCTL, pid, 0, 0x1234));
	kill(pid, SIGKILL);
	WAIT(pid);
}

// filter makes getppid a tracer's affair.
static void filter(void) {
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 55),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, code};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

TEST(ptrace_seccomp) {
	for (int how = 0; how < 3; how++) {
		pid_t pid = TRACED(filter(); long r = syscall(SYS_getppid); P("call gives %ld\n", r == getpid() ? 1 : r > 0 ? 2 : r); _exit(0));
		WAIT(pid);
		if (how < 2) ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP);
		ptrace(PTRACE_CONT, pid, 0, 0);
		if (how < 2) {
			WAIT(pid);
			unsigned long msg = 0;
			ptrace(PTRACE_GETEVENTMSG, pid, 0, &msg);
			P("data %lu nr %ld\n", msg, nr(pid));
			struct __ptrace_syscall_info i;
			S(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof i, &i));
			P("op %d data %d\n", i.op, i.seccomp.ret_data);
			if (how == 1) {
				ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), SYS_getpid);
			}
			ptrace(PTRACE_CONT, pid, 0, 0);
		}
		WAIT(pid);
	}
}

static void *spin(void *p) {
	for (;;) usleep(1000);
	return p;
}

TEST(ptrace_threads) {
	pid_t pid = CHILD(
		pthread_t th;
		pthread_create(&th, NULL, spin, NULL);
		nap(50);
		pthread_join(th, NULL));
	char path[64];
	sprintf(path, "/proc/%d/task", pid);
	pid_t other = 0;
	while (!other) {
		DIR *d = opendir(path);
		struct dirent *e;
		while ((e = readdir(d)))
			if (atoi(e->d_name) && atoi(e->d_name) != pid) other = atoi(e->d_name);
		closedir(d);
		nap(1);
	}
	S(ptrace(PTRACE_SEIZE, other, 0, 0));
	S(ptrace(PTRACE_INTERRUPT, other, 0, 0));
	WAIT(other);
	S(ptrace(PTRACE_CONT, other, 0, 0));
	kill(pid, SIGKILL);
	WAIT(other);
	REAP(pid);
}

static void *becomes(void *p) {
	char *argv[] = {"syscalls", "exit", "9", NULL};
	execv(SELF, argv);
	return NULL;
}

TEST(ptrace_thread_exec) {
	pid_t pid = TRACED(
		pthread_t th;
		pthread_create(&th, NULL, becomes, NULL);
		pthread_join(th, NULL));
	WAIT(pid);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	unsigned long tid = 0, was = 0;
	ptrace(PTRACE_GETEVENTMSG, pid, 0, &tid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(tid);
	ptrace(PTRACE_CONT, tid, 0, 0);
	WAIT(pid);
	ptrace(PTRACE_GETEVENTMSG, pid, 0, &was);
	P("the thread %d\n", was == tid);
	ptrace(PTRACE_CONT, pid, 0, 0);
	WAIT(pid);
	WAIT(-1);
}
