#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};
extern struct test *tests;

#define TEST(NAME) \
	static void test_##NAME(void); \
	__attribute__((constructor)) static void add_##NAME(void) { \
		static struct test t = {#NAME, test_##NAME}; \
		t.next = tests; \
		tests = &t; \
	} \
	static void test_##NAME(void)

// P prints at once, as other processes print too.
#define P(...) (printf(__VA_ARGS__), fflush(stdout))
// S shows what a call returns: a number, or the error.
#define S(call) (errno = 0, show(#call, (long)(call)))

int program(int argc, char **argv);
void show(const char *what, long ret);
void show_status(int status);
const char *code_name(int code);
void nap(int ms);
void await(pid_t pid, char state); // until /proc shows it in a state

// CHILD runs its block in a child and is its pid.
#define CHILD(...) ({ pid_t pid_ = fork(); if (pid_ == 0) { __VA_ARGS__; _exit(0); } pid_; })
// REAP waits for a child and shows how it ended.
#define REAP(pid) do { int st_ = 0; pid_t p_ = waitpid(pid, &st_, 0); if (p_ < 0) show("waitpid", -1); else show_status(st_); } while (0)
#define SELF "/proc/self/exe"
