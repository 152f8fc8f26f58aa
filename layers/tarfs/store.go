package tarfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/megabin/megabin/layers/blob"
)

// Store keeps unpacked layers on disk:
//
//	layers/HEX        index of the layer whose diff id is sha256:HEX
//	blobs/XX/HEX      content of regular files by BLAKE3
//	tmp/              what is being written
//
// Files appear by rename when they are complete, and the index after all the
// content it names, so that any number of processes may use a store at once
// and any may be killed.
type Store struct{ dir string }

// OpenStore makes the store's directories where they are missing.
func OpenStore(dir string) (*Store, error) {
	for _, sub := range []string{"layers", "blobs", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("opening the layer store: %w", err)
		}
	}
	return &Store{dir}, nil
}

// BlobPath is where the content with the given hash is, if it is stored.
func (s *Store) BlobPath(id blob.ID) string {
	text := id.String()
	return filepath.Join(s.dir, "blobs", text[:2], text)
}

// Layer returns the entries of the layer with the given diff id (sha256: and
// 64 hex digits), all contents stored. If the store has no good index of it,
// open is called for the uncompressed tar stream, which must be what the diff
// id says.
func (s *Store) Layer(diffID string, open func() (io.ReadCloser, error)) ([]Entry, error) {
	digest, ok := strings.CutPrefix(diffID, "sha256:")
	if raw, err := hex.DecodeString(digest); !ok || err != nil || len(raw) != sha256.Size {
		return nil, fmt.Errorf("diff id %.100q: want sha256: and 64 hex digits", diffID)
	}
	index := filepath.Join(s.dir, "layers", digest)
	if b, err := os.ReadFile(index); err == nil {
		if entries, err := DecodeIndex(b); err == nil {
			return entries, nil
		}
	}
	s.sweep()
	entries, err := s.unpack(digest, open)
	if err != nil {
		return nil, fmt.Errorf("unpacking layer %s: %w", diffID, err)
	}
	return entries, s.writeFile(index, EncodeIndex(entries))
}

func (s *Store) unpack(digest string, open func() (io.ReadCloser, error)) ([]Entry, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var entries []Entry
	sum := sha256.New()
	err = Walk(io.TeeReader(r, sum), func(e *Entry, c *Content) error {
		if e.Kind == Regular {
			id, err := s.putBlob(c, e.Size)
			if err != nil {
				return err
			}
			e.Blob = id
		}
		entries = append(entries, *e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return nil, fmt.Errorf("%w: its content is sha256:%s", ErrInvalid, got)
	}
	return entries, nil
}

// putBlob stores content of the given size.
func (s *Store) putBlob(r io.Reader, size int64) (blob.ID, error) {
	const small = 1 << 20
	if size <= small {
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return blob.ID{}, err
		}
		id := blob.Hash(b)
		if s.has(id, size) {
			return id, nil
		}
		return id, s.writeBlob(id, b)
	}
	return s.putLarge(r, size)
}

func (s *Store) has(id blob.ID, size int64) bool {
	info, err := os.Stat(s.BlobPath(id))
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

func (s *Store) writeBlob(id blob.ID, b []byte) error {
	name := s.BlobPath(id)
	err := s.writeFile(name, b)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		err = s.writeFile(name, b)
	}
	return err
}

// putLarge hashes while it writes, so that memory is bounded.
func (s *Store) putLarge(r io.Reader, size int64) (id blob.ID, err error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "")
	if err != nil {
		return id, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := blob.NewHasher()
	n, err := io.Copy(io.MultiWriter(f, h), r)
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d bytes of content, not %d", ErrInvalid, n, size)
	}
	if err != nil {
		return id, err
	}
	id = h.ID()
	name := s.BlobPath(id)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return id, err
	}
	return id, finish(f, name)
}

func (s *Store) writeFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Write(b); err == nil {
		err = finish(f, name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// finish closes a complete temporary file and gives it its name.
func finish(f *os.File, name string) error {
	if err := f.Chmod(0o444); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// sweep removes what killed writers left behind a day ago or earlier.
func (s *Store) sweep() {
	tmp := filepath.Join(s.dir, "tmp")
	files, err := os.ReadDir(tmp)
	if err != nil {
		return
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.Remove(filepath.Join(tmp, f.Name()))
		}
	}
}
