// Who a descriptor's signals go to, and what is left to read of it.
#include "test.h"
#include <sys/eventfd.h>
#include <sys/socket.h>

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

static volatile int io_signals, io_code, io_fd;
static volatile long io_band;
static void io_arrived(int sig, siginfo_t *i, void *u) {
	io_signals++;
	io_code = i->si_code;
	io_band = i->si_band;
	io_fd = i->si_fd;
}

static void io_handle(int sig) {
	struct sigaction sa = {.sa_sigaction = io_arrived, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(sig, &sa, NULL);
	io_signals = io_code = 0;
}

TEST(sigio_of_pipe) {
	int p[2];
	pipe(p);
	io_handle(SIGIO);
	S(fcntl(p[0], F_SETOWN, getpid()));
	S(fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	S(fcntl(p[0], F_GETFL));
	write(p[1], "x", 1);
	nap(50);
	P("%d\n", io_signals);
	char c;
	read(p[0], &c, 1);
	S(fcntl(p[0], F_SETFL, O_NONBLOCK));
	write(p[1], "x", 1);
	nap(50);
	P("%d\n", io_signals);
}

TEST(sigio_with_number) {
	int s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	io_handle(SIGRTMIN);
	S(fcntl(s[0], F_SETOWN, getpid()));
	S(fcntl(s[0], F_SETSIG, SIGRTMIN));
	S(fcntl(s[0], F_SETFL, O_ASYNC));
	write(s[1], "x", 1);
	nap(50);
	P("%d %d %lx %d\n", io_signals > 0, io_code, io_band, io_fd == s[0]);
	close(s[0]);
}

TEST(sigio_of_nobody) {
	int p[2];
	pipe(p);
	io_handle(SIGIO);
	S(fcntl(p[0], F_SETFL, O_ASYNC));
	write(p[1], "x", 1);
	nap(50);
	P("%d\n", io_signals);
	S(fcntl(eventfd(0, 0), F_SETFL, O_ASYNC));
}

// in_dir makes a directory and opens it.
static int in_dir(void) {
	char name[] = "/tmp/dnotify_XXXXXX";
	chdir(mkdtemp(name));
	return open(".", O_RDONLY);
}

#define EVENT(...) do { io_code = io_signals = 0; __VA_ARGS__; nap(20); P("%s: %d %d\n", #__VA_ARGS__, io_signals > 0, io_code); } while (0)

TEST(dnotify_events) {
	int d = in_dir(), fd, *ds = &d;
	io_handle(SIGRTMIN);
	S(fcntl(d, F_SETSIG, SIGRTMIN));
	S(fcntl(d, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
	EVENT(fd = open("a", O_CREAT | O_RDWR, 0600));
	EVENT(mkdir("sub", 0700));
	EVENT(write(fd, "x", 1));
	S(fcntl(d, F_NOTIFY, DN_MODIFY | DN_MULTISHOT));
	EVENT(write(fd, "x", 1));
	EVENT(rename("a", "b"));
	S(fcntl(d, F_NOTIFY, DN_DELETE | DN_ATTRIB | DN_RENAME | DN_ACCESS | DN_MULTISHOT));
	EVENT(chmod("b", 0644));
	EVENT(pread(fd, ds, 1, 0));
	EVENT(rename("b", "c"));
	EVENT(unlink("c"));
	S(fcntl(d, F_NOTIFY, 0));
	EVENT(rmdir("sub"));
	EVENT(mkdir("sub", 0700));
	rmdir("sub");
}

TEST(dnotify_once) {
	int d = in_dir();
	io_handle(SIGIO);
	S(fcntl(d, F_NOTIFY, DN_CREATE));
	EVENT(close(creat("a", 0600)));
	EVENT(close(creat("b", 0600)));
	S(fcntl(d, F_NOTIFY, DN_DELETE));
	S(fcntl(d, F_GETOWN) == getpid());
	EVENT(unlink("a"));
	EVENT(unlink("b"));
	S(fcntl(open("/dev/null", O_RDONLY), F_NOTIFY, DN_CREATE));
	S(fcntl(d, F_NOTIFY, DN_CREATE));
	close(d);
	EVENT(close(creat("a", 0600)));
	unlink("a");
}
