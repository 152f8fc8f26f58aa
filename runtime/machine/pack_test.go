package machine

import (
	"bytes"
	"context"
	"testing"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/unit/unittest"
	"github.com/megabin/megabin/layers/wasmenc"
)

var _ Unit = (*pack.UnitRef)(nil)

// paddedCall calls a function of the same part as units do; at is the
// position of the index in the function's body.
func (a asm) paddedCall() (_ asm, at int) {
	a = a.calleeArgs().op(wasmenc.OpCall)
	const localDeclarations = 3
	return wasmenc.AppendPadded(a, 0), len(a) + localDeclarations
}

// packed writes a megabinary of one unit with two parts: function 0 calls 3 in
// its part and 2 in the other, and returns the sum of their results.
func packed(t *testing.T) Unit {
	t.Helper()
	constant := func(v int64) []byte { return asm{}.ret(func(a asm) asm { return a.i64(v) }) }
	caller, at := asm{}.push(0).paddedCall()
	caller = caller.keepRAX().get(lTmp).set(lTmp + 1)
	caller = caller.push(0).crossCall(2).keepRAX()
	body := caller.ret(func(a asm) asm { return a.get(lTmp, lTmp+1).op(opI64Add) })
	u := unittest.Make(t.Name(), unittest.Func{}, unittest.Func{}, unittest.Func{Part: 1}, unittest.Func{})
	for i, b := range [][]byte{body, exitBody(testExit), constant(20), constant(3)} {
		u.Funcs[i].Body, u.Funcs[i].Calls = b, nil
	}
	u.Funcs[0].Calls = []unit.Call{{Off: uint32(at), Target: 3}}
	var b pack.Buffer
	source, err := pack.Unit(u)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pack.Write(t.Context(), &b, []*pack.Source{source}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := pack.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	check(t, err)
	ref, ok, err := m.Unit(u.Source)
	if err != nil || !ok {
		t.Fatalf("unit found: %v, %v", ok, err)
	}
	return ref
}

// TestMegabinary runs a unit out of a megabinary.
func TestMegabinary(t *testing.T) {
	as := newTestSpace(t, newTestEngine(t, Options{}), packed(t))
	c := newTestCPU(t, as, &recorder{stopAt: testExit}, 0)
	wantStop(t, c.Run(context.Background()))
	if v := c.Reg(abi.RAX); v != 23 {
		t.Errorf("rax %d, want 23", v)
	}
}
