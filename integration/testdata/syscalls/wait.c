#include "test.h"

TEST(wait_without_children) {
	S(wait(NULL));
	S(waitpid(-1, NULL, WNOHANG));
	S(waitpid(1234567, NULL, 0));
	S(waitpid(INT_MIN, NULL, 0));
	S(waitpid(-1, NULL, 0x1000));
}

TEST(wait_nohang) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(char c; read(p[0], &c, 1));
	S(waitpid(pid, NULL, WNOHANG));
	write(p[1], "x", 1);
	REAP(pid);
	S(waitpid(pid, NULL, WNOHANG));
}

TEST(wait_signaled) {
	int signals[] = {SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGPIPE, SIGALRM, SIGRTMIN + 1};
	for (int i = 0; i < 7; i++) REAP(CHILD(signal(signals[i], SIG_DFL); raise(signals[i])));
}

TEST(wait_bad_pointer) {
	pid_t pid = CHILD(_exit(1));
	S(waitpid(pid, (int *)8, 0));
	S(waitpid(pid, NULL, 0));
}

static void show_info(siginfo_t *i, pid_t pid) {
	P("signo %d %s status %d pid %s uid %d\n", i->si_signo, code_name(i->si_code), i->si_status, i->si_pid == pid ? "right" : i->si_pid ? "wrong" : "none", i->si_uid);
}

TEST(waitid_kinds) {
	siginfo_t i = {0};
	pid_t a = CHILD(_exit(3)), b = CHILD(raise(SIGTERM));
	S(waitid(P_PID, a, &i, WEXITED));
	show_info(&i, a);
	S(waitid(P_ALL, 0, &i, WEXITED));
	show_info(&i, b);
	S(waitid(P_ALL, 0, &i, WEXITED));
	S(waitid(P_PID, 0, &i, WEXITED));
	S(waitid(99, 0, &i, WEXITED));
	S(waitid(P_ALL, 0, &i, 0));
	S(waitid(P_ALL, 0, &i, WNOHANG));
}

TEST(waitid_nowait) {
	siginfo_t i = {0};
	pid_t a = CHILD(_exit(3));
	for (int k = 0; k < 2; k++) {
		S(waitid(P_PID, a, &i, WEXITED | WNOWAIT));
		show_info(&i, a);
	}
	S(waitid(P_PID, a, &i, WEXITED));
	S(waitid(P_PID, a, &i, WEXITED | WNOWAIT));
}

TEST(waitid_nohang_nothing) {
	int p[2];
	pipe(p);
	siginfo_t i;
	memset(&i, 0x55, sizeof i);
	pid_t a = CHILD(char c; read(p[0], &c, 1));
	S(waitid(P_PID, a, &i, WEXITED | WNOHANG));
	P("%d %d\n", i.si_signo, i.si_pid);
	write(p[1], "x", 1);
	REAP(a);
}

TEST(wait_stopped_and_continued) {
	pid_t pid = CHILD(for (;;) pause());
	setpgid(pid, pid); // so that its group is not orphaned
	int st;
	kill(pid, SIGSTOP);
	S(waitpid(pid, &st, WUNTRACED) == pid);
	show_status(st);
	S(waitpid(pid, &st, WUNTRACED | WNOHANG));
	kill(pid, SIGCONT);
	S(waitpid(pid, &st, WCONTINUED) == pid);
	show_status(st);
	S(waitpid(pid, &st, WCONTINUED | WNOHANG));
	kill(pid, SIGTSTP);
	siginfo_t i;
	S(waitid(P_PID, pid, &i, WSTOPPED));
	show_info(&i, pid);
	kill(pid, SIGCONT);
	S(waitid(P_PID, pid, &i, WCONTINUED));
	show_info(&i, pid);
	kill(pid, SIGKILL);
	REAP(pid);
}

TEST(kill_a_stopped_process) {
	pid_t pid = CHILD(for (;;) pause());
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	kill(pid, SIGTERM);
	S(waitpid(pid, NULL, WNOHANG));
	kill(pid, SIGCONT);
	REAP(pid);
	pid = CHILD(for (;;) pause());
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	kill(pid, SIGKILL);
	REAP(pid);
}

TEST(stop_a_spinning_process) {
	pid_t pid = CHILD(for (volatile long i = 0;; i++) {});
	nap(5);
	kill(pid, SIGSTOP);
	int st;
	waitpid(pid, &st, WUNTRACED);
	show_status(st);
	kill(pid, SIGCONT);
	kill(pid, SIGTERM);
	REAP(pid);
}

static void *spin(void *x) { for (volatile long i = 0;; i++) {} }
TEST(stop_stops_all_threads) {
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t t;
		for (int i = 0; i < 3; i++) pthread_create(&t, NULL, spin, NULL);
		for (;;) pause();
	}
	nap(10);
	kill(pid, SIGSTOP);
	int st;
	waitpid(pid, &st, WUNTRACED);
	show_status(st);
	kill(pid, SIGKILL);
	REAP(pid);
}

TEST(wait_by_group) {
	pid_t a = CHILD(setpgid(0, 0); _exit(1)), b = CHILD(_exit(2));
	setpgid(a, a);
	int st;
	P("%d\n", waitpid(-a, &st, 0) == a);
	show_status(st);
	P("%d\n", waitpid(0, &st, 0) == b);
	show_status(st);
	S(waitpid(-a, &st, 0));
}

TEST(ignoring_sigchld_reaps) {
	signal(SIGCHLD, SIG_IGN);
	CHILD(_exit(1));
	CHILD(nap(5));
	S(wait(NULL));
}

TEST(nocldwait_reaps) {
	struct sigaction a = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	sigaction(SIGCHLD, &a, NULL);
	CHILD(_exit(1));
	S(wait(NULL));
}

static volatile int chld, chld_code, chld_status, chld_pid;
static void on_chld(int s, siginfo_t *i, void *c) { chld++; chld_code = i->si_code; chld_status = i->si_status; chld_pid = i->si_pid; }

TEST(sigchld_siginfo) {
	struct sigaction a = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO};
	sigaction(SIGCHLD, &a, NULL);
	sigset_t m, old;
	sigemptyset(&m);
	sigaddset(&m, SIGCHLD);
	sigprocmask(SIG_BLOCK, &m, &old);
	pid_t pid = CHILD(_exit(5));
	sigsuspend(&old);
	P("%d %s %d %d\n", chld, code_name(chld_code), chld_status, chld_pid == pid);
	REAP(pid);
	pid = CHILD(for (;;) pause());
	kill(pid, SIGSTOP);
	sigsuspend(&old);
	P("%d %s %d %d\n", chld, code_name(chld_code), chld_status, chld_pid == pid);
	kill(pid, SIGCONT);
	sigsuspend(&old);
	P("%d %s %d %d\n", chld, code_name(chld_code), chld_status, chld_pid == pid);
	kill(pid, SIGKILL);
	sigsuspend(&old);
	P("%d %s %d %d\n", chld, code_name(chld_code), chld_status, chld_pid == pid);
	REAP(pid);
}

TEST(nocldstop) {
	struct sigaction a = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP};
	sigaction(SIGCHLD, &a, NULL);
	pid_t pid = CHILD(for (;;) pause());
	kill(pid, SIGSTOP);
	while (waitpid(pid, NULL, WUNTRACED) < 0) {}
	P("%d\n", chld);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0) {}
	P("%d\n", chld);
}

TEST(wait_interrupted) {
	void h(int s) { P("handler\n"); }
	struct sigaction a = {.sa_handler = h};
	sigaction(SIGALRM, &a, NULL);
	pid_t pid = CHILD(for (;;) pause());
	ualarm(10000, 0);
	S(waitpid(pid, NULL, 0));
	a.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &a, NULL);
	sigset_t m;
	sigemptyset(&m);
	pid_t killer = CHILD(nap(60); kill(pid, SIGTERM));
	ualarm(10000, 0);
	REAP(pid);
	REAP(killer);
}

TEST(clone_exit_signal) {
	struct clone_args a = {.exit_signal = SIGUSR1};
	void h(int s) { P("got %d\n", s == SIGUSR1); }
	signal(SIGUSR1, h);
	pid_t pid = syscall(SYS_clone3, &a, sizeof a);
	if (pid == 0) _exit(1);
	await(pid, 'Z');
	int st;
	S(waitpid(pid, &st, 0));
	P("%d\n", waitpid(pid, &st, __WALL) == pid);
	show_status(st);
	pid = syscall(SYS_clone3, &a, sizeof a);
	if (pid == 0) _exit(2);
	int r;
	do r = waitpid(-1, &st, __WCLONE); while (r < 0 && errno == EINTR);
	P("%d\n", r == pid);
	show_status(st);
}

TEST(zombie_in_proc) {
	pid_t pid = CHILD(_exit(1));
	await(pid, 'Z');
	char name[40], b[10];
	snprintf(name, sizeof name, "/proc/%d/cmdline", pid);
	int fd = open(name, O_RDONLY);
	P("%ld\n", (long)read(fd, b, 10));
	S(kill(pid, 0));
	S(kill(pid, SIGKILL));
	REAP(pid);
	S(kill(pid, 0));
	snprintf(name, sizeof name, "/proc/%d", pid);
	S(access(name, F_OK));
}
