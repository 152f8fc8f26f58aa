#include "test.h"

static volatile int fired;
static void count(int s) { fired++; }

static void busy(void) {
	for (volatile int i = 0; i < 100000; i++) {}
}

static void run_timer(int which, int sig, long first, long interval, int times) {
	struct sigaction a = {.sa_handler = count};
	sigaction(sig, &a, NULL);
	struct itimerval v = {{0, interval}, {0, first}}, old = {{9, 9}, {9, 9}};
	S(setitimer(which, &v, NULL));
	S(getitimer(which, &old));
	P("%ld %d\n", (long)old.it_interval.tv_usec, old.it_value.tv_usec > 0 && old.it_value.tv_usec <= first + 20000); // Linux counts in ticks
	while (fired < times) busy();
	struct itimerval zero = {};
	S(setitimer(which, &zero, &old));
	P("%ld\n", (long)old.it_interval.tv_usec); // what is left depends on the kernel's tick
	fired = 0;
	for (int i = 0; i < 200; i++) busy();
	P("%d\n", fired);
}

TEST(itimer_real_repeats) { run_timer(ITIMER_REAL, SIGALRM, 200000, 20000, 3); }
TEST(itimer_virtual) { run_timer(ITIMER_VIRTUAL, SIGVTALRM, 200000, 20000, 3); }
TEST(itimer_prof) { run_timer(ITIMER_PROF, SIGPROF, 200000, 20000, 3); }
TEST(itimer_once) { run_timer(ITIMER_PROF, SIGPROF, 200000, 0, 1); }

TEST(itimer_sleep_is_no_work) {
	signal(SIGVTALRM, count);
	signal(SIGPROF, count);
	struct itimerval v = {{0, 0}, {10, 0}};
	setitimer(ITIMER_VIRTUAL, &v, NULL);
	setitimer(ITIMER_PROF, &v, NULL);
	for (int i = 0; i < 30; i++) nap(10);
	P("%d\n", fired);
	S(getitimer(ITIMER_PROF, &v));
	P("%d\n", v.it_value.tv_sec >= 9);
}

static void cpu_timer(int which, int sig) {
	struct itimerval once = {{0, 0}, {0, 500000}}, every = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}}, old;
	signal(sig, count);
	setitimer(which, &off, NULL);
	getitimer(which, &old);
	nap(1); // all code that is to be timed ran once
	int set = setitimer(which, &once, NULL), got = getitimer(which, &old);
	nap(600);
	int asleep = fired;
	P("%d %d\n", set, got);
	P("armed: %d, interval: %ld\n", old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 600000, (long)old.it_interval.tv_usec);
	P("ticks while asleep: %d\n", asleep);
	while (!fired) {}
	S(getitimer(which, &old));
	P("left: %ld\n", (long)old.it_value.tv_usec);
	S(setitimer(which, &every, NULL));
	while (fired < 4) {}
	REAP(CHILD(S(getitimer(which, &old)); P("child's interval: %ld\n", (long)old.it_interval.tv_usec)));
	S(setitimer(which, &off, &old));
	P("interval: %ld\n", (long)old.it_interval.tv_usec);
}

TEST(itimer_virtual_asleep) { cpu_timer(ITIMER_VIRTUAL, SIGVTALRM); }

TEST(itimer_prof_asleep) { cpu_timer(ITIMER_PROF, SIGPROF); }

TEST(itimer_kills) {
	REAP(CHILD(struct itimerval v = {{0, 0}, {0, 10000}}; setitimer(ITIMER_VIRTUAL, &v, NULL); for (;;) busy()));
	REAP(CHILD(struct itimerval v = {{0, 0}, {0, 10000}}; setitimer(ITIMER_PROF, &v, NULL); for (;;) busy()));
}

TEST(itimer_fork_and_exec) {
	struct itimerval v = {{0, 0}, {20, 0}};
	setitimer(ITIMER_REAL, &v, NULL);
	setitimer(ITIMER_PROF, &v, NULL);
	REAP(CHILD(struct itimerval w; getitimer(ITIMER_REAL, &w); P("%ld\n", (long)w.it_value.tv_sec); getitimer(ITIMER_PROF, &w); P("%ld\n", (long)w.it_value.tv_sec)));
	REAP(CHILD(struct itimerval w = {{0, 0}, {0, 20000}}; setitimer(ITIMER_REAL, &w, NULL); execl(SELF, "syscalls", "sleep", NULL)));
}

TEST(itimer_errors) {
	struct itimerval v = {{0, 0}, {0, 1000000}};
	S(setitimer(3, &v, NULL));
	S(setitimer(-1, &v, NULL));
	S(getitimer(3, &v));
	S(setitimer(ITIMER_PROF, &v, NULL));
	v.it_value.tv_usec = -1;
	S(setitimer(ITIMER_VIRTUAL, &v, NULL));
	S(syscall(SYS_setitimer, ITIMER_REAL, 8, 0));
	S(syscall(SYS_getitimer, ITIMER_REAL, 8));
}
