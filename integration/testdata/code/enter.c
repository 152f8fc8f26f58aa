// enter tries one way of getting code to run that the image does not list.
// Natively each way works; what it prints there shows that the case is real.
// OUTSIDE is a directory with what the image does not have, WORK one to write
// in, ROOT is where the image's tree is ("" in the image).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; // mov eax, 42; ret
static const char *outside, *work, *root;
static char self[4096];

enum { PAGE = 4096 };

static const char *join(const char *dir, const char *name) {
	static char paths[8][4096];
	static int next;
	char *p = paths[next++ % 8];
	snprintf(p, 4096, "%s/%s", dir, name);
	return p;
}

static const char *in(const char *name) { return join(outside, name); }
static const char *tmp(const char *name) { return join(work, name); }
static const char *image(const char *name) { return join(root, name); }

// wait_child shows how a child ended.
static void wait_child(const char *what, pid_t pid) {
	int st;
	waitpid(pid, &st, 0);
	if (WIFEXITED(st))
		printf("%s: exit %d\n", what, WEXITSTATUS(st));
	else
		printf("%s: %s\n", what, sigabbrev_np(WTERMSIG(st)));
}

// call runs what is at p, in a child as that may fault.
static void call(void *p) {
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(((int (*)(void))p)());
	wait_child("called", pid);
}

// step shows what a call gave; what failed ends the case.
static void step(const char *what, long ret) {
	printf("%s: %s\n", what, ret == -1 ? strerrorname_np(errno) : "ok");
	if (ret == -1)
		exit(0);
}

#define STEP(name, e) ({ __auto_type r_ = (e); step(name, (long)r_); r_; })

static void *writable(void) {
	char *p = STEP("writable", mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memcpy(p, code, sizeof code);
	return p;
}

static int file_of_code(const char *path) {
	int fd = STEP("open", open(path, O_RDWR | O_CREAT | O_TRUNC, 0755));
	STEP("write", write(fd, code, sizeof code));
	return fd;
}

static void copy_to(int to, const char *from) {
	static char buf[1 << 16];
	int fd = open(from, O_RDONLY);
	if (fd < 0) {
		perror(from);
		exit(1);
	}
	for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;)
		if (write(to, buf, n) != n)
			exit(1);
	close(fd);
}

static void copy(const char *to, const char *from) {
	int fd = STEP("copy", open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755));
	copy_to(fd, from);
	close(fd);
}

// run executes a program in a child; 100+errno if it can't.
static void run(const char *path, const char *arg) {
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execl(path, path, arg, NULL);
		_exit(100 + errno);
	}
	wait_child("run", pid);
}

static void anonymous_mmap(void) {
	char *p = STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memcpy(p, code, sizeof code);
	call(p);
}

static void anonymous_shared(void) {
	char *p = STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	memcpy(p, code, sizeof code);
	call(p);
}

static void anonymous_mprotect(void) {
	void *p = writable();
	STEP("mprotect", mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	call(p);
}

static void pkey(void) {
	void *p = writable();
	STEP("pkey_mprotect", syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ | PROT_EXEC, -1));
	call(p);
}

static void stack(void) {
	char page[2 * PAGE], *p = (char *)(((long)page + PAGE - 1) & -PAGE);
	memcpy(p, code, sizeof code);
	STEP("mprotect", mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	call(p);
}

static void heap(void) {
	char *p = (char *)(((long)sbrk(2 * PAGE) + PAGE - 1) & -PAGE);
	memcpy(p, code, sizeof code);
	STEP("mprotect", mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	call(p);
}

static void file_mmap(void) {
	int fd = file_of_code(tmp("code"));
	call(STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0)));
}

static void file_mprotect(void) {
	int fd = file_of_code(tmp("code"));
	void *p = STEP("mmap", mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	STEP("mprotect", mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	call(p);
}

static int memfd(void) { return STEP("memfd_create", memfd_create("code", 0)); }

static void memfd_mmap(void) {
	int fd = memfd();
	STEP("write", write(fd, code, sizeof code));
	call(STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0)));
}

// memfd_twice is how just-in-time compilers do it: two mappings of the same
// memory, one to write and one to run.
static void memfd_twice(void) {
	int fd = memfd();
	STEP("ftruncate", ftruncate(fd, PAGE));
	char *w = STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	char *x = STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
	memcpy(w, code, sizeof code);
	printf("the same: %d\n", memcmp(x, code, sizeof code) == 0);
	call(x);
}

static void memfd_execveat(void) {
	int fd = memfd();
	copy_to(fd, in("other"));
	char *argv[] = {"other", NULL};
	fflush(stdout);
	STEP("execveat", syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH));
}

static void memfd_procfd(void) {
	int fd = memfd();
	copy_to(fd, in("other"));
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	fflush(stdout);
	STEP("execve", execl(path, "other", NULL));
}

static void unlisted(void) {
	fflush(stdout);
	STEP("execve", execl(in("other"), "other", NULL));
}

static void written(void) {
	copy(tmp("copy"), self);
	run(tmp("copy"), "nothing");
	int fd = STEP("open", open(tmp("copy"), O_RDWR));
	char c;
	struct stat st;
	fstat(fd, &st);
	pread(fd, &c, 1, st.st_size - 1);
	c ^= 1;
	pwrite(fd, &c, 1, st.st_size - 1);
	close(fd);
	run(tmp("copy"), "nothing");
}

static void renamed(void) {
	copy(tmp("name"), self);
	run(tmp("name"), "nothing");
	copy(tmp("new"), in("other"));
	STEP("rename", rename(tmp("new"), tmp("name")));
	run(tmp("name"), "nothing");
}

static void linked(void) {
	copy(tmp("one"), self);
	STEP("link", link(tmp("one"), tmp("two")));
	run(tmp("two"), "nothing");
	copy(tmp("one"), in("other")); // the same file still
	run(tmp("two"), "nothing");
}

static void symlinked(void) {
	STEP("symlink", symlink(in("other"), tmp("link")));
	run(tmp("link"), "nothing");
}

static void replaced_exe(void) {
	copy(tmp("exe"), self);
	run(tmp("exe"), "procexe");
}

// procexe runs as /tmp/exe, in whose place it puts something else.
static void procexe(void) {
	copy(tmp("new"), in("other"));
	STEP("rename", rename(tmp("new"), tmp("exe")));
	run("/proc/self/exe", "nothing");
	run(tmp("exe"), "nothing");
}

// page_of maps the page again that a function of this program is on.
static char *page_of(void *function, int prot) {
	int fd = open(self, O_RDONLY);
	extern char __executable_start[];
	long off = ((long)function & -PAGE) - (long)__executable_start;
	return STEP("mmap", mmap(0, PAGE, prot, MAP_PRIVATE, fd, off));
}

static void nothing(void) { printf("nothing\n"); }

static void listed_mprotect(void) {
	char *p = page_of(page_of, PROT_READ);
	STEP("mprotect", mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	printf("same: %d\n", memcmp(p, (void *)((long)page_of & -PAGE), PAGE) == 0);
}

__attribute__((noinline)) static int answer(void) { return 42; }

// moved calls a function of this program in a second mapping of it.
static void moved(void) {
	char *p = page_of(answer, PROT_READ | PROT_EXEC);
	call(p + ((long)answer & (PAGE - 1)));
}

// elsewhere does so in a program that is linked to a fixed address.
static void elsewhere(void) { run(image("fixed"), "moved"); }

// patched stores code into a private mapping of a listed file.
static void patched(void) {
	char *p = page_of(page_of, PROT_READ | PROT_WRITE);
	memcpy(p, code, sizeof code);
	STEP("mprotect", mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	call(p);
}

// shared_writable maps a listed file for execution that it can write to.
static void shared_writable(void) {
	copy(tmp("shared"), self);
	int fd = STEP("open", open(tmp("shared"), O_RDWR));
	extern char __executable_start[];
	long off = ((long)shared_writable & -PAGE) - (long)__executable_start;
	char *x = STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, off));
	pwrite(fd, code, sizeof code, off);
	call(x);
}

static void executable_stack(void) {
	fflush(stdout);
	STEP("execve", execl(image("dyn"), "dyn", image("libstack.so"), NULL));
}

static void loader(void) {
	fflush(stdout);
	STEP("execve", execl(image("lib64/ld-linux-x86-64.so.2"), "ld.so", in("otherdyn"), NULL));
}

static void dlopened(void) {
	fflush(stdout);
	STEP("execve", execl(image("dyn"), "dyn", in("libother.so"), NULL));
}

static void preloaded(void) {
	setenv("LD_PRELOAD", in("libother.so"), 1);
	fflush(stdout);
	STEP("execve", execl(image("dyn"), "dyn", image("libgood.so"), NULL));
}

static void good(void) {
	fflush(stdout);
	STEP("execve", execl(image("dyn"), "dyn", image("libgood.so"), NULL));
}

static void interpreter(void) {
	FILE *f = fopen(tmp("script"), "w");
	fprintf(f, "#!%s\n", in("other"));
	fclose(f);
	STEP("chmod", chmod(tmp("script"), 0755));
	run(tmp("script"), "x");
}

static void data(void) {
	static char page[2 * PAGE] __attribute__((aligned(4096)));
	memcpy(page, code, sizeof code);
	call(page);
}

static void sysv_shm(void) {
	int id = STEP("shmget", shmget(IPC_PRIVATE, PAGE, 0700));
	char *w = STEP("shmat", shmat(id, 0, 0));
	memcpy(w, code, sizeof code);
	void *p = shmat(id, 0, SHM_EXEC);
	int saved = errno;
	shmctl(id, IPC_RMID, 0);
	errno = saved;
	call(STEP("shmat", p));
}

static void device(void) {
	int fd = STEP("open", open("/dev/zero", O_RDWR));
	STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
}

// huge would take for ever to hash.
static void huge(void) {
	int fd = STEP("open", open(tmp("huge"), O_RDWR | O_CREAT, 0755));
	STEP("ftruncate", ftruncate(fd, 1L << 42));
	STEP("mmap", mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
}

// raced maps a file while another thread changes it to and fro: what can be
// executed must have the listed bytes, now and later.
static atomic_int stop;
static char race_path[4096];
static long race_off;

static void *racer(void *unused) {
	(void)unused;
	int fd = open(race_path, O_RDWR);
	char c;
	pread(fd, &c, 1, race_off);
	while (!stop) {
		c ^= 1;
		pwrite(fd, &c, 1, race_off);
	}
	return NULL;
}

static void race(const char *dir) {
	extern char __executable_start[];
	char *listed = (char *)((long)race & -PAGE);
	snprintf(race_path, sizeof race_path, "%s/raced", dir);
	race_off = listed - __executable_start;
	copy(race_path, self);
	pthread_t t;
	pthread_create(&t, 0, racer, 0);
	int mapped = 0, refused = 0, bad = 0;
	for (int i = 0; i < 300; i++) {
		int fd = open(race_path, O_RDONLY);
		char *p = mmap(0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, race_off);
		close(fd);
		if (p == MAP_FAILED) {
			refused++;
			continue;
		}
		mapped++;
		for (int j = 0; j < 500; j++)
			bad += memcmp(p, listed, PAGE) != 0;
		munmap(p, PAGE);
	}
	stop = 1;
	pthread_join(t, 0);
	unlink(race_path);
	printf("tried %d, bad %s\n", mapped + refused, bad ? "some" : "none");
}

static void raced(void) { race(work); }
static void raced_outside(void) { race(outside); }

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
#define C(f) {#f, f},
	C(anonymous_mmap) C(anonymous_shared) C(anonymous_mprotect) C(pkey) C(stack) C(heap) C(file_mmap) C(file_mprotect)
	C(memfd_mmap) C(memfd_twice) C(memfd_execveat) C(memfd_procfd) C(unlisted) C(written) C(renamed) C(linked) C(symlinked)
	C(replaced_exe) C(procexe) C(nothing) C(listed_mprotect) C(patched) C(shared_writable) C(executable_stack) C(loader)
	C(dlopened) C(preloaded) C(good) C(interpreter) C(data) C(sysv_shm) C(device) C(huge) C(raced) C(raced_outside)
	C(moved) C(elsewhere)
};

int main(int argc, char **argv) {
	outside = getenv("OUTSIDE"), work = getenv("WORK"), root = getenv("ROOT");
	readlink("/proc/self/exe", self, sizeof self - 1);
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
		if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			return 0;
		}
	fprintf(stderr, "enter: no such case\n");
	return 1;
}
