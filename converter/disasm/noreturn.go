package disasm

import (
	"cmp"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/x86"
)

// noReturnImports are functions of other files that do not return: C
// standard library, GCC's runtime, libstdc++.
var noReturnImports = map[string]bool{
	"abort": true, "exit": true, "_exit": true, "_Exit": true, "quick_exit": true,
	"__assert_fail": true, "__assert_perror_fail": true, "__stack_chk_fail": true, "__chk_fail": true, "__fortify_fail": true,
	"longjmp": true, "_longjmp": true, "siglongjmp": true, "__longjmp_chk": true, "pthread_exit": true,
	"__libc_start_main": true, "_Unwind_Resume": true,
	"__cxa_throw": true, "__cxa_rethrow": true, "__cxa_bad_cast": true, "__cxa_bad_typeid": true, "__cxa_pure_virtual": true,
	"__cxa_throw_bad_array_new_length": true, "_ZSt9terminatev": true, "_ZSt17__throw_bad_allocv": true,
	"_ZSt20__throw_length_errorPKc": true, "_ZSt19__throw_logic_errorPKc": true, "_ZSt24__throw_out_of_range_fmtPKcz": true,
}

// returns finds the functions that may return, as the least set: one does if
// a ret, a jump to who knows where or a tail call to one that may return can
// be reached without passing a call that does not return. Each block is
// scanned once: what waits for a callee goes on where it stopped.
type returns struct {
	*Program
	funcs   addrMap[*Func] // by entry
	work    []place
	waiting map[uint64][]place // callee → what goes on if it returns
}

// place is an instruction of a function; past the end of a block it stands
// for the return after a tail call.
type place struct {
	f     *Func
	block *Block
	index int
}

// cutNoReturn ends blocks at calls that do not return, and drops what then
// cannot be reached.
func cutNoReturn(p *Program, within ranges) {
	cutByDepth(p)
	r := &returns{
		Program: p,
		waiting: map[uint64][]place{},
	}
	r.funcs.clear()
	for _, f := range p.Funcs {
		r.funcs.set(f.Entry, f)
		r.reach(f, f.Blocks[0])
	}
	r.awaitPartials(within)
	r.resumeGrown()
	for len(r.work) > 0 {
		pl := r.work[len(r.work)-1]
		r.work = r.work[:len(r.work)-1]
		r.scan(pl)
	}
	for _, f := range p.Funcs {
		r.prune(f)
	}
}

// awaitPartials makes functions return if a secondary entry in one of their
// ranges does: a landing pad may lead to the only return.
func (r *returns) awaitPartials(within ranges) {
	partials := map[int][]uint64{}
	for _, f := range r.Funcs {
		if i := within.index(f.Entry); f.Partial && i >= 0 {
			partials[i] = append(partials[i], f.Entry)
		}
	}
	if len(partials) == 0 {
		return
	}
	for _, f := range r.Funcs {
		done := map[int]bool{}
		for _, b := range f.Blocks {
			i := within.index(b.Addr)
			if done[i] {
				continue
			}
			done[i] = true
			for _, entry := range partials[i] {
				r.waiting[entry] = append(r.waiting[entry], place{f, b, len(b.Insts) + 1})
			}
		}
	}
}

// cutByDepth ends blocks of Go's functions where code for another depth of the
// stack follows: the call at their end does not return, or there would be code that corrects it.
func cutByDepth(p *Program) {
	table := p.File.GoFuncs
	for _, f := range p.Funcs {
		i, found := slices.BinarySearchFunc(table, f.Entry, func(g elf.GoFunc, a uint64) int { return cmp.Compare(g.Start, a) })
		if !found {
			continue
		}
		for _, b := range f.Blocks {
			if b.Term.Kind == Fallthrough && !sameDepth(&table[i], b) {
				b.Term = Term{Kind: Halt}
			}
		}
	}
}

// sameDepth reports whether what b falls into expects what its last instruction, a
// call or the nop after one, leaves.
func sameDepth(g *elf.GoFunc, b *Block) bool {
	n := len(b.Insts)
	if n == 0 || b.Insts[n-1].Op != x86asm.CALL && b.Insts[n-1].Op != x86asm.NOP {
		return true
	}
	before, ok := g.Depth(b.Insts[n-1].Addr)
	after, ok2 := g.Depth(b.Term.Succs[0].Addr)
	return !ok || !ok2 || before == after
}

// resumeGrown makes functions return that are called in front of a jump back to
// their caller's start: Go's functions ask so for a larger stack, from one that
// goes back by a switch to the new one.
func (r *returns) resumeGrown() {
	if len(r.File.GoFuncs) == 0 {
		return
	}
	for _, f := range r.Funcs {
		for _, b := range f.Blocks {
			if b.Term.Kind != Jump || b.Term.Succs[0] != f.Blocks[0] {
				continue
			}
			for i := range b.Insts {
				if to, ok := directCall(&b.Insts[i]); ok {
					if callee, known := r.funcs.get(to); known {
						r.setReturns(callee)
					}
				}
			}
		}
	}
}

// directCall gives where in calls, if it is a direct call.
func directCall(in *x86.Inst) (to uint64, ok bool) {
	rel, ok := in.Args[0].(x86asm.Rel)
	if !ok || in.Op != x86asm.CALL {
		return 0, false
	}
	return in.Next() + uint64(int64(rel)), true
}

func (r *returns) reach(f *Func, b *Block) {
	if !b.reached {
		b.reached = true
		r.work = append(r.work, place{f, b, 0})
	}
}

// scan goes on from pl to the end of the block or the next call that, as far
// as is known, does not return.
func (r *returns) scan(pl place) {
	if pl.index > len(pl.block.Insts) {
		r.setReturns(pl.f)
		return
	}
	if i, callee := r.stopIn(pl.block, pl.index); i >= 0 {
		r.waiting[callee] = append(r.waiting[callee], place{pl.f, pl.block, i + 1})
		return
	}
	for _, s := range pl.block.Term.Succs {
		r.reach(pl.f, s)
	}
	r.leave(pl.f, pl.block)
}

// leave looks whether b ends in a way that may return to f's caller.
func (r *returns) leave(f *Func, b *Block) {
	switch t := &b.Term; t.Kind {
	case Ret:
		r.setReturns(f)
	case IndirectJump:
		if !noReturnImports[r.importOf(&b.Insts[len(b.Insts)-1])] {
			r.setReturns(f)
		}
	case TailCall, CondTail:
		if r.isFinal(t.Target) {
			r.waiting[t.Target] = append(r.waiting[t.Target], place{f, b, len(b.Insts) + 1})
		} else {
			r.setReturns(f)
		}
	case Halt:
		if t.Err != "" {
			r.setReturns(f)
		}
	}
}

func (r *returns) setReturns(f *Func) {
	if !f.returns {
		f.returns = true
		r.work = append(r.work, r.waiting[f.Entry]...)
		delete(r.waiting, f.Entry)
	}
}

// isFinal reports whether the function at entry is not known to return.
func (r *returns) isFinal(entry uint64) bool {
	f, known := r.funcs.get(entry)
	return known && !f.returns
}

// stopIn finds the first call in b, from index start on, that as far as is
// known does not return; −1 if there is none.
func (r *returns) stopIn(b *Block, start int) (index int, callee uint64) {
	for i := start; i < len(b.Insts); i++ {
		in := &b.Insts[i]
		if in.Op != x86asm.CALL {
			continue
		}
		if to, ok := directCall(in); ok {
			if r.isFinal(to) {
				return i, to
			}
		} else if noReturnImports[r.importOf(in)] {
			return i, 0
		}
	}
	return -1, 0
}

// importOf gives the imported symbol whose GOT slot the jump or call reads.
func (r *returns) importOf(in *x86.Inst) string {
	m, ok := in.Args[0].(x86asm.Mem)
	if !ok || m.Base != x86asm.RIP {
		return ""
	}
	return r.File.Imports[in.Next()+uint64(m.Disp)]
}

// prune drops what was not reached, and ends blocks where scanning stopped.
func (r *returns) prune(f *Func) {
	kept := f.Blocks[:0]
	for _, b := range f.Blocks {
		if !b.reached {
			continue
		}
		b.Index = len(kept)
		kept = append(kept, b)
		if i, _ := r.stopIn(b, 0); i >= 0 {
			b.Insts = b.Insts[:i+1]
			b.End = b.Insts[i].Next()
			b.Term = Term{Kind: Halt}
		}
	}
	clear(f.Blocks[len(kept):])
	f.Blocks = kept
}
