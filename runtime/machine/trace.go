package machine

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/wasmenc"
)

// wazero tells where code was when it trapped only in the text of its error,
// a line per active function: module name, function index, signature. So each
// part has a module name from which the guest's functions are found again.

// entries is implemented by units that know where their functions begin.
type entries interface {
	// Entry is the unit offset of a function's first instruction.
	Entry(ordinal int) uint32
}

// partName is the module name of a piece.
func partName(id [32]byte, n piece) string { return fmt.Sprintf("%x/%d", id[:4], n) }

// withName appends a name section (wasm core spec 7.4.1) with a module name.
func withName(wasm []byte, name string) []byte {
	const moduleNames = 0
	content := wasmenc.AppendName(nil, name)
	return wasmenc.AppendCustom(wasm, "name", wasmenc.AppendBytes([]byte{moduleNames}, content))
}

// frame matches a line of wazero's stack trace.
var frame = regexp.MustCompile(`^([0-9a-f]{8}/(?:-?\d+|linked))\.\$(\d+)\(`)

// backtrace returns the guest addresses of the functions that a trap's error
// names, innermost first; wazero leaves out those beyond some thirty.
func (c *CPU) backtrace(err error) (trace []uint64) {
	for line := range strings.Lines(err.Error()) {
		m := frame.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		index, _ := strconv.Atoi(m[2])
		if addr, ok := c.functionAddr(m[1], index); ok {
			trace = append(trace, addr)
		}
	}
	return trace
}

// functionAddr is the guest address of a function of a module with loaded parts. Of a unit
// that is mapped twice it may be the other one's.
func (c *CPU) functionAddr(module string, index int) (uint64, bool) {
	for _, p := range c.parts {
		u, ok := p.unit.(entries)
		if !ok || p.part.name != module {
			continue
		}
		if ordinal, ok := p.part.ordinal(index); ok && ordinal < p.unit.Functions() {
			return p.base + uint64(u.Entry(ordinal)), true
		}
	}
	return 0, false
}

// ordinal is that of a function of the part's module. Pieces that are linked call each other without being loaded.
func (p *part) ordinal(index int) (int, bool) {
	if i := index - int(p.first); i >= 0 && i < len(p.ordinals) {
		return p.ordinals[i], true
	}
	if p.linked == nil || index < abi.NumImports {
		return 0, false
	}
	ordinal, ok := p.linked.file.Index(index - abi.NumImports)
	return int(ordinal), ok
}
