package difftest

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
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

func (s *specimen) test(t *testing.T, e engines, i int, code []byte, n int) {
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
