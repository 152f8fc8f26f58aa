package disasm

import (
	"encoding/binary"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/x86"
)

const (
	maxEntries = 1 << 16
	// A table without a known bound may have this many entries at most.
	maxUnbounded = 4096
	// Code found later may show a table's base, but not again and again.
	maxAttempts = 3
)

// table is a resolved jump table.
type table struct {
	loadAddr uint64 // the instruction that reads it
	index    x86asm.Reg
	targets  []uint64
	fixed    bool // read-only memory: an index says where the jump goes
}

// resolveTables tries every open indirect jump again, as new code may show a
// table's bound or base. It reports whether a new table was found.
func (d *discovery) resolveTables() bool {
	todo := append(d.open, d.pending...)
	d.open, d.pending = nil, nil
	slices.Sort(todo)
	starts := d.tableStarts()
	found := false
	for _, at := range slices.Compact(todo) {
		t := d.resolve(at, starts)
		if t == nil {
			if d.attempts[at]++; d.attempts[at] < maxAttempts {
				d.open = append(d.open, at)
			}
			continue
		}
		found = true
		d.tables[at] = t
		for _, to := range distinct(t.targets) {
			d.jump(at, to)
		}
	}
	return found
}

func distinct(targets []uint64) []uint64 {
	s := slices.Clone(targets)
	slices.Sort(s)
	return slices.Compact(s)
}

// tableStarts gives the data addresses at which something else begins.
func (d *discovery) tableStarts() []uint64 {
	return distinct(d.refs)
}

// resolve finds the table of the indirect jump at addr, or nil.
func (d *discovery) resolve(at uint64, starts []uint64) *table {
	e := evaluator{discovery: d, path: d.pathTo(at)}
	if len(e.insts) == 0 {
		return nil
	}
	v := e.jumpTarget()
	if !v.known || v.load == nil || !v.load.plausible(v.base) {
		return nil
	}
	t := &table{
		loadAddr: e.insts[v.load.at].Addr,
		index:    v.load.index,
		fixed:    d.file.ReadOnly(v.load.table),
	}
	t.targets = d.readTable(at, &v, e.bound(v.load), starts)
	if len(t.targets) == 0 {
		return nil
	}
	return t
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

// readTable reads targets until the bound (0: unknown), an entry that cannot
// be one, or the start of something else. An entry that leads to another
// function stays, as 0 if it is not even code: it is never used then.
func (d *discovery) readTable(at uint64, v *value, bound int, starts []uint64) []uint64 {
	limit := bound
	if bound == 0 || bound > maxEntries {
		limit = maxUnbounded
	}
	next := v.load.table
	if i, _ := slices.BinarySearch(starts, next+1); bound == 0 && i < len(starts) {
		limit = min(limit, int((starts[i]-next+v.load.size-1)/v.load.size))
	}
	var targets []uint64
	for i := range limit {
		to, ok := d.entry(v, next+uint64(i)*v.load.size)
		if !ok || bound == 0 && !d.near(at, to) {
			break
		}
		targets = append(targets, to)
	}
	return targets
}

// entry reads one table entry.
func (d *discovery) entry(v *value, addr uint64) (uint64, bool) {
	b := d.file.Bytes(addr)
	if uint64(len(b)) < v.load.size {
		return 0, false
	}
	to := v.base
	switch {
	case v.load.size == 8 && d.file.Type != elf.Exec:
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

// near reports whether to may be in the same function as the jump at.
func (d *discovery) near(at, to uint64) bool {
	if s, ok := d.rangeOf(at); ok {
		return to > s.start && to < s.end
	}
	if _, ok := d.rangeOf(to); ok {
		return false
	}
	return d.entries[to]&firm == 0 && max(at, to)-min(at, to) < 1<<20
}

// bound finds how many entries the table has, from the check of the index
// before the load; 0 if it is not found.
func (e *evaluator) bound(l *load) int {
	n, _ := regNumber(l.index)
	for j := l.at + 1; j < len(e.insts); j++ {
		in := &e.insts[j]
		if in.Op == x86asm.CMP && isReg(in.Args[0], n) {
			if b := e.guard(j); b > 0 {
				return b
			}
		}
		if !writes(in).has(n) {
			continue
		}
		switch src := in.Args[1].(type) {
		case x86asm.Imm:
			if in.Op == x86asm.AND && src >= 0 && src < maxEntries {
				return int(src) + 1
			}
			return 0
		case x86asm.Mem:
			if in.Op == x86asm.MOVZX && in.MemBytes == 1 {
				return 256
			}
			return 0
		case x86asm.Reg:
			if n = copied(in, src); n == noReg {
				return 0
			}
		default:
			return 0
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
