package unit

import (
	"bytes"
	"fmt"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Decode reads what Encode wrote. The unit's bodies and sites alias data. Any
// input gives a valid unit or an error, and allocates a small multiple of its
// length.
func Decode(data []byte) (*Unit, error) {
	u, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := u.Validate(); err != nil {
		return nil, err
	}
	return u, u.checkIndexes()
}

func decode(data []byte) (*Unit, error) {
	sections, err := wasmenc.Sections(data)
	if err != nil {
		return nil, err
	}
	meta, sites, err := customSections(sections)
	if err != nil {
		return nil, err
	}
	u := &Unit{Sites: sites}
	r := wasmenc.NewReader(meta)
	if v := r.U(); r.Err() == nil {
		if err := abi.CheckVersion(v); err != nil {
			return nil, err
		}
	}
	if sites == nil {
		return nil, fmt.Errorf("no section %s", sitesSection)
	}
	if _, err := ParseSites(sites); err != nil {
		return nil, err
	}
	u.Meta.Read(r)
	u.readFuncTable(r)
	if r.Err() == nil && r.Len() > 0 {
		r.Fail("%d bytes after the function table", r.Len())
	}
	if r.Err() != nil {
		return nil, fmt.Errorf("section %s: %w", metaSection, r.Err())
	}
	return u, u.readBodies(data, sections)
}

// customSections finds the unit's own sections; others are ignored.
func customSections(sections []wasmenc.Section) (meta, sites []byte, err error) {
	for _, s := range sections {
		if s.ID != wasmenc.SectionCustom {
			continue
		}
		name, content, err := s.Custom()
		if err != nil {
			return nil, nil, fmt.Errorf("custom section at byte %d: %w", s.Offset, err)
		}
		switch name {
		case metaSection:
			meta = content
		case sitesSection:
			sites = content
		}
	}
	if meta == nil {
		return nil, nil, fmt.Errorf("no section %s", metaSection)
	}
	return meta, sites, nil
}

// Read reads what Append wrote; r.Err tells failure.
func (m *Meta) Read(r *wasmenc.Reader) {
	copy(m.Source[:], r.Bytes(uint64(len(m.Source))))
	m.SourceSize = r.U()
	m.Translator = string(r.Vector())
	m.Kind = Kind(r.Byte())
	m.Entry = r.U32()
	m.VMin = r.U()
	fixed := r.Byte()
	if m.Fixed = fixed == 1; fixed > 1 {
		r.Fail("%d for whether the code has a fixed address", fixed)
	}
	m.BuildID = bytes.Clone(r.Vector())
	m.Exec = make([]ExecSpan, r.Count(3))
	for i := range m.Exec {
		m.Exec[i] = ExecSpan{r.U32(), r.U(), r.U()}
	}
	m.Covered = make([]Span, r.Count(2))
	end := uint64(0)
	for i := range m.Covered {
		off := end + r.U()
		m.Covered[i] = Span{off, r.U()}
		end = off + m.Covered[i].Size
	}
	m.Coverage.read(r)
	if r.Err() == nil {
		if err := m.validate(); err != nil {
			r.Fail("%v", err)
		}
	}
}

func (c *Coverage) read(r *wasmenc.Reader) {
	c.Bytes = r.U()
	c.Functions = r.U()
	c.Instructions = r.U()
	c.Untranslated = r.U()
	c.Reasons = make([]Reason, r.Count(2))
	for i := range c.Reasons {
		c.Reasons[i] = Reason{string(r.Vector()), r.U()}
	}
}

func (u *Unit) readFuncTable(r *wasmenc.Reader) {
	u.Funcs = make([]Func, r.Count(3))
	entry := uint32(0)
	for i := range u.Funcs {
		f := &u.Funcs[i]
		entry += r.U32()
		f.Entry = entry
		f.Part = r.U32()
		f.Calls = make([]Call, r.Count(2))
		off := uint32(0)
		for j := range f.Calls {
			off += r.U32()
			f.Calls[j] = Call{off, r.U32()}
		}
	}
}

// readBodies checks the standard sections and takes the bodies from them.
func (u *Unit) readBodies(data []byte, sections []wasmenc.Section) error {
	want := AppendFunctions(AppendPrelude(nil, true), len(u.Funcs))
	if !bytes.HasPrefix(data, want) {
		return fmt.Errorf("types, imports or functions are not those of ABI version %d", abi.Version)
	}
	var code []wasmenc.Section
	for _, s := range sections[4:] {
		switch s.ID {
		case wasmenc.SectionCustom:
		case wasmenc.SectionCode:
			code = append(code, s)
		default:
			return fmt.Errorf("unexpected section %d at byte %d", s.ID, s.Offset)
		}
	}
	if len(code) != 1 {
		return fmt.Errorf("%d code sections", len(code))
	}
	r := wasmenc.NewReader(code[0].Content)
	if n := r.U(); r.Err() == nil && n != uint64(len(u.Funcs)) {
		return fmt.Errorf("%d bodies for %d functions", n, len(u.Funcs))
	}
	for i := range u.Funcs {
		u.Funcs[i].Body = r.Vector()
	}
	if r.Err() == nil && r.Len() > 0 {
		r.Fail("%d bytes after the last body", r.Len())
	}
	if r.Err() != nil {
		return fmt.Errorf("code section: %w", r.Err())
	}
	return nil
}

// checkIndexes compares the function index of each call with the call table.
func (u *Unit) checkIndexes() error {
	for i := range u.Funcs {
		for _, c := range u.Funcs[i].Calls {
			v, ok := wasmenc.Padded(u.Funcs[i].Body[c.Off:])
			if !ok || v != abi.NumImports+c.Target {
				return fmt.Errorf("%w: function %d: call at body offset %#x does not go to function %d", ErrInvalid, i, c.Off, c.Target)
			}
		}
	}
	return nil
}
