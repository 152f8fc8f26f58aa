// What functions hand on without touching it: arguments that came in, for the
// next call, and, in hand-written code, registers that no convention mentions, which some ways read
// and others do not.
#include <complex.h>
#include <stdio.h>

#define NOINLINE __attribute__((noinline))

static long last;

NOINLINE static int whole(double x) { return (int)(x * 100); }
NOINLINE static int wholef(float x, int n) { return (int)(x * 10) + n; }
NOINLINE static int both(double complex z) { return (int)__real__ z * 1000 + (int)__imag__ z; }
NOINLINE static int eight(double a, double b, double c, double d, double e, double f, double g, double h) {
	return (int)(a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h);
}
NOINLINE static void note(double x) { last = (long)(x * 1000); }

// None of them has the number in its own result.
NOINLINE static int apply(int (*f)(double), double x) { return f(x) + 1; }
NOINLINE static int applyf(int (*f)(float, int), float x, int n) { return f(x, n) * 2; }
NOINLINE static int apply2(int (*f)(double complex), double complex z) { return f(z) - 1; }
NOINLINE static int apply8(int (*fn)(double, double, double, double, double, double, double, double), double a, double b, double c, double d, double e, double f,
                           double g, double h) {
	return fn(a, b, c, d, e, f, g, h) + 1;
}
NOINLINE static int late(void (*f)(double), double x, int n) {
	if (n > 0)
		last = n; // no call on this way either
	f(x);
	return n + 1;
}
NOINLINE static int library(double x) { return snprintf(NULL, 0, "%.3f", x) + 1; } // of another unit
NOINLINE static int twice(double x, int (*f)(double)) { return library(x) + apply(f, x); }

#ifndef __clang__
// A nested function gets its frame in r10 and hands it on.
NOINLINE static long nested(long n) {
	long sum = 0;
	NOINLINE void add(long k) { sum += k * n; }
	NOINLINE void more(long k) {
		if (k > 2)
			add(k);
		sum++;
	}
	for (long i = 0; i < 5; i++)
		more(i);
	return sum;
}
#else
static long nested(long n) { return n; }
#endif

// odd(n): hand-written functions that pass what they like in r11, xmm9 and rax.
long odd(long n, long (*f)(long));
__asm__(".text\n"
        ".balign 16\n"
        "some:\n" // r11 for an odd edi, or as it was
        "	test $1, %dil\n"
        "	je 1f\n"
        "	lea 100(%rdi), %r11\n"
        "1:	ret\n"
        ".balign 16\n"
        "reads:\n" // eax + r11 + xmm9 for edi above 1
        "	cmp $1, %edi\n"
        "	jbe 1f\n"
        "	add %r11, %rax\n"
        "	movq %xmm9, %rdx\n"
        "	add %rdx, %rax\n"
        "1:	ret\n"
        ".balign 16\n"
        "passes:\n" // has a call in front, of one that leaves them alone
        "	push %rdi\n"
        "	call some\n"
        "	pop %rdi\n"
        "	call reads\n"
        "	add $7, %rax\n"
        "	ret\n"
        ".balign 16\n"
        "results:\n" // → r10 and xmm9
        "	lea (%rdi,%rdi,4), %r10\n"
        "	movq %r10, %xmm9\n"
        "	ret\n"
        ".balign 16\n"
        ".globl odd\n"
        ".type odd, @function\n"
        "odd:\n"
        "	push %rbx\n"
        "	push %rdi\n"
        "	sub $8, %rsp\n"
        "	call *%rsi\n" // what it leaves in other registers is nothing
        "	mov 8(%rsp), %rdi\n"
        "	mov $5000, %r11\n"
        "	mov %rax, %rbx\n"
        "	call results\n"
        "	mov %rbx, %rax\n"
        "	call passes\n"
        "	cmp $2, %edi\n"
        "	jbe 1f\n"
        "	add %r10, %rax\n"
        "1:	add $8, %rsp\n"
        "	pop %rdi\n"
        "	pop %rbx\n"
        "	ret\n"
        ".size odd, .-odd\n");

static long plus(long n) {
	last = n;
	return n + 1;
}

int main(int argc, char **argv) {
	volatile double y = argc + 2.5;
	int (*volatile f)(double) = whole;
	long n = 0;
	n += apply(f, y * 3);
	n += applyf(wholef, (float)y * 5, 3);
	n += apply2(both, y * 7 + y * 9 * I);
	n += apply8(eight, y, y + 1, y * 2, y - 1, y / 2, y * y, y + 3, 1 / y);
	printf("%ld\n", n);
	for (int i = 0; i < 3; i++) {
		printf("%d", late(note, y * i + 0.125, i));
		printf(" %ld %d %d\n", last, library(y * 16 * i + 1), twice(y + i, f));
	}
	printf("%ld\n", nested(argc + 2));
	for (long i = 0; i < 6; i++)
		printf("%ld\n", odd(i, plus));
	return 0;
}
