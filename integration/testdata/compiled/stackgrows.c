// Calls and system calls at all depths, with much that lives across them, on stacks that begin small.
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>

static inline long parent(void) {
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "0"(SYS_getppid) : "rcx", "r11", "memory");
	return ret;
}

static long first;

#define DOWN(PAD) \
	__attribute__((noinline)) static long down##PAD(long n, long a, long b, long c, long d, long e) { \
		volatile char pad[PAD]; \
		if (n == 0) \
			return a ^ b * 3 ^ c * 5 ^ d * 7 ^ e * 11; \
		pad[n % PAD] = n; \
		long same = parent() == first; \
		long r = down##PAD(n - 1, b + same, c ^ n, d + n, e * 31, a + pad[n % PAD]); \
		return r + a * 2 + b * 3 + c * 5 + d * 7 + e * (parent() == first); \
	}

DOWN(8) DOWN(24) DOWN(40) DOWN(56) DOWN(72) DOWN(88) DOWN(104) DOWN(120)

static long (*const all[])(long, long, long, long, long, long) = {
	down8, down24, down40, down56, down72, down88, down104, down120,
};

static void *run(void *arg) {
	long i = (long)arg;
	return (void *)all[i % 8](2000, i, i + 1, i + 2, i + 3, i + 4);
}

int main(void) {
	first = parent();
	for (long i = 0; i < 24; i++) {
		pthread_t t;
		void *ret;
		pthread_create(&t, NULL, run, (void *)i);
		pthread_join(t, &ret);
		printf("%ld %lx\n", i, (long)ret);
	}
	return 0;
}
