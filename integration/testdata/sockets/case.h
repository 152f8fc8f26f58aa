/* What all cases share: CASE registers a function that main runs by name, and
 * what it prints is compared with a native run. So nothing is printed that may
 * differ from run to run (ports, process ids, addresses). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

void register_case(const char *name, void (*run)(void));

#define CASE(name)                                                             \
	static void case_##name(void);                                         \
	__attribute__((constructor)) static void register_##name(void) {       \
		register_case(#name, case_##name);                             \
	}                                                                      \
	static void case_##name(void)

/* T prints an expression and what it gives, or the error's name. */
#define T(expr) (errno = 0, show(#expr, (long)(expr)))
/* F is T for what gives a descriptor: it prints whether, not which. */
#define F(expr) (errno = 0, show_fd(#expr, (expr)))

long show(const char *what, long result);
int show_fd(const char *what, int fd);
void show_bytes(const char *what, const void *p, size_t n);
void show_events(const char *what, unsigned events);
/* ready prints what poll says of a descriptor now. */
void ready(const char *what, int fd);
/* die ends the program when a preparation failed. */
void die(const char *what);

/* The loopback address with a port in host order, and the port a socket is bound to. */
struct sockaddr_in in4(int port);
struct sockaddr_in6 in6(int port);
int port_of(int fd);
#define SA(a) ((struct sockaddr *)&(a)), sizeof(a)
/* A listening TCP socket on any port, and a connected pair of it. */
int listener(int domain, int *port);
void tcp_pair(int pair[2]);
struct sockaddr_un un(const char *path);
/* Natively, a network like a container's own: lo, and ping for everybody. */
void container(void);
