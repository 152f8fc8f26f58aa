package elf

import (
	"debug/elf"
	"slices"
)

// DWARF pointer encodings (LSB 5.0, 10.5.1).
const (
	peAbsPtr  = 0x00
	peULEB    = 0x01
	peUData2  = 0x02
	peUData4  = 0x03
	peUData8  = 0x04
	peSLEB    = 0x09
	peSData2  = 0x0a
	peSData4  = 0x0b
	peSData8  = 0x0c
	pePCRel   = 0x10
	peDataRel = 0x30
	peOmit    = 0xff
)

// Call frame instructions that can stand before the first advance and tell
// the CFA's offset from rsp (DWARF 5, 7.24).
const (
	cfaNop          = 0x00
	cfaDefCFA       = 0x0c
	cfaDefCFAReg    = 0x0d
	cfaDefCFAOffset = 0x0e
	cfaOffset       = 0x80 // two high bits; the register is below
	dwarfRSP        = 7
)

// readUnwind reads .eh_frame, found as the unwinder finds it, else by its
// section.
func (f *File) readUnwind(ef *elf.File) {
	addr := uint64(0)
	if p := progOf(ef, elf.PT_GNU_EH_FRAME); p != nil {
		r := reader{f: f, at: p.Vaddr, b: f.Bytes(p.Vaddr)}
		version, enc := r.u8(), byte(0)
		enc = r.u8()
		r.skip(2)
		if version == 1 {
			addr = r.pointer(enc, p.Vaddr)
		}
	}
	size := uint64(len(f.Bytes(addr)))
	for _, s := range f.Sections {
		if s.Name == ".eh_frame" && (addr == 0 || addr == s.Addr) {
			addr, size = s.Addr, s.Size
		}
	}
	if b := f.Bytes(addr); uint64(len(b)) >= size {
		f.readFrames(reader{f: f, at: addr, b: b[:size]})
	}
}

// cie is what FDEs share.
type cie struct {
	ok        bool
	fdeEnc    byte
	lsdaEnc   byte
	augmented bool
	signal    bool // signal frames
	codeAlign uint64
	initial   cfa
}

// cfa is the CFA rule while interpreting call frame instructions.
type cfa struct {
	reg    uint64
	offset int64
}

func (c cfa) rspOffset() int64 {
	if c.reg != dwarfRSP {
		return 0
	}
	return c.offset
}

// readFrames walks the records of .eh_frame: length, CIE pointer, body.
func (f *File) readFrames(r reader) {
	cies := map[uint64]cie{}
	base := r
	for len(r.b) >= 4 {
		start := r.at
		n := uint64(r.u32())
		if n == 0 || n >= 0xfffffff0 || n > uint64(len(r.b)) {
			return // the terminator, or 64-bit DWARF, which nothing emits
		}
		body := r.take(n)
		idAt := body.at
		id := uint64(body.u32())
		if id == 0 {
			continue // CIEs are parsed when first referred to
		}
		c, known := cies[idAt-id]
		if !known {
			c = parseCIE(base, idAt-id)
			cies[idAt-id] = c
		}
		if c.ok && start != idAt-id {
			f.readFDE(body, &c)
		}
	}
}

// parseCIE reads the CIE whose record starts at vaddr at.
func parseCIE(frames reader, at uint64) (c cie) {
	if at < frames.at || at-frames.at > uint64(len(frames.b)) {
		return c
	}
	frames.skip(at - frames.at)
	r := frames.take(uint64(frames.u32()))
	id, version := r.u32(), r.u8()
	aug := r.cstring()
	c.codeAlign = r.uleb()
	r.sleb() // data alignment
	if version == 1 {
		r.u8() // return address register
	} else {
		r.uleb()
	}
	c.fdeEnc, c.lsdaEnc = peAbsPtr, peOmit
	if aug != "" && !c.augmentation(aug, &r) {
		return c
	}
	c.initial, _ = runCFA(r, cfa{})
	c.ok = id == 0 && (version == 1 || version == 3) && !r.short
	return c
}

func (c *cie) augmentation(aug string, r *reader) bool {
	if aug[0] != 'z' {
		return false
	}
	c.augmented = true
	data := r.take(r.uleb())
	for _, ch := range aug[1:] {
		switch ch {
		case 'R':
			c.fdeEnc = data.u8()
		case 'L':
			c.lsdaEnc = data.u8()
		case 'P':
			data.pointer(data.u8(), 0)
		case 'S':
			c.signal = true
		case 'B':
		default:
			return true // the rest of the data is unknown, but skipped
		}
	}
	return true
}

func (f *File) readFDE(r reader, c *cie) {
	start := r.pointer(c.fdeEnc, 0)
	size := r.pointer(c.fdeEnc&0x0f, 0)
	if r.short || size == 0 || start+size < start {
		return
	}
	d := FDE{Start: start, End: start + size}
	if c.signal && size > 1 {
		// The FDE of a signal trampoline has the byte before its code too, for
		// unwinders look the return address up less one.
		d.Start++
	}
	if c.augmented {
		data := r.take(r.uleb())
		if c.lsdaEnc != peOmit {
			if lsda := data.pointer(c.lsdaEnc, 0); lsda != 0 && !data.short {
				d.LandingPads = f.landingPads(lsda, &d)
			}
		}
	}
	at, _ := runCFA(r, c.initial)
	d.CFAOffset = at.rspOffset()
	f.FDEs = append(f.FDEs, d)
}

// runCFA interprets call frame instructions up to the first that advances
// the location or is not about the CFA's offset.
func runCFA(r reader, c cfa) (cfa, bool) {
	for len(r.b) > 0 {
		op := r.u8()
		switch {
		case op == cfaNop:
		case op == cfaDefCFA:
			c.reg = r.uleb()
			c.offset = int64(r.uleb())
		case op == cfaDefCFAReg:
			c.reg = r.uleb()
		case op == cfaDefCFAOffset:
			c.offset = int64(r.uleb())
		case op&0xc0 == cfaOffset:
			r.uleb()
		default:
			return c, false
		}
	}
	return c, true
}

// landingPads reads the call site table of a function's LSDA.
func (f *File) landingPads(lsda uint64, d *FDE) []uint64 {
	r := reader{f: f, at: lsda, b: f.Bytes(lsda)}
	base := d.Start
	if enc := r.u8(); enc != peOmit {
		base = r.pointer(enc, 0)
	}
	if enc := r.u8(); enc != peOmit {
		r.uleb() // type table offset
	}
	enc := r.u8()
	sites := r.take(r.uleb())
	if r.short || enc == peOmit {
		return nil
	}
	var pads []uint64
	for len(sites.b) > 0 && !sites.short {
		sites.pointer(enc&0x0f, 0) // start
		sites.pointer(enc&0x0f, 0) // length
		pad := sites.pointer(enc&0x0f, 0)
		sites.uleb() // action
		if pad != 0 && !sites.short && f.IsCode(base+pad) {
			pads = append(pads, base+pad)
		}
	}
	slices.Sort(pads)
	return slices.Compact(pads)
}
