/* Strings byte by byte: length, copy, compare, find, reverse, case. */
static char text[1 << 12], copy[1 << 12], word[16];

static unsigned length(const char *s)
{
	const char *p = s;
	while (*p)
		p++;
	return p - s;
}

static char *append(char *to, const char *from)
{
	while ((*to = *from++))
		to++;
	return to;
}

static int compare(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

static const char *find(const char *hay, const char *needle)
{
	for (; *hay; hay++) {
		const char *h = hay, *n = needle;
		while (*n && *h == *n)
			h++, n++;
		if (!*n)
			return hay;
	}
	return 0;
}

static void upper(char *s)
{
	for (; *s; s++)
		if (*s >= 'a' && *s <= 'z')
			*s -= 'a' - 'A';
}

static void reverse(char *s, unsigned len)
{
	for (unsigned i = 0, j = len; i + 1 < j; i++) {
		char t = s[--j];
		s[j] = s[i];
		s[i] = t;
	}
}

static void fill(unsigned seed)
{
	char *p = text;
	while (p < text + sizeof text - 16) {
		unsigned len = 3 + (seed >> 16 & 7);
		for (unsigned i = 0; i < len; i++)
			word[i] = 'a' + ((seed = seed * 69069u + 1) >> 24) % 26;
		word[len] = 0;
		p = append(append(p, word), " ");
	}
}

unsigned kernel(unsigned n)
{
	unsigned sum = 0;

	for (unsigned r = 0; r < n; r++) {
		const char *at;

		fill(r + 1);
		append(copy, text);
		sum = sum * 31 + length(copy);
		at = find(copy, word);
		sum += at ? at - copy : 0;
		upper(copy);
		sum += compare(text, copy);
		reverse(copy, length(copy));
		sum = sum * 31 + copy[r & 255];
	}
	return sum;
}
