// What hand-written code does: tables of constants between functions, which may look
// like code, and internal functions that return something in a register which the ABI has them keep.
#include <stdio.h>

extern const unsigned char table[64];
extern long outer(long a, long b), chained(long a);

asm(".text\n"
    ".balign 64\n"
    "table:\n" // push %rbp; mov %rsp,%rbp; xor %eax,%eax; pop %rbp; ret; ...
    ".byte 0x55,0x48,0x89,0xe5,0x31,0xc0,0x5d,0xc3,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90\n"
    ".byte 0x53,0x48,0x83,0xec,0x08,0x48,0x83,0xc4,0x08,0x5b,0xc3,0x0f,0x1f,0x44,0x00,0x00\n"
    ".byte 0x48,0x8d,0x04,0x37,0xc3,0x66,0x90,0x66,0x90,0x66,0x90,0x66,0x90,0x66,0x90,0x90\n"
    ".byte 0x98,0x2f,0x8a,0x42,0x91,0x44,0x37,0x71,0xcf,0xfb,0xc0,0xb5,0xa5,0xdb,0xb5,0xe9\n"
    ".balign 16\n"
    "inner:\n" // → rbx, r12
    "	lea 1(%rdi), %rbx\n"
    "	lea (%rdi,%rsi), %r12\n"
    "	ret\n"
    ".balign 16\n"
    "middle:\n" // hands on what inner returns
    "	add $10, %rdi\n"
    "	call inner\n"
    "	mov $7, %eax\n"
    "	ret\n"
    ".balign 16\n"
    "jumps:\n"
    "	add $100, %rdi\n"
    "	jmp inner\n"
    ".balign 16\n"
    ".globl outer\n"
    ".type outer, @function\n"
    "outer:\n"
    "	.cfi_startproc\n"
    "	push %rbx\n	.cfi_adjust_cfa_offset 8\n"
    "	push %r12\n	.cfi_adjust_cfa_offset 8\n"
    "	sub $8, %rsp\n	.cfi_adjust_cfa_offset 8\n"
    "	mov $1000, %ebx\n"
    "	call middle\n"
    "	imul $3, %rbx, %rcx\n"
    "	lea (%rcx,%r12), %rcx\n"
    "	lea table(%rip), %rdx\n"
    "	movzbl (%rdx,%rdi), %edx\n"
    "	add %rdx, %rcx\n"
    "	add %rcx, %rax\n"
    "	add $8, %rsp\n	.cfi_adjust_cfa_offset -8\n"
    "	pop %r12\n	.cfi_adjust_cfa_offset -8\n"
    "	pop %rbx\n	.cfi_adjust_cfa_offset -8\n"
    "	ret\n"
    "	.cfi_endproc\n"
    ".size outer, .-outer\n"
    ".balign 16\n"
    ".globl chained\n"
    ".type chained, @function\n"
    "chained:\n" // restores through a pointer that becomes rsp
    "	mov %rsp, %rax\n"
    "	push %rbx\n"
    "	push %r12\n"
    "	sub $32, %rsp\n"
    "	and $-32, %rsp\n"
    "	mov %rax, 16(%rsp)\n"
    "	mov $5, %esi\n"
    "	call jumps\n"
    "	lea (%rbx,%r12), %rax\n"
    "	mov 16(%rsp), %rsi\n"
    "	mov -16(%rsi), %r12\n"
    "	mov -8(%rsi), %rbx\n"
    "	lea (%rsi), %rsp\n"
    "	ret\n"
    ".size chained, .-chained\n");

int main(void) {
	unsigned sum = 0;
	for (int i = 0; i < 64; i++)
		sum = sum * 31 + table[i];
	printf("%08x\n", sum);
	long kept = 42;
	for (long i = 0; i < 4; i++)
		kept += outer(i, 2 * i) + chained(i);
	printf("%ld\n", kept);
	return 0;
}
