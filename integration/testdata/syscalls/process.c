#include "test.h"

TEST(fork_returns_twice) {
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		P("child: %d\n", getppid() == parent && getpid() != parent);
		_exit(7);
	}
	REAP(pid);
}

static int global = 1;
TEST(fork_copies_memory) {
	int local = 1, *heap = malloc(4);
	*heap = 1;
	pid_t pid = CHILD(global = local = *heap = 2; P("child %d %d %d\n", global, local, *heap));
	REAP(pid);
	P("parent %d %d %d\n", global, local, *heap);
}

TEST(fork_in_fork_in_fork) {
	pid_t a = CHILD(pid_t b = CHILD(pid_t c = CHILD(P("c\n"); _exit(3)); REAP(c); P("b\n"); _exit(2)); REAP(b); P("a\n"); _exit(1));
	REAP(a);
}

static int depth(int n) {
	volatile int room[50];
	room[0] = n;
	if (n == 0) {
		pid_t pid = fork();
		if (pid != 0) REAP(pid);
		return pid == 0;
	}
	int r = depth(n - 1);
	return r + (room[0] == n ? 0 : 100);
}
TEST(fork_deep_in_calls) {
	int r = depth(300);
	if (r) { P("child %d\n", r); exit(5); }
	P("parent %d\n", r);
}

TEST(fork_many) {
	pid_t pids[100];
	int sum = 0;
	for (int i = 0; i < 100; i++) pids[i] = CHILD(_exit(i));
	for (int i = 0; i < 100; i++) {
		int st;
		waitpid(pids[i], &st, 0);
		sum += WEXITSTATUS(st) == i;
	}
	P("%d right\n", sum);
}

TEST(fork_shares_offset) {
	char name[] = "/tmp/offsetXXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	write(fd, "abcdef", 6);
	lseek(fd, 0, SEEK_SET);
	REAP(CHILD(char b[3] = ""; read(fd, b, 2); P("child %s\n", b)));
	char b[3] = "";
	read(fd, b, 2);
	P("parent %s\n", b);
}

TEST(fork_stdio_buffer_twice) {
	printf("buffered ");
	pid_t pid = fork();
	if (pid == 0) exit(0);
	waitpid(pid, NULL, 0);
}

static void at_exit(void) { P("atexit runs\n"); }
TEST(atexit_runs_once_each) {
	atexit(at_exit);
	REAP(CHILD(exit(1)));
	REAP(CHILD(_exit(2)));
}

TEST(vfork_shares_memory) {
	volatile int x = 1;
	pid_t pid = vfork();
	if (pid == 0) { x = 2; _exit(4); }
	P("%d\n", x);
	REAP(pid);
}

TEST(vfork_exec) {
	pid_t pid = vfork();
	if (pid == 0) { execl(SELF, "self", "exit", "9", NULL); _exit(1); }
	REAP(pid);
}

TEST(vfork_exec_fails) {
	volatile int e = 0;
	pid_t pid = vfork();
	if (pid == 0) { execl("/nothing/here", "x", NULL); e = errno; _exit(127); }
	P("%s\n", strerrorname_np(e));
	REAP(pid);
}

TEST(exec_arguments) {
	REAP(CHILD(execl(SELF, "zero", "args", "", "two words", "ü", NULL)));
}

TEST(exec_resets_handlers_keeps_mask) {
	void h(int s) {}
	signal(SIGUSR1, h);
	signal(SIGUSR2, SIG_IGN);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGHUP);
	sigprocmask(SIG_BLOCK, &m, NULL);
	pid_t pid = CHILD(raise(SIGHUP); execl(SELF, "self", "signals", NULL));
	REAP(pid);
}

TEST(exec_closes_cloexec) {
	int a = open("/dev/null", O_RDONLY | O_CLOEXEC), b = open("/dev/null", O_RDONLY), c = dup(a);
	P("%d %d %d\n", a, b, c);
	REAP(CHILD(execl(SELF, "self", "fds", NULL)));
}

TEST(exec_errors) {
	char *argv[] = {"x", NULL};
	S(execv("/nothing", argv));
	S(execv("/", argv));
	S(execv("/etc/passwd/x", argv));
	S(execv("", argv));
	S(execve((char *)8, argv, NULL));
	S(execve(SELF, (char **)8, NULL));
}

static void *sleeper(void *x) { for (;;) pause(); }
static void *spinner(void *x) { for (volatile long i = 0;; i++) {} }

TEST(exec_kills_threads) {
	pthread_t t;
	char pid[20];
	snprintf(pid, sizeof pid, "%d", getpid());
	for (int i = 0; i < 3; i++) pthread_create(&t, NULL, sleeper, NULL);
	pthread_create(&t, NULL, spinner, NULL);
	execl(SELF, "self", "ids", pid, NULL);
}

static void *execer(void *pid) {
	execl(SELF, "self", "ids", pid, NULL);
	return NULL;
}
TEST(exec_from_thread_keeps_pid) {
	pthread_t t;
	char pid[20];
	snprintf(pid, sizeof pid, "%d", getpid());
	pthread_create(&t, NULL, execer, pid);
	sleeper(NULL);
}

TEST(spawn) {
	pid_t pid;
	char *argv[] = {"self", "exit", "6", NULL}, *env[] = {NULL};
	P("%d\n", posix_spawn(&pid, SELF, NULL, NULL, argv, env));
	REAP(pid);
	P("%s\n", strerrorname_np(posix_spawn(&pid, "/nothing", NULL, NULL, argv, env)));
}

TEST(spawn_file_actions) {
	int p[2];
	pipe(p);
	posix_spawn_file_actions_t a;
	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_adddup2(&a, p[1], 1);
	posix_spawn_file_actions_addclose(&a, p[0]);
	posix_spawn_file_actions_addclose(&a, p[1]);
	posix_spawn_file_actions_addopen(&a, 7, "/dev/null", O_RDONLY, 0);
	pid_t pid;
	char *argv[] = {"self", "fds", NULL}, *env[] = {NULL};
	posix_spawn(&pid, SELF, &a, NULL, argv, env);
	close(p[1]);
	char buf[200];
	int n = read(p[0], buf, sizeof buf);
	P("%.*s", n, buf);
	REAP(pid);
}

TEST(spawn_attributes) {
	posix_spawnattr_t a;
	posix_spawnattr_init(&a);
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGTERM);
	posix_spawnattr_setsigmask(&a, &s);
	sigemptyset(&s);
	sigaddset(&s, SIGINT);
	posix_spawnattr_setsigdefault(&a, &s);
	posix_spawnattr_setflags(&a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	pid_t pid;
	char *argv[] = {"self", "signals", NULL}, *env[] = {NULL};
	posix_spawn(&pid, SELF, NULL, &a, argv, env);
	REAP(pid);
}

TEST(system_and_popen_without_shell) {
	P("%d\n", system(NULL) != 0 || 1);
}

TEST(orphan_goes_to_subreaper) {
	int p[2];
	pipe(p);
	S(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t me = getpid();
	pid_t pid = CHILD(CHILD(char c; read(p[0], &c, 1); _exit(getppid() == me ? 11 : 12)));
	REAP(pid);
	write(p[1], "x", 1);
	int st;
	P("%d\n", wait(&st) > 0);
	show_status(st);
	int on;
	S(prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0));
	P("%d\n", on);
}

TEST(parent_death_signal) {
	int p[2];
	pipe(p);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid_t pid = CHILD(pid_t c = CHILD(prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0); write(p[1], "x", 1); for (;;) pause()); (void)c; char b; read(p[0], &b, 1));
	REAP(pid);
	int st;
	wait(&st);
	show_status(st);
}

TEST(getpid_of_thread) {
	void *f(void *x) { P("%d %d\n", getpid() == *(pid_t *)x, gettid() != getpid()); return NULL; }
	pid_t pid = getpid();
	pthread_t t;
	pthread_create(&t, NULL, f, &pid);
	pthread_join(t, NULL);
}

TEST(exit_in_thread_ends_process) {
	void *f(void *x) { exit(3); }
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t t;
		pthread_create(&t, NULL, f, NULL);
		for (;;) pause();
	}
	REAP(pid);
}

TEST(main_thread_ends_first) {
	void *f(void *x) { nap(20); P("thread\n"); _exit(8); }
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t t;
		pthread_create(&t, NULL, f, NULL);
		pthread_exit(NULL);
	}
	REAP(pid);
}

TEST(nproc_limit) {
	struct rlimit l = {0, 0};
	if (setuid(65534) < 0) return;
	setrlimit(RLIMIT_NPROC, &l);
	S(fork());
}

TEST(prlimit_of_child) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(char c; read(p[0], &c, 1); struct rlimit l; getrlimit(RLIMIT_NOFILE, &l); P("child %ld\n", (long)l.rlim_cur));
	struct rlimit l = {77, 100};
	S(prlimit(pid, RLIMIT_NOFILE, &l, NULL));
	write(p[1], "x", 1);
	REAP(pid);
	S(prlimit(0x3ffffff, RLIMIT_NOFILE, NULL, &l));
}

TEST(rusage_of_children) {
	struct rusage before, after;
	getrusage(RUSAGE_CHILDREN, &before);
	REAP(CHILD(clock_t t = clock(); while (clock() - t < 30000) {}));
	getrusage(RUSAGE_CHILDREN, &after);
	long us = after.ru_utime.tv_sec * 1000000 + after.ru_utime.tv_usec + after.ru_stime.tv_sec * 1000000 + after.ru_stime.tv_usec;
	P("%d %d\n", before.ru_utime.tv_sec == 0, us >= 20000);
}

TEST(nice_values) {
	setpriority(PRIO_PROCESS, 0, 0); // the tests themselves may be run by nice
	S(getpriority(PRIO_PROCESS, 0));
	S(nice(5));
	REAP(CHILD(S(getpriority(PRIO_PROCESS, 0)); S(setpriority(PRIO_PROCESS, 0, 100)); S(getpriority(PRIO_PROCESS, 0))));
	S(getpriority(PRIO_PROCESS, 0x3ffffff));
	S(getpriority(9, 0));
	S(getpriority(PRIO_PGRP, 0) <= 5);
	REAP(CHILD(setuid(65534); S(setpriority(PRIO_PROCESS, 0, 6)); S(setpriority(PRIO_PROCESS, 0, 5)); S(setpriority(PRIO_PROCESS, getppid(), 7))));
}

/* Each child has the memory as it was, though the parent writes here and there in between. */
TEST(fork_often_with_scattered_writes) {
	enum { PAGES = 8192, CHILDREN = 60, WORDS = 4096 / sizeof(unsigned) };
	unsigned *m = mmap(NULL, PAGES * 4096UL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static unsigned expected[PAGES];
	for (int i = 0; i < PAGES; i++) expected[i] = m[i * WORDS] = i;
	int go[2], ok = 0;
	pipe(go);
	for (unsigned c = 0; c < CHILDREN; c++) {
		for (int i = c % 5; i < PAGES; i += 5 + c % 3) expected[i] = 1000 * c + i;
		for (int i = c % 5; i < PAGES; i += 5 + c % 3) m[i * WORDS] = expected[i];
		pid_t pid = fork();
		if (pid < 0) P("fork %u: %s\n", c, strerrorname_np(errno));
		if (pid) continue;
		char b;
		close(go[1]);
		read(go[0], &b, 1);
		for (int i = 0; i < PAGES; i++) if (m[i * WORDS] != expected[i]) _exit(1);
		_exit(0);
	}
	close(go[1]);
	for (int st; wait(&st) > 0;) ok += st == 0;
	P("%d\n", ok);
}
