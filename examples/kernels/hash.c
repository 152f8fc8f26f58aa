/* An open-addressing hash table of 64-bit keys: inserts and lookups. */
typedef unsigned long long u64;

enum { BITS = 15, SLOTS = 1 << BITS };
static u64 keys[SLOTS];
static unsigned counts[SLOTS];

static unsigned slot(u64 key)
{
	unsigned i = key * 0x9e3779b97f4a7c15ull >> (64 - BITS);

	while (keys[i] && keys[i] != key)
		i = (i + 1) & (SLOTS - 1);
	return i;
}

unsigned kernel(unsigned n)
{
	u64 x = 88172645463325252ull;
	unsigned sum = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		keys[i] = counts[i] = 0;
	for (unsigned r = 0; r < n; r++)
		for (int i = 0; i < 4096; i++) {
			unsigned s;

			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			s = slot((x & 0x3fff) + 1);
			keys[s] = (x & 0x3fff) + 1;
			sum += ++counts[s] ^ s;
		}
	return sum;
}
