package x86

import "bytes"

// alias is an undocumented encoding and the one that means the same, which
// x86asm knows. The register in ModRM.rm stays if the range has eight.
type alias struct {
	opMap, opcode byte
	from, to      byte // range of ModRM
	asOpcode      byte
	asModRM       byte // ModRM.rm of the range's first
}

// aliases: AMD's manual volume 3, appendix A lists the x87 ones; processors
// took them over from the 80287.
var aliases = []alias{
	{0, 0xd9, 0xd8, 0xdf, 0xdd, 0xd8}, // fstp
	{0, 0xdc, 0xd0, 0xd7, 0xd8, 0xd0}, // fcom
	{0, 0xdc, 0xd8, 0xdf, 0xd8, 0xd8}, // fcomp
	{0, 0xdd, 0xc8, 0xcf, 0xd9, 0xc8}, // fxch
	{0, 0xde, 0xd0, 0xd7, 0xd8, 0xd8}, // fcomp
	{0, 0xdf, 0xc8, 0xcf, 0xd9, 0xc8}, // fxch
	{0, 0xdf, 0xd0, 0xdf, 0xdd, 0xd8}, // fstp
	{0, 0xdb, 0xe0, 0xe1, 0xd9, 0xd0}, // feni, fdisi: fnop
	{0, 0xdb, 0xe4, 0xe4, 0xd9, 0xd0}, // fsetpm: fnop
}

// sameReg says which ModRM.reg of a one-byte opcode means the same as another.
var sameReg = map[byte][2]byte{
	0xc0: {6, 4}, 0xc1: {6, 4}, 0xd0: {6, 4}, 0xd1: {6, 4}, 0xd2: {6, 4}, 0xd3: {6, 4}, // sal: shl
	0xf6: {1, 0}, 0xf7: {1, 0}, // test
}

// canonical is code, whose layout is l, without undocumented encodings.
func canonical(code []byte, l *layout) []byte {
	switch {
	case l.opMap == 0 && l.opcode == 0x90 && l.rexB: // xchg r8, rax, not pause
		return bytes.ReplaceAll(code, []byte{0xf3}, []byte{0x3e})
	case l.opMap == 1 && (l.opcode >= 0x18 && l.opcode <= 0x1f || l.opcode == 0x0d && !l.isReg() && l.reg() != 1): // hints: nop where they say nothing
		return hint(code, l)
	}
	if same, ok := sameReg[l.opcode]; ok && l.opMap == 0 && l.reg() == same[0] {
		code = bytes.Clone(code)
		code[l.modRMAt] = code[l.modRMAt]&^(7<<3) | same[1]<<3
		return code
	}
	for _, a := range aliases {
		if a.opMap == l.opMap && a.opcode == l.opcode && l.modRM >= a.from && l.modRM <= a.to {
			code = bytes.Clone(code)
			code[l.modRMAt-1] = a.asOpcode
			code[l.modRMAt] = a.asModRM
			if a.to-a.from >= 7 {
				code[l.modRMAt] |= l.modRM & 7
			}
			return code
		}
	}
	return code
}

// hint makes a nop of what is no prefetch.
func hint(code []byte, l *layout) []byte {
	if l.opcode == 0x18 && !l.isReg() && l.reg() < 4 {
		return code
	}
	code = bytes.Clone(code)
	code[l.modRMAt-1] = 0x1f
	code[l.modRMAt] &^= 7 << 3
	if l.rexW { // which x86asm does not take
		code[l.modRMAt-3] &^= 8
	}
	return code
}
