/*
 * What functions.so was made of, by gcc 12.2:
 *
 *	gcc -O2 -fPIC -shared -nostdlib -fno-builtin -fno-tree-loop-distribute-patterns -o functions.so functions.c
 *
 * The test looks at the file, so that another compiler makes no difference to it.
 */
typedef unsigned char u8;
typedef unsigned u32;
typedef unsigned long u64;

u64 length(const char *s) { const char *p = s; while (*p) p++; return p - s; }

void copy(char *to, const char *from, u64 n) { while (n--) *to++ = *from++; }

int compare(const char *a, const char *b) { while (*a && *a == *b) a++, b++; return (u8)*a - (u8)*b; }

u32 hash(const char *s) { u32 h = 2166136261u; while (*s) h = (h ^ (u8)*s++) * 16777619u; return h; }

int parse(const char *s)
{
	int n = 0, sign = 1;
	if (*s == '-') sign = -1, s++;
	while (*s >= '0' && *s <= '9') n = n * 10 + (*s++ - '0');
	return sign * n;
}

char *format(char *end, u64 n) { do *--end = '0' + n % 10; while (n /= 10); return end; }

u32 crc(const u8 *p, u64 n)
{
	u32 c = ~0u;
	while (n--) {
		c ^= *p++;
		for (int i = 0; i < 8; i++) c = c >> 1 ^ (0xedb88320u & -(c & 1));
	}
	return ~c;
}

int search(const int *a, int n, int x)
{
	int low = 0;
	while (low < n) {
		int mid = low + (n - low) / 2;
		if (a[mid] < x) low = mid + 1; else n = mid;
	}
	return low;
}

void sort(int *a, int n)
{
	for (int i = 1; i < n; i++) {
		int x = a[i], j = i;
		for (; j > 0 && a[j - 1] > x; j--) a[j] = a[j - 1];
		a[j] = x;
	}
}

double dot(const double *a, const double *b, int n) { double s = 0; for (int i = 0; i < n; i++) s += a[i] * b[i]; return s; }

void scale(float *a, float f, int n) { for (int i = 0; i < n; i++) a[i] = a[i] * f + 1; }

void multiply(double *c, const double *a, const double *b, int n)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			double s = 0;
			for (int k = 0; k < n; k++) s += a[i * n + k] * b[k * n + j];
			c[i * n + j] = s;
		}
}

struct node { struct node *left, *right; long key; };

struct node *reverse(struct node *n)
{
	struct node *r = 0;
	while (n) { struct node *next = n->right; n->right = r; r = n; n = next; }
	return r;
}

void insert(struct node **root, struct node *n)
{
	while (*root) root = n->key < (*root)->key ? &(*root)->left : &(*root)->right;
	*root = n;
}

__attribute__((noinline)) int depth(const struct node *n)
{
	if (!n) return 0;
	int l = depth(n->left), r = depth(n->right);
	return 1 + (l > r ? l : r);
}

long apply(long (*f)(long, void *), const long *a, int n, void *arg)
{
	long sum = 0;
	for (int i = 0; i < n; i++) sum += f(a[i], arg);
	return sum;
}

u64 power(u64 x, u64 n, u64 m) { u64 r = 1; for (; n; n >>= 1, x = x * x % m) if (n & 1) r = r * x % m; return r; }

int decode(const u8 *s, u32 *c)
{
	if (s[0] < 0x80) return *c = s[0], 1;
	if ((s[0] & 0xe0) == 0xc0) return *c = (s[0] & 31) << 6 | (s[1] & 63), 2;
	if ((s[0] & 0xf0) == 0xe0) return *c = (s[0] & 15) << 12 | (s[1] & 63) << 6 | (s[2] & 63), 3;
	return *c = (s[0] & 7) << 18 | (s[1] & 63) << 12 | (s[2] & 63) << 6 | (s[3] & 63), 4;
}

long interpret(const u8 *p, long a, long b)
{
	for (;;)
		switch (*p++) {
		case 0: return a;
		case 1: a += b; break;
		case 2: a -= b; break;
		case 3: a *= b; break;
		case 4: b = a; break;
		case 5: a ^= b << 3; break;
		case 6: if (a & 1) p++; break;
		case 7: { long t = a; a = b; b = t; break; }
		case 8: a = -a; break;
		case 9: b = *p++; break;
		}
}

static u32 rotate(u32 x, int n) { return x << n | x >> (32 - n); }

void quarter(u32 s[4], int rounds)
{
	u32 a = s[0], b = s[1], c = s[2], d = s[3];
	while (rounds--) {
		a += b; d = rotate(d ^ a, 16);
		c += d; b = rotate(b ^ c, 12);
		a += b; d = rotate(d ^ a, 8);
		c += d; b = rotate(b ^ c, 7);
	}
	s[0] = a; s[1] = b; s[2] = c; s[3] = d;
}

struct pair { long a, b; };

struct pair divide(long x, long y) { return (struct pair){ x / y, x % y }; }

int count(u64 x) { int n = 0; for (; x; x &= x - 1) n++; return n; }
