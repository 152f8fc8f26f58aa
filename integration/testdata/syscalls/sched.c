// Scheduling policies and affinity, as an unprivileged user has them.
#include "test.h"

static void unprivileged(void) {
	S(setresgid(65534, 65534, 65534));
	S(setresuid(65534, 65534, 65534));
}

static void policy(int p, int priority) {
	struct sched_param sp = {priority};
	P("policy %d, priority %d: ", p, priority);
	S(sched_setscheduler(0, p, &sp));
	S(sched_getscheduler(0));
	S(sched_getparam(0, &sp));
	P("%d\n", sp.sched_priority);
}

TEST(sched_policy) {
	unprivileged();
	static const int list[][2] = {{0, 0}, {3, 0}, {0, 0}, {3, 1}, {1, 1}, {2, 0}, {2, 100}, {1, -1}, {4, 0}, {77, 0}, {-1, 0},
		{0x40000003, 0}, {0, 0}, {5, 0}};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++) policy(list[i][0], list[i][1]);
}

TEST(sched_idle_stays) {
	unprivileged();
	policy(SCHED_IDLE, 0);
	policy(SCHED_OTHER, 0);
	policy(SCHED_BATCH, 0);
}

TEST(sched_policy_inherited) {
	unprivileged();
	policy(SCHED_BATCH, 0);
	REAP(CHILD(S(sched_getscheduler(0))));
	policy(SCHED_BATCH | SCHED_RESET_ON_FORK, 0);
	REAP(CHILD(S(sched_getscheduler(0))));
}

TEST(sched_errors) {
	struct sched_param sp = {0};
	struct timespec ts;
	unprivileged();
	S(sched_setscheduler(-1, 0, &sp));
	S(sched_setscheduler(0, 0, NULL));
	S(sched_setscheduler(0, 0, (void *)8));
	S(sched_setscheduler(4000000, 0, &sp));
	S(sched_setscheduler(1, 0, &sp));
	S(sched_setparam(0, &sp));
	sp.sched_priority = 1;
	S(sched_setparam(0, &sp));
	S(sched_setparam(0, NULL));
	S(sched_getparam(0, NULL));
	S(sched_getparam(-1, &sp));
	S(sched_getparam(4000000, &sp));
	S(sched_getscheduler(-1));
	S(sched_getscheduler(4000000));
	S(sched_rr_get_interval(-1, &ts));
	S(sched_rr_get_interval(4000000, &ts));
	S(sched_rr_get_interval(0, (void *)8));
	S(sched_rr_get_interval(0, &ts));
	P("%ld\n", (long)ts.tv_sec);
}

static int processors(pid_t pid) {
	cpu_set_t set;
	return sched_getaffinity(pid, sizeof set, &set) < 0 ? -1 : CPU_COUNT(&set);
}

TEST(sched_affinity) {
	cpu_set_t all, one, none;
	unprivileged();
	P("%d\n", processors(0) == sysconf(_SC_NPROCESSORS_ONLN));
	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&none);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
	S(sched_setaffinity(0, sizeof none, &none));
	S(sched_setaffinity(0, sizeof one, &one));
	S(processors(0));
	REAP(CHILD(S(processors(0))));
	S(sched_setaffinity(0, sizeof all, &all));
	S(processors(0) == CPU_COUNT(&all));
	CPU_ZERO(&one);
	CPU_SET(1000, &one);
	S(sched_setaffinity(0, sizeof one, &one));
	S(sched_setaffinity(1, sizeof all, &all));
	S(sched_setaffinity(-1, sizeof all, &all));
	S(sched_setaffinity(4000000, sizeof all, &all));
	S(sched_setaffinity(0, sizeof all, (void *)8));
	S(processors(4000000));
	S(processors(-1));
}

TEST(sched_attr_unprivileged) {
	struct { unsigned size, policy; unsigned long flags; int nice; unsigned priority; unsigned long dl[3]; } at = {48, SCHED_BATCH, 1, 3};
	unprivileged();
	S(syscall(SYS_sched_setattr, 0, &at, 0));
	S(sched_getscheduler(0));
	S(getpriority(PRIO_PROCESS, 0));
	S(syscall(SYS_sched_getattr, 0, &at, 48, 0));
	P("%u %u %lu %d %u\n", at.size, at.policy, at.flags, at.nice, at.priority);
	at.flags = 0;
	S(syscall(SYS_sched_setattr, 0, &at, 0)); // the flag stays
	at.flags = 1, at.nice = 0;
	S(syscall(SYS_sched_setattr, 0, &at, 0));
	at.policy = SCHED_FIFO;
	S(syscall(SYS_sched_setattr, 0, &at, 0));
	at.priority = 1;
	S(syscall(SYS_sched_setattr, 0, &at, 0));
	at.policy = 77;
	S(syscall(SYS_sched_setattr, 0, &at, 0));
	S(syscall(SYS_sched_setattr, 4000000, &at, 0));
	S(syscall(SYS_sched_setattr, -1, &at, 0));
}

TEST(copy_file_range_overlap) {
	char name[] = "/tmp/overlapXXXXXX";
	int fd = mkstemp(name);
	loff_t in = 0, out = 5;
	S(write(fd, "0123456789abcdef", 16));
	S(copy_file_range(fd, &in, fd, &out, 10, 0));
	S(copy_file_range(fd, &in, fd, &out, 5, 0));
	P("%ld %ld\n", (long)in, (long)out);
	out = 16;
	S(copy_file_range(fd, &in, fd, &out, 100, 0));
	P("%ld %ld\n", (long)in, (long)out);
	unlink(name);
}

static void io_priority(int which, int who, int class, int level) {
	P("%d %d: ", class, level);
	S(syscall(SYS_ioprio_set, which, who, class << 13 | level));
	S(syscall(SYS_ioprio_get, which, who));
}

TEST(io_priority) {
	S(syscall(SYS_ioprio_get, 1, 0));
	S(syscall(SYS_ioprio_get, 2, 0));
	unprivileged();
	static const int list[][2] = {{2, 0}, {2, 7}, {3, 0}, {3, 5}, {0, 0}, {0, 1}, {1, 4}, {4, 0}, {2, 4}};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++) io_priority(1, 0, list[i][0], list[i][1]);
	REAP(CHILD(S(syscall(SYS_ioprio_get, 1, 0))));
	io_priority(1, 999999, 2, 3);
	io_priority(0, 0, 2, 3);
	io_priority(4, 0, 2, 3);
	setpgid(0, 0);
	io_priority(2, 0, 2, 6);
	io_priority(2, 0, 0, 0);
	setpriority(PRIO_PROCESS, 0, 19);
	S(syscall(SYS_ioprio_get, 2, 0));
}
