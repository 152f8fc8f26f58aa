// Keys: their types, payloads, descriptions, permissions and ends.
#include "keys.h"

TEST(keys_add_and_read) {
	session();
	long k = K(add("color", "blue", SESSION_RING));
	read_key(k);
	describe(k);
	P("same %d\n", add("color", "red", SESSION_RING) == k);
	read_key(k);
	P("other type %d\n", add_key("logon", "color:", "x", 1, SESSION_RING) != k);
	list(SESSION_RING);
}

TEST(keys_read_sizes) {
	session();
	long k = add("k", "0123456789", SESSION_RING);
	char b[16] = "................";
	S(keyctl(KEYCTL_READ, k, 0, 0));
	S(keyctl(KEYCTL_READ, k, (long)b, 0));
	S(keyctl(KEYCTL_READ, k, 0, 16));
	S(keyctl(KEYCTL_READ, k, (long)b, 9));
	P("%.16s\n", b);
	S(keyctl(KEYCTL_READ, k, (long)b, 10));
	P("%.16s\n", b);
	S(keyctl(KEYCTL_READ, k, 8, 16));
	S(keyctl(KEYCTL_READ, k, (long)b, -1));
	long r = ring("r", SESSION_RING);
	int keys[4];
	S(keyctl(KEYCTL_READ, r, 0, 0));
	for (int i = 0; i < 3; i++) add((char[]){'a' + i, 0}, "x", r);
	S(keyctl(KEYCTL_READ, r, 0, 0));
	memset(keys, 0, sizeof keys);
	S(keyctl(KEYCTL_READ, r, (long)keys, 8));
	P("%d\n", keys[0] != 0);
	S(keyctl(KEYCTL_READ, r, (long)keys, 7));
	S(keyctl(KEYCTL_READ, r, (long)keys, 13));
	S(keyctl(KEYCTL_READ, r, (long)keys, 12));
	P("%d %d\n", keys[2] != 0, keys[3] != 0);
	S(keyctl(KEYCTL_READ, r, 8, 12));
}

TEST(keys_describe_sizes) {
	session();
	long k = add("k", "x", SESSION_RING);
	char b[64] = "......................................";
	S(keyctl(KEYCTL_DESCRIBE, k, 0, 0));
	S(keyctl(KEYCTL_DESCRIBE, k, (long)b, 5));
	P("%.20s\n", b);
	long n = keyctl(KEYCTL_DESCRIBE, k, (long)b, 64);
	P("%d %s\n", n == (long)strlen(b) + 1, b);
	S(keyctl(KEYCTL_DESCRIBE, k, 8, 64));
	S(keyctl(KEYCTL_DESCRIBE, k, 8, 5));
	S(keyctl(KEYCTL_GET_SECURITY, k, 0, 0));
	strcpy(b, "xx");
	S(keyctl(KEYCTL_GET_SECURITY, k, (long)b, 2));
	P("%d %c\n", b[0], b[1]);
	S(keyctl(KEYCTL_GET_SECURITY, k, 8, 2));
	S(keyctl(KEYCTL_GET_SECURITY, 5, (long)b, 2));
}

TEST(keys_types) {
	static char big[1 << 20];
	session();
	K(add_key("user", "empty", "", 0, SESSION_RING));
	K(add_key("user", "no data", NULL, 5, SESSION_RING));
	K(add_key("user", "large", big, 32767, SESSION_RING));
	K(add_key("user", "too large", big, 32768, SESSION_RING));
	K(add_key("user", "too large", big, (1 << 20) - 1, SESSION_RING));
	K(add_key("user", "too large", big, 1 << 20, SESSION_RING));
	K(add_key("user", "too large", big, -1, SESSION_RING));
	long l = K(add_key("logon", "service:name", "secret", 6, SESSION_RING));
	describe(l);
	read_key(l);
	S(keyctl(KEYCTL_UPDATE, l, (long)"new", 3));
	K(add_key("logon", "name", "secret", 6, SESSION_RING));
	K(add_key("logon", ":name", "secret", 6, SESSION_RING));
	K(add_key("logon", "a:", "", 0, SESSION_RING));
	long r = K(add_key("keyring", "ring", NULL, 0, SESSION_RING));
	describe(r);
	P("another %d\n", add_key("keyring", "ring", NULL, 0, SESSION_RING) != r);
	K(add_key("keyring", "ring", "x", 1, SESSION_RING));
	K(add_key("keyring", "ring", NULL, 1, SESSION_RING));
	K(add_key("keyring", ".ring", NULL, 0, SESSION_RING));
	K(add_key("user", ".dot", "x", 1, SESSION_RING));
	K(add_key("nothing", "x", "x", 1, SESSION_RING));
	K(add_key("", "x", "x", 1, SESSION_RING));
	K(add_key(".request_key_auth", "x", "x", 1, SESSION_RING));
	K(add_key("a2345678901234567890123456789012", "x", "x", 1, SESSION_RING));
	K(add_key("a234567890123456789012345678901", "x", "x", 1, SESSION_RING));
	K(add_key(NULL, "x", "x", 1, SESSION_RING));
	K(add_key("user", NULL, "x", 1, SESSION_RING));
	K(add_key("user", "", "x", 1, SESSION_RING));
	K(add_key("keyring", "", NULL, 0, SESSION_RING));
	K(add_key("user", (char *)8, "x", 1, SESSION_RING));
	K(add_key("user", "x", (char *)8, 1, SESSION_RING));
	list(SESSION_RING);
}

TEST(keys_long_description) {
	static char desc[5000];
	session();
	memset(desc, 'd', sizeof desc - 1);
	K(add(desc, "x", SESSION_RING));
	desc[4096] = 0;
	K(add(desc, "x", SESSION_RING));
	desc[4095] = 0;
	long k = K(add(desc, "x", SESSION_RING));
	S(keyctl(KEYCTL_DESCRIBE, k, 0, 0));
	P("%d\n", request_key("user", desc, NULL, 0) == k);
	P("%d\n", keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)desc) == k);
	desc[4095] = 'd';
	K(request_key("user", desc, NULL, 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)desc));
	S(keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)desc));
}

TEST(keys_bad_rings) {
	session();
	long k = add("k", "x", SESSION_RING);
	K(add("a", "x", k));
	K(add("a", "x", 0));
	K(add("a", "x", 5));
	K(add("a", "x", -6));
	K(add("a", "x", -7));
	K(add("a", "x", -8));
	K(add("a", "x", -9));
	K(add("a", "x", INT_MIN));
	K(add("a", "x", INT_MAX));
}

TEST(keys_update) {
	static char big[5000];
	session();
	long k = add("k", "first", SESSION_RING), r = ring("r", SESSION_RING);
	S(keyctl(KEYCTL_UPDATE, k, (long)"second", 6));
	read_key(k);
	S(keyctl(KEYCTL_UPDATE, k, (long)"", 0));
	S(keyctl(KEYCTL_UPDATE, k, 0, 3));
	S(keyctl(KEYCTL_UPDATE, k, 8, 3));
	S(keyctl(KEYCTL_UPDATE, k, (long)big, 4096));
	S(keyctl(KEYCTL_UPDATE, k, (long)big, 4097));
	S(keyctl(KEYCTL_UPDATE, r, (long)"x", 1));
	S(keyctl(KEYCTL_UPDATE, r, 0, 0));
	S(keyctl(KEYCTL_UPDATE, 0, (long)"x", 1));
	S(keyctl(KEYCTL_UPDATE, 5, (long)"x", 1));
	S(keyctl(KEYCTL_READ, k, 0, 0));
}

TEST(keys_revoke) {
	session();
	long k = add("k", "x", SESSION_RING);
	S(keyctl(KEYCTL_REVOKE, k));
	describe(k);
	read_key(k);
	S(keyctl(KEYCTL_REVOKE, k));
	S(keyctl(KEYCTL_UPDATE, k, (long)"y", 1));
	S(keyctl(KEYCTL_SETPERM, k, 0x3f3f0000));
	S(keyctl(KEYCTL_SET_TIMEOUT, k, 9));
	S(keyctl(KEYCTL_CHOWN, k, 0, -1));
	S(keyctl(KEYCTL_LINK, k, SESSION_RING));
	S(keyctl(KEYCTL_INVALIDATE, k));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"k", 0));
	K(request_key("user", "k", NULL, 0));
	K(request_key("user", "k", "info", 0));
	P("another %d\n", add("k", "z", SESSION_RING) != k);
	list(SESSION_RING);
}

TEST(keys_revoked_ring) {
	session();
	long r = ring("r", SESSION_RING), k = add("k", "x", r);
	S(keyctl(KEYCTL_REVOKE, r));
	settle();
	describe(k);
	K(add("a", "x", r));
	list(r);
	K(keyctl(KEYCTL_SEARCH, r, (long)"user", (long)"k", 0));
	K(request_key("user", "k", NULL, 0));
	S(keyctl(KEYCTL_CLEAR, r));
	S(keyctl(KEYCTL_UNLINK, r, SESSION_RING));
	settle();
	describe(r);
}

TEST(keys_revoked_session) {
	session();
	long s = keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0);
	S(keyctl(KEYCTL_REVOKE, SESSION_RING));
	K(keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0));
	K(keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 1));
	K(add("a", "x", SESSION_RING));
	K(request_key("user", "a", NULL, 0));
	describe(s);
	K(session());
	settle();
	describe(s);
}

TEST(keys_invalidate) {
	session();
	long k = add("k", "x", SESSION_RING);
	S(keyctl(KEYCTL_INVALIDATE, k));
	describe(k);
	S(keyctl(KEYCTL_INVALIDATE, k));
	S(keyctl(KEYCTL_REVOKE, k));
	P("another %d\n", add("k", "z", SESSION_RING) != k);
	settle();
	list(SESSION_RING);
	k = ring("r", SESSION_RING);
	long in = add("in", "x", k);
	keyctl(KEYCTL_SETPERM, in, 0x3f3f0000);
	S(keyctl(KEYCTL_INVALIDATE, k));
	settle();
	list(SESSION_RING);
	describe(k);
	describe(in);
	S(keyctl(KEYCTL_INVALIDATE, SESSION_RING));
	K(keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0));
	K(add("k", "x", SESSION_RING));
}

TEST(keys_unlinked) {
	session();
	long k = add("k", "x", SESSION_RING);
	S(keyctl(KEYCTL_UNLINK, k, SESSION_RING));
	settle();
	describe(k);
	S(keyctl(KEYCTL_UNLINK, k, SESSION_RING));
	k = add("k", "x", SESSION_RING);
	long r = ring("r", SESSION_RING);
	S(keyctl(KEYCTL_LINK, k, r));
	S(keyctl(KEYCTL_UNLINK, k, SESSION_RING));
	describe(k);
	S(keyctl(KEYCTL_UNLINK, k, SESSION_RING));
	S(keyctl(KEYCTL_UNLINK, r, k));
	S(keyctl(KEYCTL_UNLINK, k, THREAD_RING));
	S(keyctl(KEYCTL_UNLINK, k, 0));
	S(keyctl(KEYCTL_UNLINK, 0, r));
	S(keyctl(KEYCTL_UNLINK, THREAD_RING, r));
	S(keyctl(KEYCTL_UNLINK, r, SESSION_RING));
	settle();
	describe(k);
}

TEST(keys_expiry) {
	session();
	long k = add("k", "x", SESSION_RING), stays = add("stays", "x", SESSION_RING), again = add("again", "x", SESSION_RING), r = ring("r", SESSION_RING), in = add("in", "x", r);
	S(keyctl(KEYCTL_SET_TIMEOUT, k, 1));
	S(keyctl(KEYCTL_SET_TIMEOUT, r, 1));
	S(keyctl(KEYCTL_SET_TIMEOUT, again, 1));
	S(keyctl(KEYCTL_SET_TIMEOUT, stays, 1));
	S(keyctl(KEYCTL_SET_TIMEOUT, stays, 0));
	S(keyctl(KEYCTL_SET_TIMEOUT, 5, 0));
	describe(k);
	P("updated %d\n", add("again", "y", SESSION_RING) == again);
	nap(2100);
	describe(k);
	read_key(k);
	describe(stays);
	describe(again);
	describe(r);
	list(r);
	describe(in);
	S(keyctl(KEYCTL_UPDATE, k, (long)"y", 1));
	S(keyctl(KEYCTL_REVOKE, k));
	S(keyctl(KEYCTL_INVALIDATE, k));
	S(keyctl(KEYCTL_SET_TIMEOUT, k, 10));
	S(keyctl(KEYCTL_SETPERM, k, 0x3f3f0000));
	S(keyctl(KEYCTL_LINK, k, SESSION_RING));
	K(request_key("user", "k", NULL, 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"k", 0));
	K(request_key("user", "in", NULL, 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"in", 0));
	list(SESSION_RING);
	P("revived %d\n", add("k", "z", SESSION_RING) == k);
	describe(k);
	read_key(k);
}

TEST(keys_expired_session) {
	session();
	add("k", "x", SESSION_RING);
	S(keyctl(KEYCTL_SET_TIMEOUT, SESSION_RING, 1));
	nap(2100);
	K(keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 1));
	K(request_key("user", "k", NULL, 0));
	K(add("k", "x", SESSION_RING));
	K(session());
}

// Each right by itself, of a key that is possessed or one's own.
TEST(keys_permissions) {
	static const int rights[] = {0, VIEW, READ, WRITE, SEARCH, LINK, SETATTR, ALL & ~VIEW, ALL & ~READ, ALL & ~SEARCH, ALL};
	session();
	long r = ring("r", SESSION_RING);
	for (int shift = OTH; shift <= POS; shift += 8)
		for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
			P("%#x\n", rights[i] << shift);
			long k = add("k", "x", SESSION_RING);
			keyctl(KEYCTL_SETPERM, k, rights[i] << shift);
			describe(k);
			read_key(k);
			S(keyctl(KEYCTL_UPDATE, k, (long)"y", 1));
			K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"k", 0));
			K(request_key("user", "k", NULL, 0));
			S(keyctl(KEYCTL_LINK, k, r));
			S(keyctl(KEYCTL_GET_SECURITY, k, 0, 0));
			K(keyctl(KEYCTL_GET_KEYRING_ID, k, 0));
			S(keyctl(KEYCTL_SET_TIMEOUT, k, 0));
			S(keyctl(KEYCTL_UNLINK, k, r));
			S(keyctl(KEYCTL_SETPERM, k, rights[i] << shift));
			S(keyctl(KEYCTL_REVOKE, k));
			S(keyctl(KEYCTL_INVALIDATE, k));
			keyctl(KEYCTL_UNLINK, k, SESSION_RING); // if it is still there
		}
}

TEST(keys_permissions_of_rings) {
	static const int rights[] = {0, VIEW, READ, WRITE, SEARCH, LINK, SETATTR, ALL};
	session();
	for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
		P("%#x\n", rights[i] << POS);
		long r = ring("r", SESSION_RING), k = add("k", "x", r), in = ring("in", r), kk = add("kk", "x", in);
		keyctl(KEYCTL_SETPERM, r, rights[i] << POS);
		list(r);
		K(keyctl(KEYCTL_SEARCH, r, (long)"user", (long)"k", 0));
		K(request_key("user", "k", NULL, 0));
		K(request_key("user", "kk", NULL, 0));
		keyctl(KEYCTL_SETPERM, k, ALL << POS);
		keyctl(KEYCTL_SETPERM, kk, ALL << POS);
		describe(k);
		describe(kk);
		K(add("a", "x", r));
		S(keyctl(KEYCTL_LINK, SESSION_RING, r));
		S(keyctl(KEYCTL_UNLINK, k, r));
		S(keyctl(KEYCTL_CLEAR, r));
		S(keyctl(KEYCTL_UNLINK, r, SESSION_RING));
	}
}

TEST(keys_setperm_errors) {
	session();
	long k = add("k", "x", SESSION_RING);
	S(keyctl(KEYCTL_SETPERM, k, 0x40000000));
	S(keyctl(KEYCTL_SETPERM, k, 0x00000040));
	S(keyctl(KEYCTL_SETPERM, k, 0xffffffff));
	S(keyctl(KEYCTL_SETPERM, k, 0x3f3f3f3f));
	describe(k);
	S(keyctl(KEYCTL_SETPERM, 0, 0));
	S(keyctl(KEYCTL_SETPERM, 5, 0));
	S(keyctl(KEYCTL_SETPERM, 5, 0x40));
}

TEST(keys_of_other_users) {
	container();
	session();
	long k = add("k", "x", SESSION_RING);
	static const int rights[] = {0, VIEW, READ, WRITE, SEARCH, LINK, SETATTR, ALL};
	for (int group = 0; group < 2; group++)
		for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
			int perm = ALL << POS | ALL << USR | rights[i] << (group ? GRP : OTH);
			P("%#x\n", perm);
			keyctl(KEYCTL_SETPERM, k, perm);
			fflush(stdout);
			REAP(CHILD(
				if (!group) setresgid(1000, 1000, 1000);
				setresuid(1000, 1000, 1000);
				K(session());
				describe(k);
				read_key(k);
				S(keyctl(KEYCTL_UPDATE, k, (long)"y", 1));
				S(keyctl(KEYCTL_LINK, k, SESSION_RING));
				S(keyctl(KEYCTL_SETPERM, k, perm));
				S(keyctl(KEYCTL_SET_TIMEOUT, k, 0));
				K(request_key("user", "k", NULL, 0));
				read_key(k);
				S(keyctl(KEYCTL_CHOWN, k, 1000, -1));
			));
		}
	read_key(k);
	describe(k);
}

TEST(keys_by_group) {
	container();
	session();
	long k = add("k", "x", SESSION_RING);
	S(keyctl(KEYCTL_CHOWN, k, -1, 0));
	S(setgroups(2, (gid_t[]){1001, 1002}));
	S(keyctl(KEYCTL_CHOWN, k, -1, 1003));
	S(keyctl(KEYCTL_CHOWN, k, -1, 1002));
	S(keyctl(KEYCTL_CHOWN, k, 1000, -1));
	S(keyctl(KEYCTL_CHOWN, k, 0, 0));
	S(keyctl(KEYCTL_CHOWN, k, -1, 1002));
	S(keyctl(KEYCTL_CHOWN, k, -1, -1));
	S(keyctl(KEYCTL_CHOWN, 5, -1, -1));
	S(keyctl(KEYCTL_CHOWN, 5, 0, -1));
	keyctl(KEYCTL_SETPERM, k, ALL << POS | VIEW << USR | READ << GRP | WRITE << OTH);
	describe(k);
	REAP(CHILD(setresuid(1000, 1000, 1000); session(); describe(k); read_key(k); S(keyctl(KEYCTL_UPDATE, k, (long)"y", 1))));
	REAP(CHILD(setgroups(0, NULL); setresuid(1000, 1000, 1000); session(); describe(k); read_key(k); S(keyctl(KEYCTL_UPDATE, k, (long)"z", 1))));
	keyctl(KEYCTL_SETPERM, k, ALL << POS | VIEW << USR | WRITE << OTH);
	REAP(CHILD(setresuid(1000, 1000, 1000); session(); read_key(k); S(keyctl(KEYCTL_UPDATE, k, (long)"g", 1))));
	read_key(k);
}

// A key is its owner's by the user id for files.
TEST(keys_fsuid) {
	session();
	REAP(CHILD(
		K(keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 1));
		setresgid(-1, 1001, -1);
		setresuid(-1, 1000, -1);
		long k = add("k", "x", SESSION_RING);
		describe(k);
		long t = K(add("t", "x", THREAD_RING));
		describe(THREAD_RING);
		describe(PROCESS_RING);
		P("%d\n", keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 1) > 0);
		describe(PROCESS_RING);
		describe(t);
		setresuid(-1, 0, -1);
		describe(THREAD_RING);
		describe(PROCESS_RING);
		setresgid(-1, 0, -1);
		describe(THREAD_RING);
		describe(k);
		session();
		describe(SESSION_RING);
	));
}

TEST(keys_errors) {
	session();
	long k = add("k", "x", SESSION_RING);
	S(keyctl(99));
	S(keyctl(-1));
	S(keyctl(KEYCTL_DESCRIBE, 0, 0, 0));
	S(keyctl(KEYCTL_DESCRIBE, -5000, 0, 0));
	S(keyctl(KEYCTL_DESCRIBE, 5, 0, 0));
	S(keyctl(KEYCTL_READ, 0, 0, 0));
	S(keyctl(KEYCTL_READ, 5, 0, 0));
	S(keyctl(KEYCTL_READ, THREAD_RING, 0, 0));
	S(keyctl(KEYCTL_REVOKE, 5));
	S(keyctl(KEYCTL_REVOKE, -6));
	S(keyctl(KEYCTL_CLEAR, k));
	S(keyctl(KEYCTL_CLEAR, 5));
	S(keyctl(KEYCTL_LINK, k, k));
	S(keyctl(KEYCTL_LINK, 5, SESSION_RING));
	S(keyctl(KEYCTL_LINK, k, 5));
	S(keyctl(KEYCTL_INSTANTIATE, k, (long)"x", 1, 0));
	S(keyctl(KEYCTL_INSTANTIATE, k, 0, 0, 0));
	S(keyctl(KEYCTL_INSTANTIATE, 5, 8, 1, 0));
	S(keyctl(KEYCTL_INSTANTIATE, k, (long)"x", 1 << 20, 0));
	struct iovec v = {"x", 1};
	S(keyctl(KEYCTL_INSTANTIATE_IOV, k, (long)&v, 1, 0));
	S(keyctl(KEYCTL_INSTANTIATE_IOV, k, 8, 1, 0));
	S(keyctl(KEYCTL_INSTANTIATE_IOV, k, 0, 0, 0));
	S(keyctl(KEYCTL_INSTANTIATE_IOV, k, (long)&v, 1025, 0));
	S(keyctl(KEYCTL_NEGATE, k, 10, 0));
	S(keyctl(KEYCTL_NEGATE, 5, 10, 9));
	S(keyctl(KEYCTL_REJECT, k, 10, EKEYREJECTED, 0));
	S(keyctl(KEYCTL_REJECT, k, 10, 0, 0));
	S(keyctl(KEYCTL_REJECT, k, 10, 4095, 0));
	S(keyctl(KEYCTL_REJECT, k, 10, 4094, 0));
	S(keyctl(KEYCTL_REJECT, k, 10, 512, 0));
	S(keyctl(KEYCTL_REJECT, k, 10, 513, 0));
	S(keyctl(KEYCTL_REJECT, k, 10, 514, 0));
	S(keyctl(KEYCTL_REJECT, k, 10, 515, 0));
	S(keyctl(KEYCTL_REJECT, k, 10, 516, 0));
	S(keyctl(KEYCTL_ASSUME_AUTHORITY, 0));
	S(keyctl(KEYCTL_ASSUME_AUTHORITY, -1));
	S(keyctl(KEYCTL_ASSUME_AUTHORITY, k));
	S(keyctl(KEYCTL_ASSUME_AUTHORITY, 5));
	S(keyctl(KEYCTL_INVALIDATE, 5));
	K(keyctl(KEYCTL_GET_KEYRING_ID, k, 0) == k);
	K(keyctl(KEYCTL_GET_KEYRING_ID, -6, 0));
	K(keyctl(KEYCTL_GET_KEYRING_ID, -7, 0));
	K(keyctl(KEYCTL_GET_KEYRING_ID, -8, 1));
	K(keyctl(KEYCTL_SEARCH, k, (long)"user", (long)"k", 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"none", 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"nothing", (long)"k", 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)".x", (long)"k", 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"", (long)"k", 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, 8, (long)"k", 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", 8, 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"", 0));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"k", k));
	K(keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"k", 5));
	K(keyctl(KEYCTL_SEARCH, 5, (long)"user", (long)"k", 0));
	K(request_key("user", "none", NULL, 0));
	K(request_key("nothing", "k", NULL, 0));
	K(request_key("nothing", "k", NULL, 5));
	K(request_key(".x", "k", NULL, 0));
	K(request_key("user", (char *)8, NULL, 0));
	K(request_key("user", "k", (char *)8, 0));
	K(request_key("user", "", NULL, 0));
	K(request_key("user", "k", NULL, k));
	K(request_key("user", "k", NULL, 5));
	K(request_key((char *)8, "k", NULL, 5));
}

TEST(keys_capabilities) {
	unsigned char b[6] = {9, 9, 9, 9, 9, 9};
	int ours = KEYCTL_CAPS0_CAPABILITIES | KEYCTL_CAPS0_PERSISTENT_KEYRINGS | KEYCTL_CAPS0_INVALIDATE | KEYCTL_CAPS0_RESTRICT_KEYRING | KEYCTL_CAPS0_MOVE;
	S(keyctl(KEYCTL_CAPABILITIES, 0, 0));
	S(keyctl(KEYCTL_CAPABILITIES, (long)b, 1));
	P("%d %d\n", b[0] & ours, b[1]);
	S(keyctl(KEYCTL_CAPABILITIES, (long)b, 5));
	P("%d %d %d %d %d %d\n", b[0] & ours, b[1] & 3, b[2], b[3], b[4], b[5]);
	S(keyctl(KEYCTL_CAPABILITIES, 8, 5));
	S(keyctl(KEYCTL_CAPABILITIES, 8, -1));
	S(keyctl(KEYCTL_CAPABILITIES, (long)b, -1));
}

// proc shows the line of a key of /proc/keys but its number and time.
static void proc(long key) {
	char line[6000], flags[20], timeout[20], type[20], rest[5000];
	unsigned id, perm;
	int usage, uid, gid;
	FILE *f = fopen("/proc/keys", "r");
	if (!f) { P("%m\n"); return; }
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%x %s %d %s %x %d %d %s %[^\n]", &id, flags, &usage, timeout, &perm, &uid, &gid, type, rest) == 9 && id == key)
			P("%s %d %c %08x %d %d %s %s\n", flags, usage > 0, timeout[strlen(timeout) - 1], perm, uid, gid, type, rest);
	fclose(f);
}

TEST(keys_proc) {
	session();
	long k = add("some key", "value", SESSION_RING), r = ring("a ring", SESSION_RING), revoked = add("revoked", "x", SESSION_RING), late = add("late", "x", SESSION_RING), expired = add("expired", "x", SESSION_RING), hidden = add("hidden", "x", SESSION_RING);
	proc(k);
	proc(r);
	add("in it", "x", r);
	proc(r);
	proc(keyctl(KEYCTL_GET_KEYRING_ID, SESSION_RING, 0));
	proc(keyctl(KEYCTL_GET_KEYRING_ID, USER_RING, 0));
	proc(keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 1));
	proc(add_key("logon", "l:x", "xyz", 3, SESSION_RING));
	keyctl(KEYCTL_REVOKE, revoked);
	proc(revoked);
	for (int t = 20; t < 5000000; t *= 20) {
		keyctl(KEYCTL_SET_TIMEOUT, late, t);
		proc(late);
	}
	keyctl(KEYCTL_SET_TIMEOUT, expired, 1);
	nap(2100);
	proc(expired);
	keyctl(KEYCTL_SETPERM, hidden, ALL << POS & ~(VIEW << POS));
	proc(hidden);
	keyctl(KEYCTL_SETPERM, k, VIEW << OTH);
	keyctl(KEYCTL_SETPERM, r, ALL << POS);
	proc(r);
	proc(k);
	REAP(CHILD(become(1000); session(); proc(r); proc(k)));
}

static void quota(int uid) {
	char line[200];
	int id, usage, n, ni, q, max, bytes, maxbytes;
	FILE *f = fopen("/proc/key-users", "r");
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%d: %d %d/%d %d/%d %d/%d", &id, &usage, &n, &ni, &q, &max, &bytes, &maxbytes) == 8 && id == uid)
			P("user %d: %d/%d %d/%d %d/%d\n", uid, n, ni, q, max, bytes, maxbytes);
	fclose(f);
}

// The numbers of users that nothing else has keys of.
TEST(keys_quota) {
	static char big[20000];
	session();
	container();
	REAP(CHILD(
		become(61001);
		K(session());
		quota(61001);
		long k = add("12345", "1234567890", SESSION_RING);
		quota(61001);
		S(keyctl(KEYCTL_UPDATE, k, (long)"12345", 5));
		quota(61001);
		K(add_key("user", "big", big, 19972, SESSION_RING));
		quota(61001);
		K(add_key("user", "big", big, 19973, SESSION_RING));
		K(add("x", "x", SESSION_RING));
		K(ring("x", SESSION_RING));
		K(add_key("user", "12345", big, 6, SESSION_RING));
		S(keyctl(KEYCTL_UPDATE, k, (long)"123456", 6));
		read_key(k);
		S(keyctl(KEYCTL_LINK, k, SESSION_RING));
		K(keyctl(KEYCTL_GET_KEYRING_ID, THREAD_RING, 1));
		quota(61001);
		K(add("x", "x", THREAD_RING));
		S(keyctl(KEYCTL_LINK, k, THREAD_RING));
		S(keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0));
		S(keyctl(KEYCTL_CLEAR, SESSION_RING));
		settle();
		quota(61001);
		S(keyctl(KEYCTL_REVOKE, SESSION_RING));
		settle();
		quota(61001);
	));
	REAP(CHILD(
		become(61002);
		session();
		int n = 0;
		char name[20];
		do snprintf(name, sizeof name, "k%d", n++); while (add(name, "x", SESSION_RING) > 0);
		P("%d %s\n", n - 1, strerrorname_np(errno));
		quota(61002);
		K(keyctl(KEYCTL_GET_KEYRING_ID, PROCESS_RING, 1));
		S(keyctl(KEYCTL_CLEAR, SESSION_RING));
		settle();
		quota(61002);
	));
}

TEST(keys_of_another_user) {
	session();
	container();
	REAP(CHILD(become(61003); add("name", "value", SESSION_RING); quota(61003)));
	long k = keyctl(KEYCTL_SEARCH, SESSION_RING, (long)"user", (long)"name", 0);
	describe(k);
	read_key(k);
	S(keyctl(KEYCTL_SETPERM, k, 0x3f3f0000));
	S(keyctl(KEYCTL_CHOWN, k, 0, -1));
	S(keyctl(KEYCTL_CHOWN, k, -1, 0));
	S(keyctl(KEYCTL_CHOWN, k, 61003, 0));
	describe(k);
	S(keyctl(KEYCTL_UPDATE, k, (long)"longer value", 12));
	quota(61003);
	S(keyctl(KEYCTL_CLEAR, SESSION_RING));
	settle();
	quota(61003);
}

TEST(keys_sysctl) {
	static const char *names[] = {"maxkeys", "maxbytes", "root_maxkeys", "root_maxbytes", "gc_delay", "persistent_keyring_expiry"};
	for (int i = 0; i < 6; i++) {
		char name[100], b[100] = "";
		snprintf(name, sizeof name, "/proc/sys/kernel/keys/%s", names[i]);
		int fd = open(name, O_RDONLY);
		read(fd, b, 99);
		close(fd);
		P("%s %s", names[i], b);
	}
}
