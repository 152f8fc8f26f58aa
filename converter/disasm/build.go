package disasm

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

// builder makes one Func.
type builder struct {
	*partition
	entry   uint64
	home    home
	seen    map[uint64]bool // instructions of the function
	leaders map[uint64]bool
	foreign map[uint64]bool // jump targets outside home: true if copied into the function
	work    []uint64
	blocks  map[uint64]*Block
	exits   []*Block // empty blocks that leave the function
}

// build makes the function at entry. Partial entries that it needs are added
// to the partition.
func (p *partition) build(entry uint64) *Func {
	b := &builder{
		partition: p,
		entry:     entry,
		seen:      map[uint64]bool{},
		leaders:   map[uint64]bool{},
		foreign:   map[uint64]bool{},
		blocks:    map[uint64]*Block{},
	}
	if !p.partial[entry] || p.isRoomy(entry) {
		b.home = home{p.extent(entry)}
	}
	b.reach()
	if p.partial[entry] {
		p.budget -= len(b.seen)
	}
	f := &Func{Entry: entry, Partial: p.partial[entry], Blocks: b.makeBlocks()}
	for _, blk := range f.Blocks {
		b.terminate(blk)
	}
	f.Blocks = append(f.Blocks, b.exits...)
	slices.SortFunc(f.Blocks[1:], byAddress)
	b.placeLoads(f)
	return f
}

func byAddress(x, y *Block) int { return cmp.Compare(x.Addr, y.Addr) }

// reach finds the instructions and the block leaders.
func (b *builder) reach() {
	b.lead(b.entry)
	for len(b.work) > 0 {
		a := b.work[len(b.work)-1]
		b.work = b.work[:len(b.work)-1]
		b.reachFrom(a)
	}
}

func (b *builder) lead(addr uint64) {
	if !b.leaders[addr] {
		b.leaders[addr] = true
		b.work = append(b.work, addr)
	}
}

func (b *builder) reachFrom(a uint64) {
	for !b.seen[a] {
		f, next := b.at(a)
		if f == flowBad {
			return
		}
		b.seen[a] = true
		switch f & flowKind {
		case flowJump, flowCond:
			b.reachTarget(b.target(a))
		case flowJumpIndirect:
			for _, t := range b.indirectTargets(a) {
				b.reachTarget(t)
			}
		}
		if !b.fallsThrough(f, next) {
			return
		}
		if f.endsBlock() || b.seen[next] || !b.decoded(next) || b.meets(next) && !b.stays(next) {
			b.reachTarget(next)
			return
		}
		a = next
	}
}

// meets reports whether control may come to addr from elsewhere than the
// instruction before it.
func (b *builder) meets(addr uint64) bool {
	return b.cuts[addr] || b.partial[addr] || len(b.jumps[addr]) > 0 || b.home.has(addr)
}

// reachTarget makes a block of where control goes, if that stays in the
// function. What does not decode gets an empty block that says so.
func (b *builder) reachTarget(to uint64) {
	switch {
	case b.isElsewhere(to):
	case !b.decoded(to) && !b.cuts[to]:
		b.leaders[to] = true
	case b.stays(to):
		b.lead(to)
	}
}

// stays reports whether a transfer to addr stays in the function.
func (b *builder) stays(addr uint64) bool {
	switch {
	case addr == b.entry || b.home.has(addr) && !b.cuts[addr]:
		return true
	case b.cuts[addr]:
		return false
	}
	if s, ok := b.adopt(b.entry, addr); ok {
		b.home = append(b.home, s)
		return true
	}
	copied, known := b.foreign[addr]
	if !known {
		copied = b.tailSize(addr, smallTail) <= smallTail || b.flagsLive(addr) || b.copyLong(addr)
		b.foreign[addr] = copied
		if !copied {
			b.require(addr)
		}
	}
	return copied
}

// copyLong takes the tail at addr into the function if that needs it.
func (b *builder) copyLong(addr uint64) bool {
	if b.partial[b.entry] || !b.movesStack() {
		return false
	}
	n := b.tailSize(addr, longTail)
	if n > longTail || n > b.budget {
		return false
	}
	b.budget -= n
	b.home = append(b.home, b.extent(addr))
	return true
}

// movesStack reports whether an instruction found so far moves the stack
// pointer.
func (b *builder) movesStack() bool {
	for a := range b.seen {
		in, err := b.inst(a)
		if err == nil && (in.Op == x86asm.PUSH || writes(&in).has(rsp)) {
			return true
		}
	}
	return false
}

func (b *builder) makeBlocks() []*Block {
	for a := range b.leaders {
		b.blocks[a] = b.makeBlock(a)
	}
	list := []*Block{b.blocks[b.entry]}
	for _, blk := range b.blocks {
		if blk.Addr != b.entry {
			list = append(list, blk)
		}
	}
	return list
}

// makeBlock decodes from leader to the next leader or the block's end.
func (b *builder) makeBlock(leader uint64) *Block {
	n, end := 0, leader
	for a := leader; ; {
		f, next := b.at(a)
		if f == flowBad {
			break
		}
		n++
		end = next
		if a = next; f.endsBlock() || !b.fallsThrough(f, next) || b.leaders[next] || !b.seen[next] {
			break
		}
	}
	blk := &Block{Addr: leader, End: end, Insts: make([]x86.Inst, 0, n)}
	for a := leader; a < end; {
		in, err := b.inst(a)
		if err != nil {
			panic(fmt.Sprintf("BUG: instruction at %#x no longer decodes: %v", a, err))
		}
		blk.Insts = append(blk.Insts, in)
		a = in.Next()
	}
	return blk
}

// terminate fills in how control leaves blk.
func (b *builder) terminate(blk *Block) {
	if len(blk.Insts) == 0 {
		blk.Term = b.stuck(blk.Addr)
		return
	}
	last := blk.Insts[len(blk.Insts)-1].Addr
	f, next := b.at(last)
	switch f & flowKind {
	case flowJump:
		blk.Term = b.goTo(Jump, TailCall, b.target(last))
	case flowCond:
		blk.Term = b.conditional(b.target(last), next)
	case flowJumpIndirect:
		blk.Term = b.indirect(last)
	case flowRet:
		blk.Term = Term{Kind: Ret}
	case flowHalt:
		blk.Term = Term{Kind: Halt}
	default:
		if !b.fallsThrough(f, next) {
			blk.Term = Term{Kind: Halt} // a call that does not return
		} else {
			blk.Term = b.goTo(Fallthrough, TailCall, next)
		}
	}
}

// stuck is the end of a block at an address that does not decode.
func (b *builder) stuck(addr uint64) Term {
	reason := errNotCode.Error()
	if _, err := b.inst(addr); err != nil {
		reason = err.Error()
	}
	return Term{Kind: Halt, Err: reason}
}

// goTo is an unconditional transfer: within the function, or to another.
func (b *builder) goTo(within, out TermKind, to uint64) Term {
	if blk := b.blocks[to]; blk != nil {
		return Term{Kind: within, Succs: []*Block{blk}}
	}
	return Term{Kind: out, Target: to}
}

func (b *builder) conditional(to, next uint64) Term {
	fall := b.blockAt(next)
	if blk := b.blocks[to]; blk != nil {
		return Term{Kind: CondJump, Succs: []*Block{blk, fall}}
	}
	return Term{Kind: CondTail, Succs: []*Block{fall}, Target: to}
}

// blockAt gives the block at addr; if the function has none, an empty one
// that leaves for addr.
func (b *builder) blockAt(addr uint64) *Block {
	if blk := b.blocks[addr]; blk != nil {
		return blk
	}
	blk := &Block{Addr: addr, End: addr, Term: b.goTo(Fallthrough, TailCall, addr)}
	b.exits = append(b.exits, blk)
	return blk
}
