package tarfs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/megabin/megabin/layers/tarfs"
)

func opener(stream []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(stream)), nil }
}

func notAgain() (io.ReadCloser, error) { return nil, errors.New("the layer is unpacked again") }

func digest(stream []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(stream)) }

func openStore(t testing.TB, dir string) *tarfs.Store {
	t.Helper()
	s, err := tarfs.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// storeSample has a file of each kind, a sparse one among them.
func storeSample(t testing.TB) []byte {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("end"), 1<<20); err != nil {
		t.Fatal(err)
	}
	sparse, err := exec.Command("tar", "-C", dir, "--sparse", "-c", "sparse").Output()
	if err != nil {
		t.Fatal(err)
	}
	// Two zero blocks end a stream; the other stream goes on before them.
	n := bytes.LastIndex(sparse, []byte("end")) + 512
	return append(sparse[:n/512*512:n/512*512], plainSample(t)...)
}

func plainSample(t testing.TB) []byte {
	return layer(t, "d d", "f d/small hello", "f d/empty ", "f large "+strings.Repeat("0123456789", 200000), "l s d", "h h d/small", "f .wh.x ")
}

func TestStore(t *testing.T) {
	dir, stream := t.TempDir(), storeSample(t)
	s := openStore(t, dir)
	first, err := s.Layer(digest(stream), opener(stream))
	if err != nil {
		t.Fatal(err)
	}
	second, err := openStore(t, dir).Layer(digest(stream), notAgain)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("unpacked %+v\nreopened %+v", first, second)
	}
	checkContents(t, s, stream, second)
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func checkContents(t *testing.T, s *tarfs.Store, stream []byte, list []tarfs.Entry) {
	t.Helper()
	i := 0
	tarfs.Walk(bytes.NewReader(stream), func(e *tarfs.Entry, c *tarfs.Content) error {
		if e.Kind == tarfs.Regular {
			want, _ := io.ReadAll(c)
			got, err := content(s.Open(list[i].Blob))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v", e.Name, len(got), err)
			}
		}
		i++
		return nil
	})
}

// content reads all of what was opened.
func content(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestStoreRefuses(t *testing.T) {
	dir, stream := t.TempDir(), storeSample(t)
	s := openStore(t, dir)
	if _, err := s.Layer(digest([]byte("other")), opener(stream)); !errors.Is(err, tarfs.ErrInvalid) {
		t.Errorf("wrong diff id: %v", err)
	}
	if _, err := s.Layer(digest(stream), opener(stream[:len(stream)/2])); !errors.Is(err, tarfs.ErrInvalid) {
		t.Errorf("truncated: %v", err)
	}
	for _, bad := range []string{"", "sha256:", "sha256:../../x", "md5:" + strings.Repeat("0", 64)} {
		if _, err := s.Layer(bad, opener(stream)); err == nil {
			t.Errorf("diff id %q is accepted", bad)
		}
	}
	if index, _ := os.ReadDir(filepath.Join(dir, "layers")); len(index) > 0 {
		t.Errorf("a refused layer has an index: %v", index)
	}
}

// A damaged index is made again.
func TestStoreDamagedIndex(t *testing.T) {
	dir, stream := t.TempDir(), storeSample(t)
	s := openStore(t, dir)
	want, err := s.Layer(digest(stream), opener(stream))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "layers", strings.TrimPrefix(digest(stream), "sha256:"))
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(good); i += 7 {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		os.Remove(name)
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := s.Layer(digest(stream), opener(stream))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

// A layer of which a file is missing is unpacked again.
func TestStoreMissingFile(t *testing.T) {
	stream := storeSample(t)
	count := 0
	filepath.WalkDir(stored(t, t.TempDir(), stream), func(string, fs.DirEntry, error) error { count++; return nil })
	for i := range count {
		dir := stored(t, t.TempDir(), stream)
		n := 0
		filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if n++; n-1 == i && !d.IsDir() {
				os.Remove(name)
			}
			return err
		})
		s := openStore(t, dir)
		list, err := s.Layer(digest(stream), opener(stream))
		if err != nil {
			t.Fatal(err)
		}
		checkContents(t, s, stream, list)
	}
}

// stored puts a layer into a new store.
func stored(t *testing.T, dir string, stream []byte) string {
	t.Helper()
	if _, err := openStore(t, dir).Layer(digest(stream), opener(stream)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A file that changed in the store is not opened, and mended by the next use.
func TestStoreDamagedContent(t *testing.T) {
	stream := storeSample(t)
	dir := stored(t, t.TempDir(), stream)
	name := filepath.Join(dir, "layers", strings.TrimPrefix(digest(stream), "sha256:")+".tar")
	bad := bytes.Replace(stream, []byte("hello"), []byte("hallo"), 1)
	os.Remove(name)
	if err := os.WriteFile(name, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	list, err := s.Layer(digest(stream), notAgain)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(e tarfs.Entry) bool { return e.Name == "d/small" })
	if f, err := s.Open(list[i].Blob); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("opened %v, %v", f, err)
	}
	s = openStore(t, dir)
	if list, err = s.Layer(digest(stream), opener(stream)); err != nil {
		t.Fatal(err)
	}
	checkContents(t, s, stream, list)
}

func TestStoreConcurrent(t *testing.T) {
	dir := t.TempDir()
	streams := [][]byte{storeSample(t), layer(t, "f a hello", "f b "+strings.Repeat("0123456789", 200000))}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			stream := streams[i%2]
			s, err := tarfs.OpenStore(dir)
			if err != nil {
				t.Error(err)
				return
			}
			list, err := s.Layer(digest(stream), opener(stream))
			if err != nil {
				t.Error(err)
				return
			}
			checkContents(t, s, stream, list)
		})
	}
	wg.Wait()
}

func BenchmarkWarmStore(b *testing.B) {
	var lines []string
	for i := range 10000 {
		lines = append(lines, fmt.Sprintf("f usr/share/doc/package-%d/some-file-%d x", i%300, i))
	}
	stream := layer(b, lines...)
	s, id := openStore(b, b.TempDir()), digest(stream)
	for b.Loop() {
		list, err := s.Layer(id, opener(stream))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tarfs.Merge([][]tarfs.Entry{list}); err != nil {
			b.Fatal(err)
		}
	}
}
