package pack

import (
	"fmt"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// writeBodies is the second pass: everything up to the end of the code
// section.
func (g *generator) writeBodies() error {
	if err := g.write(g.codeStart()); err != nil {
		return err
	}
	done := 0
	for _, s := range g.units {
		u, err := s.reload()
		if err != nil {
			return err
		}
		for _, ordinal := range s.order {
			if g.indexOf(s, ordinal) != uint32(done) {
				continue // folded into an earlier one
			}
			if err := g.writeBody(s, &u.Funcs[ordinal], g.bodyOff[done]); err != nil {
				return err
			}
			done++
		}
	}
	return nil
}

// indexOf is the megabinary's index, less the imports, of a unit's function.
func (g *generator) indexOf(s *surveyed, ordinal uint32) uint32 {
	return g.index[g.fold.class[s.firstFunc+int(ordinal)]]
}

func (g *generator) writeBody(s *surveyed, f *unit.Func, off uint64) error {
	b := wasmenc.AppendBytes(nil, f.Body)
	at := len(b) - len(f.Body)
	for _, c := range f.Calls {
		wasmenc.PutPadded(b[at+int(c.Off):], abi.NumImports+g.indexOf(s, c.Target))
	}
	if g.written+uint64(at) != off {
		return fmt.Errorf("unit %v: %w", s.source, errChanged)
	}
	return g.write(b)
}

// writeIndex is the third pass: the custom section.
func (g *generator) writeIndex() error {
	if err := g.write(g.indexStart); err != nil {
		return err
	}
	var dir []byte
	for _, s := range g.units {
		if err := g.writeRecord(s); err != nil {
			return err
		}
		dir = s.dir.append(dir)
	}
	g.dirSum = blob.Hash(dir)
	t := trailer{dirOff: g.written, dirLen: uint64(len(dir)), version: Version, units: uint32(len(g.units)), dirSum: g.dirSum}
	return g.write(t.append(dir))
}

func (g *generator) writeRecord(s *surveyed) error {
	u, err := s.reload()
	if err != nil {
		return err
	}
	record := s.head.append(make([]byte, 0, s.dir.size))
	var calls []byte
	for i := range u.Funcs {
		f := &u.Funcs[i]
		row := funcRecord{
			entry: f.Entry, part: f.Part,
			bodyOff: g.bodyOff[g.indexOf(s, uint32(i))], bodyLen: uint32(len(f.Body)),
			firstCall: uint32(len(calls) / callSize),
		}
		record = row.append(record)
		for _, c := range f.Calls {
			calls = le.AppendUint32(le.AppendUint32(calls, c.Off), c.Target)
		}
	}
	for _, sum := range partDigests(u, s.order) {
		record = append(record, sum[:]...)
	}
	record = u.Meta.Append(record)
	if g.written != s.dir.off || uint64(len(record)) != s.dir.size {
		return fmt.Errorf("unit %v: %w", s.source, errChanged)
	}
	s.dir.sum = blob.Hash(record)
	for _, b := range [][]byte{record, calls, u.Sites} {
		if err := g.write(b); err != nil {
			return err
		}
	}
	return nil
}

// partDigests returns the hash of each part's module; order has the ordinals
// by part.
func partDigests(u *unit.Unit, order []uint32) []blob.ID {
	var sums []blob.ID
	for len(order) > 0 {
		part := u.Funcs[order[0]].Part
		m := newModule(len(order))
		for len(order) > 0 && u.Funcs[order[0]].Part == part {
			f := &u.Funcs[order[0]]
			m.add(int(order[0]), f.Body, f.Calls)
			order = order[1:]
		}
		wasm, err := m.encode(m.initBody())
		if err != nil {
			panic("BUG: a valid unit has a part that can't be wrapped: " + err.Error())
		}
		sums = append(sums, blob.Hash(wasm))
	}
	return sums
}
