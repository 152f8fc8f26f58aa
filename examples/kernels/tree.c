/* An expression tree whose nodes carry their evaluation as a function pointer. */
struct node {
	int (*eval)(const struct node *, int);
	const struct node *l, *r;
	int value;
};

static int constant(const struct node *e, int x) { (void)x; return e->value; }
static int variable(const struct node *e, int x) { return x ^ e->value; }
static int add(const struct node *e, int x) { return (int)((unsigned)e->l->eval(e->l, x) + (unsigned)e->r->eval(e->r, x)); }
static int sub(const struct node *e, int x) { return (int)((unsigned)e->l->eval(e->l, x) - (unsigned)e->r->eval(e->r, x)); }
static int mul(const struct node *e, int x) { return (int)((unsigned)e->l->eval(e->l, x) * (unsigned)e->r->eval(e->r, x)); }
static int sel(const struct node *e, int x) { return x & e->value ? e->l->eval(e->l, x) : e->r->eval(e->r, x); }

static int (*const inner[])(const struct node *, int) = {add, sub, mul, sel};
static struct node pool[1024];
static unsigned used, seed;

static const struct node *grow(int depth)
{
	struct node *e = &pool[used++];

	seed = seed * 1664525u + 1013904223u;
	e->value = seed >> 20;
	if (depth == 0) {
		e->eval = seed >> 16 & 1 ? constant : variable;
		return e;
	}
	e->eval = inner[seed >> 17 & 3];
	e->l = grow(depth - 1);
	e->r = grow(depth - 1);
	return e;
}

unsigned kernel(unsigned n)
{
	unsigned sum = 0;
	const struct node *root;

	used = 0;
	seed = 42;
	root = grow(8);
	for (unsigned i = 0; i < n * 16; i++)
		sum = sum * 31 + (unsigned)root->eval(root, (int)i);
	return sum;
}
