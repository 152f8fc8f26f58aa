// Who a descriptor's signals go to, and what is left to read of it.
#include "test.h"

static void owner(int fd) {
	struct f_owner_ex ex = {9, 9};
	S(fcntl(fd, F_GETOWN_EX, &ex));
	P("type %d, ours: %d, nobody: %d\n", ex.type, ex.pid == getpid() || ex.pid == getpgrp(), ex.pid == 0);
	int get = fcntl(fd, F_GETOWN);
	P("own: %d, group: %d\n", get == getpid(), get == -getpgrp());
	// glibc's F_GETOWN is F_GETOWN_EX.
	get = syscall(SYS_fcntl, fd, F_GETOWN);
	P("own: %d\n", get == getpid());
}

TEST(fcntl_owner) {
	int p[2];
	S(pipe(p));
	S(setpgid(0, 0));
	owner(p[0]);
	S(fcntl(p[0], F_SETOWN, getpid()));
	owner(p[0]);
	S(fcntl(p[0], F_SETOWN, -getpgrp()));
	owner(p[0]);
	struct f_owner_ex ex = {F_OWNER_TID, gettid()};
	S(fcntl(p[0], F_SETOWN_EX, &ex));
	owner(p[0]);
	S(fcntl(p[0], F_SETOWN, 0));
	owner(p[0]);
	S(fcntl(p[0], F_SETOWN, 4000000));
	S(fcntl(p[0], F_SETOWN, -4000000));
	S(fcntl(p[0], F_SETOWN, INT_MIN));
	ex.type = 7;
	S(fcntl(p[0], F_SETOWN_EX, &ex));
	S(fcntl(p[0], F_SETOWN_EX, (void *)8));
	S(fcntl(p[0], F_GETOWN_EX, (void *)8));
	S(fcntl(p[0], F_GETSIG));
	S(fcntl(p[0], F_SETSIG, SIGUSR1));
	S(fcntl(p[0], F_GETSIG));
	S(fcntl(p[0], F_SETSIG, 65));
	S(fcntl(p[0], F_SETSIG, -1));
	S(fcntl(p[0], F_SETSIG, 0));
}

TEST(fionread_file) {
	char name[] = "/tmp/fionreadXXXXXX";
	int fd = mkstemp(name), n = -1;
	S(write(fd, "0123456789", 10));
	S(ioctl(fd, FIONREAD, &n));
	P("%d\n", n);
	S(lseek(fd, 3, SEEK_SET));
	S(ioctl(fd, FIONREAD, &n));
	P("%d\n", n);
	S(lseek(fd, 30, SEEK_SET));
	S(ioctl(fd, FIONREAD, &n));
	P("%d\n", n);
	S(ioctl(fd, FIONREAD, (void *)8));
	S(ioctl(open("/tmp", O_RDONLY), FIONREAD, &n));
	unlink(name);
}
