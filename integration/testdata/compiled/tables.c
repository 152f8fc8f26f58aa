// Threaded code whose operations are numbers that can't be too large, so that each operation ends with a jump by the whole table:
// edges from each of 256 to each of 256, and from each of ten, that others go on in, to each of 32. Operations call, return from the
// middle, call themselves and are jumped out of.
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf out;
static const uint8_t *last;

__attribute__((noinline)) static uint64_t mix(uint64_t x, uint64_t y) {
	x ^= y * 0x9e3779b97f4a7c15;
	return x << 7 | x >> 57;
}

#define LABELS(p) &&p##_0, &&p##_1, &&p##_2, &&p##_3, &&p##_4, &&p##_5, &&p##_6, &&p##_7, &&p##_8, &&p##_9, &&p##_a, &&p##_b, &&p##_c, &&p##_d, &&p##_e, &&p##_f
#define ROW(M, p) M(p, 0) M(p, 1) M(p, 2) M(p, 3) M(p, 4) M(p, 5) M(p, 6) M(p, 7) M(p, 8) M(p, 9) M(p, a) M(p, b) M(p, c) M(p, d) M(p, e) M(p, f)
#define N(n) 0x##n

#define SIMPLE(p, n) \
	p##_##n : acc = acc * (2 * N(n) + 3) + (uintptr_t)pc % 16; \
	if (acc & 64) s[N(n) & 7] += acc >> 3; \
	goto *all[*pc++];
#define CALL(p, n) \
	p##_##n : acc = mix(acc + N(n), s[N(n) & 7] + *pc); \
	goto *all[*pc++];
#define RETURN(p, n) \
	p##_##n : if (acc % 61 == N(n) || pc > last) return acc ^ s[acc & 7]; \
	goto *all[*pc++];
#define AGAIN(p, n) \
	p##_##n : if (depth > 0 && acc % 5 == 0) acc += run(pc, depth - 1); \
	goto *all[*pc++];
#define OUT(p, n) \
	p##_##n : if (depth == 0 && acc % 97 == N(n)) longjmp(out, 1 + N(n)); \
	goto *all[*pc++];

static uint64_t run(const uint8_t *pc, int depth) {
	static const void *const all[256] = {
		LABELS(a), LABELS(b), LABELS(c), LABELS(d), LABELS(e), LABELS(f), LABELS(g), LABELS(h), LABELS(i), LABELS(j), LABELS(k), LABELS(l), LABELS(m), LABELS(n), LABELS(o), LABELS(p)};
	uint64_t s[8] = {1, 2, 3, 4, 5, 6, 7, 8}, acc = depth + 1;
	goto *all[*pc++];

	ROW(SIMPLE, a) ROW(SIMPLE, b) ROW(SIMPLE, c) ROW(SIMPLE, d) ROW(SIMPLE, e) ROW(SIMPLE, f) ROW(SIMPLE, g) ROW(SIMPLE, h) ROW(SIMPLE, i)
	ROW(CALL, j) ROW(CALL, k) ROW(CALL, l) ROW(CALL, m)
	ROW(RETURN, n) ROW(AGAIN, o) ROW(OUT, p)
}

// Numbers past the last one are bits that the mask drops.
#define SHORT(p, n) \
	p##_##n : acc += acc << N(n) % 7 ^ *pc; \
	if (--left == 0) return acc; \
	if (N(n) % 3) goto next; \
	goto *all[*pc++ & 31];
#define MORE(p, n) \
	p##_##n : acc = mix(acc, N(n)); \
	if (--left == 0) return acc; \
	goto next;

static uint64_t few(const uint8_t *pc, int left) {
	static const void *const all[32] = {LABELS(a), LABELS(b)};
	uint64_t acc = 1;
next:
	goto *all[*pc++ & 31];
	ROW(SHORT, a) ROW(MORE, b)
}

int main(void) {
	static uint8_t code[4096];
	last = code + 4000;
	uint32_t seed = 12345;
	volatile int outs = 0;
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < sizeof code; i++) {
			seed = seed * 1664525 + 1013904223;
			code[i] = seed >> 24;
			if (i >= 4000) code[i] = 0xd0 + i % 16; // return
		}
		int by = setjmp(out);
		if (by)
			outs += by;
		else
			printf("%d: %llx\n", round, (unsigned long long)run(code + seed % 1000, round % 4));
		printf("   %llx\n", (unsigned long long)few(code, 3000));
	}
	printf("%d out\n", outs);
}
