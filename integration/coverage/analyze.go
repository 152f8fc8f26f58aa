package main

import (
	"cmp"
	"encoding/hex"
	"os"
	"slices"
	"time"

	"github.com/megabin/megabin/converter/disasm"
	"github.com/megabin/megabin/converter/elf"
	"github.com/megabin/megabin/converter/lift"
)

// result is what is reported of one file. Sizes are in bytes.
type result struct {
	Language string `json:"language,omitempty"`
	Package  string `json:"package,omitempty"`
	Path     string `json:"path"`
	Error    string `json:"error,omitempty"`

	Functions count  `json:"functions"`    // of .eh_frame
	Symbols   count  `json:"symbols"`      // function symbols of the file, or of its debug file
	Landing   count  `json:"landing_pads"` // entered by the unwinder
	Code      uint64 `json:"code_bytes"`   // in instructions that were found
	Missed    uint64 `json:"missed_bytes"` // of executable sections: neither instruction nor filler

	Instructions int            `json:"instructions"`
	Untranslated map[string]int `json:"untranslated,omitempty"` // by mnemonic or reason

	Switches int `json:"switches"`         // indirect jumps through tables
	Open     int `json:"unresolved_jumps"` // indirect jumps of which nothing is known
	Entries  int `json:"entries"`          // functions made, secondary entries too
	Partial  int `json:"secondary_entries"`
	Copied   int `json:"copied_instructions"` // in more than one function

	Misses []miss         `json:"misses,omitempty"` // at most maxMisses
	Causes map[string]int `json:"causes,omitempty"` // functions that are not whole, by cause

	Milliseconds int64 `json:"ms"`
}

// count is how many there are of something, how many of those were found, and
// how many are whole: every byte is a translated instruction or filler.
type count struct {
	Total int `json:"total"`
	Found int `json:"found"`
	Whole int `json:"whole"`
}

// miss is a function that is not whole, or code outside any.
type miss struct {
	Addr  uint64 `json:"addr"`
	Size  uint64 `json:"size"`
	Cause string `json:"cause"`
}

const maxMisses = 50

func buildID(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	f, err := elf.Parse(path, data)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(f.BuildID)
}

func analyze(f file) *result {
	r := &result{Language: f.language, Package: f.pkg, Path: f.inside, Untranslated: map[string]int{}, Causes: map[string]int{}}
	start := time.Now()
	if err := r.measure(f); err != nil {
		r.Error = err.Error()
	}
	r.Milliseconds = time.Since(start).Milliseconds()
	return r
}

func (r *result) measure(f file) error {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	ef, err := elf.Parse(f.path, data)
	if err != nil {
		return err
	}
	p, err := disasm.Analyze(ef)
	if err != nil {
		return err
	}
	s := newSurvey(p)
	r.Instructions, r.Code = p.Stats.Instructions, p.Stats.CodeBytes
	r.Switches, r.Open = p.Stats.Switches, len(p.Stats.Unresolved)
	r.Entries, r.Partial, r.Copied = len(p.Funcs), s.partial, s.instructions-p.Stats.Instructions
	for _, reason := range s.traps {
		r.Untranslated[reason]++
	}
	for _, m := range p.Missed() {
		r.Missed += m.End - m.Start
	}
	r.functions(s)
	r.symbols(s, f.debug)
	return nil
}

// survey is what was found in a program, by address.
type survey struct {
	prog         *disasm.Program
	blocks       map[uint64]bool   // starts of blocks
	entries      map[uint64]bool   // entries of functions
	traps        map[uint64]string // untranslated instructions → why
	trapAt       []uint64          // their addresses, ascending
	partial      int
	instructions int // with each copy
}

func newSurvey(p *disasm.Program) *survey {
	s := &survey{prog: p, blocks: map[uint64]bool{}, entries: map[uint64]bool{}, traps: lift.Untranslated(p)}
	for _, f := range p.Funcs {
		s.entries[f.Entry] = true
		if f.Partial {
			s.partial++
		}
		for _, b := range f.Blocks {
			s.blocks[b.Addr] = true
			s.instructions += len(b.Insts)
		}
	}
	for a := range s.traps {
		s.trapAt = append(s.trapAt, a)
	}
	slices.Sort(s.trapAt)
	return s
}

// functions compares with the unwind tables.
func (r *result) functions(s *survey) {
	for _, d := range s.prog.File.FDEs {
		r.add(&r.Functions, s, d.Start, d.End)
		for _, pad := range d.LandingPads {
			r.Landing.Total++
			if s.entries[pad] {
				r.Landing.Found++
				r.Landing.Whole++
			}
		}
	}
}

// symbols compares with function symbols that have a size.
func (r *result) symbols(s *survey, debug string) {
	symbols := s.prog.File.Symbols
	if debug != "" {
		if data, err := os.ReadFile(debug); err == nil {
			symbols = append(elf.FunctionSymbols(data), symbols...)
		}
	}
	slices.SortFunc(symbols, func(a, b elf.Symbol) int { return cmp.Compare(a.Addr, b.Addr) })
	last := uint64(0)
	for _, sym := range symbols {
		if sym.Size == 0 || sym.Addr == last || !s.prog.File.IsCode(sym.Addr) || !s.prog.File.IsCode(sym.Addr+sym.Size-1) {
			continue
		}
		last = sym.Addr
		var ignored result
		ignored.Causes = map[string]int{}
		ignored.add(&r.Symbols, s, sym.Addr, sym.Addr+sym.Size)
	}
}

// add counts the function from start to end.
func (r *result) add(c *count, s *survey, start, end uint64) {
	c.Total++
	if s.blocks[start] {
		c.Found++
	}
	cause := s.flaw(start, end)
	if cause == "" {
		c.Whole++
		return
	}
	r.Causes[cause]++
	if len(r.Misses) < maxMisses {
		r.Misses = append(r.Misses, miss{start, end - start, cause})
	}
}

// flaw says why the function is not whole, or is empty if it is.
func (s *survey) flaw(start, end uint64) string {
	if i, _ := slices.BinarySearch(s.trapAt, start); i < len(s.trapAt) && s.trapAt[i] < end {
		return "instruction " + s.traps[s.trapAt[i]]
	}
	missed, size := overlap(s.prog.Missed(), start, end)
	dropped, _ := overlap(s.prog.Dropped(), start, end)
	switch {
	case missed == 0:
		return ""
	case missed == size && size == end-start:
		return "not found"
	case missed == dropped:
		return "" // dead code
	}
	return "bytes not reached"
}

// overlap gives how many bytes of spans lie in start to end, and the size of
// the part that the first and last of them span.
func overlap(spans []disasm.Span, start, end uint64) (bytes, size uint64) {
	i, _ := slices.BinarySearchFunc(spans, start, func(m disasm.Span, a uint64) int { return cmp.Compare(m.End, a+1) })
	first := uint64(0)
	for ; i < len(spans) && spans[i].Start < end; i++ {
		from, to := max(spans[i].Start, start), min(spans[i].End, end)
		if bytes == 0 {
			first = from
		}
		bytes += to - from
		size = to - first
	}
	return bytes, size
}
