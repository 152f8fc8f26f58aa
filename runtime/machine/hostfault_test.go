package machine

import (
	"context"
	"testing"

	"github.com/megabin/megabin/layers/wasmenc"
)

// TestReach: no address and no offset gets compiled code out of what is reserved
// for it, and what lies outside of linear memory faults, even if nothing uses it.
func TestReach(t *testing.T) {
	const (
		i32Load8S   = 0x2c
		i64Load8S   = 0x30
		v128Load64S = 0x5c // v128.load64_zero, after 0xfd
		top         = int32(-1)
		far         = 0xFFFFFFFF
	)
	at := func(a asm, op byte, offset uint64) asm {
		return append(append(a, op, 0), wasmenc.AppendU(nil, offset)...)
	}
	load := func(addr int32, op byte, offset uint64) asm { return at(asm{}.i32(addr), op, offset).op(opDrop) }
	cell := int32(linear(testStack - 0x8000))
	tests := []struct {
		name string
		code asm
		addr uint64 // that the fault tells
	}{
		{"the last byte", load(top, i64Load8S, 0), 0xFFFFFFFF},
		{"over the end", load(top-7, opI64Load, 7), 0xFFFFFFFF},
		{"an offset of 4 GiB", load(0x1000, i64Load8S, far), 0xFFF},
		{"both", load(top, opI64Load, far), 0xFFFFFFFE},
		{"a constant above 2 GiB and an offset", load(-0x10000, i64Load8S, 0x10000), 0},
		{"an address that was sign-extended", at(at(asm{}.i32(cell).i32(cell).i32(0xFF).op(0x3a, 0, 0), i32Load8S, 0), i64Load8S, 0).op(opDrop), 0xFFFFFFFF},
		{"the null page", load(0x10, opI64Load, 0x20), 0x30},
		{"less than nothing", at(asm{}.i32(cell).op(opI32Load, 2, 0).i32(-16).op(opI32Add), opI64Load, 0).op(opDrop), 0xFFFFFFF0},
		{"over the beginning", at(asm{}.i32(cell).op(opI32Load, 2, 0).i32(-4).op(opI32Add), opI64Load, 0).op(opDrop), 0xFFFFFFFC},
		{"a store", at(asm{}.i32(top).i64(1), opI64Store, far), 0xFFFFFFFE},
		{"a vector's half", append(append(asm{}.i32(top), 0xfd), append([]byte{v128Load64S, 0}, wasmenc.AppendU(nil, far)...)...).op(opDrop), 0xFFFFFFFE},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := &testUnit{name: t.Name(), funcs: []testFunc{{0, tt.code.ret(func(a asm) asm { return a.i64(0) })}}}
			c := newTestCPU(t, newTestSpace(t, newTestEngine(t, Options{}), u), &recorder{}, 0)
			for range 2 { // what was left can be entered again
				enterAt(t, c, 0)
				exit := c.Run(context.Background())
				if exit.Fault == nil || exit.Fault.Kind != SEGV {
					t.Fatalf("exit is %+v", exit)
				}
				if a := exit.Fault.Addr; a != 0 && a != tt.addr { // an engine that checks does not tell
					t.Errorf("fault at %#x, want %#x", a, tt.addr)
				}
			}
		})
	}
}
