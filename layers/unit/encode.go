package unit

import (
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Encode returns the unit as a WebAssembly module, a pure function of u. It
// does not change the bodies of u. Precondition: u.Validate() is nil.
func (u *Unit) Encode() []byte {
	b := AppendPrelude(make([]byte, 0, u.encodedSize()), true)
	b = AppendFunctions(b, len(u.Funcs))
	b = u.appendCode(b)
	b = wasmenc.AppendCustom(b, metaSection, u.appendFuncTable(u.Meta.Append(wasmenc.AppendU(nil, abi.Version))))
	return wasmenc.AppendCustom(b, sitesSection, u.Sites)
}

// encodedSize is an estimate from above for common units.
func (u *Unit) encodedSize() int {
	n := 4096 + len(u.Sites) + 16*len(u.Covered)
	for i := range u.Funcs {
		n += len(u.Funcs[i].Body) + 16 + 5*len(u.Funcs[i].Calls)
	}
	return n
}

func (u *Unit) appendCode(b []byte) []byte {
	size := wasmenc.SizeU(uint64(len(u.Funcs)))
	for i := range u.Funcs {
		n := len(u.Funcs[i].Body)
		size += wasmenc.SizeU(uint64(n)) + n
	}
	b = wasmenc.AppendU(append(b, wasmenc.SectionCode), uint64(size))
	b = wasmenc.AppendU(b, uint64(len(u.Funcs)))
	for i := range u.Funcs {
		f := &u.Funcs[i]
		b = wasmenc.AppendBytes(b, f.Body)
		body := b[len(b)-len(f.Body):]
		for _, c := range f.Calls {
			wasmenc.PutPadded(body[c.Off:], abi.NumImports+c.Target)
		}
	}
	return b
}

// Append appends the metadata in the form shared by units and megabinaries.
func (m *Meta) Append(b []byte) []byte {
	b = append(b, m.Source[:]...)
	b = wasmenc.AppendU(b, m.SourceSize)
	b = wasmenc.AppendName(b, m.Translator)
	b = append(b, byte(m.Kind))
	b = wasmenc.AppendU(b, uint64(m.Entry))
	b = wasmenc.AppendU(b, m.VMin)
	fixed := byte(0)
	if m.Fixed {
		fixed = 1
	}
	b = append(b, fixed)
	b = wasmenc.AppendBytes(b, m.BuildID)
	b = wasmenc.AppendU(b, uint64(len(m.Exec)))
	for _, e := range m.Exec {
		b = wasmenc.AppendU(b, uint64(e.Off))
		b = wasmenc.AppendU(b, e.FileOff)
		b = wasmenc.AppendU(b, e.Size)
	}
	b = wasmenc.AppendU(b, uint64(len(m.Covered)))
	end := uint64(0)
	for _, s := range m.Covered {
		b = wasmenc.AppendU(b, s.Off-end)
		b = wasmenc.AppendU(b, s.Size)
		end = s.Off + s.Size
	}
	return m.Coverage.append(b)
}

func (c *Coverage) append(b []byte) []byte {
	b = wasmenc.AppendU(b, c.Bytes)
	b = wasmenc.AppendU(b, c.Functions)
	b = wasmenc.AppendU(b, c.Instructions)
	b = wasmenc.AppendU(b, c.Untranslated)
	b = wasmenc.AppendU(b, uint64(len(c.Reasons)))
	for _, r := range c.Reasons {
		b = wasmenc.AppendName(b, r.Name)
		b = wasmenc.AppendU(b, r.Count)
	}
	return b
}

func (u *Unit) appendFuncTable(b []byte) []byte {
	b = wasmenc.AppendU(b, uint64(len(u.Funcs)))
	entry := uint32(0)
	for i := range u.Funcs {
		f := &u.Funcs[i]
		b = wasmenc.AppendU(b, uint64(f.Entry-entry))
		b = wasmenc.AppendU(b, uint64(f.Part))
		b = wasmenc.AppendU(b, uint64(len(f.Calls)))
		entry = f.Entry
		off := uint32(0)
		for _, c := range f.Calls {
			b = wasmenc.AppendU(b, uint64(c.Off-off))
			b = wasmenc.AppendU(b, uint64(c.Target))
			off = c.Off
		}
	}
	return b
}
