package codefile

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// pieces are what the tests' files have.
var pieces = []struct {
	id        ID
	code      string
	functions []int
}{
	{ID{1}, "first", []int{0, 2}},
	{ID{2}, string(bytes.Repeat([]byte("second"), 1000)), []int{6, 600, 3000}},
	{ID{3}, "third", []int{0}},
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made returns the name of files with all pieces.
func made(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "dir", "x")
	f := Open(name)
	for _, p := range pieces {
		check(t, f.Add(p.id, Code{Bytes: []byte(p.code), Functions: p.functions}))
	}
	return name
}

// reboot is what makes a file's code unknown.
func reboot() { bootAs(boot() + 1) }

func bootAs(n uint64) { boot = func() uint64 { return n } }

// found tells which pieces the files have after a boot; those must be right.
func found(t *testing.T, name string) (list [3]bool) {
	t.Helper()
	reboot()
	f := Open(name)
	defer f.Close()
	for i, p := range pieces {
		first, n, ok := f.Find(p.id)
		if !ok {
			continue
		}
		list[i] = true
		if n != len(p.functions) {
			t.Fatalf("piece %d has %d functions", i, n)
		}
		start := f.Functions()[first] - p.functions[0]
		if start%align != 0 {
			t.Errorf("piece %d is at %#x", i, start)
		}
		for j, off := range p.functions {
			if got := f.Functions()[first+j]; got != start+off {
				t.Errorf("function %d of piece %d is at %#x, want %#x", j, i, got, start+off)
			}
		}
		if string(f.Code()[start:][:len(p.code)]) != p.code {
			t.Errorf("piece %d has other code", i)
		}
	}
	return list
}

var all = [3]bool{true, true, true}

func TestFile(t *testing.T) {
	if got := found(t, filepath.Join(t.TempDir(), "none")); got != [3]bool{} {
		t.Errorf("files that are not there have %v", got)
	}
	if got := found(t, made(t)); got != all {
		t.Errorf("the files have %v", got)
	}
}

// TestDamage: what was changed or cut off is not found, or as it was added; it can be added again.
func TestDamage(t *testing.T) {
	name := made(t)
	good := map[string][]byte{}
	codeExt := ".1" + codeExt
	for _, ext := range []string{indexExt, codeExt} {
		b, err := os.ReadFile(name + ext)
		check(t, err)
		good[ext] = b
	}
	// damage tells whether it was noticed that a file has other content.
	damage := func(ext string, bad []byte) bool {
		for other, b := range good {
			check(t, os.WriteFile(name+other, b, 0o600))
		}
		check(t, os.WriteFile(name+ext, bad, 0o600))
		got := found(t, name)
		f := Open(name)
		defer f.Close()
		for i, p := range pieces {
			if !got[i] {
				check(t, f.Add(p.id, Code{Bytes: []byte(p.code), Functions: p.functions}))
			}
		}
		if got := found(t, name); got != all {
			t.Fatalf("%s: %v after it was added again", ext, got)
		}
		return got != all
	}
	for ext, b := range good {
		step := max(1, len(b)/300)
		noticed, tries := 0, 0
		for i := 0; i < len(b); i += step {
			flipped := bytes.Clone(b)
			flipped[i] ^= 0x10
			for _, bad := range [][]byte{flipped, b[:i]} {
				tries++
				if damage(ext, bad) {
					noticed++
				}
			}
		}
		if noticed < tries*9/10 { // some bytes are between the pieces
			t.Errorf("%s: %d of %d damages were noticed", ext, noticed, tries)
		}
	}
	for ext, b := range good {
		check(t, os.WriteFile(name+ext, b, 0o600))
	}
	check(t, os.Remove(name+codeExt))
	if got := found(t, name); got != [3]bool{} {
		t.Errorf("without code: %v", got)
	}
}

// TestKnown: code is compared once in a boot, and not at all in that which it was written in.
func TestKnown(t *testing.T) {
	name := made(t)
	// inFile tells whether the first piece is found after its code was changed.
	inFile := func(code string) bool {
		t.Helper()
		file, err := os.OpenFile(generationName(name, 1), os.O_WRONLY, 0)
		check(t, err)
		defer file.Close()
		_, err = file.WriteAt([]byte(code), 0)
		check(t, err)
		f := Open(name)
		defer f.Close()
		_, _, ok := f.Find(pieces[0].id)
		return ok
	}
	if !inFile("FIRST") {
		t.Error("code was compared in the boot that wrote it")
	}
	reboot()
	if inFile("FIRST") {
		t.Error("changed code was found after a boot")
	}
	if !inFile("first") {
		t.Error("code is not found after a boot")
	}
	if !inFile("FIRST") {
		t.Error("code was compared twice in a boot")
	}
	bootAs(0)
	if inFile("FIRST") || !inFile("first") || inFile("FIRST") {
		t.Error("code was not compared each time on a host that does not name its boots")
	}
}

// TestWriters: several processes add to the same files.
func TestWriters(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	var group sync.WaitGroup
	for _, p := range pieces {
		group.Go(func() {
			f := Open(name)
			for range 20 {
				if err := f.Add(p.id, Code{Bytes: []byte(p.code), Functions: p.functions}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := found(t, name); got != all {
		t.Errorf("the files have %v", got)
	}
}

// TestLink has pieces call each other, and one that is not there.
func TestLink(t *testing.T) {
	// Each piece's code is a call of the function it is given, and 16 bytes further on what finds that.
	piece := func(self, callee uint32) Code {
		b := make([]byte, 32)
		le.PutUint32(b[4:], 16-8)
		return Code{Bytes: b, Functions: []int{0}, Indexes: []uint32{self}, Links: [][2]uint32{{4, callee}}}
	}
	name := filepath.Join(t.TempDir(), "x")
	// callees says which piece each piece calls, from the first one up; -1 for what is in the piece itself.
	callees := func(n int) (list []int) {
		t.Helper()
		f := Open(name)
		for i := range n {
			first, _, ok := f.Find(ID{byte(i)})
			if !ok {
				t.Fatalf("piece %d is not there", i)
			}
			start := f.Functions()[first]
			to := start + 8 + int(int32(le.Uint32(f.Code()[start+4:])))
			callee := -1
			for j := range n {
				if first, _, _ := f.Find(ID{byte(j)}); f.Functions()[first] == to {
					callee = j
				}
			}
			if callee < 0 && to != start+16 {
				t.Errorf("piece %d calls what is at %#x, and is at %#x", i, to, start)
			}
			list = append(list, callee)
		}
		check(t, f.Close())
		return list
	}
	expect := func(want ...int) {
		t.Helper()
		if got := callees(len(want)); !slices.Equal(got, want) {
			t.Errorf("pieces call %d, want %d", got, want)
		}
	}
	first, second := Open(name), Open(name)
	check(t, first.Add(ID{0}, piece(10, 11)))
	check(t, first.Add(ID{1}, piece(11, 12)))
	expect(-1, -1)
	check(t, first.Close())
	expect(1, -1)
	// One that was opened before the code was linked adds to it.
	before := Open(name)
	check(t, second.Add(ID{2}, piece(12, 10)))
	expect(1, -1, -1)
	check(t, before.Add(ID{0}, piece(10, 12)))
	check(t, second.Close())
	expect(2, 2, 0)
	check(t, before.Close())
	expect(2, 2, 0)
	reboot()
	expect(2, 2, 0)
	files, err := filepath.Glob(name + "*")
	check(t, err)
	if len(files) != 2 {
		t.Errorf("there are %q", files)
	}
}
