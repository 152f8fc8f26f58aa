#include "case.h"
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static int add(int e, int fd, uint32_t events, int tag) {
	struct epoll_event ev = {events, {.u64 = tag}};
	return epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
}

static int mod(int e, int fd, uint32_t events, int tag) {
	struct epoll_event ev = {events, {.u64 = tag}};
	return epoll_ctl(e, EPOLL_CTL_MOD, fd, &ev);
}

/* collect prints what epoll_wait gives now, by ascending tag. */
static void collect(const char *what, int e) {
	struct epoll_event ev[16];
	int n = epoll_wait(e, ev, 16, 0);
	printf("%s: %d", what, n);
	for (int tag = 0; tag < 20; tag++)
		for (int i = 0; i < n; i++)
			if ((int)ev[i].data.u64 == tag)
				printf(" %d:%x", tag, ev[i].events);
	printf("\n");
}

CASE(epoll_errors) {
	int e = F(epoll_create1(0)), s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	struct epoll_event ev;
	T(epoll_create(0));
	T(epoll_create1(77));
	T(add(e, s[0], EPOLLIN, 1));
	T(add(e, s[0], EPOLLIN, 1));
	T(mod(e, s[1], EPOLLIN, 1));
	T(epoll_ctl(e, EPOLL_CTL_DEL, s[1], NULL));
	T(epoll_ctl(e, 9, s[1], &ev));
	T(epoll_ctl(e, EPOLL_CTL_ADD, 99, &ev));
	T(epoll_ctl(99, EPOLL_CTL_ADD, s[1], &ev));
	T(epoll_ctl(s[0], EPOLL_CTL_ADD, s[1], &ev));
	T(epoll_ctl(e, EPOLL_CTL_ADD, e, &ev));
	T(epoll_ctl(e, EPOLL_CTL_ADD, s[1], (void *)8));
	T(epoll_wait(e, &ev, 0, 0));
	T(epoll_wait(e, &ev, -1, 0));
	T(epoll_wait(s[0], &ev, 1, 0));
	int f = open("file", O_RDWR | O_CREAT, 0600);
	T(add(e, f, EPOLLIN, 1));
	T(epoll_ctl(e, EPOLL_CTL_DEL, s[0], NULL));
	T(epoll_wait(e, &ev, 1, 0));
	char b[4];
	T(read(e, b, 4));
	T(write(e, b, 4));
}

CASE(epoll_level) {
	int e = epoll_create1(0), s[2];
	char b[8];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	add(e, s[0], EPOLLIN, 1);
	add(e, s[1], EPOLLIN | EPOLLOUT, 2);
	collect("fresh", e);
	write(s[1], "abc", 3);
	collect("data", e);
	collect("still", e);
	ready("epoll", e);
	read(s[0], b, 2);
	collect("some", e);
	read(s[0], b, 2);
	collect("none", e);
	mod(e, s[1], EPOLLIN, 3);
	collect("changed", e);
	ready("epoll", e);
	close(s[1]);
	collect("closed", e);
	mod(e, s[0], 0, 4);
	collect("always", e);
	mod(e, s[0], EPOLLIN | EPOLLRDHUP | EPOLLRDNORM, 4);
	collect("rdhup", e);
}

CASE(epoll_edge) {
	int e = epoll_create1(0), s[2];
	char b[8];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	write(s[1], "a", 1);
	add(e, s[0], EPOLLIN | EPOLLET, 1);
	collect("at first", e);
	collect("again", e);
	write(s[1], "b", 1);
	collect("more", e);
	collect("again", e);
	read(s[0], b, 1);
	collect("read one", e);
	mod(e, s[0], EPOLLIN | EPOLLET, 1);
	collect("modified", e);
	read(s[0], b, 8);
	write(s[1], "c", 1);
	read(s[0], b, 8);
	collect("came and went", e);
	mod(e, s[0], EPOLLOUT | EPOLLET, 1);
	collect("out", e);
	collect("out again", e);
	shutdown(s[1], SHUT_WR);
	collect("shutdown", e);
	mod(e, s[0], EPOLLIN | EPOLLRDHUP | EPOLLET, 1);
	collect("rdhup", e);
	collect("rdhup again", e);
}

CASE(epoll_edge_writable) {
	int e = epoll_create1(0), s[2];
	static char b[65536];
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	add(e, s[0], EPOLLOUT | EPOLLET, 1);
	collect("at first", e);
	while (write(s[0], b, sizeof b) > 0)
		;
	collect("full", e);
	while (read(s[1], b, sizeof b) > 0)
		;
	collect("empty", e);
	collect("again", e);
}

CASE(epoll_oneshot) {
	int e = epoll_create1(0), s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	write(s[1], "a", 1);
	add(e, s[0], EPOLLIN | EPOLLONESHOT, 1);
	collect("once", e);
	collect("twice", e);
	write(s[1], "b", 1);
	collect("more", e);
	close(s[1]);
	collect("closed", e);
	T(add(e, s[0], EPOLLIN, 1));
	T(mod(e, s[0], EPOLLIN | EPOLLONESHOT | EPOLLET, 2));
	collect("armed", e);
	collect("again", e);
}

CASE(epoll_exclusive) {
	int e = epoll_create1(0), f = epoll_create1(0), s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	T(add(e, s[0], EPOLLIN | EPOLLEXCLUSIVE, 1));
	T(mod(e, s[0], EPOLLIN, 1));
	T(add(e, s[1], EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 1));
	T(add(e, s[1], EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP, 1));
	T(add(e, f, EPOLLIN | EPOLLEXCLUSIVE, 1));
	T(add(e, s[1], EPOLLIN, 2));
	T(mod(e, s[1], EPOLLIN | EPOLLEXCLUSIVE, 2));
	write(s[1], "a", 1);
	collect("data", e);
}

CASE(epoll_nested) {
	int e[8], s[2];
	for (int i = 0; i < 8; i++)
		e[i] = epoll_create1(0);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	T(add(e[0], s[0], EPOLLIN, 1));
	T(add(e[1], e[0], EPOLLIN, 2));
	T(add(e[0], e[1], EPOLLIN, 3));
	collect("quiet", e[1]);
	write(s[1], "a", 1);
	ready("inner", e[0]);
	collect("outer", e[1]);
	collect("outer", e[1]);
	char b;
	read(s[0], &b, 1);
	collect("quiet again", e[1]);
	mod(e[1], e[0], EPOLLIN | EPOLLET, 2);
	write(s[1], "a", 1);
	collect("edge", e[1]);
	collect("edge again", e[1]);
	collect("inner", e[0]);
	T(add(e[2], e[1], EPOLLIN, 1));
	T(add(e[3], e[2], EPOLLIN, 1));
	T(add(e[4], e[3], EPOLLIN, 1));
	T(add(e[5], e[4], EPOLLIN, 1));
	T(add(e[6], e[5], EPOLLIN, 1));
}

CASE(epoll_dup) {
	int e = epoll_create1(0), s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	int d = dup(s[0]);
	write(s[1], "a", 1);
	T(add(e, s[0], EPOLLIN, 1));
	T(add(e, d, EPOLLIN, 2));
	collect("both", e);
	close(s[0]);
	collect("first closed", e);
	int other[2];
	pipe(other);
	T(other[0] == s[0]);
	T(add(e, s[0], EPOLLIN, 3));
	T(epoll_ctl(e, EPOLL_CTL_DEL, s[0], NULL));
	collect("number used again", e);
	close(d);
	collect("all closed", e);
}

CASE(epoll_maxevents) {
	int e = epoll_create1(0), n = 0;
	struct epoll_event ev[4];
	int seen[6] = {0};
	for (int i = 0; i < 6; i++) {
		int s[2];
		socketpair(AF_UNIX, SOCK_STREAM, 0, s);
		write(s[1], "a", 1);
		add(e, s[0], EPOLLIN, i);
	}
	for (int round = 0; round < 3; round++) {
		int got = epoll_wait(e, ev, 2, 0);
		for (int i = 0; i < got; i++)
			seen[ev[i].data.u64]++;
	}
	for (int i = 0; i < 6; i++)
		n += seen[i] == 1;
	T(n);
}

CASE(epoll_kinds) {
	int e = epoll_create1(0), p[2];
	uint64_t one = 1, v;
	pipe(p);
	int ev = eventfd(0, 0), t = timerfd_create(CLOCK_MONOTONIC, 0);
	add(e, p[0], EPOLLIN, 1);
	add(e, p[1], EPOLLOUT, 2);
	add(e, ev, EPOLLIN | EPOLLOUT, 3);
	add(e, t, EPOLLIN, 4);
	collect("fresh", e);
	write(ev, &one, 8);
	struct itimerspec its = {.it_value.tv_nsec = 1};
	timerfd_settime(t, 0, &its, NULL);
	struct pollfd pt = {t, POLLIN, 0};
	poll(&pt, 1, 1000);
	collect("all", e);
	read(ev, &v, 8);
	read(t, &v, 8);
	close(p[0]);
	collect("pipe", e);
}

CASE(eventfds) {
	uint64_t v = 5;
	int e = F(eventfd(3, EFD_NONBLOCK));
	T(read(e, &v, 4));
	T(read(e, &v, 8));
	printf("%lu\n", v);
	T(read(e, &v, 8));
	T(write(e, &v, 4));
	v = -1;
	T(write(e, &v, 8));
	v = -2;
	T(write(e, &v, 8));
	ready("full", e);
	T(write(e, &v, 8));
	v = 0;
	T(write(e, &v, 8));
	T(read(e, &v, 8));
	printf("%lu\n", v);
	int s = F(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC));
	T(fcntl(s, F_GETFD));
	T(read(s, &v, 8));
	printf("%lu\n", v);
	T(read(s, &v, 8));
	T(read(s, &v, 8));
	T(eventfd(0, 0x77));
	T(lseek(s, 0, SEEK_SET));
	T(pread(s, &v, 8, 0));
}

CASE(timerfds) {
	uint64_t v = 0;
	struct itimerspec its = {.it_value.tv_nsec = 5000000, .it_interval.tv_nsec = 5000000}, old;
	int t = F(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	T(timerfd_create(77, 0));
	T(timerfd_create(CLOCK_REALTIME, 77));
	T(read(t, &v, 8));
	T(timerfd_settime(t, 0, &its, &old));
	printf("%ld %ld\n", (long)old.it_value.tv_nsec, (long)old.it_interval.tv_nsec);
	struct pollfd p = {t, POLLIN, 0};
	T(poll(&p, 1, 1000));
	T(read(t, &v, 4));
	T(read(t, &v, 8));
	T(v >= 1);
	usleep(30000);
	T(read(t, &v, 8));
	T(v >= 3 && v < 1000);
	T(timerfd_gettime(t, &old));
	T(old.it_interval.tv_nsec);
	its = (struct itimerspec){0};
	T(timerfd_settime(t, 0, &its, NULL));
	T(read(t, &v, 8));
	its.it_value.tv_sec = 1;
	T(timerfd_settime(t, TFD_TIMER_ABSTIME, &its, NULL));
	T(poll(&p, 1, 1000));
	T(read(t, &v, 8));
	printf("%lu\n", v);
	its.it_value.tv_nsec = 2000000000;
	T(timerfd_settime(t, 0, &its, NULL));
	T(timerfd_settime(0, 0, &its, NULL));
	T(timerfd_settime(t, 99, &its, NULL));
	T(timerfd_settime(t, 0, (void *)8, NULL));
}
