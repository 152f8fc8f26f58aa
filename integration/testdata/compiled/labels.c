// Jumps to computed addresses: labels as values, within a function and handed
// out of it; tables in every form; code that enters another function in its
// middle, with the stack as at a function's start or not.
#include <stdint.h>
#include <stdio.h>

#define NOINLINE __attribute__((noinline))

// A threaded interpreter.
NOINLINE long interpret(const unsigned char *code, long x) {
	static const void *const ops[] = {&&inc, &&dec, &&dbl, &&neg, &&loop, &&end};
	long count = 0;
	const unsigned char *start = code;
#define NEXT goto *ops[*code++]
	NEXT;
inc:
	x++;
	NEXT;
dec:
	x--;
	NEXT;
dbl:
	x *= 2;
	NEXT;
neg:
	x = -x;
	NEXT;
loop:
	if (++count < 10) {
		code = start;
	}
	NEXT;
end:
	return x;
}

// The same with offsets, as position-independent interpreters have them.
NOINLINE long interpretOffsets(const unsigned char *code, long x) {
	static const int ops[] = {&&inc - &&inc, &&dbl - &&inc, &&end - &&inc};
	goto *(&&inc + ops[*code++]);
inc:
	x += 3;
	goto *(&&inc + ops[*code++]);
dbl:
	x *= 2;
	goto *(&&inc + ops[*code++]);
end:
	return x;
}

// A label kept in a variable over a loop.
NOINLINE int duff(const char *s, int n) {
	void *entries[4] = {&&l0, &&l3, &&l2, &&l1};
	int sum = 0, i = 0;
	if (n == 0)
		return 0;
	goto *entries[n & 3];
	do {
	l0:
		sum = sum * 3 + s[i++];
	l3:
		sum = sum * 3 + s[i++];
	l2:
		sum = sum * 3 + s[i++];
	l1:
		sum = sum * 3 + s[i++];
	} while (i < n);
	return sum;
}

NOINLINE int dense(int n) {
	switch (n) {
	case -3: return 7;
	case -2: return 100 / (n + 4);
	case -1: return 5 * n;
	case 0: return 3;
	case 1: return n << 5;
	case 2: return 99;
	case 4: return n * n;
	case 5: return -n;
	case 1000: return 12;
	case 1001: return 13;
	case 1002: return n / 7;
	case 1003: return n % 7;
	case 1004: return n ^ 7;
	default: return n;
	}
}

// Hand-written code.
__asm__(
	".text\n"
	// A table of offsets that is indexed by −1 to −4, in code without unwind tables.
	"backwards: lea 9f(%rip), %r8\n"
	"neg %rdi\n"
	"movslq 16(%r8, %rdi, 4), %rax\n"
	"add %r8, %rax\n"
	"jmp *%rax\n"
	"1: mov $11, %eax\n ret\n"
	"2: mov $12, %eax\n ret\n"
	"3: mov $13, %eax\n ret\n"
	"4: mov $14, %eax\n ret\n"
	".section .rodata\n"
	"9: .long 4b - 9b, 3b - 9b, 2b - 9b, 1b - 9b\n"
	".text\n"
	// Unrolled code that is entered at a multiple of the size of a step.
	"steps: push %rbx\n"
	"xor %eax, %eax\n"
	"lea 1f(%rip), %rbx\n"
	"lea (%rbx, %rdi, 4), %rbx\n"
	"jmp *%rbx\n"
	"1: lea 1(%rax), %eax\n nop\n"
	"lea 2(%rax), %eax\n nop\n"
	"lea 4(%rax), %eax\n nop\n"
	"lea 8(%rax), %eax\n nop\n"
	"pop %rbx\n"
	"ret\n"
	// One function runs in the other's tail, with the same things pushed.
	"tail1: push %rbx\n push %rbp\n"
	"mov $1000, %rbx\n"
	"jmp tailmid\n"
	"tail2: push %rbx\n push %rbp\n"
	"mov $2000, %rbx\n"
	"tailmid: mov %rdi, %rbp\n"
	"add %rbx, %rbp\n"
	".rept 80\n lea 1(%rbp), %rbp\n .endr\n"
	"mov %rbp, %rax\n"
	"pop %rbp\n pop %rbx\n ret\n"
	// A return address that is made by hand.
	"pushed: lea 1f(%rip), %rax\n"
	"push %rax\n"
	"mov %rdi, %rax\n"
	"neg %rax\n"
	"ret\n"
	"1: add $7, %rax\n"
	"ret\n"
	// A label that is handed out and called back into, and its other half.
	"handout: push %rbx\n"
	"mov %rdi, %rbx\n"
	"lea 1f(%rip), %rdi\n"
	"jmp jumpback\n"
	"1: lea (%rbx, %rax, 2), %rax\n"
	"pop %rbx\n"
	"ret\n"
	"jumpback: mov $21, %eax\n"
	"jmp *%rdi\n");

long backwards(long), steps(long), tail1(long), tail2(long), pushed(long), handout(long);

int main(void) {
	setvbuf(stdout, NULL, _IOLBF, 1024);
	printf("%ld\n", interpret((const unsigned char[]){0, 2, 1, 3, 4, 5}, 7));
	printf("%ld\n", interpretOffsets((const unsigned char[]){0, 1, 0, 1, 1, 2}, 7));
	for (int n = 0; n <= 12; n++)
		printf("%d ", duff("computed gotos", n));
	printf("\n");
	for (int n = -5; n < 8; n++)
		printf("%d ", dense(n));
	for (int n = 998; n < 1007; n++)
		printf("%d ", dense(n));
	printf("\n");
	for (long n = 1; n <= 4; n++)
		printf("%ld ", backwards(n));
	for (long n = 0; n <= 4; n++)
		printf("%ld ", steps(n));
	printf("\n%ld %ld %ld %ld\n", tail1(5), tail2(6), pushed(8), handout(100));
	return 0;
}
