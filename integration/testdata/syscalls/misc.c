#include "test.h"
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <linux/capability.h>

// Limits, attributes of processes, clocks and the system.

TEST(rlimit_values) {
	for (int i = 0; i < 16; i++) {
		struct rlimit r, s;
		if (getrlimit(i, &r)) { show("getrlimit", -1); continue; }
		s = r;
		P("%d %d\n", i, r.rlim_cur <= r.rlim_max);
		s.rlim_cur = r.rlim_max > 100 ? 100 : r.rlim_max;
		S(setrlimit(i, &s));
		getrlimit(i, &r);
		P("%lu\n", (long)r.rlim_cur > 100 ? 100 : (long)r.rlim_cur);
	}
}

TEST(rlimit_errors) {
	struct rlimit r = {2, 1};
	S(setrlimit(RLIMIT_CORE, &r));
	S(setrlimit(16, &r));
	S(setrlimit(-1, &r));
	S(getrlimit(16, &r));
	S(syscall(SYS_getrlimit, RLIMIT_CORE, 8));
	S(prlimit(0x3ffffff0, RLIMIT_CORE, NULL, &r));
	S(prlimit(0, 16, NULL, &r));
	r = (struct rlimit){1, 2};
	struct rlimit old;
	S(prlimit(0, RLIMIT_CORE, &r, &old));
	S(prlimit(getpid(), RLIMIT_CORE, NULL, &old));
	P("%lu %lu\n", old.rlim_cur, old.rlim_max);
	REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); r.rlim_max = 3; S(setrlimit(RLIMIT_CORE, &r)); r.rlim_max = 1; S(setrlimit(RLIMIT_CORE, &r)); S(prlimit(getppid(), RLIMIT_CORE, NULL, &old))));
}

TEST(rlimit_inherited) {
	struct rlimit r = {7, 9};
	setrlimit(RLIMIT_CORE, &r);
	REAP(CHILD(struct rlimit s; getrlimit(RLIMIT_CORE, &s); P("%lu %lu\n", s.rlim_cur, s.rlim_max)));
}

TEST(rlimit_nofile) {
	struct rlimit r = {10, 20};
	S(setrlimit(RLIMIT_NOFILE, &r));
	int n = 0;
	while (dup(0) >= 0) n++;
	P("%d %s\n", n, strerrorname_np(errno));
	S(fcntl(0, F_DUPFD, 10));
	S(fcntl(0, F_DUPFD, 9));
	S(dup2(0, 10));
	S(open("/", O_RDONLY));
	int p[2];
	S(pipe(p));
	close(9);
	S(pipe(p));
	S(open("/", O_RDONLY));
}

TEST(prctl_names) {
	char b[17] = "";
	S(prctl(PR_SET_NAME, "a long name that is cut"));
	S(prctl(PR_GET_NAME, b));
	P("%s\n", b);
	int fd = open("/proc/self/comm", O_RDONLY);
	char c[32] = "";
	read(fd, c, 31);
	P("%s", c);
	S(prctl(PR_SET_NAME, 8));
}

TEST(prctl_values) {
	int v = -1;
	S(prctl(PR_SET_PDEATHSIG, SIGUSR1)); S(prctl(PR_GET_PDEATHSIG, &v)); P("%d\n", v); S(prctl(PR_SET_PDEATHSIG, 65));
	S(prctl(PR_GET_DUMPABLE)); S(prctl(PR_SET_DUMPABLE, 0)); S(prctl(PR_GET_DUMPABLE)); S(prctl(PR_SET_DUMPABLE, 2)); S(prctl(PR_SET_DUMPABLE, 1));
	S(prctl(PR_GET_KEEPCAPS)); S(prctl(PR_SET_KEEPCAPS, 1)); S(prctl(PR_GET_KEEPCAPS)); S(prctl(PR_SET_KEEPCAPS, 2));
	S(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); S(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); S(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); S(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)); S(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
	S(prctl(PR_SET_CHILD_SUBREAPER, 1)); S(prctl(PR_GET_CHILD_SUBREAPER, &v)); P("%d\n", v);
	S(prctl(PR_GET_TIMERSLACK)); S(prctl(PR_SET_TIMERSLACK, 1000)); S(prctl(PR_GET_TIMERSLACK));
	S(prctl(PR_CAPBSET_READ, CAP_CHOWN)); S(prctl(PR_CAPBSET_READ, 200)); S(prctl(PR_GET_TSC, &v)); P("%d\n", v); S(prctl(PR_GET_SECCOMP)); S(prctl(99999)); S(prctl(PR_GET_TID_ADDRESS, 8));
}

TEST(prctl_inherited) {
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); prctl(PR_SET_PDEATHSIG, SIGTERM); prctl(PR_SET_CHILD_SUBREAPER, 1); prctl(PR_SET_TIMERSLACK, 1234);
	REAP(CHILD(int v = -1; S(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); prctl(PR_GET_PDEATHSIG, &v); P("%d\n", v); prctl(PR_GET_CHILD_SUBREAPER, &v); P("%d\n", v); S(prctl(PR_GET_TIMERSLACK))));
}

TEST(sched_calls) {
	S(setresuid(65534, 65534, 65534));
	struct sched_param p = {0};
	S(sched_getscheduler(0)); S(sched_getparam(0, &p)); P("%d\n", p.sched_priority); S(sched_setscheduler(0, SCHED_BATCH, &p)); S(sched_getscheduler(0)); S(sched_setscheduler(0, SCHED_IDLE, &p)); S(sched_getscheduler(0)); S(sched_setscheduler(0, SCHED_OTHER, &p));
	p.sched_priority = 1; S(sched_setscheduler(0, SCHED_OTHER, &p)); S(sched_setscheduler(0, 77, &p)); S(sched_setscheduler(-1, SCHED_OTHER, &p)); S(sched_getscheduler(-1)); S(sched_getscheduler(0x3ffffff0)); S(sched_setparam(0, &p)); S(sched_getparam(0, NULL));
	S(sched_get_priority_max(SCHED_FIFO)); S(sched_get_priority_min(SCHED_FIFO)); S(sched_get_priority_max(SCHED_OTHER)); S(sched_get_priority_max(99)); S(sched_yield());
}

TEST(sched_attr) {
	struct { unsigned size, policy; unsigned long flags; int nice; unsigned priority; unsigned long a, b, c; unsigned d, e; } at = {0};
	setpriority(PRIO_PROCESS, 0, 0);
	S(syscall(SYS_sched_getattr, 0, &at, sizeof at, 0)); P("%u %u %d\n", at.size >= 48, at.policy, at.nice); S(syscall(SYS_sched_getattr, 0, &at, 4, 0)); S(syscall(SYS_sched_getattr, 0, &at, sizeof at, 1)); at.size = 48; at.policy = SCHED_BATCH; at.nice = 5; S(syscall(SYS_sched_setattr, 0, &at, 0)); S(getpriority(PRIO_PROCESS, 0)); S(sched_getscheduler(0));
}

TEST(sched_affinity_masks) {
	cpu_set_t set, old;
	S(sched_getaffinity(0, sizeof old, &old) == 0); P("%d\n", CPU_COUNT(&old) > 0); CPU_ZERO(&set); S(sched_setaffinity(0, sizeof set, &set)); CPU_SET(0, &set); S(sched_setaffinity(0, sizeof set, &set)); S(sched_getaffinity(0, sizeof set, &set)); P("%d\n", CPU_COUNT(&set)); S(syscall(SYS_sched_getaffinity, 0, 1, &set)); S(syscall(SYS_sched_getaffinity, 0, 12, &set)); S(sched_setaffinity(0x3ffffff0, sizeof old, &old)); REAP(CHILD(sched_getaffinity(0, sizeof set, &set); P("%d\n", CPU_COUNT(&set)))); unsigned cpu = 9; S(getcpu(&cpu, NULL)); P("%u\n", cpu);
}

TEST(priorities) {
	setpriority(PRIO_PROCESS, 0, 0); S(getpriority(PRIO_PROCESS, 0)); S(setpriority(PRIO_PROCESS, 0, 5)); S(getpriority(PRIO_PROCESS, 0)); S(nice(3)); S(setpriority(PRIO_PROCESS, 0, 100)); S(getpriority(PRIO_PROCESS, 0)); REAP(CHILD(S(getpriority(PRIO_PROCESS, 0)))); S(getpriority(9, 0)); S(setpriority(PRIO_PROCESS, 0x3ffffff0, 1)); S(getpriority(PRIO_PGRP, 0)); REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); S(setpriority(PRIO_PROCESS, 0, 1)); S(setpriority(PRIO_PROCESS, 0, 19)); S(setpriority(PRIO_PROCESS, 1, 19))));
}

TEST(clock_ids) {
	int ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 99, -1};
	for (int i = 0; i < sizeof ids / sizeof *ids; i++) { struct timespec t = {0}; P("%d: ", ids[i]); S(clock_gettime(ids[i], &t)); P("%d ", ids[i]); S(clock_getres(ids[i], &t)); }
	struct timespec t;
	S(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8)); S(clock_getres(CLOCK_MONOTONIC, NULL)); clockid_t c; S(clock_getcpuclockid(0, &c)); S(clock_gettime(c, &t)); S(clock_getcpuclockid(0x3ffffff0, &c)); pthread_getcpuclockid(pthread_self(), &c); S(clock_gettime(c, &t));
}

TEST(clock_order) {
	struct timespec a, b; int back = 0;
	for (int id = 0; id < 8; id++) { clock_gettime(id, &a); for (int i = 0; i < 1000; i++) { clock_gettime(id, &b); back += b.tv_sec < a.tv_sec || b.tv_sec == a.tv_sec && b.tv_nsec < a.tv_nsec; a = b; } }
	P("%d\n", back);
	struct timeval tv; gettimeofday(&tv, NULL); clock_gettime(CLOCK_REALTIME, &a); P("%d %d\n", a.tv_sec - tv.tv_sec <= 1, time(NULL) - a.tv_sec <= 1);
}

TEST(clock_sleeps) {
	struct timespec t = {0, 20000000}, a, b; clock_gettime(CLOCK_MONOTONIC, &a); S(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL)); clock_gettime(CLOCK_MONOTONIC, &b); P("%d\n", (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec >= 20000000);
	S(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL)); t.tv_nsec = 1000000000; S(nanosleep(&t, NULL)); t.tv_nsec = -1; S(nanosleep(&t, NULL)); t = (struct timespec){-1, 0}; S(nanosleep(&t, NULL)); t = (struct timespec){0, 0}; S(clock_nanosleep(99, 0, &t, NULL)); S(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL)); S(nanosleep((void *)8, NULL));
}

static void nothing(int s) {}
TEST(clock_sleep_interrupted) {
	signal(SIGALRM, nothing); struct itimerval v = {{0, 0}, {0, 20000}}; setitimer(ITIMER_REAL, &v, NULL); struct timespec t = {10, 0}, left = {0}; S(nanosleep(&t, &left)); P("%d\n", left.tv_sec == 9); setitimer(ITIMER_REAL, &v, NULL); S(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &left)); P("%d\n", left.tv_sec == 9); clock_gettime(CLOCK_MONOTONIC, &t); t.tv_sec += 10; left.tv_sec = 77; setitimer(ITIMER_REAL, &v, NULL); S(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, &left)); P("%ld\n", left.tv_sec);
}

TEST(cpu_time_counts) {
	struct timespec a, b; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a); for (volatile int i = 0; i < 30000000; i++) {} clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b); P("%d\n", b.tv_sec > a.tv_sec || b.tv_nsec > a.tv_nsec); struct rusage r; S(getrusage(RUSAGE_SELF, &r)); P("%d\n", r.ru_utime.tv_sec > 0 || r.ru_utime.tv_usec > 0); S(getrusage(RUSAGE_THREAD, &r)); S(getrusage(5, &r)); S(syscall(SYS_getrusage, 0, 8)); struct tms t; P("%d\n", times(&t) != (clock_t)-1); REAP(CHILD(for (volatile int i = 0; i < 30000000; i++) {})); getrusage(RUSAGE_CHILDREN, &r); P("%d %d\n", r.ru_utime.tv_sec > 0 || r.ru_utime.tv_usec > 0, r.ru_maxrss > 0);
}

TEST(clock_setting) {
	struct timespec t = {0, -1}; S(clock_settime(CLOCK_MONOTONIC, &t) < 0); S(clock_settime(99, &t));
	REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); struct timespec n; clock_gettime(CLOCK_REALTIME, &n); S(clock_settime(CLOCK_REALTIME, &n)); struct timeval tv = {n.tv_sec, 0}; S(settimeofday(&tv, NULL))));
}

TEST(personality_values) {
	S(personality(0xffffffff)); S(personality(ADDR_NO_RANDOMIZE)); P("%#x\n", personality(0xffffffff)); REAP(CHILD(P("%#x\n", personality(0xffffffff)))); S(personality(0));
}

TEST(sysinfo_fields) {
	struct sysinfo s; S(sysinfo(&s)); P("%d %d %d %d\n", s.uptime >= 0, s.totalram > s.freeram, s.procs > 0, s.mem_unit > 0); S(syscall(SYS_sysinfo, 8)); P("%d %d\n", get_nprocs() > 0, getpagesize()); P("%ld %ld\n", sysconf(_SC_CLK_TCK), sysconf(_SC_ARG_MAX) >= 131072);
}

TEST(uname_fields) {
	struct utsname u; S(uname(&u)); P("%s %s\n", u.sysname, u.machine); S(syscall(SYS_uname, 8)); char b[100]; S(gethostname(b, 100)); P("%d\n", strcmp(b, u.nodename)); REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); S(sethostname("x", 1)); S(setdomainname("x", 1))));
}

TEST(getrandom_flags) {
	unsigned char a[64] = {0}; unsigned char b[64] = {0}; S(getrandom(a, 64, 0)); S(getrandom(b, 64, GRND_RANDOM | GRND_NONBLOCK)); P("%d\n", memcmp(a, b, 64) != 0); S(getrandom(a, 0, 0)); S(getrandom(a, 10, 64)); S(getrandom((void *)8, 10, 0)); S(getrandom(a, 10, GRND_INSECURE)); S(getrandom(a, 10, GRND_INSECURE | GRND_RANDOM)); S(getentropy(a, 64)); S(getentropy(a, 300));
}

TEST(umask_values) {
	S(umask(022)); S(umask(07777)); S(umask(0)); umask(027); REAP(CHILD(S(umask(0)))); S(umask(022));
}

TEST(ids_of_user) {
	uid_t r, e, s; gid_t g[10];
	S(setgroups(3, (gid_t[]){6, 9, 5})); S(getgroups(0, NULL)); S(getgroups(10, g)); P("%d %d %d\n", g[0], g[1], g[2]); S(getgroups(1, g)); S(getgroups(-1, g));
	S(setresuid(-1, 1000, -1)); getresuid(&r, &e, &s); P("%d %d %d\n", r, e, s); S(setuid(1001)); S(seteuid(0)); S(setreuid(1000, 1001)); getresuid(&r, &e, &s); P("%d %d %d\n", r, e, s); S(setfsuid(-1)); S(setresgid(7, 8, 9)); S(setuid(1000) == 0); getresuid(&r, &e, &s); P("%d %d %d\n", r, e, s); S(seteuid(0)); S(setuid(0)); S(setgroups(0, NULL)); S(setgid(0)); S(syscall(SYS_getresuid, 8, 8, 8));
}

TEST(capabilities) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0}; struct __user_cap_data_struct d[2] = {0};
	S(syscall(SYS_capget, &h, d)); P("%d\n", (d[0].effective & 1) != 0); h.version = 1; S(syscall(SYS_capget, &h, d)); P("%#x\n", h.version); h.version = _LINUX_CAPABILITY_VERSION_3; h.pid = -1; S(syscall(SYS_capget, &h, d)); h.pid = 0x3ffffff0; S(syscall(SYS_capget, &h, d)); h.pid = 0; syscall(SYS_capget, &h, d); d[0].effective = 0; S(syscall(SYS_capset, &h, d)); S(syscall(SYS_capget, &h, d)); P("%#x\n", d[0].effective); d[0].permitted = 0; d[1].permitted = 0; d[1].effective = 0; S(syscall(SYS_capset, &h, d)); d[0].permitted = 1; S(syscall(SYS_capset, &h, d)); S(setuid(5));
}

TEST(capabilities_of_others) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0}; struct __user_cap_data_struct d[2], own[2]; syscall(SYS_capget, &h, own);
	h.pid = getppid(); S(syscall(SYS_capget, &h, d)); P("%d\n", d[0].permitted == own[0].permitted); S(syscall(SYS_capset, &h, own)); h.pid = -1; S(syscall(SYS_capset, &h, own)); S(syscall(SYS_capget, &h, NULL)); h.pid = 0x3ffffff0; S(syscall(SYS_capget, &h, NULL)); S(syscall(SYS_capset, &h, own)); S(syscall(SYS_capget, &h, 8)); h.pid = 0; S(syscall(SYS_capget, &h, 8)); S(syscall(SYS_capget, 8, d)); pid_t child = CHILD(pause()); h.pid = child; S(syscall(SYS_capget, &h, d)); kill(child, SIGKILL); waitpid(child, NULL, 0); S(syscall(SYS_capget, &h, d));
}

TEST(process_groups_of_others) {
	S(getpgid(0) == getpgrp()); S(getpgid(0x3ffffff0)); S(getsid(0x3ffffff0)); S(setpgid(0, -1)); S(setpgid(0x3ffffff0, 0)); S(setpgid(0, 0x3ffffff0)); S(setpgid(0, 0)); S(getpgrp() == getpid()); S(setsid()); REAP(CHILD(S(setsid() == getpid()); S(setsid()); S(setpgid(0, 0)); S(getsid(0) == getpid())));
}

TEST(missing_calls) {
	S(syscall(9999)); S(syscall(-1)); S(syscall(SYS_uselib, "x")); S(syscall(SYS_create_module)); S(syscall(SYS_nfsservctl)); S(syscall(SYS_vserver)); S(syscall(SYS_getpmsg)); S(syscall(SYS_tuxcall)); S(syscall(SYS_security)); S(syscall(SYS_epoll_ctl_old));
}

TEST(kill_refused) {
	S(kill(getpid(), 0)); S(kill(getpid(), 65)); S(kill(getpid(), -1)); S(kill(0x3ffffff0, 0)); S(syscall(SYS_tgkill, getpid(), gettid(), 0)); S(syscall(SYS_tgkill, getpid(), 0x3ffffff0, 0)); S(syscall(SYS_tgkill, -1, 1, 0)); S(syscall(SYS_tkill, gettid(), 0)); S(syscall(SYS_tkill, -1, 0)); S(killpg(0x3ffffff0, 0)); REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); S(kill(getppid(), 0)); S(kill(getppid(), SIGCONT))));
}

TEST(privileged_calls) {
	REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); S(syscall(SYS_mount, "none", "/", "tmpfs", 0, 0)); S(syscall(SYS_umount2, "/", 0)); S(chroot("/")); S(syscall(SYS_pivot_root, "/", "/")); S(syscall(SYS_reboot, 0, 0, 0, 0)); S(syscall(SYS_swapon, "/none", 0)); S(acct("/none")); S(syscall(SYS_quotactl, 0, 0, 0, 0) < 0); S(unshare(CLONE_NEWNS)); S(syscall(SYS_setns, 0, 0) < 0)));
}

TEST(unshare_flags) {
	S(unshare(0)); S(unshare(CLONE_FILES)); S(unshare(CLONE_FS)); S(unshare(CLONE_SYSVSEM)); S(unshare(CLONE_FS | CLONE_FILES));
}

TEST(membarrier_commands) {
	S(syscall(SYS_membarrier, 0, 0) > 0); S(syscall(SYS_membarrier, 1 << 3, 0)); S(syscall(SYS_membarrier, 1 << 4, 0)); S(syscall(SYS_membarrier, 1 << 3, 0)); S(syscall(SYS_membarrier, 0, 1)); S(syscall(SYS_membarrier, 3, 0));
}

TEST(robust_list_calls) {
	void *head = NULL; size_t len = 0; S(syscall(SYS_get_robust_list, 0, &head, &len)); P("%d %zu\n", head != NULL, len); S(syscall(SYS_set_robust_list, head, 8)); S(syscall(SYS_set_robust_list, head, 24)); S(syscall(SYS_get_robust_list, 0x3ffffff0, &head, &len));
}

TEST(arch_prctl_bases) {
	unsigned long fs = 0, gs = 1; S(syscall(SYS_arch_prctl, 0x1003, &fs)); P("%d\n", fs == (unsigned long)pthread_self()); S(syscall(SYS_arch_prctl, 0x1004, &gs)); P("%lu\n", gs); S(syscall(SYS_arch_prctl, 0x1001, 0x12345000)); S(syscall(SYS_arch_prctl, 0x1004, &gs)); P("%#lx\n", gs); S(syscall(SYS_arch_prctl, 0x1002, -1L)); S(syscall(SYS_arch_prctl, 1, 0)); S(syscall(SYS_arch_prctl, 0x1003, 8));
}
