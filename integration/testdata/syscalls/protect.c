#include "test.h"

// What a page's protection does to the program itself.

static sigjmp_buf back;
static void *touched;

static void fault(int sig, siginfo_t *si, void *uc) {
	P("signal %d code %d %s\n", sig, si->si_code, si->si_addr == touched ? "there" : "elsewhere");
	siglongjmp(back, 1);
}

static void catch(void) {
	struct sigaction sa = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

#define READ(p) (touched = (void *)(p), sigsetjmp(back, 1) ? 0 : (void)P("read %d\n", *(volatile char *)(p)))
#define WRITE(p) (touched = (void *)(p), sigsetjmp(back, 1) ? 0 : (*(volatile char *)(p) = 7, (void)P("written\n")))

static char *pages(int n, int prot) { return mmap(NULL, n * 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

TEST(protect_none) {
	catch();
	char *p = pages(3, PROT_NONE);
	READ(p + 4096);
	WRITE(p + 5000);
	S(mprotect(p + 4096, 4096, PROT_READ));
	READ(p + 4096);
	WRITE(p + 5000);
	S(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE));
	WRITE(p + 5000);
	S(mprotect(p + 4096, 4096, PROT_NONE));
	READ(p + 5000);
	S(mprotect(p + 4096, 4096, PROT_READ));
	READ(p + 5000);
	READ(p);
	READ(p + 8192);
}

TEST(protect_unmapped) {
	catch();
	char *p = pages(3, PROT_READ | PROT_WRITE);
	WRITE(p + 4096);
	S(munmap(p + 4096, 4096));
	READ(p + 4096);
	WRITE(p + 8191);
	WRITE(p);
	WRITE(p + 8192);
}

TEST(protect_text) {
	catch();
	static const char text[] = "text";
	WRITE(text);
	WRITE((char *)test_protect_text);
	READ(text);
}

TEST(protect_file) {
	catch();
	int fd = open("/tmp/protect", O_RDWR | O_CREAT | O_TRUNC, 0600);
	write(fd, "contents", 8);
	char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	READ(p);
	WRITE(p + 1);
	S(mprotect(p, 4096, PROT_READ | PROT_WRITE));
	WRITE(p + 1);
	int ro = open("/tmp/protect", O_RDONLY);
	char *q = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
	S(mprotect(q, 4096, PROT_READ | PROT_WRITE));
	WRITE(q);
	READ(q + 1);
	q = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, ro, 0);
	WRITE(q);
	S(mprotect(q, 4096, PROT_READ | PROT_WRITE));
	WRITE(q);
	unlink("/tmp/protect");
}

TEST(protect_kills) {
	char *p = pages(1, PROT_READ);
	REAP(CHILD(*(volatile char *)p = 1));
	REAP(CHILD(munmap(p, 4096); P("%d\n", *(volatile char *)p)));
}

TEST(protect_after_fork) {
	catch();
	char *p = pages(4, PROT_READ | PROT_WRITE);
	p[0] = p[4096] = p[8192] = 1;
	mprotect(p, 4096, PROT_READ);
	mprotect(p + 4096, 4096, PROT_NONE);
	for (int i = 0; i < 3; i++) {
		pid_t pid = CHILD(
			READ(p);
			WRITE(p);
			READ(p + 4096);
			WRITE(p + 8192);
			mprotect(p + 4096, 4096, PROT_READ);
			READ(p + 4096);
			mprotect(p + 8192, 4096, PROT_NONE);
			READ(p + 8192));
		REAP(pid);
		READ(p + 4096);
		WRITE(p);
		WRITE(p + 8192);
	}
}

TEST(protect_after_big_fork) {
	catch();
	enum { size = 24 << 20 };
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < size; i += 4096) p[i] = i >> 12;
	mprotect(p + (1 << 20), 4096, PROT_READ);
	mprotect(p + (2 << 20), 4096, PROT_NONE);
	munmap(p + (3 << 20), 4096);
	for (int i = 0; i < 2; i++) {
		REAP(CHILD(WRITE(p); WRITE(p + (1 << 20)); READ(p + (2 << 20)); READ(p + (3 << 20)); READ(p + 4096 * 77);
			mprotect(p + (2 << 20), 4096, PROT_READ); READ(p + (2 << 20))));
		WRITE(p + (1 << 20));
		READ(p + (2 << 20));
		READ(p + (3 << 20));
		mprotect(p + (2 << 20), 4096, PROT_READ);
		READ(p + (2 << 20));
		mprotect(p + (2 << 20), 4096, PROT_NONE);
	}
}

TEST(protect_and_the_kernel) {
	char *p = pages(2, PROT_READ);
	int fds[2];
	pipe(fds);
	S(write(fds[1], p, 4));
	S(read(fds[0], p, 4));
	S(read(fds[0], p + 4094, 1));
	mprotect(p, 4096, PROT_NONE);
	S(write(fds[1], p, 4));
	S(write(fds[1], p + 4095, 4));
	munmap(p, 4096);
	S(write(fds[1], p, 4));
}

TEST(protect_moved) {
	catch();
	char *p = pages(2, PROT_READ | PROT_WRITE);
	p[0] = 5;
	p[4096] = 6;
	mprotect(p, 4096, PROT_READ);
	char *q = mremap(p, 4096, 8192, MREMAP_MAYMOVE);
	P("moved %d\n", p != q);
	READ(q);
	WRITE(q);
	READ(p);
	READ(p + 4096);
}

TEST(protect_heap) {
	catch();
	char *end = sbrk(8192);
	WRITE(end + 8191);
	sbrk(-8192);
	READ((char *)(((long)end + 8191) & ~4095l));
}

// A string operation gets as far as the page.
TEST(protect_string) {
	catch();
	char *p = pages(2, PROT_READ | PROT_WRITE);
	mprotect(p + 4096, 4096, PROT_NONE);
	touched = p + 4096;
	if (!sigsetjmp(back, 1)) memset(p + 4000, 1, 200);
	touched = p + 4096;
	if (!sigsetjmp(back, 1)) {
		void *d = p + 4000;
		long n = 200;
		__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(9) : "memory");
	}
	P("%d %d\n", p[4000], p[4095]);
}

static void *stack_guard(void *arg) {
	char *low = arg;
	READ(low + 4096);
	READ(low);
	return NULL;
}

TEST(protect_guard_of_thread) {
	catch();
	pthread_attr_t a;
	pthread_attr_init(&a);
	char *mem = pages(32, PROT_READ | PROT_WRITE);
	pthread_attr_setstack(&a, mem, 32 * 4096);
	mprotect(mem, 4096, PROT_NONE);
	pthread_t th;
	pthread_create(&th, &a, stack_guard, mem);
	pthread_join(th, NULL);
}

// Collectors notice writes so: the page is opened, and the write made again.
static char *barrier;
static int writes;

static void open_page(int sig, siginfo_t *si, void *uc) {
	writes++;
	mprotect((void *)((long)si->si_addr & ~4095), 4096, PROT_READ | PROT_WRITE);
}

TEST(protect_retried) {
	struct sigaction sa = {.sa_sigaction = open_page, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	barrier = pages(8, PROT_READ);
	for (int i = 0; i < 8; i++)
		for (int j = 0; j < 3; j++) barrier[4096 * i + j] += i + j;
	P("%d faults\n", writes);
	int sum = 0;
	for (int i = 0; i < 8 * 4096; i++) sum = 31 * sum + barrier[i];
	P("sum %d\n", sum);
	double d = 1.5;
	mprotect(barrier, 4096, PROT_NONE);
	double e = d * *(double *)(barrier + 8) + 2 * d;
	P("%g %d\n", e, writes);
}

static void retry(void) {
	struct sigaction sa = {.sa_sigaction = open_page, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigaction(SIGSEGV, &sa, NULL);
	writes = 0;
}

// The handler's frame must not lie on those of the functions it interrupts.
static __attribute__((noinline)) long dig(int depth, char *p) {
	volatile long local[24];
	for (int i = 0; i < 24; i++) local[i] = depth * 31 + i;
	long below = depth ? dig(depth - 1, p + 4096) : 0;
	*p += depth;
	for (int i = 0; i < 24; i++)
		if (local[i] != depth * 31 + i) return -1000000000;
	return below + *p;
}

TEST(protect_retried_deep) {
	retry();
	char *p = pages(3001, PROT_NONE);
	P("%ld\n", dig(3000, p));
	P("%d faults\n", writes);
}

// Much is copied at a time, with wide registers.
TEST(protect_retried_copy) {
	retry();
	enum { size = 64 * 4096 };
	char *src = pages(64, PROT_READ | PROT_WRITE), *dst = pages(64, PROT_NONE);
	for (int i = 0; i < size; i++) src[i] = i * 7 + (i >> 9);
	memcpy(dst, src, size);
	P("%d %d faults\n", memcmp(dst, src, size), writes);
	mprotect(dst, size, PROT_READ);
	writes = 0;
	void *d = dst, *s = src;
	long n = size;
	for (int i = 0; i < size; i++) src[i] ^= 0x55;
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	P("%d %d faults, %ld left\n", memcmp(dst, src, size), writes, n);
	mprotect(dst, size, PROT_NONE);
	mprotect(src, size, PROT_NONE);
	writes = 0;
	memmove(dst + 100, dst, size - 100);
	P("%d %d faults\n", memcmp(dst + 100, src, size - 100), writes);
}

TEST(protect_retried_in_vectors) {
	retry();
	float *a = (float *)pages(16, PROT_READ | PROT_WRITE), *b = (float *)pages(16, PROT_READ);
	for (int i = 0; i < 16384; i++) a[i] = i * 0.37f;
	float sum = 0;
	for (int i = 0; i < 16384; i++) {
		b[i] = a[i] * 1.5f + sum;
		sum += b[i] * 1e-6f;
	}
	P("%.6g %.6g %d faults\n", sum, b[16383], writes);
}

static char *second;

static void open_by_fault(int sig, siginfo_t *si, void *uc) {
	if ((char *)si->si_addr < second || (char *)si->si_addr >= second + 4096 * 4) second[(writes & 3) * 4096]++;
	open_page(sig, si, uc);
}

TEST(protect_retried_in_handler) {
	retry();
	struct sigaction sa = {.sa_sigaction = open_by_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigaction(SIGSEGV, &sa, NULL);
	char *p = pages(8, PROT_NONE);
	second = pages(4, PROT_READ);
	for (int i = 0; i < 8; i++) p[4096 * i] = i;
	P("%d faults\n", writes);
}

static void *touch_all(void *arg) {
	char *p = arg;
	long sum = 0;
	for (int k = 0; k < 20; k++) {
		mprotect(p, 8 * 4096, k & 1 ? PROT_NONE : PROT_READ);
		for (int i = 0; i < 8 * 4096; i += 512) sum += p[i] += k;
	}
	return (void *)sum;
}

static void open_quietly(int sig, siginfo_t *si, void *uc) { mprotect((void *)((long)si->si_addr & ~4095), 4096, PROT_READ | PROT_WRITE); }

TEST(protect_retried_in_threads) {
	struct sigaction sa = {.sa_sigaction = open_quietly, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	pthread_t th[8];
	for (int i = 0; i < 8; i++) pthread_create(&th[i], NULL, touch_all, pages(8, PROT_NONE));
	for (int i = 0; i < 8; i++) {
		void *sum;
		pthread_join(th[i], &sum);
		P("%ld\n", (long)sum);
	}
}

TEST(protect_retried_on_other_stack) {
	static char other[65536];
	stack_t ss = {.ss_sp = other, .ss_size = sizeof other};
	sigaltstack(&ss, NULL);
	struct sigaction sa = {.sa_sigaction = open_page, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGSEGV, &sa, NULL);
	char *p = pages(100, PROT_NONE);
	for (int i = 0; i < 100 * 4096; i += 64) p[i] += i >> 6;
	P("%d faults %d\n", writes, p[4096 * 99]);
}

// Many faults must not use the stack up.
TEST(protect_retried_often) {
	retry();
	char *p = pages(1, PROT_READ);
	for (int i = 0; i < 20000; i++) {
		mprotect(p, 4096, PROT_READ);
		(*(volatile int *)p)++;
	}
	P("%d faults %d\n", writes, *(int *)p);
}

static int grown;

static void grow(int sig, siginfo_t *si, void *uc) {
	writes++;
	ftruncate(grown, 8192);
}

TEST(past_end_retried) {
	struct sigaction sa = {.sa_sigaction = grow, .sa_flags = SA_SIGINFO};
	sigaction(SIGBUS, &sa, NULL);
	grown = open("/tmp/grown", O_RDWR | O_CREAT | O_TRUNC, 0600);
	write(grown, "contents", 8);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, grown, 0);
	writes = 0;
	p[5000] = 'x';
	char c = 0;
	pread(grown, &c, 1, 5000);
	P("%d faults, %c %c\n", writes, p[5000], c);
	unlink("/tmp/grown");
}

TEST(protect_string_direction) {
	retry();
	char *p = pages(4, PROT_NONE);
	void *d = p + 4 * 4096 - 1;
	long n = 4 * 4096;
	__asm__ volatile("std; rep stosb; cld" : "+D"(d), "+c"(n) : "a"(9) : "memory");
	P("%d faults %ld %d %d\n", writes, n, (char *)d == p - 1, p[0]);
}
