#include "case.h"

/* SO_TIMESTAMP and SO_TIMESTAMPNS. */
static void stamped(int r, const char *what) {
	char b[8], control[256];
	struct iovec v = {b, 8};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	puts(what);
	T(recvmsg(r, &m, MSG_DONTWAIT));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		long t[2] = {0};
		memcpy(t, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0) < sizeof t ? c->cmsg_len - CMSG_LEN(0) : sizeof t);
		printf("  %d %d %zu", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type != SCM_CREDENTIALS)
			printf(" now %d fine %d", labs(t[0] - time(NULL)) < 5, t[1] >= 0 && t[1] < 1000000000);
		printf("\n");
	}
}

static void option(int s, int name, int on) {
	int a, b;
	socklen_t n = sizeof a;
	T(setsockopt(s, SOL_SOCKET, name, &on, sizeof on));
	getsockopt(s, SOL_SOCKET, SO_TIMESTAMP, &a, &n);
	getsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &b, &n);
	printf("  %d: SO_TIMESTAMP %d SO_TIMESTAMPNS %d\n", name, a, b);
}

static void stamps(int w, int r) {
	int on = 1;
	send(w, "a", 1, 0);
	stamped(r, "none");
	option(r, SO_TIMESTAMP, 1);
	send(w, "b", 1, 0);
	stamped(r, "SO_TIMESTAMP");
	option(r, SO_TIMESTAMPNS, 1);
	send(w, "c", 1, 0);
	stamped(r, "SO_TIMESTAMPNS");
	option(r, SO_TIMESTAMP, 1);
	send(w, "c", 1, 0);
	stamped(r, "SO_TIMESTAMP again");
	option(r, 63 /* SO_TIMESTAMP_NEW */, 1);
	send(w, "d", 1, 0);
	stamped(r, "SO_TIMESTAMP_NEW");
	option(r, 64 /* SO_TIMESTAMPNS_NEW */, 1);
	send(w, "e", 1, 0);
	stamped(r, "SO_TIMESTAMPNS_NEW");
	option(r, SO_TIMESTAMPNS, 0);
	send(w, "f", 1, 0);
	stamped(r, "off");
	/* A datagram that came before. */
	send(w, "g", 1, 0);
	option(r, SO_TIMESTAMP, 1);
	stamped(r, "after it came");
	/* The time is that of the arrival, soon after it was asked for. */
	int arrival = 0;
	for (int i = 0; i < 50 && !arrival; i++) {
		send(w, "h", 1, 0);
		struct timespec t = {0, 50000000};
		nanosleep(&t, NULL);
		char b[8], control[256];
		struct iovec v = {b, 8};
		struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
		recvmsg(r, &m, 0);
		struct timeval now, *then = (void *)CMSG_DATA(CMSG_FIRSTHDR(&m));
		gettimeofday(&now, NULL);
		arrival = (now.tv_sec - then->tv_sec) * 1000000 + now.tv_usec - then->tv_usec > 45000;
	}
	T(arrival);
	setsockopt(r, SOL_SOCKET, SO_PASSCRED, &on, sizeof on); /* of AF_UNIX */
	setsockopt(r, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
	send(w, "i", 1, 0);
	stamped(r, "with others");
}

CASE(udp_timestamps) {
	struct sockaddr_in a = in4(0);
	int r = socket(AF_INET, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0);
	bind(r, SA(a));
	a = in4(port_of(r));
	connect(w, SA(a));
	stamps(w, r);
}

CASE(unix_timestamps) {
	int s[2];
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	stamps(s[0], s[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	option(s[1], SO_TIMESTAMP, 1);
	send(s[0], "x", 1, 0);
	stamped(s[1], "stream");
}
