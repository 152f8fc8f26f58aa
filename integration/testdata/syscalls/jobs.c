#include "test.h"

TEST(setpgid_rules) {
	P("%d\n", getpgrp() != getpid());
	S(setpgid(0, 0));
	P("%d\n", getpgrp() == getpid());
	S(setpgid(0, 0));
	S(setpgid(0, -1));
	S(setpgid(0, 0x3ffffff));
	S(setpgid(0x3ffffff, 0));
	pid_t pid = CHILD(for (;;) pause());
	S(setpgid(pid, pid));
	P("%d\n", getpgid(pid) == pid);
	S(setpgid(pid, getpgrp()));
	P("%d\n", getpgid(pid) == getpgrp());
	kill(pid, SIGKILL);
	REAP(pid);
	S(getpgid(0x3ffffff));
}

TEST(setpgid_after_exec) {
	int p[2];
	pipe2(p, O_CLOEXEC);
	pid_t pid = fork();
	if (pid == 0) { char *argv[] = {"self", "exit", "0", 0}; close(p[0]); raise(SIGSTOP); execv(SELF, argv); }
	close(p[1]);
	waitpid(pid, NULL, WUNTRACED);
	kill(pid, SIGCONT);
	char c;
	read(p[0], &c, 1); // until execve has closed the other end
	int r = setpgid(pid, pid);
	P("%s\n", r < 0 ? errno == EACCES || errno == ESRCH ? "refused" : strerror(errno) : "allowed");
	REAP(pid);
}

TEST(setsid_rules) {
	S(setsid() == getpid());
	S(getsid(0) == getpid());
	S(setsid());
	S(setpgid(0, 0));
	REAP(CHILD(P("%d\n", getsid(0) == getppid()); S(setsid() == getpid()); P("%d %d\n", getsid(0) == getpid(), getpgrp() == getpid())));
	S(getsid(0x3ffffff));
}

TEST(setpgid_into_other_session) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(setsid(); write(p[1], "x", 1); for (;;) pause());
	char c;
	read(p[0], &c, 1);
	S(setpgid(0, pid));
	S(setpgid(pid, pid));
	kill(pid, SIGKILL);
	REAP(pid);
}

TEST(orphaned_stopped_group_is_hung_up) {
	int p[2];
	pipe(p);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid_t pid = CHILD(
		setsid();
		pid_t job = CHILD(setpgid(0, 0); for (;;) pause());
		setpgid(job, job);
		write(p[1], &job, sizeof job);
		kill(job, SIGSTOP);
		waitpid(job, NULL, WUNTRACED);
	);
	pid_t job;
	read(p[0], &job, sizeof job);
	REAP(pid);
	REAP(job);
}

// A session on a pseudoterminal: the test has the master.
static int master;
static pid_t session(void (*f)(void)) {
	master = posix_openpt(O_RDWR | O_NOCTTY);
	grantpt(master);
	unlockpt(master);
	char *name = ptsname(master);
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		int fd = open(name, O_RDWR);
		close(master);
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		if (fd > 2) close(fd);
		f();
		fflush(stdout);
		_exit(0);
	}
	return pid;
}

static void drain(void) {
	char b[1000];
	int n;
	fflush(stdout);
	while ((n = read(master, b, sizeof b)) > 0)
		for (int i = 0; i < n; i++) if (b[i] != '\r') putchar(b[i]);
	P("end %s\n", n < 0 ? strerrorname_np(errno) : "of file");
}

static void expect(const char *text) {
	char all[2000] = "";
	while (!strstr(all, text)) {
		char b[100];
		int n = read(master, b, sizeof b - 1);
		if (n <= 0) { P("instead of %s: %s\n", text, all); return; }
		b[n] = 0;
		strncat(all, b, sizeof all - strlen(all) - 1);
	}
}

TEST(pty_basics) {
	void f(void) {
		P("%d %d %d\n", isatty(0), getpgrp() == tcgetpgrp(0), tcgetsid(0) == getpid());
		P("%d\n", access("/dev/tty", F_OK));
		int t = open("/dev/tty", O_RDWR);
		P("%d\n", t > 0 && tcgetpgrp(t) == getpgrp());
		struct winsize w;
		ioctl(0, TIOCGWINSZ, &w);
		P("%d %d\n", w.ws_row, w.ws_col);
	}
	pid_t pid = session(f);
	drain();
	REAP(pid);
}

TEST(pty_interrupt) {
	void f(void) { P("ready\n"); for (;;) pause(); }
	pid_t pid = session(f);
	expect("ready");
	write(master, "\003", 1);
	REAP(pid);
}

TEST(pty_interrupts_foreground_only) {
	void f(void) {
		signal(SIGTTOU, SIG_IGN);
		pid_t back = CHILD(setpgid(0, 0); for (;;) pause());
		setpgid(back, back);
		pid_t fore = CHILD(setpgid(0, 0); tcsetpgrp(0, getpid()); P("ready\n"); for (;;) pause());
		REAP(fore);
		P("background %d\n", waitpid(back, NULL, WNOHANG));
		kill(back, SIGKILL);
		REAP(back);
	}
	pid_t pid = session(f);
	expect("ready");
	write(master, "\003", 1);
	drain();
	REAP(pid);
}

TEST(pty_suspend_and_continue) {
	void f(void) {
		signal(SIGTTOU, SIG_IGN);
		pid_t job = CHILD(setpgid(0, 0); tcsetpgrp(0, getpid()); signal(SIGTTOU, SIG_DFL); P("ready\n"); for (;;) pause());
		int st;
		waitpid(job, &st, WUNTRACED);
		tcsetpgrp(0, getpgrp());
		show_status(st);
		tcsetpgrp(0, job);
		kill(-job, SIGCONT);
		waitpid(job, &st, WCONTINUED);
		show_status(st);
		P("again\n");
		waitpid(job, &st, 0);
		show_status(st);
	}
	pid_t pid = session(f);
	expect("ready");
	write(master, "\032", 1);
	expect("again");
	write(master, "\034", 1);
	drain();
	REAP(pid);
}

TEST(background_read_stops) {
	void f(void) {
		int st;
		char c;
		pid_t job = CHILD(setpgid(0, 0); P("%d\n", (int)read(0, &c, 1)); P("%c\n", c));
		setpgid(job, job);
		waitpid(job, &st, WUNTRACED);
		show_status(st);
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(0, job);
		kill(job, SIGCONT);
		P("ready\n");
		waitpid(job, &st, 0);
		show_status(st);
		job = CHILD(setpgid(0, 0); signal(SIGTTIN, SIG_IGN); S(read(0, &c, 1)));
		setpgid(job, job);
		tcsetpgrp(0, getpgrp());
		REAP(job);
	}
	pid_t pid = session(f);
	expect("ready");
	write(master, "x\n", 2);
	drain();
	REAP(pid);
}

TEST(background_write_and_tostop) {
	void f(void) {
		int st;
		struct termios t;
		pid_t job = CHILD(setpgid(0, 0); P("allowed\n"));
		REAP(job);
		tcgetattr(0, &t);
		t.c_lflag |= TOSTOP;
		tcsetattr(0, TCSANOW, &t);
		job = CHILD(setpgid(0, 0); P("later\n"));
		setpgid(job, job);
		waitpid(job, &st, WUNTRACED);
		show_status(st);
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(0, job);
		kill(job, SIGCONT);
		waitpid(job, &st, 0);
		show_status(st);
	}
	pid_t pid = session(f);
	drain();
	REAP(pid);
}

TEST(background_tcsetattr_stops) {
	void f(void) {
		int st;
		struct termios t;
		pid_t job = CHILD(setpgid(0, 0); tcgetattr(0, &t); tcsetattr(0, TCSANOW, &t));
		setpgid(job, job);
		waitpid(job, &st, WUNTRACED);
		show_status(st);
		kill(job, SIGKILL);
		REAP(job);
	}
	pid_t pid = session(f);
	drain();
	REAP(pid);
}

TEST(tcsetpgrp_errors) {
	void f(void) {
		S(tcsetpgrp(0, 0x3ffffff));
		int p[2];
		pipe(p);
		S(tcsetpgrp(p[0], getpgrp()));
		S(tcgetpgrp(p[0]));
	}
	pid_t pid = session(f);
	drain();
	REAP(pid);
	S(tcgetpgrp(master) == 0 || 1);
}

TEST(master_closes) {
	static int report[2];
	static volatile int got;
	pipe(report);
	void f(void) {
		void h(int s) { got |= s == SIGHUP ? 1 : s == SIGCONT ? 2 : 4; }
		signal(SIGHUP, h);
		signal(SIGCONT, h);
		P("ready\n");
		char c;
		int n;
		do n = read(0, &c, 1); while (n < 0 && errno == EINTR);
		while (got != 3) nap(1);
		dprintf(report[1], "read ends %d\n", n <= 0);
		n = write(1, "x", 1);
		dprintf(report[1], "write %d %s\n", n, n < 0 ? strerrorname_np(errno) : "");
		_exit(0);
	}
	pid_t pid = session(f);
	expect("ready");
	close(master);
	REAP(pid);
	close(report[1]);
	char b[200];
	int n = read(report[0], b, sizeof b);
	P("%.*s", n, b);
}

TEST(session_leader_exit_hangs_up) {
	static int report[2];
	pipe(report);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	void f(void) {
		pid_t job = CHILD(for (;;) pause());
		(void)job;
		await(job, 'S');
	}
	pid_t pid = session(f);
	REAP(pid);
	int st;
	wait(&st);
	show_status(st);
}

TEST(slave_closes) {
	void f(void) { P("bye\n"); }
	pid_t pid = session(f);
	REAP(pid);
	struct pollfd p = {master, POLLIN};
	poll(&p, 1, -1);
	P("%d %d\n", !!(p.revents & POLLIN), !!(p.revents & POLLHUP));
	drain();
	poll(&p, 1, -1);
	P("%d %d\n", !!(p.revents & POLLIN), !!(p.revents & POLLHUP));
}

TEST(winsize_signal) {
	void f(void) {
		void h(int s) { struct winsize w; ioctl(0, TIOCGWINSZ, &w); P("size %d %d\n", w.ws_row, w.ws_col); }
		signal(SIGWINCH, h);
		sigset_t s, none;
		sigemptyset(&none);
		sigemptyset(&s);
		sigaddset(&s, SIGWINCH);
		sigprocmask(SIG_BLOCK, &s, NULL);
		P("ready\n");
		sigsuspend(&none);
	}
	pid_t pid = session(f);
	expect("ready");
	struct winsize w = {24, 80};
	S(ioctl(master, TIOCSWINSZ, &w));
	drain();
	REAP(pid);
}

TEST(raw_mode) {
	void f(void) {
		struct termios t;
		tcgetattr(0, &t);
		cfmakeraw(&t);
		tcsetattr(0, TCSANOW, &t);
		P("ready\n");
		char b[10] = "";
		int n = 0;
		while (n < 4) n += read(0, b + n, 4 - n);
		P("%d %d %d %d\n", b[0], b[1], b[2], b[3]);
	}
	pid_t pid = session(f);
	expect("ready");
	write(master, "\003\r\004a", 4);
	drain();
	REAP(pid);
}

TEST(vmin_vtime) {
	void f(void) {
		struct termios t;
		tcgetattr(0, &t);
		cfmakeraw(&t);
		t.c_cc[VMIN] = 0;
		t.c_cc[VTIME] = 1;
		tcsetattr(0, TCSANOW, &t);
		char b[10];
		S(read(0, b, 10));
		t.c_cc[VTIME] = 0;
		tcsetattr(0, TCSANOW, &t);
		S(read(0, b, 10));
		t.c_cc[VMIN] = 3;
		tcsetattr(0, TCSANOW, &t);
		P("ready\n");
		S(read(0, b, 10));
	}
	pid_t pid = session(f);
	expect("ready");
	write(master, "ab", 2);
	nap(5);
	write(master, "cd", 2);
	drain();
	REAP(pid);
}

TEST(no_controlling_terminal) {
	setsid();
	S(open("/dev/tty", O_RDWR));
	int m = posix_openpt(O_RDWR | O_NOCTTY);
	grantpt(m);
	unlockpt(m);
	int s = open(ptsname(m), O_RDWR | O_NOCTTY);
	P("%d\n", isatty(s));
	S(tcgetpgrp(s));
	S(ioctl(s, TIOCSCTTY, 0));
	P("%d\n", tcgetpgrp(s) == getpgrp());
	signal(SIGHUP, SIG_IGN);
	S(ioctl(s, TIOCNOTTY, 0));
	S(tcgetpgrp(s));
	REAP(CHILD(S(ioctl(s, TIOCSCTTY, 0))));
}

static void shows_sender(int sig, siginfo_t *info, void *context) {
	P("signal %d code %d from %s\n", sig, info->si_code, info->si_pid == getpid() ? "itself" : info->si_pid ? "another" : "nobody");
}

TEST(terminal_given_up) {
	setsid();
	int m = posix_openpt(O_RDWR | O_NOCTTY);
	grantpt(m);
	unlockpt(m);
	int s = open(ptsname(m), O_RDWR | O_NOCTTY);
	S(ioctl(s, TIOCSCTTY, 0));
	struct sigaction a = {.sa_sigaction = shows_sender, .sa_flags = SA_SIGINFO};
	sigaction(SIGHUP, &a, NULL);
	sigaction(SIGCONT, &a, NULL);
	S(ioctl(s, TIOCNOTTY, 0));
}

TEST(locked_slave) {
	int m = posix_openpt(O_RDWR | O_NOCTTY);
	char name[40];
	ptsname_r(m, name, sizeof name);
	S(open(name, O_RDWR | O_NOCTTY));
	unlockpt(m);
	P("%d\n", open(name, O_RDWR | O_NOCTTY) >= 0);
	struct stat st;
	S(stat(name, &st));
	P("%d\n", S_ISCHR(st.st_mode));
}

TEST(pty_name_stays) {
	int m = posix_openpt(O_RDWR | O_NOCTTY);
	unlockpt(m);
	char *name = ptsname(m), fd[40], target[60];
	int s = open(name, O_RDWR | O_NOCTTY);
	struct stat st, again;
	fstat(s, &st);
	S(stat(name, &again));
	P("%d\n", st.st_ino == again.st_ino && st.st_rdev == again.st_rdev);
	S(chmod(name, 0600));
	S(fchown(s, 1234, 5));
	fstat(s, &st), stat(name, &again);
	P("%o %d, %o %d\n", st.st_mode, st.st_uid, again.st_mode, again.st_uid);
	P("%d\n", ttyname(s) && !strcmp(ttyname(s), name));
	snprintf(fd, sizeof fd, "/proc/self/fd/%d", s);
	for (int i = 0; i < 2; i++) {
		memset(target, 0, sizeof target);
		readlink(fd, target, sizeof target);
		P("%d %s\n", !strncmp(target, name, strlen(name)), target + strlen(name));
		close(m);
		S(stat(name, &again));
	}
}

struct sysv_termio { unsigned short flags[4]; unsigned char line, cc[8]; };
static void show_termio(int fd) {
	struct sysv_termio t;
	memset(&t, 'x', sizeof t);
	S(ioctl(fd, TCGETA, &t));
	for (int i = 0; i < 4; i++) P("%o ", t.flags[i]);
	P("%d:", t.line);
	for (int i = 0; i < 8; i++) P(" %d", t.cc[i]);
	P(" %zu\n", sizeof t);
}
TEST(pty_termio) {
	int m = posix_openpt(O_RDWR | O_NOCTTY);
	unlockpt(m);
	int s = open(ptsname(m), O_RDWR | O_NOCTTY), excl = -1;
	show_termio(s);
	show_termio(m);
	struct sysv_termio t;
	ioctl(s, TCGETA, &t);
	t.flags[3] &= ~ECHO, t.cc[VINTR] = 7, t.cc[7] = 9;
	S(ioctl(s, TCSETA, &t));
	show_termio(s);
	struct termios full;
	tcgetattr(s, &full);
	P("%o %o %d %d\n", full.c_cflag, full.c_lflag, full.c_cc[VINTR], full.c_cc[VSUSP]);
	t.cc[VINTR] = 8;
	S(ioctl(s, TCSETAW, &t));
	write(m, "typed\n", 6);
	S(poll(&(struct pollfd){s, POLLIN}, 1, -1)); // a kernel's thread hands it on
	S(ioctl(s, TCSETAF, &t));
	fcntl(s, F_SETFL, O_NONBLOCK);
	S(read(s, &t, 1));
	S(ioctl(s, TCGETA, NULL));
	S(ioctl(s, TCSETA, NULL));
	struct termios locked;
	S(ioctl(s, TIOCGLCKTRMIOS, &locked));
	P("%d %d\n", locked.c_iflag, locked.c_cc[0]);
	setresuid(1234, 1234, 1234);
	S(ioctl(s, TIOCSLCKTRMIOS, &locked));
	S(ioctl(s, 0x80045440, &excl)); // TIOCGEXCL
	P("%d\n", excl);
	S(ioctl(s, TIOCEXCL)); ioctl(s, 0x80045440, &excl); P("%d\n", excl);
	S(ioctl(s, TIOCNXCL)); ioctl(s, 0x80045440, &excl); P("%d\n", excl);
}

/* A pseudoterminal whose master is in packet mode; neither end waits. */
static int packet_slave;
static void packet_mode(void) {
	int on = 1;
	master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	unlockpt(master);
	packet_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
	S(ioctl(master, TIOCPKT, &on));
}

/* packets shows all that the master can read, and what poll says before. */
static void packets(const char *after) {
	unsigned char b[64];
	ssize_t n;
	P("%s:", after);
	for (;;) {
		struct pollfd p = {master, POLLIN | POLLPRI};
		poll(&p, 1, 20);
		if ((n = read(master, b, sizeof b)) <= 0) break;
		P(" %x", p.revents);
		for (int i = 0; i < n; i++) P(i ? ",%u" : "[%u", b[i]);
		P("]");
	}
	P(" %s\n", n ? strerrorname_np(errno) : "end");
}

static void change(tcflag_t iflag, tcflag_t lflag, int how) {
	struct termios t;
	tcgetattr(packet_slave, &t);
	t.c_iflag ^= iflag;
	t.c_lflag ^= lflag;
	tcsetattr(packet_slave, how, &t);
}

TEST(pty_packet_data) {
	int on = 7, off = 0;
	unsigned char b[4];
	packet_mode();
	S(ioctl(master, TIOCGPKT, &on));
	P("%d\n", on);
	packets("fresh");
	S(write(packet_slave, "hello", 5));
	S(read(master, b, 3));
	P("%d %c%c\n", b[0], b[1], b[2]);
	packets("rest");
	S(write(master, "x\n", 2));
	packets("echo");
	S(ioctl(master, TIOCPKT, &off));
	S(write(packet_slave, "abc", 3));
	packets("off");
	S(ioctl(master, TIOCPKT, (void *)8));
	S(ioctl(packet_slave, TIOCPKT, &on));
	S(ioctl(packet_slave, TIOCGPKT, &on));
}

TEST(pty_packet_flow) {
	packet_mode();
	S(tcflow(packet_slave, TCOOFF));
	packets("off");
	S(tcflow(packet_slave, TCOOFF));
	packets("off again");
	S(tcflow(packet_slave, TCOON));
	packets("on");
	S(tcflow(packet_slave, TCOOFF));
	S(tcflow(packet_slave, TCOON));
	packets("off and on");
	S(write(master, "\x13", 1));
	packets("^S");
	S(write(master, "\x11", 1));
	packets("^Q");
	change(IXON, 0, TCSANOW);
	packets("no IXON");
	change(IXON, 0, TCSANOW);
	packets("IXON");
	change(ICRNL, 0, TCSANOW);
	packets("other");
	change(0, EXTPROC, TCSANOW);
	packets("EXTPROC");
	change(0, ECHO, TCSANOW);
	packets("with EXTPROC");
	change(0, EXTPROC, TCSANOW);
	packets("no EXTPROC");
}

TEST(pty_packet_flush) {
	packet_mode();
	S(tcflush(packet_slave, TCIFLUSH));
	packets("input");
	S(tcflush(packet_slave, TCOFLUSH));
	packets("output");
	S(tcflush(packet_slave, TCIOFLUSH));
	packets("both");
	change(0, ECHO, TCSAFLUSH);
	packets("by tcsetattr");
	S(write(master, "\x03", 1));
	packets("^C");
	change(0, NOFLSH, TCSANOW);
	S(write(master, "\x03", 1));
	packets("^C without");
	S(tcflush(packet_slave, TCIFLUSH));
	S(write(packet_slave, "x", 1));
	packets("status first");
	close(packet_slave);
	packets("closed");
}
