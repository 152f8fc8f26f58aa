package unit

import (
	"bytes"
	"cmp"
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

// EncodeSites encodes the sites of a unit, a pure function of the list. Of
// several with the same At, which are copies of the same code, the first stays: what
// was interrupted in one may go on in any (ir.CallInfo.Shared). The
// pieces of Restore, of which few are distinct, stand in a pool; what the
// sites have of a kind stands together, as it compresses to half so.
func EncodeSites(sites []Site) []byte {
	sites = slices.Clone(sites)
	slices.SortStableFunc(sites, func(a, b Site) int { return cmp.Compare(a.At, b.At) })
	sites = slices.CompactFunc(sites, func(a, b Site) bool { return a.At == b.At })
	pool, index := poolOf(sites)
	var at, ordinal, off, counts, pieces []byte
	last := Site{}
	for i := range sites {
		s := &sites[i]
		at = wasmenc.AppendU(at, uint64(s.At-last.At))
		ordinal = wasmenc.AppendS(ordinal, int64(s.Ordinal)-int64(last.Ordinal))
		off = wasmenc.AppendS(off, int64(s.Off)-int64(last.Off))
		counts = wasmenc.AppendU(counts, uint64(len(s.Restore)))
		for _, p := range s.Restore {
			pieces = wasmenc.AppendU(pieces, uint64(index[string(p)]))
		}
		last = *s
	}
	b := wasmenc.AppendU(nil, uint64(len(sites)))
	b = bytes.Join([][]byte{b, at, ordinal, off, counts}, nil)
	b = wasmenc.AppendBytes(b, pieces)
	b = wasmenc.AppendU(b, uint64(len(pool)))
	for _, p := range pool {
		b = wasmenc.AppendU(b, uint64(len(p)))
	}
	return append(b, bytes.Join(pool, nil)...)
}

// poolOf is the distinct pieces, the most frequent first, and their indexes.
func poolOf(sites []Site) (pool [][]byte, index map[string]int) {
	type entry struct {
		piece []byte
		count int
	}
	var all []entry
	index = map[string]int{}
	for i := range sites {
		for _, p := range sites[i].Restore {
			n, known := index[string(p)]
			if !known {
				n = len(all)
				index[string(p)] = n
				all = append(all, entry{piece: p})
			}
			all[n].count++
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.count, a.count), bytes.Compare(a.piece, b.piece))
	})
	for i, e := range all {
		index[string(e.piece)] = i
		pool = append(pool, e.piece)
	}
	return pool, index
}

// SiteTable reads what EncodeSites wrote, which it aliases.
type SiteTable struct {
	rows   []siteRow
	pieces []byte   // numbers, those of one site after another's
	ends   []uint32 // of the pieces in the pool
	pool   []byte
}

type siteRow struct {
	at, ordinal, off uint32
	count, first     uint32 // pieces, and where their numbers begin
}

// ParseSites reads the rows; what a site's pieces are is checked when it is
// read.
func ParseSites(b []byte) (t SiteTable, err error) {
	r := wasmenc.NewReader(b)
	t.rows = make([]siteRow, r.Count(4))
	for _, read := range []func(row, last *siteRow){
		func(row, last *siteRow) { row.at = sum(r, last.at, int64(r.U32())) },
		func(row, last *siteRow) { row.ordinal = sum(r, last.ordinal, r.S()) },
		func(row, last *siteRow) { row.off = sum(r, last.off, r.S()) },
		func(row, _ *siteRow) { row.count = r.U32() },
	} {
		last := &siteRow{}
		for i := range t.rows {
			read(&t.rows[i], last)
			last = &t.rows[i]
		}
	}
	t.pieces = r.Vector()
	t.ends = make([]uint32, r.Count(1))
	end := uint32(0)
	for i := range t.ends {
		end = sum(r, end, int64(r.U32()))
		t.ends[i] = end
	}
	t.pool = r.Bytes(uint64(end))
	if r.Len() > 0 {
		r.Fail("%d bytes too many", r.Len())
	}
	if r.Err() == nil {
		err = t.place()
	} else {
		err = r.Err()
	}
	if err != nil {
		return SiteTable{}, fmt.Errorf("%w: sites: %w", ErrInvalid, err)
	}
	return t, nil
}

// sum is a number that is told by its distance from another one.
func sum(r *wasmenc.Reader, last uint32, distance int64) uint32 {
	if distance < -int64(last) || distance > math.MaxUint32-int64(last) {
		r.Fail("%d after %d exceeds 32 bits", distance, last)
		return 0
	}
	return uint32(int64(last) + distance)
}

// place finds where the numbers of each site's pieces begin: each ends with a
// byte below 0x80.
func (t *SiteTable) place() error {
	n := 0
	for i := range t.rows {
		row := &t.rows[i]
		row.first = uint32(n)
		for left := row.count; left > 0; n++ {
			if n == len(t.pieces) {
				return fmt.Errorf("%d bytes have the numbers of no more than %d sites' pieces", n, i)
			}
			if t.pieces[n] < 0x80 {
				left--
			}
		}
	}
	if n != len(t.pieces) {
		return fmt.Errorf("%d bytes of pieces, of which %d are used", len(t.pieces), n)
	}
	return nil
}

// Len is the number of sites.
func (t *SiteTable) Len() int { return len(t.rows) }

// Find returns the number of the site at a unit offset.
func (t *SiteTable) Find(at uint32) (i int, ok bool) {
	i = sort.Search(t.Len(), func(i int) bool { return t.rows[i].at >= at })
	return i, i < t.Len() && t.rows[i].at == at
}

// Site is site i, 0 ≤ i < Len. Its Restore aliases the table.
func (t *SiteTable) Site(i int) (Site, error) {
	row := t.rows[i]
	s := Site{At: row.at, Ordinal: row.ordinal, Off: row.off}
	r := wasmenc.NewReader(t.pieces[row.first:])
	for range row.count {
		p, ok := t.piece(r.U())
		if !ok {
			r.Fail("no such piece")
		}
		if r.Err() != nil {
			return s, fmt.Errorf("%w: site %#x: %w", ErrInvalid, s.At, r.Err())
		}
		s.Restore = append(s.Restore, p)
	}
	return s, nil
}

func (t *SiteTable) piece(i uint64) ([]byte, bool) {
	if i >= uint64(len(t.ends)) {
		return nil, false
	}
	start := uint32(0)
	if i > 0 {
		start = t.ends[i-1]
	}
	return t.pool[start:t.ends[i]:t.ends[i]], true
}
