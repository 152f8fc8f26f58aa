#include "test.h"

static int file(void) {
	char name[] = "/tmp/lockXXXXXX";
	int fd = mkstemp(name);
	char path[50];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int again = open(path, O_RDWR);
	unlink(name);
	dup2(again, 40); // another open file of the same inode
	close(again);
	return fd;
}

static int lock(int fd, int cmd, int type, int start, int len) {
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	return fcntl(fd, cmd, &l);
}

static void holder(int fd, int cmd, int type, int start, int len) {
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	if (fcntl(fd, cmd, &l) < 0) { P("%s\n", strerrorname_np(errno)); return; }
	P("type %d start %ld len %ld pid %s\n", l.l_type, (long)l.l_start, (long)l.l_len,
	  l.l_type == F_UNLCK ? "-" : l.l_pid == getppid() ? "parent" : l.l_pid == -1 ? "-1" : "other");
}

TEST(flock_between_processes) {
	int fd = file();
	S(flock(fd, LOCK_EX));
	REAP(CHILD(S(flock(40, LOCK_EX | LOCK_NB)); S(flock(40, LOCK_SH | LOCK_NB)); S(flock(fd, LOCK_EX | LOCK_NB))));
	S(flock(fd, LOCK_SH));
	REAP(CHILD(S(flock(40, LOCK_SH | LOCK_NB)); S(flock(40, LOCK_EX | LOCK_NB))));
	REAP(CHILD(flock(fd, LOCK_UN)));
	REAP(CHILD(S(flock(40, LOCK_EX | LOCK_NB))));
}

TEST(flock_waits) {
	int fd = file();
	flock(fd, LOCK_EX);
	pid_t pid = CHILD(S(flock(40, LOCK_EX)); P("child has it\n"));
	nap(10);
	P("parent gives it up\n");
	flock(fd, LOCK_UN);
	REAP(pid);
}

TEST(posix_locks_are_not_inherited) {
	int fd = file();
	S(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	REAP(CHILD(
		S(lock(fd, F_SETLK, F_WRLCK, 5, 1));
		S(lock(fd, F_SETLK, F_RDLCK, 5, 1));
		S(lock(fd, F_SETLK, F_WRLCK, 10, 1));
		holder(fd, F_GETLK, F_RDLCK, 0, 0);
		holder(fd, F_GETLK, F_RDLCK, 20, 0)));
	S(lock(fd, F_SETLK, F_UNLCK, 3, 4));
	REAP(CHILD(holder(fd, F_GETLK, F_WRLCK, 0, 0); holder(fd, F_GETLK, F_WRLCK, 4, 0)));
}

TEST(posix_lock_waits_and_is_freed_by_exit) {
	int fd = file(), p[2];
	pipe(p);
	pid_t a = CHILD(lock(fd, F_SETLK, F_WRLCK, 0, 0); write(p[1], "x", 1); nap(20); P("holder exits\n"));
	char c;
	read(p[0], &c, 1);
	S(lock(fd, F_SETLKW, F_WRLCK, 0, 0));
	REAP(a);
}

TEST(posix_lock_freed_by_any_close) {
	int fd = file();
	lock(fd, F_SETLK, F_WRLCK, 0, 0);
	close(40);
	REAP(CHILD(S(lock(fd, F_SETLK, F_WRLCK, 0, 0))));
}

TEST(ofd_locks) {
	int fd = file();
	S(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
	S(lock(40, F_OFD_SETLK, F_WRLCK, 0, 0));
	REAP(CHILD(S(lock(fd, F_OFD_SETLK, F_RDLCK, 0, 0)); holder(40, F_OFD_GETLK, F_WRLCK, 0, 0); S(lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0))));
	S(lock(40, F_OFD_SETLK, F_WRLCK, 0, 0));
}

TEST(deadlock) {
	int fd = file(), p[2], q[2];
	pipe(p);
	pipe(q);
	lock(fd, F_SETLK, F_WRLCK, 0, 1);
	pid_t pid = CHILD(
		lock(fd, F_SETLK, F_WRLCK, 1, 1);
		write(p[1], "x", 1);
		lock(fd, F_SETLKW, F_WRLCK, 0, 1));
	char c;
	read(p[0], &c, 1);
	await(pid, 'S');
	nap(5);
	S(lock(fd, F_SETLKW, F_WRLCK, 1, 1));
	lock(fd, F_SETLK, F_UNLCK, 0, 0);
	REAP(pid);
}

TEST(lock_wait_interrupted) {
	int fd = file();
	void h(int s) {}
	struct sigaction a = {.sa_handler = h};
	sigaction(SIGALRM, &a, NULL);
	flock(fd, LOCK_EX);
	REAP(CHILD(ualarm(10000, 0); S(flock(40, LOCK_EX)); lock(fd, F_SETLK, F_UNLCK, 0, 0)));
}
