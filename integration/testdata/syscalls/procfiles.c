// That files of proc which programs read are there, and have the form of Linux's.
#include "test.h"
#include <sys/fsuid.h>
#include <ctype.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

static char text[1 << 20];

static int slurp(const char *name) {
	int fd = open(name, O_RDONLY), n, all = 0;
	if (fd < 0) {
		P("%s: %s\n", name, strerrorname_np(errno));
		return -1;
	}
	while ((n = read(fd, text + all, sizeof text - 1 - all)) > 0)
		all += n;
	close(fd);
	text[all] = 0;
	return all;
}

// form prints a file with each number as N, and blanks as one.
static void form(const char *name) {
	if (slurp(name) < 0)
		return;
	P("%s:", name);
	for (char *p = text; *p;) {
		if (isdigit(*p)) {
			while (isdigit(*p)) p++;
			P("N");
		} else if (isblank(*p)) {
			while (isblank(*p)) p++;
			P(" ");
		} else
			P("%c", *p++);
	}
}

// keys prints what stands before the first colon of each line, up to a second
// line with the last one given.
static void keys(const char *name, const char *last) {
	if (slurp(name) < 0)
		return;
	P("%s:\n", name);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *colon = strchr(line, ':');
		if (!isupper(line[0]) || !colon)
			continue;
		P(" %.*s\n", (int)(colon - line), line);
		if (!strncmp(line, last, strlen(last)))
			break;
	}
}

TEST(proc_forms_of_self) {
	static const char *names[] = {
		"io", "oom_adj", "oom_score_adj", "personality", "schedstat", "sessionid", "loginuid", "timerslack_ns", "wchan", "coredump_filter", "statm",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char name[64];
		snprintf(name, sizeof name, "/proc/self/%s", names[i]);
		form(name);
		P("\n");
	}
	keys("/proc/self/smaps", "VmFlags");
	keys("/proc/self/smaps_rollup", "Locked");
	char c;
	int fd = open("/proc/self/attr/current", O_RDWR);
	S(read(fd, &c, 1));
	S(write(fd, "x", 1));
	S(open("/proc/self/attr/prev", O_RDONLY) >= 0);
	slurp("/proc/self/smaps_rollup");
	P("%.8s\n", strstr(text, "[rollup]"));
}

// Sizes of smaps are those of maps.
TEST(proc_smaps_sizes) {
	char *m = mmap(NULL, 40960, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(m, 1, 40960);
	mmap(m + 40960, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	slurp("/proc/self/smaps");
	char end[32], *line = text;
	snprintf(end, sizeof end, "-%lx ", (long)m + 40960);
	if (!(line = strstr(text, end)))
		snprintf(end, sizeof end, "-%08lx ", (long)m + 40960), line = strstr(text, end);
	long size = -1, rss = -1, dirty = -1;
	sscanf(strstr(line, "\nSize:"), "\nSize: %ld", &size);
	sscanf(strstr(line, "\nRss:"), "\nRss: %ld", &rss);
	sscanf(strstr(line, "\nPrivate_Dirty:"), "\nPrivate_Dirty: %ld", &dirty);
	P("%d %d %d\n", size >= 40, rss >= 40, dirty >= 40);
}

TEST(proc_namespaces) {
	static const char *names[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char name[64], to[64] = "", want[64];
		struct stat st, mine;
		snprintf(name, sizeof name, "/proc/self/ns/%s", names[i]);
		int n = readlink(name, to, 63);
		S(stat(name, &st));
		snprintf(want, sizeof want, "%.*s:[%lu]", (int)strcspn(names[i], "_"), names[i], st.st_ino);
		P("%s: %d %d\n", names[i], n > 0, !strcmp(to, want));
		int fd = open(name, O_RDONLY);
		S(fstat(fd, &mine));
		P("%d\n", mine.st_ino == st.st_ino);
		char self[64];
		snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
		n = readlink(self, to, 63);
		to[n < 0 ? 0 : n] = 0;
		P("%d\n", !strcmp(to, want));
		close(fd);
	}
	pid_t pid = CHILD(pause());
	char a[64] = "", b[64] = "", name[64];
	snprintf(name, sizeof name, "/proc/%d/ns/pid", pid);
	readlink(name, a, 63), readlink("/proc/self/ns/pid", b, 63);
	P("same: %d\n", !strcmp(a, b));
	kill(pid, SIGKILL);
	REAP(pid);
}

TEST(proc_forms_of_system) {
	static const char *names[] = {
		"fs/aio-max-nr", "fs/aio-nr", "fs/file-max", "fs/file-nr", "fs/inode-nr", "fs/epoll/max_user_watches", "fs/inotify/max_queued_events",
		"fs/inotify/max_user_instances", "fs/inotify/max_user_watches", "fs/mqueue/msg_max", "fs/nr_open", "fs/pipe-max-size", "fs/suid_dumpable",
		"kernel/cap_last_cap", "kernel/core_uses_pid", "kernel/dmesg_restrict", "kernel/ngroups_max", "kernel/panic", "kernel/pid_max",
		"kernel/printk", "kernel/pty/max", "kernel/randomize_va_space", "kernel/random/entropy_avail", "kernel/sched_rt_runtime_us", "kernel/sem", "kernel/tainted",
		"kernel/threads-max", "kernel/io_uring_disabled", "vm/max_map_count", "vm/nr_hugepages", "vm/overcommit_memory", "vm/swappiness", "vm/dirty_ratio",
		"net/core/somaxconn", "net/core/rmem_max", "net/ipv4/ip_local_port_range", "net/ipv4/tcp_rmem", "net/ipv4/tcp_wmem", "net/ipv4/tcp_keepalive_time",
		"net/ipv4/tcp_fin_timeout", "net/ipv4/ping_group_range", "net/ipv6/bindv6only", "net/ipv6/conf/all/disable_ipv6", "net/unix/max_dgram_qlen",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char name[64];
		snprintf(name, sizeof name, "/proc/sys/%s", names[i]);
		form(name);
	}
	form("/proc/sys/kernel/seccomp/actions_avail");
}

// info prints the lines of fdinfo that only files of a kind have.
static void info(const char *what, int fd, int pid) {
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
	slurp(name);
	P("%s:\n", what);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		static const char *common[] = {"pos:", "flags:", "mnt_id:", "ino:", "eventfd-id:"};
		int skip = 0;
		for (size_t i = 0; i < sizeof common / sizeof *common; i++)
			skip |= !strncmp(line, common[i], strlen(common[i]));
		char *tab = strchr(line, '\t');
		if (skip)
			continue;
		if (pid && tab && atoi(tab + 1) == pid)
			P(" %.*s it\n", (int)(tab - line), line);
		else
			P(" %s\n", line);
	}
}

TEST(proc_fdinfo) {
	int e = eventfd(5, 0), s = eventfd(3, EFD_SEMAPHORE);
	info("eventfd", e, 0);
	info("semaphore", s, 0);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1), sigaddset(&set, SIGRTMIN + 3), sigaddset(&set, SIGKILL);
	info("signalfd", signalfd(-1, &set, 0), 0);
	pid_t pid = CHILD(pause());
	int p = syscall(SYS_pidfd_open, pid, 0);
	info("pidfd", p, pid);
	kill(pid, SIGKILL);
	waitid(P_PID, pid, &(siginfo_t){0}, WEXITED | WNOWAIT);
	info("zombie", p, pid);
	REAP(pid);
	info("gone", p, pid);
	int q[2];
	pipe(q);
	info("pipe", q[0], 0);
}

static void one_line(const char *name) {
	char b[64];
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, b, sizeof b - 1);
	b[n < 0 ? 0 : n] = 0;
	P("%s: %s\n", name, b);
	close(fd);
}

// What pam_loginuid does. The number of a session is the machine's.
TEST(proc_loginuid) {
	int fd = open("/proc/self/loginuid", O_RDWR | O_NOFOLLOW);
	S(ftruncate(fd, 0));
	S(write(fd, "-1", 2));
	S(write(fd, "x", 1));
	S(pwrite(fd, "1000", 4, 0));
	one_line("/proc/self/loginuid");
	pid_t pid = CHILD(one_line("/proc/self/loginuid"));
	REAP(pid);
	S(truncate("/proc/self/loginuid", 5));
	S(truncate("/proc/self/comm", 0));
	S(truncate("/proc/self/stat", 0));
	close(fd);
}

static void put(const char *name, const char *text) {
	int fd = open(name, O_WRONLY);
	S(write(fd, text, strlen(text)));
	close(fd);
	one_line(name);
}

TEST(proc_oom_score_adj) {
	put("/proc/self/oom_score_adj", "0");
	setresuid(1000, 1000, 1000); // without CAP_SYS_RESOURCE
	prctl(PR_SET_DUMPABLE, 1);   // as the file is root's otherwise
	put("/proc/self/oom_score_adj", "500\n");
	pid_t pid = CHILD(one_line("/proc/self/oom_score_adj"));
	REAP(pid);
	one_line("/proc/self/oom_adj");
	put("/proc/self/oom_score_adj", "-1");
	put("/proc/self/oom_score_adj", "1001");
	put("/proc/self/oom_score_adj", "x");
	put("/proc/self/oom_score_adj", " 0x10 ");
	put("/proc/self/oom_adj", "15");
	one_line("/proc/self/oom_score_adj");
	put("/proc/self/oom_adj", "3");
	one_line("/proc/self/oom_score_adj");
	put("/proc/self/oom_adj", "-17");
	put("/proc/self/oom_adj", "16");
}

// Whose files of /proc/self are, and whether the process may open them.
void show_owner(void) {
	const char *names[] = {"/proc/self", "/proc/self/environ", "/proc/self/status", "/proc/self/fd", "/proc/self/fd/9", "/proc/self/fdinfo", "/proc/self/fdinfo/9", "/proc/self/task", "/proc/self/attr", "/proc/thread-self/maps"};
	struct stat st;
	dup2(open("/dev/null", O_RDONLY), 9);
	P("dumpable %d\n", prctl(PR_GET_DUMPABLE));
	for (int i = 0; i < sizeof names / sizeof *names; i++) {
		int r = lstat(names[i], &st), fd = open(names[i], O_RDONLY);
		P("%s: %d, of %d %d, mode %o, open %s\n", names[i], r, st.st_uid, st.st_gid, st.st_mode & 07777, fd >= 0 ? "" : strerror(errno));
		close(fd);
	}
}

// They are of whom the process is, not of whom it was when they were first looked at; or
// of root, once it has changed its ids.
TEST(proc_owner) {
	setgroups(0, NULL);
	show_owner();
	setresgid(1001, 1001, 1001);
	setresuid(1000, 1000, 1000);
	show_owner();
	prctl(PR_SET_DUMPABLE, 1);
	show_owner();
	fflush(stdout);
	execl(SELF, "syscalls", "owner", NULL);
}

TEST(proc_owner_after_exec) {
	show_owner();
	setresgid(1001, 1001, 1001);
	setresuid(1000, 1000, 1000);
	fflush(stdout);
	execl(SELF, "syscalls", "owner", NULL);
}

TEST(proc_owner_seen_by_others) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(setresuid(1000, 1000, 1000); write(p[1], "", 1); pause());
	char c, name[64];
	struct stat st;
	read(p[0], &c, 1);
	snprintf(name, sizeof name, "/proc/%d", pid);
	stat(name, &st);
	P("%d\n", st.st_uid);
	snprintf(name, sizeof name, "/proc/%d/stat", pid);
	stat(name, &st);
	P("%d\n", st.st_uid);
	kill(pid, SIGKILL);
	await(pid, 'Z');
	stat(name, &st);
	P("%d\n", st.st_uid);
	snprintf(name, sizeof name, "/proc/%d", pid);
	stat(name, &st);
	P("%d\n", st.st_uid);
	REAP(pid);
}

// What changes credentials clears: the dumpable flag and the parent death signal.
TEST(dumpable_after_changes) {
#define AFTER(...) do { pid_t after_ = CHILD(int s; prctl(PR_SET_PDEATHSIG, SIGUSR1); __VA_ARGS__; prctl(PR_GET_PDEATHSIG, &s); P("%s: %d, %d\n", #__VA_ARGS__, prctl(PR_GET_DUMPABLE), s)); REAP(after_); } while (0)
	AFTER();
	AFTER(setresuid(-1, 1000, -1));
	AFTER(setresuid(-1, 1000, -1); setresuid(-1, 0, -1); prctl(PR_SET_DUMPABLE, 1); setresuid(0, 0, 0));
	AFTER(setresuid(1000, -1, -1));
	AFTER(setfsuid(1000));
	AFTER(setresgid(-1, 5, -1));
	AFTER(setfsgid(5));
	AFTER(setgroups(1, (gid_t[]){5}));
	AFTER(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}
