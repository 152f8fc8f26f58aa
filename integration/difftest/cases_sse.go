package difftest

import (
	"encoding/binary"
	"math"
)

var (
	doublesPrep = func(r Random, s *State) { r.Doubles(s); s.GPR[RBX] &^= 15 }
	singlesPrep = func(r Random, s *State) { r.Singles(s); s.GPR[RBX] &^= 15 }
)

// noExceptions leaves out MXCSR's flags, which only TestMXCSR has kept.
var noExceptions = Mask{MXCSR: 0x3f}

const (
	vectorForms = "{op} xmm0, xmm1\n{op} xmm2, xmm2\n{op} xmm9, xmm3\n{op} xmm0, xmmword ptr [rbx]"
	sdForms     = "{op} xmm0, xmm1\n{op} xmm2, xmm2\n{op} xmm9, qword ptr [rbx]"
	ssForms     = "{op} xmm0, xmm1\n{op} xmm2, xmm2\n{op} xmm9, dword ptr [rbx]"
	immForms    = "{op} xmm0, xmm1, {i}\n{op} xmm0, xmmword ptr [rbx], {i}"
)

func words(kv ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

var sseGroups = []group{
	{lines: sdForms, words: words("op", "addsd subsd mulsd divsd minsd maxsd sqrtsd ucomisd comisd cvtsd2ss cmpeqsd cmpltsd cmplesd cmpunordsd cmpneqsd cmpnltsd cmpnlesd cmpordsd"), prep: doublesPrep, mask: noExceptions},
	{lines: ssForms, words: words("op", "addss subss mulss divss minss maxss sqrtss ucomiss comiss cvtss2sd cmpeqss cmpltss cmpless cmpunordss cmpneqss cmpnltss cmpnless cmpordss"), prep: singlesPrep, mask: noExceptions},
	{lines: vectorForms, words: words("op", "addpd subpd mulpd divpd minpd maxpd sqrtpd andpd andnpd orpd xorpd cmpeqpd cmpltpd cmplepd cmpunordpd cmpneqpd cmpnltpd cmpnlepd cmpordpd unpcklpd unpckhpd cvtpd2ps cvttpd2dq cvtpd2dq haddpd hsubpd addsubpd"), prep: doublesPrep, mask: noExceptions},
	{lines: vectorForms, words: words("op", "addps subps mulps divps minps maxps sqrtps andps andnps orps xorps cmpeqps cmpltps cmpleps cmpunordps cmpneqps cmpnltps cmpnleps cmpordps unpcklps unpckhps cvttps2dq cvtps2dq haddps hsubps addsubps movsldup movshdup"), prep: singlesPrep, mask: noExceptions},
	{lines: sdForms, words: words("op", "cvtps2pd"), prep: singlesPrep, mask: noExceptions},
	{lines: sdForms, words: words("op", "movddup"), prep: doublesPrep},
	{lines: "{op} {a}; set{cc} al\n{op} {a}; cmov{cc} r8, r9", words: words("op", "ucomisd comisd", "a", "xmm0,xmm1 xmm2,xmm2", "cc", conditions), prep: doublesPrep, mask: noExceptions},
	{lines: "{op} {a}; set{cc} al", words: words("op", "ucomiss", "a", "xmm0,xmm1 xmm2,xmm2", "cc", conditions), prep: singlesPrep, mask: noExceptions},
	{lines: "rcpss xmm0, xmm1\nrsqrtss xmm0, xmm1\nrcpps xmm0, xmm1\nrsqrtps xmm0, xmm1", prep: func(r Random, s *State) {
		for i := range 4 { // what is not normal differs more
			binary.LittleEndian.PutUint32(s.XMM(1)[4*i:], math.Float32bits(float32(r.Float64()*1e6+1e-6)))
		}
	}, mask: noExceptions, fix: estimates},

	{lines: "{op} eax, xmm1\n{op} r9, xmm1\n{op} ecx, qword ptr [rbx]\n{op} rcx, qword ptr [rbx]", words: words("op", "cvttsd2si cvtsd2si"), prep: roundedDoubles, mask: noExceptions},
	{lines: "{op} eax, xmm1\n{op} r9, xmm1\n{op} ecx, dword ptr [rbx]\n{op} rcx, dword ptr [rbx]", words: words("op", "cvttss2si cvtss2si"), prep: roundedSingles, mask: noExceptions},
	{lines: "cvtpd2dq xmm0, xmm1\ncvtpd2dq xmm0, xmmword ptr [rbx]\nroundsd xmm0, xmm1, {i}\nroundpd xmm0, xmm1, {i}", words: words("i", "0 1 2 3 4 8 11"), prep: roundedDoubles, mask: noExceptions},
	{lines: "cvtps2dq xmm0, xmm1\ncvtps2dq xmm0, xmmword ptr [rbx]\nroundss xmm0, xmm1, {i}\nroundps xmm0, xmm1, {i}", words: words("i", "0 1 2 3 4 8 11"), prep: roundedSingles, mask: noExceptions},
	{lines: "{op} xmm0, eax\n{op} xmm1, r9\n{op} xmm0, dword ptr [rbx]\n{op} xmm0, qword ptr [rbx]", words: words("op", "cvtsi2sd cvtsi2ss"), mask: noExceptions},
	{lines: "cvtdq2pd xmm0, xmm1\ncvtdq2pd xmm0, qword ptr [rbx]\ncvtdq2ps xmm0, xmm1\ncvtdq2ps xmm0, xmmword ptr [rbx]", mask: noExceptions},

	{lines: `
		{op} xmm0, xmm1
		{op} xmm0, xmmword ptr [rbx]
		{op} xmmword ptr [rbx], xmm1
	`, words: words("op", "movaps movapd movups movupd movdqa movdqu")},
	{lines: "movups xmm0, xmmword ptr [rbx+3]\nmovdqu xmmword ptr [rbx+5], xmm3\nlddqu xmm0, xmmword ptr [rbx+1]\nmovntps xmmword ptr [rbx], xmm0\nmovntpd xmmword ptr [rbx], xmm0\nmovntdq xmmword ptr [rbx], xmm0\nmovntdqa xmm0, xmmword ptr [rbx]\nmovnti dword ptr [rbx], eax\nmovnti qword ptr [rbx], r9"},
	{lines: `
		movss xmm0, xmm1
		movss xmm0, dword ptr [rbx]
		movss dword ptr [rbx+4], xmm1
		movsd xmm0, xmm1
		movsd xmm0, qword ptr [rbx]
		movsd qword ptr [rbx+8], xmm1
		movd xmm0, eax
		movd xmm0, dword ptr [rbx]
		movd eax, xmm1
		movd dword ptr [rbx], xmm1
		movq xmm0, rax
		movq xmm0, qword ptr [rbx]
		movq xmm0, xmm1
		movq rax, xmm1
		movq qword ptr [rbx], xmm1
		movlps xmm0, qword ptr [rbx]
		movlpd xmm0, qword ptr [rbx]
		movhps xmm0, qword ptr [rbx]
		movhpd xmm0, qword ptr [rbx]
		movlps qword ptr [rbx], xmm1
		movlpd qword ptr [rbx], xmm1
		movhps qword ptr [rbx], xmm1
		movhpd qword ptr [rbx], xmm1
		movhlps xmm0, xmm1
		movlhps xmm0, xmm1
		movlhps xmm0, xmm0
		movmskps eax, xmm1
		movmskpd eax, xmm1
		pmovmskb eax, xmm1
		maskmovdqu xmm0, xmm1
		movsd xmm0, qword ptr [rbx]; addsd xmm0, xmm1; mulsd xmm0, xmm2; movapd xmm3, xmm0
		movsd xmm0, xmm1; movsd xmm0, xmm2; movhpd xmm0, qword ptr [rbx]; movq rax, xmm0
		ldmxcsr dword ptr [rbp]; stmxcsr dword ptr [rbx]
	`, prep: func(r Random, s *State) {
		s.GPR[RBP] = DataBase + 0x40
		binary.LittleEndian.PutUint32(s.Data[0x40:], 0x1f80|r.Uint32()&0x6000)
	}, mask: noExceptions},

	{lines: vectorForms, words: words("op", "paddb paddw paddd paddq psubb psubw psubd psubq paddsb paddsw paddusb paddusw psubsb psubsw psubusb psubusw pavgb pavgw pminub pminsw pmaxub pmaxsw pcmpeqb pcmpeqw pcmpeqd pcmpgtb pcmpgtw pcmpgtd pand por pxor pandn pmullw pmulhw pmulhuw pmuludq pmaddwd psadbw packsswb packuswb packssdw punpcklbw punpcklwd punpckldq punpcklqdq punpckhbw punpckhwd punpckhdq punpckhqdq psllw pslld psllq psrlw psrld psrlq psraw psrad"), prep: smallCounts},
	{lines: vectorForms, words: words("op", "pminsb pminuw pminsd pminud pmaxsb pmaxuw pmaxsd pmaxud pcmpeqq pcmpgtq pmulld pmuldq pabsb pabsw pabsd psignb psignw psignd phaddw phaddd phaddsw phsubw phsubd phsubsw pmaddubsw pmulhrsw pshufb packusdw ptest pblendvb blendvps blendvpd")},
	{lines: "{op} xmm0, {i}", words: words("op", "psllw pslld psllq psrlw psrld psrlq psraw psrad pslldq psrldq", "i", "0 1 5 8 15 16 31 33 63 64 200")},
	{lines: immForms, words: words("op", "pshufd pshuflw pshufhw shufps shufpd palignr blendps blendpd pblendw", "i", "0 1 5 15 16 27 31 32 78 177 228 238 255")},
	{lines: "pinsrw xmm0, eax, {i}\npinsrw xmm0, word ptr [rbx], {i}\npextrw eax, xmm1, {i}\npinsrb xmm0, eax, {i}\npinsrd xmm0, eax, {i}\npinsrq xmm0, rax, {i}\npextrb eax, xmm1, {i}\npextrd eax, xmm1, {i}\npextrq rax, xmm1, {i}\npextrd dword ptr [rbx], xmm1, {i}\npextrb byte ptr [rbx], xmm1, {i}\nextractps eax, xmm1, {i}\ninsertps xmm0, xmm1, {j}\ninsertps xmm0, dword ptr [rbx], {j}", words: words("i", "0 1 3 7 9", "j", "0 16 66 177 255")},
	{lines: "{op} xmm0, xmm1\n{op} xmm0, qword ptr [rbx]", words: words("op", "pmovsxbw pmovzxbw pmovsxwd pmovzxwd pmovsxdq pmovzxdq")},
	{lines: "{op} xmm0, xmm1\n{op} xmm0, dword ptr [rbx]", words: words("op", "pmovsxbd pmovzxbd pmovsxwq pmovzxwq")},
	{lines: "{op} xmm0, xmm1\n{op} xmm0, word ptr [rbx]", words: words("op", "pmovsxbq pmovzxbq")},
	{lines: "crc32 eax, cl\ncrc32 eax, ecx\ncrc32 rax, rcx\ncrc32 eax, word ptr [rbx]"},
	{lines: "mfence\nlfence\nsfence\nprefetcht0 [rbx]\nprefetchnta [rbx]\nclflush [rbx]"},
}

var mmxGroups = []group{
	{lines: "{op} mm0, mm1; movq rax, mm0; emms\n{op} mm0, dword ptr [rbx]; movq rax, mm0; emms", words: words("op", "punpcklbw punpcklwd punpckldq")},
	{lines: "{op} mm0, mm1; movq rax, mm0; emms\n{op} mm0, qword ptr [rbx]; movq rax, mm0; emms", words: words("op", "paddb paddw paddd paddq psubb psubw psubd psubq paddusb psubusb pand por pxor pandn pcmpeqb pcmpgtw pmullw pmulhw pmaddwd packsswb packuswb packssdw punpckhbw punpckhwd punpckhdq psllw psllq psrld psraw pmuludq pavgb pmaxub psadbw pshufb")},
	{lines: "movq mm0, rax; movq rcx, mm0; emms\nmovd mm0, eax; movd ecx, mm0; emms\nmovq mm3, qword ptr [rbx]; movq qword ptr [rbx+8], mm3; emms\nmovq2dq xmm0, mm1; emms\nmovdq2q mm1, xmm0; movq rax, mm1; emms\npmovmskb eax, mm1; emms\npshufw mm0, mm1, 27; movq rax, mm0; emms\npinsrw mm0, eax, 2; movq rax, mm0; emms\npextrw eax, mm1, 3; emms\ncvttps2pi mm0, xmm0; movq rax, mm0; emms\ncvtpi2pd xmm0, mm1; emms\ncvtpi2ps xmm0, mm1; emms", mask: noExceptions},
}

// SSECases are the SSE instructions on xmm registers.
func SSECases() []Case { return expand(sseGroups) }

// MMXCases are the instructions on MMX registers.
func MMXCases() []Case { return expand(mmxGroups) }

func rounding(r Random, s *State) { s.SetMXCSR(0x1f80 | r.Uint32N(4)<<13) }

func roundedDoubles(r Random, s *State) {
	doublesPrep(r, s)
	rounding(r, s)
}

func roundedSingles(r Random, s *State) {
	singlesPrep(r, s)
	rounding(r, s)
}

// smallCounts makes the source a small number in half of the vectors, so that
// shift counts are within lanes.
func smallCounts(r Random, s *State) {
	if r.IntN(2) == 0 {
		for _, b := range [][]byte{s.XMM(1), s.XMM(3), s.Data[0x100:]} {
			binary.LittleEndian.PutUint64(b, r.Uint64N(70))
		}
	}
}

// estimates lets the reciprocal estimates differ: the processor's are exact to
// 1.5·2⁻¹² only.
func estimates(got, want *State) {
	for i := range 4 {
		g := math.Float32frombits(binary.LittleEndian.Uint32(got.XMM(0)[4*i:]))
		w := math.Float32frombits(binary.LittleEndian.Uint32(want.XMM(0)[4*i:]))
		if math.Abs(float64(g-w)) <= math.Abs(float64(w))/2048 {
			copy(got.XMM(0)[4*i:][:4], want.XMM(0)[4*i:])
		}
	}
}
