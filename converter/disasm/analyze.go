package disasm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/x86"
)

// Analyze finds the functions of f. It fails only if there are none.
func Analyze(f *elf.File) (*Program, error) {
	d := newDiscovery(f, everywhere)
	d.run()
	p := &Program{File: f, Funcs: newPartition(d).functions()}
	if len(p.Funcs) == 0 {
		return nil, fmt.Errorf("%s: %w: no function found", f.Name, elf.ErrNoCode)
	}
	cutNoReturn(p, d.ranges)
	d.describe(p)
	p.missed, p.dropped = d.missed(d.count(p))
	return p, nil
}

// functions builds all functions, ascending: first the whole ones, as they
// own fragments, then the partial ones, which may ask for more.
func (p *partition) functions() []*Func {
	slices.Sort(p.todo)
	var funcs []*Func
	for entries := p.bounds; len(entries) > 0; {
		for _, a := range entries {
			funcs = append(funcs, p.build(a))
		}
		entries, p.todo = distinct(p.todo), nil
	}
	slices.SortFunc(funcs, func(a, b *Func) int { return cmp.Compare(a.Entry, b.Entry) })
	p.markShared(funcs)
	return funcs
}

// markShared tells the blocks that have an instruction which another function has too.
func (p *partition) markShared(funcs []*Func) {
	for _, f := range funcs {
		for _, b := range f.Blocks {
			for i := range b.Insts {
				at, as := b.Insts[i].Addr, isGiven
				if p.is(at, isGiven) {
					as = isShared
				}
				p.mark(at, as)
			}
		}
	}
	for _, f := range funcs {
		for _, b := range f.Blocks {
			b.Shared = slices.ContainsFunc(b.Insts, func(in x86.Inst) bool { return p.is(in.Addr, isShared) })
		}
	}
}

// describe sets what functions are called and how they can be entered.
func (d *discovery) describe(p *Program) {
	names := map[uint64]string{}
	for _, s := range d.file.Symbols {
		if names[s.Addr] == "" {
			names[s.Addr] = s.Name
		}
	}
	called := p.directTargets()
	for _, f := range p.Funcs {
		f.Name = names[f.Entry]
		f.AddressTaken = d.evidence(f.Entry)&indirect != 0 || !called[f.Entry]
	}
}

// directTargets gives where direct calls and tail calls go.
func (p *Program) directTargets() map[uint64]bool {
	to := map[uint64]bool{}
	for _, f := range p.Funcs {
		for _, b := range f.Blocks {
			b.eachTarget(func(entry uint64) { to[entry] = true })
		}
	}
	return to
}

// eachTarget visits the functions that b calls or jumps to directly.
func (b *Block) eachTarget(visit func(entry uint64)) {
	if b.Term.Kind == TailCall || b.Term.Kind == CondTail {
		visit(b.Term.Target)
	}
	for i := range b.Insts {
		if t, ok := directCall(&b.Insts[i]); ok {
			visit(t)
		}
	}
}

// count fills in the statistics and the covered bytes. It returns what is covered, certain or not.
func (d *discovery) count(p *Program) *coverage {
	st := &p.Stats
	st.Functions = len(p.Funcs)
	covered := newCoverage(d.image)
	switches, open, bad := map[uint64]bool{}, map[uint64]bool{}, map[uint64]string{}
	for _, f := range p.Funcs {
		for _, b := range f.Blocks {
			covered.add(b)
			if b.Term.Err != "" {
				bad[b.End] = b.Term.Err
			}
			if len(b.Insts) == 0 {
				continue
			}
			last := &b.Insts[len(b.Insts)-1]
			switch {
			case b.Term.Kind == SwitchJump:
				switches[last.Addr] = true
			case b.Term.Kind == IndirectJump && d.tables[last.Addr] == nil && !isSlotJump(last):
				open[last.Addr] = true
			}
		}
	}
	st.Switches = len(switches)
	st.Unresolved = slices.Sorted(maps.Keys(open))
	for _, a := range slices.Sorted(maps.Keys(bad)) {
		st.Undecodable = append(st.Undecodable, Spot{a, bad[a]})
	}
	st.Instructions = covered.insts
	p.covered = d.certain(p).spans()
	for _, s := range covered.spans() {
		st.CodeBytes += s.End - s.Start
	}
	for _, s := range d.file.ExecutableSpans() {
		st.ExecutableBytes += s.Size
	}
	return covered
}

// certain covers the functions that the file lists and what those call or jump to.
// The others were found by address or in gaps because they look like code; a table
// of constants may do so too, but not where there is unwind information.
func (d *discovery) certain(p *Program) *coverage {
	byEntry := make(map[uint64]*Func, len(p.Funcs))
	for _, f := range p.Funcs {
		byEntry[f.Entry] = f
	}
	var work []*Func
	reach := func(entry uint64) {
		if f := byEntry[entry]; f != nil {
			delete(byEntry, entry)
			work = append(work, f)
		}
	}
	d.eachListed(func(addr uint64, _ evidence) { reach(addr) })
	for _, f := range p.Funcs {
		if f.Partial && d.unwinds(f.Entry) || d.isPLT(f.Entry) {
			reach(f.Entry)
		}
	}
	c := newCoverage(d.image)
	for len(work) > 0 {
		f := work[len(work)-1]
		work = work[:len(work)-1]
		for _, b := range f.Blocks {
			c.add(b)
			b.eachTarget(reach)
		}
	}
	return c
}

// unwinds reports whether addr is in the range of an FDE.
func (d *discovery) unwinds(addr uint64) bool {
	fdes := d.file.FDEs
	i, found := slices.BinarySearchFunc(fdes, addr, func(f elf.FDE, a uint64) int { return cmp.Compare(f.Start, a) })
	if !found {
		i--
	}
	return i >= 0 && addr < fdes[i].End
}

// isSlotJump: jmp [rip+x] through one pointer, as PLT stubs do.
func isSlotJump(in *x86.Inst) bool {
	m, ok := in.Args[0].(x86asm.Mem)
	return ok && m.Base == x86asm.RIP
}

// coverage collects the bytes of the blocks that were given out.
type coverage struct {
	*image
	bytes [][]bool // per region
	start [][]bool
	insts int
}

func newCoverage(m *image) *coverage {
	c := &coverage{image: m}
	for i := range m.regions {
		c.bytes = append(c.bytes, make([]bool, len(m.regions[i].code)))
		c.start = append(c.start, make([]bool, len(m.regions[i].code)))
	}
	return c
}

func (c *coverage) add(b *Block) {
	for i := range c.regions {
		r := &c.regions[i]
		if b.Addr-r.base >= uint64(len(r.code)) {
			continue
		}
		bytes, start := c.bytes[i], c.start[i]
		for off := b.Addr - r.base; off < b.End-r.base; off += uint64(r.size[off]) {
			if !start[off] {
				start[off] = true
				c.insts++
			}
		}
		for off := b.Addr - r.base; off < b.End-r.base; off++ {
			bytes[off] = true
		}
	}
}

func (c *coverage) spans() []Span {
	var spans []Span
	for i, s := range c.file.ExecutableSpans() {
		for off := 0; off < len(c.bytes[i]); {
			if !c.bytes[i][off] {
				off++
				continue
			}
			start := off
			for off < len(c.bytes[i]) && c.bytes[i][off] {
				off++
			}
			spans = append(spans, Span{s.Off + uint64(start), s.Off + uint64(off)})
		}
	}
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	return spans
}

// missed gives what no instruction covers in the executable sections (or in
// executable segments, without section headers), but for filler. Dropped is
// the part of it that was found, but lies behind calls that do not return.
func (d *discovery) missed(c *coverage) (missed, dropped []Span) {
	for i := range d.regions {
		r := &d.regions[i]
		for off := 0; off < len(r.code); off++ {
			addr := r.base + uint64(off)
			if c.bytes[i][off] || !d.inCodeSection(addr) {
				continue
			}
			if n := d.filler(r, off); n > 0 {
				off += n - 1
				continue
			}
			missed = appendSpan(missed, Span{addr, addr + 1})
			if r.cover[off] {
				dropped = appendSpan(dropped, Span{addr, addr + 1})
			}
		}
	}
	return missed, dropped
}

func appendSpan(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && spans[n-1].End == s.Start {
		spans[n-1].End = s.End
		return spans
	}
	return append(spans, s)
}
