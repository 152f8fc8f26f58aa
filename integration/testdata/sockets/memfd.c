#include "case.h"
#include <sys/mman.h>
#include <sys/sendfile.h>

// Newer than the C library's headers.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8
#define MFD_EXEC 0x10
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

CASE(memfd_seals) {
	int m = F(memfd_create("m", MFD_ALLOW_SEALING | MFD_CLOEXEC));
	T(fcntl(m, F_GETFD));
	T(fcntl(m, F_GET_SEALS));
	T(write(m, "hello", 5));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_GROW));
	T(pwrite(m, "x", 1, 4));
	T(pwrite(m, "x", 1, 5));
	T(ftruncate(m, 10));
	T(ftruncate(m, 4));
	T(posix_fallocate(m, 0, 100));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK));
	T(ftruncate(m, 2));
	T(ftruncate(m, 4));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
	T(pwrite(m, "x", 1, 0));
	T(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, m, 0) == MAP_FAILED);
	T(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, m, 0) != MAP_FAILED);
	T(mmap(NULL, 4096, PROT_READ, MAP_SHARED, m, 0) != MAP_FAILED);
	T(fcntl(m, F_ADD_SEALS, 0x1000));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_SEAL));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_SEAL));
	T(fcntl(m, F_GET_SEALS));
	int p = memfd_create("p", 0);
	T(fcntl(p, F_GET_SEALS));
	T(fcntl(p, F_ADD_SEALS, F_SEAL_WRITE));
	int q[2];
	pipe(q);
	T(fcntl(q[0], F_GET_SEALS));
	T(fcntl(q[0], F_ADD_SEALS, F_SEAL_WRITE));
}

CASE(memfd_seals_of_mapped) {
	int m = memfd_create("m", MFD_ALLOW_SEALING);
	ftruncate(m, 8192);
	char *w = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, m, 0);
	T(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
	T(munmap(w, 4096));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
	T(mprotect(w + 4096, 4096, PROT_READ));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW));
	T(fcntl(m, F_GET_SEALS));
	pid_t child = fork();
	if (child == 0) {
		pause();
	}
	munmap(w + 4096, 4096);
	T(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, m, 0);
	char path[64];
	sprintf(path, "/proc/self/fd/%d", m);
	int again = open(path, O_RDONLY);
	mmap(NULL, 4096, PROT_READ, MAP_SHARED, again, 0);
	T(fcntl(again, F_ADD_SEALS, F_SEAL_WRITE));
	T(fcntl(again, F_GET_SEALS));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	T(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
	char *r = mmap(NULL, 4096, PROT_READ, MAP_SHARED, m, 0);
	T(mprotect(r, 4096, PROT_READ | PROT_WRITE));
	T(fcntl(again, F_GET_SEALS));
	int f = memfd_create("f", MFD_ALLOW_SEALING);
	ftruncate(f, 4096);
	mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	T(fcntl(f, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
}

CASE(memfd_seal_exec) {
	struct stat s;
	int m = memfd_create("m", MFD_NOEXEC_SEAL), x = memfd_create("x", MFD_EXEC | MFD_ALLOW_SEALING);
	fstat(m, &s);
	T(s.st_mode);
	T(fcntl(m, F_GET_SEALS));
	T(fchmod(m, 0600));
	T(fchmod(m, 0700));
	T(fcntl(x, F_ADD_SEALS, F_SEAL_EXEC));
	T(fcntl(x, F_GET_SEALS));
	T(fchmod(x, 0600));
}

CASE(sendfile_to_sockets) {
	int s[2], f = open("file", O_RDWR | O_CREAT, 0600), t[2];
	char b[32] = "";
	write(f, "0123456789", 10);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	off_t off = 3;
	T(sendfile(s[0], f, &off, 4));
	T(off);
	T(read(s[1], b, 32));
	puts(b);
	lseek(f, 8, SEEK_SET);
	T(sendfile(s[0], f, NULL, 100));
	T(lseek(f, 0, SEEK_CUR));
	T(read(s[1], b, 32));
	T(sendfile(s[0], f, NULL, 100));
	T(sendfile(f, s[0], NULL, 10));
	tcp_pair(t);
	off = 0;
	T(sendfile(t[0], f, &off, 10));
	T(read(t[1], b, 32));
	close(s[1]);
	off = 0;
	signal(SIGPIPE, SIG_IGN);
	T(sendfile(s[0], f, &off, 4));
}

CASE(splice_sockets) {
	int s[2], p[2], q[2];
	char b[32] = "";
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pipe(p);
	pipe(q);
	write(s[0], "from socket", 11);
	T(splice(s[1], NULL, p[1], NULL, 100, 0));
	T(tee(p[0], q[1], 4, 0));
	T(tee(p[0], q[1], 100, 0));
	T(read(q[0], b, 32));
	puts(b);
	T(splice(p[0], NULL, s[1], NULL, 5, 0));
	T(read(s[0], b, 32));
	T(read(p[0], b, 32));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	T(splice(p[0], NULL, s[1], NULL, 5, SPLICE_F_NONBLOCK));
	T(tee(p[0], q[1], 5, SPLICE_F_NONBLOCK));
	T(tee(s[0], q[1], 5, 0));
	T(splice(s[0], NULL, s[1], NULL, 5, 0));
	off_t off = 0;
	T(splice(s[0], &off, p[1], NULL, 5, 0));
	T(splice(s[0], NULL, p[1], NULL, 5, SPLICE_F_NONBLOCK));
	close(p[1]);
	T(splice(p[0], NULL, s[1], NULL, 5, 0));
	struct iovec v[2] = {{"vm", 2}, {"splice", 6}};
	T(vmsplice(q[1], v, 2, 0));
	T(read(q[0], b, 32));
	T(tee(q[0], q[1], 4, 0));
}
