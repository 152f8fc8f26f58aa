package x87

import (
	"encoding/binary"

	"github.com/megabin/megabin/layers/abi"
)

// State is the x87 state of one guest thread. Copying it forks it.
type State struct {
	regs  [8]F80 // physical registers R0–R7
	valid uint8  // bit i: R i is not empty
	top   uint8
	cw    uint16
	sw    uint16 // without TOP, ES and B
	unit  unit
	call  call // that is being done, kept here so that none is allocated
}

// Status word bits.
const (
	c0   = 1 << 8
	c1   = 1 << 9
	c2   = 1 << 10
	c3   = 1 << 14
	errs = 1 << 7
	busy = 1 << 15
)

const (
	initialCW  = 0x37f
	exceptions = 0x3f
	cwBits     = 0x1f3f // the bits of the control word that can be changed
	cwFixed    = 0x40
)

// NewState is the state after fninit.
func NewState() State {
	var s State
	s.init()
	return s
}

func (s *State) init() { s.valid, s.top, s.sw, s.cw = 0, 0, 0, initialCW }

// CW is the control word.
func (s *State) CW() uint16 { return s.cw }

// SetCW sets the control word.
func (s *State) SetCW(cw uint16) { s.cw = cw&cwBits | cwFixed }

// SW is the status word.
func (s *State) SW() uint16 {
	sw := s.sw | uint16(s.top)<<11
	if s.sw&^s.cw&exceptions != 0 {
		sw |= errs | busy
	}
	return sw
}

// SetSW sets the status word.
func (s *State) SetSW(sw uint16) {
	s.top = uint8(sw >> 11 & 7)
	s.sw = sw & (exceptions | stackFault | c0 | c1 | c2 | c3)
}

// reg maps ST(i) to the physical register.
func (s *State) reg(i uint8) uint8 { return (s.top + i) & 7 }

func (s *State) empty(i uint8) bool { return s.valid>>s.reg(i)&1 == 0 }

// st reads ST(i); an empty register is a stack underflow and gives the
// indefinite.
func (s *State) st(i uint8) (f F80, ok bool) {
	if s.empty(i) {
		s.unit.flags |= invalid | stackFault
		return indefinite, false
	}
	return s.regs[s.reg(i)], true
}

func (s *State) set(i uint8, f F80) {
	r := s.reg(i)
	s.regs[r] = f
	s.valid |= 1 << r
}

func (s *State) free(i uint8) { s.valid &^= 1 << s.reg(i) }

// push of a register that is not empty is a stack overflow and pushes the
// indefinite.
func (s *State) push(f F80) {
	s.top = (s.top - 1) & 7
	if !s.empty(0) {
		s.unit.flags = s.unit.flags&^denormal | invalid | stackFault
		s.unit.rounded = true // C1 tells overflow from underflow
		f = indefinite
	}
	s.set(0, f)
}

func (s *State) pop() {
	s.free(0)
	s.top = (s.top + 1) & 7
}

// begin readies the arithmetic unit by the control word.
func (s *State) begin() {
	s.unit = unit{rc: int(s.cw >> 10 & 3), prec: extended}
	switch s.cw >> 8 & 3 {
	case 0:
		s.unit.prec.bits = 24
	case 2:
		s.unit.prec.bits = 53
	}
}

// end records exceptions and C1.
func (s *State) end() {
	s.sw = s.sw&^c1 | s.unit.flags
	if s.unit.rounded {
		s.sw |= c1
	}
}

// setCond writes C3, C2 and C0.
func (s *State) setCond(bits uint16) { s.sw = s.sw&^(c3|c2|c0) | bits }

// Sizes of the memory images, in bytes.
const (
	envSize    = 28
	regsSize   = 80
	FXSaveSize = 512
)

// tagWord is the full tag word: 2 bits for each physical register.
func (s *State) tagWord() (tw uint16) {
	for r := range s.regs {
		tag := uint16(0)
		f := s.regs[r]
		switch {
		case s.valid>>r&1 == 0:
			tag = 3
		case f.isZero():
			tag = 1
		case f.Man&integer == 0 || f.exp() == expMask || f.exp() == 0:
			tag = 2
		}
		tw |= tag << (2 * r)
	}
	return tw
}

func (s *State) setTagWord(tw uint16) {
	s.valid = 0
	for r := range s.regs {
		if tw>>(2*r)&3 != 3 {
			s.valid |= 1 << r
		}
	}
}

// envWord is the size in bytes of the fields of an environment of n bytes.
func envWord(n int) int { return n / 7 }

// PutEnv writes the environment of fnstenv to b, which is as long as it: 28
// bytes, or 14 in the 16-bit format.
func (s *State) PutEnv(b []byte) {
	w := envWord(len(b))
	clear(b)
	for i, v := range [...]uint16{s.cw, s.SW(), s.tagWord()} {
		binary.LittleEndian.PutUint16(b[w*i:], v)
	}
	if w == 4 { // what is reserved reads as ones
		for _, i := range [...]int{0, 1, 2, 6} {
			binary.LittleEndian.PutUint16(b[w*i+2:], 0xffff)
		}
	}
}

// SetEnv reads the environment of fldenv.
func (s *State) SetEnv(b []byte) {
	le, w := binary.LittleEndian, envWord(len(b))
	s.SetCW(le.Uint16(b))
	s.SetSW(le.Uint16(b[w:]))
	s.setTagWord(le.Uint16(b[2*w:]))
}

// PutSave writes the image of fnsave, an environment and the registers, and
// initialises.
func (s *State) PutSave(b []byte) {
	env, regs := b[:len(b)-regsSize], b[len(b)-regsSize:]
	s.PutEnv(env)
	for i := range uint8(8) {
		s.regs[s.reg(i)].put(regs[10*int(i):])
	}
	s.init()
}

// SetSave reads the image of frstor.
func (s *State) SetSave(b []byte) {
	env, regs := b[:len(b)-regsSize], b[len(b)-regsSize:]
	s.SetEnv(env)
	for i := range uint8(8) {
		s.regs[s.reg(i)] = getF80(regs[10*int(i):])
	}
}

// PutFXSave writes the x87 part of an fxsave image: bytes 0–23 and 32–159.
func (s *State) PutFXSave(b []byte) {
	le := binary.LittleEndian
	clear(b[:24])
	le.PutUint16(b, s.cw)
	le.PutUint16(b[2:], s.SW())
	b[4] = s.valid
	for i := range uint8(8) {
		r := b[32+16*int(i):][:16]
		clear(r[10:])
		s.regs[s.reg(i)].put(r)
	}
}

// SetFXSave reads the x87 part of an fxsave image.
func (s *State) SetFXSave(b []byte) {
	le := binary.LittleEndian
	s.SetCW(le.Uint16(b))
	s.SetSW(le.Uint16(b[2:]))
	s.valid = b[4]
	for i := range uint8(8) {
		s.regs[s.reg(i)] = getF80(b[32+16*int(i):])
	}
}

func (f F80) put(b []byte) {
	binary.LittleEndian.PutUint64(b, f.Man)
	binary.LittleEndian.PutUint16(b[8:], f.SE)
}

func getF80(b []byte) F80 {
	return F80{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:])}
}

// mmx enters MMX state, as every MMX instruction does.
func (s *State) mmx() {
	s.top = 0
	s.valid = 0xff
}

// MMX reads MMX register i.
func (s *State) MMX(i uint8) uint64 {
	s.mmx()
	return s.regs[i].Man
}

// SetMMX writes MMX register i.
func (s *State) SetMMX(i uint8, v uint64) {
	s.mmx()
	s.regs[i] = F80{v, 0xffff}
}

// constants of fldl2t … fldz, truncated, and whether rounding to nearest
// rounds them up.
var constants = [...]struct {
	F80
	up bool
}{
	abi.X87One:  {one, false},
	abi.X87L2T:  {F80{0xd49a784bcd1b8afe, 0x4000}, false},
	abi.X87L2E:  {F80{0xb8aa3b295c17f0bb, 0x3fff}, true},
	abi.X87Pi:   {F80{0xc90fdaa22168c234, 0x4000}, true},
	abi.X87Lg2:  {F80{0x9a209a84fbcff798, 0x3ffd}, true},
	abi.X87Ln2:  {F80{0xb17217f7d1cf79ab, 0x3ffe}, true},
	abi.X87Zero: {},
}

// constant is one of them in the current rounding mode.
func (s *State) constant(i uint8) F80 {
	c := constants[i]
	exact := c.F80 == one || c.isZero()
	if !exact && (s.unit.rc == up || s.unit.rc == nearest && c.up) {
		c.Man++
	}
	return c.F80
}
