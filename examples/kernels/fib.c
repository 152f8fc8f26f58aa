/* Naive Fibonacci; the compiler inlines it into itself a few levels deep. */
static unsigned fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

unsigned kernel(unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum = sum * 31 + fib(18 + (i & 7));
	return sum;
}
