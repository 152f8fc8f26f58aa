#include "case.h"
#include <sys/signalfd.h>

static void got(int fd) {
	struct signalfd_siginfo i[4];
	memset(i, 0, sizeof i);
	long n = read(fd, i, sizeof i);
	show("read", n);
	for (int k = 0; k < n / (long)sizeof *i; k++)
		printf("signo %d code %d pid %d uid %d int %d ptr %lx\n", i[k].ssi_signo, i[k].ssi_code, i[k].ssi_pid == (unsigned)getpid(),
		       i[k].ssi_uid == getuid(), i[k].ssi_int, (long)i[k].ssi_ptr);
}

CASE(signalfd_basic) {
	sigset_t set, both;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGKILL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = F(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
	T(fcntl(fd, F_GETFD));
	ready("none", fd);
	got(fd);
	kill(getpid(), SIGUSR1);
	ready("usr1", fd);
	T(read(fd, &set, 8));
	got(fd);
	ready("taken", fd);
	raise(SIGTERM);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGTERM, (union sigval){.sival_int = 7});
	got(fd);
	sigemptyset(&both);
	sigaddset(&both, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &both, NULL);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 7});
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 8});
	ready("not in the set", fd);
	T(signalfd(fd, &both, 0) == fd);
	ready("in the set", fd);
	got(fd);
	T(signalfd(0, &set, 0));
	T(signalfd(99, &set, 0));
	T(signalfd(-1, &set, 77));
	T(lseek(fd, 0, SEEK_SET));
	T(write(fd, "x", 1));
}

CASE(signalfd_epoll) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, 0), e = epoll_create1(0);
	struct epoll_event ev = {EPOLLIN, {.u64 = 7}};
	T(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev));
	T(epoll_wait(e, &ev, 1, 0));
	struct itimerval it = {.it_value.tv_usec = 20000};
	setitimer(ITIMER_REAL, &it, NULL);
	T(epoll_wait(e, &ev, 1, 5000));
	got(fd);
	T(epoll_wait(e, &ev, 1, 0));
	setitimer(ITIMER_REAL, &it, NULL);
	got(fd);
}
