// Interval timers of processor time.
#include "test.h"

static volatile sig_atomic_t ticks;

static void tick(int sig) { ticks++; }

static void cpu_timer(int which, int sig) {
	struct itimerval once = {{0, 0}, {0, 500000}}, every = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}}, old;
	signal(sig, tick);
	setitimer(which, &off, NULL);
	getitimer(which, &old);
	nap(1); // all code that is to be timed ran once
	int set = setitimer(which, &once, NULL), got = getitimer(which, &old);
	nap(600);
	int asleep = ticks;
	P("%d %d\n", set, got);
	P("armed: %d, interval: %ld\n", old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 600000, (long)old.it_interval.tv_usec);
	P("ticks while asleep: %d\n", asleep);
	while (!ticks) {}
	S(getitimer(which, &old));
	P("left: %ld\n", (long)old.it_value.tv_usec);
	S(setitimer(which, &every, NULL));
	while (ticks < 4) {}
	REAP(CHILD(S(getitimer(which, &old)); P("child's interval: %ld\n", (long)old.it_interval.tv_usec)));
	S(setitimer(which, &off, &old));
	P("interval: %ld\n", (long)old.it_interval.tv_usec);
}

TEST(itimer_virtual) { cpu_timer(ITIMER_VIRTUAL, SIGVTALRM); }

TEST(itimer_prof) { cpu_timer(ITIMER_PROF, SIGPROF); }

TEST(itimer_kills) {
	struct itimerval it = {{0, 0}, {0, 10000}};
	REAP(CHILD(setitimer(ITIMER_PROF, &it, NULL); for (;;) {}));
	REAP(CHILD(setitimer(ITIMER_VIRTUAL, &it, NULL); for (;;) {}));
	S(setitimer(3, &it, NULL));
	S(setitimer(-1, &it, NULL));
}
