/* A bytecode interpreter: a stack machine that counts primes by trial division. */
enum { PUSH, LOAD, STORE, ADD, MUL, MOD, LT, EQ, JZ, JMP, INC, HALT };

static const int code[] = {
	/*  0 */ PUSH, 2, STORE, 0,             /* n = 2 */
	/*  4 */ LOAD, 0, LOAD, 3, LT, JZ, 46,  /* while n < limit */
	/* 11 */ PUSH, 2, STORE, 1,             /* d = 2 */
	/* 15 */ LOAD, 1, LOAD, 1, MUL, LOAD, 0, PUSH, 1, ADD, LT, JZ, 40, /* while d*d < n+1 */
	/* 28 */ LOAD, 0, LOAD, 1, MOD, JZ, 42, /* if n % d == 0: next n */
	/* 35 */ INC, 1, JMP, 15, HALT,
	/* 40 */ INC, 2,                        /* count++ */
	/* 42 */ INC, 0, JMP, 4,
	/* 46 */ HALT,
};

static unsigned run(unsigned limit)
{
	unsigned stack[16], var[4] = {0, 0, 0, limit}, *sp = stack;

	for (const int *pc = code;;) {
		switch (*pc++) {
		case PUSH: *sp++ = *pc++; break;
		case LOAD: *sp++ = var[*pc++]; break;
		case STORE: var[*pc++] = *--sp; break;
		case ADD: sp--; sp[-1] += *sp; break;
		case MUL: sp--; sp[-1] *= *sp; break;
		case MOD: sp--; sp[-1] %= *sp; break;
		case LT: sp--; sp[-1] = sp[-1] < *sp; break;
		case EQ: sp--; sp[-1] = sp[-1] == *sp; break;
		case JZ: pc = *--sp ? pc + 1 : code + *pc; break;
		case JMP: pc = code + *pc; break;
		case INC: var[*pc++]++; break;
		case HALT: return var[2];
		}
	}
}

unsigned kernel(unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum = sum * 31 + run(2000 + (i & 15));
	return sum;
}
