// Clocks of processor time, and timers on them.
#include "test.h"

static long ms(clockid_t c) {
	struct timespec t;
	if (clock_gettime(c, &t)) return -errno;
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static volatile int stop;
static void spin(int wall) {
	for (long end = ms(CLOCK_MONOTONIC) + wall; !stop && ms(CLOCK_MONOTONIC) < end;) {}
}
static void *spins(void *unused) {
	spin(10000);
	return NULL;
}

TEST(cpu_clock_stands_still_in_sleep) {
	pid_t pid = CHILD(spin(400));
	long process = ms(CLOCK_PROCESS_CPUTIME_ID), thread = ms(CLOCK_THREAD_CPUTIME_ID);
	nap(300);
	P("%d %d\n", ms(CLOCK_PROCESS_CPUTIME_ID) - process < 100, ms(CLOCK_THREAD_CPUTIME_ID) - thread < 100);
	REAP(pid);
}

TEST(cpu_clock_of_threads) {
	pthread_t t;
	clockid_t c;
	long before = ms(CLOCK_PROCESS_CPUTIME_ID), own = ms(CLOCK_THREAD_CPUTIME_ID);
	pthread_create(&t, NULL, spins, NULL);
	S(pthread_getcpuclockid(t, &c));
	while (ms(c) < 100) nap(10);
	P("%d %d\n", ms(CLOCK_THREAD_CPUTIME_ID) - own < 80, ms(CLOCK_PROCESS_CPUTIME_ID) - before >= 90);
	stop = 1;
	pthread_join(t, NULL);
	nap(20); // until it is gone
	S(clock_gettime(c, &(struct timespec){0}));
	S(pthread_getcpuclockid(pthread_self(), &c));
	P("%d\n", labs(ms(c) - ms(CLOCK_THREAD_CPUTIME_ID)) < 50);
}

TEST(cpu_clock_of_a_process) {
	pid_t pid = CHILD(spin(10000));
	clockid_t c;
	S(clock_getcpuclockid(pid, &c));
	while (ms(c) < 50) nap(5);
	kill(pid, SIGSTOP);
	int st;
	waitpid(pid, &st, WUNTRACED);
	long at = ms(c);
	nap(150);
	P("%d\n", ms(c) - at < 50);
	kill(pid, SIGKILL);
	REAP(pid);
	S(clock_getcpuclockid(pid, &c));
	S(clock_getcpuclockid(0x3ffffff, &c));
	S(clock_getcpuclockid(0, &c));
	P("%d\n", labs(ms(c) - ms(CLOCK_PROCESS_CPUTIME_ID)) < 50);
	S(clock_gettime(3, NULL));
	S(clock_gettime(-1, &(struct timespec){0}));
}

static volatile int fired;
static void fire(int sig, siginfo_t *i, void *u) {
	fired++;
	if (fired == 1) P("signal %d %s %d\n", sig, code_name(i->si_code), i->si_value.sival_int);
}
static timer_t timer(clockid_t c, int first, int interval) {
	struct sigaction a = {.sa_sigaction = fire, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &a, NULL);
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
	timer_t t;
	S(timer_create(c, &e, &t));
	struct itimerspec s = {{0, interval * 1000000}, {0, first * 1000000}};
	S(timer_settime(t, 0, &s, NULL));
	return t;
}

TEST(cpu_timer_of_the_process) {
	timer_t t = timer(CLOCK_PROCESS_CPUTIME_ID, 100, 0);
	nap(300);
	struct itimerspec s;
	S(timer_gettime(t, &s));
	P("%d %d\n", fired, s.it_value.tv_nsec > 20000000);
	while (!fired) spin(1);
	S(timer_gettime(t, &s));
	P("%ld %ld\n", s.it_value.tv_sec, s.it_value.tv_nsec);
	spin(100);
	P("%d\n", fired);
}

TEST(cpu_timer_repeats) {
	timer_t t = timer(CLOCK_THREAD_CPUTIME_ID, 20, 20);
	long before = ms(CLOCK_THREAD_CPUTIME_ID);
	while (fired < 5) spin(1);
	P("%d\n", ms(CLOCK_THREAD_CPUTIME_ID) - before >= 80);
	S(timer_delete(t));
}

TEST(cpu_timer_of_another_thread) {
	pthread_t other;
	clockid_t c;
	pthread_create(&other, NULL, spins, NULL);
	pthread_getcpuclockid(other, &c);
	timer(c, 50, 0);
	while (!fired) nap(5);
	stop = 1;
	pthread_join(other, NULL);
	timer_t t;
	struct sigevent e = {.sigev_notify = SIGEV_NONE};
	for (int i = 0; i < 1000 && !timer_create(c, &e, &t); i++) nap(5); // until it is gone
	S(timer_create(c, &e, &t));
}

TEST(cpu_timer_absolute) {
	timer_t t = timer(CLOCK_PROCESS_CPUTIME_ID, 0, 0);
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	struct itimerspec s = {{0, 0}, {now.tv_sec, now.tv_nsec + 50000000}};
	S(timer_settime(t, TIMER_ABSTIME, &s, NULL));
	while (!fired) spin(1);
	s.it_value = (struct timespec){0, 1}; // long past
	S(timer_settime(t, TIMER_ABSTIME, &s, NULL));
	while (fired < 2) spin(1);
	P("%d\n", fired);
}

TEST(cpu_clock_sleeps) {
	pthread_t t;
	pthread_create(&t, NULL, spins, NULL);
	long before = ms(CLOCK_PROCESS_CPUTIME_ID);
	struct timespec d = {0, 60000000};
	S(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &d, NULL));
	P("%d\n", ms(CLOCK_PROCESS_CPUTIME_ID) - before >= 59);
	stop = 1;
	pthread_join(t, NULL);
	S(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &d, NULL));
}
