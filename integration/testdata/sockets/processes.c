#include "case.h"
#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static void end(pid_t pid) {
	int status = -1;
	T(waitpid(pid, &status, 0) == pid);
	printf("status %x\n", status);
}

/* A server that echoes what its one client sends, and the client. */
CASE(fork_echo) {
	int port, l = listener(AF_INET, &port);
	pid_t pid = fork();
	if (pid == 0) {
		char b[64];
		int s = accept(l, NULL, NULL), n;
		while ((n = read(s, b, sizeof b)) > 0)
			write(s, b, n);
		_exit(7);
	}
	close(l);
	struct sockaddr_in a = in4(port);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	T(connect(c, SA(a)));
	char b[64] = "";
	for (int i = 0; i < 5; i++) {
		T(write(c, "ping", 4));
		T(recv(c, b, 4, MSG_WAITALL));
	}
	puts(b);
	shutdown(c, SHUT_WR);
	T(read(c, b, 1));
	end(pid);
}

CASE(fork_blocking_accept) {
	struct sockaddr_un a = un("late.sock");
	int l = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(l, SA(a));
	listen(l, 5);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(30000);
		int c = socket(AF_UNIX, SOCK_STREAM, 0);
		connect(c, SA(a));
		write(c, "late", 4);
		_exit(0);
	}
	char b[8] = "";
	int s = F(accept(l, NULL, NULL));
	T(recv(s, b, 8, 0));
	puts(b);
	T(recv(s, b, 8, 0));
	struct ucred u;
	socklen_t n = sizeof u;
	T(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &u, &n));
	T(u.pid == pid);
	end(pid);
	unlink("late.sock");
}

CASE(fork_rights) {
	int s[2], p[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pid_t pid = fork();
	if (pid == 0) {
		char c[CMSG_SPACE(4)], b[8];
		struct iovec v = {b, 8};
		struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
		recvmsg(s[1], &m, 0);
		int fd;
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), 4);
		write(fd, "from child", 10);
		_exit(0);
	}
	pipe(p);
	char c[CMSG_SPACE(4)] = {0}, b[16] = "";
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	*h = (struct cmsghdr){CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(h), &p[1], 4);
	T(sendmsg(s[0], &m, 0));
	close(p[1]);
	T(read(p[0], b, 16));
	puts(b);
	T(read(p[0], b, 16));
	end(pid);
}

CASE(fork_epoll) {
	int e = epoll_create1(0), s[2];
	struct epoll_event ev = {EPOLLIN, {.u64 = 5}};
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	epoll_ctl(e, EPOLL_CTL_ADD, s[0], &ev);
	pid_t pid = fork();
	if (pid == 0) {
		close(s[0]);
		write(s[1], "x", 1);
		int n = epoll_wait(e, &ev, 1, 1000); /* the parent's descriptor keeps the item */
		_exit(n);
	}
	end(pid);
	T(epoll_wait(e, &ev, 1, 1000));
	printf("%d\n", (int)ev.data.u64);
}

CASE(fork_prefork) {
	int port, l = listener(AF_INET, &port), served = 0;
	pid_t pids[3];
	for (int i = 0; i < 3; i++)
		if ((pids[i] = fork()) == 0) {
			int e = epoll_create1(0), n = 0;
			struct epoll_event ev = {EPOLLIN | EPOLLEXCLUSIVE, {.fd = l}};
			fcntl(l, F_SETFL, O_NONBLOCK);
			epoll_ctl(e, EPOLL_CTL_ADD, l, &ev);
			while (epoll_wait(e, &ev, 1, -1) > 0) {
				int s = accept(l, NULL, NULL);
				if (s < 0)
					continue;
				char b = 0;
				read(s, &b, 1);
				if (b == 'q')
					_exit(n);
				write(s, "ok", 2);
				close(s);
				n++;
			}
			_exit(99);
		}
	struct sockaddr_in a = in4(port);
	for (int i = 0; i < 30; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0);
		char b[4];
		connect(c, SA(a));
		write(c, "x", 1);
		served += recv(c, b, 2, MSG_WAITALL) == 2;
		close(c);
	}
	T(served);
	for (int i = 0; i < 3; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0);
		connect(c, SA(a));
		write(c, "q", 1);
		char b;
		read(c, &b, 1);
		close(c);
	}
	int sum = 0, status;
	for (int i = 0; i < 3; i++) {
		waitpid(pids[i], &status, 0);
		sum += WEXITSTATUS(status);
	}
	T(sum);
}

CASE(fork_signalfd) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(3);
	struct signalfd_siginfo i;
	T(read(fd, &i, sizeof i));
	printf("%d %d %d %d\n", i.ssi_signo, i.ssi_code, i.ssi_pid == (unsigned)pid, i.ssi_status);
	end(pid);
}

static void on_alarm(int sig) {}

CASE(interrupted) {
	int s[2], port, l = listener(AF_INET, &port);
	char b;
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval it = {.it_value.tv_usec = 20000};
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	T(recv(s[0], &b, 1, 0));
	setitimer(ITIMER_REAL, &it, NULL);
	T(accept(l, NULL, NULL));
	int e = epoll_create1(0);
	struct epoll_event ev;
	setitimer(ITIMER_REAL, &it, NULL);
	T(epoll_wait(e, &ev, 1, 5000));
	struct timeval tv = {5, 0};
	setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	T(recv(s[0], &b, 1, 0));
}

static int chan[2];

static void *echo(void *arg) {
	char b[4096];
	int fd = *(int *)arg, n;
	while ((n = read(fd, b, sizeof b)) > 0)
		for (int done = 0; done < n;)
			done += write(fd, b + done, n - done);
	close(fd);
	return NULL;
}

CASE(thread_bulk) {
	pthread_t t;
	static unsigned char out[1 << 20], in[1 << 20];
	long sent = 0, got = 0;
	socketpair(AF_UNIX, SOCK_STREAM, 0, chan);
	pthread_create(&t, NULL, echo, &chan[1]);
	for (size_t i = 0; i < sizeof out; i++)
		out[i] = i * 2654435761u >> 13;
	fcntl(chan[0], F_SETFL, O_NONBLOCK);
	while (got < (long)sizeof in) {
		struct pollfd p = {chan[0], POLLIN | (sent < (long)sizeof out ? POLLOUT : 0), 0};
		if (poll(&p, 1, 5000) <= 0)
			break;
		long n;
		if (p.revents & POLLIN && (n = read(chan[0], in + got, sizeof in - got)) > 0)
			got += n;
		if (p.revents & POLLOUT && (n = write(chan[0], out + sent, sizeof out - sent)) > 0)
			sent += n;
	}
	T(sent);
	T(got);
	T(memcmp(in, out, sizeof in));
	close(chan[0]);
	pthread_join(t, NULL);
}

static int rounds[2], port_;

static void *client(void *arg) {
	for (int i = 0; i < 50; i++) {
		struct sockaddr_in a = in4(port_);
		int c = socket(AF_INET, SOCK_STREAM, 0);
		char b[8];
		if (connect(c, SA(a)) == 0 && write(c, "request", 7) == 7 && recv(c, b, 7, MSG_WAITALL) == 7)
			__atomic_add_fetch(&rounds[0], 1, __ATOMIC_SEQ_CST);
		close(c);
	}
	return NULL;
}

/* An event loop serves clients in four threads. */
CASE(thread_clients) {
	pthread_t t[4];
	int l = listener(AF_INET, &port_), e = epoll_create1(0), closed = 0;
	fcntl(l, F_SETFL, O_NONBLOCK);
	struct epoll_event ev[8] = {{EPOLLIN, {.fd = l}}};
	epoll_ctl(e, EPOLL_CTL_ADD, l, ev);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, client, NULL);
	while (closed < 200) {
		int n = epoll_wait(e, ev, 8, 5000);
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;
			char b[16];
			if (fd == l) {
				int s;
				while ((s = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
					struct epoll_event add = {EPOLLIN | EPOLLET | EPOLLRDHUP, {.fd = s}};
					epoll_ctl(e, EPOLL_CTL_ADD, s, &add);
				}
				continue;
			}
			long r;
			while ((r = read(fd, b, sizeof b)) > 0)
				write(fd, b, r);
			if (r == 0) {
				close(fd);
				closed++;
			}
		}
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	T(rounds[0]);
	T(closed);
}

static void *closer(void *arg) {
	usleep(20000);
	shutdown(chan[1], SHUT_RDWR);
	return NULL;
}

CASE(thread_wakes) {
	pthread_t t;
	char b;
	socketpair(AF_UNIX, SOCK_STREAM, 0, chan);
	pthread_create(&t, NULL, closer, NULL);
	T(recv(chan[0], &b, 1, 0));
	pthread_join(t, NULL);
	tcp_pair(chan);
	pthread_create(&t, NULL, closer, NULL);
	T(recv(chan[1], &b, 1, 0));
	pthread_join(t, NULL);
	int port, l = listener(AF_INET, &port);
	chan[1] = l;
	pthread_create(&t, NULL, closer, NULL);
	T(accept(l, NULL, NULL));
	pthread_join(t, NULL);
}
