// Two values that reach calls in the same register by different ways: what
// one way hands on in r9 is not what the other does.
#include <stdio.h>

__attribute__((noinline)) long six(long a, long b, long c, long d, long e, long f) { return a + 2 * b + 3 * c + 5 * d + 7 * e + 11 * f; }
__attribute__((noinline)) long three(long a, long b, long c) { return a - b - c; }
__attribute__((noinline)) void nothing(void) { __asm__ volatile("mov $99, %%r9" ::: "r9"); }

// pick(kind, a, b): six(a, a, a, a, a, b) or three(a, a, a)
long pick(long kind, long a, long b);
__asm__(
	".globl pick\n"
	"pick: sub $24, %rsp\n"
	"test $4, %dil\n"
	"je 1f\n"
	"mov %rdi, (%rsp); mov %rsi, 8(%rsp); mov %rdx, 16(%rsp)\n"
	"call nothing\n"
	"mov (%rsp), %rdi; mov 8(%rsp), %rsi; mov 16(%rsp), %rdx\n"
	"1: mov %rsi, %rcx\n"
	"mov %rsi, %r8\n"
	"and $3, %edi\n"
	"cmp $1, %edi\n"
	"jne 2f\n"
	"mov %rdx, %r9\n"
	"mov %rsi, %rdi; mov %rsi, %rdx\n"
	"call six\n"
	"jmp 4f\n"
	"2: cmp $2, %edi\n"
	"jne 3f\n"
	"mov %rdx, %r9\n"
	"mov %rcx, %rdi; mov %rcx, %rdx\n"
	"call six\n"
	"jmp 4f\n"
	"3: mov %rsi, %rdi; mov %rsi, %rdx\n"
	"call three\n"
	"4: add $24, %rsp\n"
	"ret\n");

int main(void) {
	for (long kind = 0; kind < 8; kind++)
		printf("%ld %ld\n", kind, pick(kind, 10, 1000));
	return 0;
}
