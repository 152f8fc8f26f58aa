package x86

import (
	"errors"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// The encodings are from the Intel SDM's instruction pages.
func TestDecodeOps(t *testing.T) {
	for _, c := range []struct {
		code string
		op   x86asm.Op
	}{
		{"\xf3\x0f\x1e\xfa", ENDBR64},
		{"\xf3\x0f\x1e\xfb", ENDBR32},
		{"\xf3\x48\x0f\x1e\xc8", RDSSP},
		{"\xf3\x48\x0f\xae\xe8", INCSSP},
		{"\x66\x0f\x38\xf6\xc1", Unannounced},             // adcx
		{"\xf3\x48\x0f\x38\xf6\x44\x24\x08", Unannounced}, // adox
		{"\x0f\x01\xee", Unannounced},                     // rdpkru
		{"\x0f\xc7\xf8", Unannounced},                     // rdseed
		{"\xc5\xf8\x77", VEX},                             // vzeroupper
		{"\xc4\xe2\x7d\x58\x05\x01\x02\x03\x04", VEX},     // vpbroadcastd
		{"\x62\xf1\x7c\x48\x10\x40\x01", VEX},             // vmovups zmm
		{"\x3e\xff\xe0", x86asm.JMP},                      // notrack
		{"\xf2\xe9\x00\x00\x00\x00", x86asm.JMP},          // bnd
		{"\xf3\x90", x86asm.PAUSE},
		{"\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", x86asm.NOP},
		{"\x0f\x01\xd0", x86asm.XGETBV},
		{"\x0f\xc7\x64\x24\x40", x86asm.XSAVEC},
		{"\xf3\x0f\xb8\xc1", x86asm.POPCNT},
		{"\xf2\x48\x0f\x38\xf1\xc1", x86asm.CRC32},
		{"\x0f\x38\xf0\x07", x86asm.MOVBE},
		{"\x0f\x0b", x86asm.UD2},
		{"\x0f\x05", x86asm.SYSCALL},
		{"\x66\x66\x48\xe8\x00\x00\x00\x00", x86asm.CALL},
	} {
		in, err := Decode([]byte(c.code+"\xcc"), 0x1000)
		if err != nil || in.Op != c.op || in.Len != len(c.code) || in.Next() != 0x1000+uint64(len(c.code)) {
			t.Errorf("% x: %s, %d bytes, %v; want %s", c.code, OpName(in.Op), in.Len, err, OpName(c.op))
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for code, want := range map[string]error{
		"":                 ErrTruncated,
		"\x48":             ErrTruncated,
		"\x48\x8b\x80":     ErrTruncated,
		"\x06":             ErrUnknown,
		"\x0f\x04":         ErrUnknown,
		"\xff\xff":         ErrUnknown,
		"\x48\xc5\xf8\x77": ErrUnknown,
		"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90": ErrTruncated,
	} {
		if _, err := Decode([]byte(code), 0); !errors.Is(err, want) {
			t.Errorf("% x: %v, want %v", code, err, want)
		}
	}
}

func TestDisplacementsAreSigned(t *testing.T) {
	for code, want := range map[string]int64{
		"\x48\x8b\x80\xf8\xff\xff\xff":             -8,
		"\x48\x8b\x05\xf8\xff\xff\xff":             -8,
		"\x48\x8b\x40\xf8":                         -8,
		"\x48\xa1\xf8\xff\xff\xff\x00\x00\x00\x00": 0xfffffff8,
	} {
		in, err := Decode([]byte(code), 0)
		if m, ok := in.Args[1].(x86asm.Mem); err != nil || !ok || m.Disp != want {
			t.Errorf("% x: %v %v, want displacement %d", code, in.Args[1], err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\xf3\x48\x0f\x1e\xc8"))
	f.Add([]byte("\x62\xf1\x7c\x48\x10\x40\x01"))
	f.Add([]byte("\x8f\xe8\x78\xa2\xc1\x10"))
	f.Fuzz(func(t *testing.T, code []byte) {
		in, err := Decode(code, 0x400000)
		if err != nil {
			return
		}
		if in.Len < 1 || in.Len > MaxLen || in.Len > len(code) || in.Op == 0 {
			t.Errorf("% x: %s of %d bytes", code, OpName(in.Op), in.Len)
		}
		if again, err := Decode(code[:in.Len], 0x400000); err != nil || *again.Inst != *in.Inst {
			t.Errorf("% x: bytes behind the instruction change it", code)
		}
	})
}
