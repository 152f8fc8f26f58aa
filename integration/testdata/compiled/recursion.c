// Recursion that has to poll, called in a loop whose registers gcc does not
// save around the call, as it sees that the callee leaves them alone
// (-fipa-ra): a poll must leave them alone too.
#include <stdio.h>

__attribute__((noinline)) static unsigned fib(unsigned n) {
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

__attribute__((noinline)) static unsigned sums(unsigned n) {
	unsigned sum = 0;
	for (unsigned i = 0; i < n; i++) sum = sum * 31 + fib(12 + (i & 7));
	return sum;
}

// Two that call each other, with arguments that only one of them reads.
__attribute__((noinline)) static long odd(long n, long a, long b, long c, long d);
__attribute__((noinline)) static long even(long n, long a, long b, long c, long d) {
	return n == 0 ? a + b + c + d : odd(n - 1, a + 1, b, c, d) ^ 1;
}
static long odd(long n, long a, long b, long c, long d) {
	return n == 0 ? d : even(n - 1, a, b + 2, d, c) + (n & 3);
}

int main(void) {
	printf("%08x\n", sums(60));
	long all = 0;
	for (long i = 0; i < 2000; i++) all = all * 7 + even(i & 63, i, i + 1, i + 2, i + 3);
	printf("%lx\n", all);
	return 0;
}
