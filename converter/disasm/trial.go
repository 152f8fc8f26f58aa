package disasm

import (
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"github.com/megabin/megabin/converter/x86"
)

// trialLimit bounds the instructions of one trial. A function that is still
// sane after so many is taken for code.
const trialLimit = 2000

// trial decodes from addr without recording anything and reports whether it
// looks like a function: every path decodes to instructions that compilers
// emit, in step with known code, and ends in a jump or a return. Constants
// between functions must fail: the carrier zeroes what is taken for code.
func (d *discovery) trial(addr uint64) bool { return d.try(addr, false) }

// try is trial; lonely means that nothing refers to addr.
func (d *discovery) try(addr uint64, lonely bool) bool {
	seen := &d.visited
	seen.clear()
	work := []uint64{addr}
	for len(work) > 0 && len(seen.addrs) < trialLimit {
		a := work[len(work)-1]
		work = work[:len(work)-1]
		for !seen.has(a) && !d.decoded(a) {
			in, ok := d.trialInst(a)
			if !ok {
				return false
			}
			seen.set(a, struct{}{})
			f := flowOf(&in)
			if to, ok := in.Args[0].(x86asm.Rel); ok {
				t := in.Next() + uint64(int64(to))
				if !d.mayBeCode(t) {
					return false
				}
				if f&flowKind != flowCall {
					work = append(work, t)
				}
			}
			a = in.Next()
			if !d.fallsThrough(f, a) {
				break
			}
			if lonely && d.evidence(a)&byPointer != 0 {
				return false // a table in front of its function, as GHC has them
			}
		}
	}
	return !d.isRead(seen.addrs)
}

// isRead reports whether some instruction reads one of these as data.
func (d *discovery) isRead(addrs []uint64) bool {
	return slices.ContainsFunc(addrs, func(a uint64) bool { return d.reads[a] })
}

func (d *discovery) trialInst(addr uint64) (x86.Inst, bool) {
	if d.trials <= 0 || !d.mayBeCode(addr) {
		return x86.Inst{}, false
	}
	d.trials--
	in, err := d.inst(addr)
	if err != nil || !plausible(&in) {
		return in, false
	}
	r, off := d.region(addr)
	for i := range uint64(in.Len) {
		if r.cover[off+i] {
			return in, false // out of step with known code
		}
	}
	return in, true
}

// mayBeCode: in an executable section if there are section headers, and not
// within a known instruction.
func (d *discovery) mayBeCode(addr uint64) bool {
	return d.isCode(addr) && !d.insideInst(addr) && d.inCodeSection(addr)
}

func (d *discovery) inCodeSection(addr uint64) bool {
	s := d.file.Section(addr)
	return len(d.file.Sections) == 0 || s != nil && s.Executable
}

// implausible Ops are valid but not in compiled code.
var implausible = []x86asm.Op{
	x86asm.IN, x86asm.OUT, x86asm.INSB, x86asm.INSW, x86asm.INSD, x86asm.OUTSB, x86asm.OUTSW, x86asm.OUTSD,
	x86asm.IRET, x86asm.IRETD, x86asm.IRETQ, x86asm.LRET, x86asm.LCALL, x86asm.LJMP, x86asm.ENTER, x86asm.CLI, x86asm.STI,
	x86asm.XLATB, x86asm.FBLD, x86asm.FBSTP, x86asm.FISTTP, x86asm.LAR, x86asm.LSL, x86asm.SLDT, x86asm.SGDT, x86asm.ICEBP,
	x86asm.SYSRET, x86asm.SYSEXIT, x86asm.SYSENTER, x86asm.WRMSR, x86asm.RDMSR, x86asm.INVD, x86asm.LOOPE, x86asm.LOOPNE,
	x86asm.CMC, x86asm.FICOM, x86asm.FICOMP, x86asm.FISUBR, x86asm.FIDIVR,
}

func plausible(in *x86.Inst) bool {
	if in.Op == x86asm.ADD && in.Opcode>>16 == 0 {
		return false // 00 00: zeros
	}
	for _, p := range in.Prefix {
		if p&x86asm.PrefixInvalid != 0 {
			return false
		}
	}
	return !slices.Contains(implausible, in.Op)
}

// scanGaps looks for functions that nothing mentions, in the executable bytes
// that are not yet known.
func (d *discovery) scanGaps() {
	for i := range d.regions {
		r := &d.regions[i]
		for off := 0; off < len(r.code); {
			if r.cover[off] {
				off++
				continue
			}
			if n := d.padding(r, off); n > 0 {
				off += n
				continue
			}
			off = d.tryGap(r, off)
		}
	}
}

// tryGap tries the first byte of a gap and then each 16-byte boundary, where
// functions are aligned. It returns where to go on.
func (d *discovery) tryGap(r *region, off int) int {
	addr := r.base + uint64(off)
	if d.try(addr, true) {
		if d.isLabel(addr) {
			d.labels = append(d.labels, addr)
			d.queue = append(d.queue, addr)
		} else {
			d.enter(addr, byGap)
		}
		d.settle()
		d.followTaken()
		return off
	}
	next := off + 16 - int(addr%16)
	for off++; off < min(next, len(r.code)) && !r.cover[off]; off++ {
	}
	return off
}

// padding is the length of the filler at off: int3, zeros, a nop, or the ud2
// behind a call that does not return.
func (d *discovery) padding(r *region, off int) int {
	n := d.filler(r, off)
	if n > 1 && r.cover[min(off+n, len(r.code))-1] {
		return 0
	}
	return n
}

// filler is padding, whether or not the bytes were taken for code.
func (d *discovery) filler(r *region, off int) int {
	switch r.code[off] {
	case opInt3, 0x00, 0x90:
		return 1
	}
	in, err := d.decoder.Decode(r.code[off:], r.base+uint64(off))
	if err == nil && (in.Op == x86asm.NOP || in.Op == x86asm.UD2 || isLeaNop(&in)) {
		return in.Len
	}
	return 0
}

// isLeaNop: lea r,[r+0], and mov r,r, which old assemblers pad with.
func isLeaNop(in *x86.Inst) bool {
	if m, ok := in.Args[1].(x86asm.Mem); ok && in.Op == x86asm.LEA {
		return x86asm.Arg(m.Base) == in.Args[0] && m.Disp == 0 && m.Index == 0
	}
	return in.Op == x86asm.XCHG && in.Args[0] == in.Args[1]
}
