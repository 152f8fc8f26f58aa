// Leases, fcntl(2).
#include "test.h"

static char name[] = "/tmp/lease-XXXXXX";

static int leased(int flags, int kind) {
	close(mkstemp(name));
	int fd = open(name, flags);
	S(fcntl(fd, F_SETLEASE, kind));
	return fd;
}

static void done(void) { unlink(name); }

TEST(lease_kinds) {
	int fd = leased(O_RDONLY, F_RDLCK);
	S(fcntl(fd, F_GETLEASE));
	S(fcntl(fd, F_GETOWN) == getpid());
	S(fcntl(fd, F_SETLEASE, F_WRLCK));
	S(fcntl(fd, F_GETLEASE));
	S(fcntl(fd, F_SETLEASE, F_RDLCK));
	S(fcntl(fd, F_SETLEASE, F_UNLCK));
	S(fcntl(fd, F_GETLEASE));
	S(fcntl(fd, F_SETLEASE, F_UNLCK));
	S(fcntl(fd, F_SETLEASE, 77));
	int fd2 = open(name, O_RDONLY);
	S(fcntl(fd, F_SETLEASE, F_WRLCK));
	S(fcntl(fd, F_SETLEASE, F_RDLCK));
	S(fcntl(fd2, F_SETLEASE, F_RDLCK));
	S(fcntl(fd2, F_SETLEASE, F_WRLCK));
	close(fd);
	S(fcntl(fd2, F_GETLEASE));
	S(fcntl(fd2, F_SETLEASE, F_WRLCK));
	close(fd2);
	fd = open(name, O_RDWR);
	S(fcntl(fd, F_SETLEASE, F_RDLCK));
	S(fcntl(fd, F_SETLEASE, F_WRLCK));
	S(fcntl(fd, F_GETLEASE));
	done();
}

TEST(lease_errors) {
	int p[2];
	pipe(p);
	S(fcntl(p[0], F_SETLEASE, F_RDLCK));
	int dir = open("/tmp", O_RDONLY);
	S(fcntl(dir, F_SETLEASE, F_UNLCK));
	S(fcntl(-1, F_SETLEASE, F_RDLCK));
	close(mkstemp(name));
	chmod(name, 0644);
	REAP(CHILD(S(setresuid(1000, 1000, 1000)); int fd = open(name, O_RDONLY); S(fcntl(fd, F_SETLEASE, F_RDLCK))));
	done();
}

static volatile int signals, code, fd_told;
static void on_lease(int sig, siginfo_t *info, void *x) { signals++; code = info->si_code; fd_told = info->si_fd; }

static void listen_for(int sig) {
	struct sigaction a = {.sa_sigaction = on_lease, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(sig, &a, NULL);
}

TEST(lease_broken_without_waiting) {
	listen_for(SIGIO);
	int fd = leased(O_RDONLY, F_RDLCK);
	S(open(name, O_RDONLY | O_NONBLOCK) >= 0);
	P("%d\n", signals);
	S(open(name, O_WRONLY | O_NONBLOCK));
	P("%d\n", signals);
	S(fcntl(fd, F_GETLEASE));
	S(open(name, O_WRONLY | O_NONBLOCK));
	P("%d\n", signals);
	S(fcntl(fd, F_SETLEASE, F_UNLCK));
	S(open(name, O_WRONLY | O_NONBLOCK) >= 0);
	done();
}

TEST(lease_given_up) {
	listen_for(SIGIO);
	int fd = leased(O_RDONLY, F_RDLCK);
	pid_t pid = CHILD(close(fd); S(open(name, O_WRONLY) >= 0));
	while (!signals) nap(1);
	nap(20);
	P("giving up\n");
	int given = fcntl(fd, F_SETLEASE, F_UNLCK);
	REAP(pid);
	P("%d\n", given);
	done();
}

TEST(lease_downgraded) {
	listen_for(SIGRTMIN);
	int fd = leased(O_RDWR, F_UNLCK);
	fcntl(fd, F_SETSIG, SIGRTMIN);
	S(fcntl(fd, F_SETLEASE, F_WRLCK));
	pid_t pid = CHILD(close(fd); S(open(name, O_RDONLY) >= 0));
	while (!signals) nap(1);
	nap(20);
	P("%d %d\n", code, fd_told == fd);
	S(fcntl(fd, F_GETLEASE));
	close(fd);
	REAP(pid);
	done();
}

TEST(lease_interrupted) {
	int fd = leased(O_RDONLY, F_RDLCK);
	signal(SIGIO, SIG_IGN);
	pid_t pid = CHILD(close(fd); struct sigaction a = {.sa_sigaction = on_lease, .sa_flags = SA_SIGINFO}; sigaction(SIGUSR1, &a, NULL);
		S(open(name, O_WRONLY)));
	await(pid, 'S');
	nap(20);
	kill(pid, SIGUSR1);
	REAP(pid);
	close(fd);
	S(open(name, O_WRONLY) >= 0);
	done();
}
