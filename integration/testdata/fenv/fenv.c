// Prints what arithmetic gives in each rounding mode, and which exceptions
// operations raise.
#include <fenv.h>
#include <math.h>
#include <stdio.h>

static volatile double one = 1, three = 3, zero = 0, big = 1e308, tiny = 1e-308, r;
static volatile float onef = 1, threef = 3;

static void rounding(int mode) {
	int set = fesetround(mode);
	printf("mode %d %d: %a %a %a %ld %a %a %a\n", set, fegetround() == mode, one / three, -one / three, (double)(onef / threef),
	       lrint(2.5 * one), rint(-2.5 * one), sqrt(2 * one), exp(one));
}

#define RAISES(what)                                                  \
	do {                                                              \
		feclearexcept(FE_ALL_EXCEPT);                                 \
		r = (what);                                                   \
		printf("%s: %x\n", #what, fetestexcept(FE_ALL_EXCEPT));       \
	} while (0)

int main(void) {
	rounding(FE_TONEAREST);
	rounding(FE_UPWARD);
	rounding(FE_DOWNWARD);
	rounding(FE_TOWARDZERO);
	fesetround(FE_TONEAREST);
	RAISES(one / zero);
	RAISES(zero / zero);
	RAISES(big * big);
	RAISES(tiny * tiny);
	RAISES(one / three);
	RAISES(one + one);
	RAISES(sqrt(-one));
	RAISES(log(zero));
	RAISES(pow(big, big));
	fenv_t env;
	feholdexcept(&env);
	r = one / zero;
	feupdateenv(&env);
	printf("updated: %x\n", fetestexcept(FE_ALL_EXCEPT));
	return 0;
}
