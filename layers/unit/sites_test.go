package unit_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/megabin/megabin/layers/unit"
)

func TestSites(t *testing.T) {
	sites := []unit.Site{
		{Ordinal: 2, At: 0x30, Off: 7, Restore: [][]byte{{1, 2}, {3}, {1, 2}}},
		{Ordinal: 1, At: 0x10, Off: 9, Restore: [][]byte{{3}}},
		{Ordinal: 1, At: 0x20, Off: 300},
	}
	b := unit.EncodeSites(append(sites, unit.Site{Ordinal: 9, At: 0x20}))
	table, err := unit.ParseSites(b)
	if err != nil || table.Len() != 3 {
		t.Fatalf("%d sites, %v", table.Len(), err)
	}
	for _, want := range sites {
		i, ok := table.Find(want.At)
		if !ok {
			t.Fatalf("site %#x is not found", want.At)
		}
		if got, err := table.Site(i); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	for _, at := range []uint32{0, 0x11, 0x31} {
		if _, ok := table.Find(at); ok {
			t.Errorf("found a site at %#x", at)
		}
	}
}

// TestBadSites has tables that end too early, have too much, or name pieces
// that are not there.
func TestBadSites(t *testing.T) {
	good := unit.EncodeSites([]unit.Site{{At: 1, Ordinal: 3, Restore: [][]byte{{1}, {2, 3}}}, {At: 0x200, Off: 500, Restore: [][]byte{{1}}}})
	for n := range good {
		if _, err := unit.ParseSites(good[:n]); !errors.Is(err, unit.ErrInvalid) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	for name, b := range map[string][]byte{
		"a byte too many":         append(good[:len(good):len(good)], 0),
		"a negative ordinal":      {1, 0, 0x7f, 0, 0, 0, 0},
		"pieces that are missing": {1, 0, 0, 0, 2, 1, 0, 0},
		"pieces that nobody has":  {1, 0, 0, 0, 0, 1, 0, 0},
	} {
		if _, err := unit.ParseSites(b); !errors.Is(err, unit.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	table, err := unit.ParseSites([]byte{1, 0, 0, 0, 1, 1, 5, 0})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Site(0); !errors.Is(err, unit.ErrInvalid) {
		t.Errorf("a piece that is not in the pool: %v", err)
	}
}

// FuzzSites reads all sites of anything.
func FuzzSites(f *testing.F) {
	f.Add(unit.EncodeSites(nil))
	f.Add(unit.EncodeSites([]unit.Site{{At: 1, Restore: [][]byte{{1}, {2, 3}}}, {At: 2, Restore: [][]byte{{1}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := unit.ParseSites(b)
		for i := 0; err == nil && i < table.Len(); i++ {
			if _, e := table.Site(i); e != nil && !errors.Is(e, unit.ErrInvalid) {
				t.Error(e)
			}
		}
	})
}
