#include "textflag.h"

// onSIGBUS is the process's handler of SIGBUS, called as C functions are, on the
// signal stack. For an access to guest memory past a file's end it puts a page of
// zeros there, so that the access is repeated; else it goes on to what was the handler.
TEXT ·onSIGBUS(SB), NOSPLIT|NOFRAME, $0
	MOVL 8(SI), AX // si_code
	CMPL AX, $2    // BUS_ADRERR
	JNE  other
	MOVQ 16(SI), AX // si_addr
	CMPQ AX, ·guestLow(SB)
	JCS  other
	CMPQ AX, ·guestHigh(SB)
	JCC  other
	PUSHQ DI
	PUSHQ SI
	PUSHQ DX
	MOVQ AX, DI
	ANDQ $~4095, DI
	MOVL $4096, SI
	MOVL $3, DX    // PROT_READ|PROT_WRITE
	MOVL $0x32, R10 // MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS
	MOVQ $-1, R8
	XORL R9, R9
	MOVL $9, AX    // SYS_mmap
	SYSCALL
	POPQ DX
	POPQ SI
	POPQ DI
	CMPQ AX, $-4095
	JCC  other
	LOCK
	INCQ ·sigbuses(SB)
	RET
other:
	MOVQ ·nextSIGBUS(SB), AX
	JMP  AX

// func addrOnSIGBUS() uintptr
TEXT ·addrOnSIGBUS(SB), NOSPLIT, $0-8
	LEAQ ·onSIGBUS(SB), AX
	MOVQ AX, ret+0(FP)
	RET
