package treediff

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listing describes each file of a tree, and which names are the same file.
func listing(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("%s %o %d:%d %d.%d rdev=%d", rel, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec, st.Rdev)
		if !d.IsDir() {
			if first[st.Ino] == "" {
				first[st.Ino] = rel
			}
			line += fmt.Sprintf(" %d links, first %s", st.Nlink, first[st.Ino])
		}
		attrs, err := Xattrs(name)
		if err != nil {
			return err
		}
		line += fmt.Sprint(" ", attrs)
		switch d.Type() {
		case 0:
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			line += " " + string(b)
		case fs.ModeSymlink:
			to, _ := os.Readlink(name)
			line += " -> " + to
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// change does something random to a tree.
func change(t *testing.T, r *rand.Rand, root string) {
	t.Helper()
	names := []string{"a", "b", "c", "d/a", "d/b", "d/e/a", "d/e/b", "f/a", "f/g/a"}
	pick := func() string { return filepath.Join(root, names[r.IntN(len(names))]) }
	name := pick()
	dir := filepath.Dir(name)
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		os.RemoveAll(dir)
		if os.MkdirAll(dir, 0o755) != nil {
			return
		}
	}
	when := time.Unix(1e9+int64(r.IntN(3)), int64(r.IntN(2)))
	switch r.IntN(11) {
	case 0, 1, 2:
		os.RemoveAll(name)
		os.WriteFile(name, []byte(fmt.Sprint(r.IntN(4))), fs.FileMode(0o600+r.IntN(0o177)))
		os.Chtimes(name, when, when)
	case 3:
		os.RemoveAll(name)
		os.Symlink(fmt.Sprint("to", r.IntN(3)), name)
	case 4:
		os.RemoveAll(name)
		os.Mkdir(name, 0o755)
	case 5:
		os.RemoveAll(name)
	case 6:
		os.RemoveAll(name)
		os.Link(pick(), name)
	case 7:
		os.Rename(pick(), name)
	case 8:
		os.Chmod(name, fs.FileMode(0o600+r.IntN(0o177)))
		os.Chtimes(name, when, when)
	case 9:
		unix.Lsetxattr(name, "user.x", []byte(fmt.Sprint(r.IntN(2))), 0)
	case 10:
		os.RemoveAll(name)
		unix.Mkfifo(name, 0o644)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}

// TestRandomTrees makes random changes to trees: applied to a copy of the tree
// before, what Compare finds gives the tree after, and nothing else is found.
func TestRandomTrees(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		base := t.TempDir()
		lower, upper, out := filepath.Join(base, "lower"), filepath.Join(base, "upper"), filepath.Join(base, "out")
		if err := os.Mkdir(lower, 0o755); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			change(t, r, lower)
		}
		copyTree(t, lower, upper)
		if changes, err := Compare(lower, upper); err != nil || len(changes) != 0 {
			t.Fatalf("seed %d: a copy has changes %v, %v", seed, changes, err)
		}
		for range r.IntN(20) {
			change(t, r, upper)
		}
		copyTree(t, lower, out)
		checkApplied(t, seed, lower, upper, out)
		checkApplied(t, seed, "", upper, filepath.Join(base, "empty"))
	}
}

func checkApplied(t *testing.T, seed uint64, lower, upper, out string) {
	t.Helper()
	if lower == "" {
		if err := os.Mkdir(out, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	changes, err := Compare(lower, upper)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), upper, out, changes, func(_ int, f *os.File) io.Reader { return f }); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	want, have := listing(t, upper), listing(t, out)
	if !slices.Equal(want, have) {
		t.Errorf("seed %d: the tree is\n%s\nand not\n%s", seed, strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if lower != "" {
		checkNeeded(t, seed, lower, upper, changes)
	}
}

// checkNeeded checks that no name with the same line in both listings is a
// change, but for those that are linked to one.
func checkNeeded(t *testing.T, seed uint64, lower, upper string, changes []Change) {
	t.Helper()
	same := map[string]bool{}
	before := listing(t, lower)
	for _, line := range listing(t, upper) {
		if slices.Contains(before, line) {
			name, _, _ := strings.Cut(line, " ")
			same[name] = true
		}
	}
	for i, c := range changes {
		if same[c.Path] && c.First == i && c.Stat.Nlink < 2 {
			t.Errorf("seed %d: %s is a change", seed, c.Path)
		}
	}
}

// TestOtherContent checks that contents can be replaced, also of a file with
// several names.
func TestOtherContent(t *testing.T) {
	upper, out := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(upper, "a"), []byte("secret"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(upper, "a"), filepath.Join(upper, "b")); err != nil {
		t.Fatal(err)
	}
	changes, err := Compare("", upper)
	if err != nil {
		t.Fatal(err)
	}
	content := func(size int) Content {
		return func(int, *os.File) io.Reader { return strings.NewReader(strings.Repeat("x", size)) }
	}
	if err := Apply(t.Context(), upper, out, changes, content(6)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if b, _ := os.ReadFile(filepath.Join(out, name)); string(b) != "xxxxxx" {
			t.Errorf("%s is %q", name, b)
		}
	}
	if err := Apply(t.Context(), upper, t.TempDir(), changes, content(5)); err == nil {
		t.Error("content of another length is taken")
	}
}
