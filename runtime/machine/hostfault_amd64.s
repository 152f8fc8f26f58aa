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
#define stay_size 24
#define stays_next 0
#define stays_list 16
#define stays_count 63

// Offsets in the engine's executionContext, and the code of an access out of
// bounds. hostfault.go checks the offsets.
#define exec_exitCode 0
#define exec_originalFramePointer 16
#define exec_originalStackPointer 24
#define exec_goCallReturnAddress 48
#define exec_stackPointerBeforeGoCall 56
#define exec_framePointerBeforeGoCall 1152
#define exitOutOfBounds 4

// Offsets in the host kernel's struct ucontext, and the direction flag.
#define uc_rbp 120
#define uc_rsp 160
#define uc_rip 168
#define uc_eflags 176
#define flagDF 0x400

#define SIGBUS 7
#define SIGSEGV 11

// onFault is the process's handler of SIGSEGV and SIGBUS, called as C functions are, on the
// signal stack. If compiled code's access was to guest memory or where that could have been,
// it leaves the code, as the engine does for an access out of bounds. If Go's was
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
	MOVQ stay_exec(R11), R10
	MOVL $exitOutOfBounds, exec_exitCode(R10)
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
	CMPL DI, $SIGBUS
	JNE  done
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
