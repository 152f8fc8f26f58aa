#include "textflag.h"

// Offsets in heart, pulse and pulses.
#define heart_stop 0
#define heart_pass 4
#define heart_asleep 8
#define heart_quiet 12
#define heart_pulses 16
#define heart_sleep 24
#define pulse_inGuest 0
#define pulse_word 8
#define pulse_size 64
#define pulses_next 0
#define pulses_list 64
#define pulses_count 63

// quietBeats is after how many beats with no guest the thread sleeps.
#define quietBeats 500

// func beat(h *heart)
TEXT ·beat(SB), NOSPLIT, $0-8
	MOVQ h+0(FP), BX

again:
	LEAQ heart_sleep(BX), DI
	XORL SI, SI
	MOVL $35, AX // SYS_nanosleep
	SYSCALL
	XORL R9, R9  // 1: asleep was set, this is the last look before it

pass:
	CMPL heart_stop(BX), $0
	JNE  done
	MOVL $1, AX
	LOCK
	XADDL AX, heart_pass(BX)
	XORL R8, R8 // guests
	MOVQ heart_pulses(BX), DX

chunk:
	TESTQ DX, DX
	JEQ   passed
	LEAQ  pulses_list(DX), SI
	MOVL  $pulses_count, CX

next:
	CMPL pulse_inGuest(SI), $0
	JEQ  idle
	MOVQ pulse_word(SI), DI
	MOVL $-1, (DI)
	INCL R8

idle:
	ADDQ $pulse_size, SI
	DECL CX
	JNE  next
	MOVQ pulses_next(DX), DX
	JMP  chunk

passed:
	MOVL $1, AX
	LOCK
	XADDL AX, heart_pass(BX)
	TESTL R8, R8
	JNE  busy
	TESTL R9, R9
	JNE  sleep
	INCL heart_quiet(BX)
	CMPL heart_quiet(BX), $quietBeats
	JLT  again
	MOVL $1, R9
	MOVL $1, AX
	XCHGL AX, heart_asleep(BX) // before the look at pulses, as enter's look at it is after its write to one
	JMP  pass

sleep:
	LEAQ heart_asleep(BX), DI
	MOVL $128, SI // FUTEX_WAIT|FUTEX_PRIVATE_FLAG
	MOVL $1, DX
	XORL R10, R10
	MOVL $202, AX // SYS_futex
	SYSCALL

busy:
	MOVL $0, heart_quiet(BX)
	JMP  again

done:
	RET
