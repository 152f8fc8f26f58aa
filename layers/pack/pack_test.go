package pack_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/unit/unittest"
	"github.com/megabin/megabin/layers/wasmenc"
)

type fn = unittest.Func

// samples has shared leaves, shared callers, a shared cycle, and look-alikes
// that differ in what they call.
func samples() []*unit.Unit {
	return []*unit.Unit{
		unittest.Make("a",
			fn{Part: 0, Const: 1},
			fn{Part: 1, Const: 2},
			fn{Part: 0, Const: 3, Calls: []uint32{0}},
			fn{Part: 1, Const: 4, Calls: []uint32{5}}, // cycle with 5
			fn{Part: 0, Const: 9, Calls: []uint32{0, 2}},
			fn{Part: 1, Const: 5, Calls: []uint32{3}}),
		unittest.Make("b",
			fn{Const: 7},
			fn{Const: 1},
			fn{Const: 3, Calls: []uint32{1}}, // as 2 of a
			fn{Const: 3, Calls: []uint32{0}}, // not so
			fn{Const: 4, Calls: []uint32{5}}, // as 3 of a
			fn{Const: 5, Calls: []uint32{4}}),
		unittest.Make("c"),
	}
}

func sources(t testing.TB, units []*unit.Unit) (list []*pack.Source) {
	t.Helper()
	for _, u := range units {
		s, err := pack.Unit(u)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func write(t testing.TB, units []*unit.Unit) ([]byte, *pack.Result) {
	t.Helper()
	var b pack.Buffer
	res, err := pack.Write(t.Context(), &b, sources(t, units), 3)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), res
}

func open(data []byte) (*pack.Megabinary, error) {
	return pack.Open(bytes.NewReader(data), int64(len(data)))
}

func TestMegabinaryIsValidWasm(t *testing.T) {
	data, _ := write(t, samples())
	unittest.Validate(t, data)
	data, _ = write(t, nil)
	unittest.Validate(t, data)
}

func TestFold(t *testing.T) {
	data, res := write(t, samples())
	// Of 12 functions, b's 1, 2, 4 and 5 are a's 0, 2, 3 and 5.
	if res.Sharing.Functions != 12 || res.Sharing.Bodies != 8 {
		t.Errorf("%d functions, %d bodies", res.Sharing.Functions, res.Sharing.Bodies)
	}
	if res.Digest != blob.Hash(data) || res.Size != int64(len(data)) {
		t.Errorf("result %+v is not of what was written", res)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	units := samples()
	first, _ := write(t, units)
	slices.Reverse(units)
	for jobs := range 4 {
		var second pack.Buffer
		if _, err := pack.Write(t.Context(), &second, sources(t, units), jobs); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second.Bytes()) {
			t.Errorf("another order of units, packed by %d jobs, gives other bytes", jobs)
		}
	}
}

func TestTwice(t *testing.T) {
	u := samples()[0]
	if _, err := pack.Write(t.Context(), new(pack.Buffer), sources(t, []*unit.Unit{u, u}), 1); err == nil {
		t.Error("a unit is accepted twice")
	}
}

func TestLookup(t *testing.T) {
	data, res := write(t, samples())
	m, err := open(data)
	if err != nil {
		t.Fatal(err)
	}
	if m.Directory() != res.Directory || m.Units() != 3 {
		t.Errorf("directory %v of %d units", m.Directory(), m.Units())
	}
	if _, ok, err := m.Unit(blob.Hash([]byte("none"))); ok || err != nil {
		t.Errorf("unknown hash: %v, %v", ok, err)
	}
	for _, want := range samples() {
		u, ok, err := m.Unit(want.Source)
		if !ok || err != nil {
			t.Fatalf("unit %s: %v, %v", want.BuildID, ok, err)
		}
		checkUnit(t, u, want)
	}
}

func checkUnit(t *testing.T, u *pack.UnitRef, want *unit.Unit) {
	t.Helper()
	if !bytes.Equal(u.Meta().Append(nil), want.Meta.Append(nil)) || u.ID() != want.Source {
		t.Errorf("metadata %+v, want %+v", *u.Meta(), want.Meta)
	}
	if n, err := u.Sites(); err != nil || n != len(want.Funcs) {
		t.Errorf("%d sites, %v", n, err)
	}
	for i, f := range want.Funcs {
		n, ok, err := u.Site(f.Entry + 1)
		if !ok || n != i || err != nil {
			t.Fatalf("site of function %d: %d, %v, %v", i, n, ok, err)
		}
		wasm, ordinal, err := u.Resume(n)
		if err != nil || ordinal != i {
			t.Fatalf("resuming function %d: %d, %v", i, ordinal, err)
		}
		unittest.Validate(t, wasm)
	}
	if u.Functions() != len(want.Funcs) || u.Parts() != want.NumParts() {
		t.Errorf("%d functions, %d parts", u.Functions(), u.Parts())
	}
	for i, f := range want.Funcs {
		if n, ok := u.Lookup(f.Entry); !ok || n != i || u.Entry(i) != f.Entry || u.PartOf(i) != int(f.Part) {
			t.Errorf("function %d: Lookup gives %d, %v", i, n, ok)
		}
		if _, ok := u.Lookup(f.Entry + 1); ok {
			t.Errorf("function %d is found at its second byte", i)
		}
		if n, ok := u.Containing(f.Entry + 1); !ok || n != i {
			t.Errorf("function %d: Containing gives %d, %v", i, n, ok)
		}
	}
	if _, ok := u.Containing(0xfff); ok {
		t.Error("there is a function before the first")
	}
}

func TestParts(t *testing.T) {
	data, _ := write(t, samples())
	m, err := open(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range samples() {
		u, _, err := m.Unit(want.Source)
		if err != nil {
			t.Fatal(err)
		}
		for n := range u.Parts() {
			wasm, ordinals, err := u.Part(n)
			if err != nil {
				t.Fatal(err)
			}
			unittest.Validate(t, wasm)
			if id, known, ok := u.PartID(n); !ok || id != blob.Hash(wasm) || !slices.Equal(known, ordinals) {
				t.Errorf("part %d is known as %x with %v, but has %v", n, id, known, ordinals)
			}
			checkPart(t, want, n, wasm, ordinals)
		}
		if _, _, err := u.Part(u.Parts()); err == nil {
			t.Error("there is one part too many")
		}
		if _, _, ok := u.PartID(u.Parts()); ok {
			t.Error("a part too many is known")
		}
	}
}

// checkPart compares the bodies of a part's module with the unit's.
func checkPart(t *testing.T, u *unit.Unit, part int, wasm []byte, ordinals []int) {
	t.Helper()
	sections, err := wasmenc.Sections(wasm)
	if err != nil {
		t.Fatal(err)
	}
	r := wasmenc.NewReader(sections[len(sections)-1].Content)
	if n := r.U(); int(n) != len(ordinals)+1 {
		t.Fatalf("%d bodies for %d functions", n, len(ordinals))
	}
	for _, i := range ordinals {
		f := u.Funcs[i]
		if int(f.Part) != part {
			t.Errorf("function %d is not of part %d", i, part)
		}
		body := r.Vector()
		want := bytes.Clone(f.Body)
		for _, c := range f.Calls {
			wasmenc.PutPadded(want[c.Off:], uint32(abi.NumImports+slices.Index(ordinals, int(c.Target))))
		}
		if !bytes.Equal(body, want) {
			t.Errorf("function %d: body\n%x, want\n%x", i, body, want)
		}
	}
}

// readAll reads everything there is, and reports whether all was right.
func readAll(m *pack.Megabinary) error {
	for i := range m.Units() {
		u, ok, err := m.Unit(m.Source(i))
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("a unit of the directory is not found")
		}
		for n := range u.Parts() {
			if _, _, err := u.Part(n); err != nil {
				return err
			}
		}
		if _, err := u.Sites(); err != nil {
			return err
		}
		for o := range u.Functions() {
			u.Lookup(u.Entry(o))
			u.PartOf(o)
		}
	}
	return nil
}

// contents is all that a reader gets out.
func contents(t *testing.T, m *pack.Megabinary) (all []byte) {
	t.Helper()
	for i := range m.Units() {
		u, _, err := m.Unit(m.Source(i))
		if err != nil {
			t.Fatal(err)
		}
		all = u.Meta().Append(all)
		for n := range u.Parts() {
			wasm, _, err := u.Part(n)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, wasm...)
		}
	}
	return all
}

// Each flipped byte gives an error or changes nothing that is read.
func TestByteFlips(t *testing.T) {
	data, res := write(t, samples()[:2])
	m, err := open(data)
	if err != nil {
		t.Fatal(err)
	}
	want := contents(t, m)
	for i := range data {
		for _, bit := range []byte{1, 0x80, 0xff} {
			data[i] ^= bit
			m, err := open(data)
			if err == nil && m.Directory() == res.Directory && readAll(m) == nil {
				if !bytes.Equal(contents(t, m), want) {
					t.Errorf("flip of byte %#x is not noticed", i)
				}
			}
			data[i] ^= bit
		}
	}
	for n := range data {
		if _, err := open(data[:n]); !errors.Is(err, pack.ErrInvalid) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

// With the hashes made right again, nothing panics either.
func TestSignedByteFlips(t *testing.T) {
	data, _ := write(t, samples()[:2])
	for i := range data {
		for _, bit := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(data)
			bad[i] ^= bit
			pack.Resign(bad)
			if m, err := open(bad); err == nil {
				readAll(m)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	data, _ := write(f, samples())
	f.Add(data)
	data, _ = write(f, nil)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		data = bytes.Clone(data)
		pack.Resign(data)
		if m, err := open(data); err == nil {
			readAll(m)
		}
	})
}
