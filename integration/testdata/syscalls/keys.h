// What tests of keys share. What is printed of a serial number is whether it
// is one.
#include "test.h"
#include <linux/capability.h>
#include <linux/keyctl.h>

#define THREAD_RING KEY_SPEC_THREAD_KEYRING
#define PROCESS_RING KEY_SPEC_PROCESS_KEYRING
#define SESSION_RING KEY_SPEC_SESSION_KEYRING
#define USER_RING KEY_SPEC_USER_KEYRING
#define USER_SESSION_RING KEY_SPEC_USER_SESSION_KEYRING

enum { POS = 24, USR = 16, GRP = 8, OTH = 0, VIEW = 1, READ = 2, WRITE = 4, SEARCH = 8, LINK = 16, SETATTR = 32, ALL = 63 };

static inline long add_key(const char *type, const char *desc, const void *data, size_t n, int ring) {
	return syscall(SYS_add_key, type, desc, data, n, ring);
}
static inline long request_key(const char *type, const char *desc, const char *callout, int ring) {
	return syscall(SYS_request_key, type, desc, callout, ring);
}
#define keyctl(op, ...) keyctl_(op, (long[5]){__VA_ARGS__})
static inline long keyctl_(int op, long a[5]) {
	return syscall(SYS_keyctl, op, a[0], a[1], a[2], a[3], a[4]);
}

// K shows whether a call gave a key, and is it.
#define K(call) ({ errno = 0; long k_ = (call); if (k_ > 0) P("%s: a key\n", #call); else show(#call, k_); k_; })

static inline long add(const char *desc, const char *data, int ring) { return add_key("user", desc, data, strlen(data), ring); }
static inline long ring(const char *desc, int in) { return add_key("keyring", desc, NULL, 0, in); }
// session begins a new session keyring.
static inline long session(void) { return keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0); }

// read_key shows a payload.
static inline void read_key(long key) {
	char b[64];
	long n = keyctl(KEYCTL_READ, key, (long)b, sizeof b);
	if (n < 0) P("read: %s\n", strerrorname_np(errno));
	else P("read: %ld %.*s\n", n, (int)(n < 64 ? n : 64), b);
}

// describe shows a description.
static inline void describe(long key) {
	char b[5000] = "";
	long n = keyctl(KEYCTL_DESCRIBE, key, (long)b, sizeof b);
	if (n < 0) P("describe: %s\n", strerrorname_np(errno));
	else P("describe: %ld %s\n", n, b);
}

// list shows the descriptions of what a keyring has, sorted.
static inline int by_text(const void *a, const void *b) { return strcmp(a, b); }
static inline void list(long ring) {
	static char text[64][200];
	int keys[64];
	long n = keyctl(KEYCTL_READ, ring, (long)keys, sizeof keys);
	if (n < 0) { P("list: %s\n", strerrorname_np(errno)); return; }
	n /= sizeof *keys;
	for (int i = 0; i < n; i++) {
		memset(text[i], 0, sizeof text[i]);
		if (keyctl(KEYCTL_DESCRIBE, keys[i], (long)text[i], sizeof text[i] - 1) < 0)
			strcpy(text[i], strerrorname_np(errno));
	}
	qsort(text, n, sizeof *text, by_text);
	P("list of %ld:", n);
	for (int i = 0; i < n; i++) P(" %s", text[i]);
	P("\n");
}

// settle waits until Linux has freed keys that nothing leads to any more, and
// counts them no longer, which it does some time later.
static inline void settle(void) { nap(400); }

// container leaves root the capabilities that it has in a container.
static inline void container(void) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{0xa80425fb, 0xa80425fb, 0}};
	if (syscall(SYS_capset, &h, d)) P("capset: %m\n");
}

static inline void become(int uid) {
	setgroups(0, NULL);
	setresgid(uid, uid, uid);
	setresuid(uid, uid, uid);
}
