// Keyrings: what is in them, who has which, and what is found in them.
#include "keys.h"

TEST(keyrings_special) {
	session();
	K(keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 0));
	K(keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 0));
	K(keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0));
	K(keyctl(KEYCTL_GET_KEYRING_ID, USER_RING, 0));
	K(keyctl(KEYCTL_GET_KEYRING_ID, USER_SESSION_RING, 0));
	long t = K(keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 1));
	long p = K(keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 1));
	long s = K(keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 1));
	P("%d %d %d\n", t == keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 0), p == keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 1), s == keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 1));
	describe(THREAD_RING);
	describe(PROCESS_RING);
	describe(SESSION_RING);
	describe(USER_RING);
	describe(USER_SESSION_RING);
	describe(t);
	P("%d\n", keyctl(KEYCTL_SEARCH, USER_SESSION_RING, (long)"keyring", (long)"_uid.0", 0) == keyctl(KEYCTL_GET_KEYRING_ID, USER_RING, 0));
}

TEST(keyrings_of_a_user) {
	session();
	REAP(CHILD(
		become(61010);
		long k = K(add("mine", "x", USER_RING));
		describe(USER_RING);
		describe(USER_SESSION_RING);
		list(USER_RING);
		list(USER_SESSION_RING);
		K(session());
		describe(k);
		K(request_key("user", "mine", NULL, 0));
		S(keyctl(KEYCTL_LINK, USER_RING, SESSION_RING));
		K(request_key("user", "mine", NULL, 0));
		S(keyctl(KEYCTL_SETPERM, USER_RING, 0x3f3f0000));
		describe(USER_RING);
		S(keyctl(KEYCTL_SETPERM, USER_RING, 0x1f3f0000)); // for it stays
	));
	REAP(CHILD(become(61010); session(); list(USER_RING); S(keyctl(KEYCTL_CLEAR, USER_RING)); list(USER_RING)));
}

TEST(keyrings_links) {
	session();
	long a = ring("a", SESSION_RING), b = ring("b", SESSION_RING), k = add("k", "1", a);
	S(keyctl(KEYCTL_LINK, k, b));
	S(keyctl(KEYCTL_LINK, k, b));
	list(b);
	long k2 = add("k", "2", SESSION_RING);
	S(keyctl(KEYCTL_LINK, k2, b)); // takes the place of the other
	list(b);
	read_key(keyctl(KEYCTL_SEARCH, b, (long)"user", (long)"k", 0));
	read_key(keyctl(KEYCTL_SEARCH, a, (long)"user", (long)"k", 0));
	S(keyctl(KEYCTL_UNLINK, k, b)); // which means what is there by its name
	list(b);
	S(keyctl(KEYCTL_LINK, k2, b));
	S(keyctl(KEYCTL_MOVE, k, b, a, 0));
	list(b);
	S(keyctl(KEYCTL_CLEAR, b));
	list(b);
	describe(k2);
	long t = K(keyctl(KEYCTL_LINK, THREAD_RING, b) == 0);
	list(b);
	S(keyctl(KEYCTL_CLEAR, SESSION_RING));
	settle();
	describe(a);
	describe(k);
	describe(k2);
	describe(b);
}

TEST(keyrings_cycles) {
	session();
	long a = ring("a", SESSION_RING), b = ring("b", a), c = ring("c", b);
	S(keyctl(KEYCTL_LINK, a, a));
	S(keyctl(KEYCTL_LINK, a, b));
	S(keyctl(KEYCTL_LINK, a, c));
	S(keyctl(KEYCTL_LINK, SESSION_RING, c));
	S(keyctl(KEYCTL_LINK, c, a));
	S(keyctl(KEYCTL_LINK, b, a));
	long s = ring("b", c); // of the same name, no cycle
	S(keyctl(KEYCTL_LINK, b, s));
	S(keyctl(KEYCTL_LINK, s, b));
	list(a);
	list(b);
	list(c);
}

TEST(keyrings_nesting) {
	session();
	long rings[12];
	char name[10];
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "r%d", i);
		rings[i] = ring(name, THREAD_RING); // where all can be possessed while they are made
		keyctl(KEYCTL_SETPERM, rings[i], 0x3f3f0000);
		S(keyctl(KEYCTL_LINK, rings[i], i ? rings[i - 1] : SESSION_RING));
		snprintf(name, sizeof name, "k%d", i);
		add(name, "x", rings[i]);
	}
	S(keyctl(KEYCTL_CLEAR, THREAD_RING));
	long other = ring("other", SESSION_RING);
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "k%d", i);
		P("%d %d\n", i, request_key("user", name, NULL, 0) > 0);
		describe(rings[i]);
	}
	keyctl(KEYCTL_CLEAR, other);
	for (int i = 0; i < 12; i++) {
		P("%d: ", i);
		S(keyctl(KEYCTL_LINK, rings[i], other));
	}
	list(other);
}

TEST(keyrings_search) {
	session();
	long a = ring("a", SESSION_RING), b = ring("b", a), dest = ring("dest", SESSION_RING), k = add("k", "x", b);
	P("%d\n", keyctl(KEYCTL_SEARCH, a, (long)"user", (long)"k", 0) == k);
	P("%d\n", keyctl(KEYCTL_SEARCH, a, (long)"keyring", (long)"a", 0) == a);
	P("%d\n", keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"keyring", (long)"b", dest) == b);
	list(dest);
	P("%d\n", keyctl(KEYCTL_SEARCH, a, (long)"user", (long)"k", dest) == k);
	list(dest);
	K(keyctl(KEYCTL_SEARCH, a, (long)"user", (long)"k", THREAD_RING));
	list(THREAD_RING);
	K(keyctl(KEYCTL_SEARCH, a, (long)"keyring", (long)"a", b));
	keyctl(KEYCTL_SETPERM, k, ALL << POS & ~(LINK << POS));
	K(keyctl(KEYCTL_SEARCH, a, (long)"user", (long)"k", dest));
	K(keyctl(KEYCTL_SEARCH, a, (long)"user", (long)"k", 0));
	K(request_key("user", "k", NULL, dest));
	keyctl(KEYCTL_SETPERM, b, ALL << POS & ~(SEARCH << POS));
	K(keyctl(KEYCTL_SEARCH, a, (long)"user", (long)"k", 0));
	K(keyctl(KEYCTL_SEARCH, b, (long)"user", (long)"k", 0));
	keyctl(KEYCTL_SETPERM, dest, ALL << POS & ~(SEARCH << POS));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"keyring", (long)"dest", 0));
}

TEST(keyrings_order) {
	session();
	long s = add("k", "session", SESSION_RING);
	P("%d\n", request_key("user", "k", NULL, 0) == s);
	long p = add("k", "process", PROCESS_RING);
	P("%d\n", request_key("user", "k", NULL, 0) == p);
	long t = add("k", "thread", THREAD_RING);
	P("%d\n", request_key("user", "k", NULL, 0) == t);
	S(keyctl(KEYCTL_REVOKE, t));
	P("%d\n", request_key("user", "k", NULL, 0) == p);
	S(keyctl(KEYCTL_SETPERM, p, 0));
	P("%d\n", request_key("user", "k", NULL, 0) == s);
	S(keyctl(KEYCTL_SETPERM, s, 0));
	K(request_key("user", "k", NULL, 0));
}

TEST(keyrings_request) {
	session();
	long k = add("k", "x", SESSION_RING);
	P("%d\n", request_key("user", "k", NULL, PROCESS_RING) == k);
	list(PROCESS_RING);
	P("%d\n", request_key("user", "k", "info", THREAD_RING) == k);
	list(THREAD_RING);
	long r = ring("r", SESSION_RING);
	K(request_key("user", "none", NULL, r));
	list(r);
	P("%d\n", request_key("keyring", "r", NULL, 0) == r);
	K(request_key("keyring", "r", NULL, r));
	K(request_key("keyring", "none", "info", 0));
	K(request_key("logon", "none", NULL, 0));
}

// asks shows that nobody makes a key: ENOENT where there is no
// /sbin/request-key, as in containers, ENOKEY where it knows of none.
static void asks(const char *type, const char *desc, const char *info, int ring) {
	long k = request_key(type, desc, info, ring);
	P("%s %s: %d\n", type, desc, k == -1 && (errno == ENOENT || errno == ENOKEY));
}

// There is nobody to ask for a key: it is told to be none for a minute.
TEST(keyrings_request_callout) {
	session();
	long r = ring("r", SESSION_RING);
	asks("user", "wanted", "info", r);
	list(r);
	K(request_key("user", "wanted", "info", r));
	K(request_key("user", "wanted", NULL, 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"wanted", 0));
	int negative = 0;
	keyctl(KEYCTL_READ, r, (long)&negative, 4);
	describe(negative);
	read_key(negative);
	S(keyctl(KEYCTL_LINK, negative, SESSION_RING));
	S(keyctl(KEYCTL_UPDATE, negative, (long)"x", 1));
	S(keyctl(KEYCTL_SET_TIMEOUT, negative, 100));
	S(keyctl(KEYCTL_REVOKE, negative));
	P("made %d\n", add("wanted", "now", r) == negative);
	read_key(negative);
	K(request_key("user", "wanted", "info", 0));
	asks("user", "other", "", 0);
	list(SESSION_RING);
	K(request_key("user", "", "info", r));
	K(request_key("logon", "colonless", "info", r));
	asks("logon", "a:b", "info", r);
	list(r);
}

TEST(keyrings_request_default) {
	session();
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE));
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_SESSION_KEYRING));
	asks("user", "one", "info", 0);
	list(SESSION_RING);
	K(keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 0));
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_THREAD_KEYRING));
	K(keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 0));
	asks("user", "two", "info", 0);
	list(THREAD_RING);
	K(keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 0));
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_PROCESS_KEYRING));
	K(keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 0));
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_PROCESS_KEYRING));
	asks("user", "three", "info", 0);
	list(PROCESS_RING);
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_GROUP_KEYRING));
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, 8));
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, -2));
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_REQUESTOR_KEYRING));
	REAP(CHILD(S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_USER_KEYRING)); S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_USER_SESSION_KEYRING)); S(keyctl(KEYCTL_SET_REQKEY_KEYRING, -1))));
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_DEFAULT));
	asks("user", "four", "info", 0);
	list(THREAD_RING);
}

TEST(keyrings_join) {
	char name[40];
	snprintf(name, sizeof name, "test-%d", getpid());
	long s = K(session());
	P("%d\n", keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0) == s);
	describe(s);
	P("another %d\n", session() != s);
	settle();
	describe(s);
	long n = K(keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name));
	char b[100] = "";
	keyctl(KEYCTL_DESCRIBE, n, (long)b, 100);
	P("%.21s %d\n", b, !strcmp(b + 21, name));
	add("k", "x", SESSION_RING);
	REAP(CHILD(session(); P("other %d\n", keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name) != n); list(SESSION_RING)));
	S(keyctl(KEYCTL_SETPERM, n, 0x3f3f0000));
	S(keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name)); // it is the session's already
	REAP(CHILD(session(); P("same %d\n", keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name) == n); list(SESSION_RING)));
	REAP(CHILD(become(1000); session(); P("other %d\n", keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name) != n); list(SESSION_RING)));
	S(keyctl(KEYCTL_SETPERM, n, 0x3f3f0000 | SEARCH));
	REAP(CHILD(become(1000); session(); P("same %d\n", keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name) == n); list(SESSION_RING)));
	S(keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)".name"));
	S(keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)""));
	S(keyctl(KEYCTL_JOIN_SESSION_KEYRING, 8));
	P("%d\n", keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0) == n);
	S(keyctl(KEYCTL_REVOKE, n));
	P("another %d\n", keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name) != n);
	strcat(name, "+");
	long r = ring(name, SESSION_RING); // no session's yet
	S(keyctl(KEYCTL_SETPERM, r, 0x3f3f0000));
	P("same %d\n", keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)name) == r);
	keyctl(KEYCTL_GET_KEYRING_ID, USER_RING, 1);
	S(keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)"_uid.0") > 0);
	P("%d\n", keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0) == keyctl(KEYCTL_GET_KEYRING_ID, USER_RING, 0));
}

TEST(keyrings_move) {
	session();
	long a = ring("a", SESSION_RING), b = ring("b", SESSION_RING), k = add("k", "x", a);
	S(keyctl(KEYCTL_MOVE, k, a, b, 0));
	list(a);
	list(b);
	S(keyctl(KEYCTL_MOVE, k, a, b, 0));
	S(keyctl(KEYCTL_MOVE, k, b, b, 0));
	S(keyctl(KEYCTL_MOVE, k, a, a, 0));
	add("k", "other", a);
	S(keyctl(KEYCTL_MOVE, k, b, a, KEYCTL_MOVE_EXCL));
	list(b);
	S(keyctl(KEYCTL_MOVE, k, b, a, 0));
	list(b);
	read_key(keyctl(KEYCTL_SEARCH, a, (long)"user", (long)"k", 0));
	S(keyctl(KEYCTL_MOVE, b, SESSION_RING, a, KEYCTL_MOVE_EXCL));
	S(keyctl(KEYCTL_MOVE, a, SESSION_RING, b, 0));
	list(SESSION_RING);
	S(keyctl(KEYCTL_MOVE, k, a, b, 2));
	S(keyctl(KEYCTL_MOVE, 5, a, b, 0));
	S(keyctl(KEYCTL_MOVE, k, k, b, 0));
	S(keyctl(KEYCTL_MOVE, k, a, k, 0));
	S(keyctl(KEYCTL_MOVE, k, 5, b, 0));
	S(keyctl(KEYCTL_MOVE, k, a, 5, 0));
	S(keyctl(KEYCTL_MOVE, k, a, THREAD_RING, 0));
	list(THREAD_RING);
}

TEST(keyrings_restrict) {
	session();
	long r = ring("r", SESSION_RING), k = add("k", "x", r), o = add("o", "x", SESSION_RING);
	S(keyctl(KEYCTL_RESTRICT_KEYRING, k, 0, 0));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, 5, 0, 0));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, 0, (long)"x"));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, (long)"user", 0));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, (long)"user", (long)"x"));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, (long)"nothing", (long)"x"));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, (long)".x", (long)"x"));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, 8, (long)"x"));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, (long)"user", 8));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, 0, 0));
	S(keyctl(KEYCTL_RESTRICT_KEYRING, r, 0, 0));
	K(add("new", "x", r));
	K(add("k", "y", r));
	S(keyctl(KEYCTL_LINK, o, r));
	S(keyctl(KEYCTL_LINK, k, r));
	S(keyctl(KEYCTL_MOVE, o, SESSION_RING, r, 0));
	K(request_key("user", "o", NULL, r));
	asks("user", "none", "info", r);
	S(keyctl(KEYCTL_UPDATE, k, (long)"z", 1));
	list(r);
	S(keyctl(KEYCTL_UNLINK, k, r));
	S(keyctl(KEYCTL_CLEAR, r));
	list(SESSION_RING);
}

TEST(keyrings_persistent) {
	session();
	container();
	long r = ring("r", SESSION_RING);
	REAP(CHILD(
		become(61020);
		session();
		long p = K(keyctl(KEYCTL_GET_PERSISTENT, -1, SESSION_RING));
		describe(p);
		list(SESSION_RING);
		P("%d\n", keyctl(KEYCTL_GET_PERSISTENT, 61020, SESSION_RING) == p);
		K(add("kept", "x", p));
		K(keyctl(KEYCTL_GET_PERSISTENT, 0, SESSION_RING));
		K(keyctl(KEYCTL_GET_PERSISTENT, -1, 0));
		K(keyctl(KEYCTL_GET_PERSISTENT, -1, 5));
		K(keyctl(KEYCTL_GET_PERSISTENT, 0, 0));
		S(keyctl(KEYCTL_SETPERM, p, 0x3f3f0000));
		session();
		describe(p);
		list(p);
	));
	long p = K(keyctl(KEYCTL_GET_PERSISTENT, 61020, r));
	describe(p);
	list(p);
	K(keyctl(KEYCTL_GET_PERSISTENT, 61020, add("k", "x", SESSION_RING)));
	S(keyctl(KEYCTL_CLEAR, p));
}

static void *in_thread(void *what) {
	P("%s\n", (char *)what);
	K(keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 0));
	K(keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 0));
	list(THREAD_RING);
	list(PROCESS_RING);
	list(SESSION_RING);
	add("thread's", "x", THREAD_RING);
	add("process's", "x", PROCESS_RING);
	list(THREAD_RING);
	list(PROCESS_RING);
	return NULL;
}
static void *joins(void *unused) { session(); add("new", "x", SESSION_RING); list(SESSION_RING); return NULL; }
static void run(void *(*f)(void *), char *what) {
	pthread_t t;
	pthread_create(&t, NULL, f, what);
	pthread_join(t, NULL);
}

TEST(keyrings_of_threads) {
	session();
	add("s", "x", SESSION_RING);
	run(in_thread, "without");
	list(THREAD_RING);
	list(PROCESS_RING);
	add("main's", "x", PROCESS_RING);
	run(in_thread, "with the process's");
	list(PROCESS_RING);
	add("t", "x", THREAD_RING);
	run(in_thread, "with both");
	list(THREAD_RING);
	list(PROCESS_RING);
	run(joins, NULL);
	list(SESSION_RING);
}

static void show_rings(void) {
	list(THREAD_RING);
	list(PROCESS_RING);
	list(SESSION_RING);
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, -1));
}

// What the program "keyrings" shows.
void show_keyrings(void) { show_rings(); }

TEST(keyrings_after_fork_and_exec) {
	session();
	long t = add("t", "x", THREAD_RING), p = add("p", "x", PROCESS_RING), s = add("s", "x", SESSION_RING);
	S(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_PROCESS_KEYRING));
	fflush(stdout);
	REAP(CHILD(show_rings(); describe(t); describe(p); describe(s); add("child's", "x", SESSION_RING); add("own", "x", PROCESS_RING)));
	show_rings();
	pid_t pid = vfork();
	if (pid == 0) {
		execl(SELF, "syscalls", "keyrings", NULL);
		_exit(1);
	}
	REAP(pid);
	show_rings();
	execl(SELF, "syscalls", "keyrings", NULL);
}

static long of_thread;
static void *in_thread_alone(void *unused) {
	of_thread = add("of thread", "x", THREAD_RING);
	describe(of_thread);
	return NULL;
}

TEST(keyrings_after_exit) {
	session();
	int fd[2];
	pipe(fd);
	REAP(CHILD(long k = add("k", "x", PROCESS_RING), r = keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 0); keyctl(KEYCTL_SETPERM, k, 0x3f3f0000); write(fd[1], &k, 8); write(fd[1], &r, 8); describe(k)));
	long k, r;
	read(fd[0], &k, 8);
	read(fd[0], &r, 8);
	settle();
	describe(k);
	describe(r);
	REAP(CHILD(k = add("k", "x", PROCESS_RING); S(keyctl(KEYCTL_LINK, k, SESSION_RING))));
	list(SESSION_RING);
	run(in_thread_alone, NULL);
	settle();
	describe(of_thread);
}

TEST(keyrings_to_parent) {
	session();
	long s = keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0);
	add("parent's", "x", SESSION_RING);
	REAP(CHILD(S(keyctl(KEYCTL_SESSION_TO_PARENT))));
	P("same %d\n", keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0) == s);
	REAP(CHILD(session(); add("child's", "x", SESSION_RING); S(keyctl(KEYCTL_SESSION_TO_PARENT))));
	list(SESSION_RING);
	REAP(CHILD(session(); setresuid(1000, 1000, 1000); S(keyctl(KEYCTL_SESSION_TO_PARENT))));
	REAP(CHILD(setresuid(1000, 1000, 1000); session(); S(keyctl(KEYCTL_SESSION_TO_PARENT))));
	REAP(CHILD(session(); keyctl(KEYCTL_SETPERM, SESSION_RING, 0x0f1f0000); S(keyctl(KEYCTL_SESSION_TO_PARENT))));
	REAP(CHILD(session(); keyctl(KEYCTL_SETPERM, SESSION_RING, 0x0f0f0000); S(keyctl(KEYCTL_SESSION_TO_PARENT))));
	list(SESSION_RING);
	void *f(void *x) { REAP(CHILD(session(); S(keyctl(KEYCTL_SESSION_TO_PARENT)))); return NULL; }
	run(f, NULL);
}

TEST(keyrings_possession_by_link) {
	session();
	long k = add("k", "x", SESSION_RING);
	keyctl(KEYCTL_SETPERM, k, ALL << POS | LINK << USR);
	long r = ring("r", SESSION_RING);
	S(keyctl(KEYCTL_LINK, k, r));
	S(keyctl(KEYCTL_UNLINK, k, SESSION_RING));
	read_key(k);
	keyctl(KEYCTL_SETPERM, r, (ALL & ~SEARCH) << POS | ALL << USR);
	read_key(k);
	keyctl(KEYCTL_SETPERM, r, (ALL & ~SEARCH) << POS | (ALL & ~SEARCH) << USR);
	read_key(k);
	S(keyctl(KEYCTL_UNLINK, r, SESSION_RING));
	settle();
	read_key(k);
}

TEST(keyrings_many_processes) {
	session();
	long r = ring("r", SESSION_RING);
	pid_t pids[6];
	for (int i = 0; i < 6; i++)
		pids[i] = CHILD(
			char name[20];
			for (int n = 0; n < 100; n++) {
				snprintf(name, sizeof name, "k%d-%d", i, n);
				long k = add(name, name, r);
				add("shared", name, r);
				keyctl(KEYCTL_UPDATE, k, (long)name, 2);
				if (n % 10) keyctl(KEYCTL_UNLINK, k, r);
			});
	for (int i = 0; i < 6; i++) waitpid(pids[i], NULL, 0);
	S(keyctl(KEYCTL_READ, r, 0, 0));
	S(keyctl(KEYCTL_CLEAR, r));
	list(r);
}
