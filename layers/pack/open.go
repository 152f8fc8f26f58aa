package pack

import (
	"bytes"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Megabinary reads a megabinary. Methods may be called from many goroutines
// if the reader's ReadAt may.
//
// What it checks, and when: Open the directory against the trailer's hash,
// Unit the unit's record against the directory's, Part the module that it
// returns against the record's, Sites likewise. Whoever knows the directory's
// hash (Result.Directory, Directory) therefore knows every byte that is ever
// given out.
type Megabinary struct {
	r    io.ReaderAt
	size uint64
	dir  []byte
	sum  blob.ID
}

// Open reads the directory of a megabinary of size bytes.
func Open(r io.ReaderAt, size int64) (*Megabinary, error) {
	m := &Megabinary{r: r, size: uint64(max(size, 0))}
	if err := m.open(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return m, nil
}

func (m *Megabinary) open() error {
	if m.size < trailerSize {
		return fmt.Errorf("%d bytes are too few", m.size)
	}
	b, err := m.read(m.size-trailerSize, trailerSize)
	if err != nil {
		return fmt.Errorf("trailer: %w", err)
	}
	if string(b[trailerSize-len(magic):]) != magic {
		return fmt.Errorf("no %q at the end", magic)
	}
	var t trailer
	t.read(b)
	if err := abi.CheckVersion(uint64(t.version)); err != nil {
		return err
	}
	if t.dirLen != uint64(t.units)*dirEntrySize || t.dirLen > m.size-trailerSize || t.dirOff != m.size-trailerSize-t.dirLen {
		return fmt.Errorf("directory of %d units at %#x, %d bytes, does not end at the trailer", t.units, t.dirOff, t.dirLen)
	}
	if m.dir, err = m.read(t.dirOff, t.dirLen); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	if m.sum = blob.Hash(m.dir); m.sum != t.dirSum {
		return fmt.Errorf("directory: hash is %v, not %v", m.sum, t.dirSum)
	}
	return nil
}

// read returns n bytes at off, which must be in the file.
func (m *Megabinary) read(off, n uint64) ([]byte, error) {
	if off > m.size || n > m.size-off {
		return nil, fmt.Errorf("%d bytes at %#x are out of the file of %d bytes", n, off, m.size)
	}
	b := make([]byte, n)
	if got, err := m.r.ReadAt(b, int64(off)); uint64(got) < n {
		return nil, fmt.Errorf("reading %d bytes at %#x: %w", n, off, err)
	}
	return b, nil
}

// Directory is the hash of the directory, to be compared with a manifest's.
func (m *Megabinary) Directory() blob.ID { return m.sum }

// Units is the number of units.
func (m *Megabinary) Units() int { return len(m.dir) / dirEntrySize }

func (m *Megabinary) entry(i int) (e dirEntry) {
	e.read(m.dir[i*dirEntrySize:])
	return e
}

// Source is the hash of the ELF of unit i, 0 ≤ i < Units.
func (m *Megabinary) Source(i int) blob.ID { return m.entry(i).source }

// Digest is the hash of the record of unit i, 0 ≤ i < Units.
func (m *Megabinary) Digest(i int) blob.ID { return m.entry(i).sum }

// Unit returns the unit of the ELF with the given hash; false if there is
// none. It reads the unit's record.
func (m *Megabinary) Unit(id blob.ID) (*UnitRef, bool, error) {
	i := sort.Search(m.Units(), func(i int) bool {
		return bytes.Compare(m.dir[i*dirEntrySize:][:blob.Size], id[:]) >= 0
	})
	if i == m.Units() || m.Source(i) != id {
		return nil, false, nil
	}
	u := &UnitRef{m: m}
	u.sites = sync.OnceValues(u.readSites)
	if err := u.open(m.entry(i)); err != nil {
		return nil, false, fmt.Errorf("%w: unit %v: %w", ErrInvalid, id, err)
	}
	return u, true, nil
}

// UnitRef is a unit in a megabinary. Its methods may be called from many
// goroutines.
type UnitRef struct {
	m      *Megabinary
	head   head
	funcs  []byte // function table
	parts  []byte // part table
	meta   unit.Meta
	byPart []partRange
	sites  func() (unit.SiteTable, error)
	order  []int // ordinals by part
}

// partRange is a part's place in UnitRef.order.
type partRange struct{ first, n int }

func (u *UnitRef) open(e dirEntry) error {
	b, err := u.m.read(e.off, e.size)
	if err != nil {
		return err
	}
	if sum := blob.Hash(b); sum != e.sum {
		return fmt.Errorf("record: hash is %v, not %v", sum, e.sum)
	}
	if len(b) < headSize {
		return fmt.Errorf("record of %d bytes is too short", len(b))
	}
	u.head.read(b)
	if u.head.recordSize() != uint64(len(b)) {
		return fmt.Errorf("record has %d bytes, its head says %d", len(b), u.head.recordSize())
	}
	b = b[headSize:]
	u.funcs, b = b[:int(u.head.funcs)*funcSize], b[int(u.head.funcs)*funcSize:]
	u.parts, b = b[:int(u.head.parts)*partSize], b[int(u.head.parts)*partSize:]
	r := wasmenc.NewReader(b)
	u.meta.Read(r)
	if r.Err() != nil {
		return fmt.Errorf("metadata: %w", r.Err())
	}
	if u.meta.Source != e.source {
		return fmt.Errorf("record is of %v", u.meta.Source)
	}
	return u.sortParts()
}

// sortParts makes the lists of ordinals by part.
func (u *UnitRef) sortParts() error {
	u.byPart = make([]partRange, u.head.parts)
	for i := range u.Functions() {
		f := u.fn(i)
		if f.part >= u.head.parts {
			return fmt.Errorf("function %d is in part %d of %d", i, f.part, u.head.parts)
		}
		if i > 0 && f.entry <= u.fn(i-1).entry {
			return fmt.Errorf("function %d: entry %#x is not above the one before", i, f.entry)
		}
		if f.firstCall > u.endCall(i) || u.endCall(i) > u.head.calls {
			return fmt.Errorf("function %d: calls %d to %d of %d", i, f.firstCall, u.endCall(i), u.head.calls)
		}
		u.byPart[f.part].n++
	}
	next := 0
	for i := range u.byPart {
		u.byPart[i].first = next
		next += u.byPart[i].n
		u.byPart[i].n = 0
	}
	u.order = make([]int, u.Functions())
	for i := range u.order {
		p := &u.byPart[u.fn(i).part]
		u.order[p.first+p.n] = i
		p.n++
	}
	return nil
}

func (u *UnitRef) fn(ordinal int) (f funcRecord) {
	f.read(u.funcs[ordinal*funcSize:])
	return f
}

// endCall is the row of the call table after a function's last.
func (u *UnitRef) endCall(ordinal int) uint32 {
	if ordinal+1 < u.Functions() {
		return u.fn(ordinal + 1).firstCall
	}
	return u.head.calls
}

// ID is the hash of the ELF.
func (u *UnitRef) ID() [32]byte { return u.meta.Source }

// Meta is what is known of the ELF. It is not to be changed.
func (u *UnitRef) Meta() *unit.Meta { return &u.meta }

// Functions is the number of functions.
func (u *UnitRef) Functions() int { return int(u.head.funcs) }

// Parts is the number of parts.
func (u *UnitRef) Parts() int { return int(u.head.parts) }

// Entry is the unit offset of a function's first instruction.
// Precondition: 0 ≤ ordinal < Functions, here and below.
func (u *UnitRef) Entry(ordinal int) uint32 { return u.fn(ordinal).entry }

// PartOf is the number of the part that a function is in.
func (u *UnitRef) PartOf(ordinal int) int { return int(u.fn(ordinal).part) }

// Body is where a function's body is in the megabinary, and its length in
// bytes. Identical functions have one body.
func (u *UnitRef) Body(ordinal int) (off uint64, size uint32) {
	f := u.fn(ordinal)
	return f.bodyOff, f.bodyLen
}

// Lookup returns the function that begins at a unit offset.
func (u *UnitRef) Lookup(off uint32) (ordinal int, ok bool) {
	i, ok := u.Containing(off)
	return i, ok && u.Entry(i) == off
}

// Containing returns the last function that begins at or below a unit
// offset.
func (u *UnitRef) Containing(off uint32) (ordinal int, ok bool) {
	i := sort.Search(u.Functions(), func(i int) bool { return u.Entry(i) > off })
	return i - 1, i > 0
}
