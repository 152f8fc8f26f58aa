package tarfs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
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

func storeSample(t testing.TB) []byte {
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
			got, err := os.ReadFile(s.BlobPath(list[i].Blob))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v", e.Name, len(got), err)
			}
		}
		i++
		return nil
	})
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
