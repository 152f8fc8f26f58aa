package disasm

import (
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

const (
	pathLimit   = 96   // instructions looked at before an indirect jump
	glanceLimit = 8    // of these, enough to see that most jumps read no table
	searchLimit = 4000 // instructions searched for where a register is set
	maxStepBits = 8    // unrolled code that is entered at a computed step has steps up to 1 << this
)

// path is the instructions that must have run before an indirect jump, last
// first: path[0] is the jump. It ends where control may come from two places.
type path struct {
	insts  []x86.Inst
	jumped []bool // insts[i] is a jump and was taken
}

// extend walks back from addr through single predecessors and adds what it
// finds to p, up to a merge or limit instructions.
func (d *discovery) extend(p path, addr uint64, taken bool, limit int) path {
	p.insts, p.jumped = slices.Clip(p.insts), slices.Clip(p.jumped)
	for len(p.insts) < limit {
		in, err := d.inst(addr)
		if err != nil {
			break
		}
		p.insts = append(p.insts, in)
		p.jumped = append(p.jumped, taken)
		prev, jumped, ok := d.singlePredecessor(addr)
		if !ok {
			break
		}
		addr, taken = prev, jumped
	}
	return p
}

// jumpsTo gives the jumps that go to addr.
func (d *discovery) jumpsTo(addr uint64) []uint64 {
	if !d.is(addr, isTarget) {
		return nil
	}
	return d.jumps[addr]
}

func (d *discovery) singlePredecessor(addr uint64) (prev uint64, jumped, ok bool) {
	if d.evidence(addr)&(firm|byPad) != 0 {
		return 0, false, false
	}
	fall, jumps := d.previous(addr), d.jumpsTo(addr)
	switch {
	case len(fall) == 1 && len(jumps) == 0:
		return fall[0], false, d.flowsInto(fall[0], addr)
	case len(fall) == 1 && !d.flowsInto(fall[0], addr) && len(jumps) == 1, len(fall) == 0 && len(jumps) == 1:
		return jumps[0], true, true
	}
	return 0, false, false
}

// flowsInto: see fallsThrough. It also knows the functions that never return.
func (d *discovery) flowsInto(from, to uint64) bool {
	f, next := d.at(from)
	if f&flowKind == flowCall && d.final[d.target(from)] {
		return false
	}
	return next == to && d.fallsThrough(f, to)
}

// value is what is known of a register: base + load + a multiple of step,
// each of which may be absent.
type value struct {
	known bool
	base  uint64
	load  *load
	step  uint64
	by    factor // what step is multiplied with
}

// factor is a register as an instruction of the path reads it.
type factor struct {
	reg x86asm.Reg
	at  int // index in the path
}

// load is a table entry read from memory.
type load struct {
	at     int // index in the path
	table  uint64
	index  factor
	size   uint64 // bytes of an entry
	signed bool
	scaled bool // the index is in the memory operand, times size
}

func constant(c uint64) value { return value{known: true, base: c} }

func add(a, b value) value {
	if !a.known || !b.known || a.load != nil && b.load != nil || a.step != 0 && b.step != 0 {
		return value{}
	}
	l := a.load
	if l == nil {
		l = b.load
	}
	by := a.by
	if a.step == 0 {
		by = b.by
	}
	return value{true, a.base + b.base, l, a.step + b.step, by}
}

// multiple is step times what reg is at insts[at].
func multiple(step uint64, reg x86asm.Reg, at int) value {
	return value{known: true, step: step, by: factor{reg, at}}
}

// evaluator finds register values along a path.
type evaluator struct {
	*discovery
	path
	depth int
	// short: a register's value comes from before the path, so that a longer
	// one may tell more.
	short bool
}

// reg evaluates register r as insts[i] reads it.
func (e *evaluator) reg(r x86asm.Reg, i int) value {
	n, bits := regNumber(r)
	if n == noReg || bits < 32 || e.depth > 16 {
		return value{}
	}
	e.depth++
	defer func() { e.depth-- }()
	for j := i + 1; j < len(e.insts); j++ {
		if writes(&e.insts[j]).has(n) {
			return e.result(j, n)
		}
	}
	e.short = true
	return e.search(e.insts[len(e.insts)-1].Addr, n)
}

// result evaluates what insts[j] writes to register n.
func (e *evaluator) result(j, n int) value {
	in := &e.insts[j]
	dst, ok := in.Args[0].(x86asm.Reg)
	if !ok && in.Op == x86asm.CDQE {
		return signExtended(e.reg(x86asm.EAX, j))
	}
	if m, bits := regNumber(dst); !ok || m != n || bits < 32 {
		return value{}
	}
	switch in.Op {
	case x86asm.LEA:
		return e.address(in, j)
	case x86asm.MOV, x86asm.MOVSXD, x86asm.MOVZX, x86asm.MOVSX:
		return e.moved(in, j)
	case x86asm.ADD:
		return add(e.reg(dst, j), e.operand(in.Args[1], j))
	case x86asm.SUB: // a multiple may be negative
		if v := e.operand(in.Args[1], j); v.step != 0 && v.base == 0 {
			return add(e.reg(dst, j), v)
		}
	case x86asm.NEG:
		if v := e.reg(dst, j); v.step != 0 && v.base == 0 {
			return v
		}
	case x86asm.SHL:
		if n, ok := in.Args[1].(x86asm.Imm); ok && n > 0 && n <= maxStepBits {
			return multiple(1<<n, dst, j)
		}
	}
	return value{}
}

func (e *evaluator) operand(a x86asm.Arg, j int) value {
	switch a := a.(type) {
	case x86asm.Reg:
		return e.reg(a, j)
	case x86asm.Imm:
		return constant(uint64(a))
	}
	return value{}
}

// signExtended sign-extends a 32-bit value.
func signExtended(v value) value {
	if v.load == nil || v.base != 0 || v.step != 0 || v.load.size != 4 {
		return value{}
	}
	l := *v.load
	l.signed = true
	return value{known: true, load: &l}
}

func (e *evaluator) moved(in *x86.Inst, j int) value {
	switch src := in.Args[1].(type) {
	case x86asm.Mem:
		return e.loaded(in, src, j)
	case x86asm.Reg:
		if in.Op == x86asm.MOVSXD {
			return signExtended(e.reg(src, j))
		}
		if in.Op == x86asm.MOV {
			return e.reg(src, j)
		}
	case x86asm.Imm:
		return constant(uint64(src))
	}
	return value{}
}

// address evaluates lea.
func (e *evaluator) address(in *x86.Inst, j int) value {
	m := in.Args[1].(x86asm.Mem)
	v := constant(uint64(m.Disp))
	switch {
	case m.Base == x86asm.RIP:
		return constant(in.Next() + uint64(m.Disp))
	case m.Base == x86asm.EIP:
		return value{}
	case m.Index != 0 && m.Scale != 1:
		if v = add(v, multiple(uint64(m.Scale), m.Index, j)); m.Base != 0 {
			v = add(v, e.reg(m.Base, j))
		}
		return v
	}
	for _, r := range []x86asm.Reg{m.Base, m.Index} {
		if r != 0 {
			v = add(v, e.reg(r, j))
		}
	}
	return v
}

// loaded evaluates a load from a table: constant + index × entry size.
func (e *evaluator) loaded(in *x86.Inst, m x86asm.Mem, j int) value {
	size := uint64(in.MemBytes)
	if m.Segment != 0 || m.Index == 0 || m.Base == x86asm.RIP {
		return value{}
	}
	if _, bits := regNumber(m.Index); bits != 64 {
		return value{}
	}
	table, scaled := constant(0), uint64(m.Scale) == size
	if m.Base != 0 {
		table = e.reg(m.Base, j)
	}
	switch {
	case scaled:
		table = add(table, multiple(size, m.Index, j))
	case m.Scale == 1: // gcc -O0 multiplies before
		table = add(table, e.reg(m.Index, j))
	}
	if !table.known || table.load != nil || table.step != size {
		return value{}
	}
	signed := in.Op == x86asm.MOVSXD || in.Op == x86asm.MOVSX
	return value{known: true, load: &load{j, table.base + uint64(m.Disp), table.by, size, signed, scaled}}
}

// search finds the constant that register n holds at addr, by looking at
// every way to get there. It gives up when they disagree.
func (e *evaluator) search(addr uint64, n int) value {
	var found value
	seen := &e.visited
	seen.clear()
	work := e.predecessors(addr)
	for steps := 0; len(work) > 0; steps++ {
		a := work[len(work)-1]
		work = work[:len(work)-1]
		if seen.has(a) {
			continue
		}
		seen.set(a, struct{}{})
		in, err := e.inst(a)
		if err != nil || steps > searchLimit {
			return value{}
		}
		if !writes(&in).has(n) {
			if e.evidence(a)&^byPad == 0 || e.is(a, isTarget) {
				work = append(work, e.predecessors(a)...)
			}
			continue
		}
		v := e.constantResult(&in, n)
		if !v.known || found.known && found.base != v.base {
			return value{}
		}
		found = v
	}
	return found
}

// constantResult is result for instructions that need no other register.
func (e *evaluator) constantResult(in *x86.Inst, n int) value {
	dst, ok := in.Args[0].(x86asm.Reg)
	if m, bits := regNumber(dst); !ok || m != n || bits < 32 {
		return value{}
	}
	switch src := in.Args[1].(type) {
	case x86asm.Mem:
		if in.Op == x86asm.LEA && src.Base == x86asm.RIP {
			return constant(in.Next() + uint64(src.Disp))
		}
	case x86asm.Imm:
		if in.Op == x86asm.MOV {
			return constant(uint64(src))
		}
	}
	return value{}
}

func (d *discovery) predecessors(addr uint64) []uint64 {
	prev := append([]uint64(nil), d.jumpsTo(addr)...)
	for _, a := range d.previous(addr) {
		if d.flowsInto(a, addr) {
			prev = append(prev, a)
		}
	}
	return prev
}
