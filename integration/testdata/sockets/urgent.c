/* Out-of-band data of TCP and AF_UNIX streams: the mark, reading at it and
 * over it, SIGURG, exceptional conditions of poll, select and epoll. */
#include "case.h"
#include <sys/select.h>
#include <sys/wait.h>

static void unix_pair(int s[2]) {
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
		die("socketpair");
}

static int unread(int fd) {
	int n = -1;
	if (ioctl(fd, FIONREAD, &n) < 0)
		die("FIONREAD");
	return n;
}

static int at_mark(int fd) {
	int n = -1;
	return ioctl(fd, SIOCATMARK, &n) < 0 ? -1 : n;
}

/* put sends text and waits until it has come: what is urgent may come before
 * what it is part of. */
static void put(int from, int to, const char *text, int flags) {
	char what[64];
	snprintf(what, sizeof what, "send \"%s\"%s", text, flags & MSG_OOB ? " MSG_OOB" : "");
	errno = 0;
	show(what, send(from, text, strlen(text), flags));
	struct timespec t = {0, 2000000};
	nanosleep(&t, NULL);
}

static void get(int fd, int room, int flags) {
	char b[64] = "", what[64];
	snprintf(what, sizeof what, "recv %d%s%s%s%s", room, flags & MSG_OOB ? " MSG_OOB" : "", flags & MSG_PEEK ? " MSG_PEEK" : "",
		flags & MSG_WAITALL ? " MSG_WAITALL" : "", flags & MSG_DONTWAIT ? " MSG_DONTWAIT" : "");
	errno = 0;
	int n = show(what, recv(fd, b, room, flags));
	if (n > 0)
		printf("  \"%.*s\"\n", n, b);
}

/* What FIONREAD of AF_UNIX counts differs from version to version. */
static void look(int fd) {
	int domain;
	socklen_t n = sizeof domain;
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
	printf("  mark %d", at_mark(fd));
	if (domain != AF_UNIX)
		printf(" unread %d", unread(fd));
	ready("", fd);
}

typedef void pairs(int s[2]);

/* Both kinds of sockets do each of these. */

static void plain(pairs *pair) {
	int s[2];
	pair(s);
	look(s[1]);
	get(s[1], 1, MSG_OOB | MSG_DONTWAIT);
	put(s[0], s[1], "abc", MSG_OOB);
	look(s[1]);
	get(s[1], 8, MSG_OOB | MSG_PEEK);
	get(s[1], 8, MSG_OOB);
	look(s[1]);
	get(s[1], 8, MSG_OOB);
	get(s[1], 8, 0);
	look(s[1]);
	get(s[1], 8, MSG_DONTWAIT);
	look(s[1]);
	put(s[0], s[1], "", MSG_OOB);
	look(s[1]);
}

static void read_over(pairs *pair) {
	int s[2];
	pair(s);
	put(s[0], s[1], "12", 0);
	put(s[0], s[1], "3", MSG_OOB);
	put(s[0], s[1], "45", 0);
	look(s[1]);
	get(s[1], 8, MSG_PEEK);
	get(s[1], 1, 0);
	look(s[1]);
	get(s[1], 8, 0);
	look(s[1]);
	get(s[1], 8, MSG_PEEK);
	look(s[1]);
	get(s[1], 1, 0);
	look(s[1]);
	get(s[1], 8, MSG_OOB);
	get(s[1], 8, 0);
	look(s[1]);
}

static void read_after_taking(pairs *pair) {
	int s[2];
	pair(s);
	put(s[0], s[1], "12", 0);
	put(s[0], s[1], "3", MSG_OOB);
	put(s[0], s[1], "45", 0);
	get(s[1], 1, MSG_OOB);
	look(s[1]);
	get(s[1], 8, 0);
	look(s[1]);
	get(s[1], 8, 0);
	look(s[1]);
}

static void superseded(pairs *pair) {
	int s[2];
	pair(s);
	put(s[0], s[1], "ab", MSG_OOB);
	put(s[0], s[1], "cd", MSG_OOB);
	look(s[1]);
	get(s[1], 8, MSG_OOB);
	get(s[1], 8, MSG_OOB);
	get(s[1], 8, 0);
	look(s[1]);
	get(s[1], 8, MSG_DONTWAIT);
	look(s[1]);
}

static void superseded_when_taken(pairs *pair) {
	int s[2];
	pair(s);
	put(s[0], s[1], "ab", MSG_OOB);
	get(s[1], 8, MSG_OOB);
	put(s[0], s[1], "cd", MSG_OOB);
	look(s[1]);
	get(s[1], 8, 0);
	look(s[1]);
	get(s[1], 8, MSG_OOB);
	look(s[1]);
	put(s[0], s[1], "e", 0);
	get(s[1], 8, 0);
	look(s[1]);
}

static void superseded_at_the_mark(pairs *pair) {
	int s[2];
	pair(s);
	put(s[0], s[1], "a", MSG_OOB);
	look(s[1]);
	put(s[0], s[1], "b", MSG_OOB);
	look(s[1]);
	get(s[1], 8, MSG_OOB);
	put(s[0], s[1], "c", MSG_OOB);
	look(s[1]);
	put(s[0], s[1], "d", 0);
	get(s[1], 8, 0);
	look(s[1]);
	get(s[1], 8, MSG_DONTWAIT);
	look(s[1]);
}

static void in_line(pairs *pair) {
	int s[2], on = 1;
	pair(s);
	T(setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
	put(s[0], s[1], "12", 0);
	put(s[0], s[1], "3", MSG_OOB);
	put(s[0], s[1], "45", 0);
	look(s[1]);
	get(s[1], 8, MSG_OOB);
	get(s[1], 8, 0);
	look(s[1]);
	get(s[1], 1, 0);
	look(s[1]);
	get(s[1], 8, 0);
	look(s[1]);
	put(s[0], s[1], "6", MSG_OOB);
	put(s[0], s[1], "7", 0);
	get(s[1], 8, MSG_PEEK);
	get(s[1], 8, 0);
	look(s[1]);
}

static void in_line_later(pairs *pair) {
	int s[2], on = 1;
	pair(s);
	put(s[0], s[1], "123", MSG_OOB);
	get(s[1], 8, 0);
	T(setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
	look(s[1]);
	get(s[1], 8, 0);
	look(s[1]);
}

static void wait_for_all(pairs *pair) {
	int s[2];
	pair(s);
	put(s[0], s[1], "123", MSG_OOB);
	put(s[0], s[1], "456", 0);
	get(s[1], 5, MSG_WAITALL);
	look(s[1]);
	get(s[1], 3, MSG_WAITALL);
	if (fork() == 0) {
		put(s[0], s[1], "abc", 0);
		struct timespec t = {0, 100000000};
		nanosleep(&t, NULL);
		send(s[0], "d", 1, MSG_OOB);
		send(s[0], "efgh", 4, 0);
		_exit(0);
	}
	get(s[1], 6, MSG_WAITALL);
	wait(NULL);
	look(s[1]);
	get(s[1], 8, 0);
}

static void only_at_the_mark(pairs *pair) {
	int s[2];
	pair(s);
	put(s[0], s[1], "x", MSG_OOB);
	look(s[1]);
	get(s[1], 8, MSG_PEEK | MSG_DONTWAIT);
	look(s[1]);
	get(s[1], 8, MSG_DONTWAIT);
	look(s[1]);
	get(s[1], 8, MSG_OOB);
	put(s[0], s[1], "y", MSG_OOB);
	get(s[1], 8, MSG_OOB);
	look(s[1]);
	close(s[0]);
	struct timespec t = {0, 2000000};
	nanosleep(&t, NULL);
	look(s[1]);
	get(s[1], 8, 0);
	look(s[1]);
	get(s[1], 8, MSG_OOB);
}

static void closed_by_peer(pairs *pair) {
	int s[2];
	pair(s);
	put(s[0], s[1], "abc", MSG_OOB);
	close(s[0]);
	struct timespec t = {0, 2000000};
	nanosleep(&t, NULL);
	look(s[1]);
	get(s[1], 8, 0);
	get(s[1], 8, MSG_OOB);
	look(s[1]);
	get(s[1], 8, 0);
}

/* What is lost when a socket is closed makes a reset. */
static void closed_unread(pairs *pair) {
	for (int taken = 0; taken < 2; taken++) {
		int s[2];
		pair(s);
		put(s[0], s[1], "x", MSG_OOB);
		if (taken)
			get(s[1], 1, MSG_OOB);
		close(s[1]);
		struct timespec t = {0, 2000000};
		nanosleep(&t, NULL);
		get(s[0], 1, 0);
	}
}

static void empty_buffer(pairs *pair) {
	int s[2];
	char b[4];
	pair(s);
	put(s[0], s[1], "x", MSG_OOB);
	struct msghdr h = {0};
	T(recvmsg(s[1], &h, MSG_OOB | MSG_PEEK));
	printf("%x\n", h.msg_flags);
	struct iovec v = {b, 4};
	h = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1};
	T(recvmsg(s[1], &h, MSG_OOB));
	printf("%x\n", h.msg_flags);
	put(s[0], s[1], "yz", MSG_OOB);
	h = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1};
	T(recvmsg(s[1], &h, 0));
	printf("%x\n", h.msg_flags);
}

static void exceptional(pairs *pair) {
	int s[2];
	pair(s);
	int e = epoll_create1(0);
	struct epoll_event ev = {EPOLLPRI, {.u32 = 7}};
	T(epoll_ctl(e, EPOLL_CTL_ADD, s[1], &ev));
	T(epoll_wait(e, &ev, 1, 0));
	fd_set x;
	FD_ZERO(&x);
	FD_SET(s[1], &x);
	struct timeval none = {0};
	T(select(s[1] + 1, NULL, NULL, &x, &none));
	if (fork() == 0) {
		struct timespec t = {0, 50000000};
		nanosleep(&t, NULL);
		_exit(send(s[0], "ab", 2, MSG_OOB) != 2);
	}
	struct pollfd p = {s[1], POLLPRI, 0};
	T(poll(&p, 1, 5000));
	show_events("poll", p.revents);
	wait(NULL);
	T(epoll_wait(e, &ev, 1, 5000));
	show_events("epoll", ev.events);
	FD_SET(s[1], &x);
	T(select(s[1] + 1, NULL, NULL, &x, &none));
	T(FD_ISSET(s[1], &x) != 0);
	ev = (struct epoll_event){EPOLLPRI | EPOLLET, {.u32 = 7}};
	T(epoll_ctl(e, EPOLL_CTL_MOD, s[1], &ev));
	T(epoll_wait(e, &ev, 1, 0));
	T(epoll_wait(e, &ev, 1, 0));
	get(s[1], 1, MSG_OOB);
	ready("taken", s[1]);
	put(s[0], s[1], "c", MSG_OOB);
	T(epoll_wait(e, &ev, 1, 5000));
	show_events("epoll", ev.events);
	FD_SET(s[1], &x);
	get(s[1], 1, MSG_OOB);
	T(select(s[1] + 1, NULL, NULL, &x, &none));
}

static char taken;
static volatile int signals, code, sender, socket_fd;
static void came(int sig, siginfo_t *i, void *u) {
	signals++;
	code = i->si_code;
	sender = i->si_pid;
}

static void take(int sig) {
	if (recv(socket_fd, &taken, 1, MSG_OOB) != 1)
		taken = '?';
}

/* told waits a little for signals, and long for the one that must come. */
static void told(const char *when, int expected) {
	for (int i = 0; i < 10 || i < 500 && signals < expected; i++) {
		struct timespec t = {0, 3000000};
		nanosleep(&t, NULL);
	}
	printf("%s: %d signals, code %s\n", when, signals, code == SI_KERNEL ? "SI_KERNEL" : code == POLL_PRI ? "POLL_PRI" : code == POLL_IN ? "POLL_IN" : code ? "other" : "none");
	signals = code = 0;
}

static void sigurg(pairs *pair) {
	int s[2];
	pair(s);
	struct sigaction a = {.sa_sigaction = came, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGURG, &a, NULL);
	put(s[0], s[1], "a", MSG_OOB);
	told("without an owner", 0);
	T(fcntl(s[1], F_SETOWN, getpid()));
	put(s[0], s[1], "b", 0);
	told("ordinary data", 0);
	put(s[0], s[1], "c", MSG_OOB);
	told("urgent data", 1);
	put(s[0], s[1], "de", MSG_OOB);
	told("more of it", 1);
	put(s[0], s[1], "f", 0);
	told("ordinary data after it", 0);
	get(s[1], 1, MSG_OOB);
	put(s[0], s[1], "g", MSG_OOB);
	told("the next", 1);
	get(s[1], 16, 0);
	get(s[1], 16, MSG_DONTWAIT);
	put(s[0], s[1], "h", MSG_OOB);
	told("after it was passed", 1);
	T(fcntl(s[1], F_SETOWN, 0));
	put(s[0], s[1], "i", MSG_OOB);
	told("without an owner", 0);
	int go[2];
	pipe(go);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGURG, SIG_DFL);
		read(go[0], &taken, 1);
		put(s[0], s[1], "j", MSG_OOB);
		kill(getpid(), SIGURG);
		_exit(3);
	}
	T(fcntl(s[1], F_SETOWN, child));
	write(go[1], "", 1);
	int status;
	waitpid(child, &status, 0);
	T(WEXITSTATUS(status));
	told("the child's", 0);
}

static void sigurg_takes(pairs *pair) {
	int s[2];
	char b[8];
	pair(s);
	socket_fd = s[1];
	struct sigaction a = {.sa_handler = take};
	sigaction(SIGURG, &a, NULL);
	T(fcntl(s[1], F_SETOWN, getpid()));
	if (fork() == 0) {
		struct timespec t = {0, 50000000};
		nanosleep(&t, NULL);
		_exit(send(s[0], "!", 1, MSG_OOB) != 1);
	}
	T(read(s[1], b, 8));
	while (waitpid(-1, NULL, 0) < 0)
		;
	printf("%c\n", taken);
	look(s[1]);
}

static void setsig(pairs *pair) {
	int s[2];
	pair(s);
	struct sigaction a = {.sa_sigaction = came, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGURG, &a, NULL);
	T(fcntl(s[1], F_SETOWN, getpid()));
	T(fcntl(s[1], F_SETSIG, SIGRTMIN));
	put(s[0], s[1], "a", MSG_OOB);
	told("SIGURG", 1);
	int pri = 0;
	sigset_t rt;
	sigemptyset(&rt);
	sigaddset(&rt, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &rt, NULL);
	T(fcntl(s[1], F_SETFL, O_ASYNC));
	put(s[0], s[1], "b", MSG_OOB);
	told("SIGURG", 1);
	siginfo_t i;
	struct timespec none = {0};
	while (sigtimedwait(&rt, &i, &none) > 0)
		if (i.si_code == POLL_PRI)
			printf("POLL_PRI %d band %lx, %d\n", ++pri, i.si_band, i.si_fd == s[1]);
}

#define BOTH(what)                                                             \
	CASE(tcp_urgent_##what) { what(tcp_pair); }                            \
	CASE(unix_urgent_##what) { what(unix_pair); }

BOTH(plain)
BOTH(read_over)
BOTH(read_after_taking)
BOTH(superseded)
BOTH(superseded_when_taken)
BOTH(superseded_at_the_mark)
BOTH(in_line)
BOTH(in_line_later)
BOTH(wait_for_all)
BOTH(only_at_the_mark)
BOTH(closed_by_peer)
BOTH(closed_unread)
BOTH(exceptional)
BOTH(empty_buffer)
BOTH(sigurg)
BOTH(sigurg_takes)
BOTH(setsig)

static void owner_by_ioctl(pairs *pair) {
	int s[2], p[2], id = getpid(), got = -1;
	pair(s);
	T(ioctl(s[1], 0x8901 /* FIOSETOWN */, &id));
	T(fcntl(s[1], F_GETOWN) == id);
	T(ioctl(s[1], 0x8903 /* FIOGETOWN */, &got));
	T(got == id);
	id = -getpgrp();
	T(ioctl(s[1], 0x8902 /* SIOCSPGRP */, &id));
	T(ioctl(s[1], 0x8904 /* SIOCGPGRP */, &got));
	T(got == id);
	id = 4000000;
	T(ioctl(s[1], 0x8902, &id));
	T(ioctl(s[1], 0x8902, (void *)8));
	T(ioctl(s[1], 0x8904, (void *)8));
	pipe(p);
	T(ioctl(p[0], 0x8901, &id));
	T(ioctl(p[0], 0x8904, &id));
}
BOTH(owner_by_ioctl)

CASE(tcp_urgent_unconnected) {
	int port, l = listener(AF_INET, &port), s[2];
	char b[4];
	T(recv(l, b, 1, MSG_OOB));
	T(send(l, b, 1, MSG_OOB | MSG_NOSIGNAL));
	T(at_mark(l));
	int c = socket(AF_INET, SOCK_STREAM, 0);
	T(recv(c, b, 1, MSG_OOB));
	T(at_mark(c));
	int u = socket(AF_INET, SOCK_DGRAM, 0);
	T(at_mark(u));
	tcp_pair(s);
	shutdown(s[0], SHUT_WR);
	T(send(s[0], "x", 1, MSG_OOB | MSG_NOSIGNAL));
	T(recv(s[1], b, 1, MSG_OOB));
}

CASE(unix_urgent_others) {
	int s[2];
	char b[4];
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	T(recv(c, b, 1, MSG_OOB));
	T(send(c, b, 1, MSG_OOB | MSG_NOSIGNAL));
	T(at_mark(c));
	unix_pair(s);
	shutdown(s[0], SHUT_WR);
	T(send(s[0], "x", 1, MSG_OOB | MSG_NOSIGNAL));
	T(recv(s[1], b, 1, MSG_OOB));
	T(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	T(send(s[0], "x", 1, MSG_OOB | MSG_NOSIGNAL));
	T(recv(s[1], b, 1, MSG_OOB));
	T(at_mark(s[1]));
	T(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	T(send(s[0], "x", 1, MSG_OOB | MSG_NOSIGNAL));
	T(recv(s[1], b, 1, MSG_OOB));
	T(at_mark(s[1]));
}

/* Descriptors and credentials may come with what is urgent. */
CASE(unix_urgent_rights) {
	int s[2], p[2];
	unix_pair(s);
	pipe(p);
	for (int taken = 0; taken < 2; taken++) {
		char c[2] = "ab", room[64] = "", data[8];
		struct iovec v = {c, 1 + taken};
		struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = CMSG_SPACE(sizeof(int))};
		struct cmsghdr *m = CMSG_FIRSTHDR(&h);
		m->cmsg_level = SOL_SOCKET, m->cmsg_type = SCM_RIGHTS, m->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(m), &p[1], sizeof(int));
		T(sendmsg(s[0], &h, MSG_OOB));
		v = (struct iovec){data, sizeof data};
		h = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
		T(recvmsg(s[1], &h, MSG_OOB));
		printf("%zu %x\n", h.msg_controllen, h.msg_flags);
		h = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
		T(recvmsg(s[1], &h, MSG_DONTWAIT));
		printf("%zu %x\n", h.msg_controllen, h.msg_flags);
	}
}

/* A long message, larger than the buffers, whose last byte is urgent. (Of TCP it
 * is the last byte of each part that had room.) */
CASE(unix_urgent_large) {
	int s[2];
	enum { size = 6000000 };
	char *b = calloc(size, 1);
	unix_pair(s);
	if (fork() == 0) {
		memset(b, 'x', size);
		b[size - 1] = '!';
		_exit(send(s[0], b, size, MSG_OOB) != size);
	}
	close(s[0]);
	long n, all = 0;
	while (all < size - 1 && (n = read(s[1], b, size)) > 0)
		all += n;
	int status;
	wait(&status);
	T(status);
	T(all);
	T(at_mark(s[1]));
	get(s[1], 1, MSG_OOB);
	T(read(s[1], b, size));
}

/* MSG_TRUNC throws a stream's data away. */
CASE(tcp_truncate) {
	int s[2];
	tcp_pair(s);
	put(s[0], s[1], "abcdef", 0);
	char b[8] = "-------";
	T(recv(s[1], b, 3, MSG_TRUNC));
	T(recv(s[1], b + 4, 2, MSG_TRUNC | MSG_PEEK));
	puts(b);
	T(recv(s[1], b, 8, 0));
	puts(b);
}
