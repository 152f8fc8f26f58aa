#include "test.h"
#include <mqueue.h>

// name is one that no other test has.
static const char *name(void) {
	static char n[32];
	snprintf(n, sizeof n, "/mb%d", getpid());
	return n;
}

static mqd_t queue(int flags, long messages, long size) {
	struct mq_attr a = {.mq_maxmsg = messages, .mq_msgsize = size};
	mqd_t q = mq_open(name(), O_CREAT | O_EXCL | O_RDWR | flags, 0600, &a);
	mq_unlink(name());
	return q;
}

static void receive(mqd_t q) {
	char b[100];
	unsigned prio = 99;
	ssize_t n = mq_receive(q, b, sizeof b, &prio);
	if (n < 0) {
		show("mq_receive", n);
		return;
	}
	P("%.*s %u\n", (int)n, b, prio);
}

static void show_attr(mqd_t q) {
	struct mq_attr a;
	S(mq_getattr(q, &a));
	P("%lx %ld %ld %ld\n", a.mq_flags, a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs);
}

TEST(mq_priorities) {
	mqd_t q = queue(0, 5, 100);
	S(mq_send(q, "a", 1, 1));
	S(mq_send(q, "b", 1, 7));
	S(mq_send(q, "c", 1, 1));
	S(mq_send(q, "d", 1, 7));
	S(mq_send(q, "", 0, 0));
	show_attr(q);
	for (int i = 0; i < 5; i++)
		receive(q);
	S(mq_close(q));
	S(mq_close(q));
}

TEST(mq_names) {
	S(syscall(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, NULL));
	S(syscall(SYS_mq_open, "a/b", O_CREAT | O_RDWR, 0600, NULL));
	S(syscall(SYS_mq_open, "..", O_CREAT | O_RDWR, 0600, NULL));
	char longest[300];
	memset(longest, 'x', 299);
	longest[299] = 0;
	S(syscall(SYS_mq_open, longest, O_CREAT | O_RDWR, 0600, NULL));
	S(mq_open(name(), O_RDWR));
	S(mq_unlink(name()));
	mqd_t q = mq_open(name(), O_CREAT | O_RDONLY, 0640, NULL);
	show_attr(q);
	S(fcntl(q, F_GETFD));
	S(mq_open(name(), O_CREAT | O_EXCL | O_RDWR, 0600, NULL));
	mqd_t w = mq_open(name(), O_WRONLY | O_NONBLOCK);
	S(mq_send(w, "x", 1, 3));
	S(mq_send(q, "x", 1, 3));
	char b[MQ_PRIO_MAX < 8192 ? 8192 : 8192];
	S(mq_receive(w, b, sizeof b, NULL));
	S(mq_receive(q, b, sizeof b, NULL));
	struct stat st;
	S(fstat(q, &st));
	P("%o %ld\n", st.st_mode, (long)st.st_size);
	S(mq_unlink(name()));
	S(mq_open(name(), O_RDWR));
	S(mq_send(w, "y", 1, 3));
	S(mq_receive(q, b, sizeof b, NULL));
}

TEST(mq_errors) {
	mqd_t q = queue(O_NONBLOCK, 2, 10);
	S(mq_send(q, "12345678901", 11, 0));
	S(mq_send(q, "x", 1, MQ_PRIO_MAX));
	S(mq_send(q, "x", 1, MQ_PRIO_MAX - 1));
	S(mq_send(q, "x", 1, 0));
	S(mq_send(q, "x", 1, 0));
	char b[10];
	S(mq_receive(q, b, 9, NULL));
	S(mq_receive(q, b, 10, NULL));
	S(mq_receive(q, b, 10, NULL));
	S(mq_receive(q, b, 10, NULL));
	S(mq_send(0, "x", 1, 0));
	S(mq_send(-1, "x", 1, 0));
	struct mq_attr bad[] = {{.mq_maxmsg = 0, .mq_msgsize = 1}, {.mq_maxmsg = 1, .mq_msgsize = 0}, {.mq_maxmsg = -1, .mq_msgsize = 1}};
	for (int i = 0; i < 3; i++)
		S(mq_open(name(), O_CREAT | O_RDWR, 0600, &bad[i]));
}

TEST(mq_timeouts) {
	mqd_t q = queue(0, 1, 10);
	char b[10];
	struct timespec soon;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_sec -= 1;
	S(mq_timedreceive(q, b, 10, NULL, &soon));
	S(mq_timedsend(q, "x", 1, 0, &soon));
	S(mq_timedsend(q, "x", 1, 0, &soon));
	struct timespec bad = {0, 1000000000};
	S(mq_timedsend(q, "x", 1, 0, &bad));
	S(mq_timedreceive(q, b, 10, NULL, &soon));
}

TEST(mq_between_processes) {
	mqd_t q = queue(0, 1, 100);
	pid_t pid = CHILD(for (int i = 0; i < 3; i++) receive(q));
	nap(50);
	mq_send(q, "one", 3, 1);
	mq_send(q, "two", 3, 2);
	mq_send(q, "three", 5, 3);
	REAP(pid);
	show_attr(q);
}

static volatile int code, value;
static volatile pid_t sender;
static void arrived(int sig, siginfo_t *i, void *u) {
	code = i->si_code;
	value = i->si_value.sival_int;
	sender = i->si_pid;
}

TEST(mq_notify_by_signal) {
	mqd_t q = queue(0, 3, 100);
	struct sigaction sa = {.sa_sigaction = arrived, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGUSR1, &sa, NULL);
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
	S(mq_notify(q, &ev));
	S(mq_notify(q, &ev));
	REAP(CHILD(S(mq_notify(q, &ev)); S(mq_notify(q, NULL))));
	S(mq_send(q, "a", 1, 0));
	P("%d %d %d\n", code, value, sender == getpid());
	code = 0;
	S(mq_notify(q, &ev));
	S(mq_send(q, "b", 1, 0)); // the queue was not empty
	P("%d\n", code);
	receive(q);
	receive(q);
	pid_t pid = CHILD(mq_send(q, "c", 1, 0));
	REAP(pid);
	P("%d %d\n", code, sender == pid);
	ev.sigev_notify = SIGEV_NONE;
	S(mq_notify(q, &ev));
	S(mq_notify(q, &ev));
	S(mq_notify(q, NULL));
	S(mq_notify(q, &ev));
	S(mq_close(dup(q))); // which ends it
	S(mq_notify(q, &ev));
}

TEST(mq_flags) {
	mqd_t q = queue(0, 3, 100);
	struct mq_attr a = {.mq_flags = O_NONBLOCK}, old;
	S(mq_setattr(q, &a, &old));
	P("%lx\n", old.mq_flags);
	show_attr(q);
	S(fcntl(q, F_GETFL));
	a.mq_flags = O_APPEND;
	S(mq_setattr(q, &a, NULL));
	receive(q);
}

TEST(mq_poll) {
	mqd_t q = queue(0, 1, 100);
	struct pollfd p = {q, POLLIN | POLLOUT};
	S(poll(&p, 1, 0));
	P("%x\n", p.revents);
	S(mq_send(q, "a", 1, 0));
	S(poll(&p, 1, 0));
	P("%x\n", p.revents);
	char b[200] = "";
	S(pread(q, b, sizeof b, 0));
	P("%s", b);
}

TEST(mq_interrupted) {
	mqd_t q = queue(0, 1, 100);
	struct sigaction sa = {.sa_sigaction = arrived, .sa_flags = SA_SIGINFO};
	sigaction(SIGALRM, &sa, NULL);
	ualarm(50000, 0);
	receive(q);
}

TEST(mq_limit) {
	struct rlimit r = {1000, 1000};
	S(setrlimit(RLIMIT_MSGQUEUE, &r));
	S(mq_open(name(), O_CREAT | O_RDWR, 0600, NULL));
	struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = 100};
	S(mq_open(name(), O_CREAT | O_RDWR, 0600, &a) >= 0);
	S(mq_unlink(name()));
}
