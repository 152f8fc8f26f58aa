// Threaded code with so many labels that edges from each jump to each label would
// be half a million: operations are addresses in the program, as PHP's are. They
// call, return from the middle, call themselves and are jumped out of. With MORE
// there are so many that each jump leaves the function.
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

typedef struct op {
	const void *go;
	uint32_t arg;
} op;

static jmp_buf out;
static const void **handlers;
static volatile sig_atomic_t ticked;

static void tick(int sig) { ticked = 1; }

__attribute__((noinline)) static uint64_t mix(uint64_t x, uint64_t y) {
	x ^= y * 0x9e3779b97f4a7c15;
	return x << 7 | x >> 57;
}

// Each operation is written many times over, so that all are different code.
#define LABELS(name) \
	&&name##0, &&name##1, &&name##2, &&name##3, &&name##4, &&name##5, &&name##6, &&name##7, &&name##8, &&name##9, &&name##10, &&name##11, &&name##12, &&name##13, &&name##14, &&name##15
#define NEXT \
	pc++; \
	goto *pc->go
#define SIMPLE(name, n) \
	name##n : acc = acc * (2 * n + 3) + pc->arg; \
	if (acc & 64) s[n & 7] += acc >> 3; \
	NEXT;
#define CALL(name, n) \
	name##n : acc = mix(acc + n, s[n & 7] + pc->arg); \
	NEXT;
#define ROW(what, name) \
	what(name, 0) what(name, 1) what(name, 2) what(name, 3) what(name, 4) what(name, 5) what(name, 6) what(name, 7) what(name, 8) what(name, 9) what(name, 10) what(name, 11) what(name, 12) \
		what(name, 13) what(name, 14) what(name, 15)
#define ROWS(M, what, p) M(what, p##a) M(what, p##b) M(what, p##c) M(what, p##d) M(what, p##e) M(what, p##f) M(what, p##g) M(what, p##h)
#ifdef MORE
#define GROUPS(M, what, p) ROWS(M, what, p##1) ROWS(M, what, p##2) ROWS(M, what, p##3) ROWS(M, what, p##4) ROWS(M, what, p##5)
enum { OPS = 2 * 5 * 8 * 16 };
#else
#define GROUPS(M, what, p) ROWS(M, what, p##1) ROWS(M, what, p##2) ROWS(M, what, p##3)
enum { OPS = 2 * 3 * 8 * 16 };
#endif
#define GROUP(what, p) GROUPS(ROW, what, p)
#define LABEL(what, name) LABELS(name),
#define GROUPLABELS(p) GROUPS(LABEL, 0, p)

static uint64_t run(op *program, int depth) {
	static const void *all[] = {GROUPLABELS(x) GROUPLABELS(y) &&again, &&leave, &&jump, &&end, &&back};
	_Static_assert(sizeof all / sizeof *all == OPS + 5, "a label for each operation");
	if (!program) {
		handlers = all;
		return 0;
	}
	uint64_t s[8] = {1, 2, 3, 4, 5, 6, 7, 8}, acc = depth;
	op *pc = program;
	goto *pc->go;

	GROUP(SIMPLE, x)
	GROUP(CALL, y)
again:
	if (depth > 0) acc += run(program, depth - 1);
	NEXT;
leave:
	if (acc & 1) return acc ^ s[acc & 7];
	NEXT;
jump:
	if (depth == 0 && pc->arg % 3 == 0) longjmp(out, 1);
	NEXT;
back:
	if (!ticked) pc = program;
	NEXT;
end:
	for (int i = 0; i < 8; i++) acc = mix(acc, s[i]);
	return acc;
}

int main(void) {
	run(NULL, 0);
	static op program[3000];
	uint32_t seed = 1;
	for (int round = 0; round < 40; round++) {
		int n = 100 + round * 70;
		for (int i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			int which = (seed >> 8) % OPS;
			if (i % 97 == 50) which = OPS + (seed >> 20) % 3;
			program[i] = (op){handlers[which], seed >> 16};
		}
		program[n] = (op){handlers[OPS + 3], 0};
		volatile int jumps = 0;
		if (setjmp(out)) jumps = 1;
		if (jumps)
			printf("%d: jumped out\n", round);
		else
			printf("%d: %016llx\n", round, (unsigned long long)run(program, round % 3));
	}
	// A loop through the labels that only a signal ends.
	static op loop[30];
	for (int i = 0; i < 20; i++) loop[i] = (op){handlers[i * 7], i};
	loop[20] = (op){handlers[OPS + 4], 0};
	loop[21] = (op){handlers[OPS + 3], 0};
	signal(SIGALRM, tick);
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 3000}, NULL);
	run(loop, 0);
	puts("ticked");
	return 0;
}
