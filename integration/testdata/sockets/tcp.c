#include "case.h"

CASE(tcp_connect) {
	int port, l = listener(AF_INET, &port);
	struct sockaddr_in a = in4(port), b;
	socklen_t n = sizeof b;
	ready("listening", l);
	int c = F(socket(AF_INET, SOCK_STREAM, 0));
	ready("fresh", c);
	T(connect(c, SA(a)));
	ready("connected", c);
	ready("waiting", l);
	T(connect(c, SA(a)));
	int s = F(accept(l, (struct sockaddr *)&b, &n));
	printf("%d %s %d\n", n, inet_ntoa(b.sin_addr), ntohs(b.sin_port) == port_of(c));
	n = sizeof b;
	T(getpeername(c, (struct sockaddr *)&b, &n));
	printf("%d %s %d\n", n, inet_ntoa(b.sin_addr), ntohs(b.sin_port) == port);
	n = sizeof b;
	T(getsockname(s, (struct sockaddr *)&b, &n));
	printf("%s %d\n", inet_ntoa(b.sin_addr), ntohs(b.sin_port) == port);
	char buf[16] = "";
	T(write(c, "hello", 5));
	T(read(s, buf, 16));
	puts(buf);
	T(sendto(s, "reply", 5, 0, SA(a)));
	n = sizeof b;
	T(recvfrom(c, buf, 16, 0, (struct sockaddr *)&b, &n));
	printf("%d\n", n);
	T(recv(c, buf, 1, MSG_DONTWAIT));
	close(s);
	ready("closed", c);
	T(read(c, buf, 1));
	T(getpeername(l, (struct sockaddr *)&b, &n));
	T(connect(l, SA(a)));
	T(bind(c, SA(a)));
	T(listen(c, 1));
}

CASE(tcp_refused) {
	int port, l = listener(AF_INET, &port), e;
	socklen_t n = sizeof e;
	struct sockaddr_in a = in4(port);
	close(l);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	T(connect(c, SA(a)));
	T(connect(c, SA(a)));
	int d = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	T(connect(d, SA(a)));
	ready("refused", d);
	T(getsockopt(d, SOL_SOCKET, SO_ERROR, &e, &n));
	printf("%s\n", strerrorname_np(e));
	ready("after", d);
	T(getsockopt(d, SOL_SOCKET, SO_ERROR, &e, &n));
	printf("%d\n", e);
	int f = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	T(connect(f, SA(a)));
	T(connect(f, SA(a)));
}

CASE(tcp_nonblocking) {
	int port, l = listener(AF_INET, &port), e = 7;
	socklen_t n = sizeof e;
	struct sockaddr_in a = in4(port);
	fcntl(l, F_SETFL, O_NONBLOCK);
	T(accept(l, NULL, NULL));
	int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	T(connect(c, SA(a)));
	struct pollfd p = {c, POLLOUT, 0};
	T(poll(&p, 1, 1000));
	show_events("connected", p.revents);
	T(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n));
	printf("%d\n", e);
	T(connect(c, SA(a)));
	T(connect(c, SA(a)));
	int s = F(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	char b[8];
	T(read(s, b, 8));
	T(read(c, b, 8));
	T(fcntl(s, F_GETFL) & O_NONBLOCK);
}

CASE(tcp_half_close) {
	int s[2];
	char b[8];
	tcp_pair(s);
	signal(SIGPIPE, SIG_IGN);
	T(write(s[0], "last", 4));
	T(shutdown(s[0], SHUT_WR));
	ready("writer", s[0]);
	T(write(s[0], "x", 1));
	struct pollfd p = {s[1], POLLIN | POLLRDHUP, 0};
	poll(&p, 1, 1000);
	ready("reader", s[1]);
	T(read(s[1], b, 8));
	T(read(s[1], b, 8));
	T(write(s[1], "answer", 6));
	T(read(s[0], b, 8));
	T(shutdown(s[1], SHUT_WR));
	T(read(s[0], b, 8));
	ready("both", s[0]);
	ready("both", s[1]);
	T(shutdown(s[0], 9));
	int f = socket(AF_INET, SOCK_STREAM, 0);
	T(shutdown(f, SHUT_WR));
	T(read(f, b, 1));
	T(write(f, b, 1));
}

CASE(tcp_shut_rd) {
	int s[2];
	char b[8];
	tcp_pair(s);
	T(write(s[1], "kept", 4));
	T(shutdown(s[0], SHUT_RD));
	ready("SHUT_RD", s[0]);
	T(read(s[0], b, 8));
	T(read(s[0], b, 8));
	T(write(s[0], "still", 5));
	T(read(s[1], b, 8));
	ready("other", s[1]);
}

CASE(tcp_peer_closed) {
	int s[2], e;
	socklen_t n = sizeof e;
	char b[8];
	signal(SIGPIPE, SIG_IGN);
	tcp_pair(s);
	close(s[1]);
	struct pollfd p = {s[0], POLLIN, 0};
	poll(&p, 1, 1000);
	ready("closed", s[0]);
	T(read(s[0], b, 8));
	T(write(s[0], "x", 1));
	p.events = 0;
	poll(&p, 1, 1000);
	ready("reset", s[0]);
	T(write(s[0], "x", 1));
	T(read(s[0], b, 8));
	T(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &e, &n));
	printf("%d\n", e);
}

CASE(tcp_reset_unread) {
	int s[2];
	char b[8];
	signal(SIGPIPE, SIG_IGN);
	tcp_pair(s);
	write(s[0], "unread", 6);
	struct pollfd p = {s[1], POLLIN, 0};
	poll(&p, 1, 1000);
	close(s[1]);
	p = (struct pollfd){s[0], POLLIN, 0};
	poll(&p, 1, 1000);
	ready("reset", s[0]);
	T(read(s[0], b, 8));
	T(read(s[0], b, 8));
	T(write(s[0], "x", 1));
	ready("after", s[0]);
}

CASE(tcp_linger_zero) {
	int s[2];
	struct linger l = {1, 0};
	char b[8];
	tcp_pair(s);
	T(setsockopt(s[1], SOL_SOCKET, SO_LINGER, &l, sizeof l));
	close(s[1]);
	struct pollfd p = {s[0], POLLIN, 0};
	poll(&p, 1, 1000);
	ready("reset", s[0]);
	T(send(s[0], "x", 1, MSG_NOSIGNAL));
	T(send(s[0], "x", 1, MSG_NOSIGNAL));
	T(recv(s[0], b, 1, 0));
}

CASE(tcp_bind) {
	struct sockaddr_in a = in4(0), other = in4(0);
	int s = socket(AF_INET, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	T(bind(s, SA(a)));
	T(bind(s, SA(a)));
	int port = port_of(s);
	T(port >= 1024);
	a = in4(port);
	T(bind(t, SA(a)));
	a.sin_addr.s_addr = INADDR_ANY;
	T(bind(t, SA(a)));
	inet_aton("127.0.0.2", &a.sin_addr);
	T(bind(t, SA(a)));
	inet_aton("8.8.8.8", &other.sin_addr);
	int u = socket(AF_INET, SOCK_STREAM, 0);
	T(bind(u, SA(other)));
	T(bind(u, (struct sockaddr *)&a, 8));
	a.sin_family = AF_INET6;
	T(bind(u, SA(a)));
	a = in4(port);
	T(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
	T(setsockopt(u, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
	T(bind(u, SA(a)));
	T(listen(s, 1));
	T(listen(u, 1));
	int v = socket(AF_INET, SOCK_STREAM, 0), w = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(v, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	setsockopt(w, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	a = in4(0);
	T(bind(v, SA(a)));
	a = in4(port_of(v));
	T(bind(w, SA(a)));
	T(listen(v, 1));
	T(listen(w, 1));
	int x = socket(AF_INET, SOCK_STREAM, 0);
	T(listen(x, 1));
	T(port_of(x) > 0);
	struct sockaddr_in any;
	socklen_t n = sizeof any;
	getsockname(x, (struct sockaddr *)&any, &n);
	puts(inet_ntoa(any.sin_addr));
}

CASE(tcp_v6) {
	int port, l = listener(AF_INET6, &port);
	struct sockaddr_in6 a = in6(port), b;
	socklen_t n = sizeof b;
	char text[64];
	int c = socket(AF_INET6, SOCK_STREAM, 0);
	T(connect(c, SA(a)));
	int s = F(accept(l, (struct sockaddr *)&b, &n));
	printf("%d %s\n", n, inet_ntop(AF_INET6, &b.sin6_addr, text, sizeof text));
	T(write(s, "six", 3));
	T(read(c, text, 3));
	struct sockaddr_in a4 = in4(port);
	int d = socket(AF_INET, SOCK_STREAM, 0);
	T(connect(d, SA(a4)));
	T(connect(c, (struct sockaddr *)&a4, sizeof a4));
	T(connect(d, SA(a)));
	int e = socket(AF_INET6, SOCK_STREAM, 0);
	T(connect(e, (struct sockaddr *)&a, 20));
}

CASE(tcp_dual_stack) {
	struct sockaddr_in6 any = {.sin6_family = AF_INET6}, b;
	socklen_t n = sizeof b;
	char text[64];
	int l = socket(AF_INET6, SOCK_STREAM, 0), on = 1;
	T(bind(l, SA(any)));
	T(listen(l, 4));
	int port = port_of(l);
	struct sockaddr_in a4 = in4(port);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	T(connect(c, SA(a4)));
	int s = F(accept(l, (struct sockaddr *)&b, &n));
	puts(inet_ntop(AF_INET6, &b.sin6_addr, text, sizeof text));
	n = sizeof b;
	getsockname(s, (struct sockaddr *)&b, &n);
	puts(inet_ntop(AF_INET6, &b.sin6_addr, text, sizeof text));
	int d = socket(AF_INET, SOCK_STREAM, 0);
	a4.sin_addr.s_addr = INADDR_ANY;
	T(bind(d, SA(a4)));
	int only = socket(AF_INET6, SOCK_STREAM, 0);
	setsockopt(only, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	any.sin6_port = 0;
	T(bind(only, SA(any)));
	a4.sin_port = htons(port_of(only));
	T(bind(d, SA(a4)));
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	int e = socket(AF_INET6, SOCK_STREAM, 0);
	T(connect(e, SA(mapped)));
	F(accept(l, NULL, NULL));
	int f = socket(AF_INET6, SOCK_STREAM, 0);
	setsockopt(f, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	T(connect(f, SA(mapped)));
}

CASE(tcp_other_loopback) {
	struct sockaddr_in a = in4(0), b;
	socklen_t n = sizeof b;
	inet_aton("127.1.2.3", &a.sin_addr);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	T(bind(l, SA(a)));
	T(listen(l, 1));
	a.sin_port = htons(port_of(l));
	int c = socket(AF_INET, SOCK_STREAM, 0);
	T(connect(c, SA(a)));
	F(accept(l, (struct sockaddr *)&b, &n));
	puts(inet_ntoa(b.sin_addr));
	struct sockaddr_in wrong = in4(ntohs(a.sin_port));
	int d = socket(AF_INET, SOCK_STREAM, 0);
	T(connect(d, SA(wrong)));
	a.sin_addr.s_addr = INADDR_ANY;
	int e = socket(AF_INET, SOCK_STREAM, 0);
	T(connect(e, SA(a)));
}

CASE(tcp_fills) {
	int s[2];
	static char b[65536];
	tcp_pair(s);
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	long total = 0, r, back = 0;
	while ((r = write(s[0], b, sizeof b)) > 0)
		total += r;
	T(errno == EAGAIN);
	T(total > 100000);
	ready("full", s[0]);
	while (back < total && (r = read(s[1], b, sizeof b)) > 0)
		back += r;
	T(back == total);
	struct pollfd p = {s[0], POLLOUT, 0};
	T(poll(&p, 1, 1000));
	ready("empty", s[0]);
}

CASE(tcp_backlog_closes) {
	int port, l = listener(AF_INET, &port);
	struct sockaddr_in a = in4(port);
	char b;
	int c = socket(AF_INET, SOCK_STREAM, 0);
	T(connect(c, SA(a)));
	close(l);
	struct pollfd p = {c, POLLIN, 0};
	poll(&p, 1, 1000);
	ready("never accepted", c);
	T(read(c, &b, 1));
	T(send(c, &b, 1, MSG_NOSIGNAL));
}

CASE(tcp_listen_again) {
	int port, l = listener(AF_INET, &port);
	T(listen(l, 3));
	T(shutdown(l, SHUT_RDWR));
	ready("stopped", l);
	T(accept(l, NULL, NULL));
	T(listen(l, 3));
	ready("again", l);
}

CASE(inet_kinds) {
	T(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	T(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
	T(socket(AF_INET, SOCK_SEQPACKET, 0));
	F(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
	F(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP));
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = in4(80);
	T(accept(s, NULL, NULL));
	T(connect(s, (struct sockaddr *)&a, 3));
	T(connect(s, (struct sockaddr *)8, 16));
	T(connect(s, (struct sockaddr *)&a, 200));
	a.sin_family = 77;
	T(connect(s, SA(a)));
	struct sockaddr_un u = un("x");
	T(connect(s, SA(u)));
	struct stat st;
	T(fstat(s, &st));
	printf("%o %ld\n", st.st_mode, (long)st.st_size);
}

/* peer prints whether a socket has one, and then what is left to read. */
static void peer(const char *what, int s) {
	struct sockaddr_storage a;
	socklen_t n = sizeof a;
	char b[16];
	printf("%s:\n", what);
	T(getpeername(s, (struct sockaddr *)&a, &n));
	T(getsockname(s, (struct sockaddr *)&a, &n));
	T(recv(s, b, 1, MSG_DONTWAIT));
}

CASE(tcp_peer_after_reset) {
	for (int data = 0; data < 2; data++) {
		int p[2];
		tcp_pair(p);
		struct linger l = {1, 0};
		setsockopt(p[0], SOL_SOCKET, SO_LINGER, &l, sizeof l);
		if (data) T(send(p[0], "hello", 5, 0));
		close(p[0]);
		peer("reset", p[1]);
		peer("again", p[1]);
		T(send(p[1], "x", 1, MSG_NOSIGNAL));
	}
}

CASE(tcp_peer_after_the_end) {
	for (int data = 0; data < 2; data++)
		for (int first = 0; first < 2; first++) {
			int p[2];
			tcp_pair(p);
			if (data) T(send(p[0], "hello", 5, 0));
			T(shutdown(p[first], SHUT_WR));
			peer("one way, a", p[first]);
			peer("one way, b", p[!first]);
			T(shutdown(p[!first], SHUT_WR));
			peer("both ways, a", p[first]);
			peer("both ways, b", p[!first]);
			close(p[0]), close(p[1]);
		}
}

CASE(tcp_peer_refused) {
	int port, l = listener(AF_INET, &port), s = socket(AF_INET, SOCK_STREAM, 0);
	close(l);
	struct sockaddr_in a = in4(port);
	T(connect(s, SA(a)));
	peer("refused", s);
}

CASE(tcp_send_nothing_to_closed) {
	int p[2];
	tcp_pair(p);
	close(p[0]);
	T(send(p[1], "", 0, MSG_NOSIGNAL));
	ready("nothing sent", p[1]);
	T(send(p[1], "", 0, MSG_NOSIGNAL));
	T(send(p[1], "x", 1, MSG_NOSIGNAL));
	T(send(p[1], "", 0, MSG_NOSIGNAL));
	tcp_pair(p);
	T(shutdown(p[1], SHUT_WR));
	T(send(p[1], "", 0, MSG_NOSIGNAL));
}
