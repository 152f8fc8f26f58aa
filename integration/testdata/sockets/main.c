#include "case.h"
#include <net/if.h>
#include <sched.h>

static struct { const char *name; void (*run)(void); } cases[500];
static int ncases;

void register_case(const char *name, void (*run)(void)) {
	cases[ncases].name = name;
	cases[ncases++].run = run;
}

long show(const char *what, long r) {
	int e = errno;
	if (r == -1)
		printf("%s = -1 %s\n", what, strerrorname_np(e));
	else
		printf("%s = %ld\n", what, r);
	errno = e;
	return r;
}

int show_fd(const char *what, int fd) {
	if (fd >= 0)
		printf("%s is a descriptor\n", what);
	else
		show(what, fd);
	return fd;
}

void show_bytes(const char *what, const void *p, size_t n) {
	printf("%s:", what);
	for (size_t i = 0; i < n; i++)
		printf(" %02x", ((const unsigned char *)p)[i]);
	printf("\n");
}

static const struct { unsigned bit; const char *name; } events[] = {
	{POLLIN, "IN"}, {POLLPRI, "PRI"}, {POLLOUT, "OUT"}, {POLLERR, "ERR"}, {POLLHUP, "HUP"}, {POLLNVAL, "NVAL"},
	{POLLRDNORM, "RDNORM"}, {POLLWRNORM, "WRNORM"}, {POLLRDHUP, "RDHUP"},
};

void show_events(const char *what, unsigned mask) {
	printf("%s:", what);
	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		if (mask & events[i].bit)
			printf(" %s", events[i].name);
	printf("\n");
}

void ready(const char *what, int fd) {
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
	if (poll(&p, 1, 0) < 0)
		die("poll");
	show_events(what, p.revents);
}

void die(const char *what) {
	printf("%s: %s\n", what, strerror(errno));
	exit(99);
}

struct sockaddr_in in4(int port) {
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

struct sockaddr_in6 in6(int port) {
	return (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
}

int port_of(int fd) {
	struct sockaddr_in6 a;
	socklen_t n = sizeof a;
	if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		die("getsockname");
	return ntohs(a.sin6_port);
}

int listener(int domain, int *port) {
	int fd = socket(domain, SOCK_STREAM, 0);
	struct sockaddr_in a4 = in4(0);
	struct sockaddr_in6 a6 = in6(0);
	int err = domain == AF_INET ? bind(fd, SA(a4)) : bind(fd, SA(a6));
	if (fd < 0 || err < 0 || listen(fd, 8) < 0)
		die("listener");
	*port = port_of(fd);
	return fd;
}

void tcp_pair(int pair[2]) {
	int port, l = listener(AF_INET, &port);
	struct sockaddr_in a = in4(port);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(pair[0], SA(a)) < 0)
		die("connect");
	pair[1] = accept(l, NULL, NULL);
	if (pair[1] < 0)
		die("accept");
	close(l);
}

struct sockaddr_un un(const char *path) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	strcpy(a.sun_path, path);
	return a;
}

void container(void) {
	if (unshare(CLONE_NEWNET) < 0)
		return;
	int f = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY), s = socket(AF_INET, SOCK_DGRAM, 0);
	write(f, "0 2147483647", 12);
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
	ioctl(s, SIOCSIFFLAGS, &r);
	close(f);
	close(s);
	struct timespec t = {0, 100000000}; /* ::1 is there a little later */
	nanosleep(&t, NULL);
}

/* serve sends back what comes to a UDP port until an empty datagram comes, and
 * tells the sender's port in front of it. */
static int serve(int port) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)}, from;
	int s = socket(AF_INET, SOCK_DGRAM, 0), n;
	char in[2000], out[2048];
	if (bind(s, SA(a)) < 0)
		die("bind");
	for (;;) {
		socklen_t len = sizeof from;
		if ((n = recvfrom(s, in, sizeof in, 0, (struct sockaddr *)&from, &len)) <= 0)
			return n;
		int head = sprintf(out, "%d:", ntohs(from.sin_port));
		memcpy(out + head, in, n);
		sendto(s, out, head + n, 0, SA(from));
	}
}

/* Without an argument: the names of all cases. */
int main(int argc, char **argv) {
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc == 3 && strcmp(argv[1], "serve-udp") == 0)
		return serve(atoi(argv[2]));
	for (int i = 0; i < ncases; i++) {
		if (argc < 2)
			printf("%s\n", cases[i].name);
		else if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			return 0;
		}
	}
	return argc < 2 ? 0 : 98;
}
