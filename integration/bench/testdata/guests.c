/*
 * Guests that are hard to live with. Each says so on standard output, with one
 * byte, and then never ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned sink;

static void loop(void)
{
	for (unsigned x = 1;; x = x * 69069 + 1)
		__asm__ volatile("" : "+r"(x));
}

static unsigned __attribute__((noinline)) deep(unsigned n)
{
	return n == 0 ? sink : deep(n - 1) + (deep(n & 1 ? 0 : n / 1000) ^ n);
}

static void recursion(void)
{
	for (;;)
		sink += deep(10000);
}

static void movs(void)
{
	size_t size = 64 << 20;
	char *from = malloc(size), *to = malloc(size);

	memset(from, 1, size);
	memset(to, 2, size);
	for (;;) {
		void *si = from, *di = to;
		size_t n = size;
		__asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(n) : : "memory");
	}
}

/* An interpreter whose switch is a table of jumps, and whose program loops. */
static void interpreter(void)
{
	static const unsigned char program[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 5, 1, 10 };
	unsigned a = 1, b = 2, pc = 0;

	for (;;)
		switch (program[pc++]) {
		case 0: a += b; break;
		case 1: b ^= a << 3; break;
		case 2: a -= 7; break;
		case 3: b = b >> 5 | b << 27; break;
		case 4: a *= 2654435761u; break;
		case 5: a ^= b; break;
		case 6: b += 0x9e3779b9; break;
		case 7: a = ~a; break;
		case 8: b |= a & 0xff; break;
		case 9: sink = a; break;
		case 10: pc = 0; break;
		}
}

static void bomb(void)
{
	for (;;)
		if (fork() < 0)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
}

/* The container's largest process is killed, so that there is a new hog. */
static void hog(void)
{
	for (;;) {
		pid_t pid = fork();
		if (pid == 0)
			for (;;)
				memset(malloc(1 << 20), 1, 1 << 20);
		waitpid(pid, NULL, 0);
	}
}

static void leak(void)
{
	for (;;)
		open("/dev/null", O_RDONLY);
}

static const struct guest {
	const char *name;
	void (*run)(void);
} guests[] = {
	{ "loop", loop }, { "recursion", recursion }, { "movs", movs }, { "interpreter", interpreter },
	{ "bomb", bomb }, { "hog", hog }, { "leak", leak },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof guests / sizeof *guests; i++)
		if (!strcmp(argv[1], guests[i].name) && write(1, "r", 1) == 1)
			guests[i].run();
	fprintf(stderr, "usage: guests NAME\n");
	return 2;
}
