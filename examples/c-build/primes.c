// Prints the first N prime numbers.
#include <stdio.h>
#include <stdlib.h>

static int is_prime(int n) {
	for (int d = 2; d * d <= n; d++)
		if (n % d == 0)
			return 0;
	return n > 1;
}

int main(int argc, char **argv) {
	int left = argc > 1 ? atoi(argv[1]) : 10;
	if (left <= 0) {
		fprintf(stderr, "primes: want a number above 0\n");
		return 2;
	}
	for (int n = 2; left > 0; n++)
		if (is_prime(n)) {
			printf("%d\n", n);
			left--;
		}
	return 0;
}
