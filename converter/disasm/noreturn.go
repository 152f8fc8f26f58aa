package disasm

import (
	"golang.org/x/arch/x86/x86asm"

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
// be reached without passing a call that does not return.
type returns struct {
	*Program
	may     map[uint64]bool    // by entry
	known   map[uint64]bool    // entries of the program
	waiting map[uint64][]*Func // callee → functions that go on if it returns
}

// cutNoReturn ends blocks at calls that do not return, and drops what then
// cannot be reached.
func cutNoReturn(p *Program) {
	r := &returns{p, map[uint64]bool{}, map[uint64]bool{}, map[uint64][]*Func{}}
	for _, f := range p.Funcs {
		r.known[f.Entry] = true
	}
	r.solve()
	for _, f := range p.Funcs {
		r.prune(f)
	}
}

func (r *returns) solve() {
	work := append([]*Func(nil), r.Funcs...)
	for len(work) > 0 {
		f := work[len(work)-1]
		work = work[:len(work)-1]
		if !r.may[f.Entry] && r.mayReturn(f) {
			r.may[f.Entry] = true
			work = append(work, r.waiting[f.Entry]...)
			delete(r.waiting, f.Entry)
		}
	}
}

// mayReturn decides by what is known now; callees that would make a
// difference get f to wait for them.
func (r *returns) mayReturn(f *Func) bool {
	found := false
	r.visit(f, func(b *Block, stop int, callee uint64) bool {
		switch {
		case stop >= 0:
			r.waiting[callee] = append(r.waiting[callee], f)
		default:
			found = r.leaves(f, b)
		}
		return !found
	})
	return found
}

// leaves reports whether b ends in a way that may return to f's caller.
func (r *returns) leaves(f *Func, b *Block) bool {
	switch t := &b.Term; t.Kind {
	case Ret:
		return true
	case IndirectJump:
		return !noReturnImports[r.importOf(&b.Insts[len(b.Insts)-1])]
	case TailCall, CondTail:
		if r.known[t.Target] && !r.may[t.Target] {
			r.waiting[t.Target] = append(r.waiting[t.Target], f)
			return false
		}
		return true
	case Halt:
		return t.Err != ""
	}
	return false
}

// visit calls fn for each block that can be reached, with the index of the
// first call in it that does not return and its callee, or −1, until fn
// returns false.
func (r *returns) visit(f *Func, fn func(b *Block, stop int, callee uint64) bool) {
	seen := map[*Block]bool{f.Blocks[0]: true}
	work := []*Block{f.Blocks[0]}
	for len(work) > 0 {
		b := work[len(work)-1]
		work = work[:len(work)-1]
		stop, callee := r.stopIn(b)
		if !fn(b, stop, callee) {
			return
		}
		if stop >= 0 {
			continue
		}
		for _, s := range b.Term.Succs {
			if !seen[s] {
				seen[s] = true
				work = append(work, s)
			}
		}
	}
}

// stopIn finds the first call in b that, as far as is known, does not return.
func (r *returns) stopIn(b *Block) (index int, callee uint64) {
	for i := range b.Insts {
		in := &b.Insts[i]
		if in.Op != x86asm.CALL {
			continue
		}
		if rel, ok := in.Args[0].(x86asm.Rel); ok {
			to := in.Next() + uint64(int64(rel))
			if r.known[to] && !r.may[to] {
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

// prune applies what is known to f.
func (r *returns) prune(f *Func) {
	reached := map[*Block]bool{}
	r.visit(f, func(b *Block, stop int, _ uint64) bool {
		reached[b] = true
		if stop >= 0 {
			b.Insts = b.Insts[:stop+1]
			b.End = b.Insts[stop].Next()
			b.Term = Term{Kind: Halt}
		}
		return true
	})
	kept := f.Blocks[:0]
	for _, b := range f.Blocks {
		if reached[b] {
			kept = append(kept, b)
		}
	}
	clear(f.Blocks[len(kept):])
	f.Blocks = kept
}
