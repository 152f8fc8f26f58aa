// What a process may see of another one of its user's: memory, descriptors,
// whether parts are the same.
#include "test.h"
#include <linux/kcmp.h>

static ssize_t vm_read(pid_t pid, void *to, const void *from, size_t n) {
	struct iovec l = {to, n}, r = {(void *)from, n};
	return process_vm_readv(pid, &l, 1, &r, 1, 0);
}

static ssize_t vm_write(pid_t pid, const void *from, void *to, size_t n) {
	struct iovec l = {(void *)from, n}, r = {to, n};
	return process_vm_writev(pid, &l, 1, &r, 1, 0);
}

static char text[32] = "parent";

TEST(process_vm) {
	char b[32] = "";
	int p[2], q[2];
	pipe(p), pipe(q);
	S(vm_read(getpid(), b, text, 7));
	P("%s\n", b);
	pid_t pid = CHILD(char c; strcpy(text, "child"); write(p[1], "", 1); read(q[0], &c, 1); P("%s\n", text));
	read(p[0], b, 1);
	S(vm_read(pid, b, text, 6));
	P("%s\n", b);
	S(vm_write(pid, "written", text, 8));
	P("%s\n", text);
	// Several ranges, of different sizes on both sides.
	char x[4] = "", y[16] = "";
	struct iovec l[3] = {{x, 3}, {y, 0}, {y, 5}}, r[2] = {{text, 5}, {text + 5, 3}};
	S(process_vm_readv(pid, l, 3, r, 2, 0));
	P("%s %s\n", x, y);
	// What is not there ends it: a part that was moved counts.
	struct iovec bad[2] = {{text, 4}, {(void *)8, 4}}, room = {y, 8};
	S(process_vm_readv(pid, &room, 1, bad, 2, 0));
	S(process_vm_readv(pid, &room, 1, bad + 1, 1, 0));
	struct iovec nowhere = {(void *)8, 8}, good = {text, 8};
	S(process_vm_readv(pid, &nowhere, 1, &good, 1, 0));
	S(process_vm_readv(pid, &room, 1, &good, 1, 1));
	S(process_vm_readv(pid, &room, -1, &good, 1, 0));
	S(process_vm_readv(pid, &room, 1025, &good, 1, 0));
	S(process_vm_readv(pid, (void *)8, 1, &good, 1, 0));
	S(process_vm_readv(pid, &room, 1, (void *)8, 1, 0));
	S(process_vm_readv(pid, NULL, 0, &good, 1, 0));
	S(process_vm_readv(pid, &room, 1, NULL, 0, 0));
	S(process_vm_readv(4000000, &room, 1, &good, 1, 0));
	write(q[1], "", 1);
	REAP(pid);
	S(vm_read(pid, b, text, 6));
}

TEST(process_vm_read_only) {
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(m, 'x', 8192);
	mprotect(m, 4096, PROT_READ);
	S(vm_write(getpid(), "y", m, 1));
	mprotect(m, 4096, PROT_NONE);
	char c;
	S(vm_read(getpid(), &c, m, 1));
	mprotect(m + 4096, 4096, PROT_NONE);
	mprotect(m, 4096, PROT_READ);
	char b[8192];
	S(vm_read(getpid(), b, m + 4000, 200));
}

TEST(process_vm_of_others) {
	int p[2];
	char c;
	pipe(p);
	pid_t pid = CHILD(read(p[0], &c, 1));
	pid_t other = CHILD(setgid(1000); setuid(1000); S(vm_read(pid, &c, text, 1)); S(syscall(SYS_kcmp, pid, getpid(), KCMP_VM, 0, 0)); S(syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0));
		S(syscall(438, syscall(SYS_pidfd_open, pid, 0), p[0], 0)));
	REAP(other);
	write(p[1], "", 1);
	REAP(pid);
}

static int kcmp(pid_t a, pid_t b, int type, long x, long y) { return syscall(SYS_kcmp, a, b, type, x, y); }

static void *compare(void *tid) {
	pid_t me = gettid(), other = *(pid_t *)tid;
	for (int type = KCMP_VM; type <= KCMP_SYSVSEM; type++)
		P("thread, type %d: %d\n", type, kcmp(me, other, type, 0, 0) == 0);
	return NULL;
}

TEST(kcmp) {
	pid_t me = getpid();
	int a = open("/tmp", O_RDONLY), b = dup(a), c = open("/tmp", O_RDONLY), p[2];
	pipe(p);
	S(kcmp(me, me, KCMP_FILE, a, b));
	int less = kcmp(me, me, KCMP_FILE, a, c), more = kcmp(me, me, KCMP_FILE, c, a);
	P("%d %d\n", less == 1 || less == 2, less + more);
	S(kcmp(me, me, KCMP_FILE, a, 99));
	S(kcmp(me, me, KCMP_FILE, 99, a));
	S(kcmp(me, 4000000, KCMP_FILE, a, a));
	S(kcmp(me, me, 99, 0, 0));
	char x;
	pid_t pid = CHILD(read(p[0], &x, 1));
	S(kcmp(me, pid, KCMP_FILE, a, b));
	for (int type = KCMP_VM; type <= KCMP_SYSVSEM; type++)
		P("child, type %d: %d\n", type, kcmp(me, pid, type, 0, 0) == 0);
	write(p[1], "", 1);
	REAP(pid);
	pthread_t t;
	pthread_create(&t, NULL, compare, &me);
	pthread_join(t, NULL);
}

TEST(pidfd_getfd) {
	int p[2], q[2], r[2];
	char b[8] = "";
	pipe(p), pipe(q);
	pid_t pid = CHILD(int r[2]; char c; pipe(r); write(r[1], "hello", 5); dup2(r[0], 50); write(p[1], "", 1); read(q[0], &c, 1));
	read(p[0], b, 1);
	int fd = syscall(SYS_pidfd_open, pid, 0);
	int got = syscall(438, fd, 50, 0);
	P("%d\n", got >= 0);
	S(read(got, b, 8));
	P("%s\n", b);
	S(fcntl(got, F_GETFD));
	S(syscall(438, fd, 77, 0));
	S(syscall(438, fd, 50, 1));
	S(syscall(438, q[0], 50, 0));
	S(syscall(438, 99, 50, 0));
	write(q[1], "", 1);
	waitid(P_PID, pid, &(siginfo_t){0}, WEXITED | WNOWAIT);
	S(syscall(438, fd, 50, 0));
	REAP(pid);
	S(syscall(438, fd, 50, 0));
}
