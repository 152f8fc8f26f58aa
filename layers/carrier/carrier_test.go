package carrier

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/unit"
)

// metaOf is what a unit of a file would tell if all of .text were covered but
// for a few bytes now and then.
func metaOf(t *testing.T, name string, every uint64) *unit.Meta {
	t.Helper()
	f, err := elf.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := &unit.Meta{}
	first := true
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if first {
			m.VMin, first = p.Vaddr&^0xfff, false
		}
		if p.Flags&elf.PF_X != 0 {
			m.Exec = append(m.Exec, unit.ExecSpan{Off: uint32(p.Vaddr - m.VMin), FileOff: p.Off, Size: p.Filesz})
		}
	}
	m.Entry = uint32(f.Entry - m.VMin)
	text := f.Section(".text")
	for off := text.Offset; off < text.Offset+text.Size; off += every {
		m.Covered = append(m.Covered, unit.Span{Off: off, Size: min(every, text.Offset+text.Size-off) - 1})
	}
	return m
}

// TestProcessorRuns starts carriers natively: a static program, and one whose
// loader is a carrier.
func TestProcessorRuns(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "main.c")
	if err := os.WriteFile(source, []byte("int main(void) { return 3; }"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		flags []string
		every uint64
	}{
		{"static", []string{"-static"}, 1 << 40},
		{"static position independent", []string{"-static-pie"}, 1 << 40},
		{"covered in pieces", []string{"-static"}, 256},
		{"dynamic, as if started by itself", nil, 1 << 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			original := filepath.Join(dir, "original")
			if out, err := exec.Command("gcc", append(tt.flags, "-O1", "-o", original, source)...).CombinedOutput(); err != nil {
				t.Skipf("gcc: %v: %s", err, out)
			}
			m := metaOf(t, original, tt.every)
			carried := carry(t, original, m)
			cmd := exec.Command(carried)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != Status || stderr.String() != Message {
				t.Errorf("it ends with %v and says %q", err, stderr.String())
			}
		})
	}
}

// carry writes the carrier of a file.
func carry(t *testing.T, original string, m *unit.Meta) string {
	t.Helper()
	b, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(tarfs.Mask(bytes.NewReader(b), Edits(m, 0)))
	if err != nil || len(out) != len(b) {
		t.Fatalf("%d bytes, not %d: %v", len(out), len(b), err)
	}
	name := original + ".carrier"
	os.Remove(name)
	if err := os.WriteFile(name, out, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestOnlyCoveredBytes checks that a carrier differs in covered bytes only and
// that of those only a jump and the stub are not zero.
func TestOnlyCoveredBytes(t *testing.T) {
	for _, m := range []unit.Meta{
		{Entry: 0x1000, Exec: []unit.ExecSpan{{Off: 0x1000, FileOff: 100, Size: 1000}}, Covered: []unit.Span{{Off: 100, Size: 4}, {Off: 200, Size: 500}}},
		{Entry: 0x1000, Exec: []unit.ExecSpan{{Off: 0x1000, FileOff: 100, Size: 1000}}, Covered: []unit.Span{{Off: 100, Size: 5}, {Off: 200, Size: 500}}},
		{Entry: 0x1100, Exec: []unit.ExecSpan{{Off: 0x1000, FileOff: 100, Size: 1000}}, Covered: []unit.Span{{Off: 110, Size: 900}}},
		{Entry: 0x1001, Exec: []unit.ExecSpan{{Off: 0x1000, FileOff: 100, Size: 1000}}, Covered: []unit.Span{{Off: 100, Size: 90}}},
		{Entry: 0, Exec: []unit.ExecSpan{{Off: 0, FileOff: 100, Size: 1000}}, Covered: []unit.Span{{Off: 100, Size: 900}}},
		{Entry: 0xffff0000, Exec: []unit.ExecSpan{{Off: 0x1000, FileOff: 100, Size: 1000}}, Covered: []unit.Span{{Off: 100, Size: 900}}},
	} {
		const size = 1200
		covered := make([]bool, size)
		for _, s := range m.Covered {
			for i := s.Off; i < s.Off+s.Size; i++ {
				covered[i] = true
			}
		}
		in := bytes.Repeat([]byte{0xaa}, size)
		out, _ := io.ReadAll(tarfs.Mask(bytes.NewReader(append(make([]byte, 7), in...)), Edits(&m, 7)))
		out = out[7:]
		ours := 0
		for i := range out {
			switch {
			case !covered[i] && out[i] != 0xaa:
				t.Errorf("%+v: byte %d is not covered but %#x", m, i, out[i])
			case covered[i] && out[i] != 0:
				ours++
			}
		}
		if limit := sizeJump + len(stub); ours > limit {
			t.Errorf("%+v: %d bytes are not zero, more than %d", m, ours, limit)
		}
	}
}
