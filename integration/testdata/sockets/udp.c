#include "case.h"

CASE(udp_basic) {
	struct sockaddr_in a = in4(0), from;
	socklen_t n = sizeof from;
	char b[16] = "";
	int r = F(socket(AF_INET, SOCK_DGRAM, 0)), w = F(socket(AF_INET, SOCK_DGRAM, 0));
	ready("fresh", r);
	T(bind(r, SA(a)));
	a = in4(port_of(r));
	T(send(w, "x", 1, 0));
	T(sendto(w, "hello", 5, 0, SA(a)));
	T(sendto(w, "", 0, 0, SA(a)));
	T(port_of(w) > 0);
	ready("data", r);
	int len;
	T(ioctl(r, FIONREAD, &len));
	printf("%d\n", len);
	T(recvfrom(r, b, 3, MSG_TRUNC | MSG_PEEK, (struct sockaddr *)&from, &n));
	T(recvfrom(r, b, 16, 0, (struct sockaddr *)&from, &n));
	printf("%d %s %d %s\n", n, inet_ntoa(from.sin_addr), ntohs(from.sin_port) == port_of(w), b);
	T(recv(r, b, 16, 0));
	T(recv(r, b, 16, MSG_DONTWAIT));
	T(sendto(r, "back", 4, 0, SA(from)));
	T(read(w, b, 16));
	T(listen(r, 1));
	T(accept(r, NULL, NULL));
	T(shutdown(r, SHUT_RD));
	T(getpeername(r, (struct sockaddr *)&from, &n));
	T(sendto(w, "x", 1, 0, (struct sockaddr *)&a, 4));
	a.sin_port = 0;
	T(sendto(w, "x", 1, 0, SA(a)));
	static char big[70000];
	a = in4(port_of(r));
	T(sendto(w, big, 65508, 0, SA(a)));
	T(sendto(w, big, 65507, 0, SA(a)));
	T(recv(r, big, sizeof big, 0));
}

CASE(udp_connected) {
	struct sockaddr_in a = in4(0), b = in4(0);
	char buf[8];
	int x = socket(AF_INET, SOCK_DGRAM, 0), y = socket(AF_INET, SOCK_DGRAM, 0), z = socket(AF_INET, SOCK_DGRAM, 0);
	bind(x, SA(a));
	bind(y, SA(b));
	a = in4(port_of(x));
	b = in4(port_of(y));
	T(connect(x, SA(b)));
	T(connect(y, SA(a)));
	T(write(x, "one", 3));
	T(read(y, buf, 8));
	T(sendto(z, "stranger", 8, 0, SA(b)));
	T(recv(y, buf, 8, MSG_DONTWAIT));
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	T(connect(y, &none, sizeof none));
	T(sendto(z, "stranger", 8, 0, SA(b)));
	T(recv(y, buf, 8, MSG_DONTWAIT));
	T(send(y, "x", 1, 0));
	T(shutdown(x, SHUT_WR));
	T(send(x, "x", 1, MSG_NOSIGNAL));
	ready("shut", x);
}

CASE(udp_refused) {
	struct sockaddr_in a = in4(0);
	char b;
	int x = socket(AF_INET, SOCK_DGRAM, 0), y = socket(AF_INET, SOCK_DGRAM, 0), e;
	socklen_t n = sizeof e;
	bind(x, SA(a));
	a = in4(port_of(x));
	close(x);
	T(sendto(y, "x", 1, 0, SA(a)));
	T(sendto(y, "x", 1, 0, SA(a)));
	T(connect(y, SA(a)));
	T(send(y, "x", 1, 0));
	struct pollfd p = {y, POLLIN, 0};
	T(poll(&p, 1, 1000));
	ready("refused", y);
	T(send(y, "x", 1, 0));
	T(send(y, "x", 1, 0));
	poll(&p, 1, 1000);
	T(recv(y, &b, 1, 0));
	T(send(y, "x", 1, 0));
	poll(&p, 1, 1000);
	T(getsockopt(y, SOL_SOCKET, SO_ERROR, &e, &n));
	printf("%s\n", strerrorname_np(e));
}

CASE(udp_pktinfo) {
	struct sockaddr_in a = {.sin_family = AF_INET};
	int r = socket(AF_INET, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
	T(bind(r, SA(a)));
	T(setsockopt(r, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
	a = in4(port_of(r));
	T(sendto(w, "x", 1, 0, SA(a)));
	char b[8], c[128];
	struct sockaddr_in from;
	struct iovec v = {b, 8};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c, .msg_name = &from, .msg_namelen = sizeof from};
	T(recvmsg(r, &m, 0));
	printf("%d %x %zu\n", m.msg_namelen, m.msg_flags, m.msg_controllen);
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	struct in_pktinfo *i = (void *)CMSG_DATA(h);
	printf("%d %d %zu %s\n", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len, inet_ntoa(i->ipi_addr));
}

CASE(udp_reuse) {
	struct sockaddr_in a = in4(0);
	int x = socket(AF_INET, SOCK_DGRAM, 0), y = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
	bind(x, SA(a));
	a = in4(port_of(x));
	T(bind(y, SA(a)));
	setsockopt(x, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(y, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	T(bind(y, SA(a)));
	struct sockaddr_in6 six = in6(ntohs(a.sin_port));
	int z = socket(AF_INET6, SOCK_DGRAM, 0);
	T(bind(z, SA(six)));
	T(sendto(z, "x", 1, 0, SA(six)));
	char b[4];
	T(recv(z, b, 4, MSG_DONTWAIT));
}

CASE(udp_overflow) {
	struct sockaddr_in a = in4(0);
	static char b[30000];
	int r = socket(AF_INET, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0), lost = 0, got = 0;
	bind(r, SA(a));
	a = in4(port_of(r));
	for (int i = 0; i < 100; i++)
		if (sendto(w, b, sizeof b, 0, SA(a)) != sizeof b)
			lost++;
	T(lost);
	while (recv(r, b, sizeof b, MSG_DONTWAIT) > 0)
		got++;
	T(got > 1 && got < 100);
}

CASE(udplite) {
	struct sockaddr_in a = in4(0), b = in4(0);
	char buf[16] = "";
	int r = F(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)), u = F(socket(AF_INET, SOCK_DGRAM, 0));
	T(bind(r, SA(a)));
	a = in4(port_of(r));
	T(bind(u, SA(a))); // the ports of UDP are others
	int w = F(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
	T(bind(w, SA(b)));
	T(sendto(w, "hello", 5, 0, SA(a)));
	T(recv(u, buf, 16, MSG_DONTWAIT));
	T(recv(r, buf, 16, 0));
	int values[] = {0, 1, 8, 20, 65535, 70000, -1}, v;
	socklen_t n = sizeof v;
	for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
		T(setsockopt(r, IPPROTO_UDPLITE, 10, &values[i], sizeof v));
		T(getsockopt(r, IPPROTO_UDPLITE, 10, &v, &n));
		printf("%d\n", v);
		T(setsockopt(r, IPPROTO_UDPLITE, 11, &values[i], sizeof v));
		T(getsockopt(r, IPPROTO_UDPLITE, 11, &v, &n));
		printf("%d\n", v);
	}
	T(getsockopt(r, SOL_SOCKET, SO_PROTOCOL, &v, &n));
	printf("%d\n", v);
	T(setsockopt(u, IPPROTO_UDPLITE, 10, &v, sizeof v));
	T(connect(w, SA(a)));
	T(send(w, "again", 5, 0));
	T(read(r, buf, 16));
}
