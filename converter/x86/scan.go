package x86

import "strings"

// An opcode map: a letter for each opcode says what follows it.
//
//	.  nothing                  x  undefined in 64-bit mode
//	m  ModRM                    M  ModRM, imm8       Z  ModRM, imm16/32
//	f  ModRM, imm8 if /0 or /1  F  ModRM, imm16/32 if /0 or /1
//	b  imm8 or rel8             z  imm16/32          w  imm16    e  imm16, imm8
//	d  rel32                    v  imm16/32/64       o  moffs
//
// Prefixes and escapes never get here and are marked x.
type opcodeMap string

// opcodeMaps are indexed by the map number of VEX: 0 has no escape, 1 is 0F,
// 2 is 0F38, 3 is 0F3A.
var opcodeMaps = [4]opcodeMap{
	opcodeMap(strings.Join([]string{
		"mmmmbzxxmmmmbzxx", // 00
		"mmmmbzxxmmmmbzxx", // 10
		"mmmmbzxxmmmmbzxx", // 20
		"mmmmbzxxmmmmbzxx", // 30
		"xxxxxxxxxxxxxxxx", // 40
		"................", // 50
		"xxxmxxxxzZbM....", // 60
		"bbbbbbbbbbbbbbbb", // 70
		"MZxMmmmmmmmmmmmm", // 80
		"..........x.....", // 90
		"oooo....bz......", // a0
		"bbbbbbbbvvvvvvvv", // b0
		"MMw.xxMZe.w..bx.", // c0
		"mmmmxxx.mmmmmmmm", // d0
		"bbbbbbbbddxb....", // e0
		"x.xx..fF......mm", // f0
	}, "")),
	opcodeMap(strings.Join([]string{
		"mmmmx.....x.xm.M", // 00
		"mmmmmmmmmmmmmmmm", // 10
		"mmmmxxxxmmmmmmmm", // 20
		"......x.xxxxxxxx", // 30
		"mmmmmmmmmmmmmmmm", // 40
		"mmmmmmmmmmmmmmmm", // 50
		"mmmmmmmmmmmmmmmm", // 60
		"MMMMmmm.mmxxmmmm", // 70
		"dddddddddddddddd", // 80
		"mmmmmmmmmmmmmmmm", // 90
		"...mMmmm...mMmmm", // a0
		"mmmmmmmmmmMmmmmm", // b0
		"mmMmMMMm........", // c0
		"mmmmmmmmmmmmmmmm", // d0
		"mmmmmmmmmmmmmmmm", // e0
		"mmmmmmmmmmmmmmmm", // f0
	}, "")),
	opcodeMap(strings.Repeat("m", 256)),
	opcodeMap(strings.Repeat("M", 256)),
}

// layout is how an instruction's bytes divide.
type layout struct {
	length   int
	vex      bool // VEX, EVEX or XOP encoded
	rexW     bool
	rexB     bool
	dataSize bool // has a 66 prefix
	addrSize bool // has a 67 prefix
	rep      byte // F2, F3 or 0: the last of them
	lock     bool
	opMap    byte // index into opcodeMaps; others for VEX, EVEX and XOP only
	opcode   byte
	hasModRM bool
	modRMAt  int
	modRM    byte
}

func (l *layout) reg() byte      { return l.modRM >> 3 & 7 }
func (l *layout) mod() byte      { return l.modRM >> 6 }
func (l *layout) hasMoffs() bool { return !l.vex && l.opMap == 0 && l.opcode&^3 == 0xa0 }
func (l *layout) isReg() bool    { return l.mod() == 3 }

// scanner reads an instruction's bytes; reads past the end set short.
type scanner struct {
	layout
	code  []byte
	short bool
}

// scan finds the layout of the instruction at the start of code.
func scan(code []byte) (layout, error) {
	s := scanner{code: code}
	s.prefixes()
	form := s.opcodeForm()
	s.operands(form)
	switch {
	case s.short:
		return layout{}, ErrTruncated
	case form == 'x':
		return layout{}, ErrUnknown
	}
	return s.layout, nil
}

func (s *scanner) peek() byte {
	if s.length >= len(s.code) {
		s.short = true
		return 0
	}
	return s.code[s.length]
}

func (s *scanner) next() byte {
	b := s.peek()
	s.skip(1)
	return b
}

func (s *scanner) skip(n int) {
	s.length += n
	if s.length > len(s.code) {
		s.short = true
	}
}

// prefixes reads legacy prefixes and REX. A REX counts only directly before
// the opcode.
func (s *scanner) prefixes() {
	for !s.short {
		switch b := s.peek(); {
		case b&0xf0 == 0x40:
			s.rexW, s.rexB = b&8 != 0, b&1 != 0
			s.length++
			continue
		case b == 0x66:
			s.dataSize = true
		case b == 0x67:
			s.addrSize = true
		case b == 0xf2 || b == 0xf3:
			s.rep = b
		case b == 0xf0:
			s.lock = true
		case b == 0x64 || b == 0x65 || b&^0x18 == 0x26:
		default:
			return
		}
		s.rexW, s.rexB = false, false
		s.length++
	}
}

// opcodeForm reads the opcode with its escapes and gives its letter.
func (s *scanner) opcodeForm() byte {
	bare := s.length == 0
	s.opcode = s.next()
	switch s.opcode {
	case 0x0f:
		s.escape()
	case 0xc4, 0xc5, 0x62:
		if !bare && s.code[s.length-2]&0xf0 == 0x40 {
			return 'x' // REX before VEX
		}
		return s.vexForm(map[byte]int{0xc5: 1, 0xc4: 2, 0x62: 3}[s.opcode])
	case 0x8f:
		if s.peek()&0x1f >= 8 { // a POP would have ModRM /0
			return s.xopForm()
		}
	}
	if s.short {
		return 'x'
	}
	return opcodeMaps[s.opMap][s.opcode]
}

func (s *scanner) escape() {
	s.opMap = 1
	switch s.opcode = s.next(); s.opcode {
	case 0x38:
		s.opMap = 2
		s.opcode = s.next()
	case 0x3a:
		s.opMap = 3
		s.opcode = s.next()
	}
}

// vexForm reads n payload bytes and the opcode. EVEX has the maps 5 and 6 as
// well, which have no immediates.
func (s *scanner) vexForm(n int) byte {
	s.vex, s.opMap = true, 1
	if n > 1 {
		s.opMap = s.peek() & 0x1f
	}
	if n == 3 {
		s.opMap &= 7
	}
	s.skip(n)
	s.opcode = s.next()
	switch {
	case s.opMap == 1 && s.opcode == 0x77:
		return '.' // vzeroupper, vzeroall
	case s.opMap == 1 && strings.IndexByte("\x70\x71\x72\x73\xc2\xc4\xc5\xc6", s.opcode) < 0:
		return 'm'
	case s.opMap == 2 || n == 3 && (s.opMap == 5 || s.opMap == 6):
		return 'm'
	case s.opMap == 1 || s.opMap == 3:
		return 'M'
	}
	return 'x'
}

// xopForm is AMD's XOP: map 8 has an imm8, 9 none, 10 an imm32.
func (s *scanner) xopForm() byte {
	s.vex, s.opMap = true, s.peek()&0x1f
	s.skip(2)
	s.opcode = s.next()
	s.dataSize = false
	switch s.opMap {
	case 8:
		return 'M'
	case 9:
		return 'm'
	case 10:
		return 'Z'
	}
	return 'x'
}

// operands skips what the letter says follows the opcode.
func (s *scanner) operands(form byte) {
	if strings.IndexByte("mMZfF", form) >= 0 {
		s.modrm()
	}
	switch form {
	case 'b', 'M':
		s.skip(1)
	case 'z', 'Z':
		s.skip(s.immZ())
	case 'w':
		s.skip(2)
	case 'e':
		s.skip(3)
	case 'd':
		s.skip(4) // a 66 prefix does not make it 16 bits on Intel processors
	case 'v':
		s.skip(s.immV())
	case 'o':
		s.skip(s.moffs())
	case 'f':
		if s.reg() < 2 {
			s.skip(1)
		}
	case 'F':
		if s.reg() < 2 {
			s.skip(s.immZ())
		}
	}
}

func (s *scanner) immZ() int {
	if s.dataSize && !s.rexW {
		return 2
	}
	return 4
}

func (s *scanner) immV() int {
	if s.rexW {
		return 8
	}
	return s.immZ()
}

func (s *scanner) moffs() int {
	if s.addrSize {
		return 4
	}
	return 8
}

// modrm reads ModRM, SIB and displacement.
func (s *scanner) modrm() {
	s.hasModRM, s.modRMAt = true, s.length
	s.modRM = s.next()
	rm := s.modRM & 7
	if s.isReg() || s.movesControl() {
		return
	}
	if rm == 4 {
		if sib := s.next(); sib&7 == 5 && s.mod() == 0 {
			s.skip(4)
		}
	}
	switch {
	case s.mod() == 1:
		s.skip(1)
	case s.mod() == 2 || s.mod() == 0 && rm == 5:
		s.skip(4)
	}
}

// movesControl: mov to and from control and debug registers ignores mod.
func (s *scanner) movesControl() bool {
	return !s.vex && s.opMap == 1 && s.opcode&^3 == 0x20
}
