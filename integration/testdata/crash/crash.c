/* Ends in the way that argv[1] names; see crash_test.go. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int zero, seven = 7;
static int *volatile null;
static void (*volatile nowhere)(void);

static void null_read(void) { _exit(*null); }
static void null_write(void) { *null = 1; }
static void null_field(void) { _exit(null[1000]); }
static void null_call(void) { nowhere(); }
static void data_call(void)
{
	static char data[64];
	nowhere = (void (*)(void))data;
	nowhere();
}
static void divide(void) { _exit(seven / zero); }
static void modulo(void) { _exit(seven % zero); }
static void divide_overflow(void) { _exit(INT_MIN / (zero - 1)); }
static void divide64(void) { _exit((int)(LLONG_MIN / ((long long)zero - 1))); }
static void ud2(void) { __asm__ volatile("ud2"); }
static void int3(void) { __asm__ volatile("int3"); }
static void hlt(void) { __asm__ volatile("hlt"); }
static void term(void) { raise(SIGTERM); }
static void kill9(void) { kill(getpid(), SIGKILL); }
static void usr1(void) { raise(SIGUSR1); }
static void ignored(void) { signal(SIGTERM, SIG_IGN); raise(SIGTERM); _exit(9); }
static void chld(void) { raise(SIGCHLD); _exit(8); }
static void exit3(void) { exit(3); }
static void exit256(void) { exit(256 + 7); }
static void negative(void) { exit(-1); }
static void flush(void) { printf("buffered"); exit(4); }
static void lost(void) { printf("buffered"); _exit(4); }
static void partial(void) { puts("before"); fflush(stdout); abort(); }
static int deep(volatile int *p)
{
	volatile int here[64];
	here[0] = *p + 1;
	return deep(here) + here[0];
}
static void overflow(void) { _exit(deep((volatile int[]){0})); }
static void pipe_closed(void)
{
	int p[2];
	if (pipe(p) != 0)
		_exit(99);
	close(p[0]);
	_exit(write(p[1], "x", 1) < 0);
}
static void alarm_kill(void)
{
	alarm(1);
	for (;;)
		;
}

static const struct {
	const char *name;
	void (*end)(void);
} ways[] = {
	{"null-read", null_read}, {"null-write", null_write}, {"null-field", null_field},
	{"null-call", null_call}, {"data-call", data_call}, {"divide", divide}, {"modulo", modulo},
	{"divide-overflow", divide_overflow}, {"divide64-overflow", divide64}, {"ud2", ud2}, {"int3", int3},
	{"hlt", hlt}, {"abort", abort}, {"raise-term", term}, {"kill-self", kill9}, {"raise-usr1", usr1},
	{"ignored", ignored}, {"raise-chld", chld}, {"exit-3", exit3}, {"exit-263", exit256}, {"exit-minus-1", negative},
	{"flush-at-exit", flush}, {"lost-at-_exit", lost}, {"abort-after-output", partial}, {"stack-overflow", overflow},
	{"closed-pipe", pipe_closed}, {"alarm-in-loop", alarm_kill},
};

int main(int argc, char **argv)
{
	for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
		if (argc < 2)
			puts(ways[i].name);
		else if (strcmp(argv[1], ways[i].name) == 0)
			ways[i].end();
	}
	return argc < 2 ? 0 : 42;
}
