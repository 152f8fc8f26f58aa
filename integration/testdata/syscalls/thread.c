#include "test.h"

static long futex(void *w, int op, uint32_t v, void *t, void *w2, uint32_t v3) { return syscall(SYS_futex, w, op, v, t, w2, v3); }

enum { THREADS = 32 };
static pthread_t threads[THREADS];
static void start(int n, void *(*f)(void *)) { for (long i = 0; i < n; i++) pthread_create(&threads[i], NULL, f, (void *)i); }
static void join(int n) { for (int i = 0; i < n; i++) pthread_join(threads[i], NULL); }

TEST(join_gives_value) {
	void *f(void *x) { return (void *)42; }
	void *v;
	pthread_create(&threads[0], NULL, f, NULL);
	S(pthread_join(threads[0], &v));
	P("%ld\n", (long)v);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile long counter;
TEST(mutex_under_stress) {
	void *f(void *x) { for (int i = 0; i < 2000; i++) { pthread_mutex_lock(&mutex); counter++; pthread_mutex_unlock(&mutex); } return NULL; }
	start(THREADS, f);
	join(THREADS);
	P("%ld\n", counter);
}

TEST(atomics_under_stress) {
	static atomic_long a;
	void *f(void *x) { for (int i = 0; i < 20000; i++) a++; return NULL; }
	start(8, f);
	join(8);
	P("%ld\n", (long)a);
}

TEST(condition_ping_pong) {
	static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	static int turn;
	void *f(void *x) {
		for (int i = 0; i < 1000; i++) {
			pthread_mutex_lock(&mutex);
			while (turn != (long)x) pthread_cond_wait(&cond, &mutex);
			turn = !turn;
			counter++;
			pthread_cond_broadcast(&cond);
			pthread_mutex_unlock(&mutex);
		}
		return NULL;
	}
	start(2, f);
	join(2);
	P("%ld\n", counter);
}

TEST(condition_timeout) {
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 10000000;
	if (ts.tv_nsec >= 1000000000) ts.tv_sec++, ts.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	P("%s\n", strerrorname_np(pthread_cond_timedwait(&cond, &mutex, &ts)));
}

TEST(barrier) {
	static pthread_barrier_t b;
	static atomic_int serial;
	pthread_barrier_init(&b, NULL, THREADS);
	void *f(void *x) { for (int i = 0; i < 50; i++) if (pthread_barrier_wait(&b) == PTHREAD_BARRIER_SERIAL_THREAD) serial++; return NULL; }
	start(THREADS, f);
	join(THREADS);
	P("%d\n", serial);
}

TEST(rwlock) {
	static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
	static atomic_int wrong;
	static volatile int a, b;
	void *f(void *x) {
		for (int i = 0; i < 500; i++) {
			if ((long)x % 4 == 0) { pthread_rwlock_wrlock(&l); a++; b++; } else { pthread_rwlock_rdlock(&l); if (a != b) wrong++; }
			pthread_rwlock_unlock(&l);
		}
		return NULL;
	}
	start(16, f);
	join(16);
	P("%d %d\n", a, wrong);
}

TEST(semaphore) {
	static sem_t s;
	sem_init(&s, 0, 3);
	static atomic_int in, most;
	void *f(void *x) { for (int i = 0; i < 100; i++) { sem_wait(&s); int n = ++in; if (n > 3) most = n; in--; sem_post(&s); } return NULL; }
	start(8, f);
	join(8);
	P("%d\n", most);
	for (int i = 0; i < 3; i++) sem_wait(&s);
	S(sem_trywait(&s));
}

TEST(once_and_keys) {
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static atomic_int inits, destroyed;
	static pthread_key_t key;
	void init(void) { inits++; }
	void destroy(void *x) { destroyed++; }
	void *f(void *x) { pthread_once(&once, init); pthread_setspecific(key, &key); return NULL; }
	pthread_key_create(&key, destroy);
	start(8, f);
	join(8);
	P("%d %d\n", inits, destroyed);
}

TEST(thread_local_storage) {
	static __thread int tls = 5;
	static atomic_int sum;
	void *f(void *x) { tls += (long)x; sched_yield(); sum += tls; return NULL; }
	start(8, f);
	join(8);
	P("%d %d\n", sum, tls);
}

TEST(detached_threads) {
	static atomic_int done;
	void *f(void *x) { pthread_detach(pthread_self()); done++; return NULL; }
	start(8, f);
	while (done < 8) nap(1);
	P("%d\n", done);
}

TEST(cancel_blocked_thread) {
	void *f(void *x) { for (;;) pause(); }
	void *v;
	start(1, f);
	nap(5);
	pthread_cancel(threads[0]);
	pthread_join(threads[0], &v);
	P("%d\n", v == PTHREAD_CANCELED);
}

TEST(many_short_threads) {
	void *f(void *x) { __sync_fetch_and_add(&counter, 1); return NULL; }
	for (int k = 0; k < 20; k++) { start(16, f); join(16); }
	P("%ld\n", counter);
}

TEST(fork_from_thread) {
	void *f(void *x) { REAP(CHILD(P("child of thread %d\n", gettid() == getpid()); exit(3))); return NULL; }
	start(1, f);
	join(1);
}

TEST(fork_with_busy_threads) {
	static volatile int stop;
	void *f(void *x) { while (!stop) free(malloc(100)); return NULL; }
	start(4, f);
	for (int i = 0; i < 20; i++) {
		pid_t pid = CHILD(free(malloc(1000)); _exit(i));
		int st;
		waitpid(pid, &st, 0);
		if (WEXITSTATUS(st) != i) P("wrong\n");
	}
	stop = 1;
	join(4);
	P("done\n");
}

TEST(robust_mutex) {
	static pthread_mutex_t m;
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&m, &a);
	void *f(void *x) { pthread_mutex_lock(&m); return NULL; }
	start(1, f);
	join(1);
	P("%s\n", strerrorname_np(pthread_mutex_lock(&m)));
	S(pthread_mutex_consistent(&m));
	S(pthread_mutex_unlock(&m));
	S(pthread_mutex_lock(&m));
}

TEST(robust_mutex_across_processes) {
	pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(m, &a);
	int p[2];
	pipe(p);
	pid_t pid = CHILD(pthread_mutex_lock(m); write(p[1], "x", 1); for (;;) pause());
	char c;
	read(p[0], &c, 1);
	pid_t killer = CHILD(nap(10); kill(pid, SIGKILL));
	P("%s\n", strerrorname_np(pthread_mutex_lock(m)));
	REAP(pid);
	REAP(killer);
}

TEST(pi_mutex) {
	static pthread_mutex_t m;
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&m, &a);
	void *f(void *x) { for (int i = 0; i < 500; i++) { pthread_mutex_lock(&m); counter++; pthread_mutex_unlock(&m); } return NULL; }
	start(8, f);
	join(8);
	P("%ld\n", counter);
}

TEST(shared_mutex_across_processes) {
	struct { pthread_mutex_t m; volatile int n; } *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&s->m, &a);
	pid_t pids[4];
	for (int i = 0; i < 4; i++) pids[i] = CHILD(for (int k = 0; k < 1000; k++) { pthread_mutex_lock(&s->m); s->n++; pthread_mutex_unlock(&s->m); });
	for (int i = 0; i < 4; i++) REAP(pids[i]);
	P("%d\n", s->n);
}

TEST(shared_semaphore_across_processes) {
	sem_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sem_init(s, 1, 0);
	pid_t pid = CHILD(sem_wait(s); P("woken\n"));
	nap(5);
	sem_post(s);
	REAP(pid);
}

TEST(futex_errors) {
	uint32_t w = 1;
	struct timespec bad = {0, -1}, soon = {0, 1000000};
	S(futex(&w, FUTEX_WAIT, 0, NULL, NULL, 0));
	S(futex(&w, FUTEX_WAIT, 1, &soon, NULL, 0));
	S(futex(&w, FUTEX_WAIT, 1, &bad, NULL, 0));
	S(futex((char *)&w + 1, FUTEX_WAIT, 1, NULL, NULL, 0));
	S(futex((void *)8, FUTEX_WAIT, 1, NULL, NULL, 0));
	S(futex(&w, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0));
	S(futex(&w, FUTEX_WAKE, 1, NULL, NULL, 0));
	S(futex(&w, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
	S(futex(&w, 99, 1, NULL, NULL, 0));
	S(futex(&w, FUTEX_CMP_REQUEUE, 1, (void *)1, &w, 7));
	S(futex(&w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
}

static uint32_t word, word2;
static atomic_int waiting, woken;
static void *waits(void *bits) {
	waiting++;
	if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (long)bits) == 0) woken++;
	return NULL;
}
static void until(int n, atomic_int *v) { while (*v < n) nap(1); nap(50); } // they count just before they sleep

TEST(futex_wake_counts) {
	for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, waits, (void *)-1);
	until(5, &waiting);
	S(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0));
	until(2, &woken);
	P("%d\n", woken);
	S(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	join(5);
	P("%d\n", woken);
}

TEST(futex_bitset) {
	for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, waits, (void *)(1L << i));
	until(4, &waiting);
	S(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 5));
	S(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 16));
	S(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 15));
	join(4);
}

TEST(futex_requeue) {
	for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, waits, (void *)-1);
	until(5, &waiting);
	S(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &word2, 0));
	S(futex(&word2, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	S(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	join(5);
}

TEST(futex_wake_op) {
	for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, waits, (void *)-1);
	until(2, &waiting);
	word2 = 5;
	S(futex(&word2, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 0)));
	P("%u\n", word);
	S(futex(&word2, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word, FUTEX_OP(FUTEX_OP_OR, 8, FUTEX_OP_CMP_GT, 7)));
	P("%u\n", word);
	S(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	join(2);
}

static long waitv(struct futex_waitv *w, unsigned n, struct timespec *until, int clock) {
	return syscall(SYS_futex_waitv, w, n, 0, until, clock);
}
static struct futex_waitv on(uint32_t *w, uint32_t value) { return (struct futex_waitv){value, (long)w, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0}; }

static uint32_t several[3];
static void *waits_for_several(void *unused) {
	struct futex_waitv w[] = {on(&several[0], 0), on(&several[1], 0), on(&several[2], 0)};
	waiting++;
	S(waitv(w, 3, NULL, 0));
	return NULL;
}
TEST(futex_waitv) {
	for (int i = 0; i < 3; i++) {
		waiting = 0;
		pthread_create(&threads[0], NULL, waits_for_several, NULL);
		until(1, &waiting);
		int n = futex(&several[2 - i], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
		join(1);
		P("%d %ld\n", n, futex(&several[i], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
	}
}

TEST(futex_waitv_twice_the_same_word) {
	struct timespec past = {0, 1};
	struct futex_waitv w[] = {on(&several[0], 0), on(&several[0], 0)};
	S(waitv(w, 2, &past, CLOCK_MONOTONIC));
}

TEST(futex_waitv_errors) {
	struct timespec past = {0, 1}, bad = {0, -1};
	struct futex_waitv w[2] = {on(&several[0], 0), on(&several[1], 1)};
	S(waitv(w, 2, NULL, 0));
	S(waitv(w, 0, NULL, 0));
	S(waitv(w, 129, NULL, 0));
	S(waitv(NULL, 1, NULL, 0));
	S(waitv((void *)8, 1, NULL, 0));
	S(waitv(w, 1, &past, CLOCK_MONOTONIC));
	S(waitv(w, 1, &past, CLOCK_REALTIME));
	S(waitv(w, 1, &past, CLOCK_BOOTTIME));
	S(waitv(w, 1, &bad, CLOCK_MONOTONIC));
	S(syscall(SYS_futex_waitv, w, 1, 1, NULL, 0));
	w[0].uaddr++;
	S(waitv(w, 1, NULL, 0));
	w[0].uaddr = 8;
	S(waitv(w, 1, NULL, 0));
	w[0] = on(&several[0], 0), w[0].__reserved = 1;
	S(waitv(w, 1, NULL, 0));
	w[0] = on(&several[0], 0), w[0].val |= 1UL << 32;
	S(waitv(w, 1, NULL, 0));
	w[0] = on(&several[0], 0), w[0].flags = 0;
	S(waitv(w, 1, &past, CLOCK_MONOTONIC));
}

static void wakes_up(int sig) { P("signal\n"); }
TEST(futex_waitv_signal) {
	struct sigaction a = {.sa_handler = wakes_up};
	sigaction(SIGALRM, &a, NULL);
	struct futex_waitv w[] = {on(&several[0], 0)};
	ualarm(20000, 0);
	S(waitv(w, 1, NULL, 0));
}

TEST(futex_in_shared_file) {
	char name[] = "/tmp/futexXXXXXX";
	int fd = mkstemp(name);
	ftruncate(fd, 4096);
	uint32_t *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid_t pid = CHILD(uint32_t *b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); munmap(a, 4096);
		while (*b == 0) futex(b, FUTEX_WAIT, 0, NULL, NULL, 0); P("child saw %u\n", *b));
	nap(5);
	*a = 7;
	futex(a, FUTEX_WAKE, 1, NULL, NULL, 0);
	REAP(pid);
	unlink(name);
}

static int clone_fn(void *x) { counter = 9; return 4; }
TEST(clone_vm_with_stack) {
	static char stack[65536];
	pid_t pid = clone(clone_fn, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
	REAP(pid);
	P("%ld\n", counter);
}

TEST(clone_tids) {
	pid_t *ids = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct clone_args a = {.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, .parent_tid = (long)&ids[0], .child_tid = (long)&ids[1], .exit_signal = SIGCHLD};
	pid_t pid = syscall(SYS_clone3, &a, sizeof a);
	if (pid == 0) _exit(ids[1] == getpid() ? 1 : 2);
	REAP(pid);
	P("%d\n", ids[0] == pid);
}

TEST(clone_files_and_fs) {
	char *stack = malloc(65536);
	int f(void *x) { close(5); open("/dev/null", O_RDONLY); chdir("/"); umask(077); return 0; }
	dup2(1, 5);
	chdir("/tmp");
	umask(022);
	REAP(clone(f, stack + 65536, CLONE_FILES | CLONE_FS | SIGCHLD, NULL));
	char b[100];
	P("%s %o %d\n", getcwd(b, 100), umask(0), fcntl(5, F_GETFD) < 0 || lseek(5, 0, SEEK_CUR) == 0);
	chdir("/tmp");
	REAP(clone(f, stack + 65536, SIGCHLD, NULL));
	P("%s\n", getcwd(b, 100));
}

TEST(clone_parent) {
	pid_t pid = fork();
	if (pid == 0) {
		struct clone_args a = {.flags = CLONE_PARENT};
		pid_t p = syscall(SYS_clone3, &a, sizeof a);
		_exit(p == 0 ? 5 : 6);
	}
	int sum = 0, st;
	while (wait(&st) > 0) sum += WEXITSTATUS(st);
	P("%d\n", sum);
}

TEST(clone_errors) {
	struct clone_args a = {0};
	long flags[] = {CLONE_THREAD, CLONE_SIGHAND, CLONE_THREAD | CLONE_VM, CLONE_FS | CLONE_NEWNS, 1L << 50, CLONE_DETACHED, CLONE_PIDFD | CLONE_DETACHED, 0xff, CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND};
	for (int i = 0; i < 9; i++) { a.flags = flags[i]; S(syscall(SYS_clone3, &a, sizeof a)); }
	a.flags = 0;
	a.stack_size = 4096;
	S(syscall(SYS_clone3, &a, sizeof a));
	S(syscall(SYS_clone3, &a, 8));
	S(syscall(SYS_clone3, &a, 5000));
	S(syscall(SYS_clone3, 8, sizeof a));
	a.stack_size = 0;
	a.exit_signal = 65;
	S(syscall(SYS_clone3, &a, sizeof a));
	S(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
}

TEST(clear_sighand) {
	void h(int s) {}
	signal(SIGUSR1, h);
	signal(SIGUSR2, SIG_IGN);
	struct clone_args a = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	pid_t pid = syscall(SYS_clone3, &a, sizeof a);
	if (pid == 0) {
		struct sigaction x, y;
		sigaction(SIGUSR1, NULL, &x);
		sigaction(SIGUSR2, NULL, &y);
		_exit((x.sa_handler == SIG_DFL) + 2 * (y.sa_handler == SIG_IGN));
	}
	REAP(pid);
}

// A condition variable with a lock that passes on priorities, in the words cond
// and pi.
static uint32_t cond, pi;
static atomic_int waits_pi, owners, kinds[200];
static struct timespec *pi_deadline;

static void *waits_for_pi(void *x) {
	waits_pi++;
	if (futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, pi_deadline, &pi, 0) < 0) {
		kinds[errno]++;
		return NULL;
	}
	if ((pi & FUTEX_TID_MASK) == gettid()) owners++;
	if (futex(&pi, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) < 0) kinds[errno]++;
	return NULL;
}

static void pi_result(void) {
	P("owners %d, EAGAIN %d, EINTR %d, ETIMEDOUT %d, lock %#x\n", owners, kinds[EAGAIN], kinds[EINTR], kinds[ETIMEDOUT], pi & ~FUTEX_TID_MASK);
}

static struct timespec *in_ms(int ms) {
	static struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms * 1000000L;
	if (t.tv_nsec >= 1000000000) t.tv_nsec -= 1000000000, t.tv_sec++;
	return &t;
}

TEST(futex_requeue_pi_of_a_held_lock) {
	S(futex(&pi, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, waits_for_pi, NULL);
	until(4, &waits_pi);
	S(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &pi, 7));
	S(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &pi, 0));
	P("%#x\n", pi & ~FUTEX_TID_MASK);
	S(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &pi, 0));
	S(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &pi, 0));
	S(futex(&pi, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	join(4);
	pi_result();
}

TEST(futex_requeue_pi_of_a_free_lock) {
	for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, waits_for_pi, NULL);
	until(4, &waits_pi);
	S(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &pi, 0));
	nap(20);
	pi_result();
	S(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &pi, 0));
	join(4);
	pi_result();
}

TEST(futex_requeue_pi_errors) {
	uint32_t w = 0;
	S(futex(&w, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &pi, 0));
	S(futex(&w, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &w, 0));
	S(futex(&w, FUTEX_WAIT_REQUEUE_PI, 0, in_ms(5), &pi, 0));
	S(futex(&w, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &w, 0));
	S(futex(&w, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &pi, 0));
	S(futex(&w, FUTEX_CMP_REQUEUE_PI, 1, (void *)-1, &pi, 0));
	S(futex(&w, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &pi, 0));
	S(futex(&w, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &pi, 1));
	pthread_create(&threads[0], NULL, waits, (void *)-1);
	until(1, &waiting);
	S(futex(&word, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &pi, 0));
	S(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	join(1);
}

TEST(futex_requeue_pi_timeout) {
	S(futex(&pi, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	pi_deadline = in_ms(300);
	for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, waits_for_pi, NULL);
	until(2, &waits_pi);
	S(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &pi, 0));
	join(2);
	pi_result();
	S(futex(&pi, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	P("%#x\n", pi);
}

static void nothing(int sig) {}

TEST(futex_requeue_pi_signals) {
	struct sigaction a = {.sa_handler = nothing};
	sigaction(SIGUSR1, &a, NULL);
	S(futex(&pi, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, waits_for_pi, NULL);
	until(2, &waits_pi);
	pthread_kill(threads[1], SIGUSR1); // it goes on waiting
	nap(20);
	pi_result();
	S(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &pi, 0));
	pthread_kill(threads[0], SIGUSR1);
	pthread_join(threads[0], NULL);
	pi_result();
	S(futex(&pi, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	pthread_join(threads[1], NULL);
	pi_result();
}
