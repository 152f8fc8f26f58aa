/* Naive Fibonacci without inlining: nothing but call, return and spills. */
__attribute__((noinline))
unsigned fibs(unsigned n)
{
	return n < 2 ? n : fibs(n - 1) + fibs(n - 2);
}

unsigned kernel(unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum = sum * 31 + fibs(18 + (i & 7));
	return sum;
}
