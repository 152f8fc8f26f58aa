package integration

import (
	"fmt"
	"math/rand"
	"strings"
)

// A type that arguments and results of random calls have: how C makes one of
// a long k, and how it goes into the checksum.
type argument struct{ name, of, mix string }

// arguments go in general registers, in vector registers, in both, in x87's, and in memory.
var arguments = []argument{
	{"int", "(int)(%s)", "mix((unsigned)%s)"},
	{"long", "(long)(%s)", "mix(%s)"},
	{"unsigned char", "(unsigned char)(%s)", "mix(%s)"},
	{"float", "(float)(%s) / 4", "mixd(%s)"},
	{"double", "(double)(%s) / 8", "mixd(%s)"},
	{"long double", "(long double)(%s) / 16", "mixd((double)%s)"},
	{"struct pair", "(struct pair){%[1]s, %[1]s + 1}", "mix(%[1]s.a ^ %[1]s.b << 1)"},
	{"struct point", "(struct point){%[1]s, %[1]s / 2}", "mixd(%[1]s.x - 2 * %[1]s.y)"},
	{"struct mixed", "(struct mixed){%[1]s, %[1]s + 5}", "(mix(%[1]s.n), mixd(%[1]s.x))"},
	{"struct large", "(struct large){{%[1]s, %[1]s + 1, 3, %[1]s + 7}}", "mix(%[1]s.n[0] ^ %[1]s.n[1] ^ %[1]s.n[3])"},
	{"struct floats", "(struct floats){{%[1]s, 2, %[1]s + 3}}", "mixd(%[1]s.f[0] + %[1]s.f[1] * 2 + %[1]s.f[2] * 4)"},
}

const callsHead = `#include <stdarg.h>
#include <stdio.h>
#include <string.h>
struct pair { long a, b; };
struct point { double x, y; };
struct mixed { double x; long n; };
struct large { long n[4]; };
struct floats { float f[3]; };
static unsigned long sum;
static int budget;
static void *volatile table[];
static void mix(unsigned long x) { sum = (sum ^ x) * 0x100000001b3; }
static void mixd(double x) { unsigned long n; memcpy(&n, &x, 8); mix(n); }
#define NOINLINE __attribute__((noinline))
NOINLINE static long varied(long n, ...)
{
	va_list l;
	va_start(l, n);
	for (; n > 0; n /= 4)
		switch (n %% 4) {
		case 1: mix(va_arg(l, int)); break;
		case 2: mixd(va_arg(l, double)); break;
		case 3: mixd((double)va_arg(l, long double)); break;
		}
	va_end(l);
	return sum & 0xff;
}
`

// caller writes a random program of functions that call those behind them,
// directly or through pointers, and hand on what they got, on some ways only, or change it.
type caller struct {
	*rand.Rand
	strings.Builder
	functions []signature
	depth     int // of calls that are arguments
}

type signature struct {
	result argument
	args   []argument
}

const functionsInCalls = 14

// randomCalls is the program of a seed.
func randomCalls(seed int64) string {
	c := &caller{Rand: rand.New(rand.NewSource(seed))}
	fmt.Fprintf(c, callsHead)
	for range functionsInCalls {
		s := signature{result: c.argument()}
		for range c.Intn(9) {
			s.args = append(s.args, c.argument())
		}
		c.functions = append(c.functions, s)
	}
	for i := range c.functions {
		fmt.Fprintf(c, "%s;\n", c.prototype(i))
	}
	for i := range c.functions {
		c.function(i)
	}
	c.WriteString("static void *volatile table[] = {")
	for i := range c.functions {
		fmt.Fprintf(c, "f%d, ", i)
	}
	c.WriteString("};\nint main(void) {\n\tlong k = 1;\n\tsum = 1;\n\tfor (k = 0; k < 40; k++) {\n\t\tbudget = 300;\n")
	for i := range 4 {
		fmt.Fprintf(c, "\t\t%s;\n", c.mixed(c.functions[i].result, c.call(i, signature{})))
	}
	c.WriteString("\t\tprintf(\"%lx \", sum);\n\t}\n\tputchar('\\n');\n\treturn 0;\n}\n")
	return c.String()
}

func (c *caller) argument() argument { return arguments[c.Intn(len(arguments))] }

func (c *caller) mixed(a argument, x string) string {
	return fmt.Sprintf("{ %s v = %s; %s; }", a.name, x, fmt.Sprintf(a.mix, "v"))
}

func (c *caller) prototype(i int) string {
	f := c.functions[i]
	params := make([]string, len(f.args))
	for n, a := range f.args {
		params[n] = fmt.Sprintf("%s p%d", a.name, n)
	}
	if len(params) == 0 {
		params = []string{"void"}
	}
	return fmt.Sprintf("NOINLINE static %s f%d(%s)", f.result.name, i, strings.Join(params, ", "))
}

func (c *caller) function(i int) {
	f := c.functions[i]
	fmt.Fprintf(c, "%s\n{\n\tlong k = %d;\n", c.prototype(i), c.Intn(100))
	if i%3 == 0 {
		fmt.Fprintf(c, "\tif (budget-- <= 0)\n\t\treturn %s;\n", fmt.Sprintf(f.result.of, "k"))
	}
	for range 2 + c.Intn(4) {
		c.WriteString(c.statement(i, f))
	}
	fmt.Fprintf(c, "\treturn %s;\n}\n", c.value(i, f, f.result))
}

// statement is one of function i's.
func (c *caller) statement(i int, f signature) string {
	switch n := c.Intn(7); {
	case n == 0:
		return fmt.Sprintf("\tk += sum %% %d;\n", 3+c.Intn(50))
	case n == 1 && len(f.args) > 0:
		p := c.Intn(len(f.args))
		return fmt.Sprintf("\t%s;\n", fmt.Sprintf(f.args[p].mix, fmt.Sprintf("p%d", p)))
	case n == 2:
		return fmt.Sprintf("\tk += varied(%d, (int)k, k / 2.0, (long double)k);\n", 1+4*2+16*3)
	case n == 3 && len(f.args) > 0: // has a value on some ways only
		a := f.args[c.Intn(len(f.args))]
		return fmt.Sprintf("\t{\n\t\tlong j = k & 3;\n\t\t%s v;\n\t\tif (j)\n\t\t\tv = %s;\n\t\t%s\n\t\tif (j)\n\t\t\t%s;\n\t}\n",
			a.name, c.value(i, f, a), c.discarded(i, f), fmt.Sprintf(a.mix, "v"))
	case n == 4:
		return fmt.Sprintf("\tif (k & %d)\n\t\t%s\n", 1<<c.Intn(4), c.discarded(i, f))
	}
	return fmt.Sprintf("\t%s\n", c.discarded(i, f))
}

// discarded calls a function behind i.
func (c *caller) discarded(i int, f signature) string {
	j := i + 1 + c.Intn(3)
	if j >= len(c.functions) {
		return "k++;"
	}
	return c.mixed(c.functions[j].result, c.call(j, f))
}

// call calls function j with values that a function of signature f has.
func (c *caller) call(j int, f signature) string {
	c.depth++
	defer func() { c.depth-- }()
	to := c.functions[j]
	args, types := make([]string, len(to.args)), make([]string, len(to.args))
	for n, a := range to.args {
		args[n], types[n] = c.value(j, f, a), a.name
	}
	name := fmt.Sprintf("f%d", j)
	if c.Intn(2) == 0 {
		if len(types) == 0 {
			types = []string{"void"}
		}
		name = fmt.Sprintf("((%s (*)(%s))table[%d])", to.result.name, strings.Join(types, ", "), j)
	}
	return fmt.Sprintf("%s(%s)", name, strings.Join(args, ", "))
}

// value is a value of type a: what came in as it is, the result of a function behind i,
// or one made of k.
func (c *caller) value(i int, f signature, a argument) string {
	var same []string
	for n, p := range f.args {
		if p == a {
			same = append(same, fmt.Sprintf("p%d", n))
		}
	}
	if len(same) > 0 && c.Intn(5) > 0 {
		return same[c.Intn(len(same))]
	}
	for j := i + 1; j < min(i+4, len(c.functions)) && c.depth < 2; j++ {
		if c.functions[j].result == a && c.Intn(2) == 0 {
			return c.call(j, f)
		}
	}
	return fmt.Sprintf(a.of, fmt.Sprintf("(k + %d)", c.Intn(9)))
}
