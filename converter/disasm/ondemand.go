package disasm

import (
	"fmt"

	"github.com/megabin/megabin/converter/elf"
)

// AnalyzeAt finds the code that starts at addr and what it reaches within
// one range of addresses; what it goes to elsewhere are other functions. It is for
// what Analyze missed, in a file where only that is left.
func AnalyzeAt(f *elf.File, addr uint64, within Span) (*Program, error) {
	d := newDiscovery(f, within)
	if !d.isCode(addr) {
		return nil, fmt.Errorf("%s: %w at %#x", f.Name, errNotCode, addr)
	}
	d.enter(addr, byExport)
	d.settle()
	d.sortLabels()
	p := &Program{File: f, Funcs: newPartition(d).functions()}
	d.describe(p)
	d.count(p)
	return p, nil
}

// isElsewhere reports whether addr is code of the file that is not looked at.
func (m *image) isElsewhere(addr uint64) bool { return m.file.IsCode(addr) && !m.isCode(addr) }
