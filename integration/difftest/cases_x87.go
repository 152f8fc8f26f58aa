package difftest

var x87Groups = []group{
	{lines: `
		f{op} st, st(1)
		f{op} st, st(0)
		f{op} st(2), st
		f{op}p st(1), st
		f{op}p st(2), st
		f{op} dword ptr [rbx]
		f{op} qword ptr [rbx]
		fi{op} word ptr [rbx]
		fi{op} dword ptr [rbx]
	`, words: words("op", "add sub subr mul div divr")},
	{lines: "f{op} st(2)\nf{op}p st(2)\nf{op}pp", words: words("op", "com ucom")},
	{lines: "fcom{p} dword ptr [rbx]\nfcom{p} qword ptr [rbx]\nficom{p} word ptr [rbx]\nficom{p} dword ptr [rbx]", words: words("p", "p")},
	{lines: "fcom dword ptr [rbx]\nficom dword ptr [rbx]\nftst\nfxam\nfxam; fnstsw ax"},
	{lines: "{u} st, st(1)\n{u} st, st(0)\n{u}p st, st(2)\n{u} st, st(1); set{cc} al", words: words("u", "fcomi fucomi", "cc", "e ne a b be ae p np")},
	{lines: "fcmov{cc} st, st(2)", words: words("cc", "b e be u nb ne nbe nu")},
	{lines: `
		fld st(0)
		fld st(3)
		fld dword ptr [rbx]
		fld qword ptr [rbx]
		fld tbyte ptr [rbx]
		fild word ptr [rbx]
		fild dword ptr [rbx]
		fild qword ptr [rbx]
		fst st(2)
		fstp st(0)
		fstp st(1)
		fst dword ptr [rbx]
		fst qword ptr [rbx]
		fstp dword ptr [rbx]
		fstp qword ptr [rbx]
		fstp tbyte ptr [rbx]
		fist word ptr [rbx]
		fist dword ptr [rbx]
		fistp word ptr [rbx]
		fistp dword ptr [rbx]
		fistp qword ptr [rbx]
		fisttp word ptr [rbx]
		fisttp dword ptr [rbx]
		fisttp qword ptr [rbx]
		fbstp tbyte ptr [rbx]
		fbstp tbyte ptr [rbx]; fbld tbyte ptr [rbx]
		fxch
		fxch st(3)
		ffree st(1)
		fld1
		fldl2t
		fldl2e
		fldpi
		fldlg2
		fldln2
		fldz
		fchs
		fabs
		fsqrt
		frndint
		fscale
		fxtract
		fprem
		fprem1
		fnstsw ax
		fnstsw word ptr [rbx]
		fnstcw word ptr [rbx]
		fldcw word ptr [rbx]
		fnclex
		fninit
		fwait
		fnop
		emms
		fld tbyte ptr [rbx]; fadd st, st(1); fstp tbyte ptr [rbx+16]
		fldz; fnsave [rbp]; frstor [rbp]
		fnsave [rbp]
		fnstenv [rbp]; fldenv [rbp]
		fnstenv [rbp]
		fxsave [rbp]; fninit; fxrstor [rbp]
	`, prep: func(r Random, s *State) { s.GPR[RBP] = DataBase + 0x300 }},
}

// X87Cases are the x87 instructions but the transcendental ones, which are
// not exact on the processor either.
func X87Cases() []Case {
	cases := expand(x87Groups)
	for i := range cases {
		prep := cases[i].Prep
		cases[i].Prep = func(r Random, s *State) {
			r.X87(s)
			if prep != nil {
				prep(r, s)
			}
		}
	}
	return cases
}
