#include "test.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE };

TEST(shared_anonymous_after_fork) {
	volatile int *s = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile int *p = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*s = *p = 1;
	REAP(CHILD(P("%d %d\n", *s, *p); *s = *p = 2; REAP(CHILD(P("%d %d\n", *s, *p); *s = 3))));
	P("%d %d\n", *s, *p);
}

TEST(shared_file_is_coherent) {
	char name[] = "/tmp/sharedXXXXXX";
	int fd = mkstemp(name);
	write(fd, "hello", 5);
	ftruncate(fd, PAGE);
	char *m = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	REAP(CHILD(strcpy(m, "child")));
	char b[6] = "";
	pread(fd, b, 5, 0);
	P("%s\n", b);
	pwrite(fd, "write", 5, 0);
	P("%s\n", m);
	REAP(CHILD(int f = open(name, O_RDWR); char *n = mmap(NULL, PAGE, RW, MAP_SHARED, f, 0); P("%s\n", n); n[0] = 'W'));
	P("%s\n", m);
	unlink(name);
}

TEST(private_file_is_not_shared) {
	char name[] = "/tmp/privateXXXXXX";
	int fd = mkstemp(name);
	write(fd, "hello", 6);
	char *m = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	m[0] = 'j';
	REAP(CHILD(m[1] = 'u'; P("%s\n", m)));
	char b[6];
	pread(fd, b, 6, 0);
	P("%s %s\n", m, b);
	unlink(name);
}

TEST(big_heap_is_copied) {
	size_t n = 20 << 20;
	char *h = malloc(n);
	for (size_t i = 0; i < n; i += PAGE) h[i] = i / PAGE;
	REAP(CHILD(int wrong = 0; for (size_t i = 0; i < n; i += PAGE) { wrong += h[i] != (char)(i / PAGE); h[i]++; } P("wrong %d\n", wrong)));
	int wrong = 0;
	for (size_t i = 0; i < n; i += PAGE) wrong += h[i] != (char)(i / PAGE);
	P("wrong %d\n", wrong);
}

TEST(brk_after_fork) {
	char *a = sbrk(PAGE);
	*a = 1;
	REAP(CHILD(P("%d\n", sbrk(0) == a + PAGE); sbrk(10 * PAGE); a[PAGE] = 1));
	P("%d\n", sbrk(0) == a + PAGE);
}

TEST(mapping_outlives_descriptor) {
	int fd = memfd_create("x", 0);
	ftruncate(fd, 2 * PAGE);
	char *m = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	close(fd);
	m[PAGE] = 7;
	REAP(CHILD(P("%d\n", m[PAGE]); m[0] = 8));
	P("%d\n", m[0]);
}

TEST(mremap_shared) {
	char *m = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*m = 3;
	char *n = mremap(m, 0, PAGE, MREMAP_MAYMOVE);
	P("%d\n", n != MAP_FAILED && *n == 3);
	*n = 4;
	P("%d\n", *m);
}

TEST(dontneed) {
	char *m = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*m = 1;
	S(madvise(m, PAGE, MADV_DONTNEED));
	P("%d\n", *m);
	m = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*m = 1;
	S(madvise(m, PAGE, MADV_DONTNEED));
	P("%d\n", *m);
}

TEST(proc_maps_of_child) {
	pid_t pid = CHILD(for (;;) pause());
	char name[40], b[4096];
	snprintf(name, sizeof name, "/proc/%d/maps", pid);
	int fd = open(name, O_RDONLY), n = read(fd, b, sizeof b - 1);
	b[n > 0 ? n : 0] = 0;
	P("%d %d\n", n > 0, strstr(b, "[stack]") != NULL);
	kill(pid, SIGKILL);
	REAP(pid);
}

// The limit of an address space outlives fork and execve.
TEST(rlimit_as_inherited) {
	struct rlimit limit = {20 << 20, 20 << 20};
	S(setrlimit(RLIMIT_AS, &limit));
	REAP(CHILD(execl(SELF, "syscalls", "map", "1000000", NULL)));
	REAP(CHILD(execl(SELF, "syscalls", "map", "15000000", NULL)));
	REAP(CHILD(execl(SELF, "syscalls", "map", "25000000", NULL)));
}
