package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// fixtureTime is the modification time of every fixture.
var fixtureTime = time.Date(2024, 2, 29, 12, 34, 56, 0, time.UTC)

// makeFixtures fills dir with the inputs that cases find in /f: the files of
// testdata/fixtures and generated ones.
func makeFixtures(dir string) error {
	if err := os.CopyFS(dir, os.DirFS("testdata/fixtures")); err != nil {
		return err
	}
	for name, data := range generated() {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	if err := makeTree(filepath.Join(dir, "tree")); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			if err := os.Chmod(path, 0o644); err != nil {
				return err
			}
		}
		ts := unix.NsecToTimespec(fixtureTime.UnixNano())
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

func generated() map[string][]byte {
	return map[string][]byte{
		"empty":     {},
		"random":    random(1, 70_001),
		"big":       random(2, 100<<20),
		"numbers":   numbers(3, 2000),
		"longlines": bytes.Repeat([]byte("all work and no play makes jack a dull boy. "), 3000),
		"nonl":      []byte("a last line\nwithout its newline"),
		"zeros":     make([]byte, 40_000),
	}
}

func random(seed uint64, size int) []byte {
	data := make([]byte, size)
	chacha := rand.NewChaCha8([32]byte{byte(seed)})
	chacha.Read(data)
	return data
}

func numbers(seed uint64, count int) []byte {
	r := rand.New(rand.NewPCG(seed, seed))
	var b bytes.Buffer
	for i := range count {
		fmt.Fprintf(&b, "%d\t%.3f\tkey%02d\n", r.IntN(1_000_000)-500_000, r.NormFloat64()*1e3, i%37)
	}
	return b.Bytes()
}

// makeTree makes directories, hard and symbolic links that version control
// would not keep as they are.
func makeTree(dir string) error {
	for _, d := range []string{"a/b/c", "empty", "d with space"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for i, f := range []string{"a/one", "a/b/two", "a/b/c/three", "d with space/four", ".hidden", "a/b/five.txt"} {
		if err := os.WriteFile(filepath.Join(dir, f), random(uint64(10+i), 300*i), 0o644); err != nil {
			return err
		}
	}
	if err := os.Link(filepath.Join(dir, "a/one"), filepath.Join(dir, "a/hardlink")); err != nil {
		return err
	}
	if err := os.Symlink("a/b/two", filepath.Join(dir, "symlink")); err != nil {
		return err
	}
	return os.Symlink("nowhere", filepath.Join(dir, "dangling"))
}
