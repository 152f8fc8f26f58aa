package pack

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// emit writes the file. Each unit has two places in it, its bodies and its
// part of the index, so that several can be written at a time.
func (g *generator) emit(ctx context.Context) error {
	if err := g.write(0, g.codeStart()); err != nil {
		return err
	}
	if err := g.write(g.indexOff, g.indexStart); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(g.jobs)
	for _, s := range g.units {
		group.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return g.emitUnit(s)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return g.emitDirectory()
}

func (g *generator) write(off uint64, b []byte) error {
	_, err := g.out.WriteAt(b, int64(off))
	return err
}

func (g *generator) emitUnit(s *placed) error {
	u, err := s.reload()
	if err != nil {
		return err
	}
	if err := g.emitBodies(s, u); err != nil {
		return err
	}
	return g.emitRecord(s, u)
}

// indexOf is the megabinary's index, less the imports, of a unit's function.
func (g *generator) indexOf(s *placed, ordinal uint32) uint32 {
	return g.index[g.fold.class[s.firstFunc+int(ordinal)]]
}

// emitBodies writes those bodies that were not folded into earlier ones. As
// indexes follow the units' order, they lie one after another.
func (g *generator) emitBodies(s *placed, u *unit.Unit) error {
	var b []byte
	start := uint64(0)
	for _, ordinal := range s.order {
		index := g.indexOf(s, ordinal)
		if g.kept[index] != uint32(s.firstFunc)+ordinal {
			continue
		}
		f := &u.Funcs[ordinal]
		if uint32(len(f.Body)) != g.fold.sizes[g.kept[index]] {
			return fmt.Errorf("unit %v: %w", s.source, errChanged)
		}
		if b == nil {
			start = g.bodyOff[index] - sizeOfBody(uint32(len(f.Body))) + uint64(len(f.Body))
			b = make([]byte, 0, s.bodyBytes+int64(len(s.order))*wasmenc.PaddedLen)
		}
		b = wasmenc.AppendBytes(b, f.Body)
		for _, c := range f.Calls {
			at := len(b) - len(f.Body) + int(c.Off)
			wasmenc.PutPadded(b[at:], abi.NumImports+g.indexOf(s, c.Target))
		}
	}
	return g.write(start, b)
}

// emitRecord writes the unit's record, call table and sites.
func (g *generator) emitRecord(s *placed, u *unit.Unit) error {
	b := s.head.append(make([]byte, 0, s.dir.size+uint64(s.head.calls)*callSize+s.head.siteLen))
	calls := uint32(0)
	for i := range u.Funcs {
		f := &u.Funcs[i]
		row := funcRecord{
			entry: f.Entry, part: f.Part,
			bodyOff: g.bodyOff[g.indexOf(s, uint32(i))], bodyLen: uint32(len(f.Body)), firstCall: calls,
		}
		b = row.append(b)
		calls += uint32(len(f.Calls))
	}
	for _, sum := range partDigests(u, s.order) {
		b = append(b, sum[:]...)
	}
	b = u.Meta.Append(b)
	if uint64(len(b)) != s.dir.size || calls != s.head.calls {
		return fmt.Errorf("unit %v: %w", s.source, errChanged)
	}
	s.dir.sum = blob.Hash(b)
	for i := range u.Funcs {
		for _, c := range u.Funcs[i].Calls {
			b = le.AppendUint32(le.AppendUint32(b, c.Off), c.Target)
		}
	}
	return g.write(s.dir.off, append(b, u.Sites...))
}

// emitDirectory writes the end of the file.
func (g *generator) emitDirectory() error {
	var dir []byte
	for _, s := range g.units {
		dir = s.dir.append(dir)
	}
	g.dirSum = blob.Hash(dir)
	t := trailer{dirOff: g.dirOff, dirLen: uint64(len(dir)), version: abi.Version, units: uint32(len(g.units)), dirSum: g.dirSum}
	return g.write(g.dirOff, t.append(dir))
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
