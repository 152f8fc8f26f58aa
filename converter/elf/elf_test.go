package elf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

var hostFiles = []string{"/bin/bash", "/bin/ls", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"}

func read(t testing.TB, name string) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Skip(err)
	}
	return data
}

func parse(t testing.TB, name string, data []byte) *File {
	f, err := Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func readelf(t *testing.T, args ...string) string {
	out, err := exec.Command("readelf", args...).Output()
	if err != nil {
		t.Skip(err)
	}
	return string(out)
}

// TestFDEsAgainstReadelf compares every function's range.
func TestFDEsAgainstReadelf(t *testing.T) {
	for _, name := range hostFiles {
		got := map[string]bool{}
		for _, d := range parse(t, name, read(t, name)).FDEs {
			got[strconv.FormatUint(d.Start, 16)+".."+strconv.FormatUint(d.End, 16)] = true
		}
		n := 0
		for _, line := range strings.Split(readelf(t, "--debug-dump=frames", name), "\n") {
			_, pc, ok := strings.Cut(line, " pc=")
			from, to, _ := strings.Cut(pc, "..")
			if !ok {
				continue
			}
			n++
			if key := strings.TrimLeft(from, "0") + ".." + strings.TrimLeft(to, "0"); !got[key] {
				t.Errorf("%s: FDE %s is missing", name, key)
			}
		}
		if n != len(got) {
			t.Errorf("%s: %d FDEs, readelf has %d", name, len(got), n)
		}
	}
}

// TestRelativeRelocationsAgainstReadelf compares relocated pointers to code.
func TestRelativeRelocationsAgainstReadelf(t *testing.T) {
	for _, name := range hostFiles {
		f := parse(t, name, read(t, name))
		got := map[uint64]uint64{}
		for _, p := range f.Pointers {
			got[p.Slot] = p.Target
		}
		for _, line := range strings.Split(readelf(t, "-rW", name), "\n") {
			w := strings.Fields(line)
			if len(w) != 4 || w[2] != "R_X86_64_RELATIVE" {
				continue
			}
			slot, _ := strconv.ParseUint(w[0], 16, 64)
			target, _ := strconv.ParseUint(w[3], 16, 64)
			if f.IsCode(target) && got[slot] != target {
				t.Errorf("%s: %#x points to %#x, want %#x", name, slot, got[slot], target)
			}
		}
	}
}

func TestDynamicSymbolsAgainstReadelf(t *testing.T) {
	for _, name := range hostFiles {
		got := map[string]int{}
		for _, s := range parse(t, name, read(t, name)).Symbols {
			if s.Dynamic {
				got[strconv.FormatUint(s.Addr, 16)]++
			}
		}
		want := map[string]int{}
		for _, line := range strings.Split(readelf(t, "-W", "--dyn-syms", name), "\n") {
			if w := strings.Fields(line); len(w) >= 8 && (w[3] == "FUNC" || w[3] == "IFUNC") && w[6] != "UND" {
				want[strings.TrimLeft(w[1], "0")]++
			}
		}
		for a, n := range want {
			if got[a] != n {
				t.Errorf("%s: %d function symbols at %s, want %d", name, got[a], a, n)
			}
		}
	}
}

func TestKinds(t *testing.T) {
	want := map[string]Kind{"/bin/bash": Executable, "/lib/x86_64-linux-gnu/libc.so.6": Library, "/lib64/ld-linux-x86-64.so.2": Loader}
	for name, kind := range want {
		if f := parse(t, name, read(t, name)); f.Kind != kind {
			t.Errorf("%s: %v, want %v", name, f.Kind, kind)
		}
	}
}

// withoutSections removes the section headers.
func withoutSections(data []byte) []byte {
	data = bytes.Clone(data)
	clear(data[40:48])
	clear(data[60:64])
	return data
}

func TestSectionHeadersAreNotNeeded(t *testing.T) {
	for _, name := range hostFiles {
		data := read(t, name)
		broken := bytes.Clone(data)
		binary.LittleEndian.PutUint64(broken[40:], 1<<60)
		want := parse(t, name, data)
		for _, d := range [][]byte{withoutSections(data), broken} {
			f := parse(t, name, d)
			if len(f.FDEs) != len(want.FDEs) || len(f.Pointers) != len(want.Pointers) || len(f.InitFuncs) != len(want.InitFuncs) ||
				f.Kind != want.Kind || f.VMin != want.VMin || !bytes.Equal(f.BuildID, want.BuildID) {
				t.Errorf("%s: differs without section headers", name)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	good := read(t, "/bin/ls")
	change := func(at int, b ...byte) []byte {
		d := bytes.Clone(good)
		copy(d[at:], b)
		return d
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":       {nil, ErrNotELF},
		"script":      {[]byte("#!/bin/sh\n"), ErrNotELF},
		"header":      {good[:40], ErrBroken},
		"truncated":   {good[:len(good)/2], ErrBroken},
		"32-bit":      {change(4, 1), ErrMachine},
		"big-endian":  {change(5, 2), ErrMachine},
		"arm64":       {change(18, 183, 0), ErrMachine},
		"relocatable": {change(16, 1), ErrNoCode},
		"no segments": {change(56, 0, 0), ErrNoCode},
	} {
		_, err := Parse(name, c.data)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"/bin/true", "/lib64/ld-linux-x86-64.so.2"} {
		data := read(f, name)
		f.Add(data, uint32(64), byte(0xff))
		f.Add(withoutSections(data), uint32(0x300), byte(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint32, flip byte) {
		data = bytes.Clone(data)
		if len(data) > 0 {
			data[at%uint32(len(data))] ^= flip
		}
		file, err := Parse("fuzz", data)
		if err != nil {
			return
		}
		for _, s := range file.Symbols {
			if len(file.Bytes(s.Addr)) == 0 {
				t.Errorf("symbol %q at %#x has no bytes", s.Name, s.Addr)
			}
		}
		for _, d := range file.FDEs {
			if d.End <= d.Start || !file.IsCode(d.Start) {
				t.Errorf("FDE %#x–%#x is not code", d.Start, d.End)
			}
		}
	})
}

// TestMutations flips bytes where the structures are: nothing may panic.
func TestMutations(t *testing.T) {
	for _, name := range []string{"/bin/true", "/lib64/ld-linux-x86-64.so.2"} {
		good := read(t, name)
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 1500 {
			data := bytes.Clone(good)
			for range 1 + rnd.IntN(8) {
				at := rnd.IntN(len(data))
				if rnd.IntN(2) == 0 {
					at = rnd.IntN(0x800) // headers and dynamic tables
				}
				data[at] = byte(rnd.Uint32())
			}
			Parse(name, data)
		}
	}
}
