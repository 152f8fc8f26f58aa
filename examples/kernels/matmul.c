/* Double-precision matrix product, three loops. */
enum { N = 96 };
static double a[N][N], b[N][N], c[N][N];

unsigned kernel(unsigned n)
{
	double trace = 0;

	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			a[i][j] = (i * 3 + j) % 17 * 0.25;
			b[i][j] = (i + j * 5) % 13 * 0.5;
		}
	for (unsigned r = 0; r < n; r++) {
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++) {
				double s = 0;
				for (int k = 0; k < N; k++)
					s += a[i][k] * b[k][j];
				c[i][j] = s;
			}
		for (int i = 0; i < N; i++)
			trace += c[i][(i + r) % N];
		a[r % N][r % N] += 1;
	}
	return (unsigned)(long long)trace;
}
