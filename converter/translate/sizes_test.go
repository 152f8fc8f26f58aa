package translate

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	sizesELF    = "testdata/sizes/functions.so"
	sizesGolden = "testdata/sizes/golden.txt"
	// sizesTolerance is how much a size may change unnoticed, in per cent.
	sizesTolerance = 2
)

// funcSize is what a function takes, in bytes.
type funcSize struct {
	name      string
	x86, wasm int
}

// TestSizes compares what functions of a few kinds take with what they took:
// code that grows is a regression of speed too, mostly. What shrank is to be kept:
// -update writes the file anew.
func TestSizes(t *testing.T) {
	sizes := functionSizes(t)
	if *update {
		if err := os.WriteFile(sizesGolden, formatSizes(sizes), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	golden := readSizes(t)
	if len(golden) != len(sizes) {
		t.Errorf("%s has %d functions, %s %d", sizesELF, len(sizes), sizesGolden, len(golden))
	}
	for _, s := range sizes {
		was, ok := golden[s.name]
		switch {
		case !ok:
			t.Errorf("%s is not in %s", s.name, sizesGolden)
		case was.x86 != s.x86:
			t.Errorf("%s: %d bytes of x86, in %s %d", s.name, s.x86, sizesGolden, was.x86)
		case 100*max(was.wasm-s.wasm, s.wasm-was.wasm) > sizesTolerance*was.wasm:
			t.Errorf("%s: its wasm went from %d to %d bytes, by %+.1f %% (go test ./converter/translate -run TestSizes -update, if it is meant)",
				s.name, was.wasm, s.wasm, 100*float64(s.wasm-was.wasm)/float64(was.wasm))
		}
	}
}

// functionSizes translates the file and returns its functions by address.
func functionSizes(t *testing.T) (sizes []funcSize) {
	data, err := os.ReadFile(sizesELF)
	if err != nil {
		t.Fatal(err)
	}
	u, err := ELF(t.Context(), sizesELF, data)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	byEntry := map[uint32]elf.Symbol{}
	for _, s := range symbols {
		byEntry[uint32(s.Value-u.VMin)] = s
	}
	for i := range u.Funcs {
		if s, ok := byEntry[u.Funcs[i].Entry]; ok {
			sizes = append(sizes, funcSize{s.Name, int(s.Size), len(u.Funcs[i].Body)})
			delete(byEntry, u.Funcs[i].Entry)
		}
	}
	for _, s := range byEntry {
		t.Errorf("%s was not translated", s.Name)
	}
	return sizes
}

func formatSizes(sizes []funcSize) []byte {
	var b bytes.Buffer
	b.WriteString("# Bytes of the functions of functions.so: x86 and the wasm made of it. Written by go test -run TestSizes -update.\n")
	sizes = slices.Clone(sizes)
	slices.SortFunc(sizes, func(a, b funcSize) int { return strings.Compare(a.name, b.name) })
	var x86, wasm int
	for _, s := range sizes {
		fmt.Fprintf(&b, "%-10s %4d %5d\n", s.name, s.x86, s.wasm)
		x86, wasm = x86+s.x86, wasm+s.wasm
	}
	fmt.Fprintf(&b, "# all: %.2f times\n", float64(wasm)/float64(x86))
	return b.Bytes()
}

func readSizes(t *testing.T) map[string]funcSize {
	text, err := os.ReadFile(sizesGolden)
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]funcSize{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var s funcSize
		if _, err := fmt.Sscan(line, &s.name, &s.x86, &s.wasm); err != nil {
			t.Fatalf("%s: %q: %v", sizesGolden, line, err)
		}
		golden[s.name] = s
	}
	return golden
}
