// Asynchronous I/O of the kernel's: io_setup and its family.
#include "test.h"
#include <linux/aio_abi.h>
#include <sys/eventfd.h>

static long submit(aio_context_t c, long n, struct iocb **list) { return syscall(SYS_io_submit, c, n, list); }
static long getevents(aio_context_t c, long least, long most, struct io_event *e, struct timespec *t) { return syscall(SYS_io_getevents, c, least, most, e, t); }
static struct iocb *request(int op, int fd, void *buf, size_t size, long off) {
	struct iocb *b = calloc(1, sizeof *b);
	b->aio_lio_opcode = op; b->aio_fildes = fd; b->aio_buf = (uintptr_t)buf; b->aio_nbytes = size; b->aio_offset = off; b->aio_data = 77;
	return b;
}
static char *own_file(int fd) { static char path[32]; sprintf(path, "/proc/self/fd/%d", fd); return path; }
static int by_object(const void *a, const void *b) { const struct io_event *x = a, *y = b; return x->obj < y->obj ? -1 : x->obj > y->obj; }
static void show_events(aio_context_t c, long n) {
	struct io_event e[8]; memset(e, 0, sizeof e);
	P("%ld events\n", getevents(c, n, 8, e, NULL));
	qsort(e, n, sizeof *e, by_object);
	for (int i = 0; i < n; i++) P("%lld %lld %lld\n", (long long)e[i].data, (long long)e[i].res, (long long)e[i].res2);
}

TEST(aio_contexts) {
	aio_context_t c = 0, d = 1; struct timespec zero = {0}, some = {0, 1000000}; struct io_event e;
	S(syscall(SYS_io_setup, 0, &c)); S(syscall(SYS_io_setup, 4, &d)); S(syscall(SYS_io_setup, 4, 8)); S(syscall(SYS_io_setup, 1 << 20, &c));
	S(syscall(SYS_io_setup, 4, &c)); P("%d\n", c != 0); S(getevents(c, 0, 1, &e, &zero)); S(getevents(c, 1, 1, &e, &some)); S(getevents(c, 2, 1, &e, &zero)); S(getevents(c, -1, 1, &e, &zero)); S(getevents(d, 0, 1, &e, &zero)); S(submit(c, 0, NULL)); S(submit(c, -1, NULL)); S(submit(c, 1, NULL)); S(submit(d, 1, NULL));
	REAP(CHILD(S(getevents(c, 0, 1, &e, &zero)); S(syscall(SYS_io_destroy, c))));
	S(syscall(SYS_io_destroy, d)); S(syscall(SYS_io_destroy, c)); S(syscall(SYS_io_destroy, c)); S(getevents(c, 0, 1, &e, &zero));
}

TEST(aio_requests) {
	aio_context_t c = 0; char b[8] = "", x[8] = ""; int f = memfd_create("file", 0), r = open(own_file(f), O_RDONLY); syscall(SYS_io_setup, 8, &c);
	struct iovec v[2] = {{b, 2}, {x, 3}};
	struct iocb *w[] = {request(IOCB_CMD_PWRITE, f, "0123456789", 10, 4)}; S(submit(c, 1, w)); show_events(c, 1);
	struct iocb *q[] = {request(IOCB_CMD_PREAD, f, x, 3, 6), request(IOCB_CMD_PREADV, r, v, 1, 5), request(IOCB_CMD_FSYNC, f, NULL, 0, 0), request(IOCB_CMD_PREAD, f, x, 3, 100)}; S(submit(c, 4, q)); show_events(c, 4); P("%s %s\n", x, b);
	struct iocb *refused[] = {request(IOCB_CMD_PWRITE, r, "a", 1, 0), request(IOCB_CMD_PREAD, -1, x, 1, 0), request(IOCB_CMD_PREAD, f, x, 1, -1), request(4, f, x, 1, 0), request(IOCB_CMD_FSYNC, f, x, 1, 0), request(IOCB_CMD_PREADV, f, (void *)8, 1, 0), request(IOCB_CMD_PREAD, f, x, -1, 0)};
	for (int i = 0; i < 7; i++) S(submit(c, 1, refused + i));
	struct iocb *some[] = {w[0], refused[0], w[0]}; S(submit(c, 3, some)); show_events(c, 1); S(syscall(SYS_io_cancel, c, w[0], x)); S(syscall(SYS_io_cancel, c, 8, x));
}

TEST(aio_eventfd) {
	aio_context_t c = 0; int f = memfd_create("file", 0), e = eventfd(0, 0); uint64_t n = 0; syscall(SYS_io_setup, 8, &c);
	struct iocb *b = request(IOCB_CMD_PWRITE, f, "x", 1, 0), *list[] = {b, b}; b->aio_flags = IOCB_FLAG_RESFD; b->aio_resfd = e;
	S(submit(c, 2, list)); show_events(c, 2); S(read(e, &n, 8)); P("%d\n", (int)n); b->aio_resfd = f; S(submit(c, 1, list)); b->aio_resfd = -1; S(submit(c, 1, list));
}

TEST(aio_pipe) {
	aio_context_t c = 0; int p[2]; char b[4] = ""; pipe(p); syscall(SYS_io_setup, 8, &c);
	struct iocb *list[] = {request(IOCB_CMD_PWRITE, p[1], "abc", 3, 0), request(IOCB_CMD_PREAD, p[0], b, 4, 0)}; S(submit(c, 2, list)); show_events(c, 2); P("%s\n", b);
}

static void nothing(int s) {}
static aio_context_t waited;
static void *wait_events(void *p) { struct io_event e; long n = getevents(waited, 1, 1, &e, NULL); P("%ld %d\n", n, n < 0 ? errno : 0); return NULL; }
TEST(aio_waits) {
	struct sigaction a = {.sa_handler = nothing, .sa_flags = SA_RESTART}; struct itimerval t = {.it_value.tv_usec = 20000}; struct io_event e; pthread_t th; sigaction(SIGALRM, &a, NULL);
	syscall(SYS_io_setup, 8, &waited); setitimer(ITIMER_REAL, &t, NULL); S(getevents(waited, 1, 1, &e, NULL));
	struct iocb *b = request(IOCB_CMD_PWRITE, memfd_create("file", 0), "x", 1, 0); pthread_create(&th, NULL, wait_events, NULL); usleep(20000); submit(waited, 1, &b); pthread_join(th, NULL);
	pthread_create(&th, NULL, wait_events, NULL); usleep(20000); long destroyed = syscall(SYS_io_destroy, waited); pthread_join(th, NULL); P("%ld\n", destroyed);
}
