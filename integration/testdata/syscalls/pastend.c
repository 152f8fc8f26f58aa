// Mappings that reach past the end of their file: a touch of a page there is SIGBUS.
#include "test.h"

static int file(off_t size) {
	char name[] = "/tmp/pastendXXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	ftruncate(fd, size);
	return fd;
}
static char *map(int fd, int pages, int flags) { return mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, flags, fd, 0); }

static int kinds[] = {MAP_SHARED, MAP_PRIVATE};

TEST(past_end_kills) {
	for (int i = 0; i < 2; i++) {
		volatile char *p = map(file(100), 3, kinds[i]);
		P("%d\n", p[4095]);
		REAP(CHILD(P("%d\n", p[4096])));
		REAP(CHILD(p[8192] = 1; P("not reached\n")));
		REAP(CHILD(for (;;) p[4096]++));
		REAP(CHILD(S(access((char *)p + 4096, 0)); S(open((char *)p + 4095, O_RDONLY)); P("went on\n")));
	}
}

static sigjmp_buf back;
static char *base;
static void jump(int sig, siginfo_t *i, void *u) {
	P("signal %d code %d at %ld\n", sig, i->si_code, (long)((char *)i->si_addr - base));
	siglongjmp(back, 1);
}
static void catch(void) {
	struct sigaction a = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO};
	sigaction(SIGBUS, &a, NULL);
}
#define TRY(...) do { if (!sigsetjmp(back, 1)) { __VA_ARGS__; P("went on\n"); } } while (0)

TEST(past_end_is_caught) {
	catch();
	for (int i = 0; i < 2; i++) {
		int fd = file(4096);
		base = map(fd, 4, kinds[i]);
		volatile char *p = base;
		TRY(p[4097] = 1);
		TRY(p[4097] = 1);
		TRY(P("%d\n", p[8192 + 20]));
		ftruncate(fd, 4096 + 1);
		TRY(P("%d\n", p[4097]); p[4097] = 2; P("%d\n", p[4097]));
		TRY(p[8192] = 1);
		ftruncate(fd, 0);
		TRY(p[4097] = 1);
		TRY(P("%d\n", p[0]));
		ftruncate(fd, 4 * 4096);
		TRY(P("%d %d\n", p[4097], p[3 * 4096]));
	}
}

TEST(past_end_in_a_loop) {
	catch();
	base = map(file(4096), 2, MAP_SHARED);
	volatile char *p = base;
	TRY(for (int i = 4000;; i++) p[i & 8191]++);
	TRY(memcpy(base, base + 4096, 1));
}

// The kernel's own touch is EFAULT for who asked.
TEST(past_end_and_the_kernel) {
	catch();
	base = map(file(4096), 2, MAP_SHARED);
	int p[2];
	pipe(p);
	write(p[1], "x", 1);
	TRY(S(read(p[0], base + 4096, 1)));
	TRY(S(write(p[1], base + 4096, 1)));
	TRY(S(stat(base + 4096, (struct stat *)base)));
	TRY(S(base[4096]));
}

static void *touch(void *unused) {
	if (!sigsetjmp(back, 1)) base[4096] = 1;
	P("thread\n");
	return NULL;
}
TEST(past_end_of_a_thread) {
	catch();
	base = map(file(4096), 2, MAP_SHARED);
	pthread_t t;
	pthread_create(&t, NULL, touch, NULL);
	pthread_join(t, NULL);
	P("alive\n");
}

TEST(past_end_when_blocked) {
	sigset_t s;
	sigemptyset(&s), sigaddset(&s, SIGBUS);
	catch();
	sigprocmask(SIG_BLOCK, &s, NULL);
	base = map(file(4096), 2, MAP_SHARED);
	REAP(CHILD(*(volatile char *)(base + 4096) = 1; P("not reached\n")));
	signal(SIGBUS, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	REAP(CHILD(*(volatile char *)(base + 4096) = 1; P("not reached\n")));
}

TEST(past_end_of_another_s_truncation) {
	catch();
	int fd = file(8192);
	base = map(fd, 2, MAP_SHARED);
	base[4096] = 5;
	REAP(CHILD(ftruncate(fd, 4096)));
	TRY(P("%d\n", ((volatile char *)base)[4096]));
	REAP(CHILD(ftruncate(fd, 8192)));
	TRY(P("%d\n", ((volatile char *)base)[4096]));
}
