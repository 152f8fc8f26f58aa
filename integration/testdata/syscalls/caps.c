// Capabilities: what execve leaves of them, ambient ones, and secure bits.
// Both sides begin with the capabilities of a container's root.
#include "test.h"
#include <linux/capability.h>
#include <linux/securebits.h>

#define CONTAINER 0xa80425fbu
#define B(cap) (1ull << (cap))

static unsigned long long field(const char *name) {
	char line[256];
	unsigned long long v = -1;
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, name, strlen(name)))
			v = strtoull(strchr(line, ':') + 1, NULL, 16);
	fclose(f);
	return v;
}

static void caps(const char *when) {
	P("%s: inh %llx prm %llx eff %llx amb %llx, secure bits %x\n", when, field("CapInh"), field("CapPrm") & CONTAINER, field("CapEff") & CONTAINER, field("CapAmb"), prctl(PR_GET_SECUREBITS));
}

static int set(unsigned inh, unsigned prm, unsigned eff) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{eff, prm, inh}};
	return syscall(SYS_capset, &h, d);
}

static void container(void) {
	for (int c = 0; c <= CAP_LAST_CAP; c++)
		if (!(CONTAINER >> c & 1) || c > 31)
			prctl(PR_CAPBSET_DROP, c);
	if (set(0, CONTAINER, CONTAINER) < 0)
		P("no capabilities\n");
	caps("first");
}

static void again(void) {
	fflush(stdout);
	execl(SELF, "syscalls", "caps", NULL);
	P("exec: %m\n");
}

// What the program "caps" shows.
void show_caps(void) { caps("executed"); }

TEST(caps_exec_root) { container(); set(0, B(CAP_CHOWN), 0); caps("fewer"); again(); }

TEST(caps_exec_root_inheritable) {
	container();
	S(set(B(CAP_CHOWN), CONTAINER, CONTAINER));
	for (int c = 0; c <= 31; c++)
		if (c != CAP_SETPCAP)
			prctl(PR_CAPBSET_DROP, c);
	caps("bounded");
	again();
}

TEST(caps_exec_user) {
	container();
	S(prctl(PR_SET_KEEPCAPS, 1));
	S(setresuid(1000, 1000, 1000));
	caps("user");
	S(set(B(CAP_CHOWN), B(CAP_CHOWN) | B(CAP_KILL), B(CAP_CHOWN)));
	caps("some");
	again();
}

TEST(caps_ambient) {
	container();
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	S(prctl(PR_SET_KEEPCAPS, 1));
	S(setresuid(1000, 1000, 1000));
	S(set(B(CAP_CHOWN) | B(CAP_KILL), B(CAP_CHOWN) | B(CAP_KILL), 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETUID, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_KILL, 0, 0));
	caps("raised");
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 99, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 1, 0));
	S(prctl(PR_CAP_AMBIENT, 9, CAP_KILL, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
	again();
}

TEST(caps_ambient_lost) {
	container();
	S(set(B(CAP_CHOWN) | B(CAP_KILL) | B(CAP_FOWNER), CONTAINER, CONTAINER));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 0, 0));
	caps("raised");
	S(set(B(CAP_CHOWN) | B(CAP_KILL), CONTAINER, CONTAINER));
	caps("not inheritable");
	pid_t pid = CHILD(S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)); caps("cleared"));
	REAP(pid);
	S(prctl(PR_SET_KEEPCAPS, 1));
	S(setresuid(1000, 1000, 1000));
	caps("user");
}

TEST(caps_secure_bits) {
	container();
	S(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS));
	S(prctl(PR_GET_KEEPCAPS));
	S(prctl(PR_SET_SECUREBITS, 1 << 20));
	S(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP));
	pid_t pid = CHILD(setresuid(1000, 1000, 1000); caps("without fixup"); again());
	REAP(pid);
	S(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT));
	pid = CHILD(again());
	REAP(pid);
	S(prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE));
	S(set(B(CAP_CHOWN), CONTAINER, CONTAINER));
	S(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	S(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED));
	S(prctl(PR_SET_KEEPCAPS, 1));
	S(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_KEEP_CAPS));
	S(prctl(PR_SET_SECUREBITS, 0));
	S(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT));
	S(set(0, 0, 0));
	S(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED));
}

TEST(caps_no_new_privs) {
	container();
	S(set(0, B(CAP_CHOWN), B(CAP_CHOWN)));
	S(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	again();
}
