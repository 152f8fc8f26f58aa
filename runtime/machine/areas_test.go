package machine

import (
	"math/rand/v2"
	"testing"
)

// page is the model: what one page of a set of areas is.
type page struct {
	mapped bool
	prot   Prot
	file   *backing
	off    int64
}

const modelPages = 64

// pages expands a set to the model and checks its own invariants.
func pages(t *testing.T, s areas) (m [modelPages]page) {
	t.Helper()
	refs := map[*backing]int32{}
	for i, a := range s {
		if a.start >= a.end {
			t.Fatalf("area %d is empty: %+v", i, a)
		}
		if i > 0 && s[i-1].end > a.start {
			t.Fatalf("areas %d and %d overlap or are out of order", i-1, i)
		}
		if i > 0 && s[i-1].continues(a) {
			t.Fatalf("areas %d and %d should be one", i-1, i)
		}
		for at := a.start; at < a.end; at += pageSize {
			p := page{mapped: true, prot: a.prot, file: a.file}
			if a.file != nil {
				p.off = a.off + int64(at-a.start)
			}
			m[at/pageSize] = p
		}
		if a.file != nil {
			refs[a.file]++
		}
	}
	for b, n := range refs {
		if b.refs.Load() != n+1 {
			t.Fatalf("%d references to a file that %d areas map", b.refs.Load()-1, n)
		}
	}
	return m
}

// TestAreasAgainstPages compares the set with an array of pages under random
// operations.
func TestAreasAgainstPages(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		files := []*backing{nil, {}, {}}
		for _, b := range files {
			b.retain() // so that no count reaches zero
		}
		var s areas
		var model [modelPages]page
		for range 60 {
			lo := r.IntN(modelPages)
			hi := lo + 1 + r.IntN(modelPages-lo)
			start, end := uint64(lo)*pageSize, uint64(hi)*pageSize
			prot := Prot(r.IntN(4))
			switch r.IntN(4) {
			case 0:
				s = s.replace(start, end)
				clear(model[lo:hi])
			case 1:
				s = s.protect(start, end, prot)
				for i := lo; i < hi; i++ {
					if model[i].mapped {
						model[i].prot = prot
					}
				}
			default:
				b := files[r.IntN(len(files))]
				off := int64(r.IntN(3)) * pageSize
				b.retain()
				s = s.replace(start, end, area{start: start, end: end, prot: prot, file: b, off: off})
				for i := lo; i < hi; i++ {
					model[i] = page{true, prot, b, off + int64(i-lo)*pageSize}
					if b == nil {
						model[i].off = 0
					}
				}
			}
			if got := pages(t, s); got != model {
				t.Fatalf("seed %d: set and model differ:\n%+v\n%+v", seed, got, model)
			}
			checkQueries(t, s, model, start, end, prot)
		}
	}
}

// checkQueries compares covers and extent with the model.
func checkQueries(t *testing.T, s areas, model [modelPages]page, start, end uint64, prot Prot) {
	t.Helper()
	want := start + 1
	for want < end && model[want/pageSize].mapped && model[want/pageSize].prot&prot == prot {
		want = (want/pageSize + 1) * pageSize
	}
	want = min(want, end)
	if want == start+1 {
		want = start
	}
	if p := model[start/pageSize]; start+1 == end && p.mapped && p.prot&prot == prot {
		want = end
	}
	if got := start + s.extent(start, end-start, prot); got != want {
		t.Fatalf("extent of [%#x, %#x) is %#x, want %#x", start, end, got, want)
	}
	if got := s.covers(start, end, prot); got != (want == end) {
		t.Fatalf("covers [%#x, %#x) is %v", start, end, got)
	}
}
