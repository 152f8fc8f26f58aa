package unit

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/megabin/megabin/layers/wasmenc"
)

// Site is a place in a function's body where execution can go on with an
// empty wasm stack.
type Site struct {
	Ordinal uint32 // the function
	At      uint32 // unit offset of the guest's next instruction
	Off     uint32 // byte offset in the body
	// Restore is code that sets the locals that are live there from the
	// register file and the part's globals, a piece for each local.
	Restore [][]byte
}

// Sizes of the encoding of sites, bytes.
const (
	siteHeader = 12
	siteRow    = 16
)

// EncodeSites encodes the sites of a unit, a pure function of the list. Of
// several with the same At the first stays: one is as good as another. The
// pieces of Restore, of which few are distinct, stand in a pool.
func EncodeSites(sites []Site) []byte {
	sites = slices.Clone(sites)
	slices.SortStableFunc(sites, func(a, b Site) int { return cmp.Compare(a.At, b.At) })
	sites = slices.CompactFunc(sites, func(a, b Site) bool { return a.At == b.At })
	pool, index := poolOf(sites)
	var rows, refs []byte
	le := binary.LittleEndian
	for i := range sites {
		s := &sites[i]
		for _, v := range []uint32{s.At, s.Ordinal, s.Off, uint32(len(refs))} {
			rows = le.AppendUint32(rows, v)
		}
		refs = wasmenc.AppendU(refs, uint64(len(s.Restore)))
		for _, p := range s.Restore {
			refs = wasmenc.AppendU(refs, uint64(index[string(p)]))
		}
	}
	b := le.AppendUint32(nil, uint32(len(sites)))
	b = le.AppendUint32(b, uint32(len(pool)))
	b = le.AppendUint32(b, uint32(len(refs)))
	b = append(b, rows...)
	end := uint32(0)
	for _, p := range pool {
		end += uint32(len(p))
		b = le.AppendUint32(b, end)
	}
	b = append(b, refs...)
	return append(b, bytes.Join(pool, nil)...)
}

// poolOf is the distinct pieces, the most frequent first, and their indexes.
func poolOf(sites []Site) (pool [][]byte, index map[string]int) {
	count := map[string]int{}
	for i := range sites {
		for _, p := range sites[i].Restore {
			if count[string(p)]++; count[string(p)] == 1 {
				pool = append(pool, p)
			}
		}
	}
	slices.SortFunc(pool, func(a, b []byte) int {
		return cmp.Or(cmp.Compare(count[string(b)], count[string(a)]), bytes.Compare(a, b))
	})
	index = make(map[string]int, len(pool))
	for i, p := range pool {
		index[string(p)] = i
	}
	return pool, index
}

// SiteTable reads what EncodeSites wrote, which it aliases.
type SiteTable struct {
	rows, ends, refs, pool []byte
}

// ParseSites checks the sizes; each site is checked when it is read.
func ParseSites(b []byte) (t SiteTable, err error) {
	if len(b) < siteHeader {
		return t, fmt.Errorf("%w: %d bytes of sites are too few", ErrInvalid, len(b))
	}
	le := binary.LittleEndian
	n, pieces, refs := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))
	rest := b[siteHeader:]
	if n*siteRow+pieces*4+refs > uint64(len(rest)) {
		return t, fmt.Errorf("%w: %d sites with %d pieces do not fit in %d bytes", ErrInvalid, n, pieces, len(b))
	}
	t.rows, rest = rest[:n*siteRow], rest[n*siteRow:]
	t.ends, rest = rest[:pieces*4], rest[pieces*4:]
	t.refs, t.pool = rest[:refs], rest[refs:]
	return t, nil
}

// Len is the number of sites.
func (t *SiteTable) Len() int { return len(t.rows) / siteRow }

func (t *SiteTable) at(i int) uint32 { return binary.LittleEndian.Uint32(t.rows[i*siteRow:]) }

// Find returns the number of the site at a unit offset.
func (t *SiteTable) Find(at uint32) (i int, ok bool) {
	i = sort.Search(t.Len(), func(i int) bool { return t.at(i) >= at })
	return i, i < t.Len() && t.at(i) == at
}

// Site is site i, 0 ≤ i < Len. Its Restore aliases the table.
func (t *SiteTable) Site(i int) (Site, error) {
	le := binary.LittleEndian
	row := t.rows[i*siteRow:]
	s := Site{At: le.Uint32(row), Ordinal: le.Uint32(row[4:]), Off: le.Uint32(row[8:])}
	refs := le.Uint32(row[12:])
	if uint64(refs) > uint64(len(t.refs)) {
		return s, fmt.Errorf("%w: site %#x: pieces at %d of %d", ErrInvalid, s.At, refs, len(t.refs))
	}
	r := wasmenc.NewReader(t.refs[refs:])
	for range r.Count(1) {
		p, ok := t.piece(r.U())
		if !ok {
			r.Fail("no such piece")
		}
		s.Restore = append(s.Restore, p)
	}
	if r.Err() != nil {
		return s, fmt.Errorf("%w: site %#x: %w", ErrInvalid, s.At, r.Err())
	}
	return s, nil
}

func (t *SiteTable) piece(i uint64) ([]byte, bool) {
	if i >= uint64(len(t.ends)/4) {
		return nil, false
	}
	end := binary.LittleEndian.Uint32(t.ends[i*4:])
	start := uint32(0)
	if i > 0 {
		start = binary.LittleEndian.Uint32(t.ends[i*4-4:])
	}
	if start > end || uint64(end) > uint64(min(len(t.pool), math.MaxUint32)) {
		return nil, false
	}
	return t.pool[start:end:end], true
}
