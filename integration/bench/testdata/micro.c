/*
 * Measures system calls from inside: prints the nanoseconds of one operation,
 * one line for each of some short batches, so that the least of them was
 * hardly disturbed.
 *
 *	micro NAME
 *	micro run N CMD ARG...	the whole of a command, N times
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void check(int ok, const char *what)
{
	if (!ok)
		err(1, "%s", what);
}

static void wait_for(pid_t pid)
{
	int status;

	check(waitpid(pid, &status, 0) == pid, "waitpid");
	if (status != 0)
		errx(1, "child: status %#x", status);
}

static void do_getpid(int n)
{
	while (n-- > 0)
		syscall(SYS_getpid);
}

static int there[2], back[2];

static void pipe_start(void)
{
	char c;

	check(pipe(there) == 0 && pipe(back) == 0, "pipe");
	pid_t pid = fork();
	check(pid >= 0, "fork");
	if (pid > 0)
		return;
	close(there[1]);
	while (read(there[0], &c, 1) == 1)
		check(write(back[1], &c, 1) == 1, "write");
	_exit(0);
}

static void do_pipe(int n)
{
	char c = 'x';

	while (n-- > 0)
		check(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1, "pipe");
}

static void do_fork(int n)
{
	while (n-- > 0) {
		pid_t pid = fork();
		check(pid >= 0, "fork");
		if (pid == 0)
			_exit(0);
		wait_for(pid);
	}
}

static void spawn(char **argv)
{
	pid_t pid;

	check(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) == 0, "posix_spawn");
	wait_for(pid);
}

static void do_spawn(int n)
{
	char *argv[] = { "/bin/true", NULL };

	while (n-- > 0)
		spawn(argv);
}

static const char *name(int n)
{
	static char path[64];

	sprintf(path, "/tmp/micro/%d", n);
	return path;
}

static void do_create(int n)
{
	while (n-- > 0) {
		int fd = open(name(n), O_CREAT | O_EXCL | O_WRONLY, 0644);
		check(fd >= 0 && close(fd) == 0, "create");
	}
}

static void do_stat(int n)
{
	struct stat st;

	while (n-- > 0)
		check(stat(name(n), &st) == 0, "stat");
}

static void do_unlink(int n)
{
	while (n-- > 0)
		check(unlink(name(n)) == 0, "unlink");
}

#define FILES 200

static void dir_start(void) { check(mkdir("/tmp/micro", 0755) == 0, "mkdir"); }
static void files_make(void) { do_create(FILES); }
static void files_remove(void) { do_unlink(FILES); }

static int file;
static char *buffer;

#define FILE_SIZE (16 << 20)

static void file_start(void)
{
	buffer = malloc(1 << 20);
	memset(buffer, 'x', 1 << 20);
	file = open("/tmp/big", O_CREAT | O_RDWR, 0644);
	check(file >= 0, "open");
	for (int i = 0; i < FILE_SIZE >> 20; i++)
		check(write(file, buffer, 1 << 20) == 1 << 20, "write");
}

static void file_rewind(void) { check(lseek(file, 0, SEEK_SET) == 0, "lseek"); }

static void transfer(int n, int size, int writing)
{
	while (n-- > 0)
		check((writing ? write(file, buffer, size) : read(file, buffer, size)) == size, "transfer");
}

static void do_read4k(int n) { transfer(n, 4096, 0); }
static void do_write4k(int n) { transfer(n, 4096, 1); }
static void do_read1m(int n) { transfer(n, 1 << 20, 0); }
static void do_write1m(int n) { transfer(n, 1 << 20, 1); }

static void do_mmap(int n)
{
	size_t size = (size_t)n * 4096;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(p != MAP_FAILED, "mmap");
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	check(munmap(p, size) == 0, "munmap");
}

/* turn is 1 when the other thread is to answer. */
static int turn;

static void pass(int mine)
{
	__atomic_store_n(&turn, !mine, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != mine)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
}

static void *partner(void *arg)
{
	while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != 1)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	for (;;)
		pass(1);
	return arg;
}

static void futex_start(void)
{
	pthread_t t;

	check(pthread_create(&t, NULL, partner, NULL) == 0, "pthread_create");
}

static void do_futex(int n)
{
	while (n-- > 0)
		pass(0);
}

static const struct row {
	const char *name;
	int batches, n; /* n operations a batch */
	void (*run)(int n);
	void (*start)(void);
	void (*before)(void), (*after)(void); /* of each batch, not measured */
} rows[] = {
	{ "getpid", 100, 5000, do_getpid },
	{ "pipe", 50, 100, do_pipe, pipe_start },
	{ "futex", 50, 100, do_futex, futex_start },
	{ "fork", 30, 5, do_fork },
	{ "spawn", 30, 2, do_spawn },
	{ "create", 20, FILES, do_create, dir_start, NULL, files_remove },
	{ "stat", 50, FILES, do_stat, dir_start, files_make, files_remove },
	{ "unlink", 20, FILES, do_unlink, dir_start, files_make },
	{ "read4k", 50, 500, do_read4k, file_start, file_rewind },
	{ "write4k", 50, 500, do_write4k, file_start, file_rewind },
	{ "read1m", 50, 8, do_read1m, file_start, file_rewind },
	{ "write1m", 50, 8, do_write1m, file_start, file_rewind },
	{ "mmap", 50, 1000, do_mmap },
};

static void measure(const struct row *r)
{
	if (r->start)
		r->start();
	for (int i = 0; i < r->batches; i++) {
		if (r->before)
			r->before();
		long long begin = now();
		r->run(r->n);
		long long took = now() - begin;
		if (r->after)
			r->after();
		printf("%.1f\n", (double)took / r->n);
	}
}

static void measure_command(int n, char **argv)
{
	fflush(stdout);
	int out = dup(1), null = open("/dev/null", O_WRONLY);
	check(out >= 0 && null >= 0 && dup2(null, 1) == 1, "standard output");
	while (n-- > 0) {
		long long begin = now();
		spawn(argv);
		dprintf(out, "%lld\n", now() - begin);
	}
}

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "run")) {
		measure_command(atoi(argv[2]), argv + 3);
		return 0;
	}
	for (size_t i = 0; argc == 2 && i < sizeof rows / sizeof *rows; i++)
		if (!strcmp(argv[1], rows[i].name)) {
			measure(&rows[i]);
			fflush(stdout);
			_exit(0); /* the other thread or process ends with it */
		}
	fprintf(stderr, "usage: micro NAME | run N CMD ARG...\n");
	return 2;
}
