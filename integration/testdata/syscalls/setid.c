// What a file gives to who executes it: set-id bits and capabilities. Both sides
// begin with the capabilities of a container's root.
#include "test.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/xattr.h>

#define CONTAINER 0xa80425fbu
#define B(cap) (1u << (cap))

static int set(unsigned inh, unsigned prm, unsigned eff) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{eff, prm, inh}};
	return syscall(SYS_capset, &h, d);
}

// What the program "privileges" shows.
void show_privileges(void) {
	uid_t r, e, s;
	gid_t rg, eg, sg;
	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	syscall(SYS_capget, &h, d);
	int death = -1;
	prctl(PR_GET_PDEATHSIG, &death);
	P("uid %d %d %d, gid %d %d %d, prm %x eff %x inh %x amb %d\n", r, e, s, rg, eg, sg, d[0].permitted, d[0].effective, d[0].inheritable, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
	P("aux %d %d, secure %d, dumpable %d, death %d, personality %x\n", (int)getauxval(AT_EUID), (int)getauxval(AT_EGID), (int)getauxval(AT_SECURE), prctl(PR_GET_DUMPABLE), death, personality(-1));
}

static char file[64];

// copy makes file, this program with an owner and a mode, for the test that calls it.
#define copy(...) copy_for(__func__, __VA_ARGS__)
static void copy_for(const char *test, uid_t u, gid_t g, mode_t mode) {
	snprintf(file, sizeof file, "/tmp/%s", test);
	char buf[1 << 16];
	ssize_t n;
	int in = open(SELF, O_RDONLY), out = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	while ((n = read(in, buf, sizeof buf)) > 0)
		write(out, buf, n);
	fchown(out, u, g);
	fchmod(out, mode);
	close(in);
	close(out);
}

static void container(void) {
	for (int c = 0; c <= CAP_LAST_CAP; c++)
		if (c > 31 || !(CONTAINER >> c & 1))
			prctl(PR_CAPBSET_DROP, c);
	set(0, CONTAINER, CONTAINER);
	setgroups(0, NULL);
}

static void user(void) {
	setresgid(1000, 1000, 1000);
	setresuid(1000, 1000, 1000);
}

static void run(void) {
	execl(file, "syscalls", "privileges", NULL);
	P("exec: %m\n");
}

#define AS(...) do { pid_t as_ = CHILD(__VA_ARGS__; run()); REAP(as_); } while (0)

TEST(setid_user) {
	container();
	copy(0, 0, 04755);
	AS(user());
	AS(user(); prctl(PR_SET_PDEATHSIG, SIGUSR1); personality(ADDR_NO_RANDOMIZE));
	AS(prctl(PR_SET_PDEATHSIG, SIGUSR1); personality(ADDR_NO_RANDOMIZE));
	copy(1001, 1002, 04755);
	AS(user());
	AS();
	unlink(file);
}

TEST(setid_group) {
	container();
	copy(0, 42, 02755);
	AS(user());
	AS();
	AS(setgroups(1, (gid_t[]){42}); user());
	copy(0, 42, 02745); // without the right to execute it means nothing
	AS(setgroups(1, (gid_t[]){42}); user());
	copy(0, 42, 06755);
	AS(user());
	unlink(file);
}

TEST(setid_no_new_privs) {
	container();
	copy(0, 42, 06755);
	AS(user(); prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	unlink(file);
}

TEST(setid_other_effective_id) {
	container();
	copy(0, 0, 0755);
	AS(setresuid(1000, 0, 0));
	AS(setresuid(0, 1000, 0));
	AS(setresgid(1000, 5, 5));
	copy(1000, 1000, 04755);
	AS(setresuid(1000, 0, 0));
	unlink(file);
}

TEST(setid_secure_bits) {
	container();
	copy(0, 0, 04755);
	AS(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT); user());
	unlink(file);
}

TEST(setid_ambient) {
	container();
	copy(1001, 1001, 04755);
	AS(set(B(CAP_KILL), CONTAINER, CONTAINER); prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0); prctl(PR_SET_KEEPCAPS, 1); user());
	copy(1001, 1001, 0755);
	AS(set(B(CAP_KILL), CONTAINER, CONTAINER); prctl(PR_SET_KEEPCAPS, 1); user(); set(B(CAP_KILL), B(CAP_KILL), 0); prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	unlink(file);
}

// One that an unprivileged parent traces gains nothing.
TEST(setid_traced) {
	container();
	copy(0, 42, 06755);
	pid_t tracer = CHILD(
		user();
		pid_t pid = CHILD(ptrace(PTRACE_TRACEME, 0, 0, 0); run());
		int st;
		while (waitpid(pid, &st, 0) == pid && WIFSTOPPED(st))
			ptrace(PTRACE_CONT, pid, 0, 0);
		show_status(st));
	REAP(tracer);
	unlink(file);
}

TEST(setid_chown_clears) {
	container();
	copy(0, 0, 06755);
	struct stat st;
	S(chown(file, 5, 5));
	stat(file, &st);
	P("%o\n", st.st_mode);
	AS(user());
	unlink(file);
}

static void file_caps(unsigned magic, unsigned prm, unsigned inh, size_t size) {
	struct vfs_ns_cap_data c = {.magic_etc = magic, .data = {{prm, inh}}};
	S(setxattr(file, "security.capability", &c, size, 0));
}

TEST(file_caps) {
	container();
	copy(0, 0, 0755);
	file_caps(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE, B(CAP_NET_RAW), 0, XATTR_CAPS_SZ_2);
	AS(user());
	AS();
	AS(user(); prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	file_caps(VFS_CAP_REVISION_2, B(CAP_NET_RAW) | B(CAP_SYS_ADMIN), 0, XATTR_CAPS_SZ_2);
	AS(user());
	AS(set(B(CAP_KILL), CONTAINER, CONTAINER); user());
	file_caps(VFS_CAP_REVISION_2, 0, B(CAP_KILL), XATTR_CAPS_SZ_2);
	AS(set(B(CAP_KILL), CONTAINER, CONTAINER); user());
	unlink(file);
}

TEST(file_caps_missing) {
	container();
	copy(0, 0, 0755);
	file_caps(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE, B(CAP_NET_RAW) | B(CAP_SYS_ADMIN), 0, XATTR_CAPS_SZ_2);
	AS(user());
	unlink(file);
}

TEST(file_caps_of_set_id) {
	container();
	copy(0, 0, 04755);
	file_caps(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE, B(CAP_NET_RAW), 0, XATTR_CAPS_SZ_2);
	AS(user());
	unlink(file);
}
