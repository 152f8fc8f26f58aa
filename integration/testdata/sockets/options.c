#include "case.h"

static void get(int fd, int level, int name, const char *what) {
	int v = -77;
	socklen_t n = sizeof v;
	int r = getsockopt(fd, level, name, &v, &n);
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %d (%d bytes)\n", what, v, n);
}
#define GET(fd, level, name) get(fd, level, name, #name)

static void set(int fd, int level, int name, int v, const char *what) {
	int r = setsockopt(fd, level, name, &v, sizeof v);
	printf("%s=%d: %s\n", what, v, r < 0 ? strerrorname_np(errno) : "ok");
	get(fd, level, name, what);
}
#define SET(fd, level, name, v) set(fd, level, name, v, #name)

static void general(int fd) {
	GET(fd, SOL_SOCKET, SO_TYPE);
	GET(fd, SOL_SOCKET, SO_DOMAIN);
	GET(fd, SOL_SOCKET, SO_PROTOCOL);
	GET(fd, SOL_SOCKET, SO_ERROR);
	GET(fd, SOL_SOCKET, SO_ACCEPTCONN);
	GET(fd, SOL_SOCKET, SO_REUSEADDR);
	GET(fd, SOL_SOCKET, SO_KEEPALIVE);
	GET(fd, SOL_SOCKET, SO_BROADCAST);
	GET(fd, SOL_SOCKET, SO_OOBINLINE);
	GET(fd, SOL_SOCKET, SO_PRIORITY);
	GET(fd, SOL_SOCKET, SO_RCVLOWAT);
	GET(fd, SOL_SOCKET, SO_SNDLOWAT);
	GET(fd, SOL_SOCKET, 9999);
	GET(fd, 9999, 1);
	SET(fd, SOL_SOCKET, SO_REUSEADDR, 5);
	SET(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	SET(fd, SOL_SOCKET, SO_SNDBUF, 10000);
	SET(fd, SOL_SOCKET, SO_SNDBUF, 1);
	SET(fd, SOL_SOCKET, SO_RCVBUF, 10000);
	SET(fd, SOL_SOCKET, SO_RCVBUF, 1);
	SET(fd, SOL_SOCKET, SO_TYPE, 1);
	SET(fd, SOL_SOCKET, SO_RCVLOWAT, 7);
	SET(fd, SOL_SOCKET, 9999, 1);
	struct linger l = {1, 5};
	socklen_t n = sizeof l;
	T(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
	l.l_onoff = l.l_linger = 0;
	T(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &n));
	printf("%d %d %d\n", l.l_onoff, l.l_linger, n);
	char c;
	n = 1;
	T(getsockopt(fd, SOL_SOCKET, SO_TYPE, &c, &n));
	printf("%d\n", n);
	n = -1;
	T(getsockopt(fd, SOL_SOCKET, SO_TYPE, &c, &n));
	T(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &c, 1));
	T(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, (void *)8, 4));
	T(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &c, -1));
}

CASE(options_unix) { general(socket(AF_UNIX, SOCK_STREAM, 0)); }
CASE(options_unix_dgram) { general(socket(AF_UNIX, SOCK_DGRAM, 0)); }
CASE(options_tcp) { general(socket(AF_INET, SOCK_STREAM, 0)); }
CASE(options_udp) { general(socket(AF_INET, SOCK_DGRAM, 0)); }
CASE(options_tcp6) { general(socket(AF_INET6, SOCK_STREAM, 0)); }

CASE(options_not_a_socket) {
	GET(0, SOL_SOCKET, SO_TYPE);
	SET(99, SOL_SOCKET, SO_REUSEADDR, 1);
}

CASE(options_of_tcp) {
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	SET(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	SET(fd, IPPROTO_TCP, TCP_CORK, 1);
	SET(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
	SET(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
	SET(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	SET(fd, IPPROTO_TCP, TCP_KEEPCNT, 300);
	SET(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000);
	SET(fd, IPPROTO_TCP, 9999, 1);
	SET(fd, IPPROTO_IP, IP_TTL, 10);
	SET(fd, IPPROTO_IP, IP_TTL, 0);
	SET(fd, IPPROTO_IP, IP_TTL, 300);
	SET(fd, IPPROTO_IP, IP_TOS, 16);
	GET(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	GET(socket(AF_UNIX, SOCK_STREAM, 0), IPPROTO_TCP, TCP_NODELAY);
	GET(socket(AF_INET, SOCK_DGRAM, 0), IPPROTO_TCP, TCP_NODELAY);
	int six = socket(AF_INET6, SOCK_STREAM, 0);
	SET(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	SET(six, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7);
	struct sockaddr_in6 a = in6(0);
	bind(six, SA(a));
	SET(six, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	char name[16] = "";
	socklen_t n = sizeof name;
	T(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &n) == 0 && n == 16 && name[0]);
	struct tcp_info info;
	n = sizeof info;
	T(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n));
	printf("state %d\n", info.tcpi_state);
	int pair[2];
	tcp_pair(pair);
	n = sizeof info;
	T(getsockopt(pair[0], IPPROTO_TCP, TCP_INFO, &info, &n));
	printf("state %d\n", info.tcpi_state);
}

CASE(options_inherited) {
	int port, l = listener(AF_INET, &port), one = 1;
	setsockopt(l, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	setsockopt(l, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	GET(l, SOL_SOCKET, SO_ACCEPTCONN);
	struct sockaddr_in a = in4(port);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	connect(c, SA(a));
	int s = accept(l, NULL, NULL);
	GET(s, SOL_SOCKET, SO_KEEPALIVE);
	GET(s, IPPROTO_TCP, TCP_NODELAY);
	GET(c, IPPROTO_TCP, TCP_NODELAY);
}
