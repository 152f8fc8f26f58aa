/* Quicksort of pseudo-random integers, median of three, insertion sort below 12. */
enum { SIZE = 4096 };
static int a[SIZE];

static void swap(int *x, int *y)
{
	int t = *x;
	*x = *y;
	*y = t;
}

static void insertion(int *lo, int *hi)
{
	for (int *p = lo + 1; p <= hi; p++) {
		int v = *p, *q = p;
		while (q > lo && q[-1] > v) {
			*q = q[-1];
			q--;
		}
		*q = v;
	}
}

static void sort(int *lo, int *hi)
{
	while (hi - lo >= 12) {
		int *mid = lo + (hi - lo) / 2, *i = lo, *j = hi, pivot;

		if (*mid < *lo)
			swap(mid, lo);
		if (*hi < *lo)
			swap(hi, lo);
		if (*hi < *mid)
			swap(hi, mid);
		pivot = *mid;
		while (i <= j) {
			while (*i < pivot)
				i++;
			while (*j > pivot)
				j--;
			if (i <= j)
				swap(i++, j--);
		}
		sort(lo, j);
		lo = i;
	}
	insertion(lo, hi);
}

unsigned kernel(unsigned n)
{
	unsigned seed = 1, sum = 0;

	for (unsigned r = 0; r < n; r++) {
		for (int i = 0; i < SIZE; i++) {
			seed = seed * 1103515245u + 12345u;
			a[i] = (int)(seed >> 3);
		}
		sort(a, a + SIZE - 1);
		sum = sum * 31 + a[r % SIZE];
	}
	return sum;
}
