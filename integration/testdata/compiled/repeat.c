/*
 * Repeated string instructions that take long: they are done in pieces, and a
 * signal ends a loop of them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define SIZE (5 << 20)

static volatile sig_atomic_t rang;

static void ring(int sig) { rang = sig; }

static void movs(void *to, const void *from, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	printf("%zu left; ", n);
}

static void movs_down(void *to, const void *from, size_t n)
{
	to = (char *)to + n - 1;
	from = (const char *)from + n - 1;
	__asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(n) : : "memory", "cc");
}

static void stos(void *to, unsigned long x, size_t words)
{
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(x) : "memory");
	printf("%zu left; ", words);
}

static size_t scas(const char *s, char x, size_t n)
{
	const char *p = s;
	__asm__ volatile("repne scasb" : "+D"(p), "+c"(n) : "a"(x) : "cc");
	return p - s;
}

static unsigned sum(const unsigned char *p, size_t n)
{
	unsigned s = 0;
	for (size_t i = 0; i < n; i++)
		s = s * 31 + p[i];
	return s;
}

int main(void)
{
	unsigned char *a = malloc(SIZE + 64), *b = malloc(SIZE + 64);
	struct itimerval soon = { .it_value.tv_usec = 30000 };

	for (size_t i = 0; i < SIZE + 64; i++)
		a[i] = i * i >> 7;
	memset(b, 7, SIZE + 64);
	for (size_t n = (1 << 20) - 1; n <= (1 << 20) + 1; n++) {
		movs(b, a, n);
		printf("%08x\n", sum(b, SIZE + 64));
	}
	movs(b + 3, a, SIZE);
	printf("%08x\n", sum(b, SIZE + 64));
	movs(b + 9, b, SIZE); /* each nine bytes onto the next */
	printf("%08x\n", sum(b, SIZE + 64));
	movs(b, b + 9, SIZE);
	printf("%08x\n", sum(b, SIZE + 64));
	movs_down(a + 5, a, SIZE);
	printf("%08x\n", sum(a, SIZE + 64));
	movs((void *)1, (void *)2, 0);
	puts("");
	stos(a, 0x0101010101010101, SIZE / 8);
	printf("%08x\n", sum(a, SIZE + 64));
	stos(a, 0x0102030405060708, SIZE / 8 - 1);
	printf("%08x\n", sum(a, SIZE + 64));
	a[SIZE - 10] = 200;
	printf("%zu %zu\n", scas((char *)a, (char)200, SIZE), scas((char *)a, (char)201, 70000));

	signal(SIGALRM, ring);
	setitimer(ITIMER_REAL, &soon, NULL);
	while (!rang) {
		void *si = a, *di = b;
		size_t n = SIZE;
		__asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(n) : : "memory");
	}
	printf("signal %d\n", rang);
	return 0;
}
