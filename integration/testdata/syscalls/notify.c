// seccomp_unotify(2): a supervisor answers the system calls of others.
#include "test.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>

#define NR BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define RET(V) BPF_STMT(BPF_RET | BPF_K, (V))
/* ON makes a filter that returns V for system call N and allows all others. */
#define ON(N, V) NR, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (N), 0, 1), RET(V), RET(SECCOMP_RET_ALLOW)
#define LISTEN SECCOMP_FILTER_FLAG_NEW_LISTENER
#define WAIT_KILLABLE (1 << 5)
#define SET_FLAGS _IOW('!', 4, __u64)

static int install(unsigned flags, int nr, unsigned verdict) {
	struct sock_filter f[] = {ON(nr, verdict)};
	struct sock_fprog p = {4, f};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

/* supervised runs a block in a child whose calls of NR the parent gets to know by
   the descriptor L; the child passes it on by a shared table, so that the filter is its alone. */
struct shared { _Atomic int ready, taken, fd; };
static struct shared *shared(void) {
	struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*s = (struct shared){0};
	return s;
}
static int take(pid_t pid, struct shared *s) {
	while (!s->ready) nap(1);
	int p = syscall(SYS_pidfd_open, pid, 0), fd = syscall(SYS_pidfd_getfd, p, s->fd, 0);
	close(p);
	s->taken = 1;
	return fd;
}
static void publish(struct shared *s, int fd) {
	s->fd = fd;
	s->ready = 1;
	while (!s->taken) nap(1);
	close(fd);
}
#define SUPERVISED(L, NR, FLAGS, ...) ({ \
	struct shared *s_ = shared(); \
	pid_t child_ = CHILD(publish(s_, install(LISTEN | FLAGS, NR, SECCOMP_RET_USER_NOTIF)); __VA_ARGS__); \
	L = take(child_, s_); \
	child_; })

static struct seccomp_notif receive(int l) {
	struct seccomp_notif n = {0};
	if (ioctl(l, SECCOMP_IOCTL_NOTIF_RECV, &n)) P("receive: %s\n", strerrorname_np(errno));
	return n;
}
static int answer(int l, __u64 id, long val, int error, unsigned flags) {
	struct seccomp_notif_resp r = {id, val, error, flags};
	return ioctl(l, SECCOMP_IOCTL_NOTIF_SEND, &r);
}
// reply is an answer that is right; who made the call prints what it got.
static void reply(int l, __u64 id, long val, int error) {
	if (answer(l, id, val, error, 0)) P("reply: %s\n", strerrorname_np(errno));
}
static int ready(int l, int ms) {
	struct pollfd p = {l, POLLIN | POLLOUT};
	int n = poll(&p, 1, ms);
	return n <= 0 ? n : p.revents;
}

TEST(notify_answers) {
	int l;
	pid_t pid = SUPERVISED(l, SYS_getuid, 0,
		S(syscall(SYS_getuid, 1, 2, 3, 4, 5, 6)); S(syscall(SYS_getuid)); S(syscall(SYS_getuid)); S(syscall(SYS_getuid)); S(syscall(SYS_getuid) == 0));
	struct seccomp_notif n = receive(l), first = n;
	P("%d %u %d %x\n", n.pid == pid, n.flags, n.data.nr, n.data.arch);
	for (int i = 0; i < 6; i++) P(" %lld", n.data.args[i]);
	P("\n");
	reply(l, n.id, 4242, 0);
	n = receive(l);
	P("next %lld\n", n.id - first.id);
	reply(l, n.id, 4242, -EDOM);
	n = receive(l);
	reply(l, n.id, -3, 0);
	n = receive(l);
	reply(l, n.id, -EXDEV, 0);
	n = receive(l);
	answer(l, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	REAP(pid);
}

TEST(notify_refuses) {
	int l;
	pid_t pid = SUPERVISED(l, SYS_getuid, 0, S(syscall(SYS_getuid)));
	struct seccomp_notif n = receive(l), dirty = n;
	__u64 other = n.id + 1;
	S(answer(l, other, 0, 0, 0));
	S(answer(l, n.id, 0, 0, 2));
	S(answer(l, n.id, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
	S(answer(l, n.id, 0, -1, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_ID_VALID, &other));
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_ID_VALID, NULL));
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_RECV, &dirty));
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_RECV, NULL));
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_SEND, NULL));
	S(ioctl(l, SET_FLAGS, 1));
	S(ioctl(l, SET_FLAGS, 2));
	S(ioctl(l, SET_FLAGS, 0));
	S(ioctl(l, TCGETS, &n));
	S(read(l, &n, sizeof n));
	S(write(l, &n, sizeof n));
	reply(l, n.id, 7, 0);
	REAP(pid);
	S(answer(l, n.id, 7, 0, 0));
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
	memset(&n, 0, sizeof n);
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_RECV, &n));
}

TEST(notify_polls) {
	int l, e = epoll_create1(0), go[2];
	char c;
	pipe(go);
	pid_t pid = SUPERVISED(l, SYS_getuid, 0, read(go[0], &c, 1); S(syscall(SYS_getuid)); read(go[0], &c, 1));
	struct epoll_event ev = {.events = EPOLLIN};
	epoll_ctl(e, EPOLL_CTL_ADD, l, &ev);
	P("%x\n", ready(l, 0));
	write(go[1], "1", 1);
	S(epoll_wait(e, &ev, 1, -1));
	P("%x %x\n", ev.events, ready(l, 0));
	struct seccomp_notif n = receive(l);
	P("%x\n", ready(l, 0));
	S(epoll_wait(e, &ev, 1, 0));
	reply(l, n.id, 3, 0);
	while (ready(l, 0) > 0) nap(1);
	write(go[1], "2", 1);
	REAP(pid);
	P("%x\n", ready(l, -1));
	S(epoll_wait(e, &ev, 1, -1));
	P("%x\n", ev.events);
}

TEST(notify_ends_with_the_listener) {
	int l;
	pid_t pid = SUPERVISED(l, SYS_getuid, 0, S(syscall(SYS_getuid)); S(syscall(SYS_getuid)));
	receive(l);
	close(l);
	REAP(pid);
	pid = SUPERVISED(l, SYS_getuid, 0, S(syscall(SYS_getuid)));
	ready(l, -1);
	close(l);
	REAP(pid);
}

TEST(notify_of_a_killed_process) {
	int l;
	pid_t pid = SUPERVISED(l, SYS_getuid, 0, S(syscall(SYS_getuid)));
	struct seccomp_notif n = receive(l);
	kill(pid, SIGKILL);
	REAP(pid);
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
	S(answer(l, n.id, 0, 0, 0));
	P("%x\n", ready(l, 0));
}

static void handler(int sig) { P("signal %d\n", sig); }
TEST(notify_is_interrupted) {
	int l, flags[] = {0, SA_RESTART};
	for (int i = 0; i < 2; i++) {
		struct sigaction a = {.sa_handler = handler, .sa_flags = flags[i]};
		sigaction(SIGUSR1, &a, NULL);
		pid_t pid = SUPERVISED(l, SYS_getuid, 0, S(syscall(SYS_getuid)));
		struct seccomp_notif n = receive(l), m;
		kill(pid, SIGUSR1);
		while (ioctl(l, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0) nap(1);
		int late = answer(l, n.id, 5, 0, 0) ? errno : 0;
		if (flags[i]) {
			m = receive(l);
			reply(l, m.id, 6, 0);
		}
		REAP(pid);
		P("%s, next %lld\n", strerrorname_np(late), flags[i] ? m.id - n.id : 0);
	}
}

TEST(notify_is_not_interrupted_when_killable) {
	struct sigaction a = {.sa_handler = handler};
	sigaction(SIGUSR1, &a, NULL);
	int l;
	pid_t pid = SUPERVISED(l, SYS_getuid, WAIT_KILLABLE, S(syscall(SYS_getuid)));
	struct seccomp_notif n = receive(l);
	kill(pid, SIGUSR1);
	nap(50);
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
	reply(l, n.id, 5, 0);
	REAP(pid);
	pid = SUPERVISED(l, SYS_getuid, WAIT_KILLABLE, S(syscall(SYS_getuid)));
	n = receive(l);
	kill(pid, SIGKILL);
	REAP(pid);
}

static int add(int l, __u64 id, int flags, int src, int to, int fdflags) {
	struct seccomp_notif_addfd a = {id, flags, src, to, fdflags};
	return ioctl(l, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}
TEST(notify_adds_descriptors) {
	int l, p[2];
	pipe(p);
	pid_t pid = SUPERVISED(l, SYS_getuid, 0,
		close(p[1]); close(p[0]);
		int fd = syscall(SYS_getuid); P("got %d\n", fd); write(fd, "one", 3);
		S(fcntl(fd, F_GETFD)); S(fcntl(20, F_GETFD)); S(fcntl(21, F_GETFD));
		fd = syscall(SYS_getuid); S(write(fd, "two", 3));
		S(syscall(SYS_getuid)));
	struct seccomp_notif n = receive(l);
	int low = add(l, n.id, 0, p[1], 0, 0);
	P("%d\n", low > 2 && low < 20);
	S(add(l, n.id, SECCOMP_ADDFD_FLAG_SETFD, p[1], 20, O_CLOEXEC));
	S(add(l, n.id, SECCOMP_ADDFD_FLAG_SETFD, p[1], 21, 0));
	S(add(l, n.id, SECCOMP_ADDFD_FLAG_SETFD, p[1], 1 << 30, 0));
	S(add(l, n.id, 0, p[1], 22, 0));
	S(add(l, n.id, 4, p[1], 0, 0));
	S(add(l, n.id, 0, p[1], 0, O_NONBLOCK));
	S(add(l, n.id, 0, 999, 0, 0));
	S(add(l, n.id + 1, 0, p[1], 0, 0));
	S(ioctl(l, SECCOMP_IOCTL_NOTIF_ADDFD, NULL));
	reply(l, n.id, 20, 0);
	n = receive(l);
	S(add(l, n.id, SECCOMP_ADDFD_FLAG_SEND | SECCOMP_ADDFD_FLAG_SETFD, p[1], 1 << 30, 0));
	int sent = add(l, n.id, SECCOMP_ADDFD_FLAG_SEND, p[1], 0, 0);
	n = receive(l);
	reply(l, n.id, 1, 0);
	REAP(pid);
	P("%d\n", sent > low);
	char text[10];
	int got = read(p[0], text, sizeof text);
	P("%.*s\n", got, text);
}

TEST(notify_listeners) {
	int l = install(LISTEN, SYS_getuid, SECCOMP_RET_USER_NOTIF);
	P("%d %x\n", l >= 3, fcntl(l, F_GETFD));
	P("%x\n", fcntl(l, F_GETFL) & O_ACCMODE);
	char name[40], target[60] = {0};
	snprintf(name, sizeof name, "/proc/self/fd/%d", l);
	S(readlink(name, target, sizeof target));
	P("%s\n", target);
	S(install(LISTEN, SYS_getgid, SECCOMP_RET_USER_NOTIF));
	S(install(0, SYS_getgid, SECCOMP_RET_USER_NOTIF));
	S(syscall(SYS_getgid)); // the newest filter has no listener
	close(l);
	S(syscall(SYS_getuid));
	l = install(LISTEN, SYS_getegid, SECCOMP_RET_USER_NOTIF);
	P("%d\n", l >= 3);
}

TEST(notify_flags) {
	S(install(LISTEN | SECCOMP_FILTER_FLAG_TSYNC, SYS_getuid, SECCOMP_RET_USER_NOTIF));
	S(install(WAIT_KILLABLE, SYS_getuid, SECCOMP_RET_USER_NOTIF));
	S(install(LISTEN | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, SYS_getuid, SECCOMP_RET_USER_NOTIF) >= 3);
	unsigned action = SECCOMP_RET_USER_NOTIF;
	S(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	struct seccomp_notif_sizes z;
	S(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &z));
	P("%d %d %d\n", z.seccomp_notif, z.seccomp_notif_resp, z.seccomp_data);
	S(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 1, &z));
	S(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, NULL));
}

// A filter counts as used by all that inherited it.
TEST(notify_outlives_its_first_user) {
	int l;
	pid_t pid = SUPERVISED(l, SYS_getuid, 0, if (fork() == 0) { nap(400); install(0, SYS_getgid, SECCOMP_RET_ALLOW); nap(400); syscall(SYS_getuid); });
	REAP(pid);
	P("%x\n", ready(l, 0));
	struct seccomp_notif n = receive(l);
	P("%d\n", n.pid != pid);
	reply(l, n.id, 0, 0);
	P("%x\n", ready(l, -1));
}

static void *asks(void *unused) {
	S(syscall(SYS_getuid));
	return NULL;
}
TEST(notify_of_a_thread) {
	int l = install(LISTEN, SYS_getuid, SECCOMP_RET_USER_NOTIF);
	pthread_t t;
	pthread_create(&t, NULL, asks, NULL);
	struct seccomp_notif n = receive(l);
	P("%d\n", n.pid != getpid());
	reply(l, n.id, 11, 0);
	pthread_join(t, NULL);
}

// A supervisor that waits is interrupted, whether the descriptor blocks or not.
TEST(notify_supervisor_is_interrupted) {
	int l = install(LISTEN, SYS_getuid, SECCOMP_RET_USER_NOTIF);
	struct sigaction a = {.sa_handler = handler};
	sigaction(SIGALRM, &a, NULL);
	fcntl(l, F_SETFL, O_NONBLOCK);
	ualarm(50000, 0);
	receive(l);
}
