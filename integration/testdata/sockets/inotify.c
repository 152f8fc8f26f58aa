#include "case.h"
#include <sys/inotify.h>
#include <sys/xattr.h>

static const char *names[] = {"ACCESS", "MODIFY", "ATTRIB", "CLOSE_WRITE", "CLOSE_NOWRITE", "OPEN", "MOVED_FROM", "MOVED_TO",
	"CREATE", "DELETE", "DELETE_SELF", "MOVE_SELF", "?", "UNMOUNT", "Q_OVERFLOW", "IGNORED"};

static int fd;

/* events prints what came; cookies only as whether there is one. */
static void events(const char *what) {
	char b[8192] __attribute__((aligned(8)));
	long n = read(fd, b, sizeof b);
	printf("%s:\n", what);
	for (char *p = b; n > 0 && p < b + n;) {
		struct inotify_event *e = (void *)p;
		printf("  %d", e->wd);
		for (int i = 0; i < 16; i++)
			if (e->mask >> i & 1)
				printf(" %s", names[i]);
		if (e->mask & IN_ISDIR)
			printf(" ISDIR");
		printf(" cookie %d len %d %s\n", e->cookie != 0, e->len, e->len ? e->name : "");
		p += sizeof *e + e->len;
	}
}

static void touch(const char *name) { close(open(name, O_WRONLY | O_CREAT, 0600)); }

CASE(inotify_dir) {
	char b[8];
	fd = F(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	mkdir("d", 0700);
	T(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
	ready("quiet", fd);
	touch("d/a");
	ready("created", fd);
	int n;
	T(ioctl(fd, FIONREAD, &n));
	printf("%d\n", n);
	events("created");
	int f = open("d/a", O_RDWR);
	write(f, "hello", 5);
	write(f, "hello", 5);
	pread(f, b, 4, 0);
	ftruncate(f, 3);
	fchmod(f, 0644);
	events("used");
	close(f);
	events("closed");
	close(open("d/a", O_RDONLY));
	events("read only");
	close(open("d/a", O_WRONLY | O_TRUNC));
	events("truncated");
	mkdir("d/sub", 0700);
	symlink("a", "d/l");
	mkfifo("d/fifo", 0600);
	events("made");
	link("d/a", "d/b");
	events("linked");
	rename("d/b", "d/c");
	events("renamed");
	rename("d/c", "d/a");
	events("onto its own link");
	touch("d/other");
	events("another");
	rename("d/other", "d/a");
	events("replaced");
	touch("outside");
	rename("outside", "d/inside");
	rename("d/inside", "outside");
	events("in and out");
	unlink("d/a");
	unlink("d/l");
	rmdir("d/sub");
	events("removed");
	chmod("d", 0755);
	rename("d", "e");
	events("itself");
	unlink("e/fifo");
	unlink("e/c");
	events("rest");
	T(rmdir("e"));
	events("gone");
	unlink("outside");
}

CASE(inotify_file) {
	fd = F(inotify_init());
	fcntl(fd, F_SETFL, O_NONBLOCK);
	touch("f");
	int wd = T(inotify_add_watch(fd, "f", IN_ALL_EVENTS));
	struct timespec times[2] = {{1, 0}, {2, 0}};
	utimensat(AT_FDCWD, "f", times, 0);
	times[0].tv_nsec = UTIME_OMIT;
	utimensat(AT_FDCWD, "f", times, 0);
	events("times");
	truncate("f", 10);
	chmod("f", 0600);
	chown("f", getuid(), getgid());
	events("attributes");
	link("f", "g");
	unlink("f");
	events("names");
	int f = open("g", O_RDONLY);
	events("open");
	unlink("g");
	events("unlinked");
	close(f);
	events("closed");
	T(inotify_rm_watch(fd, wd));
	char b[4];
	T(read(fd, b, 4));
}

CASE(inotify_errors) {
	fd = F(inotify_init1(IN_NONBLOCK));
	char b[64];
	T(inotify_init1(77));
	T(inotify_add_watch(fd, "none", IN_OPEN));
	T(inotify_add_watch(fd, ".", 0));
	T(inotify_add_watch(0, ".", IN_OPEN));
	T(inotify_add_watch(99, ".", IN_OPEN));
	T(inotify_add_watch(fd, (void *)8, IN_OPEN));
	T(inotify_rm_watch(fd, 5));
	touch("f");
	T(inotify_add_watch(fd, "f", IN_OPEN | IN_ONLYDIR));
	T(read(fd, b, 64));
	int wd = T(inotify_add_watch(fd, ".", IN_CREATE));
	T(inotify_add_watch(fd, ".", IN_DELETE | IN_MASK_CREATE));
	T(inotify_add_watch(fd, ".", IN_DELETE | IN_MASK_ADD));
	touch("g");
	T(read(fd, b, 20));
	T(read(fd, b, 32));
	unlink("g");
	events("both");
	T(inotify_add_watch(fd, ".", IN_OPEN) == wd);
	touch("g");
	events("replaced mask");
	T(inotify_rm_watch(fd, wd));
	events("removed");
	wd = T(inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_ONESHOT));
	unlink("g");
	touch("g");
	events("once");
	T(write(fd, b, 1));
}
