#include "case.h"

/* pass sends data with descriptors, take receives; what came is printed. */
static long pass(int s, const char *data, size_t n, int *fds, int nfds) {
	char c[CMSG_SPACE(4 * 260)] = {0};
	struct iovec v = {(void *)data, n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(4 * nfds)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(4 * nfds);
	memcpy(CMSG_DATA(h), fds, 4 * nfds);
	return sendmsg(s, &m, 0);
}

static int got[8], ngot;

static long take(int s, size_t room, size_t control, int flags) {
	char c[512], b[64];
	struct iovec v = {b, room};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control ? c : NULL, .msg_controllen = control};
	ngot = 0;
	long r = recvmsg(s, &m, flags);
	int e = errno;
	printf("flags %x, controllen %zu\n", m.msg_flags, r < 0 ? 0 : m.msg_controllen);
	if (r >= 0)
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
			printf("level %d type %d len %zu\n", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len);
			if (h->cmsg_type == SCM_RIGHTS) {
				ngot = (h->cmsg_len - CMSG_LEN(0)) / 4;
				memcpy(got, CMSG_DATA(h), 4 * (ngot < 8 ? ngot : 8));
			}
		}
	errno = e;
	return r;
}

CASE(rights_basic) {
	int s[2], p[2];
	char b[8] = "";
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pipe(p);
	T(pass(s[0], "x", 1, p, 2));
	T(close(p[0]));
	T(close(p[1]));
	T(take(s[1], 8, CMSG_SPACE(8), MSG_CMSG_CLOEXEC));
	T(ngot);
	T(fcntl(got[0], F_GETFD));
	T(write(got[1], "through", 7));
	T(read(got[0], b, 8));
	puts(b);
}

CASE(rights_truncated) {
	int s[2], p[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pipe(p);
	T(pass(s[0], "x", 1, p, 2));
	T(take(s[1], 8, CMSG_SPACE(4) - 4, 0));
	T(pass(s[0], "x", 1, p, 2));
	T(take(s[1], 8, 0, 0));
	T(pass(s[0], "x", 1, p, 2));
	T(take(s[1], 8, 8, 0));
	T(pass(s[0], "x", 1, p, 1));
	char b[4];
	T(read(s[1], b, 4));
}

CASE(rights_borders) {
	int s[2], p[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pipe(p);
	write(s[0], "aa", 2);
	pass(s[0], "bbb", 3, p, 1);
	write(s[0], "cccc", 4);
	T(take(s[1], 64, CMSG_SPACE(8), 0));
	T(ngot);
	T(take(s[1], 64, CMSG_SPACE(8), 0));
	pass(s[0], "bbb", 3, p, 1);
	T(take(s[1], 1, CMSG_SPACE(8), 0));
	T(take(s[1], 64, CMSG_SPACE(8), 0));
	pass(s[0], "d", 1, p, 1);
	pass(s[0], "e", 1, p, 1);
	T(take(s[1], 64, CMSG_SPACE(8), 0));
	T(take(s[1], 64, CMSG_SPACE(8), 0));
}

CASE(rights_peek) {
	int s[2], p[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pipe(p);
	pass(s[0], "bbb", 3, p, 1);
	T(take(s[1], 64, CMSG_SPACE(8), MSG_PEEK));
	int first = got[0];
	T(take(s[1], 64, CMSG_SPACE(8), 0));
	T(first != got[0]);
	T(fcntl(first, F_GETFD));
	T(take(s[1], 64, CMSG_SPACE(8), MSG_DONTWAIT));
}

CASE(rights_errors) {
	int s[2], bad[1] = {99}, many[260];
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	for (int i = 0; i < 260; i++)
		many[i] = 1;
	T(pass(s[0], "x", 1, bad, 1));
	T(pass(s[0], "x", 1, many, 254));
	T(pass(s[0], "x", 1, many, 253));
	T(pass(s[0], "", 0, many, 1));
	char c[64] = {0};
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
	struct cmsghdr *h = (struct cmsghdr *)c;
	h->cmsg_len = 8;
	T(sendmsg(s[0], &m, 0));
	h->cmsg_len = 100;
	T(sendmsg(s[0], &m, 0));
	h->cmsg_len = 20;
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = 77;
	T(sendmsg(s[0], &m, 0));
	h->cmsg_level = 123;
	T(sendmsg(s[0], &m, 0));
}

CASE(rights_of_a_socket) {
	int s[2], t[2];
	char b[4];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	socketpair(AF_UNIX, SOCK_STREAM, 0, t);
	T(pass(s[0], "x", 1, &t[1], 1));
	close(t[1]);
	T(write(t[0], "hey", 3));
	ready("in flight", t[0]);
	T(take(s[1], 4, CMSG_SPACE(4), 0));
	T(read(got[0], b, 4));
	T(pass(s[0], "x", 1, &got[0], 1));
	close(got[0]);
	close(s[1]);
	ready("lost in flight", t[0]);
}

/* What is on its way is bounded, and counted down when it is received or lost. */
CASE(rights_bounded) {
	int s[2], fd = 1, sent = 0;
	for (int round = 0; round < 2; round++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, s);
		fcntl(s[0], F_SETFL, O_NONBLOCK);
		for (int i = 0; i < 200; i++)
			sent += pass(s[0], "x", 1, &fd, 1) == 1;
		for (int i = 0; i < 100; i++)
			take(s[1], 1, CMSG_SPACE(4), 0), close(got[0]);
		close(s[0]);
		close(s[1]);
	}
	T(sent);
}

CASE(creds) {
	int s[2], on = 1;
	struct ucred u;
	socklen_t n = sizeof u;
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	T(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &n));
	T(n);
	T(u.pid == getpid() && u.uid == getuid() && u.gid == getgid());
	int f = socket(AF_UNIX, SOCK_STREAM, 0);
	T(getsockopt(f, SOL_SOCKET, SO_PEERCRED, &u, &n));
	printf("%d %d %d\n", u.pid, u.uid, u.gid);
	T(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	write(s[0], "x", 1);
	char c[128];
	struct iovec v = {c, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
	T(recvmsg(s[1], &m, 0));
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	printf("%d %d %zu %zu\n", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len, m.msg_controllen);
	memcpy(&u, CMSG_DATA(h), sizeof u);
	T(u.pid == getpid() && u.uid == getuid() && u.gid == getgid());
	struct { struct cmsghdr h; struct ucred u; } out = {{CMSG_LEN(sizeof u), SOL_SOCKET, SCM_CREDENTIALS}, {getpid(), getuid(), getgid()}};
	m.msg_control = &out;
	m.msg_controllen = CMSG_SPACE(sizeof u);
	T(sendmsg(s[0], &m, 0));
	out.h.cmsg_len = CMSG_LEN(4);
	T(sendmsg(s[0], &m, 0));
}
