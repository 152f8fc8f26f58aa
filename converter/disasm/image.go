package disasm

import (
	"math"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/x86"
)

// flow is what an instruction does to control, in the low bits; rel8 is set
// when its displacement has one byte, repeats when it starts a block because
// it is a loop by itself.
type flow uint8

const (
	flowNone flow = iota
	flowCall
	flowCallIndirect
	flowJump
	flowCond
	flowJumpIndirect
	flowRet
	flowHalt
	flowTrap  // a handler may go on behind it
	flowBreak // int3, likewise
	flowBad   // no instruction starts here

	rel8     flow = 0x10
	repeats  flow = 0x20
	flowKind flow = 0x0f
)

// flows gives the flow of Ops other than jmp and call. Far jumps and returns
// cannot be followed, but leave.
var flows = x86.NewByOp(map[x86asm.Op]flow{
	x86asm.RET: flowRet, x86asm.LRET: flowRet, x86asm.IRET: flowRet, x86asm.IRETD: flowRet, x86asm.IRETQ: flowRet,
	x86asm.SYSRET: flowHalt, x86asm.SYSEXIT: flowHalt, x86asm.LJMP: flowHalt,
	x86asm.HLT: flowHalt, x86asm.UD0: flowHalt, x86asm.UD1: flowHalt, x86asm.UD2: flowTrap,
	x86asm.JA: flowCond, x86asm.JAE: flowCond, x86asm.JB: flowCond, x86asm.JBE: flowCond, x86asm.JE: flowCond, x86asm.JNE: flowCond,
	x86asm.JG: flowCond, x86asm.JGE: flowCond, x86asm.JL: flowCond, x86asm.JLE: flowCond, x86asm.JO: flowCond, x86asm.JNO: flowCond,
	x86asm.JP: flowCond, x86asm.JNP: flowCond, x86asm.JS: flowCond, x86asm.JNS: flowCond,
	x86asm.JRCXZ: flowCond, x86asm.JECXZ: flowCond, x86asm.LOOP: flowCond, x86asm.LOOPE: flowCond, x86asm.LOOPNE: flowCond,
})

func flowOf(in *x86.Inst) flow {
	k, direct := flows[in.Op], false
	switch _, direct = in.Args[0].(x86asm.Rel); {
	case in.Op == x86asm.JMP && direct:
		k = flowJump
	case in.Op == x86asm.JMP:
		k = flowJumpIndirect
	case in.Op == x86asm.CALL && direct:
		k = flowCall
	case in.Op == x86asm.CALL:
		k = flowCallIndirect
	case in.Op == x86asm.INT && in.Args[0] == x86asm.Imm(3):
		k = flowBreak
	}
	if direct && in.PCRel == 1 {
		k |= rel8
	}
	if in.Repeats() {
		k |= repeats
	}
	return k
}

// continues reports whether control may go on to the next instruction.
func (f flow) continues() bool {
	switch f & flowKind {
	case flowNone, flowCall, flowCallIndirect, flowCond, flowTrap, flowBreak:
		return true
	}
	return false
}

// isCall reports whether the instruction is a call.
func (f flow) isCall() bool {
	k := f & flowKind
	return k == flowCall || k == flowCallIndirect
}

// endsBlock reports whether the instruction is the last of its block.
func (f flow) endsBlock() bool {
	switch f & flowKind {
	case flowNone, flowCall, flowCallIndirect, flowTrap, flowBreak:
		return false
	}
	return true
}

// region is an executable span with what is known of each of its bytes.
type region struct {
	base  uint64
	code  []byte
	size  []uint8 // length of the instruction that starts here, or 0
	inst  []int32 // its number
	flow  []flow
	cover []bool // belongs to an instruction
	entry []evidence
	role  []role
}

// role is what an address is to the division into functions.
type role uint8

const (
	isTarget  role = 1 << iota // a jump goes there
	isCut                      // an entry: a jump from another function to one is a tail call
	isPartial                  // an entry in the middle of a function
	isSmall                    // little can be reached from there: see smallFrom
	isPiece                    // a piece of a function begins there: see dividePieces
	isGiven                    // an instruction of a function
	isShared                   // an instruction of several
)

// image is the executable bytes of a file.
type image struct {
	file    *elf.File
	regions []region
	decoder x86.Decoder
	insts   [][]x86.Inst // all known ones, by number, in chunks of instChunk
	count   int          // of them
}

// instChunk is the number of instructions that are kept together.
const instChunk = 512

// newImage is the executable bytes of f within a range.
func newImage(f *elf.File, within Span) *image {
	m := &image{file: f}
	for _, s := range f.ExecutableSpans() {
		start, end := max(s.Vaddr, within.Start), min(s.Vaddr+s.Size, within.End)
		if start < end {
			m.regions = append(m.regions, newRegion(start, f.Data[s.Off+start-s.Vaddr:s.Off+end-s.Vaddr]))
		}
	}
	return m
}

// everywhere is the range of all addresses.
var everywhere = Span{0, math.MaxUint64}

func newRegion(base uint64, code []byte) region {
	n := len(code)
	return region{
		base: base, code: code, size: make([]uint8, n), inst: make([]int32, n), flow: make([]flow, n), cover: make([]bool, n),
		entry: make([]evidence, n), role: make([]role, n),
	}
}

// region finds the region of addr and the offset in it, or nil.
func (m *image) region(addr uint64) (*region, uint64) {
	for i := range m.regions {
		if r := &m.regions[i]; addr-r.base < uint64(len(r.code)) {
			return r, addr - r.base
		}
	}
	return nil, 0
}

func (m *image) isCode(addr uint64) bool {
	r, _ := m.region(addr)
	return r != nil
}

// decoded reports whether an instruction is known to start at addr.
func (m *image) decoded(addr uint64) bool {
	r, off := m.region(addr)
	return r != nil && r.size[off] != 0
}

// insideInst reports whether addr is in the middle of a known instruction.
func (m *image) insideInst(addr uint64) bool {
	r, off := m.region(addr)
	return r != nil && r.size[off] == 0 && r.cover[off]
}

// at gives the flow and the next address of the known instruction at addr;
// flowBad if there is none.
func (m *image) at(addr uint64) (f flow, next uint64) {
	r, off := m.region(addr)
	if r == nil || r.size[off] == 0 {
		return flowBad, addr
	}
	return r.flow[off], addr + uint64(r.size[off])
}

// evidence is why addr is an entry; 0 if it is none.
func (m *image) evidence(addr uint64) evidence {
	if r, off := m.region(addr); r != nil {
		return r.entry[off]
	}
	return 0
}

// addEvidence makes addr, which is code, an entry.
func (m *image) addEvidence(addr uint64, why evidence) {
	r, off := m.region(addr)
	r.entry[off] |= why
}

// is reports whether addr has one of the roles.
func (m *image) is(addr uint64, any role) bool {
	r, off := m.region(addr)
	return r != nil && r.role[off]&any != 0
}

// mark gives addr, which is code, a role.
func (m *image) mark(addr uint64, as role) {
	r, off := m.region(addr)
	r.role[off] |= as
}

// inst gives the instruction at addr.
func (m *image) inst(addr uint64) (x86.Inst, error) {
	r, off := m.region(addr)
	switch {
	case r == nil:
		return x86.Inst{}, errNotCode
	case r.size[off] != 0:
		return *m.known(r.inst[off]), nil
	}
	return m.decoder.Decode(r.code[off:], addr)
}

// known gives an instruction by its number.
func (m *image) known(number int32) *x86.Inst { return &m.insts[number/instChunk][number%instChunk] }

// straight gives n known instructions that follow one another from addr on.
func (m *image) straight(addr uint64, n int) []x86.Inst {
	r, off := m.region(addr)
	first := int(r.inst[off])
	if last := first + n - 1; first/instChunk == last/instChunk && last < m.count && m.follow(first, last) {
		return slices.Clip(m.insts[first/instChunk][first%instChunk : last%instChunk+1])
	}
	list := make([]x86.Inst, 0, n)
	for range n {
		r, off := m.region(addr)
		list = append(list, *m.known(r.inst[off]))
		addr += uint64(r.size[off])
	}
	return list
}

// follow reports whether the instructions with these numbers and all between
// follow one another in memory.
func (m *image) follow(first, last int) bool {
	for i := first; i < last; i++ {
		if m.known(int32(i)).Next() != m.known(int32(i+1)).Addr {
			return false
		}
	}
	return true
}

// record notes the instruction.
func (m *image) record(in *x86.Inst) flow {
	r, off := m.region(in.Addr)
	f := flowOf(in)
	if m.count%instChunk == 0 {
		m.insts = append(m.insts, make([]x86.Inst, 0, instChunk))
	}
	chunk := &m.insts[len(m.insts)-1]
	*chunk = append(*chunk, *in)
	r.size[off], r.inst[off], r.flow[off] = uint8(in.Len), int32(m.count), f
	m.count++
	for i := range uint64(in.Len) {
		r.cover[off+i] = true
	}
	return f
}

// target is where the known direct jump or call at addr goes.
func (m *image) target(addr uint64) uint64 {
	r, off := m.region(addr)
	end := off + uint64(r.size[off])
	if r.flow[off]&rel8 != 0 {
		return r.base + end + uint64(int8(r.code[end-1]))
	}
	b := r.code[end-4 : end]
	return r.base + end + uint64(int32(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24))
}

// previous gives the known instructions that end at addr and go on to it.
func (m *image) previous(addr uint64) []uint64 {
	r, off := m.region(addr)
	var prev []uint64
	for n := uint64(1); r != nil && n <= x86.MaxLen && n <= off; n++ {
		if uint64(r.size[off-n]) == n && r.flow[off-n].continues() {
			prev = append(prev, addr-n)
		}
	}
	return prev
}
