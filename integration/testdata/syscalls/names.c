#include "test.h"
#include <sys/eventfd.h>
#include <sys/timerfd.h>

// Names, working directories, descriptors and what waits for them.

static char at[] = "/tmp/namesXXXXXX";
static void enter(void) { mkdtemp(at); chdir(at); umask(022); }
static void leave(void) { // of the few names that the tests below make
	static const char *names[] = {"d/e/f", "d/f", "d/l", "d/e", "d", "f", "g", "l", "p", "s", "x"};
	chdir(at);
	for (int i = 0; i < sizeof names / sizeof *names; i++) if (unlink(names[i])) rmdir(names[i]);
	P("%s\n", rmdir(at) ? "left" : "clean");
}
static void put(const char *name, const char *text) { int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644); write(fd, text, strlen(text)); close(fd); }
static const char *below(const char *path) { return strncmp(path, at, strlen(at)) ? path : path + strlen(at); }

TEST(getcwd_sizes) {
	enter(); char b[200]; mkdir("d", 0755); chdir("d"); P("%s\n", below(getcwd(b, 200))); S(syscall(SYS_getcwd, b, 200) - strlen(b)); S(syscall(SYS_getcwd, b, 3)); S(syscall(SYS_getcwd, b, 0)); S(syscall(SYS_getcwd, 8, 200)); leave();
}
TEST(chdir_kinds) {
	enter(); char b[200]; mkdir("d", 0755); symlink("d", "l"); put("f", ""); S(chdir("l")); P("%s\n", below(getcwd(b, 200))); S(chdir("..")); S(chdir("f")); S(chdir("none")); S(chdir("")); S(chdir("f/..")); int fd = open("d", O_PATH); S(fchdir(fd)); P("%s\n", below(getcwd(b, 200))); S(fchdir(open("../f", O_RDONLY))); S(fchdir(999)); REAP(CHILD(setgroups(0, NULL); chmod(".", 0600); setuid(1000); S(chdir(at)); S(chdir(".")))); chdir(".."); chmod("d", 0755); leave();
}
TEST(directory_descriptors) {
	enter(); mkdir("d", 0755); int d = open("d", O_RDONLY); S(mkdirat(d, "e", 0755)); int fd = openat(d, "e/f", O_CREAT | O_RDWR, 0644); S(fd >= 0); S(symlinkat("e/f", d, "l")); char b[20] = ""; S(readlinkat(d, "l", b, 20)); P("%s\n", b); S(renameat(d, "e/f", d, "f")); S(faccessat(d, "f", F_OK, 0)); S(faccessat(fd, "f", F_OK, 0)); S(unlinkat(d, "e", 0)); S(unlinkat(d, "e", AT_REMOVEDIR)); S(openat(999, "f", O_RDONLY)); S(openat(d, "/none", O_RDONLY)); S(mkdirat(fd, "x", 0755)); leave();
}
TEST(moved_directory) {
	enter(); char b[200]; mkdir("d", 0755); mkdir("d/e", 0755); chdir("d/e"); rename("../../d", "../../x"); P("%s\n", below(getcwd(b, 200))); S(open("../../x/e", O_RDONLY) >= 0); chdir("../.."); rename("x", "d"); leave();
}
TEST(proc_fd_links) {
	enter(); char b[200]; char n[64]; put("f", ""); int fd = open("f", O_RDONLY); snprintf(n, 64, "/proc/self/fd/%d", fd); int k = readlink(n, b, 199); b[k] = 0; P("%s\n", below(b)); rename("f", "g"); k = readlink(n, b, 199); b[k] = 0; P("%s\n", below(b)); unlink("g"); k = readlink(n, b, 199); b[k] = 0; P("%s\n", below(b)); int p[2]; pipe(p); snprintf(n, 64, "/proc/self/fd/%d", p[0]); k = readlink(n, b, 199); P("%.5s\n", b); struct stat st; stat(n, &st); P("%o\n", st.st_mode & S_IFMT); S(readlink("/proc/self/fd/999", b, 10)); S(open("/proc/self/fd/999", O_RDONLY)); leave();
}
TEST(hard_link_counts) {
	enter(); struct stat st; put("f", "one"); S(link("f", "g")); stat("g", &st); P("%lu\n", st.st_nlink); put("g", "two"); int fd = open("f", O_RDONLY); char b[4] = ""; read(fd, b, 3); P("%s\n", b); unlink("f"); fstat(fd, &st); P("%lu\n", st.st_nlink); unlink("g"); fstat(fd, &st); P("%lu %ld\n", st.st_nlink, (long)st.st_size); leave();
}
TEST(directory_link_counts) {
	enter(); struct stat st; mkdir("d", 0755); stat("d", &st); P("%lu\n", st.st_nlink); mkdir("d/e", 0755); stat("d", &st); P("%lu\n", st.st_nlink); put("d/f", ""); stat("d", &st); P("%lu\n", st.st_nlink); rename("d/e", "x"); stat("d", &st); P("%lu\n", st.st_nlink); leave();
}
TEST(unlinked_file_lives) {
	enter(); int fd = open("f", O_CREAT | O_RDWR, 0600); write(fd, "kept", 4); unlink("f"); put("f", "new"); char b[5] = ""; pread(fd, b, 4, 0); P("%s\n", b); S(write(fd, "more", 4)); leave();
}
TEST(shared_offsets) {
	enter(); put("f", "0123456789"); int fd = open("f", O_RDONLY), d = dup(fd), o = open("f", O_RDONLY); char b[4] = ""; read(fd, b, 3); S(lseek(d, 0, SEEK_CUR)); S(lseek(o, 0, SEEK_CUR)); REAP(CHILD(lseek(fd, 7, SEEK_SET))); S(lseek(d, 0, SEEK_CUR)); close(fd); read(d, b, 3); P("%s\n", b); leave();
}
TEST(fifo_opens) {
	enter(); S(mkfifo("p", 0600)); S(open("p", O_WRONLY | O_NONBLOCK)); int r = open("p", O_RDONLY | O_NONBLOCK); S(r >= 0); int w = open("p", O_WRONLY | O_NONBLOCK); S(w >= 0); char b[4]; S(read(r, b, 1)); S(write(w, "ab", 2)); S(read(r, b, 4)); close(w); S(read(r, b, 4)); close(r); int rw = open("p", O_RDWR); S(rw >= 0); S(write(rw, "x", 1)); S(read(rw, b, 4)); close(rw); pid_t pid = CHILD(int fd = open("p", O_WRONLY); write(fd, "hi", 2)); r = open("p", O_RDONLY); S(read(r, b, 4)); REAP(pid); leave();
}
TEST(fifo_sizes) {
	int p[2]; pipe2(p, O_NONBLOCK); static char b[200000]; S(fcntl(p[0], F_GETPIPE_SZ)); S(write(p[1], b, sizeof b)); S(write(p[1], b, 1)); int n; S(ioctl(p[0], FIONREAD, &n)); P("%d\n", n); S(read(p[0], b, 4095)); S(write(p[1], b, 4096)); S(read(p[0], b, 1)); S(write(p[1], b, 4096)); S(fcntl(p[0], F_SETPIPE_SZ, 4096)); S(fcntl(p[0], F_SETPIPE_SZ, 1 << 18)); S(fcntl(0x3ff, F_GETPIPE_SZ));
}
TEST(sync_calls) {
	enter(); int fd = open("f", O_CREAT | O_RDWR, 0600); int p[2]; pipe(p); S(fsync(fd)); S(fdatasync(fd)); S(fsync(p[0])); S(fsync(999)); S(syncfs(fd)); S(sync_file_range(fd, 0, 10, SYNC_FILE_RANGE_WRITE)); S(sync_file_range(fd, -1, 10, 0)); S(sync_file_range(p[0], 0, 10, 0)); S(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)); S(posix_fadvise(p[0], 0, 0, 0)); S(readahead(fd, 0, 10)); S(readahead(p[0], 0, 1)); leave();
}
TEST(poll_edges) {
	int p[2]; pipe(p); struct pollfd f[4] = {{p[0], POLLIN}, {p[1], POLLOUT}, {-5, POLLIN}, {999, POLLIN}}; S(poll(f, 4, 0)); P("%d %d %d %d\n", f[0].revents, f[1].revents, f[2].revents, f[3].revents); write(p[1], "x", 1); S(poll(f, 2, 0)); P("%d %d\n", f[0].revents, f[1].revents); close(p[1]); S(poll(f, 1, 0)); P("%d\n", f[0].revents); S(poll(NULL, 0, 1)); S(syscall(SYS_poll, 8, 1, 0)); struct timespec bad = {0, -1}; S(ppoll(f, 1, &bad, NULL)); struct timespec ts = {0, 1000}; S(ppoll(NULL, 0, &ts, NULL)); int q[2]; pipe(q); close(q[0]); f[0] = (struct pollfd){q[1], POLLOUT}; S(poll(f, 1, 0)); P("%d\n", f[0].revents);
}
TEST(select_edges) {
	int p[2]; pipe(p); fd_set r, w; FD_ZERO(&r); FD_ZERO(&w); FD_SET(p[0], &r); FD_SET(p[1], &w); struct timeval tv = {0, 0}; S(select(20, &r, &w, NULL, &tv)); P("%d %d\n", !!FD_ISSET(p[0], &r), !!FD_ISSET(p[1], &w)); S(select(-1, NULL, NULL, NULL, &tv)); S(select(0, NULL, NULL, NULL, &tv)); tv.tv_usec = -1; S(select(0, NULL, NULL, NULL, &tv)); tv = (struct timeval){5, 0}; write(p[1], "x", 1); FD_ZERO(&r); FD_SET(p[0], &r); S(select(20, &r, NULL, NULL, &tv)); P("%d\n", tv.tv_sec == 4 || tv.tv_sec == 5);
}
TEST(eventfd_counts) {
	int fd = eventfd(3, EFD_NONBLOCK); unsigned long v = 0; S(read(fd, &v, 8)); P("%lu\n", v); S(read(fd, &v, 8)); v = -1; S(write(fd, &v, 8)); v = -2; S(write(fd, &v, 8)); v = 1; S(write(fd, &v, 8)); S(read(fd, &v, 4)); S(write(fd, &v, 4)); int s = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK); S(read(s, &v, 8)); P("%lu\n", v); S(read(s, &v, 8)); S(read(s, &v, 8)); S(eventfd(0, 64)); S(lseek(s, 0, SEEK_CUR));
}
TEST(timerfd_expirations) {
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK); unsigned long n = 0; S(read(fd, &n, 8)); struct itimerspec t = {{0, 5000000}, {0, 5000000}}, old; S(timerfd_settime(fd, 0, &t, NULL)); nap(30); S(read(fd, &n, 8)); P("%d\n", n >= 5); S(timerfd_gettime(fd, &old)); P("%ld\n", old.it_interval.tv_nsec); t = (struct itimerspec){}; S(timerfd_settime(fd, 0, &t, &old)); S(read(fd, &n, 8)); S(timerfd_settime(fd, 99, &t, NULL)); t.it_value.tv_nsec = -1; S(timerfd_settime(fd, 0, &t, NULL)); S(timerfd_create(99, 0)); S(timerfd_settime(0, 0, &old, NULL)); t.it_value = (struct timespec){1, 0}; S(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL)); S(read(fd, &n, 8)); P("%lu\n", n);
}
TEST(timer_create_errors) {
	timer_t id; struct sigevent e = {.sigev_notify = SIGEV_NONE}; S(timer_create(CLOCK_MONOTONIC, &e, &id)); struct itimerspec t = {{0, 0}, {10, 0}}, old; S(timer_settime(id, 0, &t, NULL)); S(timer_gettime(id, &old)); P("%ld\n", old.it_value.tv_sec); S(timer_getoverrun(id)); S(timer_delete(id)); S(timer_delete((timer_t)77777)); e.sigev_notify = 99; S(timer_create(CLOCK_MONOTONIC, &e, &id)); e = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99}; S(timer_create(CLOCK_MONOTONIC, &e, &id)); e.sigev_signo = SIGUSR1; S(timer_create(99, &e, &id)); t.it_value.tv_nsec = -1; S(syscall(SYS_timer_settime, 7777, 0, &t, NULL));
}
TEST(ioctl_of_files) {
	enter(); int fd = open("f", O_CREAT | O_RDWR, 0600), n = 1; write(fd, "12345", 5); lseek(fd, 2, SEEK_SET); S(ioctl(fd, FIONREAD, &n)); P("%d\n", n); S(ioctl(fd, TCGETS, &n)); S(ioctl(fd, FIOCLEX)); S(fcntl(fd, F_GETFD)); S(ioctl(fd, FIONCLEX)); S(fcntl(fd, F_GETFD)); n = 1; S(ioctl(fd, FIONBIO, &n)); P("%#o\n", fcntl(fd, F_GETFL) & O_NONBLOCK); S(ioctl(999, FIONREAD, &n)); S(ioctl(fd, 0x12345678, &n)); leave();
}
TEST(device_files) {
	char b[8] = "xxxxxxx"; int z = open("/dev/zero", O_RDWR), n = open("/dev/null", O_RDWR), f = open("/dev/full", O_RDWR); S(read(z, b, 8)); P("%d\n", b[0]); S(write(z, b, 8)); S(read(n, b, 8)); S(write(n, b, 8)); S(read(f, b, 8)); S(write(f, b, 8)); S(lseek(n, 5, SEEK_SET)); S(ftruncate(n, 0)); S(open("/dev/null", O_RDONLY | O_DIRECTORY)); S(open("/dev/urandom", O_RDONLY) >= 0); struct stat st; fstat(n, &st); P("%o %lx\n", st.st_mode, (long)st.st_rdev); S(fsync(n)); S(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, n, 0));
}
TEST(proc_self_files) {
	char b[64] = ""; int fd = open("/proc/self/comm", O_RDWR); S(write(fd, "renamed", 7)); pread(fd, b, 63, 0); P("%s", b); S(open("/proc/self/stat", O_WRONLY) < 0 || getuid() == 0); S(open("/proc/self/none", O_RDONLY)); S(open("/proc/999999999/stat", O_RDONLY)); S(mkdir("/proc/x", 0755)); S(unlink("/proc/self/comm")); S(rename("/proc/self/comm", "/tmp/x")); struct stat st; S(stat("/proc/self/fd", &st)); P("%o\n", st.st_mode & S_IFMT); S(readlink("/proc/self/cwd", b, 63) > 0); S(readlink("/proc/self/root", b, 63)); S(chmod("/proc/self/comm", 0600));
}
TEST(tee_and_splice) {
	enter(); int p[2], q[2]; pipe(p); pipe(q); char b[20] = ""; write(p[1], "hello", 5); S(tee(p[0], q[1], 10, 0)); S(splice(p[0], NULL, q[1], NULL, 2, 0)); S(read(q[0], b, 20)); P("%.7s\n", b); int fd = open("f", O_CREAT | O_RDWR, 0600); off_t o = 3; S(splice(p[0], NULL, fd, &o, 10, 0)); P("%ld\n", (long)o); S(splice(fd, (o = 0, &o), q[1], NULL, 10, 0)); S(splice(p[0], NULL, p[1], NULL, 1, 0)); S(splice(fd, NULL, fd, NULL, 1, 0)); S(tee(p[0], fd, 1, 0)); S(splice(p[0], NULL, q[1], NULL, 1, SPLICE_F_NONBLOCK)); struct iovec v = {"vm", 2}; S(vmsplice(q[1], &v, 1, 0)); S(splice(p[0], (o = 0, &o), q[1], NULL, 1, 0)); leave();
}
TEST(exec_failures) {
	enter(); put("f", "no program"); S(execl("f", "f", NULL)); chmod("f", 0755); S(execl("./f", "f", NULL)); S(execl("none", "f", NULL)); S(execl("f/x", "f", NULL)); S(execl("/", "f", NULL)); put("s", "#!/none\n"); chmod("s", 0755); S(execl("./s", "s", NULL)); put("s", "#!\n"); S(execl("./s", "s", NULL)); put("s", "#!./s\n"); S(execl("./s", "s", NULL)); put("g", ""); chmod("g", 0755); S(execl("./g", "g", NULL)); put("x", "\177ELF"); chmod("x", 0755); S(execl("./x", "x", NULL)); S(execve(NULL, NULL, NULL)); S(execve("./f", (char **)8, NULL)); leave();
}
TEST(exec_script_arguments) {
	enter(); char self[200] = ""; readlink("/proc/self/exe", self, 199); int fd = open("s", O_CREAT | O_WRONLY, 0755); dprintf(fd, "#! %s  args  and more \n", self); close(fd); pid_t pid = CHILD(execl("./s", "zero", "one", "two", NULL)); int st; waitpid(pid, &st, 0); show_status(st); leave();
}
