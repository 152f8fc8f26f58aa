#include "test.h"

// What mmap and its family do, without what they do to other processes
// (memory.c).

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static char *map(size_t n) { return mmap(NULL, n * PAGE, RW, ANON, -1, 0); }
static int temporary(size_t size) {
	char name[] = "/tmp/mapsXXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	ftruncate(fd, size);
	return fd;
}

// readable and writable ask the kernel, which is held to protection.
static const char *access_of(void *p) {
	int fd[2];
	pipe(fd);
	int r = write(fd[1], p, 1) == 1, w = 0;
	char c = 0;
	if (r) read(fd[0], &c, 1);
	write(fd[1], &c, 1);
	w = read(fd[0], p, 1) == 1;
	close(fd[0]);
	close(fd[1]);
	return r ? w ? "rw" : "r-" : w ? "-w" : "--";
}

TEST(mmap_arguments) {
	S(mmap(NULL, 0, RW, ANON, -1, 0));
	S(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
	S(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0));
	S(mmap(NULL, PAGE, RW, MAP_PRIVATE, 999, 0));
	S(syscall(SYS_mmap, NULL, PAGE, RW, ANON, -1, 1));
	S(mmap((void *)1, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	S(mmap(NULL, 1UL << 60, RW, ANON, -1, 0));
	S(mmap(NULL, -1, RW, ANON, -1, 0));
	S(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	int fd[2];
	pipe(fd);
	S(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd[0], 0));
	S(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("/", O_RDONLY), 0));
	S(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("/", O_PATH), 0));
}

TEST(mmap_open_modes) {
	char name[] = "/tmp/modesXXXXXX";
	close(mkstemp(name));
	int r = open(name, O_RDONLY), w = open(name, O_WRONLY), rw = open(name, O_RDWR);
	int prots[] = {PROT_NONE, PROT_READ, PROT_WRITE, RW};
	for (int i = 0; i < 4; i++) {
		P("prot %d\n", prots[i]);
		for (int shared = 0; shared < 2; shared++) {
			int f = shared ? MAP_SHARED : MAP_PRIVATE;
			S(mmap(NULL, PAGE, prots[i], f, r, 0) != MAP_FAILED ? 0 : -1);
			S(mmap(NULL, PAGE, prots[i], f, w, 0) != MAP_FAILED ? 0 : -1);
			S(mmap(NULL, PAGE, prots[i], f, rw, 0) != MAP_FAILED ? 0 : -1);
		}
	}
	void *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r, 0);
	S(mprotect(p, PAGE, RW));
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, r, 0);
	S(mprotect(p, PAGE, RW));
	unlink(name);
}

TEST(mmap_append_only) {
	char name[] = "/tmp/appendXXXXXX";
	close(mkstemp(name));
	int fd = open(name, O_RDWR | O_APPEND);
	S(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) != MAP_FAILED ? 0 : -1);
	S(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0) != MAP_FAILED ? 0 : -1);
	unlink(name);
}

TEST(mmap_hint) {
	char *p = map(4);
	munmap(p + PAGE, PAGE);
	P("%d\n", (char *)mmap(p + PAGE, PAGE, RW, ANON, -1, 0) == p + PAGE);
	P("%d\n", (char *)mmap(p + PAGE, PAGE, RW, ANON, -1, 0) == p + PAGE);
	munmap(p + 2 * PAGE, PAGE);
	P("%d\n", (char *)mmap(p + 2 * PAGE + 5, PAGE, RW, ANON, -1, 0) == p + 2 * PAGE);
}

// above_4g maps where a program wants its heap that insists on much address space far above 4 GiB: it
// takes less if it can't get all of it.
static void *above_4g(unsigned long at, size_t size, int flags) {
	void *all = mmap((void *)at, 1UL << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	if (all != MAP_FAILED) munmap(all, 1UL << 40);
	return mmap((void *)at, size, RW, flags | MAP_ANONYMOUS, -1, 0);
}

static char *raised;
static sigjmp_buf from_raised;
static void on_raised(int sig, siginfo_t *i, void *u) {
	P("signal %d code %d at %ld\n", sig, i->si_code, (char *)i->si_addr - raised);
	siglongjmp(from_raised, 1);
}

TEST(heap_above_4g) {
	raised = above_4g(0x4240000000, 4 * PAGE, MAP_PRIVATE);
	P("%lx\n", (unsigned long)raised >> 32);
	strcpy(raised, "text");
	int fd[2];
	pipe(fd);
	S(write(fd[1], raised, 5));
	S(read(fd[0], raised + PAGE, 5));
	struct iovec v = {raised + PAGE, 5};
	S(writev(fd[1], &v, 1));
	S(read(fd[0], raised + 2 * PAGE - 3, 5));
	P("%s %s\n", raised + PAGE, raised + 2 * PAGE - 3);
	S(mprotect(raised, PAGE, PROT_READ));
	write(fd[1], "x", 1);
	S(read(fd[0], raised, 1));
	P("%s%s%s\n", access_of(raised), access_of(raised + PAGE), access_of(raised + 3 * PAGE));
	struct sigaction a = {.sa_sigaction = on_raised, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &a, NULL);
	if (!sigsetjmp(from_raised, 1)) raised[1] = 'E';
	S(madvise(raised + PAGE, PAGE, MADV_DONTNEED));
	P("%d\n", raised[PAGE]);
	strcpy(raised + 3 * PAGE, "moves");
	S(munmap(raised + 2 * PAGE, PAGE));
	P("%d\n", (char *)mmap(raised + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == raised + 2 * PAGE);
	P("%d\n", (char *)mmap(raised + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == raised + 2 * PAGE);
	char *more = mremap(raised + 3 * PAGE, PAGE, 20 * PAGE, MREMAP_MAYMOVE);
	P("%s %s\n", more, access_of(more + 19 * PAGE));
	char *low = mmap(NULL, PAGE, RW, ANON, -1, 0);
	P("%d %s\n", (char *)mremap(more, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, low) == low, low);
}

TEST(heap_above_4g_in_maps) {
	raised = above_4g(0x4240000000, PAGE, MAP_PRIVATE);
	char want[40], line[300];
	sprintf(want, "%lx-%lx rw-p", (unsigned long)raised, (unsigned long)raised + PAGE);
	unsigned long last = 0, start;
	FILE *f = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, f)) {
		sscanf(line, "%lx", &start);
		if (start <= last) P("%lx after %lx\n", start, last);
		last = start;
		if (!strncmp(line, want, strlen(want))) P("found\n");
	}
}

// All ways to memory that code has, with addresses above 4 GiB.
TEST(heap_above_4g_by_code) {
	char *p = above_4g(0x4240000000, 4 * PAGE, MAP_PRIVATE);
	long double *x = (long double *)p;
	for (int i = 0; i < 100; i++) x[i] = i / 7.0L;
	for (int i = 1; i < 100; i++) x[i] += x[i - 1] * x[i];
	P("%.15Lg\n", x[99]);
	char *to = p + 2 * PAGE, *from = p;
	size_t n = PAGE;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	P("%ld %ld %d\n", to - p, from - p, memcmp(p, p + 2 * PAGE, PAGE));
	to = p + PAGE, n = PAGE / 8;
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(0x6162636465666768) : "memory");
	P("%.9s %ld %d\n", p + PAGE, to - p, (int)strlen(p + PAGE) == PAGE);
	to = p + PAGE, n = 2 * PAGE;
	__asm__ volatile("repne scasb" : "+D"(to), "+c"(n) : "a"('g') : "memory", "cc");
	P("%ld\n", to - p);
	__atomic_fetch_add((long *)(p + 3 * PAGE), 5, __ATOMIC_SEQ_CST);
	unsigned long was[2] = {5, 0}, new[2] = {7, 8};
	char equal;
	__asm__ volatile("lock cmpxchg16b %1; sete %0" : "=r"(equal), "+m"(*(__int128 *)(p + 3 * PAGE)), "+a"(was[0]), "+d"(was[1]) : "b"(new[0]), "c"(new[1]) : "cc");
	P("%d %ld %ld\n", equal, ((long *)(p + 3 * PAGE))[0], ((long *)(p + 3 * PAGE))[1]);
	__asm__ volatile("fxsave (%0); fldcw (%0); fnstenv 512(%0); fldenv 512(%0); stmxcsr 600(%0); ldmxcsr 600(%0)" : : "r"(p) : "memory");
	P("%x %x\n", *(unsigned short *)p, *(unsigned *)(p + 600));
	long value = 5;
	__asm__ volatile("xchg %0, 8(%1,%2,2)" : "+r"(value) : "r"(p), "r"(3L * PAGE / 2 + 0) : "memory");
	P("%ld %ld\n", value, ((long *)(p + 3 * PAGE))[1]);
	__asm__ volatile("push %0; pop 16(%0)" : : "r"(p) : "memory");
	P("%d\n", *(char **)(p + 16) == p);
}

TEST(heap_above_4g_is_shared) {
	int *p = above_4g(0x4240000000, PAGE, MAP_SHARED);
	int *private = above_4g(0x4250000000, PAGE, MAP_PRIVATE);
	*private = 1;
	pid_t pid = CHILD(*private = 2; while (syscall(SYS_futex, p, FUTEX_WAIT, 0, NULL) && errno == EINTR); P("woken, %d %d\n", *p, *private));
	while (!syscall(SYS_futex, p, FUTEX_WAKE, 1)) usleep(1000);
	waitpid(pid, NULL, 0);
	P("%d\n", *private);
}

TEST(mmap_fixed_noreplace) {
	char *p = map(4);
	S(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	S(mmap(p + 3 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	munmap(p + PAGE, PAGE);
	P("%d\n", (char *)mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + PAGE);
}

TEST(mmap_fixed_replaces) {
	char *p = map(3);
	memset(p, 'a', 3 * PAGE);
	mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	P("%c %d %c\n", p[0], p[PAGE], p[2 * PAGE]);
}

TEST(mmap_32bit) {
	unsigned long p = (unsigned long)mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	P("%d\n", p < 1UL << 31);
}

TEST(mmap_file_tail) {
	int fd = temporary(0);
	write(fd, "hello", 5);
	char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	P("%s %d\n", p, p[PAGE - 1]);
	p[5] = '!', p[100] = 'x';
	struct stat st;
	fstat(fd, &st);
	char b[200] = "";
	P("%ld %ld\n", (long)st.st_size, (long)pread(fd, b, 200, 0));
}

TEST(mmap_file_grows) {
	int fd = temporary(PAGE);
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	ftruncate(fd, 2 * PAGE);
	pwrite(fd, "later", 5, PAGE);
	P("%s\n", p + PAGE);
}

TEST(mmap_past_end_is_sigbus) {
	int fd = temporary(PAGE);
	volatile char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	REAP(CHILD(p[PAGE]));
}

TEST(mmap_truncated_is_sigbus) {
	int fd = temporary(2 * PAGE);
	volatile char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	p[PAGE] = 1;
	ftruncate(fd, PAGE);
	REAP(CHILD(p[PAGE] = 2));
	P("%d\n", p[0]);
}

TEST(mmap_past_end_in_kernel) {
	int fd = temporary(PAGE), q[2];
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	pipe(q);
	S(write(q[1], p + PAGE, 1));
	ftruncate(fd, 0);
	S(write(q[1], p, 1));
}

TEST(mmap_offset) {
	int fd = temporary(3 * PAGE);
	pwrite(fd, "third", 5, 2 * PAGE);
	P("%s\n", (char *)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE));
	S(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100));
	S(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, -PAGE));
}

TEST(mmap_private_sees_file_until_written) {
	int fd = temporary(PAGE);
	char *p = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	pwrite(fd, "a", 1, 0);
	P("%c\n", p[0]);
	p[1] = 'x';
	pwrite(fd, "b", 1, 0);
	P("%c%c\n", p[0], p[1]);
}

TEST(munmap_pieces) {
	char *p = map(5);
	S(munmap(p + PAGE, PAGE));
	S(munmap(p + 3 * PAGE, PAGE));
	P("%s %s %s %s %s\n", access_of(p), access_of(p + PAGE), access_of(p + 2 * PAGE), access_of(p + 3 * PAGE), access_of(p + 4 * PAGE));
	S(munmap(p, 5 * PAGE));
	S(munmap(p, 5 * PAGE));
	S(munmap(p + 1, PAGE));
	S(munmap(p, 0));
	S(munmap(p, -PAGE));
}

TEST(mprotect_pages) {
	char *p = map(4);
	S(mprotect(p + PAGE, PAGE, PROT_READ));
	S(mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
	P("%s %s %s %s\n", access_of(p), access_of(p + PAGE), access_of(p + 2 * PAGE), access_of(p + 3 * PAGE));
	S(mprotect(p, 4 * PAGE, RW));
	P("%s %s\n", access_of(p + PAGE), access_of(p + 2 * PAGE));
}

TEST(mprotect_errors) {
	char *p = map(3);
	munmap(p + PAGE, PAGE);
	S(mprotect(p + 1, PAGE, RW));
	S(mprotect(p, PAGE, 0x100));
	S(mprotect(p, 0, RW));
	S(mprotect(p, -PAGE, RW));
	S(mprotect(p, 3 * PAGE, PROT_READ));
	P("%s %s\n", access_of(p), access_of(p + 2 * PAGE));
	S(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN));
}

TEST(mprotect_fault) {
	char *p = map(1);
	REAP(CHILD(P("%s\n", access_of(p)); mprotect(p, PAGE, PROT_NONE); P("%s\n", access_of(p))));
}

TEST(mremap_grows) {
	char *p = map(2);
	strcpy(p, "first"), strcpy(p + PAGE, "second");
	char *q = mremap(p, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	P("%s %s %d %s\n", q, q + PAGE, q[7 * PAGE], access_of(q + 7 * PAGE));
}

TEST(mremap_shrinks) {
	char *p = map(4);
	strcpy(p, "kept");
	P("%d\n", mremap(p, 4 * PAGE, PAGE, 0) == p);
	P("%s %s\n", p, access_of(p + PAGE));
}

TEST(mremap_no_room) {
	char *p = map(3);
	S(mremap(p, PAGE, 2 * PAGE, 0));
	char *q = mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	P("%d %s\n", q != p, access_of(p));
}

TEST(mremap_fixed) {
	char *p = map(2), *to = map(4);
	strcpy(p, "moved");
	memset(to, 'x', 4 * PAGE);
	P("%d\n", mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE) == to + PAGE);
	P("%c %s %d %c %s\n", to[0], to + PAGE, to[2 * PAGE], to[3 * PAGE], access_of(p));
}

TEST(mremap_dontunmap) {
	char *p = map(1);
	strcpy(p, "data");
	char *q = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */, NULL);
	if (q == MAP_FAILED) { show("mremap", -1); return; }
	P("%s %d %s\n", q, p[0], access_of(p));
}

TEST(mremap_errors) {
	char *p = map(4);
	munmap(p + 2 * PAGE, PAGE);
	S(mremap(p + 1, PAGE, PAGE, 0));
	S(mremap(p, PAGE, 0, 0));
	S(mremap(p, PAGE, PAGE, 64));
	S(mremap(p, PAGE, PAGE, MREMAP_FIXED, p + PAGE));
	S(mremap(p, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE));
	S(mremap(p + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	S(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE));
	S(mremap(p, 0, PAGE, MREMAP_MAYMOVE));
	S(mremap(p, PAGE, 1UL << 60, MREMAP_MAYMOVE));
}

TEST(mremap_duplicates_shared) {
	char *p = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(p, "one");
	char *q = mremap(p, 0, PAGE, MREMAP_MAYMOVE);
	strcpy(q, "two");
	P("%s %d\n", p, p != q);
}

TEST(mremap_file) {
	int fd = temporary(4 * PAGE);
	pwrite(fd, "fourth", 6, 3 * PAGE);
	char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	p = mremap(p, PAGE, 4 * PAGE, MREMAP_MAYMOVE);
	P("%s\n", p + 3 * PAGE);
}

TEST(mremap_protected) {
	char *p = map(1);
	strcpy(p, "hidden");
	mprotect(p, PAGE, PROT_NONE);
	char *q = mremap(p, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	P("%d %s\n", q != MAP_FAILED, access_of(q));
	mprotect(q, 3 * PAGE, PROT_READ);
	P("%s\n", q);
}

TEST(madvise_dontneed) {
	char *p = map(2);
	memset(p, 'a', 2 * PAGE);
	S(madvise(p, PAGE, MADV_DONTNEED));
	P("%d %c\n", p[0], p[PAGE]);
	int fd = temporary(PAGE);
	pwrite(fd, "file", 4, 0);
	char *f = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	strcpy(f, "changed");
	S(madvise(f, PAGE, MADV_DONTNEED));
	P("%s\n", f);
	char *s = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	strcpy(s, "shared");
	S(madvise(s, PAGE, MADV_DONTNEED));
	P("%s\n", s);
}

TEST(madvise_advice) {
	char *p = map(2);
	strcpy(p, "kept");
	int advice[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP, MADV_COLD, 999, -1};
	for (int i = 0; i < sizeof advice / sizeof *advice; i++) {
		P("%d ", advice[i]);
		S(madvise(p, 2 * PAGE, advice[i]));
	}
	P("%s\n", p);
	S(madvise(p + 1, PAGE, MADV_NORMAL));
	S(madvise(p, 0, MADV_NORMAL));
	munmap(p + PAGE, PAGE);
	S(madvise(p, 2 * PAGE, MADV_DONTNEED));
	P("%d\n", p[0]);
}

TEST(madvise_remove) {
	int fd = temporary(2 * PAGE);
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	memset(p, 'a', 2 * PAGE);
	S(madvise(p, PAGE, MADV_REMOVE));
	P("%d %c\n", p[0], p[PAGE]);
}

TEST(madvise_dontfork) {
	char *p = map(2);
	strcpy(p, "parent"), strcpy(p + PAGE, "both");
	S(madvise(p, PAGE, MADV_DONTFORK));
	REAP(CHILD(P("%s %s\n", access_of(p), p + PAGE)));
	S(madvise(p, PAGE, MADV_DOFORK));
	REAP(CHILD(P("%s\n", access_of(p))));
}

TEST(madvise_wipeonfork) {
	char *p = map(1);
	strcpy(p, "parent");
	S(madvise(p, PAGE, 18 /* MADV_WIPEONFORK */));
	REAP(CHILD(P("%d\n", p[0])));
	P("%s\n", p);
}

TEST(madvise_populate) {
	char *p = map(2);
	S(madvise(p, 2 * PAGE, 22 /* MADV_POPULATE_READ */));
	S(madvise(p, 2 * PAGE, 23 /* MADV_POPULATE_WRITE */));
	mprotect(p, PAGE, PROT_READ);
	S(madvise(p, 2 * PAGE, 23));
}

TEST(mincore_pages) {
	char *p = map(3);
	unsigned char v[3];
	memset(p, 1, 3 * PAGE);
	S(mincore(p, 3 * PAGE, v));
	P("%d %d %d\n", v[0] & 1, v[1] & 1, v[2] & 1);
	S(mincore(p + 1, PAGE, v));
	munmap(p + PAGE, PAGE);
	S(mincore(p, 3 * PAGE, v));
	S(mincore(p, PAGE, (void *)8));
}

TEST(msync_flags) {
	int fd = temporary(PAGE);
	char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	S(msync(p, PAGE, MS_SYNC));
	S(msync(p, PAGE, MS_ASYNC));
	S(msync(p, PAGE, MS_SYNC | MS_ASYNC));
	S(msync(p, PAGE, MS_INVALIDATE));
	S(msync(p, PAGE, 8));
	S(msync(p + 1, PAGE, MS_SYNC));
	munmap(p, PAGE);
	S(msync(p, PAGE, MS_SYNC));
}

TEST(mlock_ranges) {
	char *p = map(2);
	S(mlock(p, 2 * PAGE));
	S(munlock(p, 2 * PAGE));
	munmap(p + PAGE, PAGE);
	S(mlock(p, 2 * PAGE));
	S(mlock2(p, PAGE, 2));
	S(mlockall(0));
	S(mlockall(8));
	S(munlockall());
}

TEST(brk_grows_and_shrinks) {
	char *old = sbrk(0);
	P("%d\n", sbrk(3 * PAGE) == old);
	memset(old, 'a', 3 * PAGE);
	sbrk(-2 * PAGE);
	sbrk(2 * PAGE);
	P("%c %d\n", old[0], old[2 * PAGE + PAGE - 1]);
	P("%d\n", sbrk(1L << 50) == (void *)-1);
	P("%d\n", syscall(SYS_brk, 0) == (long)sbrk(0));
}

TEST(maps_file_names) {
	char name[] = "/tmp/named XXXXXX", line[600];
	int fd = mkstemp(name);
	ftruncate(fd, PAGE);
	char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	for (int i = 0; i < 2; i++) {
		FILE *f = fopen("/proc/self/maps", "r");
		while (fgets(line, sizeof line, f))
			if (strtoul(line, NULL, 16) == (unsigned long)p) P("%.4s %d %s", strchr(line, ' ') + 1, !!strstr(line, name), strstr(line, " (deleted)") ? " (deleted)\n" : "\n");
		fclose(f);
		unlink(name);
	}
}

TEST(address_space_limit) {
	struct rlimit r = {200 << 20, 200 << 20};
	S(setrlimit(RLIMIT_AS, &r));
	S(mmap(NULL, 400 << 20, RW, ANON, -1, 0));
	S(mmap(NULL, 1 << 20, RW, ANON, -1, 0) != MAP_FAILED);
	P("%d\n", sbrk(400 << 20) == (void *)-1);
}

TEST(data_limit) {
	struct rlimit r = {PAGE, PAGE};
	S(setrlimit(RLIMIT_DATA, &r));
	P("%d\n", sbrk(8 << 20) == (void *)-1);
}
