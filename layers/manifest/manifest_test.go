package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/unit/unittest"
)

// sample returns a manifest and the megabinary it is of.
func sample(t testing.TB) (*manifest.Manifest, []byte) {
	t.Helper()
	units := map[blob.ID]*unit.Unit{}
	var sources []*pack.Source
	for _, name := range []string{"a", "b"} {
		u := unittest.Make(name, unittest.Func{Const: 1})
		units[u.Source] = u
		source, err := pack.Unit(u)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, source)
	}
	var mb pack.Buffer
	res, err := pack.Write(t.Context(), &mb, sources, 1)
	if err != nil {
		t.Fatal(err)
	}
	m := &manifest.Manifest{
		FormatVersion: manifest.Version,
		Translator:    "test 1",
		Megabinary:    manifest.Megabinary{BLAKE3: res.Digest, Size: res.Size, Directory: res.Directory},
		Refused:       []manifest.Refused{{BLAKE3: blob.Hash([]byte("arm")), Paths: []string{"/bin/arm"}, Reason: "machine 183"}},
	}
	m.Scripts = []manifest.Script{{BLAKE3: blob.Hash([]byte("#!/bin/sh")), Paths: []string{"/bin/run"}, Size: 9}}
	for _, u := range res.Units {
		e := manifest.NewEntry(&units[u.Source].Meta, u.Digest)
		e.Paths = []string{"/lib/<\u2028>\x01\"" + string(units[u.Source].BuildID)}
		carrier := blob.Hash(append([]byte("carrier of "), e.BuildID...))
		e.Carrier = &carrier
		m.Entries = append(m.Entries, e)
	}
	return m, mb.Bytes()
}

func encode(t testing.TB, m *manifest.Manifest) []byte {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	m, _ := sample(t)
	got, err := manifest.Decode(encode(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v\nwant %+v", got, m)
	}
}

func TestSchema(t *testing.T) {
	m, _ := sample(t)
	schema := generic(t, manifest.Schema).(map[string]any)
	if err := (checker{schema}).check("$", schema, generic(t, encode(t, m))); err != nil {
		t.Error(err)
	}
}

func TestEmpty(t *testing.T) {
	schema := generic(t, manifest.Schema).(map[string]any)
	empty := &manifest.Manifest{FormatVersion: 1, Entries: []manifest.Entry{{}}}
	if err := (checker{schema}).check("$", schema, generic(t, encode(t, empty))); err != nil {
		t.Error(err)
	}
}

func generic(t *testing.T, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// jq -cS sorts members and drops white space as RFC 8785 wants for ASCII
// names; it escapes DEL otherwise, which the sample has not.
func TestCanonicalLikeJQ(t *testing.T) {
	tool, err := exec.LookPath("jq")
	if err != nil {
		t.Skip("jq is not installed")
	}
	m, _ := sample(t)
	b := encode(t, m)
	cmd := exec.Command(tool, "-cS", ".")
	cmd.Stdin = bytes.NewReader(b)
	want, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
}

func TestNewerVersionNamesBoth(t *testing.T) {
	_, err := manifest.Decode([]byte(`{"formatVersion": 2, "entries": "other"}`))
	if !errors.Is(err, manifest.ErrInvalid) || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "up to 1") {
		t.Errorf("got %v", err)
	}
}

func TestFiles(t *testing.T) {
	m, _ := sample(t)
	files := m.Files()
	for i := range m.Entries {
		e := &m.Entries[i]
		if found, ok := m.Lookup(e.BLAKE3); !ok || found != e {
			t.Errorf("Lookup of %v gives %v, %v", e.BLAKE3, found, ok)
		}
		if files[e.BLAKE3] != e || files[*e.Carrier] != e {
			t.Error("original or carrier is not among the files")
		}
	}
	if _, ok := m.Lookup(m.Refused[0].BLAKE3); ok || len(files) != 4 {
		t.Error("a refused file may run")
	}
}

func TestVerify(t *testing.T) {
	m, data := sample(t)
	mb, err := pack.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(mb); err != nil {
		t.Fatal(err)
	}
	m.Entries[1].Unit[0] ^= 1
	if err := m.Verify(mb); !errors.Is(err, manifest.ErrInvalid) {
		t.Errorf("another unit: %v", err)
	}
	m.Megabinary.Directory[0] ^= 1
	if err := m.Verify(mb); !errors.Is(err, manifest.ErrInvalid) {
		t.Errorf("another directory: %v", err)
	}
}

func TestByteFlips(t *testing.T) {
	m, _ := sample(t)
	b := encode(t, m)
	for i := range b {
		b[i] ^= 1
		checkDecode(t, b)
		b[i] ^= 1
		if _, err := manifest.Decode(b[:i]); err == nil && i < len(b)-1 {
			t.Errorf("the first %d bytes are a manifest", i)
		}
	}
}

func checkDecode(t *testing.T, b []byte) {
	t.Helper()
	m, err := manifest.Decode(b)
	switch {
	case err == nil:
		if _, err := manifest.Decode(encode(t, m)); err != nil {
			t.Errorf("a decoded manifest does not encode: %v", err)
		}
		m.Files()
	case !errors.Is(err, manifest.ErrInvalid):
		t.Errorf("error %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	m, _ := sample(f)
	f.Add(encode(f, m))
	f.Fuzz(checkDecode)
}
