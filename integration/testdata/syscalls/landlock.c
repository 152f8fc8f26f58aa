// landlock(7): what a process lets itself do with files.
#include "test.h"
#include <linux/landlock.h>

#define ALL ((1ULL << 14) - 1)
#define FS_(N) LANDLOCK_ACCESS_FS_##N

static int ruleset(__u64 handled, unsigned flags) {
	struct landlock_ruleset_attr a = {handled};
	return syscall(SYS_landlock_create_ruleset, &a, sizeof a, flags);
}
static int allow(int set, const char *path, __u64 access) {
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr a = {access, fd};
	int r = syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &a, 0), e = errno;
	close(fd);
	errno = e;
	return r;
}
static int restrict_(int set) { return syscall(SYS_landlock_restrict_self, set, 0); }

static void file(const char *name, const char *text) {
	int fd = open(name, O_CREAT | O_WRONLY, 0755);
	write(fd, text, strlen(text));
	close(fd);
}
static char dir[40];
static void tree(void) {
	strcpy(dir, "/tmp/landlockXXXXXX");
	mkdtemp(dir);
	chdir(dir);
	mkdir("d", 0755), mkdir("d/e", 0755), mkdir("r", 0755), mkdir("d/empty", 0755);
	file("d/e/f", "f"), file("d/g", "g"), file("r/x", "#!/bin/sh\n"), file("top", "t");
	symlink("../top", "d/link");
	mkfifo("d/fifo", 0644);
}
static void clear(void) {
	chdir(dir);
	const char *names[] = {"d/e/f", "d/e/new", "d/e/moved", "d/e/linked", "d/e/g", "d/e", "d/g", "d/new", "d/moved", "d/linked", "d/s", "d/dev", "d/fifo", "d/fifo2", "d/link", "d/dir", "d/empty", "d",
		"r/x", "r/new", "r/g", "r/linked", "r/linked2", "r/e", "r/moved/f", "r/moved", "r", "top", "new", "moved"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) remove(names[i]);
	rmdir(dir);
}
/* IN_TREE runs a block in a child and a directory of its own: d/e/f, d/g, r/x, top. */
#define IN_TREE(...) do { tree(); pid_t p_ = CHILD(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); __VA_ARGS__); REAP(p_); clear(); } while (0)

TEST(landlock_rulesets) {
	S(syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 3);
	S(syscall(SYS_landlock_create_ruleset, NULL, 8, LANDLOCK_CREATE_RULESET_VERSION));
	S(syscall(SYS_landlock_create_ruleset, &(int){0}, 0, LANDLOCK_CREATE_RULESET_VERSION));
	S(ruleset(0, 0));
	S(ruleset(1ULL << 60, 0));
	S(ruleset(ALL, 1 << 10));
	struct { __u64 fs, rest[20]; } big = {ALL}, dirty = {ALL, {0, 0, 0, 1}};
	S(syscall(SYS_landlock_create_ruleset, &big, 4, 0));
	S(syscall(SYS_landlock_create_ruleset, &big, 5000, 0));
	S(syscall(SYS_landlock_create_ruleset, NULL, 8, 0));
	S(syscall(SYS_landlock_create_ruleset, &dirty, sizeof dirty, 0));
	int fd = syscall(SYS_landlock_create_ruleset, &big, sizeof big, 0);
	P("%d %d\n", fd >= 3, fcntl(fd, F_GETFD));
	char name[40], target[60] = {0};
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	S(readlink(name, target, sizeof target));
	P("%s\n", target);
	S(read(fd, target, 1));
	S(write(fd, target, 1));
	S(fcntl(fd, F_GETFL) & O_ACCMODE);
}

TEST(landlock_rules) {
	IN_TREE(
		int fd = ruleset(FS_(READ_FILE) | FS_(READ_DIR) | FS_(MAKE_REG), 0);
		S(allow(fd, "d", FS_(READ_FILE) | FS_(READ_DIR)));
		S(allow(fd, "d", FS_(MAKE_REG)));
		S(allow(fd, "d", 0));
		S(allow(fd, "d", FS_(WRITE_FILE)));
		S(allow(fd, "d/g", FS_(READ_FILE)));
		S(allow(fd, "d/g", FS_(READ_DIR)));
		S(allow(0, "d", FS_(READ_DIR)));
		S(allow(99, "d", FS_(READ_DIR)));
		S(allow(fd, "nothing", FS_(READ_DIR)));
		struct landlock_path_beneath_attr a = {FS_(READ_FILE), fd};
		S(syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &a, 0));
		S(syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &a, 1));
		S(syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, NULL, 0));
		S(syscall(SYS_landlock_add_rule, fd, 77, &a, 0));
		int p[2]; pipe(p);
		a.parent_fd = p[0];
		S(syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &a, 0)));
}

TEST(landlock_restricts) {
	int fd = ruleset(FS_(READ_FILE), 0);
	REAP(CHILD(setresuid(1234, 1234, 1234); S(restrict_(fd))));
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	S(syscall(SYS_landlock_restrict_self, fd, 1 << 20));
	S(restrict_(99));
	S(restrict_(0));
	S(restrict_(fd));
	S(open("/etc/passwd", O_RDONLY));
	for (int i = 0; i < 20; i++) if (restrict_(fd)) { P("%d: %s\n", i, strerrorname_np(errno)); break; }
}

TEST(landlock_reading) {
	IN_TREE(
		int fd = ruleset(FS_(READ_FILE) | FS_(READ_DIR), 0), g = open("top", O_RDONLY), top = open(".", O_RDONLY | O_DIRECTORY);
		allow(fd, "d", FS_(READ_FILE));
		allow(fd, "d/e", FS_(READ_DIR));
		S(restrict_(fd));
		S(open("d/e/f", O_RDONLY) > 0);
		S(open("d/g", O_RDONLY) > 0);
		S(open("d/link", O_RDONLY));
		S(open("top", O_RDONLY));
		S(open("top", O_RDWR));
		S(open("top", O_WRONLY) > 0);
		S(open("top", O_PATH) > 0);
		S(open("/proc/self/status", O_RDONLY));
		S(open("d", O_RDONLY | O_DIRECTORY));
		S(open("d/e", O_RDONLY | O_DIRECTORY) > 0);
		S(open(".", O_RDONLY | O_DIRECTORY));
		char c;
		S(read(g, &c, 1));
		struct stat st;
		S(stat("top", &st));
		S(access("top", R_OK));
		S(readlink("d/link", &c, 1));
		DIR *d = fdopendir(top); S(!!readdir(d));
		S(openat(top, "top", O_RDONLY));
		S(openat(top, "d/e/f", O_RDONLY) > 0);
		S(chdir("r"));
		S(open("x", O_RDONLY));
		S(open("../d/g", O_RDONLY) > 0));
}

TEST(landlock_writing) {
	IN_TREE(
		int fd = ruleset(ALL & ~FS_(READ_FILE) & ~FS_(READ_DIR), 0);
		allow(fd, "d", FS_(WRITE_FILE) | FS_(MAKE_REG) | FS_(MAKE_DIR) | FS_(REMOVE_FILE));
		allow(fd, "r/x", FS_(WRITE_FILE));
		S(restrict_(fd));
		S(open("d/new", O_CREAT | O_WRONLY, 0644) > 0);
		S(open("new", O_CREAT | O_WRONLY, 0644));
		S(open("new", O_CREAT | O_RDONLY, 0644));
		S(open("r/x", O_CREAT | O_WRONLY, 0644) > 0);
		S(open("top", O_WRONLY));
		S(open("top", O_RDONLY) > 0);
		S(mkdir("d/dir", 0755));
		S(mkdir("dir", 0755));
		S(mkdir("d", 0755));
		S(rmdir("d/dir"));
		S(unlink("d/new"));
		S(unlink("top"));
		S(unlink("nothing"));
		S(unlink("r/x"));
		S(symlink("x", "d/s"));
		S(mkfifo("d/fifo2", 0644));
		S(mknod("d/dev", S_IFCHR | 0644, 1 << 8 | 3));
		S(mknod("d/plain", S_IFREG | 0644, 0)); S(unlink("d/plain"));
		S(truncate("top", 0)); S(truncate("d/g", 0)); // not handled
		S(chmod("top", 0600));
		S(open("d", O_TMPFILE | O_WRONLY, 0600) > 0);
		S(open("r", O_TMPFILE | O_WRONLY, 0600)));
}

TEST(landlock_truncates) {
	IN_TREE(
		int fd = ruleset(1 << 14, 0), w = open("top", O_WRONLY);
		allow(fd, "d", 1 << 14);
		S(restrict_(fd));
		S(truncate("top", 0)); S(truncate("d/g", 0));
		S(open("top", O_WRONLY | O_TRUNC)); S(open("d/g", O_WRONLY | O_TRUNC) > 0);
		int after = open("top", O_WRONLY);
		S(ftruncate(w, 0));
		S(ftruncate(after, 0));
		S(ftruncate(open("d/g", O_RDWR), 0));
		S(creat("new", 0644) > 0));
}

TEST(landlock_executes) {
	IN_TREE(
		int fd = ruleset(FS_(EXECUTE), 0);
		allow(fd, "/bin", FS_(EXECUTE));
		S(restrict_(fd));
		char *argv[] = {"x", NULL};
		S(execv("r/x", argv));
		S(execv(SELF, argv));
		S(access("r/x", X_OK)));
}

TEST(landlock_moves) {
	IN_TREE(
		int fd = ruleset(ALL & ~FS_(READ_FILE) & ~FS_(READ_DIR) & ~FS_(EXECUTE), 0);
		allow(fd, "d", FS_(REFER) | FS_(MAKE_REG) | FS_(MAKE_DIR) | FS_(REMOVE_FILE) | FS_(REMOVE_DIR) | FS_(WRITE_FILE));
		allow(fd, "r", FS_(REFER) | FS_(MAKE_REG));
		S(restrict_(fd));
		S(rename("d/g", "d/moved"));
		S(rename("d/moved", "d/e/g"));
		S(rename("d/e/g", "r/g"));
		S(rename("top", "moved"));
		S(rename("top", "d/moved"));
		S(rename("r/x", "d/moved"));
		S(link("d/e/f", "d/linked"));
		S(link("d/e/f", "r/linked"));
		S(unlink("d/linked"));
		S(link("r/x", "r/linked2")); S(link("r/x", "d/linked")); S(link("top", "d/linked"));
		S(rename("d/e", "d/dir"));
		S(rename("d/dir", "d/e"));
		S(rename("d/e", "r/e"));
		S(rename("d/link", "d/s"));
		file("d/new", "n");
		S(syscall(SYS_renameat2, AT_FDCWD, "d/e/f", AT_FDCWD, "d/new", 2));
		S(syscall(SYS_renameat2, AT_FDCWD, "d/e/f", AT_FDCWD, "r/x", 2));
		S(rename("d/new", "d/e/f")));
}

TEST(landlock_moves_without_refer) {
	IN_TREE(
		int fd = ruleset(FS_(READ_FILE), 0);
		allow(fd, ".", FS_(READ_FILE));
		S(restrict_(fd));
		S(rename("d/g", "d/moved"));
		S(rename("d/moved", "d/e/g"));
		S(link("d/e/f", "d/e/linked"));
		S(link("d/e/f", "d/linked"));
		S(rename("top", "moved")));
}

TEST(landlock_nests) {
	IN_TREE(
		int fd = ruleset(FS_(READ_FILE) | FS_(WRITE_FILE), 0), more = ruleset(FS_(READ_FILE), 0);
		allow(fd, "d", FS_(READ_FILE) | FS_(WRITE_FILE));
		allow(more, "d/e", FS_(READ_FILE));
		allow(more, "top", FS_(READ_FILE));
		S(restrict_(fd));
		S(open("d/g", O_RDWR) > 0);
		S(restrict_(more));
		S(open("d/e/f", O_RDWR) > 0);
		S(open("d/g", O_RDONLY)); S(open("d/g", O_WRONLY) > 0);
		S(open("top", O_RDONLY));
		REAP(CHILD(S(open("d/g", O_RDONLY)); S(open("d/e/f", O_RDONLY) > 0))));
}

static void *opens(void *name) {
	S(open(name, O_RDONLY));
	return NULL;
}
TEST(landlock_is_a_thread_s) {
	IN_TREE(
		int fd = ruleset(FS_(READ_FILE), 0);
		pthread_t t;
		S(restrict_(fd));
		pthread_create(&t, NULL, opens, "top");
		pthread_join(t, NULL));
}

TEST(landlock_follows_the_directory) {
	IN_TREE(
		int fd = ruleset(FS_(READ_FILE), 0);
		allow(fd, "d/e", FS_(READ_FILE));
		rename("d/e", "r/moved");
		S(restrict_(fd));
		S(open("r/moved/f", O_RDONLY) > 0);
		S(open("d/g", O_RDONLY)));
}

// What has no path can be opened by /proc still.
TEST(landlock_of_pipes) {
	int p[2], m = memfd_create("m", 0);
	pipe(p);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int fd = ruleset(FS_(READ_FILE) | FS_(WRITE_FILE), 0);
	S(restrict_(fd));
	char name[40];
	snprintf(name, sizeof name, "/proc/self/fd/%d", p[0]);
	S(open(name, O_RDONLY) > 0);
	snprintf(name, sizeof name, "/proc/self/fd/%d", m);
	S(open(name, O_RDWR) > 0);
}
