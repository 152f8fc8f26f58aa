package difftest

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/megabin/megabin/converter/x86"
)

// Where TestMXCSR's snippets take MXCSR from and leave it.
const (
	mxcsrIn  = 0x1e0
	mxcsrOut = 0x1e4
)

// TestMXCSR runs each floating-point form under every rounding mode, with and
// without flush-to-zero and denormals-are-zero, and compares results and
// exception flags.
func TestMXCSR(t *testing.T) {
	variants, states := 2, 24
	if thorough {
		variants, states = 10, 200
	}
	var list []specimen
	var asm []string
	forms := 0
	for i, f := range Forms() {
		if f.Untested() != "" || !computes(&f.Inst) {
			continue
		}
		forms++
		r := NewRandom(uint64(i))
		for range variants {
			code := f.Variant(r)
			in, err := x86.Decode(code, CodeBase)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, specimen{f, code, in})
			asm = append(asm, wrap(fmt.Sprintf("ldmxcsr [%#x]; %s; stmxcsr [%#x]", DataBase+mxcsrIn, byteDirective(code), DataBase+mxcsrOut)))
		}
	}
	code := assemble(t, asm)
	image, entries := link(t, asm, sharedDump)
	l := loadLifted(t, image, entries)
	for i, s := range list {
		t.Run(s.form.Name, func(t *testing.T) { s.testMXCSR(t, l, i, code[i], states) })
	}
	t.Logf("%d forms, %d encodings each, %d vectors each", forms, variants, states)
}

// computes is true for SSE instructions that MXCSR says something to.
func computes(in *x86.Inst) bool {
	return floatKind(in) != 0 || honoursRounding(in.Op) || len(x86.OpName(in.Op)) > 3 && x86.OpName(in.Op)[:3] == "CVT"
}

func (s *specimen) testMXCSR(t *testing.T, l *lifted, i int, code []byte, n int) {
	r := NewRandom(uint64(i))
	in := make([]State, n)
	for j := range in {
		in[j] = r.State()
		prepare(r, &s.inst, &in[j])
		in[j].SetMXCSR(0x1f80)
		mxcsr := 0x1f80 | r.Uint32N(4)<<13 | pick(r, []uint32{0, 0, 0x8000, 0x40, 0x8040}) | pick(r, []uint32{0, 0, r.Uint32N(64)})
		binary.LittleEndian.PutUint32(in[j].Data[mxcsrIn:], mxcsr)
		binary.LittleEndian.PutUint64(in[j].Stack[stackTop-8-StackBase:], in[j].Flags|0x202)
		in[j].GPR[RSP] -= 8
	}
	want, err := native.Run(code, in)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for j := range in {
		got, w := l.run(t, i, in[j]), want[j]
		takeFlags(&got)
		takeFlags(&w)
		adjust(&s.inst, &in[j], &got, &w)
		inexact := inexactFlags[x86.OpName(s.inst.Op)]
		for _, at := range [...][2][]byte{{got.Data[mxcsrOut:], w.Data[mxcsrOut:]}, {got.FX[24:], w.FX[24:]}} {
			at[0][0] = at[0][0]&^inexact | at[1][0]&inexact
		}
		if d := Diff(&got, &w, Mask{}); d != "" {
			if bad++; bad <= 1 {
				t.Errorf("% x (%v): vector %d: mxcsr %x: %s\n%s", s.code, s.inst, j, in[j].Data[mxcsrIn:mxcsrIn+4], describe(&in[j]), d)
			}
		}
	}
	if bad > 1 {
		t.Errorf("%d of %d vectors differ", bad, n)
	}
}

// Exception flags of MXCSR.
const (
	flagIE = 1 << iota
	flagDE
	flagZE
	flagOE
	flagUE
	flagPE
	allFlags = 1<<6 - 1
)

// inexactFlags are flags that are not as the processor's: instructions that
// are other ones for the engine. Their results are. docs/translator.md.
var inexactFlags = func() map[string]byte {
	m := map[string]byte{}
	for flags, ops := range map[byte]string{
		// Lanes that do not count are computed, too.
		allFlags: "ADDSUBPD ADDSUBPS DPPD DPPS CMPSD_XMM CMPSS MINSD MINSS MAXSD MAXSS RCPPS RCPSS RSQRTPS RSQRTSS",
		// comis is ucomis, and a condition may be several comparisons.
		flagIE | flagDE: "COMISD COMISS UCOMISD UCOMISS CMPPD CMPPS",
		// wasm's conversions saturate.
		flagIE | flagDE | flagPE: "CVTPD2DQ CVTPS2DQ CVTPD2PI CVTPS2PI CVTSD2SI CVTSS2SI CVTTPD2DQ CVTTPS2DQ CVTTPD2PI CVTTPS2PI CVTTSD2SI CVTTSS2SI",
		// The immediate may suppress it.
		flagPE: "ROUNDPD ROUNDPS ROUNDSD ROUNDSS",
	} {
		for _, op := range strings.Fields(ops) {
			m[op] = flags
		}
	}
	return m
}()
