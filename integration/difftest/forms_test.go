package difftest

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/megabin/megabin/converter/x86"
)

// thorough asks for the vectors of `make conformance`.
var thorough = os.Getenv("MEGABIN_CONFORMANCE") != ""

// How many encodings of a form are tested, and from how many states each.
func effort() (variants, states int) {
	if thorough {
		return 10, 100 * *more
	}
	return 2, 6 * *more
}

// perProgram is how many snippets are recompiled together.
const perProgram = 400

// engines run the same program.
type engines struct {
	lifted      *lifted
	interpreted *interpreted
}

// specimen is one encoding of a form.
type specimen struct {
	form *Form
	code []byte
	inst x86.Inst
}

// TestForms runs every form that the decoder knows and that can be run on its
// own, in several encodings, from many states.
func TestForms(t *testing.T) {
	variants, states := effort()
	var all []specimen
	forms := 0
	for i, f := range Forms() {
		if f.Untested() != "" {
			continue
		}
		forms++
		r := NewRandom(uint64(i))
		for range variants {
			code := f.Variant(r)
			if code == nil {
				t.Fatalf("%s: no encoding found again", f.Name)
			}
			in, err := x86.Decode(code, CodeBase)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, specimen{f, code, in})
		}
	}
	for len(all) > 0 {
		n := min(perProgram, len(all))
		testSpecimens(t, all[:n], states)
		all = all[n:]
	}
	t.Logf("%d forms, %d encodings each, %d vectors each", forms, variants, states)
}

func testSpecimens(t *testing.T, list []specimen, states int) {
	asm := make([]string, len(list))
	for i, s := range list {
		asm[i] = wrap(byteDirective(s.code))
	}
	code := assemble(t, asm)
	image, entries := link(t, asm, sharedDump)
	e := engines{loadLifted(t, image, entries), startInterpreted(t, image, entries)}
	for i, s := range list {
		t.Run(s.form.Name, func(t *testing.T) { s.test(t, e, i, code[i], states) })
	}
}

func byteDirective(code []byte) string {
	var b strings.Builder
	b.WriteString(".byte ")
	for i, c := range code {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%#x", c)
	}
	return b.String()
}

// kernelOps are instructions that an ordinary kernel answers or refuses in the processor's
// place. One that runs below a hypervisor without the processor's help (PVM) has
// the hypervisor's descriptor tables and no say in it.
var kernelOps = invert(map[string]string{"x": "LAR SGDT SIDT SLDT SMSW STR SYSEXIT"})

// ordinaryKernel tells whether the kernel can have the processor refuse
// programs a look at its tables.
var ordinaryKernel = sync.OnceValue(func() bool {
	info, err := os.ReadFile("/proc/cpuinfo")
	return err != nil || slices.Contains(strings.Fields(string(info)), "umip")
})

func (s *specimen) test(t *testing.T, e engines, i int, code []byte, n int) {
	if kernelOps[x86.OpName(s.form.Op)] != "" && !ordinaryKernel() {
		t.Skip("the kernel of this machine has no UMIP, with which it gives fixed answers")
	}
	r := NewRandom(uint64(i))
	in := make([]State, n)
	for j := range in {
		in[j] = r.State()
		prepare(r, &s.inst, &in[j])
		binary.LittleEndian.PutUint64(in[j].Stack[stackTop-8-StackBase:], in[j].Flags|0x202)
		in[j].GPR[RSP] -= 8
	}
	want, err := native.Run(code, in)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for j := range in {
		d := s.diff(&in[j], e.lifted.run(t, i, in[j]), want[j])
		if got, ok := e.interpreted.run(t, i, in[j]); ok {
			if di := s.diff(&in[j], got, want[j]); di != d {
				d += "interpreted:\n" + di
			}
		}
		if d != "" {
			if bad++; bad <= 1 {
				t.Errorf("% x (%v): vector %d: %s\n%s", s.code, s.inst, j, describe(&in[j]), d)
			}
		}
	}
	if bad > 1 {
		t.Errorf("%d of %d vectors differ", bad, n)
	}
}

// diff describes how got, started from in, differs from want.
func (s *specimen) diff(in *State, got, want State) string {
	takeFlags(&got)
	takeFlags(&want)
	adjust(&s.inst, in, &got, &want)
	return Diff(&got, &want, Mask{Flags: Undefined(&s.inst, in), MXCSR: noExceptions.MXCSR})
}

// announcedElsewhere are opcodes of extensions that CPUID does not announce,
// which the host may have.
func announcedElsewhere(e encoding) bool {
	if e.lock && e.escape == "\x0f" && (e.opcode == 0 || e.opcode == 0x20 || e.opcode == 0x22) {
		return true // to AMD, lock mov cr0 is mov cr8
	}
	return e.escape == "\x0f" && (e.opcode == 0x01 && e.mod == 3 || e.opcode == 0xae || e.opcode == 0xc7 || e.opcode == 0x79 || e.opcode == 0x78) || e.escape == "\x0f\x38" && e.opcode >= 0xc8 && e.opcode <= 0xcf
}

// TestUndefined: what the decoder does not know is an invalid opcode on the
// processor, too.
func TestUndefined(t *testing.T) {
	var codes [][]byte
	i := 0
	visitEncodings(func(e encoding) {
		i++
		if announcedElsewhere(e) || !thorough && i%16 != 0 {
			return
		}
		code := e.bytes(e.reg, e.rm, 0x21)
		if _, err := x86.Decode(code, CodeBase); err != nil {
			codes = append(codes, code)
		}
	})
	state := []State{NewRandom(1).State()}
	bad := 0
	for _, code := range codes {
		out, err := native.Run(code, state)
		if err != nil {
			t.Fatalf("% x: %v", code, err)
		}
		if out[0].Signal != 4 {
			if bad++; bad < 40 {
				t.Errorf("% x: signal %d", code, out[0].Signal)
			}
		}
	}
	t.Logf("%d undefined encodings, %d are not on the processor", len(codes), bad)
}
