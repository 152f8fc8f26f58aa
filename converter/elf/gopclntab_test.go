package elf

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGoFuncs compares the function table of a stripped Go program with the
// symbols of the same program unstripped.
func TestGoFuncs(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "main.go")
	if err := os.WriteFile(src, []byte("package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	build := func(flags ...string) []byte {
		out := filepath.Join(dir, "out")
		cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), src)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("%v: %s", err, msg)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	symbols := map[uint64]string{}
	for _, s := range FunctionSymbols(build()) {
		symbols[s.Addr] = s.Name
	}
	f, err := Parse("go", build("-ldflags=-s -w"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[uint64]bool{}
	for _, g := range f.GoFuncs {
		found[g.Start] = true
	}
	for a, name := range symbols {
		if !found[a] && name != "runtime.etext" && name != "runtime.text" {
			t.Errorf("%s at %#x is missing", name, a)
		}
	}
	if len(found) < 1000 {
		t.Errorf("%d functions", len(found))
	}
}
