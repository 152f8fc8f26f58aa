package disasm

import (
	"cmp"
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

// builder makes one Func.
type builder struct {
	*partition
	entry   uint64
	home    home
	seen    addrSet         // instructions of the function
	blocks  addrMap[*Block] // by leader; nil until reach is done
	foreign map[uint64]bool // jump targets outside home: true if copied into the function
	work    []uint64
	exits   []*Block // empty blocks that leave the function
}

// build makes the function at entry. Partial entries that it needs are added
// to the partition.
func (p *partition) build(entry uint64) *Func {
	b := &p.builder
	b.reset(p, entry)
	partial, piece := p.is(entry, isPartial), p.is(entry, isPiece)
	if !partial || piece || p.isRoomy(entry) {
		b.home = append(b.home, p.extent(entry))
	}
	b.reach()
	if partial && !piece {
		p.budget -= len(b.seen.addrs)
	}
	f := &Func{Entry: entry, Partial: partial, Piece: partial && p.inPieces(entry), Blocks: b.makeBlocks()}
	for _, blk := range f.Blocks {
		b.terminate(blk)
	}
	f.Blocks = append(f.Blocks, b.exits...)
	slices.SortFunc(f.Blocks[1:], byAddress)
	for i, blk := range f.Blocks {
		blk.Index = i
	}
	b.placeLoads(f)
	return f
}

func (b *builder) reset(p *partition, entry uint64) {
	b.partition, b.entry = p, entry
	b.home, b.exits = b.home[:0], nil
	b.seen.clear()
	b.blocks.clear()
	b.foreign = nil
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
	if !b.blocks.has(addr) {
		b.blocks.set(addr, nil)
		b.work = append(b.work, addr)
	}
}

func (b *builder) reachFrom(a uint64) {
	for !b.seen.has(a) {
		f, next := b.at(a)
		if f == flowBad {
			return
		}
		b.seen.set(a, struct{}{})
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
		if f.endsBlock() || b.starts(next) || b.seen.has(next) || !b.decoded(next) || b.meets(next) && !b.stays(next) {
			b.reachTarget(next)
			return
		}
		a = next
	}
}

// starts reports whether the instruction at addr is the first of its block
// wherever control comes from.
func (b *builder) starts(addr uint64) bool {
	f, _ := b.at(addr)
	return f&repeats != 0
}

// meets reports whether control may come to addr from elsewhere than the
// instruction before it.
func (b *builder) meets(addr uint64) bool {
	return b.is(addr, isCut|isPartial|isTarget) || b.home.has(addr)
}

// reachTarget makes a block of where control goes, if that stays in the
// function. What does not decode gets an empty block that says so.
func (b *builder) reachTarget(to uint64) {
	switch {
	case b.isElsewhere(to):
	case !b.decoded(to) && !b.is(to, isCut):
		b.blocks.set(to, nil)
	case b.stays(to):
		b.lead(to)
	}
}

// isOther reports whether addr is a function's entry already, which another
// partial one like this asked for: thousands may jump to thousands.
func (b *builder) isOther(addr uint64) bool { return b.is(b.entry, isPartial) && b.is(addr, isPartial) }

// stays reports whether a transfer to addr stays in the function.
func (b *builder) stays(addr uint64) bool {
	switch {
	case addr == b.entry || b.home.has(addr) && !b.is(addr, isCut):
		return true
	case b.is(addr, isCut):
		return false
	}
	if s, ok := b.adopt(b.entry, addr); ok {
		b.home = append(b.home, s)
		return true
	}
	copied, known := b.foreign[addr]
	if !known {
		copied = !b.isOther(addr) && b.smallFrom(addr) || b.flagsLive(addr) || b.copyLong(addr)
		if b.foreign == nil {
			b.foreign = map[uint64]bool{}
		}
		b.foreign[addr] = copied
		if !copied {
			b.require(addr)
		}
	}
	return copied
}

// copyLong takes the tail at addr into the function if that needs it.
func (b *builder) copyLong(addr uint64) bool {
	if b.is(b.entry, isPartial) || !b.movesStack() {
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
	for _, a := range b.seen.addrs {
		in, err := b.inst(a)
		if err == nil && (in.Op == x86asm.PUSH || writes(&in).has(rsp)) {
			return true
		}
	}
	return false
}

func (b *builder) makeBlocks() []*Block {
	leaders := b.blocks.addrs
	list, all := make([]*Block, len(leaders)), make([]Block, len(leaders))
	for i, a := range leaders { // the first is the entry
		blk := &all[i]
		b.makeBlock(blk, a)
		b.blocks.set(a, blk)
		list[i] = blk
	}
	return list
}

// makeBlock goes from leader to the next leader or the block's end.
func (b *builder) makeBlock(blk *Block, leader uint64) {
	n, end := 0, leader
	for a := leader; ; {
		f, next := b.at(a)
		if f == flowBad {
			break
		}
		n++
		end = next
		if a = next; f.endsBlock() || !b.fallsThrough(f, next) || b.blocks.has(next) || !b.seen.has(next) {
			break
		}
	}
	blk.Addr, blk.End = leader, end
	if n > 0 {
		blk.Insts = b.straight(leader, n)
	}
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
	if blk, _ := b.blocks.get(to); blk != nil {
		return Term{Kind: within, Succs: []*Block{blk}}
	}
	return Term{Kind: out, Target: to}
}

func (b *builder) conditional(to, next uint64) Term {
	fall := b.blockAt(next)
	if blk, _ := b.blocks.get(to); blk != nil {
		return Term{Kind: CondJump, Succs: []*Block{blk, fall}}
	}
	return Term{Kind: CondTail, Succs: []*Block{fall}, Target: to}
}

// blockAt gives the block at addr; if the function has none, an empty one
// that leaves for addr.
func (b *builder) blockAt(addr uint64) *Block {
	if blk, _ := b.blocks.get(addr); blk != nil {
		return blk
	}
	blk := &Block{Addr: addr, End: addr, Term: b.goTo(Fallthrough, TailCall, addr)}
	b.exits = append(b.exits, blk)
	return blk
}
