/* ICMP echo sockets. Hosts refuse them to most (net.ipv4.ping_group_range). */
#include "case.h"
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

static unsigned short sum(const void *p, int n) {
	const unsigned char *b = p;
	unsigned total = 0;
	for (int i = 0; i < n; i++)
		total += i % 2 ? b[i] : b[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

CASE(ping_echo) {
	container();
	int s = F(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)), on = 1;
	struct { struct icmphdr h; char data[8]; } q = {{ICMP_ECHO, 0, 0x1234, {.echo = {77, htons(5)}}}, "payload"}, a;
	struct sockaddr_in to = in4(9), from;
	socklen_t n = sizeof from;
	ready("fresh", s);
	T(sendto(s, &q, sizeof q, 0, SA(to)));
	T(recvfrom(s, &a, sizeof a, 0, (struct sockaddr *)&from, &n));
	printf("type %d code %d seq %d data %s, id is the port: %d, sum %x\n", a.h.type, a.h.code, ntohs(a.h.un.echo.sequence), a.data, ntohs(a.h.un.echo.id) == port_of(s), sum(&a, sizeof a));
	printf("%d %s %d\n", n, inet_ntoa(from.sin_addr), ntohs(from.sin_port));
	T(setsockopt(s, IPPROTO_IP, IP_RECVTTL, &on, sizeof on));
	T(setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
	T(connect(s, SA(to)));
	T(send(s, &q, sizeof q, 0));
	char control[128];
	struct iovec v = {&a, sizeof a};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	T(recvmsg(s, &m, 0));
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	printf("%d %d %d\n", c->cmsg_level, c->cmsg_type, *(int *)CMSG_DATA(c));
	T(recv(s, &a, sizeof a, MSG_DONTWAIT));
	T(recv(s, &a, sizeof a, MSG_ERRQUEUE));
	int t;
	n = sizeof t;
	T(getsockopt(s, SOL_SOCKET, SO_PROTOCOL, &t, &n));
	T(t);
}

CASE(ping_bound) {
	container();
	int s = F(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)), z = F(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	struct sockaddr_in me = in4(4321), other = in4(4322), to = in4(0);
	T(bind(s, SA(me)));
	T(bind(z, SA(other)));
	T(port_of(s));
	struct icmphdr q = {ICMP_ECHO}, a;
	T(sendto(s, &q, sizeof q, 0, SA(to)));
	T(recv(s, &a, sizeof a, 0));
	T(ntohs(a.un.echo.id));
	T(recv(z, &a, sizeof a, MSG_DONTWAIT));
}

CASE(ping_errors) {
	container();
	int s = F(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	struct icmphdr q = {ICMP_ECHO};
	static char big[70000] = {ICMP_ECHO};
	struct sockaddr_in to = in4(0), far = to;
	inet_pton(AF_INET, "192.0.2.77", &far.sin_addr);
	T(send(s, &q, sizeof q, 0));
	T(sendto(s, &q, 7, 0, SA(to)));
	T(sendto(s, &q, sizeof q, 0, SA(far)));
	T(sendto(s, &q, sizeof q, MSG_OOB, SA(to)));
	T(sendto(s, big, sizeof big, 0, SA(to)));
	T(sendto(s, big, 65515, 0, SA(to)));
	T(recv(s, big, sizeof big, 0));
	q.type = ICMP_ECHOREPLY;
	T(sendto(s, &q, sizeof q, 0, SA(to)));
	q.type = ICMP_ECHO, q.code = 1;
	T(sendto(s, &q, sizeof q, 0, SA(to)));
	T(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMP));
	T(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6));
	T(socket(AF_INET, SOCK_STREAM, IPPROTO_ICMP));
	T(listen(s, 1));
}

CASE(ping_ip6) {
	container();
	int s = F(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6));
	struct { struct icmp6_hdr h; char data[5]; } q = {{ICMP6_ECHO_REQUEST}, "data"}, a;
	struct sockaddr_in6 to = in6(0), from;
	socklen_t n = sizeof from;
	char text[64];
	q.h.icmp6_seq = htons(3);
	T(sendto(s, &q, sizeof q, 0, SA(to)));
	T(recvfrom(s, &a, sizeof a, 0, (struct sockaddr *)&from, &n));
	/* The sum of a message and of its pseudo header is all ones. */
	struct { struct in6_addr from, to; unsigned length, next; } pseudo = {to.sin6_addr, to.sin6_addr, htonl(sizeof a), htonl(IPPROTO_ICMPV6)};
	unsigned total = sum(&a, sizeof a) + sum(&pseudo, sizeof pseudo);
	printf("type %d seq %d data %s, id is the port: %d, sum %x\n", a.h.icmp6_type, ntohs(a.h.icmp6_seq), a.data, ntohs(a.h.icmp6_id) == port_of(s), (total & 0xffff) + (total >> 16));
	printf("%d %s %d\n", n, inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof text), ntohs(from.sin6_port));
}
