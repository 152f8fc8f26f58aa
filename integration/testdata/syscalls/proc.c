#include "test.h"

static char *slurp(pid_t pid, const char *file) {
	static char b[8192];
	char name[100];
	snprintf(name, sizeof name, "/proc/%d/%s", pid, file);
	int fd = open(name, O_RDONLY), n = fd < 0 ? -1 : read(fd, b, sizeof b - 1);
	close(fd);
	b[n > 0 ? n : 0] = 0;
	for (int i = 0; i < n; i++) if (!b[i]) b[i] = ' ';
	return b;
}

static void line(pid_t pid, const char *key) {
	char *s = strstr(slurp(pid, "status"), key);
	if (s) P("%.*s\n", (int)strcspn(s, "\n"), s);
}

TEST(proc_of_other_process) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(prctl(PR_SET_NAME, "a child"); signal(SIGUSR1, SIG_IGN); write(p[1], "x", 1); for (;;) pause());
	char c;
	read(p[0], &c, 1);
	P("%s", slurp(pid, "comm"));
	P("%d\n", strstr(slurp(pid, "cmdline"), "proc_of_other_process") != NULL);
	await(pid, 'S');
	line(pid, "Name:");
	line(pid, "State:");
	line(pid, "Threads:");
	line(pid, "SigIgn:");
	line(pid, "SigBlk:");
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	line(pid, "State:");
	kill(pid, SIGKILL);
	await(pid, 'Z');
	line(pid, "State:");
	P("[%s]\n", slurp(pid, "cmdline"));
	REAP(pid);
}

TEST(proc_self_and_thread_self) {
	char b[100];
	int n = readlink("/proc/self", b, 99);
	b[n] = 0;
	P("%d\n", atoi(b) == getpid());
	void *f(void *x) {
		char b[100], want[100];
		int n = readlink("/proc/thread-self", b, 99);
		b[n] = 0;
		snprintf(want, 100, "%d/task/%d", getpid(), gettid());
		P("%d\n", !strcmp(b, want));
		return NULL;
	}
	pthread_t t;
	pthread_create(&t, NULL, f, NULL);
	pthread_join(t, NULL);
	REAP(CHILD(n = readlink("/proc/self", b, 99); b[n] = 0; P("%d\n", atoi(b) == getpid())));
}

TEST(proc_task_lists_threads) {
	static atomic_int stop;
	void *f(void *x) { while (!stop) nap(1); return NULL; }
	pthread_t t[3];
	for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, f, NULL);
	int n = 0;
	DIR *d = opendir("/proc/self/task");
	while (readdir(d)) n++;
	P("%d\n", n - 2);
	stop = 1;
	for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
}

TEST(proc_fd_of_child) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(dup2(p[0], 50); char c; read(p[0], &c, 1));
	await(pid, 'S');
	char name[50], b[100];
	snprintf(name, sizeof name, "/proc/%d/fd/50", pid);
	P("%d\n", readlink(name, b, 100) > 0 && !strncmp(b, "pipe:", 5));
	snprintf(name, sizeof name, "/proc/%d/fd/%d", pid, p[1]);
	int w = open(name, O_WRONLY);
	P("%d\n", w >= 0);
	write(w, "x", 1);
	REAP(pid);
}

TEST(proc_stat_fields) {
	pid_t pid = CHILD(setsid(); for (;;) pause());
	await(pid, 'S');
	char comm[50], state;
	int p, pp, pg, s;
	char *b = slurp(pid, "stat");
	sscanf(b, "%d (%49[^)]) %c %d %d %d", &p, comm, &state, &pp, &pg, &s);
	P("%d %d %c %d %d\n", p == pid, pp == getpid(), state, pg == pid, s == pid);
	kill(pid, SIGKILL);
	REAP(pid);
}

TEST(proc_ids_gone) {
	char name[50];
	pid_t pid = CHILD(_exit(0));
	REAP(pid);
	snprintf(name, sizeof name, "/proc/%d/stat", pid);
	S(open(name, O_RDONLY));
	S(open("/proc/999999999/stat", O_RDONLY));
}

TEST(proc_cmdline_overwritten) {
	extern char **environ;
	char b[8192];
	int fd = open("/proc/self/stat", O_RDONLY);
	b[read(fd, b, sizeof b - 1)] = 0;
	char *s = strrchr(b, ')');
	unsigned long start, end; // fields 48 and 49, arg_start and arg_end
	for (int i = 2; i < 48; i++) s = strchr(s + 1, ' ');
	sscanf(s, "%lu %lu", &start, &end);
	memset((char *)start, 'x', end - start);
	strcpy((char *)start, "short");
	fd = open("/proc/self/cmdline", O_RDONLY);
	int n = read(fd, b, sizeof b);
	P("%d %.*s\n", n, n, b);
	memset((char *)start, 'y', end - start);
	n = pread(fd, b, sizeof b, 0);
	P("%d %d\n", n > end - start, b[0] == 'y');
}
