// What a call returns in a register goes on to the next call in the same one: the
// second half of a structure in rdx, a double in xmm0.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pair { long kind; char *text; };
struct two { double a, b; };

__attribute__((noinline)) struct pair make(const char *s) { return (struct pair){(long)strlen(s), strdup(s)}; }
__attribute__((noinline)) static double half(double x) { return x / 2; }
__attribute__((noinline)) static struct two both(double x) { return (struct two){x + 1, x * 2}; }
__attribute__((noinline)) static struct pair local(long n) { return (struct pair){n, n > 2 ? "many" : "few"}; }

__attribute__((noinline)) void show(int n, struct pair p, struct pair q) { printf("%d %ld %s %ld %s\n", n, p.kind, p.text, q.kind, q.text); }
__attribute__((noinline)) void number(double x) { printf("%.3f\n", x); }
__attribute__((noinline)) void numbers(struct two t) { printf("%.3f %.3f\n", t.a, t.b); }

void (*volatile shower)(int, struct pair, struct pair) = show;
void (*volatile printer)(double) = number;
void (*volatile printers)(struct two) = numbers;

int main(int argc, char **argv) {
	struct pair q = make("second");
	show(argc, make("first"), q);
	shower(argc + 1, local(argc), q);
	shower(argc + 2, local(argc + 2), make("third"));
	for (int i = 0; i < 3; i++) {
		printer(half(i));
		number(half(half(i)));
		printers(both(i));
		numbers(both(half(i)));
	}
	printf("%.4f\n", strtod("2.5", NULL) + half(atof("3.25")));
	return 0;
}
