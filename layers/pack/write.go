package pack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Source loads a unit. Write calls it three times and has at most one unit
// loaded.
type Source func() (*unit.Unit, error)

// File is the Source of a unit in a file.
func File(name string) Source {
	return func() (*unit.Unit, error) {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		u, err := unit.Decode(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return u, nil
	}
}

// Unit is the Source of a unit in memory.
func Unit(u *unit.Unit) Source {
	return func() (*unit.Unit, error) { return u, nil }
}

// Result tells what Write wrote.
type Result struct {
	Digest    blob.ID // of the megabinary
	Size      int64   // bytes
	Directory blob.ID // of the directory, which Open checks
	Units     []UnitResult
	Functions int   // of all units
	Bodies    int   // left after folding
	BodyBytes int64 // of all units' functions, before folding
	CodeBytes int64 // left after folding
}

// UnitResult is one unit of a Result.
type UnitResult struct {
	Source    blob.ID
	Digest    blob.ID // of its record, which the directory holds
	Functions int
	BodyBytes int64 // before folding
}

// Write writes the megabinary of the given units to w, a pure function of the
// set of units: their order does not matter. Two units of one source are an
// error.
func Write(w io.Writer, sources []Source) (*Result, error) {
	g := &generator{fold: newFolder(), sum: blob.NewHasher()}
	if err := g.survey(sources); err != nil {
		return nil, err
	}
	g.fold.fold()
	if err := g.place(); err != nil {
		return nil, err
	}
	g.w = bufio.NewWriterSize(io.MultiWriter(w, g.sum), 1<<16)
	for _, step := range []func() error{g.writeBodies, g.writeIndex, g.w.Flush} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("writing the megabinary: %w", err)
		}
	}
	return g.result(), nil
}

// generator holds what Write knows between its passes over the units.
type generator struct {
	w          *bufio.Writer
	sum        *blob.Hasher
	written    uint64
	units      []*surveyed // ascending by source
	fold       *folder
	index      []uint32 // per class: function index in the megabinary, less the imports
	bodyOff    []uint64 // per index: file offset of the body
	codeLen    uint64   // of the code section's content
	indexStart []byte   // the custom section up to the first record
	dirSum     blob.ID
}

// surveyed is what the first pass keeps of a unit.
type surveyed struct {
	load      Source
	source    blob.ID
	firstFunc int // number in the folder
	head      head
	order     []uint32 // ordinals by part
	bodyBytes int64
	dir       dirEntry
}

// survey is the first pass: it checks the units, gives their functions to the
// folder, and sorts them.
func (g *generator) survey(sources []Source) error {
	for i, load := range sources {
		u, err := load()
		if err == nil {
			err = u.Validate()
		}
		if err != nil {
			return fmt.Errorf("unit %d: %w", i, err)
		}
		s := &surveyed{load: load, source: u.Source, firstFunc: len(g.fold.class)}
		s.take(u)
		g.fold.add(u)
		g.units = append(g.units, s)
	}
	slices.SortFunc(g.units, func(a, b *surveyed) int { return bytes.Compare(a.source[:], b.source[:]) })
	for i := 1; i < len(g.units); i++ {
		if g.units[i].source == g.units[i-1].source {
			return fmt.Errorf("two units of %v", g.units[i].source)
		}
	}
	if len(g.fold.class) > math.MaxInt32-abi.NumImports {
		return fmt.Errorf("%d functions are too many", len(g.fold.class))
	}
	return nil
}

// reload loads the unit for a further pass.
func (s *surveyed) reload() (*unit.Unit, error) {
	u, err := s.load()
	if err == nil && (u.Source != s.source || len(u.Funcs) != int(s.head.funcs) || len(u.Sites) != int(s.head.siteLen)) {
		err = errChanged
	}
	if err != nil {
		return nil, fmt.Errorf("unit %v: %w", s.source, err)
	}
	return u, nil
}

var errChanged = errors.New("it changed while it was packed")

func (s *surveyed) take(u *unit.Unit) {
	s.head = head{
		funcs:   uint32(len(u.Funcs)),
		parts:   uint32(u.NumParts()),
		metaLen: uint32(len(u.Meta.Append(nil))),
		siteLen: uint64(len(u.Sites)),
		siteSum: blob.Hash(u.Sites),
	}
	s.order = make([]uint32, len(u.Funcs))
	for i := range u.Funcs {
		s.order[i] = uint32(i)
		s.head.calls += uint32(len(u.Funcs[i].Calls))
		s.bodyBytes += int64(len(u.Funcs[i].Body))
	}
	slices.SortStableFunc(s.order, func(a, b uint32) int { return int(u.Funcs[a].Part) - int(u.Funcs[b].Part) })
}

// place gives each class its function index and its body's file offset. The
// bodies of a part come together, so that loading it is few reads.
func (g *generator) place() error {
	g.index = make([]uint32, len(g.fold.members))
	var sizes []uint32
	g.eachNewBody(func(class, fn uint32) {
		g.index[class] = uint32(len(sizes))
		sizes = append(sizes, g.fold.sizes[fn])
	})
	g.codeLen = uint64(wasmenc.SizeU(uint64(len(sizes))))
	for _, n := range sizes {
		g.codeLen += uint64(wasmenc.SizeU(uint64(n))) + uint64(n)
	}
	if g.codeLen > math.MaxUint32 {
		return fmt.Errorf("%d bytes of code are more than a module can have", g.codeLen)
	}
	g.bodyOff = make([]uint64, len(sizes))
	off := uint64(len(g.codeStart()))
	for i, n := range sizes {
		off += uint64(wasmenc.SizeU(uint64(n)))
		g.bodyOff[i] = off
		off += uint64(n)
	}
	return g.placeRecords(off)
}

// codeStart is the file up to the first body.
func (g *generator) codeStart() []byte {
	b := unit.AppendFunctionSection(unit.AppendPrelude(nil, true), len(g.bodyOff))
	b = wasmenc.AppendU(append(b, wasmenc.SectionCode), g.codeLen)
	return wasmenc.AppendU(b, uint64(len(g.bodyOff)))
}

// eachNewBody calls f for the first function of each class, in file order.
func (g *generator) eachNewBody(f func(class, fn uint32)) {
	seen := make([]bool, len(g.fold.members))
	for _, s := range g.units {
		for _, ordinal := range s.order {
			fn := uint32(s.firstFunc) + ordinal
			if class := g.fold.class[fn]; !seen[class] {
				seen[class] = true
				f(class, fn)
			}
		}
	}
}

// placeRecords gives the records, call tables and sites their file offsets;
// the code section ends at end.
func (g *generator) placeRecords(end uint64) error {
	name := wasmenc.AppendName(nil, indexSection)
	size := uint64(len(name)) + uint64(len(g.units))*dirEntrySize + trailerSize
	for _, s := range g.units {
		size += s.head.recordSize() + uint64(s.head.calls)*callSize + s.head.siteLen
	}
	if size > math.MaxUint32 {
		return fmt.Errorf("%d bytes of index are more than a section can have", size)
	}
	g.indexStart = append(wasmenc.AppendU([]byte{wasmenc.SectionCustom}, size), name...)
	off := end + uint64(len(g.indexStart))
	for _, s := range g.units {
		s.dir = dirEntry{source: s.source, off: off, size: s.head.recordSize()}
		s.head.callOff = off + s.dir.size
		s.head.siteOff = s.head.callOff + uint64(s.head.calls)*callSize
		off = s.head.siteOff + s.head.siteLen
	}
	return nil
}

func (g *generator) write(b []byte) error {
	n, err := g.w.Write(b)
	g.written += uint64(n)
	return err
}

// result is called when all is written.
func (g *generator) result() *Result {
	r := &Result{
		Digest: g.sum.ID(), Size: int64(g.written), Directory: g.dirSum,
		Functions: len(g.fold.class), Bodies: len(g.bodyOff),
	}
	for _, s := range g.units {
		r.Units = append(r.Units, UnitResult{s.source, s.dir.sum, int(s.head.funcs), s.bodyBytes})
		r.BodyBytes += s.bodyBytes
	}
	g.eachNewBody(func(_, fn uint32) { r.CodeBytes += int64(g.fold.sizes[fn]) })
	return r
}
