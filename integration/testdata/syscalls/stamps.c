// The times that one change of a file sets are one time.
#include "test.h"

static void same(const char *what, int fd) {
	struct stat st;
	fstat(fd, &st);
	P("%s: atime is ctime %d, mtime is ctime %d\n", what, !memcmp(&st.st_atim, &st.st_ctim, sizeof st.st_atim),
	  !memcmp(&st.st_mtim, &st.st_ctim, sizeof st.st_mtim));
}

TEST(stamps_agree) {
	char name[] = "/tmp/stampsXXXXXX";
	int fd = mkstemp(name);
	same("created", fd);
	nap(20);
	S(write(fd, "x", 1));
	same("written", fd);
	nap(20);
	S(futimens(fd, NULL));
	same("touched", fd);
	nap(20);
	struct timespec now[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
	S(futimens(fd, now));
	same("mtime touched", fd);
	nap(20);
	S(fchmod(fd, 0600));
	same("mode changed", fd);
	nap(20);
	S(ftruncate(fd, 10));
	same("size changed", fd);
	unlink(name);
}
