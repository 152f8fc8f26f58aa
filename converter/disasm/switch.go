package disasm

import (
	"slices"

	"github.com/megabin/megabin/converter/x86"
)

// indirect is the end of a block with the indirect jump at addr.
func (b *builder) indirect(addr uint64) Term {
	term := Term{Kind: IndirectJump}
	for _, a := range b.indirectTargets(addr) {
		if blk, _ := b.blocks.get(a); blk != nil {
			term.Succs = append(term.Succs, blk)
		}
	}
	t := b.tables[addr]
	if t == nil || !t.fixed || len(term.Succs) == 0 {
		return term
	}
	term.Kind = SwitchJump
	term.Switch = &Switch{Index: t.index, Bounded: t.bounded, Targets: make([]*Block, len(t.targets))}
	for i, a := range t.targets {
		term.Switch.Targets[i], _ = b.blocks.get(a)
	}
	return term
}

// placeLoads finds the table load of each switch. A switch whose load need
// not have run (the function's entry lies between it and the jump) becomes an
// indirect jump.
func (b *builder) placeLoads(f *Func) {
	var preds map[*Block][]*Block
	for _, blk := range f.Blocks {
		if blk.Term.Kind != SwitchJump {
			continue
		}
		load := b.tables[blk.Insts[len(blk.Insts)-1].Addr].loadAddr
		for at := blk; ; at = preds[at][0] {
			if i := indexOf(at, load); i >= 0 {
				blk.Term.Switch.LoadBlock, blk.Term.Switch.Load = at, i
				break
			}
			if preds == nil {
				preds = predecessorsOf(f)
			}
			if at == f.Blocks[0] || len(preds[at]) != 1 || preds[at][0] == blk {
				blk.Term.Kind, blk.Term.Switch = IndirectJump, nil
				break
			}
		}
	}
}

// indexOf gives the index of the instruction at addr in blk, or -1.
func indexOf(blk *Block, addr uint64) int {
	if addr < blk.Addr || addr >= blk.End {
		return -1
	}
	return slices.IndexFunc(blk.Insts, func(in x86.Inst) bool { return in.Addr == addr })
}

func predecessorsOf(f *Func) map[*Block][]*Block {
	preds := map[*Block][]*Block{}
	for _, blk := range f.Blocks {
		for _, s := range blk.Term.Succs {
			preds[s] = append(preds[s], blk)
		}
	}
	return preds
}
