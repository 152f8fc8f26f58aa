#include "case.h"

CASE(iovecs) {
	int s[2];
	char a[4] = "", b[4] = "", c[16] = "";
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cdefgh", 6}};
	T(writev(s[0], out, 3));
	struct iovec in[2] = {{a, 3}, {b, 3}};
	T(readv(s[1], in, 2));
	printf("%.3s %.3s\n", a, b);
	struct msghdr m = {.msg_iov = out, .msg_iovlen = 3};
	T(sendmsg(s[0], &m, 0));
	T(recv(s[1], c, sizeof c, 0));
	puts(c);
	m.msg_iovlen = 1025;
	T(sendmsg(s[0], &m, 0));
	T(sendmsg(s[0], (void *)8, 0));
	T(recvmsg(s[0], (void *)8, 0));
	m.msg_iovlen = 1;
	m.msg_iov = (void *)8;
	T(sendmsg(s[0], &m, 0));
	T(send(s[0], (void *)8, 4, 0));
	T(send(0, "x", 1, 0));
	T(send(99, "x", 1, 0));
}

CASE(bad_buffer_of_nothing) {
	int s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	T(recv(s[1], (void *)8, 4, MSG_DONTWAIT));
}

CASE(waitall) {
	int s[2];
	char b[16] = "";
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	write(s[0], "abc", 3);
	write(s[0], "def", 3);
	T(recv(s[1], b, 6, MSG_WAITALL));
	write(s[0], "gh", 2);
	T(recv(s[1], b, 6, MSG_WAITALL | MSG_DONTWAIT));
	write(s[0], "gh", 2);
	close(s[0]);
	T(recv(s[1], b, 6, MSG_WAITALL));
	T(recv(s[1], b, 6, MSG_WAITALL));
}

CASE(peek) {
	int s[2];
	char b[16] = "";
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	write(s[0], "abc", 3);
	T(recv(s[1], b, 2, MSG_PEEK));
	T(recv(s[1], b, 16, MSG_PEEK));
	puts(b);
	int n;
	T(ioctl(s[1], FIONREAD, &n));
	printf("%d\n", n);
	T(recv(s[1], b, 16, 0));
	T(recv(s[1], b, 16, MSG_PEEK | MSG_DONTWAIT));
	T(recv(s[1], b, 16, MSG_OOB));
}

static long timed(int s, int flags) {
	struct timespec a, b;
	char c;
	clock_gettime(CLOCK_MONOTONIC, &a);
	long r = recv(s, &c, 1, flags);
	int e = errno;
	clock_gettime(CLOCK_MONOTONIC, &b);
	long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	printf("waited: %d\n", ms >= 45 && ms < 20000);
	errno = e;
	return r;
}

CASE(timeouts) {
	int s[2];
	struct timeval tv = {0, 50000}, out;
	socklen_t n = sizeof out;
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	T(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	T(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &out, &n));
	printf("%ld %d %d\n", (long)out.tv_sec, out.tv_usec >= 50000 && out.tv_usec < 60000, n);
	T(timed(s[0], 0));
	T(read(s[0], &out, 1));
	tv.tv_usec = 2000000;
	T(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	T(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, 4));
	static char b[1 << 20];
	tv.tv_usec = 50000;
	T(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
	T(write(s[0], b, sizeof b) < (long)sizeof b);
	T(write(s[0], b, sizeof b));
}

CASE(sendmmsg_recvmmsg) {
	int s[2];
	char b[4][8] = {""};
	struct iovec out[3] = {{"one", 3}, {"three", 5}, {"", 0}}, in[4];
	struct mmsghdr v[4] = {0}, w[4] = {0};
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	for (int i = 0; i < 4; i++) {
		if (i < 3) {
			v[i].msg_hdr.msg_iov = &out[i];
			v[i].msg_hdr.msg_iovlen = 1;
		}
		in[i] = (struct iovec){b[i], 4};
		w[i].msg_hdr.msg_iov = &in[i];
		w[i].msg_hdr.msg_iovlen = 1;
	}
	T(sendmmsg(s[0], v, 3, 0));
	printf("%d %d %d\n", v[0].msg_len, v[1].msg_len, v[2].msg_len);
	T(recvmmsg(s[1], w, 2, 0, NULL));
	printf("%d %d %x %s\n", w[0].msg_len, w[1].msg_len, w[1].msg_hdr.msg_flags, b[0]);
	T(recvmmsg(s[1], w, 4, MSG_WAITFORONE, NULL));
	T(recvmmsg(s[1], w, 4, MSG_DONTWAIT, NULL));
	T(sendmmsg(s[0], v, 0, 0));
	T(sendmmsg(0, v, 1, 0));
}
