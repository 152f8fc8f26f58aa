package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// toolchain builds one executable of several programs.
type toolchain struct {
	name     string
	compile  []string
	link     []string
	optimize []string
}

var gccLevels = []string{"-O0", "-O1", "-O2", "-O3", "-Os"}

// toolchains; the first makes the smallest programs, enough for `make test`.
var toolchains = []toolchain{
	{"musl-static", []string{"musl-gcc", "-fPIE"}, []string{"musl-gcc", "-static"}, gccLevels},
	{"gcc-static", []string{"gcc", "-fno-pie"}, []string{"gcc", "-static", "-no-pie"}, gccLevels},
	{"gcc-pie", []string{"gcc", "-fPIE"}, []string{"gcc", "-static-pie"}, gccLevels},
	{"gcc-v2", []string{"gcc", "-fPIE", "-march=x86-64-v2", "-ftree-vectorize"}, []string{"gcc", "-static-pie"}, gccLevels},
	{"clang-static", []string{"clang", "-fno-pie"}, []string{"clang", "-static", "-no-pie"}, []string{"-O0", "-O1", "-O2", "-O3", "-Os"}},
	{"clang-v2", []string{"clang", "-fPIE", "-march=x86-64-v2"}, []string{"clang", "-static-pie"}, []string{"-O2", "-O3"}},
}

// randomMain calls the program that each argument numbers.
const randomMain = `#include <stdio.h>
#include <stdlib.h>
%s
static int (*const programs[])(void) = {%s};
int main(int argc, char **argv) {
	for (int i = 1; i < argc; i++) {
		printf("%%s: ", argv[i]);
		fflush(stdout);
		programs[atoi(argv[i])]();
	}
	return 0;
}
`

// TestRandomC compares programs that csmith generates, and such of many calls, compiled
// in many ways, natively and converted.
func TestRandomC(t *testing.T) {
	seeds, chains := 4, toolchains[:1]
	if os.Getenv("MEGABIN_CONFORMANCE") != "" {
		seeds, chains = 40, toolchains
	}
	dir := t.TempDir()
	sources := randomSources(t, dir, seeds)
	rootfs := filepath.Join(dir, "rootfs")
	if err := os.Mkdir(rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, tc := range chains {
		if _, err := exec.LookPath(tc.compile[0]); err != nil {
			t.Logf("%s is not installed", tc.compile[0])
			continue
		}
		count[tc.name] = tc.build(t, dir, sources, filepath.Join(rootfs, tc.name))
	}
	ref := "oci:" + filepath.Join(dir, "image") + ":latest"
	if err := convert("dir:"+rootfs, ref); err != nil {
		t.Fatal(err)
	}
	for name, n := range count {
		t.Run(name, func(t *testing.T) { compareRandom(t, filepath.Join(rootfs, name), ref, "/"+name, n) })
	}
}

// randomSources writes programs to dir: so many of csmith, if it is there, and as
// many again of calls.
func randomSources(t *testing.T, dir string, seeds int) (sources []string) {
	_, err := exec.LookPath("csmith")
	if err != nil {
		t.Log("csmith is not installed")
	}
	for seed := range seeds {
		calls := filepath.Join(dir, fmt.Sprintf("calls%d.c", seed))
		if err := os.WriteFile(calls, []byte(randomCalls(int64(seed))), 0o644); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, calls)
		if err != nil {
			continue
		}
		p := filepath.Join(dir, fmt.Sprintf("p%d.c", seed))
		output(t, "csmith", "--seed", fmt.Sprint(seed+1), "--no-argc", "--float", "--max-funcs", "6", "--max-block-depth", "3", "-o", p)
		sources = append(sources, p)
	}
	return sources
}

// build compiles each source at each level and links them all to out. It
// returns their number.
func (tc *toolchain) build(t *testing.T, dir string, sources []string, out string) int {
	var objects, names []string
	for _, src := range sources {
		for _, level := range tc.optimize {
			name := fmt.Sprintf("main_%d", len(names))
			obj := filepath.Join(dir, tc.name+name+".o")
			args := append(tc.compile[1:len(tc.compile):len(tc.compile)], level, "-w", "-I/usr/include/csmith", "-Dmain="+name, "-c", "-o", obj, src)
			output(t, tc.compile[0], args...)
			objects, names = append(objects, obj), append(names, name)
		}
	}
	src := filepath.Join(dir, tc.name+".c")
	text := fmt.Sprintf(randomMain, "int "+strings.Join(names, "(void), ")+"(void);", strings.Join(names, ", "))
	if err := os.WriteFile(src, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append(tc.link[1:len(tc.link):len(tc.link)], "-o", out, src)
	output(t, tc.link[0], append(args, objects...)...)
	return len(names)
}

func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return out
}

// compareRandom runs all n programs. Those that natively run for long, as
// random programs may, are left out.
func compareRandom(t *testing.T, program, ref, path string, n int) {
	var args []string
	var want bytes.Buffer
	for i := range n {
		out, err := brief(program, fmt.Sprint(i))
		if errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, fmt.Sprint(i))
		want.Write(out)
	}
	got, err := exec.Command(megabin(), append([]string{"run", ref, path}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, clip(got))
	}
	if d := firstDifference(want.Bytes(), got); d != "" {
		t.Error(d)
	}
	t.Logf("%d programs, %d too long", len(args), n-len(args))
}

// brief runs a command for a second.
func brief(name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return out, err
}
