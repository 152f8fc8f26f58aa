// The native side of the differential test: runs a snippet of machine code on
// the processor with a given state and reports the state afterwards.
//
// Requests on stdin: u32 code length, u32 count, the code (which ends with a
// jump to EXIT), then count states. Reply on stdout: count states.
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { CODE = 0x10000000, DATA = 0x20000000, STACK = 0x20010000, EXIT = 0x30000000, PAGE = 4096 };

struct state {
	uint64_t gpr[16]; // rax rcx rdx rbx rsp rbp rsi rdi r8 … r15
	uint64_t flags;
	uint64_t signal; // 0, or what ended the snippet
	uint8_t fx[512] __attribute__((aligned(16)));
	uint8_t data[512];
	uint8_t stack[256];
};

struct state cpu;
uint64_t host_rsp, host_fs, code = CODE;
void enter(void);
void leave(void);

asm(".globl enter, leave\n"
    "enter:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "mov %rsp, host_rsp\n"
    "fxrstor cpu+144\n"
    "mov cpu+0, %rax; mov cpu+8, %rcx; mov cpu+16, %rdx; mov cpu+24, %rbx\n"
    "mov cpu+40, %rbp; mov cpu+48, %rsi; mov cpu+56, %rdi\n"
    "mov cpu+64, %r8; mov cpu+72, %r9; mov cpu+80, %r10; mov cpu+88, %r11\n"
    "mov cpu+96, %r12; mov cpu+104, %r13; mov cpu+112, %r14; mov cpu+120, %r15\n"
    "mov cpu+32, %rsp\n"
    "jmp *code\n"
    "leave:\n"
    "mov %rax, cpu+0; mov %rcx, cpu+8; mov %rdx, cpu+16; mov %rbx, cpu+24\n"
    "mov %rsp, cpu+32; mov %rbp, cpu+40; mov %rsi, cpu+48; mov %rdi, cpu+56\n"
    "mov %r8, cpu+64; mov %r9, cpu+72; mov %r10, cpu+80; mov %r11, cpu+88\n"
    "mov %r12, cpu+96; mov %r13, cpu+104; mov %r14, cpu+112; mov %r15, cpu+120\n"
    "mov host_rsp, %rsp\n"
    "pushf; pop cpu+128\n"
    "cld\n"
    "fxsave cpu+144\n"
    "fninit\n"
    "mov $158, %eax; mov $0x1002, %edi; mov host_fs, %rsi; syscall\n" // a snippet may have loaded fs
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "ret\n");

static sigjmp_buf on_fault;

__attribute__((optimize("no-stack-protector"))) static void fault(int sig, siginfo_t *info, void *ctx) {
	uint64_t ret;
	asm volatile("syscall" : "=a"(ret) : "0"(158L), "D"(0x1002L), "S"(host_fs) : "rcx", "r11", "memory");
	cpu.signal = sig;
	siglongjmp(on_fault, 1);
}

static void *map(uintptr_t at, int prot) {
	void *p = mmap((void *)at, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (p == MAP_FAILED)
		exit(2);
	return p;
}

static void read_all(void *p, size_t n) {
	if (n && fread(p, n, 1, stdin) != 1)
		exit(0);
}

static void run(void) {
	static const uint32_t mxcsr = 0x1f80;
	memcpy((void *)DATA, cpu.data, sizeof cpu.data);
	memcpy((void *)STACK, cpu.stack, sizeof cpu.stack);
	cpu.signal = 0;
	if (sigsetjmp(on_fault, 1) == 0)
		enter();
	asm volatile("fninit; cld; ldmxcsr %0" ::"m"(mxcsr));
	memcpy(cpu.data, (void *)DATA, sizeof cpu.data);
	memcpy(cpu.stack, (void *)STACK, sizeof cpu.stack);
}

int main(void) {
	asm("mov %%fs:0, %0" : "=r"(host_fs));
	static char altstack[1 << 16];
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof altstack};
	sigaltstack(&ss, 0);
	struct sigaction sa = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	for (int *s = (int[]){SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP, 0}; *s; s++)
		sigaction(*s, &sa, 0);
	uint8_t *at = map(CODE, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(DATA, PROT_READ | PROT_WRITE);
	map(STACK, PROT_READ | PROT_WRITE);
	uint8_t *exit_stub = map(EXIT, PROT_READ | PROT_WRITE | PROT_EXEC);
	memcpy(exit_stub, (uint8_t[]){0xff, 0x25, 0, 0, 0, 0}, 6); // jmp [rip]
	uint64_t to = (uint64_t)leave;
	memcpy(exit_stub + 6, &to, 8);
	for (;;) {
		uint32_t head[2];
		read_all(head, sizeof head);
		if (head[0] > PAGE)
			exit(2);
		read_all(at, head[0]);
		for (uint32_t i = 0; i < head[1]; i++) {
			read_all(&cpu, sizeof cpu);
			run();
			fwrite(&cpu, sizeof cpu, 1, stdout);
		}
		fflush(stdout);
	}
}
