package disasm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compileHere compiles a program of the integration tests.
func compileHere(t *testing.T, command, source string) *Program {
	out := filepath.Join(t.TempDir(), "program")
	words := append(strings.Fields(command), "-w", "-o", out, "../../integration/testdata/compiled/"+source)
	if _, err := exec.LookPath(words[0]); err != nil {
		t.Skip(err)
	}
	if msg, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return analyzeBytes(t, out, data)
}

// TestLandingPads: each landing pad of the unwind tables can be entered.
func TestLandingPads(t *testing.T) {
	for _, command := range []string{"g++ -O0", "g++ -O2", "g++ -O2 -static", "g++ -O2 -no-pie", "clang++ -O2"} {
		t.Run(command, func(t *testing.T) {
			p := compileHere(t, command, "exceptions.cpp")
			checkProgram(t, p)
			entries := map[uint64]bool{}
			for _, f := range p.Funcs {
				entries[f.Entry] = true
			}
			pads := 0
			for _, fde := range p.File.FDEs {
				for _, pad := range fde.LandingPads {
					if pads++; !entries[pad] {
						t.Errorf("landing pad %#x of %#x is no entry", pad, fde.Start)
					}
				}
			}
			if pads < 20 {
				t.Errorf("%d landing pads", pads)
			}
		})
	}
}

// TestComputedJumps: all jumps in labels.c, C's and hand-written ones, are
// resolved. What is left are the C runtime's own tail calls and one through an
// argument.
func TestComputedJumps(t *testing.T) {
	for _, command := range []string{"gcc -O0", "gcc -O2", "gcc -O2 -no-pie", "clang -O2"} {
		t.Run(command, func(t *testing.T) {
			p := compileHere(t, command, "labels.c")
			checkProgram(t, p)
			if n := len(p.Stats.Unresolved); n > 3 {
				t.Errorf("%d jumps are not resolved: %#x", n, p.Stats.Unresolved)
			}
		})
	}
}
