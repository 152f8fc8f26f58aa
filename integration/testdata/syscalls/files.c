#include "test.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <linux/openat2.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

// What files, directories and their names do. Each test works in a directory
// of its own.

static char *make_dir(void) {
	static char dir[] = "/tmp/filesXXXXXX";
	mkdtemp(dir);
	chdir(dir);
	umask(022);
	return dir;
}
static void clear(int at) {
	DIR *d = fdopendir(at);
	struct dirent *e;
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0) continue;
		int sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (sub >= 0) clear(sub);
		unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}
// IN_DIR runs its statements in a new directory, which goes away.
#define IN_DIR(...) do { char *dir_ = make_dir(); __VA_ARGS__; chdir(dir_); clear(open(".", O_RDONLY)); rmdir(dir_); } while (0)

static void put(const char *name, const char *text) {
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	write(fd, text, strlen(text));
	close(fd);
}
static void cat(const char *name) {
	char b[200];
	int fd = open(name, O_RDONLY), n = read(fd, b, sizeof b);
	if (fd < 0) P("%s: %s\n", name, strerrorname_np(errno));
	else P("%s: %.*s\n", name, n < 0 ? 0 : n, b);
	close(fd);
}

TEST(tmpfile_link) {
	IN_DIR(
		int fd = open(".", O_TMPFILE | O_RDWR, 0600);
		P("%d\n", fd >= 0);
		write(fd, "unnamed", 7);
		struct stat st; fstat(fd, &st);
		P("%o %lu %ld\n", st.st_mode, st.st_nlink, (long)st.st_size);
		char name[64]; snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		S(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
		cat("named");
		fstat(fd, &st);
		P("%lu\n", st.st_nlink); unlink("named"); S(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW)));
}

TEST(tmpfile_errors) {
	IN_DIR(
		S(open(".", O_TMPFILE | O_RDONLY, 0600));
		S(open("none", O_TMPFILE | O_RDWR, 0600));
		put("f", "x");
		S(open("f", O_TMPFILE | O_RDWR, 0600));
		int fd = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
		char name[64]; snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		S(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW)));
}

static int open2(int at, const char *name, long flags, long resolve) {
	struct open_how how = {.flags = flags, .resolve = resolve};
	return syscall(SYS_openat2, at, name, &how, sizeof how);
}
#define O2(name, resolve) (errno = 0, show(name " " #resolve, open2(at, name, O_RDONLY, resolve) < 0 ? -1 : 0))

TEST(openat2_beneath) {
	IN_DIR(
		mkdir("d", 0755); mkdir("d/e", 0755); put("d/f", "x"); put("out", "x");
		symlink("f", "d/in"); symlink("../out", "d/up"); symlink("/etc/passwd", "d/abs"); symlink("e/../f", "d/round");
		int at = open("d", O_RDONLY);
		O2("f", RESOLVE_BENEATH); O2("in", RESOLVE_BENEATH); O2("up", RESOLVE_BENEATH); O2("abs", RESOLVE_BENEATH);
		O2("round", RESOLVE_BENEATH); O2("..", RESOLVE_BENEATH); O2("e/..", RESOLVE_BENEATH); O2("e/../..", RESOLVE_BENEATH);
		O2("/etc/passwd", RESOLVE_BENEATH); O2("e/../../d/f", RESOLVE_BENEATH));
}

TEST(openat2_in_root) {
	IN_DIR(
		mkdir("d", 0755); mkdir("d/e", 0755); put("d/f", "x");
		symlink("/f", "d/abs"); symlink("../../../f", "d/up"); symlink("/none", "d/dangling");
		int at = open("d", O_RDONLY);
		O2("f", RESOLVE_IN_ROOT); O2("/f", RESOLVE_IN_ROOT); O2("abs", RESOLVE_IN_ROOT); O2("up", RESOLVE_IN_ROOT);
		O2("../../f", RESOLVE_IN_ROOT); O2("dangling", RESOLVE_IN_ROOT); O2("/etc/passwd", RESOLVE_IN_ROOT));
}

TEST(openat2_no_links) {
	IN_DIR(
		mkdir("d", 0755); put("d/f", "x"); symlink("d", "l"); symlink("f", "d/s");
		int at = AT_FDCWD;
		O2("d/f", RESOLVE_NO_SYMLINKS); O2("l/f", RESOLVE_NO_SYMLINKS); O2("d/s", RESOLVE_NO_SYMLINKS); O2("l", RESOLVE_NO_SYMLINKS);
		O2("/proc/self/exe", RESOLVE_NO_MAGICLINKS); O2("d/s", RESOLVE_NO_MAGICLINKS); O2("/proc/self/exe", RESOLVE_NO_SYMLINKS);
		O2("/proc", RESOLVE_NO_XDEV); O2("d/f", RESOLVE_NO_XDEV);
		S(open2(at, "l", O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS) >= 0));
}

TEST(openat2_arguments) {
	struct { struct open_how how; long more; } big = {.how = {.flags = O_RDONLY}};
	S(syscall(SYS_openat2, AT_FDCWD, "/", &big, sizeof big) >= 0);
	big.more = 1;
	S(syscall(SYS_openat2, AT_FDCWD, "/", &big, sizeof big));
	S(syscall(SYS_openat2, AT_FDCWD, "/", &big, 8));
	S(syscall(SYS_openat2, AT_FDCWD, "/", &big, 5000));
	struct open_how how = {.flags = O_RDONLY, .mode = 0600};
	S(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how));
	how = (struct open_how){.flags = O_RDONLY, .resolve = 0x1000};
	S(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how));
	how = (struct open_how){.flags = 1UL << 40};
	S(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how));
	how = (struct open_how){.resolve = RESOLVE_BENEATH | RESOLVE_IN_ROOT};
	S(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how));
	how = (struct open_how){.flags = O_CREAT | O_WRONLY, .mode = 010644};
	S(syscall(SYS_openat2, AT_FDCWD, "/x", &how, sizeof how));
}

TEST(rename_noreplace) {
	IN_DIR(
		put("a", "A"); put("b", "B");
		S(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
		S(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
		S(renameat2(AT_FDCWD, "b", AT_FDCWD, "b", RENAME_NOREPLACE));
		cat("a"); cat("b"); cat("c"));
}

TEST(rename_exchange) {
	IN_DIR(
		put("a", "A"); put("b", "B"); mkdir("d", 0755); put("d/f", "F");
		S(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE)); cat("a"); cat("b");
		S(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE)); cat("a/f"); cat("d");
		S(renameat2(AT_FDCWD, "a", AT_FDCWD, "none", RENAME_EXCHANGE));
		S(renameat2(AT_FDCWD, "a", AT_FDCWD, "a/f", RENAME_EXCHANGE));
		S(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
		S(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 64)));
}

TEST(rename_directories) {
	IN_DIR(
		mkdir("a", 0755); mkdir("b", 0755); mkdir("full", 0755); put("full/f", ""); put("file", "");
		S(rename("a", "b")); S(rename("b", "full")); S(rename("b", "file")); S(rename("file", "b"));
		S(rename("full", "full/sub")); S(rename(".", "x")); S(rename("full", "b")); cat("b/f");
		S(rename("none", "x")); S(rename("b", "b/")); S(rename("b/f", "g/")));
}

TEST(rename_hard_links) {
	IN_DIR(put("a", "A"); link("a", "b"); S(rename("a", "b")); cat("a"); cat("b"));
}

TEST(link_errors) {
	IN_DIR(
		put("a", "A"); mkdir("d", 0755); symlink("a", "s"); symlink("none", "dangling");
		S(link("d", "e")); S(link("a", "d")); S(link("none", "x")); S(link("a", "none/x")); S(link("a", "x/"));
		S(link("s", "s2")); struct stat st; lstat("s2", &st); P("%o\n", st.st_mode & S_IFMT);
		S(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW)); lstat("s3", &st); P("%o %lu\n", st.st_mode & S_IFMT, st.st_nlink);
		S(linkat(AT_FDCWD, "dangling", AT_FDCWD, "s4", AT_SYMLINK_FOLLOW)); S(linkat(AT_FDCWD, "a", AT_FDCWD, "s5", 1)));
}

TEST(unlink_errors) {
	IN_DIR(
		mkdir("d", 0755); put("f", ""); put("d/f", "");
		S(unlink("d")); S(rmdir("f")); S(rmdir("d")); S(unlink("none")); S(unlink("f/")); S(unlinkat(AT_FDCWD, "f", 1));
		S(rmdir("d/.")); S(rmdir("d/..")); S(rmdir(".")); S(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR)); S(unlink("d/f")); S(rmdir("d/")));
}

TEST(mkdir_modes) {
	IN_DIR(
		struct stat st; umask(027);
		S(mkdir("a", 0777)); stat("a", &st); P("%o\n", st.st_mode);
		S(mkdir("b", 07777)); stat("b", &st); P("%o\n", st.st_mode);
		S(mkdir("a", 0777)); S(mkdir("a/b/c", 0777)); S(mkdir("c/", 0777)); S(mkdir("", 0777)); S(mkdir(".", 0777));
		chmod("a", 02755); mkdir("a/g", 0755); stat("a/g", &st); P("%o\n", st.st_mode);
		S(mknod("fifo", S_IFIFO | 0666, 0)); stat("fifo", &st); P("%o\n", st.st_mode);
		S(mknod("reg", 0666, 0)); stat("reg", &st); P("%o\n", st.st_mode); S(mknod("dir", S_IFDIR, 0)));
}

TEST(open_flags) {
	IN_DIR(
		put("f", "text"); mkdir("d", 0755); symlink("f", "s"); symlink("new", "dangling");
		S(open("f", O_RDONLY | O_DIRECTORY)); S(open("d", O_WRONLY)); S(open("s", O_RDONLY | O_NOFOLLOW));
		S(open("f", O_CREAT | O_EXCL, 0600)); S(open("s", O_CREAT | O_EXCL | O_RDWR, 0600)); S(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600));
		S(open("dangling", O_CREAT | O_RDWR, 0600) >= 0); struct stat st; S(stat("new", &st));
		S(open("d", O_CREAT, 0600)); S(open("none/f", O_CREAT, 0600)); S(open("f/x", O_RDONLY)); S(open("f/", O_RDONLY)); S(open("n/", O_CREAT | O_RDWR, 0600));
		S(open("", O_RDONLY)); S(open(NULL, O_RDONLY)); int fd = open("f", O_RDWR | O_TRUNC); fstat(fd, &st); P("%ld\n", (long)st.st_size));
}

TEST(open_append) {
	IN_DIR(
		put("f", "12345"); int fd = open("f", O_RDWR | O_APPEND);
		lseek(fd, 0, SEEK_SET); S(write(fd, "ab", 2)); S(lseek(fd, 0, SEEK_CUR)); S(pwrite(fd, "XY", 2, 0)); cat("f");
		fcntl(fd, F_SETFL, 0); S(pwrite(fd, "XY", 2, 0)); cat("f"));
}

TEST(open_path) {
	IN_DIR(
		put("f", "text"); symlink("f", "s"); char b[4]; struct stat st;
		int fd = open("f", O_PATH); S(read(fd, b, 4)); S(write(fd, b, 4)); S(fstat(fd, &st)); S(fchmod(fd, 0600)); S(lseek(fd, 0, SEEK_SET)); S(dup(fd) >= 0); S(fcntl(fd, F_GETFL) & O_PATH);
		int l = open("s", O_PATH | O_NOFOLLOW); fstat(l, &st); P("%o\n", st.st_mode & S_IFMT); char t[10] = ""; S(readlinkat(l, "", t, 10)); P("%s\n", t);
		char name[64]; snprintf(name, sizeof name, "/proc/self/fd/%d", fd); P("reopened\n"); int again = open(name, O_RDONLY); S(read(again, b, 4)));
}

TEST(getdents_cookies) {
	IN_DIR(
		for (int i = 0; i < 300; i++) { char n[10]; snprintf(n, 10, "%03d", i); put(n, ""); }
		DIR *d = opendir("."); long at[400]; char *names[400]; int n = 0; struct dirent *e;
		for (at[0] = telldir(d); (e = readdir(d)); at[n] = telldir(d)) names[n++] = strdup(e->d_name);
		P("%d\n", n); int wrong = 0;
		for (int i = n - 1; i >= 0; i -= 7) { seekdir(d, at[i]); wrong += strcmp(readdir(d)->d_name, names[i]) != 0; }
		P("wrong %d\n", wrong);
		rewinddir(d); int again = 0; while (readdir(d)) again++; P("%d\n", again);
		seekdir(d, at[200]); unlink(names[199]); unlink(names[202]); put("new", ""); wrong = strcmp(readdir(d)->d_name, names[200]) != 0; P("wrong %d\n", wrong);
		int rest = 0; while ((e = readdir(d))) if (strcmp(e->d_name, "new")) rest++; P("%d\n", rest == n - 200 - 2 || rest == n - 200 - 1));
}

TEST(getdents_while_removing) {
	IN_DIR(
		for (int i = 0; i < 500; i++) { char n[10]; snprintf(n, 10, "%03d", i); put(n, ""); }
		DIR *d = opendir("."); struct dirent *e; int n = 0; while ((e = readdir(d))) if (e->d_name[0] != '.') n += unlink(e->d_name) == 0; P("%d\n", n));
}

TEST(getdents_types) {
	IN_DIR(
		put("f", ""); mkdir("d", 0755); symlink("f", "l"); mkfifo("p", 0600);
		DIR *d = opendir("."); struct dirent *e; int type[128] = {0}; while ((e = readdir(d))) type[(int)e->d_name[0]] = e->d_type; P("%d %d %d %d %d\n", type['f'], type['d'], type['l'], type['p'], type['.']);
		char b[64]; int fd = open(".", O_RDONLY); S(syscall(SYS_getdents64, fd, b, 10)); S(syscall(SYS_getdents64, open("f", O_RDONLY), b, 64)); rmdir("d"); mkdir("x", 0755); int g = open("x", O_RDONLY); rmdir("x"); S(syscall(SYS_getdents64, g, b, 64)));
}

static void holes(int fd) {
	off_t end = lseek(fd, 0, SEEK_END);
	for (off_t at = 0; at < end;) {
		off_t data = lseek(fd, at, SEEK_DATA);
		if (data < 0) { P("%s\n", strerrorname_np(errno)); break; }
		at = lseek(fd, data, SEEK_HOLE);
		P("%ld-%ld ", (long)data, (long)at);
	}
	P("of %ld\n", (long)end);
}

TEST(sparse_holes) {
	IN_DIR(
		int fd = open("f", O_RDWR | O_CREAT, 0600);
		ftruncate(fd, 1 << 20); holes(fd);
		pwrite(fd, "x", 1, 300000); holes(fd);
		S(lseek(fd, 1 << 20, SEEK_DATA)); S(lseek(fd, 1 << 20, SEEK_HOLE)); S(lseek(fd, -1, SEEK_DATA)); S(lseek(fd, 1, 9));
		struct stat st; fstat(fd, &st); P("%d\n", st.st_blocks * 512 < 100000));
}

TEST(fallocate_modes) {
	IN_DIR(
		int fd = open("f", O_RDWR | O_CREAT, 0600); struct stat st;
		S(fallocate(fd, 0, 0, 10000)); fstat(fd, &st); P("%ld %d\n", (long)st.st_size, st.st_blocks * 512 >= 10000);
		S(fallocate(fd, FALLOC_FL_KEEP_SIZE, 20000, 10000)); fstat(fd, &st); P("%ld\n", (long)st.st_size);
		char b[16384]; memset(b, 'x', sizeof b); pwrite(fd, b, sizeof b, 0);
		S(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096)); pread(fd, b, sizeof b, 0); P("%d %d %d %d\n", b[4095], b[4096], b[8191], b[8192]);
		S(fallocate(fd, FALLOC_FL_ZERO_RANGE, 8192, 4096)); pread(fd, b, sizeof b, 0); P("%d %d\n", b[8192], b[12288]);
		S(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096)); S(fallocate(fd, 0, -1, 10)); S(fallocate(fd, 0, 0, 0)); S(fallocate(fd, 0x1000, 0, 10));
		S(fallocate(open("f", O_RDONLY), 0, 0, 10)); int p[2]; pipe(p); S(fallocate(p[1], 0, 0, 10)); S(posix_fallocate(fd, 0, 50000)); fstat(fd, &st); P("%ld\n", (long)st.st_size));
}

TEST(copy_file_range_offsets) {
	IN_DIR(
		put("a", "0123456789"); put("b", "abcdefghij"); int a = open("a", O_RDWR), b = open("b", O_RDWR);
		off_t i = 2, o = 4; S(copy_file_range(a, &i, b, &o, 3, 0)); P("%ld %ld\n", (long)i, (long)o); cat("b");
		S(copy_file_range(a, NULL, b, NULL, 4, 0)); S(lseek(a, 0, SEEK_CUR)); S(lseek(b, 0, SEEK_CUR)); cat("b");
		i = 20; S(copy_file_range(a, &i, b, &o, 3, 0)); i = 8; S(copy_file_range(a, &i, b, &o, 100, 0)); cat("b");
		S(copy_file_range(a, NULL, b, NULL, 1, 1)); i = 0, o = 5; S(copy_file_range(a, &i, a, &o, 5, 0)); cat("a"); o = 3; i = 0; S(copy_file_range(a, &i, a, &o, 5, 0));
		S(copy_file_range(a, NULL, open("b", O_RDONLY), NULL, 1, 0)); int p[2]; pipe(p); S(copy_file_range(a, NULL, p[1], NULL, 1, 0)); S(copy_file_range(open(".", O_RDONLY), NULL, b, NULL, 1, 0)));
}

TEST(sendfile_offsets) {
	IN_DIR(
		put("a", "0123456789"); int a = open("a", O_RDONLY), b = open("b", O_RDWR | O_CREAT, 0600);
		off_t o = 3; S(sendfile(b, a, &o, 4)); P("%ld\n", (long)o); S(lseek(a, 0, SEEK_CUR)); cat("b");
		S(sendfile(b, a, NULL, 100)); S(lseek(a, 0, SEEK_CUR)); cat("b"); S(sendfile(b, a, NULL, 10)); o = -1; S(sendfile(b, a, &o, 1));
		S(sendfile(a, b, NULL, 1)); int p[2]; pipe(p); S(sendfile(p[1], a, (o = 0, &o), 5)); char t[6] = ""; read(p[0], t, 5); P("%s\n", t); S(sendfile(b, p[0], NULL, 1)); int ap = open("b", O_WRONLY | O_APPEND); S(sendfile(ap, a, (o = 0, &o), 1)));
}

TEST(xattr_names) {
	IN_DIR(
		put("f", ""); char b[100];
		S(setxattr("f", "user.a", "one", 3, 0)); S(setxattr("f", "user.a", "two", 3, XATTR_CREATE)); S(setxattr("f", "user.b", "x", 1, XATTR_REPLACE)); S(setxattr("f", "user.a", "three", 5, XATTR_REPLACE)); S(setxattr("f", "user.empty", "", 0, 0));
		S(getxattr("f", "user.a", b, 100)); P("%.5s\n", b); S(getxattr("f", "user.a", NULL, 0)); S(getxattr("f", "user.a", b, 2)); S(getxattr("f", "user.none", b, 100)); S(getxattr("f", "user.empty", b, 100));
		S(listxattr("f", b, 1)); S(listxattr("f", NULL, 0)); S(removexattr("f", "user.a")); S(removexattr("f", "user.a")); S(listxattr("f", b, 100)); P("%s\n", b);
		S(setxattr("f", "nospace", "x", 1, 0)); S(setxattr("f", "user.", "x", 1, 0)); S(setxattr("f", "", "x", 1, 0)); S(setxattr("none", "user.a", "x", 1, 0)); symlink("f", "s"); S(lsetxattr("s", "user.a", "x", 1, 0)); S(setxattr("f", "user.z", "x", 1, 9)); int fd = open("f", O_RDONLY); S(fgetxattr(fd, "user.empty", b, 1)); S(fsetxattr(fd, "user.fd", "y", 1, 0)));
}

TEST(utimens_special) {
	IN_DIR(
		put("f", ""); struct stat st; struct timespec t[2] = {{1000, 500}, {2000, 999999999}};
		S(utimensat(AT_FDCWD, "f", t, 0)); stat("f", &st); P("%ld.%ld %ld.%ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		t[0].tv_nsec = UTIME_OMIT; t[1].tv_sec = 3000; t[1].tv_nsec = 0; S(utimensat(AT_FDCWD, "f", t, 0)); stat("f", &st); P("%ld %ld\n", st.st_atim.tv_sec, st.st_mtim.tv_sec);
		t[0].tv_nsec = UTIME_NOW; t[1].tv_nsec = UTIME_OMIT; S(utimensat(AT_FDCWD, "f", t, 0)); stat("f", &st); P("%d %ld\n", st.st_atim.tv_sec > 1000000, st.st_mtim.tv_sec);
		t[0].tv_nsec = 1000000000; S(utimensat(AT_FDCWD, "f", t, 0)); S(utimensat(AT_FDCWD, "f", NULL, 0)); stat("f", &st); P("%d\n", st.st_mtim.tv_sec > 1000000);
		symlink("f", "s"); t[0] = t[1] = (struct timespec){5, 0}; S(utimensat(AT_FDCWD, "s", t, AT_SYMLINK_NOFOLLOW)); lstat("s", &st); P("%ld\n", st.st_mtim.tv_sec); stat("f", &st); P("%d\n", st.st_mtim.tv_sec > 1000000);
		S(futimens(open("f", O_RDONLY), t)); S(utimensat(AT_FDCWD, "none", t, 0)); S(utimensat(AT_FDCWD, "f", t, 0x4000)); t[0].tv_nsec = t[1].tv_nsec = UTIME_OMIT; S(utimensat(AT_FDCWD, "none", t, 0)));
}

TEST(statx_fields) {
	IN_DIR(
		put("f", "12345"); struct statx x; chmod("f", 0640);
		S(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &x)); P("%o %llu %u %d\n", x.stx_mode, (unsigned long long)x.stx_size, x.stx_nlink, (x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
		S(statx(open("f", O_RDONLY), "", AT_EMPTY_PATH, STATX_SIZE, &x)); P("%llu\n", (unsigned long long)x.stx_size); S(statx(AT_FDCWD, "", 0, STATX_SIZE, &x)); S(statx(AT_FDCWD, "f", 0x8000000, STATX_SIZE, &x)); S(statx(AT_FDCWD, "f", 0, 0x80000000, &x)); S(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE, &x)); S(statx(AT_FDCWD, "none", 0, STATX_SIZE, &x));
		symlink("f", "s"); S(statx(AT_FDCWD, "s", AT_SYMLINK_NOFOLLOW, STATX_MODE, &x)); P("%o\n", x.stx_mode & S_IFMT));
}

TEST(fstatat_flags) {
	IN_DIR(
		put("f", "12345"); symlink("f", "s"); struct stat st; int fd = open("f", O_RDONLY);
		S(fstatat(fd, "", &st, AT_EMPTY_PATH)); P("%ld\n", (long)st.st_size); S(fstatat(fd, "", &st, 0)); S(fstatat(fd, "x", &st, 0)); S(fstatat(999, "x", &st, 0)); S(fstatat(AT_FDCWD, "s", &st, AT_SYMLINK_NOFOLLOW)); P("%ld\n", (long)st.st_size); S(fstatat(AT_FDCWD, "s", &st, 0x10000)); S(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH)); P("%o\n", st.st_mode & S_IFMT); S(stat("f/", &st)); S(stat("f/..", &st)); S(lstat("s/", &st)));
}

TEST(truncate_sizes) {
	IN_DIR(
		put("f", "0123456789"); struct stat st; S(truncate("f", 4)); cat("f"); S(truncate("f", 8)); stat("f", &st); P("%ld\n", (long)st.st_size); S(truncate("f", -1)); S(truncate(".", 1)); S(truncate("none", 1)); S(ftruncate(open("f", O_RDONLY), 1)); int p[2]; pipe(p); S(ftruncate(p[1], 1)););
}

TEST(file_size_limit) {
	IN_DIR(
		struct rlimit r = {10, 10}; signal(SIGXFSZ, SIG_IGN); setrlimit(RLIMIT_FSIZE, &r); int fd = open("f", O_RDWR | O_CREAT, 0600); char b[20] = "0123456789abcdefghi";
		S(write(fd, b, 20)); S(write(fd, b, 1)); S(ftruncate(fd, 11)); S(ftruncate(fd, 10)); S(fallocate(fd, 0, 0, 20)); S(pwrite(fd, b, 5, 8)); REAP(CHILD(signal(SIGXFSZ, SIG_DFL); lseek(fd, 0, SEEK_END); write(fd, b, 1))));
}

TEST(pread_pwrite_edges) {
	IN_DIR(
		put("f", "0123456789"); int fd = open("f", O_RDWR); char b[20]; S(pread(fd, b, 20, 8)); S(pread(fd, b, 20, 10)); S(pread(fd, b, 20, 100)); S(pread(fd, b, 1, -1)); S(pwrite(fd, "x", 1, -1)); S(pwrite(fd, "end", 3, 20)); S(lseek(fd, 0, SEEK_END)); S(lseek(fd, -1, SEEK_SET)); S(lseek(fd, -5, SEEK_CUR)); S(lseek(fd, 1L << 40, SEEK_SET)); S(read(fd, b, 1)); S(read(fd, NULL, 0)); lseek(fd, 0, SEEK_SET); S(read(fd, (void *)8, 1)); S(write(fd, (void *)8, 1)); int p[2]; pipe(p); S(lseek(p[0], 0, SEEK_SET)); S(pread(p[0], b, 1, 0)));
}

TEST(readv_writev_edges) {
	IN_DIR(
		int fd = open("f", O_RDWR | O_CREAT, 0600); struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}}; S(writev(fd, v, 3)); S(writev(fd, v, 0)); S(writev(fd, v, -1)); S(writev(fd, v, 1025)); S(writev(fd, (void *)8, 1)); v[1].iov_len = -1; S(writev(fd, v, 3)); char a[3] = ""; char b[9] = ""; struct iovec r[2] = {{a, 2}, {b, 8}}; S(preadv(fd, r, 2, 0)); P("%s %s\n", a, b); S(pwritev(fd, v, 1, 1)); cat("f"); S(preadv2(fd, r, 1, 0, 0)); S(preadv2(fd, r, 1, 0, 0x1000)); S(pwritev2(fd, v, 1, 0, RWF_APPEND)); cat("f"));
}

TEST(chmod_chown) {
	IN_DIR(
		put("f", ""); symlink("f", "s"); struct stat st; S(chmod("f", 04755)); stat("f", &st); P("%o\n", st.st_mode); S(chown("f", 1000, -1)); stat("f", &st); P("%o %d %d\n", st.st_mode, st.st_uid, st.st_gid); S(lchown("s", 7, 8)); lstat("s", &st); P("%d %d\n", st.st_uid, st.st_gid); S(fchmodat(AT_FDCWD, "s", 0600, 0)); S(fchownat(AT_FDCWD, "s", 9, 9, AT_SYMLINK_NOFOLLOW)); S(fchownat(open("f", O_RDONLY), "", 5, 5, AT_EMPTY_PATH)); stat("f", &st); P("%o %d\n", st.st_mode, st.st_uid); S(chmod("none", 0)); S(chown("f/x", 0, 0)); S(fchownat(AT_FDCWD, "f", 0, 0, 0x10000));
		REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); S(chmod("f", 0777)); S(chown("f", 1000, 1000)))));
}

TEST(access_checks) {
	IN_DIR(
		put("f", ""); chmod("f", 0604); put("x", ""); chmod("x", 0); mkdir("d", 0700); put("d/f", ""); char *dir = get_current_dir_name(); chmod(dir, 0755);
		S(access("f", F_OK)); S(access("f", X_OK)); S(access("x", R_OK)); S(access("none", F_OK)); S(access("f", 8)); S(faccessat(AT_FDCWD, "f", W_OK, AT_EACCESS));
		REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); S(access("f", R_OK)); S(access("f", W_OK)); S(access("x", R_OK)); S(access("d/f", F_OK)); S(open("d/f", O_RDONLY)); S(open("new", O_CREAT | O_RDWR, 0600)); S(unlink("f")); S(rename("f", "g")); S(mkdir("e", 0700)); S(open("x", O_RDONLY)))));
}

TEST(sticky_directory) {
	IN_DIR(
		chmod(".", 01777); put("root", ""); chmod("root", 0666);
		REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); S(unlink("root")); S(rename("root", "mine")); put("own", "x"); S(unlink("own")))));
}

TEST(symlink_loops) {
	IN_DIR(
		symlink("a", "b"); symlink("b", "a"); struct stat st; S(stat("a", &st)); S(open("a/x", O_RDONLY)); S(lstat("a", &st)); char n[4200]; memset(n, 'x', 4199); n[4199] = 0; S(open(n, O_RDONLY)); n[300] = 0; S(open(n, O_RDONLY)); n[256] = 0; S(mkdir(n, 0755)); n[255] = 0; S(mkdir(n, 0755)); S(symlink("", "e")); S(symlink("x", "a")); char t[3]; S(readlink("a", t, 3)); S(readlink("b", t, 0)); S(readlink(".", t, 3)); char from[10]; char to[10]; symlink(".", "l0"); for (int i = 1; i <= 41; i++) { snprintf(from, 10, "l%d", i - 1); snprintf(to, 10, "l%d", i); symlink(from, to); } S(stat("l39", &st)); S(stat("l40", &st)));
}

TEST(deleted_directory) {
	IN_DIR(
		mkdir("d", 0755); chdir("d"); rmdir("../d"); char b[100]; S(open("f", O_CREAT | O_RDWR, 0600)); S(mkdir("x", 0755)); errno = 0; P("%d %s\n", getcwd(b, 100) == NULL, strerrorname_np(errno)); struct stat st; S(stat(".", &st)); P("%lu\n", st.st_nlink); S(stat("..", &st)); S(open(".", O_RDONLY) >= 0); chdir("/tmp"));
}

TEST(statfs_fields) {
	struct statfs s;
	S(statfs("/tmp", &s));
	P("%d %d %ld\n", s.f_bsize > 0, s.f_blocks > 0, (long)s.f_namelen);
	S(statfs("/none", &s));
	S(fstatfs(999, &s));
	S(statfs("/proc", &s));
	P("%lx\n", (long)s.f_type);
}

TEST(flags_of_descriptors) {
	IN_DIR(
		int fd = open("f", O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600); P("%#o\n", fcntl(fd, F_GETFL)); S(fcntl(fd, F_GETFD)); S(fcntl(fd, F_SETFL, O_APPEND)); P("%#o\n", fcntl(fd, F_GETFL)); int d = fcntl(fd, F_DUPFD_CLOEXEC, 100); S(d); S(fcntl(d, F_GETFD)); S(fcntl(fd, F_DUPFD, -1)); S(fcntl(fd, F_DUPFD, 1 << 20)); S(dup2(fd, fd) == fd); S(dup3(fd, fd, 0)); S(dup2(999, 5)); S(dup2(fd, -1)); S(dup3(fd, 50, 1)); S(fcntl(fd, 12345)); S(close(999)); S(close_range(60, 50, 0)));
}

TEST(etxtbsy) {
	IN_DIR(
		int in = open(SELF, O_RDONLY); int out = open("x", O_WRONLY | O_CREAT, 0755); struct stat st; fstat(in, &st); for (off_t n = 0; n < st.st_size;) { ssize_t k = sendfile(out, in, NULL, st.st_size - n); if (k <= 0) break; n += k; }
		REAP(CHILD(execl("./x", "x", "exit", "4", NULL); P("%s\n", strerrorname_np(errno)))); close(out);
		pid_t pid = CHILD(execl("./x", "x", "sleep", NULL)); await(pid, 'S'); nap(20); S(open("x", O_WRONLY)); S(open("x", O_RDONLY) >= 0); S(truncate("x", 10)); S(unlink("x")); kill(pid, SIGKILL); REAP(pid));
}

TEST(large_file_flag) {
	int p[2], s[2];
	S(pipe(p));
	S(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	mkfifo("/tmp/large_file_flag", 0600);
	int fds[] = {p[0], p[1], s[0], memfd_create("m", 0), eventfd(0, 0), open("/", O_PATH), open("/", O_RDONLY | O_DIRECTORY),
		open("/tmp/large_file_flag", O_RDWR | O_NONBLOCK), open("/tmp", O_TMPFILE | O_RDWR, 0600), open("/dev/null", O_RDONLY), epoll_create1(0)};
	for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++)
		P("%u: %o\n", i, fcntl(fds[i], F_GETFL));
	unlink("/tmp/large_file_flag");
}

TEST(preadv2_nowait) {
	char b[8] = "";
	struct iovec v = {b, 8};
	int p[2], f = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	pipe(p);
	S(preadv2(p[0], &v, 1, -1, RWF_NOWAIT));
	S(write(p[1], "abc", 3));
	S(preadv2(p[0], &v, 1, -1, RWF_NOWAIT));
	P("%s\n", b);
	close(p[1]);
	S(preadv2(p[0], &v, 1, -1, RWF_NOWAIT));
	S(write(f, "file", 4));
	S(preadv2(f, &v, 1, 0, RWF_NOWAIT));
	P("%s\n", b);
	S(preadv2(99, &v, 1, 0, RWF_NOWAIT));
}
