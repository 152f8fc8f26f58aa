#include "case.h"

CASE(socketpair_echo) {
	int s[2];
	char b[32] = "";
	T(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	T(write(s[0], "hello", 5));
	T(write(s[0], " world", 6));
	T(read(s[1], b, 3));
	T(read(s[1], b + 3, sizeof b - 3));
	puts(b);
	T(send(s[1], "x", 1, 0));
	T(recv(s[0], b, sizeof b, 0));
	T(read(s[0], b, 0));
	T(write(s[0], b, 0));
	T(recv(s[0], b, sizeof b, MSG_DONTWAIT));
}

CASE(socketpair_errors) {
	int s[2];
	T(socketpair(AF_UNIX, SOCK_STREAM, 5, s));
	T(socketpair(AF_UNIX, 77, 0, s));
	T(socketpair(AF_INET, SOCK_STREAM, 0, s));
	T(socketpair(99, SOCK_STREAM, 0, s));
	T(socket(AF_UNIX, SOCK_RDM, 0));
	T(socket(99, SOCK_STREAM, 0));
	T(socket(AF_UNIX, -1, 0));
	F(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	T(fcntl(3, F_GETFD));
	T(fcntl(3, F_GETFL) & O_NONBLOCK);
	T(lseek(3, 0, SEEK_SET));
	T(pread(3, s, 1, 0));
	T(ftruncate(3, 0));
	T(fsync(3));
}

CASE(socketpair_close) {
	int s[2];
	char b[8];
	signal(SIGPIPE, SIG_IGN);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	ready("fresh", s[0]);
	write(s[1], "ab", 2);
	ready("data", s[0]);
	close(s[1]);
	ready("data and end", s[0]);
	T(read(s[0], b, 8));
	T(read(s[0], b, 8));
	T(read(s[0], b, 8));
	T(write(s[0], b, 1));
	T(send(s[0], b, 1, MSG_NOSIGNAL));
	ready("end", s[0]);
}

CASE(socketpair_close_unread) {
	int s[2], e;
	socklen_t n = sizeof e;
	char b[8];
	signal(SIGPIPE, SIG_IGN);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	write(s[0], "ab", 2);
	close(s[1]);
	ready("reset", s[0]);
	T(read(s[0], b, 8));
	T(read(s[0], b, 8));
	ready("after", s[0]);
	T(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &e, &n));
	printf("%d\n", e);
	T(write(s[0], b, 1));
}

CASE(sigpipe_kills) {
	int s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	close(s[1]);
	T(write(s[0], "x", 1));
}

static volatile int pipes;
static void on_pipe(int sig) { pipes++; }

CASE(sigpipe_counts) {
	int s[2];
	signal(SIGPIPE, on_pipe);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	shutdown(s[0], SHUT_WR);
	T(write(s[0], "x", 1));
	T(pipes);
	T(send(s[0], "x", 1, MSG_NOSIGNAL));
	T(pipes);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	shutdown(s[0], SHUT_WR);
	T(write(s[0], "x", 1));
	T(pipes);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
	close(s[1]);
	T(write(s[0], "x", 1));
	T(pipes);
}

CASE(shutdown_states) {
	int s[2];
	char b[8];
	signal(SIGPIPE, SIG_IGN);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	T(shutdown(s[0], 7));
	T(shutdown(s[0], SHUT_WR));
	ready("writer", s[0]);
	ready("reader", s[1]);
	T(read(s[1], b, 8));
	T(write(s[1], "back", 4));
	T(read(s[0], b, 8));
	T(shutdown(s[1], SHUT_WR));
	ready("both", s[0]);
	ready("both", s[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	T(write(s[1], "left", 4));
	T(shutdown(s[0], SHUT_RD));
	ready("SHUT_RD", s[0]);
	ready("other", s[1]);
	T(read(s[0], b, 8));
	T(read(s[0], b, 8));
	T(write(s[1], "x", 1));
	T(write(s[0], "x", 1));
	int u = socket(AF_UNIX, SOCK_STREAM, 0);
	T(shutdown(u, SHUT_RDWR));
}

CASE(stream_fills) {
	int s[2], n = 0;
	static char b[4096];
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	while (write(s[0], b, sizeof b) > 0)
		n++;
	T(errno == EAGAIN);
	T(n > 20 && n < 200);
	ready("full", s[0]);
	long total = 0, r;
	while ((r = read(s[1], b, sizeof b)) > 0)
		total += r;
	T(total == n * 4096L);
	ready("empty", s[0]);
}

CASE(stream_writable_at_a_quarter) {
	int s[2];
	static char b[100000];
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	T(write(s[0], b, 20000));
	ready("some", s[0]);
	T(write(s[0], b, 100000));
	ready("more", s[0]);
}

CASE(unix_connect) {
	struct sockaddr_un a = un("conn.sock"), b;
	socklen_t n = sizeof b;
	struct stat st;
	int l = F(socket(AF_UNIX, SOCK_STREAM, 0));
	ready("fresh", l);
	T(listen(l, 5));
	T(accept(l, NULL, NULL));
	T(bind(l, SA(a)));
	T(bind(l, SA(a)));
	T(stat("conn.sock", &st));
	printf("%o\n", st.st_mode);
	T(open("conn.sock", O_RDWR));
	int c = F(socket(AF_UNIX, SOCK_STREAM, 0));
	T(connect(c, SA(a)));
	T(listen(l, 5));
	ready("listening", l);
	T(connect(c, SA(a)));
	ready("waiting", l);
	T(connect(c, SA(a)));
	T(write(c, "early", 5));
	memset(&b, 0xee, sizeof b);
	int s = F(accept(l, (struct sockaddr *)&b, &n));
	printf("%d %d\n", n, b.sun_family);
	char buf[8] = "";
	T(read(s, buf, 8));
	puts(buf);
	n = sizeof b;
	T(getsockname(s, (struct sockaddr *)&b, &n));
	printf("%d %s\n", n, b.sun_path);
	n = sizeof b;
	T(getpeername(c, (struct sockaddr *)&b, &n));
	printf("%d %s\n", n, b.sun_path);
	n = sizeof b;
	T(getsockname(c, (struct sockaddr *)&b, &n));
	printf("%d\n", n);
	T(getpeername(l, (struct sockaddr *)&b, &n));
	T(connect(l, SA(a)));
	T(read(l, buf, 1));
	T(write(l, buf, 1));
	T(send(c, "x", 1, 0));
	T(sendto(c, "x", 1, 0, SA(a)));
	close(l);
	int d = socket(AF_UNIX, SOCK_STREAM, 0);
	T(connect(d, SA(a)));
	T(bind(d, SA(a)));
	T(unlink("conn.sock"));
	T(connect(d, SA(a)));
	T(bind(d, SA(a)));
	unlink("conn.sock");
}

CASE(unix_names) {
	struct sockaddr_un a = un(""), b;
	socklen_t n;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(a.sun_path + 1, "abstract-megabin-test");
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1 + 21;
	T(bind(s, (struct sockaddr *)&a, len));
	n = sizeof b;
	T(getsockname(s, (struct sockaddr *)&b, &n));
	printf("%d %d %.21s\n", n, b.sun_path[0], b.sun_path + 1);
	int t = socket(AF_UNIX, SOCK_STREAM, 0);
	T(bind(t, (struct sockaddr *)&a, len));
	T(bind(t, (struct sockaddr *)&a, 1));
	T(bind(t, (struct sockaddr *)&a, 200));
	a.sun_family = AF_INET;
	T(bind(t, (struct sockaddr *)&a, len));
	a.sun_family = AF_UNIX;
	T(bind(t, (struct sockaddr *)&a, 2));
	n = sizeof b;
	T(getsockname(t, (struct sockaddr *)&b, &n));
	printf("%d %d\n", n, b.sun_path[0]);
	a = un("no/such/dir");
	int u = socket(AF_UNIX, SOCK_STREAM, 0);
	T(bind(u, SA(a)));
	T(connect(u, SA(a)));
	a = un("/");
	T(connect(u, SA(a)));
	T(bind(u, SA(a)));
	n = -1;
	T(getsockname(u, (struct sockaddr *)&b, &n));
	n = 1;
	T(getsockname(u, (struct sockaddr *)&b, &n));
	printf("%d\n", n);
	T(getsockname(u, (struct sockaddr *)8, &n));
}

CASE(unix_wrong_type) {
	struct sockaddr_un a = un("type.sock");
	int l = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0);
	bind(l, SA(a));
	listen(l, 1);
	T(connect(d, SA(a)));
	T(sendto(d, "x", 1, 0, SA(a)));
	T(listen(d, 1));
	T(accept(d, NULL, NULL));
	T(unlink("type.sock"));
}

CASE(unix_backlog) {
	struct sockaddr_un a = un("backlog.sock");
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c[4];
	bind(l, SA(a));
	listen(l, 1);
	for (int i = 0; i < 4; i++) {
		c[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		T(connect(c[i], SA(a)));
	}
	F(accept(l, NULL, NULL));
	T(connect(c[2], SA(a)));
	T(connect(c[3], SA(a)));
	close(l);
	ready("not accepted", c[1]);
	char b;
	T(read(c[1], &b, 1));
	unlink("backlog.sock");
}

CASE(accept_flags) {
	struct sockaddr_un a = un("flags.sock");
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(l, SA(a));
	listen(l, 5);
	T(accept(l, NULL, NULL));
	connect(c, SA(a));
	T(accept4(l, NULL, NULL, 1));
	int s = F(accept4(l, NULL, NULL, SOCK_CLOEXEC));
	T(fcntl(s, F_GETFD));
	T(fcntl(s, F_GETFL) & O_NONBLOCK);
	T(accept(0, NULL, NULL));
	T(accept(99, NULL, NULL));
	T(shutdown(l, SHUT_RD));
	fcntl(l, F_SETFL, 0);
	T(accept(l, NULL, NULL));
	unlink("flags.sock");
}

CASE(seqpacket) {
	int s[2];
	char b[8];
	T(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	T(write(s[0], "one", 3));
	T(write(s[0], "second", 6));
	T(send(s[0], "", 0, 0));
	T(recv(s[1], b, 8, 0));
	T(recv(s[1], b, 2, MSG_TRUNC));
	T(recv(s[1], b, 8, 0));
	T(recv(s[1], b, 8, MSG_DONTWAIT));
	close(s[0]);
	ready("end", s[1]);
	T(recv(s[1], b, 8, 0));
	int u = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	T(recv(u, b, 1, 0));
	T(send(u, b, 1, MSG_NOSIGNAL));
	T(recv(socket(AF_UNIX, SOCK_STREAM, 0), b, 1, 0));
	T(send(socket(AF_UNIX, SOCK_STREAM, 0), b, 1, MSG_NOSIGNAL));
}
