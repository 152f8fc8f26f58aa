/* A tokenizer of a small language that hands its tokens to callbacks. */
struct sink {
	void (*name)(struct sink *, const char *, int len);
	void (*number)(struct sink *, unsigned value);
	void (*symbol)(struct sink *, char);
	unsigned names, numbers, sum;
};

static const char source[] =
	"let total_sum = 0; for i in 0 .. 1000 { if i % 3 == 0 { total_sum = total_sum + i * 17; } }\n"
	"fn area(width, height) { return width * height / 2 + 31415926; } # a comment to skip\n"
	"print(area(total_sum, 0x1f), some_rather_long_identifier_here, 65537, y2k); while x9 < 4096 { x9 = x9 << 1; }\n";

static void on_name(struct sink *s, const char *p, int len)
{
	s->names++;
	for (int i = 0; i < len; i++)
		s->sum = s->sum * 33 ^ (unsigned char)p[i];
}

static void on_number(struct sink *s, unsigned value)
{
	s->numbers++;
	s->sum += value;
}

static void on_symbol(struct sink *s, char c)
{
	s->sum = s->sum << 5 ^ s->sum >> 27 ^ (unsigned char)c;
}

static int letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static int digit(char c) { return c >= '0' && c <= '9'; }

__attribute__((noinline))
static void tokenize(const char *p, struct sink *s)
{
	while (*p) {
		const char *start = p;

		if (letter(*p) || *p == '_') {
			while (letter(*p) || digit(*p) || *p == '_')
				p++;
			s->name(s, start, p - start);
		} else if (digit(*p)) {
			unsigned v = 0;
			while (digit(*p))
				v = v * 10 + (*p++ - '0');
			s->number(s, v);
		} else if (*p == '#') {
			while (*p && *p != '\n')
				p++;
		} else {
			if (*p != ' ' && *p != '\n')
				s->symbol(s, *p);
			p++;
		}
	}
}

unsigned kernel(unsigned n)
{
	struct sink s = {on_name, on_number, on_symbol, 0, 0, 0};

	for (unsigned i = 0; i < n * 16; i++)
		tokenize(source, &s);
	return s.sum ^ s.names << 16 ^ s.numbers;
}
