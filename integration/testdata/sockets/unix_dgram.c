#include "case.h"

CASE(dgram_pair) {
	int s[2];
	char b[8];
	T(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	T(send(s[0], "one", 3, 0));
	T(send(s[0], "", 0, 0));
	T(send(s[0], "longer", 6, 0));
	int n;
	T(ioctl(s[1], FIONREAD, &n));
	printf("%d\n", n);
	T(recv(s[1], b, 8, MSG_PEEK));
	T(recv(s[1], b, 8, 0));
	T(recv(s[1], b, 8, 0));
	T(recv(s[1], b, 3, MSG_TRUNC | MSG_PEEK));
	T(recv(s[1], b, 3, 0));
	T(recv(s[1], b, 3, MSG_DONTWAIT));
	ready("empty", s[1]);
	close(s[0]);
	ready("alone", s[1]);
	T(send(s[1], "x", 1, 0));
	T(send(s[1], "x", 1, 0));
	T(recv(s[1], b, 3, MSG_DONTWAIT));
}

CASE(dgram_names) {
	struct sockaddr_un a = un("a.sock"), b = un("b.sock"), from;
	socklen_t n = sizeof from;
	char buf[8];
	int x = socket(AF_UNIX, SOCK_DGRAM, 0), y = socket(AF_UNIX, SOCK_DGRAM, 0), z = socket(AF_UNIX, SOCK_DGRAM, 0);
	T(send(x, "x", 1, 0));
	T(bind(x, SA(a)));
	T(bind(y, SA(b)));
	T(sendto(x, "hi", 2, 0, SA(b)));
	T(recvfrom(y, buf, 8, 0, (struct sockaddr *)&from, &n));
	printf("%d %s\n", n, from.sun_path);
	T(sendto(z, "un", 2, 0, SA(b)));
	n = sizeof from;
	T(recvfrom(y, buf, 8, 0, (struct sockaddr *)&from, &n));
	printf("%d\n", n);
	T(connect(y, SA(a)));
	T(sendto(z, "no", 2, 0, SA(b)));
	T(connect(z, SA(b)));
	T(sendto(x, "yes", 3, 0, SA(b)));
	T(send(y, "back", 4, 0));
	T(recv(x, buf, 8, 0));
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	T(connect(y, &none, sizeof none));
	T(send(y, "x", 1, 0));
	close(x);
	T(sendto(y, "x", 1, 0, SA(a)));
	unlink("a.sock");
	T(sendto(y, "x", 1, 0, SA(a)));
	unlink("b.sock");
}

CASE(dgram_queue) {
	struct sockaddr_un a = un("q.sock");
	int r = socket(AF_UNIX, SOCK_DGRAM, 0), w = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), sent = 0;
	char b[8];
	bind(r, SA(a));
	T(connect(w, SA(a)));
	while (send(w, "x", 1, 0) == 1)
		sent++;
	T(errno == EAGAIN);
	T(sent >= 10);
	ready("full", w);
	while (recv(r, b, 1, MSG_DONTWAIT) == 1)
		sent--;
	T(sent);
	ready("empty", w);
	unlink("q.sock");
}

CASE(dgram_size) {
	int s[2], small = 5000;
	static char b[300000];
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s);
	T(send(s[0], b, 100000, 0));
	T(recv(s[1], b, sizeof b, 0));
	T(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
	T(send(s[0], b, 9000, 0));
	T(send(s[0], b, 20000, 0));
}
