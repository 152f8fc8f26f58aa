#include "textflag.h"

// func cas16(p *[2]uint64, lo, hi, newLo, newHi uint64) (oldLo, oldHi uint64)
TEXT ·cas16(SB), NOSPLIT, $0-56
	MOVQ p+0(FP), DI
	MOVQ lo+8(FP), AX
	MOVQ hi+16(FP), DX
	MOVQ newLo+24(FP), BX
	MOVQ newHi+32(FP), CX
	LOCK
	CMPXCHG16B (DI)
	MOVQ AX, oldLo+40(FP)
	MOVQ DX, oldHi+48(FP)
	RET
