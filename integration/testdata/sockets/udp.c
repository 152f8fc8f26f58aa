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

/* header receives a datagram and prints the control messages that came with it. */
static void header(int s, size_t room) {
	char b[8], control[256];
	struct iovec v = {b, sizeof b};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
	if (recvmsg(s, &m, MSG_DONTWAIT) < 0) die("recvmsg");
	printf("controllen %zu flags %#x\n", m.msg_controllen, m.msg_flags);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		printf("%d %d", c->cmsg_level, c->cmsg_type);
		show_bytes("", CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	}
}

/* send_with sends a datagram with up to two control messages of n bytes each. */
static long send_with(int s, struct sockaddr *to, socklen_t size, int level, int type, int value, int type2, int value2, int n) {
	char control[2 * CMSG_SPACE(sizeof value)];
	memset(control, 0, sizeof control);
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_name = to, .msg_namelen = size, .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(n)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = level, c->cmsg_type = type, c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), &value, n);
	if (type2) {
		m.msg_controllen += CMSG_SPACE(n);
		c = (void *)(control + CMSG_SPACE(n));
		c->cmsg_level = level, c->cmsg_type = type2, c->cmsg_len = CMSG_LEN(n);
		memcpy(CMSG_DATA(c), &value2, n);
	}
	return sendmsg(s, &m, 0);
}

static void set(int s, int level, int name, int v) { if (setsockopt(s, level, name, &v, sizeof v)) die("setsockopt"); }
static void get(const char *what, int s, int level, int name) {
	int v = -7;
	socklen_t n = sizeof v;
	getsockopt(s, level, name, &v, &n);
	printf("%s %d %d\n", what, v, n);
}

CASE(udp_ip4_headers) {
	int r = socket(AF_INET, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = in4(0);
	bind(r, SA(a));
	a = in4(port_of(r));
	set(r, IPPROTO_IP, IP_RECVTTL, 1);
	set(r, IPPROTO_IP, IP_RECVTOS, 1);
	T(sendto(w, "x", 1, 0, SA(a)));
	header(r, 256);
	set(w, IPPROTO_IP, IP_TTL, 7);
	set(w, IPPROTO_IP, IP_TOS, 0x1fc);
	get("tos", w, IPPROTO_IP, IP_TOS);
	T(sendto(w, "x", 1, 0, SA(a)));
	header(r, 256);
	T(send_with(w, SA(a), IPPROTO_IP, IP_TTL, 9, IP_TOS, 0x20, 4));
	header(r, 256);
	T(send_with(w, SA(a), IPPROTO_IP, IP_TOS, 0x40, 0, 0, 1));
	header(r, 256);
	T(send_with(w, SA(a), IPPROTO_IPV6, IPV6_HOPLIMIT, 9, 0, 0, 4));
	header(r, 256);
	T(send_with(w, SA(a), IPPROTO_IP, IP_TTL, 0, 0, 0, 4));
	T(send_with(w, SA(a), IPPROTO_IP, IP_TTL, 256, 0, 0, 4));
	T(send_with(w, SA(a), IPPROTO_IP, IP_TTL, 5, 0, 0, 2));
	T(send_with(w, SA(a), IPPROTO_IP, IP_TOS, 256, 0, 0, 4));
}

static void ip6_headers(int protocol) {
	int r = socket(AF_INET6, SOCK_DGRAM, protocol), w = socket(AF_INET6, SOCK_DGRAM, protocol);
	struct sockaddr_in6 a = in6(0);
	bind(r, SA(a));
	a = in6(port_of(r));
	set(r, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	set(r, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	T(sendto(w, "x", 1, 0, SA(a)));
	header(r, 256);
	set(w, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7);
	set(w, IPPROTO_IPV6, IPV6_TCLASS, 0xfc);
	T(sendto(w, "x", 1, 0, SA(a)));
	header(r, 256);
	T(send_with(w, SA(a), IPPROTO_IPV6, IPV6_HOPLIMIT, 9, IPV6_TCLASS, 0x20, 4));
	for (size_t room = 0; room <= 48; room += 6) {
		header(r, room);
		send_with(w, SA(a), IPPROTO_IPV6, IPV6_HOPLIMIT, -1, IPV6_TCLASS, 0x11, 4);
	}
	T(send_with(w, SA(a), IPPROTO_IPV6, IPV6_HOPLIMIT, 0, 0, 0, 4));
	T(send_with(w, SA(a), IPPROTO_IPV6, IPV6_HOPLIMIT, 256, 0, 0, 4));
	T(send_with(w, SA(a), IPPROTO_IPV6, IPV6_HOPLIMIT, -2, 0, 0, 4));
	T(send_with(w, SA(a), IPPROTO_IPV6, IPV6_TCLASS, 5, 0, 0, 1));
	set(w, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1);
	set(w, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, -1);
	set(w, IPPROTO_IPV6, IPV6_TCLASS, -1);
	get("hops", w, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
	get("multicast", w, IPPROTO_IPV6, IPV6_MULTICAST_HOPS);
	get("class", w, IPPROTO_IPV6, IPV6_TCLASS);
}

CASE(udp_ip6_headers) { ip6_headers(0); }
CASE(udp_lite_ip6_headers) { ip6_headers(IPPROTO_UDPLITE); }

CASE(udp_headers_of_both_protocols) {
	int r = socket(AF_INET6, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0), w6 = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	bind(r, SA(any));
	struct sockaddr_in a = in4(port_of(r));
	struct sockaddr_in6 a6 = in6(port_of(r));
	set(r, IPPROTO_IP, IP_RECVTTL, 1);
	set(r, IPPROTO_IP, IP_PKTINFO, 1);
	set(r, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	set(r, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	T(sendto(w, "x", 1, 0, SA(a)));
	header(r, 256);
	T(sendto(w6, "x", 1, 0, SA(a6)));
	header(r, 256);
	struct sockaddr_in6 mapped = a6;
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	T(send_with(w6, SA(mapped), IPPROTO_IP, IP_TTL, 9, 0, 0, 4));
	header(r, 256);
	T(send_with(w6, SA(a6), IPPROTO_IP, IP_TTL, 9, 0, 0, 4));
	header(r, 256);
}

CASE(udp_ip6_headers_of_rfc2292) {
	int r = socket(AF_INET6, SOCK_DGRAM, 0), w = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 a = in6(0);
	bind(r, SA(a));
	a = in6(port_of(r));
	set(r, IPPROTO_IPV6, IPV6_2292HOPLIMIT, 1);
	set(r, IPPROTO_IPV6, IPV6_2292PKTINFO, 1);
	set(r, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	T(sendto(w, "x", 1, 0, SA(a)));
	header(r, 256);
	set(r, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	T(sendto(w, "x", 1, 0, SA(a)));
	header(r, 256);
}
