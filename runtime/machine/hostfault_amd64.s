#include "textflag.h"

// Offsets in touch, its size, and the length of touches.
#define touch_number 0
#define touch_addr 8
#define touch_g 16
#define touch_zeros 24
#define touch_size 32
#define touches_count 256

// Offsets in stay, its size, and those of stays; stay is one of the goroutines
// that may be in compiled code.
#define stay_g 0
#define stay_exec 8
#define stay_fault 16
#define stay_signal 24
#define stay_size 32
#define stays_next 0
#define stays_list 16
#define stays_count 63

// Offsets in the engine's executionContext, and its codes of an access out of
// bounds, and of one that may be repeated. hostfault.go checks the offsets.
#define exec_exitCode 0
#define exec_originalFramePointer 16
#define exec_originalStackPointer 24
#define exec_goCallReturnAddress 48
#define exec_stackPointerBeforeGoCall 56
#define exec_framePointerBeforeGoCall 1152
#define exitOutOfBounds 4
#define exitFault 29

// Offsets in the host kernel's struct ucontext: of the general registers, which are
// 18 from r8 to eflags, some of them, and the pointer to the state that XRSTOR takes. The direction flag.
#define uc_regs 40
#define uc_fpstate 224
#define uc_rbp 120
#define uc_rsp 160
#define uc_rip 168
#define uc_eflags 176
#define flagDF 0x400

// Of XRSTOR's state: where the host kernel says that it is one (FP_XSTATE_MAGIC1),
// and the size up to the upper halves of ymm.
#define xstate_magic 464
#define xstateMagic 0x46505853
#define xstateSize 832

// What is kept of the processor below the stack pointer, for which the engine leaves room
// (FaultFrame of its patch 18): at a multiple of 64, as XRSTOR wants it, XRSTOR's state and the registers; at
// the end rip, below 128 bytes that code may use without telling.
#define faultFrame 1112
#define frame_regs xstateSize
#define frame_rip -136

// Indexes of the registers times 8.
#define reg_r8 0
#define reg_r9 8
#define reg_r10 16
#define reg_r11 24
#define reg_r12 32
#define reg_r13 40
#define reg_r14 48
#define reg_r15 56
#define reg_rdi 64
#define reg_rsi 72
#define reg_rbp 80
#define reg_rbx 88
#define reg_rdx 96
#define reg_rax 104
#define reg_rcx 112
#define reg_eflags 136

#define SIGBUS 7
#define SIGSEGV 11

// onFault is the process's handler of SIGSEGV and SIGBUS, called as C functions are, on the
// signal stack. If compiled code's access was to guest memory or where that could have been,
// it leaves the code, so that the access can be repeated; on a processor without XRSTOR as the engine
// does for an access out of bounds. If Go's was
// past a file's end it puts a page of zeros there, so that the access is repeated; if it was to
// memory that may not be accessed any more, it opens the page. With anything else it goes on
// to what was the handler.
TEXT ·onFault(SB), NOSPLIT|NOFRAME, $0
	MOVL 8(SI), AX // si_code
	CMPL DI, $SIGBUS
	JNE  segv
	CMPL AX, $2    // BUS_ADRERR
	JNE  other
	JMP  where
segv:
	DECL AX        // SEGV_MAPERR or SEGV_ACCERR
	CMPL AX, $1
	JHI  other
where:
	MOVQ 16(SI), AX // si_addr
	CMPQ AX, ·guestLow(SB)
	JCS  other
	CMPQ AX, ·guestHigh(SB)
	JCC  other

	MOVQ (TLS), R8
	TESTQ R8, R8
	JEQ  other
	MOVQ uc_rsp(DX), R9
	CMPQ R9, 0(R8) // g.stack.lo
	JCS  engine
	CMPQ R9, 8(R8) // g.stack.hi
	JCS  zeros

engine: // not on the goroutine's stack: on the engine's
	MOVQ ·allStays(SB), R10
block:
	TESTQ R10, R10
	JEQ  zeros
	LEAQ stays_list(R10), R11
	MOVQ $stays_count, CX
next:
	CMPQ stay_g(R11), R8
	JEQ  leave
	ADDQ $stay_size, R11
	DECQ CX
	JNE  next
	MOVQ stays_next(R10), R10
	JMP  block

leave:
	MOVQ AX, stay_fault(R11)
	MOVQ DI, stay_signal(R11)
	MOVQ stay_exec(R11), R10
	MOVQ DI, R14
	MOVQ SI, R15
	MOVL $exitOutOfBounds, exec_exitCode(R10)
	MOVQ uc_fpstate(DX), SI
	TESTQ SI, SI
	JEQ  exit
	CMPL xstate_magic(SI), $xstateMagic
	JNE  exit
	LEAQ -faultFrame(R9), DI
	ANDQ $~63, DI
	CLD
	MOVQ $(xstateSize/8), CX
	REP; MOVSQ
	LEAQ uc_regs(DX), SI
	MOVQ $18, CX
	REP; MOVSQ
	MOVQ uc_rip(DX), AX
	MOVQ AX, frame_rip(R9)
	MOVL $exitFault, exec_exitCode(R10)
exit:
	MOVQ uc_rip(DX), AX
	MOVQ AX, exec_goCallReturnAddress(R10)
	MOVQ R9, exec_stackPointerBeforeGoCall(R10)
	MOVQ uc_rbp(DX), AX
	MOVQ AX, exec_framePointerBeforeGoCall(R10)
	MOVQ exec_originalFramePointer(R10), AX
	MOVQ AX, uc_rbp(DX)
	MOVQ exec_originalStackPointer(R10), CX
	MOVQ 0(CX), AX
	MOVQ AX, uc_rip(DX)
	ADDQ $8, CX
	MOVQ CX, uc_rsp(DX)
	ANDQ $~flagDF, uc_eflags(DX)
	CMPL exec_exitCode(R10), $exitFault
	JEQ  done
	CMPL R14, $SIGBUS
	JNE  done
	MOVQ R15, SI
	XORL R11, R11
	JMP  note

zeros:
	CMPL DI, $SIGBUS
	JNE  open
	PUSHQ DI
	PUSHQ SI
	PUSHQ DX
	PUSHQ R8
	MOVQ 16(SI), DI
	ANDQ $~4095, DI
	MOVL $4096, SI
	MOVL $3, DX    // PROT_READ|PROT_WRITE
	MOVL $0x32, R10 // MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS
	MOVQ $-1, R8
	XORL R9, R9
	MOVL $9, AX    // SYS_mmap
	SYSCALL
	POPQ R8
	POPQ DX
	POPQ SI
	POPQ DI
	CMPQ AX, $-4095
	JCC  other
	MOVQ $1, R11

note: // R11: 1 if there are zeros now
	MOVQ $1, CX
	LOCK
	XADDQ CX, ·sigbuses(SB)
	MOVQ CX, AX
	ANDQ $(touches_count-1), AX
	IMULQ $touch_size, AX
	LEAQ ·touches(SB), R10
	ADDQ AX, R10
	MOVQ 16(SI), AX
	MOVQ AX, touch_addr(R10)
	MOVQ R8, touch_g(R10)
	MOVQ R11, touch_zeros(R10)
	INCQ CX
	MOVQ CX, touch_number(R10)
done:
	RET

open: // what the kernel accesses it has checked: it was changed meanwhile
	PUSHQ DI
	PUSHQ SI
	PUSHQ DX
	MOVQ 16(SI), DI
	ANDQ $~4095, DI
	MOVL $4096, SI
	MOVL $3, DX   // PROT_READ|PROT_WRITE
	MOVL $10, AX  // SYS_mprotect
	SYSCALL
	POPQ DX
	POPQ SI
	POPQ DI
	CMPQ AX, $-4095
	JCS  done
other:
	MOVQ ·nextSIGBUS(SB), AX
	CMPL DI, $SIGSEGV
	CMOVQEQ ·nextSIGSEGV(SB), AX
	JMP  AX

// resumeFault repeats an access at which compiled code was left: the engine enters it with
// the stack pointer as it was.
TEXT ·resumeFault(SB), NOSPLIT|NOFRAME, $0
	MOVQ SP, R9
	LEAQ -faultFrame(R9), R8
	ANDQ $~63, R8
	MOVL $7, AX // x87, xmm, the upper halves of ymm
	XORL DX, DX
	BYTE $0x49; BYTE $0x0F; BYTE $0xAE; BYTE $0x28 // XRSTOR64 (R8)
	ADDQ $frame_regs, R8
	LEAQ frame_rip(R9), SP
	PUSHQ reg_eflags(R8)
	POPFQ
	MOVQ reg_rax(R8), AX
	MOVQ reg_rcx(R8), CX
	MOVQ reg_rdx(R8), DX
	MOVQ reg_rbx(R8), BX
	BYTE $0x49; BYTE $0x8B; BYTE $0x68; BYTE $reg_rbp // MOVQ reg_rbp(R8), BP: vet takes it for a mistake
	MOVQ reg_rsi(R8), SI
	MOVQ reg_rdi(R8), DI
	MOVQ reg_r9(R8), R9
	MOVQ reg_r10(R8), R10
	MOVQ reg_r11(R8), R11
	MOVQ reg_r12(R8), R12
	MOVQ reg_r13(R8), R13
	MOVQ reg_r14(R8), R14
	MOVQ reg_r15(R8), R15
	MOVQ reg_r8(R8), R8
	BYTE $0xC2; BYTE $0x80; BYTE $0x00 // RET $128

// func addrResumeFault() uintptr
TEXT ·addrResumeFault(SB), NOSPLIT, $0-8
	LEAQ ·resumeFault(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func addrOnFault() uintptr
TEXT ·addrOnFault(SB), NOSPLIT, $0-8
	LEAQ ·onFault(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func currentG() uintptr
TEXT ·currentG(SB), NOSPLIT, $0-8
	MOVQ (TLS), AX
	MOVQ AX, ret+0(FP)
	RET
