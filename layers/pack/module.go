package pack

import (
	"fmt"
	"sort"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// module wraps the functions of a part into the module that the engine
// compiles. Its bytes are a pure function of the part.
type module struct {
	ordinals []int // ascending
	bodies   [][]byte
	calls    [][]unit.Call
}

func newModule(capacity int) *module {
	return &module{ordinals: make([]int, 0, min(capacity, 1024))}
}

// add appends a function; ordinals ascend.
func (m *module) add(ordinal int, body []byte, calls []unit.Call) {
	m.ordinals = append(m.ordinals, ordinal)
	m.bodies = append(m.bodies, body)
	m.calls = append(m.calls, calls)
}

// index is the place of an ordinal in the module.
func (m *module) index(ordinal int) (int, bool) {
	i := sort.SearchInts(m.ordinals, ordinal)
	return i, i < len(m.ordinals) && m.ordinals[i] == ordinal
}

// encode returns the module with the given body of init.
func (m *module) encode(init []byte) ([]byte, error) {
	b := unit.AppendPrelude(make([]byte, 0, m.size()), false)
	b = unit.AppendFunctions(b, len(m.ordinals), abi.TypeInit)
	b = wasmenc.AppendSection(b, wasmenc.SectionGlobal, globalSection())
	b = wasmenc.AppendSection(b, wasmenc.SectionExport, m.exportSection())
	b = wasmenc.AppendSection(b, wasmenc.SectionElement, m.elementSection())
	return m.appendCode(b, init)
}

// size is an estimate from above for common parts.
func (m *module) size() int {
	n := 2048
	for _, body := range m.bodies {
		n += len(body) + 16
	}
	return n
}

// globalSection has lin and slots; init sets them.
func globalSection() []byte {
	b := []byte{2}
	for range 2 {
		b = append(b, byte(abi.I32), wasmenc.Mutable, wasmenc.OpI32Const, 0, wasmenc.OpEnd)
	}
	return b
}

func (m *module) exportSection() []byte {
	b := wasmenc.AppendName([]byte{1}, abi.InitName)
	return wasmenc.AppendU(append(b, wasmenc.KindFunc), uint64(abi.NumImports+len(m.ordinals)))
}

// run is a group of consecutive ordinals: an element segment.
type run struct{ index, ordinal, n int }

func (m *module) runs() []run {
	var list []run
	for i, ordinal := range m.ordinals {
		if last := len(list) - 1; last >= 0 && list[last].ordinal+list[last].n == ordinal {
			list[last].n++
		} else {
			list = append(list, run{i, ordinal, 1})
		}
	}
	return list
}

func (m *module) elementSection() []byte {
	const passive, elemkindFunc = 1, 0
	runs := m.runs()
	b := wasmenc.AppendU(nil, uint64(len(runs)))
	for _, r := range runs {
		b = wasmenc.AppendU(append(b, passive, elemkindFunc), uint64(r.n))
		for i := range r.n {
			b = wasmenc.AppendU(b, uint64(abi.NumImports+r.index+i))
		}
	}
	return b
}

func (m *module) appendCode(b, init []byte) ([]byte, error) {
	count := uint64(len(m.bodies) + 1)
	size := uint64(wasmenc.SizeU(count) + wasmenc.SizeU(uint64(len(init))) + len(init))
	for _, body := range m.bodies {
		size += uint64(wasmenc.SizeU(uint64(len(body))) + len(body))
	}
	b = wasmenc.AppendU(append(b, wasmenc.SectionCode), size)
	b = wasmenc.AppendU(b, count)
	for i, body := range m.bodies {
		b = wasmenc.AppendBytes(b, body)
		if err := m.patch(b[len(b)-len(body):], m.calls[i]); err != nil {
			return nil, fmt.Errorf("function %d: %w", m.ordinals[i], err)
		}
	}
	return wasmenc.AppendBytes(b, init), nil
}

// patch writes the module's function indexes into a body.
func (m *module) patch(body []byte, calls []unit.Call) error {
	for _, c := range calls {
		if int64(c.Off)+wasmenc.PaddedLen > int64(len(body)) {
			return fmt.Errorf("call at body offset %#x of %#x", c.Off, len(body))
		}
		i, ok := m.index(int(c.Target))
		if !ok {
			return fmt.Errorf("call at body offset %#x: function %d is not in the part", c.Off, c.Target)
		}
		wasmenc.PutPadded(body[c.Off:], uint32(abi.NumImports+i))
	}
	return nil
}

// setGlobals is the start of init's body: it sets lin and slots.
func setGlobals() []byte {
	b := []byte{0} // no locals
	b = append(b, wasmenc.OpLocalGet, 0, wasmenc.OpGlobalSet)
	b = wasmenc.AppendU(b, uint64(abi.GlobalLin))
	b = append(b, wasmenc.OpLocalGet, 1, wasmenc.OpGlobalSet)
	return wasmenc.AppendU(b, uint64(abi.GlobalSlots))
}

// initBody sets the globals and writes the functions to the table.
func (m *module) initBody() []byte {
	b := setGlobals()
	for seg, r := range m.runs() {
		b = append(b, wasmenc.OpLocalGet, 1, wasmenc.OpI32Const)
		b = wasmenc.AppendS(b, int64(r.ordinal))
		b = append(b, wasmenc.OpI32Add, wasmenc.OpI32Const, 0, wasmenc.OpI32Const)
		b = wasmenc.AppendS(b, int64(r.n))
		b = append(b, wasmenc.OpPrefixFC, wasmenc.FCTableInit)
		b = append(wasmenc.AppendU(b, uint64(seg)), 0)
	}
	return append(b, wasmenc.OpEnd)
}

// resumeModule wraps the body of a resume function like a part. Its init
// writes the function to the slot in the target register.
func resumeModule(body []byte) []byte {
	m := newModule(1)
	m.add(0, body, nil)
	init := wasmenc.AppendU(append(setGlobals(), wasmenc.OpGlobalGet), uint64(abi.Target))
	init = append(init, wasmenc.OpI32Const, 0, wasmenc.OpI32Const, 1, wasmenc.OpPrefixFC, wasmenc.FCTableInit, 0, 0, wasmenc.OpEnd)
	b, err := m.encode(init)
	if err != nil {
		panic("BUG: pack: " + err.Error()) // there are no calls to patch
	}
	return b
}
