package pack

import (
	"bytes"
	"context"
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

// Source is a unit to be packed: what Write has to know of it beforehand, and
// how to get all of it.
type Source struct {
	load      func() (*unit.Unit, error)
	source    blob.ID
	functions []function
	head      head
	order     []uint32 // ordinals by part
	bodyBytes int64
}

// Survey makes a Source of a unit. load is called once by Write, which so has
// at most one unit per job in memory; it must return an equal unit.
func Survey(u *unit.Unit, load func() (*unit.Unit, error)) (*Source, error) {
	if err := u.Validate(); err != nil {
		return nil, err
	}
	s := &Source{load: load, source: u.Source, functions: summarize(u), order: make([]uint32, len(u.Funcs))}
	s.head = head{
		funcs:   uint32(len(u.Funcs)),
		parts:   uint32(u.NumParts()),
		metaLen: uint32(len(u.Meta.Append(nil))),
		siteLen: uint64(len(u.Sites)),
		siteSum: blob.Hash(u.Sites),
	}
	for i := range u.Funcs {
		s.order[i] = uint32(i)
		s.head.calls += uint32(len(u.Funcs[i].Calls))
		s.bodyBytes += int64(len(u.Funcs[i].Body))
	}
	slices.SortStableFunc(s.order, func(a, b uint32) int { return int(u.Funcs[a].Part) - int(u.Funcs[b].Part) })
	return s, nil
}

// File is the Source of a unit in a file.
func File(name string) (*Source, error) {
	load := func() (*unit.Unit, error) {
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
	u, err := load()
	if err != nil {
		return nil, err
	}
	return Survey(u, load)
}

// Unit is the Source of a unit in memory.
func Unit(u *unit.Unit) (*Source, error) {
	return Survey(u, func() (*unit.Unit, error) { return u, nil })
}

// Result tells what Write wrote.
type Result struct {
	Digest    blob.ID // of the megabinary
	Size      int64   // bytes
	Directory blob.ID // of the directory, which Open checks
	Units     []UnitResult
	Sharing   Sharing
}

// UnitResult is one unit of a Result.
type UnitResult struct {
	Source    blob.ID
	Digest    blob.ID // of its record, which the directory holds
	Functions int
	BodyBytes int64 // before folding
}

// Output is what a megabinary is written to, such as an empty file: its
// pieces come in any order and from several goroutines.
type Output interface {
	io.ReaderAt
	io.WriterAt
}

// Write writes the megabinary of the given units to out, a pure function of
// the set of units: neither their order nor the number of jobs, which work at
// the same time, matters. Two units of one source are an error.
func Write(ctx context.Context, out Output, sources []*Source, jobs int) (*Result, error) {
	g := &generator{out: out, jobs: max(jobs, 1), fold: newFolder()}
	if err := g.add(sources); err != nil {
		return nil, err
	}
	g.fold.fold()
	if err := g.place(); err != nil {
		return nil, err
	}
	if err := g.emit(ctx); err != nil {
		return nil, fmt.Errorf("writing the megabinary: %w", err)
	}
	return g.result()
}

// generator holds what Write knows of all units.
type generator struct {
	out        Output
	jobs       int
	units      []*placed // ascending by source
	fold       *folder
	index      []uint32 // per class: function index in the megabinary, less the imports
	kept       []uint32 // per index: the function whose body is written
	bodyOff    []uint64 // per index: file offset of the body
	codeLen    uint64   // of the code section's content
	indexOff   uint64   // file offset of the custom section
	indexStart []byte   // the custom section up to the first record
	dirOff     uint64   // file offset of the directory
	size       uint64   // of the file
	dirSum     blob.ID
}

// placed is a Source that has its place among the others.
type placed struct {
	*Source
	firstFunc int // number in the folder
	dir       dirEntry
}

// add sorts the units and gives their functions to the folder.
func (g *generator) add(sources []*Source) error {
	for _, s := range sources {
		g.units = append(g.units, &placed{Source: s})
	}
	slices.SortFunc(g.units, func(a, b *placed) int { return bytes.Compare(a.source[:], b.source[:]) })
	for i, s := range g.units {
		if i > 0 && s.source == g.units[i-1].source {
			return fmt.Errorf("two units of %v", s.source)
		}
		s.firstFunc = len(g.fold.class)
		g.fold.add(s.functions)
	}
	if len(g.fold.class) > math.MaxInt32-abi.NumImports {
		return fmt.Errorf("%d functions are too many", len(g.fold.class))
	}
	return nil
}

// reload loads the whole unit.
func (s *placed) reload() (*unit.Unit, error) {
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

// place gives each class its function index and its body's file offset. The
// bodies of a part come together, so that loading it is few reads.
func (g *generator) place() error {
	g.keep()
	g.codeLen = uint64(wasmenc.SizeU(uint64(len(g.kept))))
	for _, fn := range g.kept {
		g.codeLen += sizeOfBody(g.fold.sizes[fn])
	}
	if g.codeLen > math.MaxUint32 {
		return fmt.Errorf("%d bytes of code are more than a module can have", g.codeLen)
	}
	g.bodyOff = make([]uint64, len(g.kept))
	off := uint64(len(g.codeStart()))
	for i, fn := range g.kept {
		n := g.fold.sizes[fn]
		off += sizeOfBody(n)
		g.bodyOff[i] = off - uint64(n)
	}
	return g.placeRecords(off)
}

// sizeOfBody is what a body of n bytes takes with its length before it.
func sizeOfBody(n uint32) uint64 { return uint64(wasmenc.SizeU(uint64(n))) + uint64(n) }

// keep keeps the first function of each class, in file order.
func (g *generator) keep() {
	g.index = make([]uint32, len(g.fold.members))
	g.kept = make([]uint32, 0, len(g.fold.members))
	seen := make([]bool, len(g.fold.members))
	for _, s := range g.units {
		for _, ordinal := range s.order {
			fn := uint32(s.firstFunc) + ordinal
			if class := g.fold.class[fn]; !seen[class] {
				seen[class] = true
				g.index[class] = uint32(len(g.kept))
				g.kept = append(g.kept, fn)
			}
		}
	}
}

// codeStart is the file up to the first body.
func (g *generator) codeStart() []byte {
	b := unit.AppendFunctions(unit.AppendPrelude(nil, true), len(g.bodyOff))
	b = wasmenc.AppendU(append(b, wasmenc.SectionCode), g.codeLen)
	return wasmenc.AppendU(b, uint64(len(g.bodyOff)))
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
	g.indexOff = end
	g.indexStart = append(wasmenc.AppendU([]byte{wasmenc.SectionCustom}, size), name...)
	off := end + uint64(len(g.indexStart))
	for _, s := range g.units {
		s.dir = dirEntry{source: s.source, off: off, size: s.head.recordSize()}
		s.head.callOff = off + s.dir.size
		s.head.siteOff = s.head.callOff + uint64(s.head.calls)*callSize
		off = s.head.siteOff + s.head.siteLen
	}
	g.dirOff = off
	g.size = off + uint64(len(g.units))*dirEntrySize + trailerSize
	return nil
}

// result is called when all is written.
func (g *generator) result() (*Result, error) {
	digest, n, err := blob.HashReader(io.NewSectionReader(g.out, 0, int64(g.size)))
	if err == nil && uint64(n) != g.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("reading the megabinary: %w", err)
	}
	r := &Result{
		Digest: digest, Size: int64(g.size), Directory: g.dirSum,
		Sharing: Sharing{Functions: len(g.fold.class), Bodies: len(g.bodyOff)},
	}
	for _, s := range g.units {
		r.Units = append(r.Units, UnitResult{s.source, s.dir.sum, int(s.head.funcs), s.bodyBytes})
		r.Sharing.FunctionBytes += s.bodyBytes
	}
	for _, fn := range g.kept {
		r.Sharing.BodyBytes += int64(g.fold.sizes[fn])
	}
	return r, nil
}
