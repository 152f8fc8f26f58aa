package disasm

import (
	"encoding/binary"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

const (
	maxEntries = 1 << 16
	// A table without a known bound may have this many entries at most.
	maxUnbounded = 4096
	// Code found later may show a table's base, but not again and again.
	maxAttempts = 3
	// Ways to an indirect jump that are looked at.
	maxPaths = 100
	// A table of at most this many entries may have some that are never used
	// and lead nowhere; hand-written code counts from odd places.
	maxHoles = 64
	// Unrolled code is entered at this many steps at most.
	maxSteps = 512
	// noTarget marks such an entry.
	noTarget = ^uint64(0)
)

// table is a resolved jump table.
type table struct {
	loadAddr uint64 // the instruction that reads it
	index    x86asm.Reg
	targets  []uint64
	distinct []uint64 // targets without repetition, once something asked
	fixed    bool     // read-only memory: an index says where the jump goes
	bounded  bool     // a comparison keeps the index below len(targets)
}

// reading is a table that an indirect jump may read.
type reading struct {
	value
	loadAddr uint64
	bound    int // number of entries, 0 if not known
}

// resolveTables tries every open indirect jump again, as new code may show a
// table's bound or base. Tables without a bound wait until all others are
// read, as those show where they must end. It reports whether a new table was
// found.
func (d *discovery) resolveTables() bool {
	todo := distinct(append(d.open, d.pending...))
	d.open, d.pending = nil, nil
	readings := map[uint64][]reading{}
	var starts []uint64
	for _, at := range todo {
		readings[at] = d.readings(at)
		for _, r := range readings[at] {
			if r.load != nil {
				starts = append(starts, r.load.table)
			}
		}
	}
	if len(starts) > 0 {
		d.refs = distinct(d.refs)
		starts = distinct(append(starts, d.refs...))
	}
	found := d.readTables(todo, readings, starts, func(r reading) bool { return r.bound > 0 })
	if !found {
		found = d.readTables(todo, readings, starts, func(reading) bool { return true })
	}
	for _, at := range todo {
		if d.tables[at] == nil && d.attempts[at] < maxAttempts {
			d.open = append(d.open, at)
			d.attempts[at]++
		}
	}
	return found
}

// readTables reads the tables of those jumps all of whose readings are ready.
func (d *discovery) readTables(todo []uint64, readings map[uint64][]reading, starts []uint64, ready func(reading) bool) bool {
	found := false
	for _, at := range todo {
		rs := readings[at]
		if len(rs) == 0 || slices.ContainsFunc(rs, func(r reading) bool { return !ready(r) }) {
			continue
		}
		if t := d.merge(at, rs, starts); len(t.targets) > 0 {
			found = true
			d.tables[at] = t
			for _, to := range distinct(t.targets) {
				d.jump(at, to)
			}
		}
	}
	return found
}

// merge reads the tables of one jump. Where several lead to it, an index says
// nothing about the target.
func (d *discovery) merge(at uint64, rs []reading, starts []uint64) *table {
	t := &table{}
	for i := range rs {
		t.targets = append(t.targets, d.readTable(at, &rs[i], starts)...)
	}
	backwards := len(t.targets) == 0
	if backwards {
		t.targets = d.readBackwards(at, &rs[0])
	}
	if backwards || len(rs) > 1 || rs[0].load == nil || !rs[0].load.scaled {
		t.targets = distinct(t.targets)
		return t
	}
	l := rs[0].load
	t.loadAddr, t.index, t.fixed = rs[0].loadAddr, l.index.reg, d.file.ReadOnly(l.table)
	t.bounded = rs[0].bound > 0 && len(t.targets) == rs[0].bound
	return t
}

// distinct gives the addresses in order, each once, without holes.
func distinct(targets []uint64) []uint64 {
	s := slices.Clone(targets)
	slices.Sort(s)
	if s = slices.Compact(s); len(s) > 0 && s[len(s)-1] == noTarget {
		s = s[:len(s)-1]
	}
	return s
}

// readings finds the tables that the indirect jump at addr reads, on any way
// to it.
func (d *discovery) readings(at uint64) []reading {
	if in, err := d.inst(at); err != nil || isSlotJump(&in) {
		return nil
	}
	glance := evaluator{discovery: d, path: d.extend(path{}, at, false, glanceLimit)}
	if _, ok := glance.reading(); !ok && !glance.short {
		return nil
	}
	var found []reading
	paths := []path{d.extend(path{}, at, false, pathLimit)}
	for n := 0; len(paths) > 0 && n < maxPaths; n++ {
		e := evaluator{discovery: d, path: paths[0]}
		paths = paths[1:]
		if r, ok := e.reading(); ok {
			found = append(found, r)
		} else if e.short {
			paths = append(paths, e.forks()...)
		}
	}
	return found
}

// forks gives the paths that lead to this one's beginning.
func (e *evaluator) forks() []path {
	n := len(e.insts)
	if n == 0 || n >= pathLimit {
		return nil
	}
	var forks []path
	first := e.insts[n-1].Addr
	for _, a := range e.previous(first) {
		if e.flowsInto(a, first) {
			forks = append(forks, e.extend(e.path, a, false, pathLimit))
		}
	}
	for _, a := range e.jumpsTo(first) {
		forks = append(forks, e.extend(e.path, a, true, pathLimit))
	}
	return forks
}

// reading finds the table that the path reads.
func (e *evaluator) reading() (reading, bool) {
	if len(e.insts) == 0 {
		return reading{}, false
	}
	v := e.jumpTarget()
	switch {
	case !v.known, v.load != nil && (v.step != 0 || !v.load.plausible(v.base)):
		return reading{}, false
	case v.load == nil:
		return reading{v, 0, 0}, e.near(e.insts[0].Addr, v.base)
	}
	return reading{v, e.insts[v.load.at].Addr, e.bound(v.load)}, true
}

// plausible: an entry is an offset from base, or an address if base is 0.
func (l *load) plausible(base uint64) bool {
	return l.size == 4 && base != 0 || l.size == 8 && base == 0 || l.size == 4 && base == 0 && !l.signed
}

func (e *evaluator) jumpTarget() value {
	jmp := &e.insts[0]
	switch a := jmp.Args[0].(type) {
	case x86asm.Reg:
		return e.reg(a, 0)
	case x86asm.Mem:
		return e.loaded(jmp, a, 0)
	}
	return value{}
}

// readTable reads targets until the bound, an entry that cannot be one, or the
// start of something else.
func (d *discovery) readTable(at uint64, r *reading, starts []uint64) []uint64 {
	if r.load == nil {
		return d.steps(at, r)
	}
	v, bound := &r.value, r.bound
	limit := bound
	if bound == 0 || bound > maxEntries {
		limit = maxUnbounded
	}
	next := v.load.table
	if i, _ := slices.BinarySearch(starts, next+1); bound == 0 && i < len(starts) {
		limit = min(limit, int((starts[i]-next+v.load.size-1)/v.load.size))
	}
	var targets []uint64
	holes := false
	known := len(d.refs)
	for i := range limit {
		addr := next + uint64(i)*v.load.size
		if bound == 0 && i > 0 && slices.Contains(d.refs[known:], addr) {
			break // code behind the entries before is what told of this
		}
		to, ok := d.entry(v, addr)
		switch {
		case bound == 0 && ok && d.tryTarget(at, to):
		case bound > 0 && ok && (!holes || d.near(at, to)):
		case bound > 0 && bound <= maxHoles:
			to, holes = noTarget, true
		default:
			return withoutTail(targets)
		}
		targets = append(targets, to)
	}
	return withoutTail(targets)
}

// withoutTail drops holes at the end.
func withoutTail(targets []uint64) []uint64 {
	for len(targets) > 0 && targets[len(targets)-1] == noTarget {
		targets = targets[:len(targets)-1]
	}
	return targets
}

// steps gives the addresses base + n × step, for n around 0, at which
// instructions begin; only base if there is no step.
func (d *discovery) steps(at uint64, r *reading) []uint64 {
	targets := []uint64{r.base}
	if r.step == 0 {
		return targets
	}
	for to := r.base; len(targets) < maxSteps && !d.entryIn(to, to+r.step) && d.isStep(at, to+r.step); {
		to += r.step
		targets = append(targets, to)
	}
	for to := r.base; len(targets) < maxSteps && !d.entryIn(to-r.step, to) && d.isStep(at, to-r.step); {
		to -= r.step
		targets = append(targets, to)
	}
	return targets
}

func (d *discovery) isStep(at, to uint64) bool { return !d.insideInst(to) && d.tryTarget(at, to) }

// entryIn reports whether a function begins in (after, to].
func (d *discovery) entryIn(after, to uint64) bool {
	for a := after + 1; a <= to; a++ {
		if d.evidence(a)&firm != 0 {
			return true
		}
	}
	return false
}

// readBackwards reads the entries in front of a table's base, for indexes that
// are negative.
func (d *discovery) readBackwards(at uint64, r *reading) []uint64 {
	var targets []uint64
	for i := uint64(1); i <= maxHoles && r.load != nil; i++ {
		to, ok := d.entry(&r.value, r.load.table-i*r.load.size)
		if !ok || !d.tryTarget(at, to) {
			break
		}
		targets = append(targets, to)
	}
	return targets
}

// tryTarget decodes a target that nothing vouches for, so that the next one
// is judged in the light of it.
func (d *discovery) tryTarget(at, to uint64) bool {
	if !d.near(at, to) || !d.decoded(to) && !d.trial(to) {
		return false
	}
	d.jump(at, to)
	d.drain()
	return true
}

// entry reads one table entry.
func (d *discovery) entry(v *value, addr uint64) (uint64, bool) {
	b := d.file.Bytes(addr)
	if uint64(len(b)) < v.load.size {
		return 0, false
	}
	to := v.base
	switch {
	case v.load.size == 8 && !d.file.Fixed():
		to = d.slots[addr]
	case v.load.size == 8:
		to = binary.LittleEndian.Uint64(b)
	case v.load.signed:
		to += uint64(int32(binary.LittleEndian.Uint32(b)))
	default:
		to += uint64(binary.LittleEndian.Uint32(b))
	}
	return to, d.isCode(to) && !d.insideInst(to)
}

// near reports whether to may be in the same function as the jump at, or in
// the part of it that the compiler moved away.
func (d *discovery) near(at, to uint64) bool {
	from, known := d.rangeOf(at)
	there, alsoKnown := d.rangeOf(to)
	switch {
	case known && alsoKnown:
		return to > from.start && to < from.end || d.framed[there.start]
	case known || alsoKnown:
		return false
	}
	return d.evidence(to)&firm == 0 && max(at, to)-min(at, to) < 1<<20
}

// bound finds how many entries the table has, from the check of the index
// before the load; 0 if it is not found.
func (e *evaluator) bound(l *load) int {
	n, _ := regNumber(l.index.reg)
	var copyOf x86asm.Arg // memory that the index was loaded from
	shift := 0            // to the right, of what is in the register
	for j := l.index.at + 1; j < len(e.insts); j++ {
		in := &e.insts[j]
		if in.Op == x86asm.CMP && (isReg(in.Args[0], n) || copyOf != nil && in.Args[0] == copyOf) {
			if b := e.guard(j); b > 0 {
				return (b-1)>>shift + 1
			}
		}
		if n == noReg || !writes(in).has(n) {
			continue
		}
		switch src := in.Args[1].(type) {
		case x86asm.Imm:
			switch {
			case in.Op == x86asm.AND && src >= 0 && src < maxEntries:
				return int(src)>>shift + 1
			case in.Op == x86asm.SHR && src > 0 && src < 32:
				shift += int(src)
			default:
				return 0
			}
		case x86asm.Reg:
			if n = copied(in, src); n == noReg {
				return 0
			}
			if b := e.guardSince(j, n, l.index.at); b > 0 {
				return (b-1)>>shift + 1
			}
		case x86asm.Mem:
			if in.Op != x86asm.MOV {
				return 0
			}
			n, copyOf = noReg, src
		default:
			return 0
		}
	}
	return 0
}

// guardSince gives the bound that is put on register n behind insts[j], which copies it, and in
// front of insts[to], while it has the same value.
func (e *evaluator) guardSince(j, n, to int) int {
	for k := j - 1; k > to && !writes(&e.insts[k]).has(n); k-- {
		if in := &e.insts[k]; in.Op == x86asm.CMP && isReg(in.Args[0], n) {
			if b := e.guard(k); b > 0 {
				return b
			}
		}
	}
	return 0
}

func isReg(a x86asm.Arg, n int) bool {
	r, ok := a.(x86asm.Reg)
	m, _ := regNumber(r)
	return ok && m == n
}

// copied gives the register whose value, or low part, in copies.
func copied(in *x86.Inst, src x86asm.Reg) int {
	switch in.Op {
	case x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD:
		n, _ := regNumber(src)
		return n
	}
	return noReg
}

// guard gives the bound that the compare insts[j] puts on its operand, seen
// from the jump that follows it on the path.
func (e *evaluator) guard(j int) int {
	imm, ok := e.insts[j].Args[1].(x86asm.Imm)
	if !ok || imm < 0 || imm >= maxEntries {
		return 0
	}
	for k := j - 1; k > 0 && k >= j-4; k-- {
		op, taken := e.insts[k].Op, e.jumped[k]
		switch {
		case !taken && (op == x86asm.JA || op == x86asm.JG), taken && (op == x86asm.JBE || op == x86asm.JLE):
			return int(imm) + 1
		case !taken && (op == x86asm.JAE || op == x86asm.JGE), taken && (op == x86asm.JB || op == x86asm.JL):
			return int(imm)
		}
	}
	return 0
}
