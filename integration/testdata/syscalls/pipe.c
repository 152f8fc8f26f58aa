#include "test.h"

TEST(pipe_end_of_file) {
	int p[2];
	char c;
	pipe(p);
	pid_t pid = CHILD(close(p[0]); nap(10));
	close(p[1]);
	S(read(p[0], &c, 1));
	REAP(pid);
}

TEST(pipe_blocks_when_full) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(close(p[0]); char b[1000]; memset(b, 'x', 1000); for (int i = 0; i < 200; i++) if (write(p[1], b, 1000) != 1000) _exit(1));
	close(p[1]);
	nap(20);
	long n, total = 0;
	char b[5000];
	while ((n = read(p[0], b, sizeof b)) > 0) total += n;
	P("%ld\n", total);
	REAP(pid);
}

TEST(pipe_many_writers) {
	int p[2];
	pipe(p);
	pid_t pids[8];
	for (int k = 0; k < 8; k++) pids[k] = CHILD(char b[100]; memset(b, 'a' + k, 100); for (int i = 0; i < 100; i++) write(p[1], b, 100));
	close(p[1]);
	int torn = 0, records = 0;
	char b[100];
	for (;;) {
		int n = 0, r;
		while (n < 100 && (r = read(p[0], b + n, 100 - n)) > 0) n += r;
		if (n == 0) break;
		records++;
		for (int i = 1; i < 100; i++) torn += b[i] != b[0];
	}
	P("%d %d\n", records, torn);
	for (int k = 0; k < 8; k++) REAP(pids[k]);
}

TEST(pipe_chain) {
	int in = -1;
	pid_t pids[10];
	for (int k = 0; k < 10; k++) {
		int p[2];
		pipe(p);
		pids[k] = CHILD(close(p[0]); char c = 0; if (in >= 0) read(in, &c, 1); c++; write(p[1], &c, 1));
		close(p[1]);
		if (in >= 0) close(in);
		in = p[0];
	}
	char c;
	read(in, &c, 1);
	P("%d\n", c);
	for (int k = 0; k < 10; k++) waitpid(pids[k], NULL, 0);
}

TEST(pipe_ping_pong) {
	int a[2], b[2], n = 0;
	pipe(a);
	pipe(b);
	pid_t pid = CHILD(close(a[1]); close(b[0]); char c; while (read(a[0], &c, 1) == 1) write(b[1], &c, 1));
	close(a[0]);
	close(b[1]);
	for (int i = 0; i < 1000; i++) { char c = i; write(a[1], &c, 1); read(b[0], &c, 1); n += c == (char)i; }
	close(a[1]);
	REAP(pid);
	P("%d\n", n);
}

TEST(fifo_between_processes) {
	char name[] = "/tmp/fifoXXXXXX";
	close(mkstemp(name));
	unlink(name);
	S(mkfifo(name, 0600) );
	pid_t pid = CHILD(int fd = open(name, O_WRONLY); write(fd, "through", 7));
	int fd = open(name, O_RDONLY);
	char b[10] = "";
	S(read(fd, b, 10));
	P("%s\n", b);
	S(read(fd, b, 10));
	REAP(pid);
	unlink(name);
}

TEST(poll_wakes_for_other_process) {
	int p[2];
	pipe(p);
	pid_t pid = CHILD(nap(10); write(p[1], "x", 1); nap(10));
	close(p[1]);
	struct pollfd f = {p[0], POLLIN};
	S(poll(&f, 1, -1));
	char c;
	read(p[0], &c, 1);
	S(poll(&f, 1, -1));
	P("%d\n", !!(f.revents & POLLHUP));
	REAP(pid);
}

TEST(select_times_out) {
	int p[2];
	pipe(p);
	fd_set r;
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	struct timeval tv = {0, 5000};
	S(select(p[0] + 1, &r, NULL, NULL, &tv));
}

TEST(pipe_opened_again) {
	int p[2];
	char c, name[40];
	pipe(p);
	write(p[1], "x", 1);
	close(p[1]);
	snprintf(name, sizeof name, "/proc/self/fd/%d", p[0]);
	int r = open(name, O_RDONLY);
	S(read(r, &c, 1));
	S(read(r, &c, 1));
	int w = open(name, O_WRONLY | O_NONBLOCK);
	S(write(w, "y", 1));
	S(read(p[0], &c, 1));
}
