// File handles, as a process sees them that may not open them.
#include "test.h"
#include <linux/capability.h>

struct handle {
	struct file_handle h;
	char bytes[128];
};

static int handle_of(int dir, const char *path, struct handle *h, int *mount, int flags) {
	memset(h, 0, sizeof *h);
	h->h.handle_bytes = 128;
	return name_to_handle_at(dir, path, &h->h, mount, flags);
}

static int same(struct handle *a, struct handle *b) {
	return a->h.handle_bytes == b->h.handle_bytes && a->h.handle_type == b->h.handle_type && !memcmp(a->h.f_handle, b->h.f_handle, a->h.handle_bytes);
}

static char dir[] = "/tmp/handleXXXXXX";

static void prepare(void) {
	mkdtemp(dir);
	chdir(dir);
	close(creat("a", 0600));
	close(creat("b", 0600));
	link("a", "c");
	symlink("a", "l");
}

TEST(name_to_handle) {
	struct handle a, b;
	int ma, mb;
	prepare();
	S(handle_of(AT_FDCWD, "a", &a, &ma, 0));
	P("bytes %d\n", a.h.handle_bytes > 0 && a.h.handle_bytes < 128);
	S(handle_of(AT_FDCWD, "b", &b, &mb, 0));
	P("same %d, mount %d\n", same(&a, &b), ma == mb);
	S(handle_of(AT_FDCWD, "c", &b, &mb, 0));
	P("same %d\n", same(&a, &b));
	S(handle_of(AT_FDCWD, "l", &b, &mb, 0));
	P("same %d\n", same(&a, &b));
	S(handle_of(AT_FDCWD, "l", &b, &mb, AT_SYMLINK_FOLLOW));
	P("same %d\n", same(&a, &b));
	int fd = open("a", O_RDONLY), d = open(".", O_RDONLY);
	S(handle_of(fd, "", &b, &mb, AT_EMPTY_PATH));
	P("same %d\n", same(&a, &b));
	S(handle_of(d, "a", &b, &mb, 0));
	P("same %d\n", same(&a, &b));
	rename("a", "d");
	S(handle_of(d, "d", &b, &mb, 0));
	P("same %d\n", same(&a, &b));
	struct statx st;
	S(statx(d, "d", 0, 0x1000 /* STATX_MNT_ID */, &st));
	P("mount %d\n", *(uint64_t *)((char *)&st + 0x90) == mb);
}

TEST(name_to_handle_errors) {
	struct handle h;
	int mount = -1;
	prepare();
	h.h.handle_bytes = 0;
	S(name_to_handle_at(AT_FDCWD, "a", &h.h, &mount, 0));
	int needed = h.h.handle_bytes;
	P("needed %d, mount %d\n", needed > 0, mount >= 0);
	h.h.handle_bytes = needed;
	S(name_to_handle_at(AT_FDCWD, "a", &h.h, &mount, 0));
	h.h.handle_bytes = 129;
	S(name_to_handle_at(AT_FDCWD, "a", &h.h, &mount, 0));
	S(handle_of(AT_FDCWD, "none", &h, &mount, 0));
	S(handle_of(AT_FDCWD, "", &h, &mount, 0));
	S(handle_of(77, "a", &h, &mount, 0));
	S(handle_of(77, "", &h, &mount, AT_EMPTY_PATH));
	S(handle_of(AT_FDCWD, "a", &h, &mount, AT_STATX_FORCE_SYNC));
	S(handle_of(AT_FDCWD, "a", &h, (void *)8, 0));
	S(handle_of(AT_FDCWD, (void *)8, &h, &mount, 0));
	S(name_to_handle_at(AT_FDCWD, "a", (void *)8, &mount, 0));
	S(handle_of(AT_FDCWD, "/proc/self/status", &h, &mount, 0));
	int p[2];
	pipe(p);
	S(handle_of(p[0], "", &h, &mount, AT_EMPTY_PATH));
}

TEST(open_by_handle) {
	struct handle h;
	int mount, fd = open("/tmp", O_RDONLY);
	prepare();
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];
	syscall(SYS_capget, &head, caps);
	caps[0].effective &= ~(1 << CAP_DAC_READ_SEARCH | 1 << CAP_SYS_ADMIN);
	caps[0].permitted &= ~(1 << CAP_DAC_READ_SEARCH | 1 << CAP_SYS_ADMIN);
	S(syscall(SYS_capset, &head, caps));
	S(handle_of(AT_FDCWD, "a", &h, &mount, 0));
	S(open_by_handle_at(fd, &h.h, O_RDONLY));
}
