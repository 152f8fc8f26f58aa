// Small programs in one executable, each of which shows one behaviour of the
// kernel: "syscalls NAME" runs one, "syscalls" lists their names. What they
// print must not depend on process ids, addresses, times or scheduling.
#include "test.h"

struct test *tests;

static int by_name(const void *a, const void *b) {
	return strcmp((*(struct test **)a)->name, (*(struct test **)b)->name);
}

static int list(void) {
	struct test *all[2000];
	int n = 0;
	for (struct test *t = tests; t; t = t->next) all[n++] = t;
	qsort(all, n, sizeof *all, by_name);
	for (int i = 0; i < n; i++) puts(all[i]->name);
	return 0;
}

// The test runs in a child, which is never the first process of a container.
static int run(struct test *t) {
	setpriority(PRIO_PROCESS, 0, 0); // though the tests were started with nice
	pid_t pid = fork();
	if (pid == 0) {
		alarm(30);
		t->run();
		exit(0);
	}
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("test");
		return 99;
	}
	printf("test: ");
	show_status(status);
	return 0;
}

static int go[2], ready[2];

// waits tells what it is, and waits until all are told to go.
static void *waits(void *what) {
	char c;
	write(ready[1], what, 1);
	read(go[0], &c, 1);
	return NULL;
}

int main(int argc, char **argv) {
	if (argc < 2) return list();
	if (atoi(argv[1]) == 0 && strcmp(argv[1], "fds")) close_range(3, ~0, 0);
	for (struct test *t = tests; t; t = t->next)
		if (!strcmp(t->name, argv[1])) return run(t);
	return program(argc, argv);
}

// What tests execve this program for.
void show_caps(void);
void show_keyrings(void);
void show_privileges(void);
void show_owner(void);

int program(int argc, char **argv) {
	if (!strcmp(argv[1], "exit")) return atoi(argv[2]);
	if (!strcmp(argv[1], "map")) {
		void *p = mmap(NULL, atol(argv[2]), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		P("%s bytes: %s\n", argv[2], p == MAP_FAILED ? strerror(errno) : "mapped");
		return 0;
	}
	if (!strcmp(argv[1], "caps")) {
		show_caps();
		return 0;
	}
	if (!strcmp(argv[1], "privileges")) {
		show_privileges();
		return 0;
	}
	if (!strcmp(argv[1], "owner")) {
		show_owner();
		return 0;
	}
	if (!strcmp(argv[1], "keyrings")) {
		show_keyrings();
		return 0;
	}
	if (!strcmp(argv[1], "args")) {
		for (int i = 0; i < argc; i++) P("%s\n", argv[i]);
		return 0;
	}
	if (!strcmp(argv[1], "signals")) {
		sigset_t mask, pending;
		sigprocmask(SIG_BLOCK, NULL, &mask);
		sigpending(&pending);
		for (int s = 1; s < 32; s++) {
			struct sigaction a;
			if (s == SIGKILL || s == SIGSTOP) continue;
			sigaction(s, NULL, &a);
			if (a.sa_handler != SIG_DFL || sigismember(&mask, s) || sigismember(&pending, s))
				P("%d:%s%s%s\n", s, a.sa_handler == SIG_IGN ? " ignored" : a.sa_handler ? " handled" : "",
				  sigismember(&mask, s) ? " blocked" : "", sigismember(&pending, s) ? " pending" : "");
		}
		return 0;
	}
	if (!strcmp(argv[1], "fds")) {
		for (int fd = 3; fd < 20; fd++) if (fcntl(fd, F_GETFD) >= 0) P("fd %d open\n", fd);
		return 0;
	}
	if (!strcmp(argv[1], "ids")) {
		P("%s %s\n", getpid() == atoi(argv[2]) ? "same pid" : "other pid", gettid() == getpid() ? "leader" : "thread");
		return 0;
	}
	if (!strcmp(argv[1], "sleep")) for (;;) pause();
	if (!strcmp(argv[1], "fills")) { // how much fits into a file at a path, or into memfd
		static char piece[1 << 16];
		int fd = argc > 2 ? open(argv[2], O_CREAT | O_RDWR, 0600) : memfd_create("fills", 0);
		long total = 0, n;
		while ((n = write(fd, piece, sizeof piece)) > 0) total += n;
		P("%ld of 64K: %s\n", total / sizeof piece, strerror(errno));
		return 0;
	}
	if (!strcmp(argv[1], "hog")) {
		for (;;) memset(malloc(1 << 20), 1, 1 << 20);
	}
	if (!strcmp(argv[1], "child-hogs")) {
		int st;
		pid_t pid = CHILD(for (;;) memset(malloc(1 << 20), 1, 1 << 20));
		waitpid(pid, &st, 0);
		show_status(st);
		return 0;
	}
	if (!strcmp(argv[1], "crowd")) { // so many processes and threads, all alive at once
		int processes = 500, threads = 2000, seen[2] = {0, 0};
		pipe(go);
		pipe(ready);
		for (int i = 0; i < processes; i++) CHILD(close(go[1]); waits("p"));
		pthread_attr_t a;
		pthread_attr_init(&a);
		pthread_attr_setstacksize(&a, 64 << 10);
		pthread_t t[threads];
		for (int i = 0; i < threads; i++)
			if (pthread_create(&t[i], &a, waits, "t")) return 1;
		for (int i = 0; i < processes + threads; i++) {
			char who;
			read(ready[0], &who, 1);
			seen[who == 't']++;
		}
		close(go[1]);
		for (int i = 0; i < threads; i++) pthread_join(t[i], NULL);
		while (wait(NULL) > 0) processes--;
		P("%d processes, %d threads, %d not waited for\n", seen[0], seen[1], processes);
		return 0;
	}
	if (!strcmp(argv[1], "children-keep")) { // memory that the parent unmaps, and nobody touches
		int st;
		for (size_t size = 40 << 20;; size = 12 << 20) {
			char *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			memset(p, 1, size);
			CHILD(for (;;) pause());
			munmap(p, size);
			if (waitpid(-1, &st, WNOHANG) > 0) break;
		}
		show_status(st);
		return 0;
	}
	if (!strcmp(argv[1], "bomb")) {
		int n = 0;
		while (fork() > 0) n++;
		if (getpid() != atoi(argv[2])) for (;;) pause();
		P("%d children, %s\n", n, strerrorname_np(errno));
		return 0;
	}
	fprintf(stderr, "no test %s\n", argv[1]);
	return 98;
}

void show_status(int s) {
	if (WIFEXITED(s)) P("exited %d\n", WEXITSTATUS(s));
	else if (WIFSIGNALED(s)) P("killed %d\n", WTERMSIG(s));
	else if (WIFSTOPPED(s)) P("stopped %d\n", WSTOPSIG(s));
	else if (WIFCONTINUED(s)) P("continued\n");
	else P("status %#x\n", s);
}

void show(const char *what, long ret) {
	int e = errno;
	if (ret == -1) P("%s: %s\n", what, strerrorname_np(e));
	else P("%s: %ld\n", what, ret);
}

static char code_text[32];
const char *code_name(int c) {
	switch (c) {
	case CLD_EXITED: return "CLD_EXITED";
	case CLD_KILLED: return "CLD_KILLED";
	case CLD_DUMPED: return "CLD_DUMPED";
	case CLD_STOPPED: return "CLD_STOPPED";
	case CLD_CONTINUED: return "CLD_CONTINUED";
	case SI_USER: return "SI_USER";
	case SI_TKILL: return "SI_TKILL";
	case SI_QUEUE: return "SI_QUEUE";
	case SI_TIMER: return "SI_TIMER";
	}
	snprintf(code_text, sizeof code_text, "code %d", c);
	return code_text;
}

void nap(int ms) {
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};
	while (nanosleep(&ts, &ts) < 0) {}
}

static char state_of(pid_t pid) {
	char name[64], buf[512];
	snprintf(name, sizeof name, "/proc/%d/stat", pid);
	int fd = open(name, O_RDONLY);
	if (fd < 0) return '-';
	int n = read(fd, buf, sizeof buf - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	char *p = strrchr(buf, ')');
	return p ? p[2] : '?';
}

void await(pid_t pid, char state) {
	while (state_of(pid) != state) nap(1);
}
