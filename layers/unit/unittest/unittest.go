// Package unittest makes small units for the tests of packages that read
// them, and runs an independent validator over modules.
package unittest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Func says what a function of a test unit is: it calls, drops the results,
// and returns a constant.
type Func struct {
	Part  uint32
	Const int64
	Calls []uint32 // ordinals
}

// Make returns a unit of the given functions for a made-up ELF. Function i is
// at unit offset 0x1000+0x10*i; each is covered and has a site at its start,
// one byte further on in the file.
func Make(name string, funcs ...Func) *unit.Unit {
	u := &unit.Unit{
		Meta: unit.Meta{
			Source:     blob.Hash([]byte(name)),
			SourceSize: 0x10000,
			Translator: "test 1",
			Kind:       unit.Library,
			Entry:      0x1000,
			VMin:       0x400000,
			Fixed:      true,
			BuildID:    []byte(name),
			Exec:       []unit.ExecSpan{{Off: 0x1000, FileOff: 0x1000, Size: 0x2000}},
			Coverage:   unit.Coverage{Bytes: 8 * uint64(len(funcs)), Functions: uint64(len(funcs)), Instructions: 100, Untranslated: 1, Reasons: []unit.Reason{{Name: "fsin", Count: 1}}},
		},
	}
	var sites []unit.Site
	for i, f := range funcs {
		entry := uint32(0x1000 + 0x10*i)
		u.Covered = append(u.Covered, unit.Span{Off: uint64(entry), Size: 8})
		body, calls := Body(f)
		u.Funcs = append(u.Funcs, unit.Func{Entry: entry, Part: f.Part, Body: body, Calls: calls})
		sites = append(sites, unit.Site{Ordinal: uint32(i), At: entry + 1, Off: 1})
	}
	u.Sites = unit.EncodeSites(sites)
	return u
}

// Body encodes a function.
func Body(f Func) ([]byte, []unit.Call) {
	const drop = 0x1a
	b := []byte{0} // no locals
	var calls []unit.Call
	for _, target := range f.Calls {
		for i := range byte(len(abi.Types[abi.TypeFunc].Params)) {
			b = append(b, wasmenc.OpLocalGet, i)
		}
		b = append(b, wasmenc.OpCall)
		calls = append(calls, unit.Call{Off: uint32(len(b)), Target: target})
		b = append(wasmenc.AppendPadded(b, 0), drop, drop, drop, drop)
	}
	b = append(b, wasmenc.OpI32Const, 0)
	for range 2 {
		b = wasmenc.AppendS(append(b, wasmenc.OpI64Const), f.Const)
	}
	return append(b, wasmenc.OpI32Const, 0, wasmenc.OpEnd), calls
}

// Validate runs wabt's wasm-validate over a module.
func Validate(t testing.TB, module []byte) {
	t.Helper()
	tool, err := exec.LookPath("wasm-validate")
	if err != nil {
		t.Skip("wasm-validate is not installed (Debian package wabt)")
	}
	file := filepath.Join(t.TempDir(), "module.wasm")
	if err := os.WriteFile(file, module, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "--enable-tail-call", "--enable-threads", file).CombinedOutput(); err != nil {
		t.Fatalf("wasm-validate: %v\n%s", err, out)
	}
}
