package resume_test

import (
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/unit/resume"
	"github.com/megabin/megabin/layers/unit/unittest"
	"github.com/megabin/megabin/layers/wasmenc"
)

const (
	op          = wasmenc.BlockEmpty
	nop         = 0x01
	br          = 0x0c
	drop        = 0x1a
	unreachable = wasmenc.OpUnreachable
)

// nested is a function with sites (each a nop) inside blocks, loops and both
// arms of an if, and a direct call. Loops don't end at their end.
func nested() (body []byte, calls []unit.Call, sites []uint32) {
	b := []byte{1, 1, byte(abi.I64)} // one local
	site := func() {
		sites = append(sites, uint32(len(b)))
		b = append(b, nop)
	}
	site()
	b = append(b, wasmenc.OpBlock, op)
	b = append(b, wasmenc.OpLoop, op)
	site()
	b = append(b, wasmenc.OpBlock, op)
	b = append(b, wasmenc.OpLoop, op)
	b = append(b, wasmenc.OpI32Const, 0, wasmenc.OpIf, op)
	site()
	b = append(b, br, 4, wasmenc.OpElse) // out of all
	site()
	b = append(b, br, 3, wasmenc.OpEnd) // the outer loop again
	b = append(b, br, 0, wasmenc.OpEnd) // the inner loop again
	b = append(b, unreachable, wasmenc.OpEnd)
	for i := range byte(len(abi.Types[abi.TypeFunc].Params)) {
		b = append(b, wasmenc.OpLocalGet, i)
	}
	b = append(b, wasmenc.OpCall)
	calls = append(calls, unit.Call{Off: uint32(len(b)), Target: 0})
	b = append(wasmenc.AppendPadded(b, abi.NumImports), drop, drop, drop, drop)
	site()
	b = append(b, br, 0, wasmenc.OpEnd, unreachable, wasmenc.OpEnd)
	site()
	b = append(b, wasmenc.OpI32Const, 0, wasmenc.OpI64Const, 0, wasmenc.OpI64Const, 0, wasmenc.OpI32Const, 0)
	return append(b, wasmenc.OpEnd), calls, sites
}

// TestBody: what is made of each site is a valid function; that it does the
// right thing is shown where programs run (MEGABIN_RESTLESS).
func TestBody(t *testing.T) {
	body, calls, sites := nested()
	u := unittest.Make(t.Name(), unittest.Func{})
	u.Funcs[0].Body, u.Funcs[0].Calls = body, calls
	unittest.Validate(t, u.Encode())
	last := len(body) + 1000
	for i, off := range sites {
		restore := [][]byte{wasmenc.AppendU([]byte{wasmenc.OpGlobalGet}, uint64(abi.RAX)), {0x21, byte(len(abi.Types[abi.TypeFunc].Params))}}
		got, err := resume.Body(body, calls, unit.Site{Off: off, Restore: restore})
		if err != nil {
			t.Fatalf("site %d: %v", i, err)
		}
		u.Funcs[0].Body, u.Funcs[0].Calls = got, nil
		unittest.Validate(t, u.Encode())
		if i > 0 && i == len(sites)-1 && len(got) >= last {
			t.Errorf("what is left at the last site, outside of all loops, has %d bytes, at the one before %d", len(got), last)
		}
		last = len(got)
	}
}

func TestNoSuchSite(t *testing.T) {
	body, calls, sites := nested()
	for _, off := range []uint32{0, 5, sites[1] - 1, uint32(len(body)), 1 << 31} {
		if _, err := resume.Body(body, calls, unit.Site{Off: off}); err == nil {
			t.Errorf("offset %d: no error", off)
		}
	}
}

// FuzzBody: any bytes give an error or a body, and no panic.
func FuzzBody(f *testing.F) {
	body, _, sites := nested()
	f.Add(body, sites[3])
	f.Fuzz(func(t *testing.T, body []byte, off uint32) {
		_, _ = resume.Body(body, nil, unit.Site{Off: off})
	})
}
