package unit_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/unit/unittest"
	"github.com/megabin/megabin/layers/wasmenc"
)

func sample() *unit.Unit {
	return unittest.Make("sample",
		unittest.Func{Part: 0, Const: 1, Calls: []uint32{2, 0}},
		unittest.Func{Part: 1, Const: -2},
		unittest.Func{Part: 0, Const: 1 << 40, Calls: []uint32{0}})
}

func TestEncodeIsValidWasm(t *testing.T) {
	unittest.Validate(t, sample().Encode())
	unittest.Validate(t, unittest.Make("empty").Encode())
}

func TestRoundTrip(t *testing.T) {
	data := sample().Encode()
	got, err := unit.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Meta, sample().Meta) {
		t.Errorf("metadata: got %+v\nwant %+v", got.Meta, sample().Meta)
	}
	if string(got.Encode()) != string(data) {
		t.Error("encoding what was decoded gives other bytes")
	}
	if got.NumParts() != 2 || len(got.Funcs) != 3 || len(got.Funcs[0].Calls) != 2 {
		t.Errorf("functions: %+v", got.Funcs)
	}
}

func TestEncodeLeavesBodies(t *testing.T) {
	u := sample()
	before := string(u.Funcs[0].Body)
	u.Encode()
	if string(u.Funcs[0].Body) != before {
		t.Error("Encode changed a body")
	}
}

func TestInvalid(t *testing.T) {
	for name, spoil := range map[string]func(*unit.Unit){
		"entries out of order":   func(u *unit.Unit) { u.Funcs[1].Entry = u.Funcs[0].Entry },
		"call to another part":   func(u *unit.Unit) { u.Funcs[0].Calls[0].Target = 1 },
		"call out of the unit":   func(u *unit.Unit) { u.Funcs[0].Calls[0].Target = 3 },
		"no call there":          func(u *unit.Unit) { u.Funcs[0].Calls[0].Off++ },
		"call past the body":     func(u *unit.Unit) { u.Funcs[0].Calls[1].Off = 1 << 31 },
		"hole in the parts":      func(u *unit.Unit) { u.Funcs[1].Part = 2 },
		"covered spans overlap":  func(u *unit.Unit) { u.Covered[1].Off = u.Covered[0].Off },
		"covered past the file":  func(u *unit.Unit) { u.Covered[2].Size = 1 << 63 },
		"executable past 4 GiB":  func(u *unit.Unit) { u.SourceSize = 1 << 40; u.Exec[0].Size = 1 << 39 },
		"unknown kind":           func(u *unit.Unit) { u.Kind = 9 },
		"reasons in wrong order": func(u *unit.Unit) { u.Coverage.Reasons = []unit.Reason{{Name: "b"}, {Name: "a"}} },
	} {
		u := sample()
		spoil(u)
		if err := u.Validate(); !errors.Is(err, unit.ErrInvalid) {
			t.Errorf("%s: Validate gave %v", name, err)
		}
	}
}

// TestOtherVersionNamesBoth: code of a newer version is not understood, code of
// an older one calls by other rules.
func TestOtherVersionNamesBoth(t *testing.T) {
	for _, v := range []uint64{abi.Version - 1, abi.Version + 1} {
		u := sample()
		data := unit.AppendPrelude(nil, true)
		data = wasmenc.AppendCustom(data, "megabin.unit", u.Meta.Append(wasmenc.AppendU(nil, v)))
		_, err := unit.Decode(data)
		if !errors.Is(err, unit.ErrInvalid) || !strings.Contains(err.Error(), fmt.Sprint("version ", v)) || !strings.Contains(err.Error(), fmt.Sprint(abi.Version)) {
			t.Errorf("version %d: got %v", v, err)
		}
	}
}

// Each flipped byte gives an error or a unit that is still valid.
func TestByteFlips(t *testing.T) {
	data := sample().Encode()
	for i := range data {
		for _, bit := range []byte{1, 0x80, 0xff} {
			data[i] ^= bit
			checkDecode(t, data)
			data[i] ^= bit
		}
	}
	for n := range data {
		if _, err := unit.Decode(data[:n]); err == nil {
			t.Errorf("the first %d bytes are a unit", n)
		}
	}
}

func checkDecode(t *testing.T, data []byte) {
	t.Helper()
	u, err := unit.Decode(data)
	if err != nil {
		return
	}
	if err := u.Validate(); err != nil {
		t.Errorf("decoded unit: %v", err)
	}
	if _, err := unit.Decode(u.Encode()); err != nil {
		t.Errorf("decoded unit does not encode: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Encode())
	f.Add(unittest.Make("empty").Encode())
	f.Fuzz(func(t *testing.T, data []byte) { checkDecode(t, data) })
}
