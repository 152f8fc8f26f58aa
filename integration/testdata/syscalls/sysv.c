#include "test.h"

enum { PAGE = 4096 };

// OK shows only whether a call succeeded: ids and addresses differ.
#define OK(call) ({ errno = 0; __typeof__(call) r_ = (call); show(#call, (long)r_ == -1 ? -1 : 0); r_; })

// key is one that no other test has.
static key_t key(void) { return 0x4d420000 + (getpid() & 0xffff); }

static int shm(size_t size) { return shmget(IPC_PRIVATE, size, IPC_CREAT | 0600); }
static int nattch(int id) {
	struct shmid_ds d;
	return shmctl(id, IPC_STAT, &d) ? -1 : (int)d.shm_nattch;
}

TEST(shm_shared_after_fork) {
	int id = shm(PAGE);
	volatile int *p = OK(shmat(id, NULL, 0));
	*p = 1;
	REAP(CHILD(P("%d\n", *p); *p = 2));
	P("%d\n", *p);
	S(shmdt((void *)p));
	S(shmctl(id, IPC_RMID, NULL));
}

TEST(shm_two_attachments) {
	int id = shm(3 * PAGE);
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, 0);
	strcpy(a + PAGE, "hello");
	P("%s %d %d\n", b + PAGE, a != b, nattch(id));
	S(shmdt(b));
	P("%d\n", nattch(id));
	S(shmdt(a));
	P("%d\n", nattch(id));
	S(shmctl(id, IPC_RMID, NULL));
}

TEST(shm_by_key) {
	key_t k = key();
	int id = OK(shmget(k, 100, IPC_CREAT | IPC_EXCL | 0600));
	P("%d\n", shmget(k, 100, 0) == id);
	P("%d\n", shmget(k, 0, 0) == id);
	S(shmget(k, 5000, 0));
	S(shmget(k, 100, IPC_CREAT | IPC_EXCL | 0600));
	S(shmctl(id, IPC_RMID, NULL));
	S(shmget(k, 100, 0));
	S(shmat(id, NULL, 0));
}

TEST(shm_sizes) {
	S(shmget(IPC_PRIVATE, 0, 0600));
	S(shmget(IPC_PRIVATE, -1, 0600));
	int id = shm(1);
	struct shmid_ds d;
	S(shmctl(id, IPC_STAT, &d));
	P("%zu %o %d %d %ld\n", d.shm_segsz, d.shm_perm.mode, d.shm_perm.uid, d.shm_perm.__key, (long)d.shm_nattch);
	P("%d %d\n", d.shm_cpid == getpid(), d.shm_lpid);
	P("%d %d %d\n", d.shm_atime == 0, d.shm_dtime == 0, d.shm_ctime != 0);
	char *p = shmat(id, NULL, 0);
	memset(p, 1, PAGE); // the whole page is there
	S(shmctl(id, IPC_STAT, &d));
	P("%d %d %d\n", d.shm_atime != 0, d.shm_dtime == 0, d.shm_lpid == getpid());
	shmdt(p);
	shmctl(id, IPC_STAT, &d);
	P("%d\n", d.shm_dtime != 0);
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_removed_while_attached) {
	key_t k = key();
	int id = shmget(k, PAGE, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0);
	S(shmctl(id, IPC_RMID, NULL));
	struct shmid_ds d;
	S(shmctl(id, IPC_STAT, &d));
	P("%o %d %d\n", d.shm_perm.mode, d.shm_perm.__key, (int)d.shm_nattch);
	S(shmget(k, PAGE, 0));
	char *q = OK(shmat(id, NULL, 0));
	strcpy(p, "still");
	P("%s\n", q);
	shmdt(p);
	S(shmctl(id, IPC_STAT, &d));
	shmdt(q);
	S(shmctl(id, IPC_STAT, &d));
}

TEST(shm_attach_counts) {
	int id = shm(4 * PAGE);
	char *p = shmat(id, NULL, 0);
	REAP(CHILD(P("%d\n", nattch(id)); shmdt(p); P("%d\n", nattch(id))));
	P("%d\n", nattch(id));
	REAP(CHILD(execl(SELF, "syscalls", "exit", "0", NULL)));
	P("%d\n", nattch(id));
	S(munmap(p, PAGE));
	P("%d\n", nattch(id));
	S(munmap(p + 2 * PAGE, PAGE));
	P("%d\n", nattch(id));
	S(shmdt(p));
	P("%d\n", nattch(id));
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_detach_part) {
	int id = shm(4 * PAGE);
	char *p = shmat(id, NULL, 0);
	S(shmdt(p + PAGE));
	S(shmdt(p + 1));
	munmap(p + PAGE, PAGE);
	S(shmdt(p));
	P("%d\n", nattch(id));
	S(shmdt(p));
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_at_address) {
	int id = shm(2 * PAGE);
	char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	S(shmat(id, room, 0));
	P("%d\n", shmat(id, room, SHM_REMAP) == room);
	munmap(room + 4 * PAGE, 4 * PAGE);
	P("%d\n", shmat(id, room + 4 * PAGE, 0) == room + 4 * PAGE);
	S(shmat(id, room + 6 * PAGE + 5, 0));
	P("%d\n", shmat(id, room + 6 * PAGE + 5, SHM_RND) == room + 6 * PAGE);
	S(shmat(id, NULL, SHM_REMAP));
	P("%d\n", nattch(id));
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_read_only) {
	int id = shm(PAGE);
	char *w = shmat(id, NULL, 0), *r = shmat(id, NULL, SHM_RDONLY);
	strcpy(w, "seen");
	P("%s\n", r);
	S(mprotect(r, PAGE, PROT_READ | PROT_WRITE));
	S(mprotect(r, PAGE, PROT_READ));
	int fd[2];
	pipe(fd);
	write(fd[1], "x", 1);
	S(read(fd[0], r, 1));
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_permissions) {
	int id = shmget(IPC_PRIVATE, PAGE, 0644), closed = shmget(IPC_PRIVATE, PAGE, 0600);
	key_t k = key();
	int named = shmget(k, PAGE, IPC_CREAT | 0640);
	REAP(CHILD(
		setgroups(0, NULL); setgid(1000); setuid(1000);
		OK(shmat(id, NULL, SHM_RDONLY));
		S(shmat(id, NULL, 0));
		struct shmid_ds d;
		S(shmctl(id, IPC_STAT, &d));
		S(shmctl(closed, IPC_STAT, &d));
		S(shmctl(id, IPC_RMID, NULL));
		S(shmctl(id, IPC_SET, &d));
		S(shmget(k, PAGE, 0040));
		S(shmget(k, PAGE, 0) == named)));
	shmctl(id, IPC_RMID, NULL);
	shmctl(closed, IPC_RMID, NULL);
	shmctl(named, IPC_RMID, NULL);
}

TEST(shm_set) {
	int id = shm(PAGE);
	struct shmid_ds d;
	shmctl(id, IPC_STAT, &d);
	d.shm_perm.mode = 0666 | 07000;
	d.shm_perm.uid = 1000;
	d.shm_perm.gid = 1001;
	S(shmctl(id, IPC_SET, &d));
	S(shmctl(id, IPC_STAT, &d));
	P("%o %d %d %d %d\n", d.shm_perm.mode, d.shm_perm.uid, d.shm_perm.gid, d.shm_perm.cuid, d.shm_perm.cgid);
	REAP(CHILD(setuid(1000); S(shmctl(id, IPC_RMID, NULL))));
	S(shmctl(id, IPC_STAT, &d));
}

TEST(shm_errors) {
	struct shmid_ds d;
	S(shmctl(-1, IPC_STAT, &d));
	S(shmctl(0x7fff0000, IPC_STAT, &d));
	S(shmat(0x7fff0000, NULL, 0));
	S(shmdt((void *)0x10000000));
	int id = shm(PAGE);
	S(shmctl(id, 77, &d));
	S(syscall(SYS_shmctl, id, IPC_STAT, 8));
	S(shmget(IPC_PRIVATE, 1UL << 50, 0600 | IPC_CREAT));
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_lock) {
	int id = shm(PAGE);
	struct shmid_ds d;
	S(shmctl(id, SHM_LOCK, NULL));
	shmctl(id, IPC_STAT, &d);
	P("%o\n", d.shm_perm.mode);
	S(shmctl(id, SHM_UNLOCK, NULL));
	shmctl(id, IPC_STAT, &d);
	P("%o\n", d.shm_perm.mode);
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_futex_between_processes) {
	int id = shm(PAGE);
	int *w = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	pid_t pid = CHILD(int *v = shmat(id, NULL, 0); while (__atomic_load_n(v, 5) == 0) syscall(SYS_futex, v, FUTEX_WAIT, 0, NULL, NULL, 0); P("woken\n"));
	await(pid, 'S');
	__atomic_store_n(w, 1, 5);
	syscall(SYS_futex, w, FUTEX_WAKE, 1, NULL, NULL, 0);
	REAP(pid);
}

TEST(shm_maps) {
	int id = shm(PAGE);
	char *p = shmat(id, NULL, SHM_RDONLY), line[512];
	FILE *f = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, f))
		if (strtoul(line, NULL, 16) == (unsigned long)p) P("%.4s %s", strchr(line, ' ') + 1, strstr(line, "/SYSV"));
	fclose(f);
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_info) {
	struct shminfo i;
	struct shm_info u;
	P("%d\n", shmctl(0, IPC_INFO, (void *)&i) >= 0);
	P("%lu %lu %lu %lu\n", i.shmmax, i.shmmin, i.shmmni, i.shmall);
	int id = shm(10 * PAGE);
	int last = shmctl(0, SHM_INFO, (void *)&u);
	P("%d %d %d\n", last >= 0, u.used_ids >= 1, u.shm_tot >= 10);
	int found = 0;
	struct shmid_ds d;
	for (int n = 0; n <= last; n++) found += shmctl(n, SHM_STAT, &d) == id;
	P("%d\n", found);
	shmctl(id, IPC_RMID, NULL);
}

TEST(shm_proc) {
	key_t k = key();
	int id = shmget(k, 12345, IPC_CREAT | 0640);
	char *p = shmat(id, NULL, 0), line[512];
	FILE *f = fopen("/proc/sysvipc/shm", "r");
	fgets(line, sizeof line, f);
	P("%s", line);
	while (fgets(line, sizeof line, f)) {
		int k2, id2, cpid, lpid, n, uid;
		unsigned mode, size;
		sscanf(line, "%d %d %o %u %d %d %d %d", &k2, &id2, &mode, &size, &cpid, &lpid, &n, &uid);
		if (k2 == k) P("%d %o %u %d %d %d %d\n", id2 == id, mode, size, cpid == getpid(), lpid == getpid(), n, uid);
	}
	fclose(f);
	shmdt(p);
	shmctl(id, IPC_RMID, NULL);
}

union semun { int val; struct semid_ds *buf; unsigned short *array; struct seminfo *info; };

static int sems(int n) { return semget(IPC_PRIVATE, n, 0600); }
static void unsem(int id) { semctl(id, 0, IPC_RMID); }
#define OP(num, op, flags) ((struct sembuf){num, op, flags})
#define OPS(id, ...) semop(id, (struct sembuf[]){__VA_ARGS__}, sizeof((struct sembuf[]){__VA_ARGS__}) / sizeof(struct sembuf))

static void values(int id, int n) {
	unsigned short v[10] = {0};
	semctl(id, 0, GETALL, (union semun){.array = v});
	for (int i = 0; i < n; i++) P("%d ", v[i]);
	P("\n");
}

TEST(sem_values) {
	int id = sems(3);
	values(id, 3);
	S(semctl(id, 1, SETVAL, (union semun){.val = 7}));
	S(semctl(id, 1, GETVAL));
	S(semctl(id, 0, GETVAL));
	S(semctl(id, 3, GETVAL));
	S(semctl(id, -1, GETVAL));
	S(semctl(id, 1, SETVAL, (union semun){.val = 32768}));
	S(semctl(id, 1, SETVAL, (union semun){.val = -1}));
	unsigned short v[3] = {1, 2, 3};
	S(semctl(id, 0, SETALL, (union semun){.array = v}));
	values(id, 3);
	v[1] = 40000;
	S(semctl(id, 0, SETALL, (union semun){.array = v}));
	values(id, 3);
	S(semctl(id, 0, GETPID) == getpid());
	unsem(id);
	S(semctl(id, 0, GETVAL));
}

TEST(sem_op_nowait) {
	int id = sems(2);
	S(OPS(id, OP(0, -1, IPC_NOWAIT)));
	S(OPS(id, OP(0, 2, 0)));
	S(OPS(id, OP(0, -1, IPC_NOWAIT)));
	S(OPS(id, OP(0, 0, IPC_NOWAIT)));
	S(OPS(id, OP(0, -1, IPC_NOWAIT), OP(1, -1, IPC_NOWAIT)));
	values(id, 2);
	S(OPS(id, OP(0, 0, IPC_NOWAIT), OP(0, 1, 0)));
	S(OPS(id, OP(0, -1, 0), OP(0, 0, 0), OP(0, 5, 0)));
	values(id, 2);
	unsem(id);
}

TEST(sem_op_errors) {
	int id = sems(2);
	S(OPS(id, OP(2, 1, 0)));
	S(semop(id, NULL, 0));
	S(semop(id, (void *)8, 1));
	static struct sembuf many[501];
	S(semop(id, many, 501));
	S(semop(id, many, 500));
	S(OPS(id, OP(0, 32767, 0)));
	S(OPS(id, OP(0, 1, 0)));
	S(OPS(-1, OP(0, 1, 0)));
	S(OPS(0x7fff0000, OP(0, 1, 0)));
	S(semctl(id, 0, 99));
	struct timespec bad = {0, 1000000000};
	S(semtimedop(id, many, 1, &bad));
	unsem(id);
}

TEST(sem_get) {
	key_t k = key();
	S(semget(k, 1, 0));
	S(semget(IPC_PRIVATE, 0, 0600));
	S(semget(IPC_PRIVATE, -1, 0600));
	S(semget(IPC_PRIVATE, 32001, 0600));
	int id = OK(semget(k, 4, IPC_CREAT | IPC_EXCL | 0600));
	P("%d %d\n", semget(k, 0, 0) == id, semget(k, 4, 0) == id);
	S(semget(k, 5, 0));
	S(semget(k, 4, IPC_CREAT | IPC_EXCL | 0600));
	unsem(id);
	S(semget(k, 0, 0));
}

TEST(sem_waits) {
	int id = sems(1);
	pid_t pid = CHILD(_exit(OPS(id, OP(0, -2, 0)) ? errno : 0));
	await(pid, 'S');
	S(semctl(id, 0, GETNCNT));
	S(semctl(id, 0, GETZCNT));
	S(OPS(id, OP(0, 1, 0)));
	nap(20);
	S(semctl(id, 0, GETNCNT));
	S(OPS(id, OP(0, 1, 0)));
	S(semctl(id, 0, GETVAL)); // done by the time semop returns
	REAP(pid);
	S(semctl(id, 0, GETNCNT));
	unsem(id);
}

TEST(sem_waits_for_zero) {
	int id = sems(1);
	OPS(id, OP(0, 2, 0));
	pid_t pid = CHILD(_exit(OPS(id, OP(0, 0, 0)) ? errno : 0));
	await(pid, 'S');
	S(semctl(id, 0, GETZCNT));
	S(semctl(id, 0, GETNCNT));
	S(semctl(id, 0, SETVAL, (union semun){.val = 0}));
	REAP(pid);
	unsem(id);
}

TEST(sem_waiters_in_order) {
	int id = sems(1), fd[2];
	pipe(fd);
	pid_t pids[4];
	for (int i = 0; i < 4; i++) {
		pids[i] = CHILD(OPS(id, OP(0, -1, 0)); write(fd[1], &(char){'a' + i}, 1));
		await(pids[i], 'S');
	}
	for (int i = 0; i < 4; i++) {
		char c;
		OPS(id, OP(0, 1, 0));
		read(fd[0], &c, 1);
		P("%c\n", c);
	}
	for (int i = 0; i < 4; i++) waitpid(pids[i], NULL, 0);
	unsem(id);
}

TEST(sem_removed_while_waiting) {
	int id = sems(1);
	pid_t pid = CHILD(S(OPS(id, OP(0, -1, 0))));
	await(pid, 'S');
	unsem(id);
	REAP(pid);
}

static void nothing(int s) {}

TEST(sem_interrupted) {
	int id = sems(1);
	pid_t pid = CHILD(struct sigaction a = {.sa_handler = nothing, .sa_flags = SA_RESTART}; sigaction(SIGUSR1, &a, NULL); S(OPS(id, OP(0, -1, 0))); S(semctl(id, 0, GETNCNT)));
	await(pid, 'S');
	nap(10);
	kill(pid, SIGUSR1);
	REAP(pid);
	unsem(id);
}

TEST(sem_timeout) {
	int id = sems(1);
	struct timespec ts = {0, 20000000};
	S(semtimedop(id, &OP(0, -1, 0), 1, &ts));
	OPS(id, OP(0, 1, 0));
	S(semtimedop(id, &OP(0, -1, 0), 1, &ts));
	S(semctl(id, 0, GETNCNT));
	unsem(id);
}

TEST(sem_undo_at_exit) {
	int id = sems(2);
	OPS(id, OP(0, 5, 0), OP(1, 5, 0));
	REAP(CHILD(OPS(id, OP(0, -3, SEM_UNDO), OP(1, -1, 0)); values(id, 2)));
	values(id, 2);
	REAP(CHILD(OPS(id, OP(0, 3, SEM_UNDO)); OPS(id, OP(0, -8, 0)); values(id, 2)));
	values(id, 2); // can't go below zero
	pid_t pid = CHILD(OPS(id, OP(0, 1, SEM_UNDO)); pause());
	await(pid, 'S');
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	values(id, 2);
	unsem(id);
}

TEST(sem_undo_is_not_inherited) {
	int id = sems(1);
	OPS(id, OP(0, 5, 0));
	REAP(CHILD(OPS(id, OP(0, -1, SEM_UNDO)); REAP(CHILD(values(id, 1))); values(id, 1)));
	values(id, 1);
	unsem(id);
}

TEST(sem_undo_after_exec) {
	int id = sems(1);
	OPS(id, OP(0, 5, 0));
	REAP(CHILD(OPS(id, OP(0, -1, SEM_UNDO)); execl(SELF, "syscalls", "exit", "3", NULL)));
	values(id, 1);
	unsem(id);
}

static int undo_id;
static void *undo_thread(void *unused) {
	OPS(undo_id, OP(0, -2, SEM_UNDO));
	return NULL;
}

TEST(sem_undo_of_threads) {
	undo_id = sems(1);
	OPS(undo_id, OP(0, 5, 0));
	REAP(CHILD(pthread_t t; pthread_create(&t, NULL, undo_thread, NULL); pthread_join(t, NULL); values(undo_id, 1)));
	values(undo_id, 1);
	unsem(undo_id);
}

TEST(sem_undo_wakes) {
	int id = sems(1);
	OPS(id, OP(0, 1, 0));
	int fd[2];
	pipe(fd);
	pid_t holder = CHILD(char c; OPS(id, OP(0, -1, SEM_UNDO)); write(fd[1], "x", 1); close(fd[1]); pause());
	char c;
	read(fd[0], &c, 1);
	pid_t pid = CHILD(S(OPS(id, OP(0, -1, SEM_UNDO))));
	await(pid, 'S');
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	REAP(pid);
	values(id, 1);
	unsem(id);
}

TEST(sem_setval_forgets_undo) {
	int id = sems(1);
	OPS(id, OP(0, 5, 0));
	REAP(CHILD(OPS(id, OP(0, -2, SEM_UNDO)); semctl(id, 0, SETVAL, (union semun){.val = 9})));
	values(id, 1);
	S(OPS(id, OP(0, 20000, SEM_UNDO)));
	S(OPS(id, OP(0, -20000, 0)));
	S(OPS(id, OP(0, 20000, SEM_UNDO)));
	values(id, 1);
	unsem(id);
}

TEST(sem_stat) {
	int id = sems(5);
	struct semid_ds d;
	S(semctl(id, 0, IPC_STAT, (union semun){.buf = &d}));
	P("%lu %o %d %d\n", d.sem_nsems, d.sem_perm.mode, d.sem_perm.uid, d.sem_perm.__key);
	P("%d %d\n", d.sem_otime == 0, d.sem_ctime != 0);
	OPS(id, OP(0, 1, 0));
	semctl(id, 0, IPC_STAT, (union semun){.buf = &d});
	P("%d\n", d.sem_otime != 0);
	d.sem_perm.mode = 0644;
	S(semctl(id, 0, IPC_SET, (union semun){.buf = &d}));
	REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); S(semctl(id, 0, GETVAL)); S(OPS(id, OP(0, 1, 0))); S(OPS(id, OP(1, 0, 0))); S(semctl(id, 0, SETVAL, (union semun){.val = 1})); S(semctl(id, 0, IPC_RMID))));
	unsem(id);
}

TEST(sem_info) {
	struct seminfo i;
	P("%d\n", semctl(0, 0, IPC_INFO, (union semun){.info = &i}) >= 0);
	P("%d %d %d %d %d\n", i.semmni, i.semmsl, i.semopm, i.semvmx, i.semaem);
	int id = sems(6), found = 0;
	int last = semctl(0, 0, SEM_INFO, (union semun){.info = &i});
	P("%d %d %d\n", last >= 0, i.semusz >= 1, i.semaem >= 6);
	struct semid_ds d;
	for (int n = 0; n <= last; n++) found += semctl(n, 0, SEM_STAT, (union semun){.buf = &d}) == id;
	P("%d\n", found);
	unsem(id);
}

TEST(sem_proc) {
	key_t k = key();
	int id = semget(k, 3, IPC_CREAT | 0640);
	char line[512];
	FILE *f = fopen("/proc/sysvipc/sem", "r");
	fgets(line, sizeof line, f);
	P("%s", line);
	while (fgets(line, sizeof line, f)) {
		int k2, id2, n;
		unsigned mode;
		sscanf(line, "%d %d %o %d", &k2, &id2, &mode, &n);
		if (k2 == k) P("%d %o %d\n", id2 == id, mode, n);
	}
	fclose(f);
	unsem(id);
}

struct message { long type; char text[9000]; };

static int queue(void) { return msgget(IPC_PRIVATE, 0600); }
static int put(int q, long type, const char *text) {
	struct message m = {type};
	strcpy(m.text, text);
	return msgsnd(q, &m, strlen(text), IPC_NOWAIT);
}
static void take(int q, long type, int flags) {
	struct message m = {0};
	int n = msgrcv(q, &m, 100, type, flags);
	if (n < 0) P("msgrcv %ld %#x: %s\n", type, flags, strerrorname_np(errno));
	else P("msgrcv %ld %#x: %ld %.*s\n", type, flags, m.type, n, m.text);
}

TEST(msg_order) {
	int q = queue();
	put(q, 3, "c"), put(q, 1, "a"), put(q, 2, "b"), put(q, 1, "A"), put(q, 3, "C");
	take(q, 2, IPC_NOWAIT);
	take(q, 2, IPC_NOWAIT);
	take(q, -3, IPC_NOWAIT);
	take(q, 0, IPC_NOWAIT);
	take(q, 3, IPC_NOWAIT | MSG_EXCEPT);
	take(q, 3, IPC_NOWAIT | MSG_EXCEPT);
	take(q, -2, IPC_NOWAIT);
	take(q, 0, IPC_NOWAIT);
	take(q, 0, IPC_NOWAIT);
	S(msgctl(q, IPC_RMID, NULL));
}

TEST(msg_sizes) {
	int q = queue();
	static struct message m = {1};
	S(msgsnd(q, &m, 8193, IPC_NOWAIT));
	S(msgsnd(q, &m, -1, IPC_NOWAIT));
	m.type = 0;
	S(msgsnd(q, &m, 1, IPC_NOWAIT));
	m.type = 1;
	S(msgsnd(q, &m, 8192, IPC_NOWAIT));
	S(msgsnd(q, &m, 8192, IPC_NOWAIT));
	S(msgsnd(q, &m, 1, IPC_NOWAIT));
	S(msgsnd(q, &m, 0, IPC_NOWAIT));
	S(msgrcv(q, &m, 100, 0, IPC_NOWAIT));
	S(msgrcv(q, &m, 100, 0, IPC_NOWAIT | MSG_NOERROR));
	S(msgrcv(q, &m, -1, 0, IPC_NOWAIT));
	struct msqid_ds d;
	S(msgctl(q, IPC_STAT, &d));
	P("%lu %lu %lu\n", d.__msg_cbytes, d.msg_qnum, d.msg_qbytes);
	S(msgrcv(q, &m, 9000, 0, IPC_NOWAIT));
	S(msgrcv(q, &m, 9000, 0, IPC_NOWAIT));
	S(msgrcv(q, &m, 9000, 0, IPC_NOWAIT));
	msgctl(q, IPC_RMID, NULL);
}

TEST(msg_waits_for_message) {
	int q = queue();
	pid_t one = CHILD(take(q, 5, 0)), big = CHILD(struct message m; S(msgrcv(q, &m, 1, 7, 0)));
	await(one, 'S');
	await(big, 'S');
	put(q, 6, "other");
	put(q, 5, "mine");
	REAP(one);
	put(q, 7, "large");
	REAP(big);
	take(q, 7, IPC_NOWAIT);
	take(q, 0, IPC_NOWAIT);
	msgctl(q, IPC_RMID, NULL);
}

TEST(msg_waits_for_room) {
	int q = queue();
	static struct message m = {1};
	while (msgsnd(q, &m, 8192, IPC_NOWAIT) == 0) {}
	P("%s\n", strerrorname_np(errno));
	pid_t pid = CHILD(m.type = 9; _exit(msgsnd(q, &m, 10, 0) ? errno : 0));
	await(pid, 'S');
	S(msgrcv(q, &m, 9000, 1, 0));
	REAP(pid);
	S(msgrcv(q, &m, 9000, 9, 0));
	msgctl(q, IPC_RMID, NULL);
}

TEST(msg_removed_while_waiting) {
	int q = queue(), full = queue();
	static struct message m = {1};
	while (msgsnd(full, &m, 8192, IPC_NOWAIT) == 0) {}
	pid_t a = CHILD(take(q, 0, 0)), b = CHILD(S(msgsnd(full, &m, 8192, 0)));
	await(a, 'S');
	await(b, 'S');
	msgctl(q, IPC_RMID, NULL);
	REAP(a);
	msgctl(full, IPC_RMID, NULL);
	REAP(b);
	take(q, 0, 0);
}

TEST(msg_interrupted) {
	int q = queue();
	pid_t pid = CHILD(struct sigaction a = {.sa_handler = nothing, .sa_flags = SA_RESTART}; sigaction(SIGUSR1, &a, NULL); take(q, 0, 0));
	await(pid, 'S');
	nap(10);
	kill(pid, SIGUSR1);
	REAP(pid);
	pid = CHILD(take(q, 0, 0));
	await(pid, 'S');
	nap(10);
	kill(pid, SIGSTOP);
	await(pid, 'T');
	kill(pid, SIGCONT);
	nap(10);
	put(q, 4, "after");
	REAP(pid);
	msgctl(q, IPC_RMID, NULL);
}

TEST(msg_get) {
	key_t k = key();
	S(msgget(k, 0));
	int q = OK(msgget(k, IPC_CREAT | IPC_EXCL | 0600));
	P("%d\n", msgget(k, 0) == q);
	S(msgget(k, IPC_CREAT | IPC_EXCL | 0600));
	msgctl(q, IPC_RMID, NULL);
	S(msgget(k, 0));
	S(put(q, 1, "x"));
	S(msgctl(q, IPC_RMID, NULL));
}

TEST(msg_stat) {
	int q = queue();
	struct msqid_ds d;
	S(msgctl(q, IPC_STAT, &d));
	P("%o %d %lu %lu %d %d\n", d.msg_perm.mode, d.msg_perm.__key, d.msg_qnum, d.msg_qbytes, d.msg_lspid, d.msg_lrpid);
	P("%d %d %d\n", d.msg_stime == 0, d.msg_rtime == 0, d.msg_ctime != 0);
	put(q, 1, "hello");
	S(msgctl(q, IPC_STAT, &d));
	P("%lu %lu %d %d\n", d.__msg_cbytes, d.msg_qnum, d.msg_lspid == getpid(), d.msg_stime != 0);
	take(q, 0, 0);
	S(msgctl(q, IPC_STAT, &d));
	P("%lu %lu %d %d\n", d.__msg_cbytes, d.msg_qnum, d.msg_lrpid == getpid(), d.msg_rtime != 0);
	d.msg_qbytes = 10;
	d.msg_perm.mode = 0604;
	S(msgctl(q, IPC_SET, &d));
	S(put(q, 1, "12345678901"));
	S(put(q, 1, "1234567890"));
	S(put(q, 1, ""));
	REAP(CHILD(setgroups(0, NULL); setgid(1000); setuid(1000); take(q, 0, 0); S(put(q, 1, "x")); d.msg_qbytes = 20000; S(msgctl(q, IPC_SET, &d)); S(msgctl(q, IPC_RMID, NULL))));
	msgctl(q, IPC_RMID, NULL);
}

TEST(msg_copy) {
	int q = queue();
	put(q, 1, "zero"), put(q, 2, "one");
	take(q, 1, MSG_COPY | IPC_NOWAIT);
	take(q, 1, MSG_COPY | IPC_NOWAIT);
	take(q, 2, MSG_COPY | IPC_NOWAIT);
	take(q, 1, MSG_COPY);
	take(q, 1, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT);
	msgctl(q, IPC_RMID, NULL);
}

TEST(msg_info) {
	struct msginfo i;
	P("%d\n", msgctl(0, IPC_INFO, (void *)&i) >= 0);
	P("%d %d %d %d %d %d\n", i.msgmax, i.msgmnb, i.msgmni, i.msgssz, i.msgtql, i.msgseg);
	int q = queue(), found = 0;
	put(q, 1, "abc");
	int last = msgctl(0, MSG_INFO, (void *)&i);
	P("%d %d %d %d\n", last >= 0, i.msgpool >= 1, i.msgmap >= 1, i.msgtql >= 3);
	struct msqid_ds d;
	for (int n = 0; n <= last; n++) found += msgctl(n, MSG_STAT, &d) == q;
	P("%d\n", found);
	msgctl(q, IPC_RMID, NULL);
}

TEST(msg_proc) {
	key_t k = key();
	int q = msgget(k, IPC_CREAT | 0640);
	put(q, 1, "abc");
	char line[512];
	FILE *f = fopen("/proc/sysvipc/msg", "r");
	fgets(line, sizeof line, f);
	P("%s", line);
	while (fgets(line, sizeof line, f)) {
		int k2, id2, bytes, n;
		unsigned mode;
		sscanf(line, "%d %d %o %d %d", &k2, &id2, &mode, &bytes, &n);
		if (k2 == k) P("%d %o %d %d\n", id2 == q, mode, bytes, n);
	}
	fclose(f);
	msgctl(q, IPC_RMID, NULL);
}

TEST(msg_many_processes) {
	int q = queue();
	pid_t pids[8];
	for (int i = 0; i < 8; i++)
		pids[i] = CHILD(struct message m; for (int n = 0; n < 200; n++) { m.type = i + 1; memcpy(m.text, &n, 4); msgsnd(q, &m, 4, 0); });
	int last[9], wrong = 0;
	memset(last, -1, sizeof last);
	for (int n = 0; n < 1600; n++) {
		struct message m;
		int v;
		msgrcv(q, &m, 4, 0, 0);
		memcpy(&v, m.text, 4);
		wrong += v != last[m.type] + 1;
		last[m.type] = v;
	}
	for (int i = 0; i < 8; i++) waitpid(pids[i], NULL, 0);
	P("wrong %d\n", wrong);
	msgctl(q, IPC_RMID, NULL);
}

TEST(sem_many_processes) {
	int id = sems(1), s = shm(PAGE);
	volatile int *n = shmat(s, NULL, 0);
	shmctl(s, IPC_RMID, NULL);
	OPS(id, OP(0, 1, 0));
	pid_t pids[8];
	for (int i = 0; i < 8; i++)
		pids[i] = CHILD(for (int k = 0; k < 100; k++) { OPS(id, OP(0, -1, SEM_UNDO)); int v = *n; if (k % 10 == 0) sched_yield(); *n = v + 1; OPS(id, OP(0, 1, SEM_UNDO)); });
	for (int i = 0; i < 8; i++) waitpid(pids[i], NULL, 0);
	P("%d\n", *n);
	unsem(id);
}
