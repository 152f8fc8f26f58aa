package difftest

import "math/bits"

const conditions = "o no b ae e ne be a s ns p np l ge le g"

// twoOperands are the forms of add and its like.
const twoOperands = `
	{op} al, cl
	{op} ah, ch
	{op} dl, bh
	{op} sil, r9b
	{op} cx, dx
	{op} r8w, ax
	{op} ecx, edx
	{op} r8d, eax
	{op} rcx, rdx
	{op} r8, rax
	{op} rcx, rcx
	{op} eax, eax
	{op} al, 0x7f
	{op} ch, 0x80
	{op} dl, 1
	{op} ax, 0x1234
	{op} cx, -1
	{op} eax, 0x12345678
	{op} edx, -128
	{op} edx, 1
	{op} rax, 0x12345678
	{op} rdx, -1
	{op} r9, 0x7fffffff
	{op} byte ptr [rbx], cl
	{op} byte ptr [rbx+5], ah
	{op} word ptr [rbx], dx
	{op} dword ptr [rbx], edx
	{op} qword ptr [rbx+8], rdx
	{op} byte ptr [rbx], -3
	{op} word ptr [rbx], 0x4321
	{op} dword ptr [rbx], 0x12345678
	{op} qword ptr [rbx-16], -2
	{op} cl, byte ptr [rbx]
	{op} dh, byte ptr [rbx]
	{op} dx, word ptr [rbx]
	{op} edx, dword ptr [rbx]
	{op} rdx, qword ptr [rbx]
`

const unaryForms = `
	{op} al
	{op} ch
	{op} r10b
	{op} dx
	{op} ecx
	{op} r11d
	{op} rax
	{op} r12
	{op} byte ptr [rbx]
	{op} word ptr [rbx]
	{op} dword ptr [rbx]
	{op} qword ptr [rbx+8]
`

const shiftForms = `
	{op} al, 1
	{op} ah, cl
	{op} dl, cl
	{op} dx, 1
	{op} dx, cl
	{op} edx, 1
	{op} edx, cl
	{op} r8d, cl
	{op} rdx, 1
	{op} rdx, cl
	{op} r9, cl
	{op} rcx, cl
	{op} al, 3
	{op} ah, 7
	{op} al, 8
	{op} al, 9
	{op} dx, 5
	{op} dx, 16
	{op} dx, 17
	{op} edx, 13
	{op} edx, 31
	{op} edx, 0
	{op} rdx, 13
	{op} rdx, 63
	{op} rdx, 33
	{op} byte ptr [rbx], cl
	{op} word ptr [rbx], cl
	{op} dword ptr [rbx], cl
	{op} qword ptr [rbx], cl
	{op} byte ptr [rbx], 2
	{op} dword ptr [rbx], 1
	{op} qword ptr [rbx], 5
`

var intGroups = []group{
	{lines: twoOperands, words: map[string]string{"op": "add sub adc sbb cmp"}},
	{lines: twoOperands, words: map[string]string{"op": "and or xor"}, undef: undef(AF)},
	{lines: twoOperands, words: map[string]string{"op": "mov"}},
	{lines: `
		test al, cl
		test ah, dl
		test cx, dx
		test ecx, edx
		test rax, rax
		test eax, 0x8000
		test al, 0x80
		test r9, 0x12345678
		test byte ptr [rbx], 0x40
		test dword ptr [rbx], 0x40000000
		test qword ptr [rbx], rdx
	`, undef: undef(AF)},
	{lines: `
		{lock} {op} byte ptr [rbx], cl
		{lock} {op} word ptr [rbx+1], cx
		{lock} {op} dword ptr [rbx+4], ecx
		{lock} {op} dword ptr [rbx+3], ecx
		{lock} {op} qword ptr [rbx+8], rdx
		{lock} {op} qword ptr [rbx+9], rdx
		{lock} {op} dword ptr [rbx], 1
		{lock} {op} word ptr [rbx], -1
		{lock} {op} byte ptr [rbx], 0x80
	`, words: map[string]string{"op": "add sub adc sbb and or xor", "lock": "lock"}, undef: undef(AF)},
	{lines: unaryForms, words: map[string]string{"op": "inc dec neg not"}},
	{lines: `
		lock {op} byte ptr [rbx]
		lock {op} word ptr [rbx]
		lock {op} dword ptr [rbx]
		lock {op} qword ptr [rbx]
		lock {op} dword ptr [rbx+2]
	`, words: map[string]string{"op": "inc dec neg not"}},
	{lines: shiftForms, words: map[string]string{"op": "shl shr sar"}, undef: undef(AF | OF)},
	{lines: "{op} al, 1\n{op} dx, 1\n{op} edx, 1\n{op} rdx, 1\n{op} qword ptr [rbx], 1", words: map[string]string{"op": "shl shr sar rol ror rcl rcr"}, undef: undef(AF)},
	{lines: shiftForms, words: map[string]string{"op": "rol ror rcl rcr"}, undef: undef(OF)},
	{lines: `
		{op} dx, ax, 3
		{op} edx, eax, 1
		{op} edx, eax, 13
		{op} rdx, rax, 13
		{op} rdx, rax, 63
		{op} rdx, rax, cl
		{op} edx, r8d, cl
		{op} dword ptr [rbx], eax, cl
		{op} qword ptr [rbx], rax, cl
		{op} qword ptr [rbx], rax, 8
	`, words: map[string]string{"op": "shld shrd"}, undef: undef(AF | OF)},
	{lines: "{op} dx, ax, cl\n{op} word ptr [rbx], ax, cl", words: map[string]string{"op": "shld shrd"}, undef: undef(AF | OF), prep: func(r Random, s *State) {
		s.GPR[RCX] = s.GPR[RCX]&^31 | r.Uint64N(17) // above 16 the result is undefined
	}},
	{lines: "mul cl\nmul ah\nmul dx\nmul ecx\nmul rcx\nmul r8\nmul byte ptr [rbx]\nmul word ptr [rbx]\nmul dword ptr [rbx]\nmul qword ptr [rbx]", undef: undef(SF | ZF | AF | PF)},
	{lines: `
		imul cl
		imul dh
		imul dx
		imul ecx
		imul rcx
		imul byte ptr [rbx]
		imul qword ptr [rbx]
		imul cx, dx
		imul ecx, edx
		imul rcx, rdx
		imul r8, r8
		imul ecx, dword ptr [rbx]
		imul rcx, qword ptr [rbx]
		imul cx, dx, 100
		imul ecx, edx, 100
		imul ecx, edx, 0x12345678
		imul rcx, rdx, -3
		imul rcx, qword ptr [rbx], 0x12345
		imul eax, dword ptr [rbx], -7
	`, undef: undef(SF | ZF | AF | PF)},
	{lines: "div cl\ndiv ch\ndiv byte ptr [rbx]\nidiv cl\nidiv bl", undef: undef(Arith), prep: dividend(8)},
	{lines: "div cx\nidiv cx\ndiv word ptr [rbx]\nidiv word ptr [rbx]", undef: undef(Arith), prep: dividend(16)},
	{lines: "div ecx\nidiv ecx\ndiv dword ptr [rbx]\nidiv r8d", undef: undef(Arith), prep: dividend(32)},
	{lines: "div rcx\nidiv rcx\ndiv qword ptr [rbx]\nidiv r8", undef: undef(Arith), prep: dividend(64)},
	{lines: "cqo; idiv rcx\ncdq; idiv ecx\nxor edx, edx; div rcx\nxor edx, edx; div ecx\nxor edx, edx; div r8\ncqo; idiv r8\ncwd; idiv cx", undef: undef(Arith)},
	{lines: `
		{op} cx, dx
		{op} ecx, edx
		{op} rcx, rdx
		{op} r9, rcx
		{op} cx, 3
		{op} ecx, 35
		{op} rcx, 63
		{op} rcx, 100
		{op} word ptr [rbx], 9
		{op} dword ptr [rbx], 31
		{op} qword ptr [rbx], 61
	`, words: map[string]string{"op": "bt bts btr btc"}, undef: undef(OF | SF | AF | PF)},
	{lines: `
		{op} word ptr [rbx], dx
		{op} dword ptr [rbx], edx
		{op} qword ptr [rbx], rdx
	`, words: map[string]string{"op": "bt bts btr btc"}, undef: undef(OF | SF | AF | PF), prep: func(r Random, s *State) {
		s.GPR[RDX] = uint64(r.IntN(2000) - 1000)
	}},
	{lines: "lock {op} dword ptr [rbx], 5\nlock {op} qword ptr [rbx], 61\nlock {op} dword ptr [rbx], edx\nlock {op} qword ptr [rbx], rdx", words: map[string]string{"op": "bts btr btc"},
		undef: undef(OF | SF | AF | PF), prep: func(r Random, s *State) { s.GPR[RDX] = uint64(r.IntN(2000) - 1000) }},
	{lines: "{op} cx, dx\n{op} ecx, edx\n{op} rcx, rdx\n{op} r8d, dword ptr [rbx]\n{op} rcx, qword ptr [rbx]", words: map[string]string{"op": "bsf bsr"},
		undef: undef(CF | OF | SF | AF | PF)},
	{lines: "rep bsf ecx, edx\nrep bsf rcx, rdx\nrep bsf r8, qword ptr [rbx]", undef: undef(OF | SF | AF | PF)}, // tzcnt
	{lines: "popcnt cx, dx\npopcnt ecx, edx\npopcnt rcx, rdx\npopcnt rcx, qword ptr [rbx]"},
	{lines: "cmov{cc} cx, dx\ncmov{cc} ecx, edx\ncmov{cc} rcx, rdx\ncmov{cc} r8, qword ptr [rbx]\nset{cc} al\nset{cc} ch\nset{cc} r8b\nset{cc} byte ptr [rbx]", words: map[string]string{"cc": conditions}},
	{lines: "{op} {args}; set{cc} al\n{op} {args}; cmov{cc} r8, r9", words: map[string]string{"cc": conditions, "op": "cmp sub add", "args": "dl,cl dx,cx edx,ecx rdx,rcx edx,7 rdx,-1 edx,edx ah,dl"}},
	{lines: "{op} {args}; set{cc} al", words: map[string]string{"cc": conditions, "op": "inc dec neg", "args": "dl dx edx rdx"}},
	{lines: "{op} {args}; set{cc} al", words: map[string]string{"cc": "o no b ae e ne be a s ns p np l ge le g", "op": "and test or xor adc sbb", "args": "dl,cl dx,cx edx,ecx rdx,rcx edx,7 rdx,-1"}, undef: undef(AF)},
	{lines: "{op} {args}; set{cc} al", words: map[string]string{"cc": "b ae e ne be a s ns p np", "op": "shl shr sar", "args": "dl,1 dx,3 edx,5 rdx,5 rdx,cl edx,cl"}, undef: undef(AF | OF)},
	{lines: `
		movzx eax, cl
		movzx eax, ch
		movzx ax, dl
		movzx rax, dl
		movzx eax, cx
		movzx rax, word ptr [rbx]
		movzx eax, byte ptr [rbx]
		movsx eax, cl
		movsx eax, dh
		movsx ax, dl
		movsx rax, dl
		movsx rax, cx
		movsx eax, word ptr [rbx]
		movsx rax, byte ptr [rbx]
		movsxd rax, ecx
		movsxd rax, dword ptr [rbx]
		mov rax, 0x123456789abcdef0
		mov al, ah
		mov ah, al
		mov bh, dl
		mov eax, eax
		mov rcx, rsp
		mov rbx, rdx
	`},
	{lines: `
		lea rax, [rcx+rdx*4+0x12345]
		lea eax, [rcx+rdx*8-7]
		lea ax, [rcx+rdx*2]
		lea rax, [rcx*8]
		lea rax, [rcx-1]
		lea eax, [ecx+edx]
		lea rax, [ecx+edx*2+5]
		lea rsp, [rsp-8]; lea rsp, [rsp+8]
	`},
	{lines: "cbw\ncwde\ncdqe\ncwd\ncdq\ncqo\nbswap eax\nbswap rcx\nbswap r9d\nclc\nstc\ncmc\nstd\ncld\nnop\nnop word ptr [rax+rax*1]\nxchg ax, ax\nendbr64\npause"},
	{lines: "lahf\nsahf\nlahf; sahf"},
	{lines: `
		xchg al, cl
		xchg al, ah
		xchg dh, ch
		xchg ax, dx
		xchg eax, edx
		xchg rax, r8
		xchg rcx, rdx
		xchg byte ptr [rbx], cl
		xchg word ptr [rbx+1], cx
		xchg dword ptr [rbx], ecx
		xchg dword ptr [rbx+1], ecx
		xchg qword ptr [rbx], rcx
		xchg qword ptr [rbx+3], rcx
		xadd al, cl
		xadd cx, dx
		xadd ecx, edx
		xadd rcx, rdx
		xadd rcx, rcx
		xadd dword ptr [rbx], ecx
		lock xadd byte ptr [rbx], cl
		lock xadd word ptr [rbx], cx
		lock xadd dword ptr [rbx], ecx
		lock xadd qword ptr [rbx], rcx
		lock xadd qword ptr [rbx+5], rcx
	`},
	{lines: `
		cmpxchg cl, dl
		cmpxchg cx, dx
		cmpxchg ecx, edx
		cmpxchg rcx, rdx
		cmpxchg dword ptr [rbx], ecx
		cmpxchg qword ptr [rbx], rcx
		lock cmpxchg byte ptr [rbx], cl
		lock cmpxchg word ptr [rbx], cx
		lock cmpxchg dword ptr [rbx], ecx
		lock cmpxchg dword ptr [rbx+3], ecx
		lock cmpxchg qword ptr [rbx], rcx
		lock cmpxchg qword ptr [rbx+1], rcx
	`, prep: func(r Random, s *State) {
		switch r.IntN(4) {
		case 0:
			s.GPR[RAX] = s.GPR[RCX]
		case 1:
			copy(s.Data[0x100:], le64(s.GPR[RAX]))
		case 2:
			copy(s.Data[0x101+r.IntN(3):], le64(s.GPR[RAX]))
		}
	}},
	{lines: "cmpxchg8b qword ptr [rbp]\nlock cmpxchg8b qword ptr [rbp]\nlock cmpxchg16b xmmword ptr [rbp]\ncmpxchg16b xmmword ptr [rbp]", prep: func(r Random, s *State) {
		s.GPR[RBP] = DataBase + 0x80
		s.GPR[RBX] = r.Int()
		switch r.IntN(3) {
		case 0:
			copy(s.Data[0x80:], le64(s.GPR[RAX]))
			copy(s.Data[0x88:], le64(s.GPR[RDX]))
		case 1:
			copy(s.Data[0x80:], le64(s.GPR[RAX]&0xffffffff|s.GPR[RDX]<<32))
		}
	}},
	{lines: `
		push rax
		push 0x12345678
		push -1
		push word ptr [rbx]
		push qword ptr [rbx]
		push rsp
		push ax
		pop rax
		pop ax
		pop qword ptr [rbx]
		pop rsp; mov rsp, 0x20010080
		push rax; pop rcx
		push qword ptr [rsp+8]
		pop qword ptr [rsp+8]
		pushfq; pop rax; and eax, 0x8d5
		push rax; popfq
		leave; mov rsp, 0x20010080
		enter 16, 0
	`, prep: func(r Random, s *State) {
		s.GPR[RBP] = StackBase + 0x40
		s.GPR[RAX] = r.Uint64()&Arith | 0x202
	}, undef: func(in *State) uint64 { return 0 }},
	{lines: "{rep} stos{s}\n{rep} movs{s}", words: map[string]string{"rep": "rep nop;", "s": "b w d q"}, prep: shortCount},
	{lines: "lods{s}", words: map[string]string{"s": "b w d q"}},
	{lines: "rep lods{s}", words: map[string]string{"s": "b w d q"}, prep: shortCount},
	{lines: "{rep} scas{s}\n{rep} cmps{s}", words: map[string]string{"rep": "repe repne nop;", "s": "b w d q"}, prep: func(r Random, s *State) {
		shortCount(r, s)
		if r.IntN(2) == 0 {
			for i := range s.Data {
				s.Data[i] = s.Data[i%8] & 1
			}
			s.GPR[RAX] &= 0x0101010101010101
		}
	}},
	{lines: "std; {rep} movs{s}; cld\nstd; {rep} stos{s}; cld\nstd; repne scas{s}; cld", words: map[string]string{"rep": "rep nop;", "s": "b w d q"}, prep: shortCount},
	{lines: "rep movsb\nrep movsq", prep: func(r Random, s *State) { // overlapping
		shortCount(r, s)
		s.GPR[RDI] = s.GPR[RSI] + uint64(r.IntN(9)-4)
	}},
	{lines: "rep stosb\nrep stosq\nrep movsb\nrepne scasb\nrepe cmpsb", prep: func(_ Random, s *State) { s.GPR[RCX] = 0 }},
	{lines: "xlatb", prep: func(r Random, s *State) { s.GPR[RBX] = DataBase }},
	{lines: "ud2\nint3\nmov eax, dword ptr [0x10]\nmov qword ptr [rdx], rax\nhlt", prep: func(_ Random, s *State) { s.GPR[RDX] = 8 }},
	{lines: "movbe eax, dword ptr [rbx]\nmovbe qword ptr [rbx], rdx"},
	{lines: `
		jrcxz 1f; mov eax, 1; 1: nop
		jecxz 1f; mov eax, 1; 1: nop
		cmp rcx, rdx; j{cc} 1f; mov eax, 1; 1: nop
		test ecx, edx; j{cc} 1f; mov eax, 1; 1: nop
	`, words: map[string]string{"cc": "e ne b ae a be l ge le g s ns"}, undef: undef(AF)},
	{lines: `
		and ecx, 15; inc ecx; 1: add rax, rcx; dec ecx; jne 1b
		and ecx, 15; inc ecx; 1: lea rax, [rax+rax*2]; loop 1b
		and ecx, 15; inc ecx; xor eax, eax; 1: add rax, qword ptr [rbx+rcx*8]; adc rdx, 0; loop 1b
		mov r8, rax; 1: xor eax, r8d; shr r8, 4; jne 1b
		xor r8d, r8d; mov r9, rcx; 1: shr r9, 1; adc r8d, 0; test r9, r9; jne 1b
	`, undef: undef(AF | OF)},
}

// IntCases are the general-purpose instructions.
func IntCases() []Case { return expand(intGroups) }

func shortCount(r Random, s *State) { s.GPR[RCX] = uint64(r.IntN(9)) }

func le64(v uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return b
}

// dividend makes most divisions fit their quotient: it cuts the high half
// below the divisor's magnitude three times out of four.
func dividend(width int) func(Random, *State) {
	return func(r Random, s *State) {
		if r.IntN(4) == 0 {
			return
		}
		high := s.GPR[RDX]
		if r.IntN(2) == 0 {
			high = 0
		} else {
			high >>= 1 + r.IntN(bits.Len64(s.GPR[RCX])+1)
		}
		if r.IntN(3) == 0 {
			high = -high
		}
		s.GPR[RDX] = high
		if width == 8 {
			s.GPR[RAX] = s.GPR[RAX]&0xff | high<<8&0xff00
		}
	}
}
