// What a process may ask of the clock that it may not set.
#include "test.h"
#include <linux/capability.h>
#include <sys/timex.h>

static void drop(int capability) {
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];
	syscall(SYS_capget, &head, caps);
	caps[0].effective &= ~(1 << capability);
	syscall(SYS_capset, &head, caps);
}

TEST(adjtimex) {
	drop(CAP_SYS_TIME);
	struct timex x = {0};
	S(adjtimex(&x));
	P("%d %ld %d\n", x.status, x.tick, llabs(x.time.tv_sec - time(NULL)) < 2);
	x = (struct timex){.modes = ADJ_TICK, .tick = 10000};
	S(adjtimex(&x));
	x = (struct timex){.modes = ADJ_OFFSET_SS_READ};
	S(adjtimex(&x));
	P("%ld\n", x.offset);
	x = (struct timex){.modes = ADJ_OFFSET_SINGLESHOT};
	S(adjtimex(&x));
	S(syscall(SYS_adjtimex, (void *)8));
	x = (struct timex){0};
	S(clock_adjtime(CLOCK_REALTIME, &x));
	S(clock_adjtime(CLOCK_MONOTONIC, &x));
	S(clock_adjtime(99, &x));
	struct timeval old;
	S(adjtime(NULL, &old));
	P("%ld %ld\n", old.tv_sec, old.tv_usec);
	struct ntptimeval n;
	S(ntp_gettime(&n));
}
