// An interpreter whose operations fetch the next one by its number, as Python's do, and call
// through pointers with what the fetch has left in registers: arguments or not, one of
// them the register that the fetch jumps through, which counts vectors for functions with variable arguments.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

typedef struct machine {
	uint64_t acc;
	uint8_t tracing;
	uint64_t (*one)(uint64_t);
	uint64_t (*two)(uint64_t, uint64_t);
	uint64_t (*four)(uint64_t, uint64_t, uint64_t, uint64_t);
	uint64_t (*any)(int, ...);
} machine;

static volatile uint16_t flag;

__attribute__((noinline)) static uint64_t one(uint64_t x) { return x * 0x9e3779b97f4a7c15 ^ x >> 29; }
__attribute__((noinline)) static uint64_t two(uint64_t x, uint64_t y) { return x << 5 ^ x >> 59 ^ y; }
__attribute__((noinline)) static uint64_t four(uint64_t x, uint64_t y, uint64_t z, uint64_t w) { return one(x) + 3 * y + 5 * z + 7 * w; }
__attribute__((noinline)) static uint64_t any(int n, ...) {
	va_list l;
	va_start(l, n);
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += va_arg(l, double);
	uint64_t last = va_arg(l, uint64_t);
	va_end(l);
	return (uint64_t)sum ^ last;
}

// Each operation is written many times over, so that all are different code.
#define EIGHT(M, k) M(k##0) M(k##1) M(k##2) M(k##3) M(k##4) M(k##5) M(k##6) M(k##7)
#define ALL(M, k) EIGHT(M, k##0) EIGHT(M, k##1) EIGHT(M, k##2) EIGHT(M, k##3)
#define NEXT \
	word = *pc++; \
	arg = word >> 8; \
	op = (uint8_t)(word | m->tracing | -(flag != 0)); \
	goto *labels[op]
#define PLAIN(n) \
	p##n : m->acc = m->acc * (2 * 0x##n + 3) + arg; \
	if (m->acc & 64) s[0x##n & 7] += op; \
	NEXT;
#define ONE(n) \
	q##n : m->acc = m->one(m->acc + 0x##n); \
	NEXT;
#define TWO(n) \
	r##n : m->acc = m->two(m->acc ^ s[0x##n & 7], arg); \
	if ((m->acc & 15) == 3) m->acc += m->four(m->acc, arg, 0x##n, op); \
	NEXT;
#define ANY(n) \
	t##n : s[0x##n & 7] += 0x##n & 1 ? m->any(2, (double)arg, 1.5 * op, m->acc) : m->any(0, (uint64_t)arg); \
	NEXT;
#define LABEL_p(n) &&p##n,
#define LABEL_q(n) &&q##n,
#define LABEL_r(n) &&r##n,
#define LABEL_t(n) &&t##n,

enum { OPS = 4 * 32 };

__attribute__((noinline)) static uint64_t run(machine *m, const uint16_t *pc) {
	static const void *labels[256] = {ALL(LABEL_p, ) ALL(LABEL_q, ) ALL(LABEL_r, ) ALL(LABEL_t, ) [OPS] = &&end, &&loop, [255] = &&traced};
	uint64_t s[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	const uint16_t *start = pc;
	uint32_t arg, left = 50;
	uint16_t word;
	uint8_t op;
	NEXT;
	ALL(PLAIN, )
	ALL(ONE, )
	ALL(TWO, )
	ALL(ANY, )
traced:
	flag = 0;
	m->acc ^= 0x5555;
	pc--;
	NEXT;
loop:
	if (left-- > 0) {
		flag = left % 7 == 0;
		pc = start;
	}
	NEXT;
end:
	for (int i = 0; i < 8; i++)
		m->acc = two(m->acc, s[i]);
	return m->acc;
}

int main(void) {
	static uint16_t program[2000];
	uint32_t seed = 1;
	for (int round = 0; round < 20; round++) {
		int n = 50 + round * 90;
		for (int i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			program[i] = (seed >> 8) % OPS | (seed >> 16 & 0xff00);
		}
		program[n] = OPS + 1;
		program[n + 1] = OPS;
		machine m = {round, 0, one, two, four, any};
		printf("%d %016lx\n", round, (unsigned long)run(&m, program));
	}
	return 0;
}
