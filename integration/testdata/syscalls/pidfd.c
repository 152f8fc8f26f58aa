#include "test.h"

static int pidfd_open_(pid_t pid, int flags) { return syscall(SYS_pidfd_open, pid, flags); }
static int send_signal(int fd, int sig) { return syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0); }

TEST(pidfd_polls) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(char c; read(p[0], &c, 1));
	int fd = pidfd_open_(pid, 0);
	struct pollfd pf = {fd, POLLIN};
	S(poll(&pf, 1, 0));
	write(p[1], "x", 1);
	S(poll(&pf, 1, -1));
	P("%d\n", !!(pf.revents & POLLIN));
	REAP(pid);
	S(send_signal(fd, 0));
}

TEST(pidfd_signals) {
	pid_t pid = CHILD(for (;;) pause());
	int fd = pidfd_open_(pid, 0);
	P("%d\n", !!(fcntl(fd, F_GETFD) & FD_CLOEXEC));
	S(send_signal(fd, SIGTERM));
	siginfo_t i = {0};
	S(waitid(P_PIDFD, fd, &i, WEXITED));
	P("%d %d\n", i.si_pid == pid, i.si_status);
	S(waitid(P_PIDFD, fd, &i, WEXITED));
}

TEST(pidfd_errors) {
	S(pidfd_open_(0, 0));
	S(pidfd_open_(0x3ffffff, 0));
	S(pidfd_open_(getpid(), 12345));
	S(send_signal(0, SIGTERM));
	S(send_signal(99, SIGTERM));
	siginfo_t i;
	S(waitid(P_PIDFD, 99, &i, WEXITED));
}

TEST(clone_pidfd) {
	int fd = -1;
	struct clone_args a = {.flags = CLONE_PIDFD, .pidfd = (long)&fd, .exit_signal = SIGCHLD};
	pid_t pid = syscall(SYS_clone3, &a, sizeof a);
	if (pid == 0) _exit(fcntl(3, F_GETFD) < 0 ? 5 : 6);
	siginfo_t i = {0};
	S(waitid(P_PIDFD, fd, &i, WEXITED));
	P("%d %d\n", i.si_pid == pid, i.si_status);
}

TEST(pidfd_signal_by_directory) {
	pid_t pid = CHILD(for (;;) pause());
	char name[32];
	snprintf(name, sizeof name, "/proc/%d", pid);
	int fd = open(name, O_DIRECTORY), path = open(name, O_PATH), sub = openat(fd, "fd", O_DIRECTORY);
	S(send_signal(path, SIGTERM));
	S(send_signal(sub, SIGTERM));
	S(send_signal(fd, 0));
	S(send_signal(fd, SIGTERM));
	REAP(pid);
	S(send_signal(fd, 0));
}
