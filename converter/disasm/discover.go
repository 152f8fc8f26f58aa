package disasm

import (
	"errors"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/x86"
)

var errNotCode = errors.New("no code at this address")

// evidence says why an address is taken for a function's entry.
type evidence uint8

const (
	byCall    evidence = 1 << iota // a direct call goes there
	byPointer                      // a relocation, lea or immediate gives its address
	byExport                       // dynamic symbol, ELF entry, initialiser: the system enters it
	bySymbol                       // local symbol
	byFDE                          // an FDE starts there
	byGap                          // found between functions
	byPad                          // landing pad: entered by the unwinder

	// What makes an entry where jumps never are the function's own. A mere
	// FDE or symbol may be a fragment of another function.
	firm = byCall | byPointer | byExport | byGap
	// How a function is entered other than by direct calls.
	indirect = byPointer | byExport | byGap | byPad
)

// discovery finds instructions by recursive descent.
type discovery struct {
	*image
	ranges   ranges
	framed   map[uint64]bool     // starts of FDEs that are entered with something on the stack: parts of functions
	queue    []uint64            // addresses to walk from
	jumps    map[uint64][]uint64 // target → the jumps that go there; such a target has the role isTarget
	pending  []uint64            // indirect jumps not looked at since the last walk
	tables   map[uint64]*table   // indirect jump → its table
	open     []uint64            // indirect jumps without a table, to be tried again
	attempts map[uint64]int
	final    map[uint64]bool   // functions that some caller knows not to return
	taken    []uint64          // code addresses in lea and immediates
	reads    map[uint64]bool   // code addresses that instructions read as data
	refs     []uint64          // data addresses in lea: where tables may start
	slots    map[uint64]uint64 // relocated word → code address it holds
	guesses  []uint64          // words of data that may be labels
	labels   []uint64          // addresses taken within functions
	trials   int               // instructions that may still be decoded speculatively
	visited  addrSet           // of a walk that records nothing
}

func newDiscovery(f *elf.File, within Span) *discovery {
	d := &discovery{
		image:    newImage(f, within),
		ranges:   rangesOf(f),
		framed:   map[uint64]bool{},
		jumps:    map[uint64][]uint64{},
		tables:   map[uint64]*table{},
		attempts: map[uint64]int{},
		final:    map[uint64]bool{},
		reads:    map[uint64]bool{},
		slots:    map[uint64]uint64{},
	}
	for _, fde := range f.FDEs {
		if fde.CFAOffset != 8 {
			d.framed[fde.Start] = true
		}
	}
	for _, p := range f.Pointers {
		if !p.Guess {
			d.slots[p.Slot] = p.Target
		}
	}
	for _, r := range d.regions {
		d.trials += 4 * len(r.code)
	}
	return d
}

// run finds everything. Each step works on what the ones before left, from
// firm evidence to guesses.
func (d *discovery) run() {
	d.seed()
	d.settle()
	d.followTaken()
	d.followGuesses()
	d.scanGaps()
	d.sortLabels()
}

// seed queues what the file itself says is code.
func (d *discovery) seed() {
	f := d.file
	d.eachListed(d.enter)
	for _, p := range f.Pointers {
		switch label := d.isLabel(p.Target); {
		case p.Guess && label:
			d.guesses = append(d.guesses, p.Target)
		case p.Guess || label:
			d.taken = append(d.taken, p.Target)
		default:
			d.enter(p.Target, byPointer)
		}
	}
}

// pltEntries lists the stubs of PLT sections. Without section headers they
// are found through the calls to them and the GOT's initial contents.
func (d *discovery) pltEntries() []uint64 {
	strides := map[string]uint64{".plt": 16, ".plt.sec": 16, ".plt.got": 8}
	var entries []uint64
	for _, s := range d.file.Sections {
		stride, ok := strides[s.Name]
		if !ok || !s.Executable {
			continue
		}
		if b := d.file.Bytes(s.Addr); stride == 8 && len(b) >= 4 && b[0] == 0xf3 {
			stride = 16 // endbr64 in front
		}
		for off := uint64(0); off+stride <= s.Size; off += stride {
			entries = append(entries, s.Addr+off)
		}
	}
	return entries
}

// isLabel reports whether addr lies within a function whose range is known,
// not at its start: the target of a computed goto.
func (d *discovery) isLabel(addr uint64) bool {
	s, ok := d.rangeOf(addr)
	return ok && addr != s.start && !d.isPLT(addr)
}

func (d *discovery) isPLT(addr uint64) bool {
	s := d.file.Section(addr)
	return s != nil && (s.Name == ".plt" || s.Name == ".plt.sec" || s.Name == ".plt.got")
}

// rangeOf gives the range that holds addr.
func (d *discovery) rangeOf(addr uint64) (span, bool) { return d.ranges.of(addr) }

// enter makes addr an entry and queues it.
func (d *discovery) enter(addr uint64, why evidence) {
	if !d.isCode(addr) {
		return
	}
	if d.evidence(addr) == 0 {
		d.queue = append(d.queue, addr)
	}
	d.addEvidence(addr, why)
}

// settle walks until nothing new is found, tables included.
func (d *discovery) settle() {
	for {
		d.drain()
		if !d.resolveTables() {
			return
		}
	}
}

func (d *discovery) drain() {
	for len(d.queue) > 0 {
		addr := d.queue[len(d.queue)-1]
		d.queue = d.queue[:len(d.queue)-1]
		d.walk(addr)
	}
}

// eachListed visits the entries that the file lists as code.
func (d *discovery) eachListed(visit func(addr uint64, why evidence)) {
	f := d.file
	for i := range f.FDEs {
		visit(f.FDEs[i].Start, byFDE)
	}
	for i := range f.GoFuncs {
		visit(f.GoFuncs[i].Start, byPointer)
		d.eachGoPad(&f.GoFuncs[i], visit)
	}
	for _, s := range f.Symbols {
		why := bySymbol
		if s.Dynamic {
			why = byExport
		}
		visit(s.Addr, why)
	}
	if f.Entry != 0 {
		visit(f.Entry, byExport)
	}
	for _, a := range f.InitFuncs {
		visit(a, byExport)
	}
	for i := range f.FDEs {
		for _, pad := range f.FDEs[i].LandingPads {
			visit(pad, byPad)
		}
	}
	for _, a := range d.pltEntries() {
		visit(a, byPointer)
	}
}

// eachGoPad visits where the runtime enters a Go function besides its start.
func (d *discovery) eachGoPad(g *elf.GoFunc, visit func(addr uint64, why evidence)) {
	for _, a := range g.Pads {
		visit(a, byPad)
	}
	// A goroutine's first function returns to runtime.goexit+1, so that goexit
	// seems to have called it; a nop is there for that alone (runtime/asm_amd64.s).
	if in, err := d.inst(g.Start); err == nil && in.Op == x86asm.NOP {
		visit(in.Next(), byPad)
	}
}

// walk decodes from addr until control leaves or known code begins.
func (d *discovery) walk(addr uint64) {
	for d.isCode(addr) && !d.decoded(addr) {
		in, err := d.inst(addr)
		if err != nil {
			r, off := d.region(addr)
			r.flow[off] = flowBad
			return
		}
		f := d.record(&in)
		d.note(&in)
		d.follow(addr, f)
		addr = in.Next()
		if !d.fallsThrough(f, addr) {
			if f&flowKind == flowCall {
				d.final[d.target(in.Addr)] = true
			}
			return
		}
	}
}

// follow queues where the instruction at addr jumps.
func (d *discovery) follow(addr uint64, f flow) {
	switch f & flowKind {
	case flowCall:
		d.enter(d.target(addr), byCall)
	case flowJump, flowCond:
		d.jump(addr, d.target(addr))
	case flowJumpIndirect:
		d.pending = append(d.pending, addr)
	}
}

func (d *discovery) jump(from, to uint64) {
	if d.isCode(to) {
		d.jumps[to] = append(d.jumps[to], from)
		d.mark(to, isTarget)
		d.queue = append(d.queue, to)
	}
}

// fallsThrough reports whether control goes on to next after an instruction
// with flow f. A call that is the last instruction of its FDE does not
// return: compilers put nothing behind it then. A ud2 goes on only where more of
// its FDE follows, and not behind a call, where compilers put one if that does not return. Of int3 two
// fill a gap between functions.
func (d *discovery) fallsThrough(f flow, next uint64) bool {
	if !f.continues() {
		return false
	}
	switch f & flowKind {
	case flowCall, flowCallIndirect:
		s, ok := d.rangeOf(next - 1)
		return !ok || next < s.end
	case flowTrap:
		s, ok := d.rangeOf(next - 1)
		return ok && next < s.end && !d.followsCall(next-trapLen)
	case flowBreak:
		r, off := d.region(next)
		return r == nil || r.code[off] != opInt3
	}
	return true
}

// opInt3 is the instruction of one byte.
const opInt3 = 0xcc

// trapLen is the length of ud2, bytes.
const trapLen = 2

// followsCall reports whether the instruction in front of addr is a call.
func (d *discovery) followsCall(addr uint64) bool {
	return slices.ContainsFunc(d.previous(addr), func(a uint64) bool {
		f, _ := d.at(a)
		return f.isCall()
	})
}

// note collects the addresses that the instruction mentions.
func (d *discovery) note(in *x86.Inst) {
	for _, a := range in.Args {
		switch a := a.(type) {
		case nil:
			return
		case x86asm.Mem:
			d.noteMem(in, a)
		case x86asm.Imm:
			d.noteImm(in, uint64(a))
		}
	}
}

func (d *discovery) noteMem(in *x86.Inst, m x86asm.Mem) {
	if m.Base != x86asm.RIP || m.Segment != 0 {
		return
	}
	addr := in.Next() + uint64(m.Disp)
	switch code := d.isCode(addr); {
	case in.Op == x86asm.LEA && code:
		d.taken = append(d.taken, addr)
		d.refs = append(d.refs, addr)
	case in.Op == x86asm.LEA:
		d.refs = append(d.refs, addr)
	case code && in.Op != x86asm.NOP:
		d.reads[addr] = true
	}
}

// noteImm: code linked to a fixed address has addresses as immediates.
func (d *discovery) noteImm(in *x86.Inst, v uint64) {
	if !d.file.Fixed() || in.Op != x86asm.MOV && in.Op != x86asm.PUSH && in.Op != x86asm.CMP {
		return
	}
	if d.isCode(v) {
		d.taken = append(d.taken, v)
	} else {
		d.refs = append(d.refs, v)
	}
}

// followTaken turns addresses that code or data mention into entries, when
// they are not labels of a function and decode sanely.
func (d *discovery) followTaken() {
	for len(d.taken) > 0 {
		addrs := d.taken
		d.taken = nil
		slices.Sort(addrs)
		for _, a := range slices.Compact(addrs) {
			d.takeAddress(a)
		}
		d.settle()
	}
}

func (d *discovery) takeAddress(addr uint64) {
	switch {
	case d.evidence(addr)&^byPad != 0:
		d.addEvidence(addr, byPointer)
	case d.isLabel(addr), d.isReached(addr):
		d.addLabel(addr)
	case d.decoded(addr) && !d.insideInst(addr), d.trial(addr):
		d.enter(addr, byPointer)
	}
}

// isReached reports whether control gets to addr, which lies in no known
// range, from the instruction before it or by an indirect jump of known
// targets: then it is no function of its own.
func (d *discovery) isReached(addr uint64) bool {
	if _, known := d.rangeOf(addr); known {
		return false
	}
	for _, from := range d.predecessors(addr) {
		if f, next := d.at(from); next == addr || f&flowKind == flowJumpIndirect {
			return true
		}
	}
	return false
}

func (d *discovery) addLabel(addr uint64) {
	if d.isReturn(addr) {
		return
	}
	if d.decoded(addr) || d.trial(addr) {
		d.labels = append(d.labels, addr)
		d.queue = append(d.queue, addr)
	}
}

// isReturn reports whether addr follows a call that may return: tables of
// OCaml's list all such. The dispatcher enters those without our help.
func (d *discovery) isReturn(addr uint64) bool {
	return slices.ContainsFunc(d.previous(addr), func(a uint64) bool {
		switch f, _ := d.at(a); f & flowKind {
		case flowCall:
			return !d.final[d.target(a)] && !noReturnImports[d.stubImport(d.target(a))]
		case flowCallIndirect:
			return true
		}
		return false
	})
}

// stubImport gives the imported symbol that the PLT stub at addr jumps to.
func (d *discovery) stubImport(addr uint64) string {
	in, err := d.inst(addr)
	if err == nil && in.Op == x86.ENDBR64 {
		in, err = d.inst(in.Next())
	}
	if err != nil || in.Op != x86asm.JMP || !isSlotJump(&in) {
		return ""
	}
	m := in.Args[0].(x86asm.Mem)
	return d.file.Imports[in.Next()+uint64(m.Disp)]
}

// labelsIn gives the labels within s.
func (d *discovery) labelsIn(s span) []uint64 {
	i, _ := slices.BinarySearch(d.labels, s.start)
	j, _ := slices.BinarySearch(d.labels, s.end)
	return d.labels[i:j]
}

// openRanges gives the ranges that have an indirect jump without a table.
func (d *discovery) openRanges() map[span]bool {
	ranges := map[span]bool{}
	for r := range d.regions {
		for off, f := range d.regions[r].flow {
			addr := d.regions[r].base + uint64(off)
			if f&flowKind == flowJumpIndirect && d.tables[addr] == nil {
				s, _ := d.rangeOf(addr)
				ranges[s] = true
			}
		}
	}
	return ranges
}

// followGuesses takes words of data for labels where a computed goto may need
// them.
func (d *discovery) followGuesses() {
	open := d.openRanges()
	for _, a := range distinct(d.guesses) {
		if s, _ := d.rangeOf(a); open[s] {
			d.addLabel(a)
		}
	}
	d.settle()
}

// sortLabels prepares labelsIn. Whether all jumps to a label were recognised
// is never certain, so that each can be entered, like a landing pad.
func (d *discovery) sortLabels() {
	d.labels = distinct(d.labels)
	for _, a := range d.labels {
		d.addEvidence(a, byPad)
	}
}
