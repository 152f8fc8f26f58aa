package x87

import (
	"errors"
	"fmt"

	"github.com/megabin/megabin/layers/abi"
)

// ErrBounds is returned when a memory operand lies outside of memory: the
// guest's access faults.
var ErrBounds = errors.New("x87: address out of bounds")

// call is one operation being done.
type call struct {
	op      abi.X87Op
	operand int64
	mem     []byte // the memory operand, for operations that have one
	result  int64
}

// row describes an operation: what it does, and the size of a memory operand
// at the linear address in the operand.
type row struct {
	do    func(*State, *call)
	mem   int
	quiet bool // leaves exceptions and C1 alone
	keep  bool // leaves C1 alone unless the stack is at fault
}

var rows = [abi.NumX87Ops]row{
	abi.X87Add:       {do: arith((*unit).add, false)},
	abi.X87Mul:       {do: arith((*unit).mul, false)},
	abi.X87Sub:       {do: arith((*unit).sub, false)},
	abi.X87SubR:      {do: arith((*unit).sub, true)},
	abi.X87Div:       {do: arith((*unit).div, false)},
	abi.X87DivR:      {do: arith((*unit).div, true)},
	abi.X87Com:       {do: compare(false)},
	abi.X87Ucom:      {do: compare(true)},
	abi.X87ComI:      {do: compareFlags(false), keep: true},
	abi.X87UcomI:     {do: compareFlags(true), keep: true},
	abi.X87Load:      {do: load},
	abi.X87LoadConst: {do: func(s *State, c *call) { s.push(s.constant(c.op.Reg())) }},
	abi.X87StoreReg:  {do: storeReg},
	abi.X87StoreF32:  {do: store(func(u *unit, f F80) int64 { return int64(u.toF32(f)) })},
	abi.X87StoreF64:  {do: store(func(u *unit, f F80) int64 { return int64(u.toF64(f)) })},
	abi.X87StoreF80:  {do: storeF80, mem: 10},
	abi.X87StoreBCD:  {do: storeBCD, mem: 10},
	abi.X87StoreI16:  {do: storeInt(16, false)},
	abi.X87StoreI32:  {do: storeInt(32, false)},
	abi.X87StoreI64:  {do: storeInt(64, false)},
	abi.X87TruncI16:  {do: storeInt(16, true)},
	abi.X87TruncI32:  {do: storeInt(32, true)},
	abi.X87TruncI64:  {do: storeInt(64, true)},
	abi.X87Move:      {do: move, keep: true},
	abi.X87Xch:       {do: exchange},
	abi.X87Free:      {do: func(s *State, c *call) { s.free(c.op.Reg()) }},
	abi.X87IncStp:    {do: func(s *State, c *call) { s.top = (s.top + 1) & 7 }},
	abi.X87DecStp:    {do: func(s *State, c *call) { s.top = (s.top - 1) & 7 }},
	abi.X87Chs:       {do: sign(func(se uint16) uint16 { return se ^ 0x8000 })},
	abi.X87Abs:       {do: sign(func(se uint16) uint16 { return se &^ 0x8000 })},
	abi.X87Tst:       {do: test},
	abi.X87Xam:       {do: examine},
	abi.X87Sqrt:      {do: unary((*unit).sqrt)},
	abi.X87RndInt:    {do: unary((*unit).toIntegral)},
	abi.X87Scale:     {do: binary2((*unit).scale)},
	abi.X87Xtract:    {do: extract},
	abi.X87Prem:      {do: remainder(false)},
	abi.X87Prem1:     {do: remainder(true)},
	abi.X87F2xm1:     {do: unary((*unit).f2xm1)},
	abi.X87Yl2x:      {do: logarithm((*unit).yl2x)},
	abi.X87Yl2xp1:    {do: logarithm((*unit).yl2xp1)},
	abi.X87Patan:     {do: logarithm((*unit).patan)},
	abi.X87Ptan:      {do: tangent},
	abi.X87Sin:       {do: angular((*unit).sin)},
	abi.X87Cos:       {do: angular((*unit).cos)},
	abi.X87SinCos:    {do: sineCosine},
	abi.X87GetCW:     {do: func(s *State, c *call) { c.result = int64(s.cw) }, quiet: true},
	abi.X87SetCW:     {do: func(s *State, c *call) { s.SetCW(uint16(c.operand)) }, quiet: true},
	abi.X87GetSW:     {do: func(s *State, c *call) { c.result = int64(s.SW()) }, quiet: true},
	abi.X87Clear:     {do: func(s *State, c *call) { s.sw &^= exceptions | stackFault }, quiet: true},
	abi.X87Init:      {do: func(s *State, c *call) { s.init() }, quiet: true},
	abi.X87GetEnv:    {do: getEnv, mem: envSize, quiet: true},
	abi.X87SetEnv:    {do: func(s *State, c *call) { s.SetEnv(c.mem) }, mem: envSize, quiet: true},
	abi.X87Save:      {do: func(s *State, c *call) { s.PutSave(c.mem) }, mem: envSize + regsSize, quiet: true},
	abi.X87Restore:   {do: func(s *State, c *call) { s.SetSave(c.mem) }, mem: envSize + regsSize, quiet: true},
	abi.X87GetMMX:    {do: func(s *State, c *call) { c.result = int64(s.MMX(c.op.Reg())) }, quiet: true},
	abi.X87SetMMX:    {do: func(s *State, c *call) { s.SetMMX(c.op.Reg(), uint64(c.operand)) }, quiet: true},
	abi.X87Emms:      {do: func(s *State, c *call) { s.mmx(); s.valid = 0 }, quiet: true},
	abi.X87Zeros:     {do: zeros},
}

// Do does one operation of package abi. mem is the guest's linear memory, of which
// operands lie from abi.MinAddress on.
// The only error for a valid operation is ErrBounds.
func (s *State) Do(mem []byte, op abi.X87Op, operand int64) (int64, error) {
	if op.Code() >= abi.NumX87Ops {
		return 0, fmt.Errorf("x87: unknown operation %#x", int32(op))
	}
	r := &rows[op.Code()]
	c := &s.call
	*c = call{op: op, operand: operand}
	if n := r.memSize(op); n > 0 {
		addr := uint64(uint32(operand))
		if addr < abi.MinAddress || addr+uint64(n) > uint64(len(mem)) {
			return 0, ErrBounds
		}
		c.mem = mem[addr:][:n]
	}
	if r.quiet {
		r.do(s, c)
	} else {
		s.begin()
		before := s.sw & c1
		r.do(s, c)
		s.end()
		if r.keep && s.unit.flags&stackFault == 0 {
			s.sw |= before
		}
	}
	for range op.Pops() {
		s.pop()
	}
	return c.result, nil
}

func (r *row) memSize(op abi.X87Op) int {
	if src := op.Src(); src == abi.X87SrcF80 || src == abi.X87SrcBCD {
		return 10
	}
	if r.mem >= envSize && op.Reg() == abi.X87Small {
		return r.mem - envSize/2
	}
	return r.mem
}

// source reads the second operand.
func (s *State) source(c *call) (f F80, ok bool) {
	switch c.op.Src() {
	case abi.X87SrcF32:
		return s.unit.raw(uint64(uint32(c.operand)), 23, 8), true
	case abi.X87SrcF64:
		return s.unit.raw(uint64(c.operand), 52, 11), true
	case abi.X87SrcInt:
		return fromInt(c.operand), true
	case abi.X87SrcF80:
		return getF80(c.mem), true
	case abi.X87SrcBCD:
		return fromBCD(c.mem), true
	}
	return s.st(c.op.Reg())
}

// denormalSource raises the denormal exception that widening hides.
func (s *State) denormalSource(c *call) bool {
	switch v := uint64(c.operand); c.op.Src() {
	case abi.X87SrcF32:
		return v&0x7f800000 == 0 && v&0x7fffff != 0
	case abi.X87SrcF64:
		return v&(0x7ff<<52) == 0 && v<<12 != 0
	}
	return false
}

func arith(fn func(u *unit, a, b F80) F80, reverse bool) func(*State, *call) {
	return func(s *State, c *call) {
		a, oka := s.st(0)
		b, okb := s.source(c)
		dst := uint8(0)
		if c.op.Src() == abi.X87SrcDest {
			a, b, dst = b, a, c.op.Reg()
		}
		if reverse {
			a, b = b, a
		}
		res := indefinite
		if oka && okb {
			res = fn(&s.unit, a, b)
			if !a.isNaN() && !b.isNaN() && s.unit.flags&(invalid|zeroDiv) == 0 && s.denormalSource(c) {
				s.unit.flags |= denormal
			}
		}
		s.set(dst, res)
	}
}

// order compares ST(0) with the source.
func (s *State) order(c *call, quietOK bool) ordering {
	a, oka := s.st(0)
	b, okb := s.source(c)
	if !oka || !okb {
		return unordered
	}
	o := s.unit.compare(a, b, quietOK)
	if o != unordered && s.denormalSource(c) {
		s.unit.flags |= denormal
	}
	return o
}

// compare leaves the ordering in C3, C2 and C0, which sit eight bits above
// ZF, PF and CF.
func compare(quietOK bool) func(*State, *call) {
	return func(s *State, c *call) { s.setCond(uint16(s.order(c, quietOK)) << 8) }
}

func compareFlags(quietOK bool) func(*State, *call) {
	return func(s *State, c *call) { c.result = int64(s.order(c, quietOK)) }
}

func test(s *State, c *call) {
	o := unordered
	if a, ok := s.st(0); ok {
		o = s.unit.compare(a, F80{}, false)
	}
	s.setCond(uint16(o) << 8)
}

func load(s *State, c *call) {
	f, _ := s.source(c)
	switch c.op.Src() {
	case abi.X87SrcF32:
		f = s.unit.fromF32(uint32(c.operand))
	case abi.X87SrcF64:
		f = s.unit.fromF64(uint64(c.operand))
	}
	s.push(f)
}

func storeReg(s *State, c *call) {
	f, _ := s.st(0)
	s.set(c.op.Reg(), f)
}

// zeros is fldz as often as is said, then as often fstp st(0). C1 is what the last one
// makes it.
func zeros(s *State, c *call) {
	n := int(c.op.Reg()) + 1
	for range n {
		s.push(F80{})
	}
	for range n {
		s.pop()
	}
	s.unit.rounded = false
}

func store(fn func(*unit, F80) int64) func(*State, *call) {
	return func(s *State, c *call) {
		f, _ := s.st(0)
		c.result = fn(&s.unit, f)
	}
}

func storeF80(s *State, c *call) {
	f, _ := s.st(0)
	f.put(c.mem)
}

func storeBCD(s *State, c *call) {
	f, _ := s.st(0)
	b := s.unit.toBCD(f)
	copy(c.mem, b[:])
}

func storeInt(width uint, truncate bool) func(*State, *call) {
	return func(s *State, c *call) {
		if truncate {
			s.unit.rc = toZero
		}
		f, _ := s.st(0)
		c.result = s.unit.toInt(f, width)
	}
}

func move(s *State, c *call) {
	_, ok0 := s.st(0)
	f, ok := s.st(c.op.Reg())
	switch {
	case !ok0 || !ok:
		s.set(0, indefinite)
	case c.operand != 0:
		s.set(0, f)
	}
}

func exchange(s *State, c *call) {
	a, _ := s.st(0)
	b, _ := s.st(c.op.Reg())
	s.set(0, b)
	s.set(c.op.Reg(), a)
}

func sign(fn func(uint16) uint16) func(*State, *call) {
	return func(s *State, c *call) {
		f, ok := s.st(0)
		if ok {
			f.SE = fn(f.SE)
		}
		s.set(0, f)
	}
}

// examine is fxam.
func examine(s *State, c *call) {
	f := s.regs[s.reg(0)]
	s.unit.rounded = f.neg() // C1 is the sign
	bits := uint16(c2)
	switch {
	case s.empty(0):
		bits = c3 | c0
	case f.isUnsupported():
		bits = 0
	case f.isNaN():
		bits = c0
	case f.isInf():
		bits = c2 | c0
	case f.isZero():
		bits = c3
	case f.isDenorm():
		bits = c3 | c2
	}
	s.setCond(bits)
}

// getEnv is fnstenv, which masks all exceptions afterwards.
func getEnv(s *State, c *call) {
	s.PutEnv(c.mem)
	s.cw |= exceptions
}

func unary(fn func(*unit, F80) F80) func(*State, *call) {
	return func(s *State, c *call) {
		f, ok := s.st(0)
		if ok {
			f = fn(&s.unit, f)
		}
		s.set(0, f)
	}
}

// both reads ST(0) and ST(1).
func (s *State) both() (a, b F80, ok bool) {
	a, ok0 := s.st(0)
	b, ok1 := s.st(1)
	return a, b, ok0 && ok1
}

// binary2 is ST(0) ← fn(ST(0), ST(1)).
func binary2(fn func(u *unit, a, b F80) F80) func(*State, *call) {
	return func(s *State, c *call) {
		a, b, ok := s.both()
		res := indefinite
		if ok {
			res = fn(&s.unit, a, b)
		}
		s.set(0, res)
	}
}

// logarithm is ST(1) ← fn(ST(0), ST(1)), then pop.
func logarithm(fn func(u *unit, x, y F80) F80) func(*State, *call) {
	return func(s *State, c *call) {
		x, y, ok := s.both()
		res := indefinite
		if ok {
			res = fn(&s.unit, x, y)
		}
		s.set(1, res)
		s.pop()
	}
}

func extract(s *State, c *call) {
	f, ok := s.st(0)
	if !ok {
		s.push(indefinite)
		s.set(1, indefinite)
		return
	}
	if !s.empty(7) {
		s.push(indefinite)
		s.set(1, indefinite)
		return
	}
	sig, exponent := s.unit.xtract(f)
	s.set(0, exponent)
	s.push(sig)
}

func remainder(ieee bool) func(*State, *call) {
	return func(s *State, c *call) {
		a, b, ok := s.both()
		s.sw &^= c2
		res, q, partial := indefinite, uint64(0), false
		if ok {
			res, q, partial = s.unit.remainder(a, b, ieee)
		}
		s.set(0, res)
		if s.unit.flags&invalid != 0 || a.isNaN() || b.isNaN() { // no quotient: its bits stay
			return
		}
		var cond uint16
		if partial {
			cond |= c2
		}
		if q&4 != 0 {
			cond |= c0
		}
		if q&2 != 0 {
			cond |= c3
		}
		s.setCond(cond)
		s.unit.rounded = q&1 != 0
	}
}

// outOfRange sets C2 if the operand of a trigonometric function is too large,
// and reports it.
func (s *State) outOfRange(out bool) bool {
	s.sw &^= c2
	if out {
		s.sw |= c2
	}
	return out
}

func angular(fn func(*unit, F80) (F80, bool)) func(*State, *call) {
	return func(s *State, c *call) {
		f, ok := s.st(0)
		out := false
		if ok {
			f, out = fn(&s.unit, f)
		}
		if !s.outOfRange(out) {
			s.set(0, f)
		}
	}
}

func tangent(s *State, c *call) {
	f, ok := s.st(0)
	out, second := false, one
	if ok && s.empty(7) {
		f, out = s.unit.tan(f)
		if f.isNaN() {
			second = f
		}
	} else {
		f, second = indefinite, indefinite
	}
	if !s.outOfRange(out) {
		s.set(0, f)
		s.push(second)
	}
}

func sineCosine(s *State, c *call) {
	f, ok := s.st(0)
	out, second := false, f
	if ok && s.empty(7) {
		w := s.unit
		second, _ = w.cos(f)
		f, out = s.unit.sin(f)
		s.unit.flags |= w.flags
	} else {
		f, second = indefinite, indefinite
	}
	if !s.outOfRange(out) {
		s.set(0, f)
		s.push(second)
	}
}
