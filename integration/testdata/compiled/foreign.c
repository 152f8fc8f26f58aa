// A hundred functions with a convention of their own: they are called through pointers, get and give back values
// in rbx, r10 and r12, and keep none of these. The C code around them follows System V's.
#include <stdio.h>

long own(long);

#define NUMBER(tens, ones) "(10*" tens "+" ones ")"
#define FUNCTION(tens, ones)                           \
	"own" tens ones ": add $" NUMBER(tens, ones) ", %rbx\n" \
	"lea 3(%r10), %r10\n"                              \
	"add %rbx, %r12\n"                                 \
	"call *owns+8+8*" NUMBER(tens, ones) "(%rip)\n"    \
	"add %r10, %rbx\n"                                 \
	"lea (%r12, %r10), %r10\n"                         \
	"ret\n"
#define POINTER(tens, ones) ".quad own" tens ones "\n"
#define TEN(f, tens) f(tens, "0") f(tens, "1") f(tens, "2") f(tens, "3") f(tens, "4") f(tens, "5") f(tens, "6") f(tens, "7") f(tens, "8") f(tens, "9")
#define HUNDRED(f) TEN(f, "0") TEN(f, "1") TEN(f, "2") TEN(f, "3") TEN(f, "4") TEN(f, "5") TEN(f, "6") TEN(f, "7") TEN(f, "8") TEN(f, "9")

__asm__(".text\n"
	HUNDRED(FUNCTION)
	"last: lea (%r10, %r10), %r10\n"
	"ret\n"
	".globl own\n"
	"own: push %rbx\n push %r12\n sub $8, %rsp\n"
	"mov %rdi, %rbx\n mov $1, %r12d\n mov $2, %r10d\n"
	"call *owns(%rip)\n"
	"lea (%rbx, %r12), %rax\n add %r10, %rax\n"
	"add $8, %rsp\n pop %r12\n pop %rbx\n ret\n"
	".data\n"
	".p2align 3\n"
	"owns:\n"
	HUNDRED(POINTER)
	".quad last\n"
	".text\n");

int main(void) {
	long sum = 0;
	for (long i = 0; i < 5; i++)
		printf("%ld\n", sum += own(i));
	return 0;
}
