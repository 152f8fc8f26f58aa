/* The error queue of UDP sockets: IP_RECVERR and MSG_ERRQUEUE. */
#include "case.h"
#include <linux/errqueue.h>

/* Port nobody is at: below those that sockets of other programs are given when they
   don't ask for one. */
static int nobody(int domain) {
	for (int port = 20000 + getpid() * 37 % 12000; port < 32768; port++) {
		struct sockaddr_in a = in4(port);
		struct sockaddr_in6 a6 = in6(port);
		int s = socket(domain, SOCK_DGRAM, 0);
		int taken = domain == AF_INET ? bind(s, SA(a)) : bind(s, SA(a6));
		close(s);
		if (!taken) return port;
	}
	die("bind");
	return 0;
}

static void show_address(const char *what, const struct sockaddr_storage *a, int port) {
	char text[64] = "";
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *i = (void *)a;
		printf("%s: %s port %s\n", what, inet_ntop(AF_INET, &i->sin_addr, text, sizeof text), ntohs(i->sin_port) == port ? "as sent" : i->sin_port ? "other" : "0");
	} else if (a->ss_family == AF_INET6) {
		const struct sockaddr_in6 *i = (void *)a;
		printf("%s: %s port %s\n", what, inet_ntop(AF_INET6, &i->sin6_addr, text, sizeof text), ntohs(i->sin6_port) == port ? "as sent" : i->sin6_port ? "other" : "0");
	} else
		printf("%s: family %d\n", what, a->ss_family);
}

static void take(int s, int room, int port) {
	static char b[70000];
	char control[256];
	struct sockaddr_storage from = {0};
	struct iovec v = {b, room};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control, .msg_name = &from, .msg_namelen = sizeof from};
	if (T(recvmsg(s, &h, MSG_ERRQUEUE)) < 0)
		return;
	printf("  \"%.3s\" flags %x control %zu name %d\n", b, h.msg_flags, h.msg_controllen, h.msg_namelen);
	show_address("  to", &from, port);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		struct sock_extended_err *e = (void *)CMSG_DATA(c);
		printf("  level %d type %d len %zu", c->cmsg_level, c->cmsg_type, c->cmsg_len);
		if (c->cmsg_type != IP_RECVERR && c->cmsg_type != IPV6_RECVERR) {
			printf(" value %d\n", c->cmsg_len > CMSG_LEN(1) ? *(int *)CMSG_DATA(c) : *CMSG_DATA(c));
			continue;
		}
		printf(" %s origin %d type %d code %d info %d data %d\n", strerrorname_np(e->ee_errno), e->ee_origin, e->ee_type, e->ee_code, e->ee_info, e->ee_data);
		show_address("  by", (void *)SO_EE_OFFENDER(e), -1);
	}
}

static void look(int s) {
	int e = -1;
	socklen_t n = sizeof e;
	ready(" ", s);
	getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &n);
	printf("  SO_ERROR %s\n", e ? strerrorname_np(e) : "0");
}

/* One error each time: hosts limit how many they tell of. */
static void pause_between(void) {
	struct timespec t = {0, 5000000};
	nanosleep(&t, NULL);
}

CASE(udp_errors_connected) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1, port = nobody(AF_INET);
	struct sockaddr_in a = in4(port);
	T(recv(s, &on, 1, MSG_ERRQUEUE));
	T(setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
	T(connect(s, SA(a)));
	T(send(s, "abc", 3, 0));
	pause_between();
	ready("sent", s);
	take(s, 100, port);
	look(s);
	take(s, 100, port);
	T(send(s, "def", 3, 0));
	pause_between();
	look(s);
	ready("SO_ERROR was taken", s);
	T(send(s, "ghi", 3, 0));
	pause_between();
	char c;
	T(recv(s, &c, 1, 0));
	take(s, 2, port);
	look(s);
	take(s, 100, port);
	look(s);
}

CASE(udp_errors_unconnected) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1, port = nobody(AF_INET);
	struct sockaddr_in a = in4(port);
	T(sendto(s, "abc", 3, 0, SA(a)));
	pause_between();
	look(s);
	T(setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
	T(sendto(s, "abc", 3, 0, SA(a)));
	pause_between();
	T(sendto(s, "def", 3, 0, SA(a)));
	pause_between();
	take(s, 100, port);
	look(s);
	on = 0;
	T(sendto(s, "def", 3, 0, SA(a)));
	pause_between();
	T(setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
	take(s, 100, port);
	look(s);
}

CASE(udp_errors_elsewhere) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1, port = nobody(AF_INET), there = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = in4(port), b = in4(0);
	bind(there, SA(b));
	b = in4(port_of(there));
	T(setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
	T(connect(s, SA(b)));
	T(sendto(s, "abc", 3, 0, SA(a)));
	pause_between();
	look(s);
	take(s, 100, port);
}

CASE(udp_errors_large) {
	static char big[60000] = "big";
	int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1, port = nobody(AF_INET);
	struct sockaddr_in a = in4(port);
	setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
	T(sendto(s, big, 30000, 0, SA(a)));
	pause_between();
	take(s, sizeof big, port);
}

CASE(udp_errors_ip6) {
	static char big[60000] = "big";
	int s = socket(AF_INET6, SOCK_DGRAM, 0), on = 1, port = nobody(AF_INET6);
	struct sockaddr_in6 a = in6(port);
	T(setsockopt(s, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on));
	T(sendto(s, "abc", 3, 0, SA(a)));
	pause_between();
	look(s);
	take(s, 100, port);
	look(s);
	T(sendto(s, big, 30000, 0, SA(a)));
	pause_between();
	take(s, sizeof big, port);
	on = 0;
	T(setsockopt(s, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on));
	T(sendto(s, "abc", 3, 0, SA(a)));
	pause_between();
	look(s);
	take(s, 100, port);
}

CASE(udp_errors_mapped) {
	int s = socket(AF_INET6, SOCK_DGRAM, 0), on = 1, port = nobody(AF_INET);
	struct sockaddr_in6 a = in6(port);
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &a.sin6_addr);
	T(setsockopt(s, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on));
	T(sendto(s, "abc", 3, 0, SA(a)));
	pause_between();
	look(s);
	T(setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
	T(sendto(s, "abc", 3, 0, SA(a)));
	pause_between();
	look(s);
	take(s, 100, port);
}

/* The IP header that is told of is the error's own. */
CASE(udp_errors_headers) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), s6 = socket(AF_INET6, SOCK_DGRAM, 0), on = 1, port = nobody(AF_INET), ttl = 9;
	struct sockaddr_in a = in4(port);
	setsockopt(s, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
	setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
	setsockopt(s, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
	setsockopt(s, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
	T(sendto(s, "abc", 3, 0, SA(a)));
	pause_between();
	take(s, 100, port);
	port = nobody(AF_INET6);
	struct sockaddr_in6 b = in6(port);
	setsockopt(s6, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
	setsockopt(s6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
	T(sendto(s6, "abc", 3, 0, SA(b)));
	pause_between();
	take(s6, 100, port);
}

/* A reader of the queue never waits. */
CASE(udp_errors_never_wait) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), p[2];
	char b[4];
	T(recv(s, b, 4, MSG_ERRQUEUE));
	tcp_pair(p);
	write(p[0], "abc", 3);
	pause_between();
	T(recv(p[1], b, 4, MSG_ERRQUEUE));
	T(recv(p[1], b, 4, 0));
}

CASE(udp_errors_wake) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1, port = nobody(AF_INET);
	struct sockaddr_in a = in4(port);
	setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
	if (fork() == 0) {
		pause_between();
		pause_between();
		sendto(s, "abc", 3, 0, SA(a));
		_exit(0);
	}
	struct pollfd p = {s, 0, 0};
	T(poll(&p, 1, 5000));
	show_events("events", p.revents);
	struct sockaddr_in from;
	T(recv(s, &a, 1, 0));
	take(s, 100, port);
}

/* What is too long for a packet is an error of this host's own. */
CASE(udp_errors_too_long) {
	static char big[130000];
	int s = socket(AF_INET, SOCK_DGRAM, 0), s6 = socket(AF_INET6, SOCK_DGRAM, 0), on = 1, want = 2;
	struct sockaddr_in a = in4(9);
	struct sockaddr_in6 b = in6(9);
	setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
	T(sendto(s, big, 130000, 0, SA(a)));
	look(s);
	T(sendto(s, big, 65508, 0, SA(a)));
	ready("sent", s);
	take(s, 100, 9);
	look(s);
	T(sendto(s6, big, 130000, 0, SA(b)));
	setsockopt(s6, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
	T(sendto(s6, big, 130000, 0, SA(b)));
	ready("sent", s6);
	look(s6);
	take(s6, 100, 9);
	T(sendto(s6, big, 65528, 0, SA(b)));
	take(s6, 100, 9);
	setsockopt(s6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &want, sizeof want);
	T(sendto(s6, big, 65489, 0, SA(b)));
	take(s6, 100, 9);
	setsockopt(s, IPPROTO_IP, IP_MTU_DISCOVER, &want, sizeof want);
	T(sendto(s, big, 65508, 0, SA(a)));
	take(s, 100, 9);
}

CASE(udp_longest) {
	static char big[70000];
	int s = socket(AF_INET6, SOCK_DGRAM, 0), r = socket(AF_INET6, SOCK_DGRAM, 0), room = 1 << 20;
	struct sockaddr_in6 a = in6(0);
	bind(r, SA(a));
	a = in6(port_of(r));
	T(sendto(s, big, 65527, 0, SA(a)));
	T(recv(r, big, sizeof big, 0));
	T(sendto(s, big, 65528, 0, SA(a)));
	T(recv(r, big, sizeof big, MSG_DONTWAIT));
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &a.sin6_addr);
	T(sendto(s, big, 65508, 0, SA(a)));
}
