package tarfs

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/blob"
)

// Store keeps layers on disk:
//
//	layers/HEX        index of the layer whose diff id is sha256:HEX
//	layers/HEX.tar    its tar stream
//	blobs/XX/HEX      content of a regular file by BLAKE3
//	lazy/KEY          a file that is filled as it is read; see Lazy
//	lazy/KEY.marks    what is filled of it
//	trees/KEY         the merged tree of an image's layers; see Flat
//	tmp/              what is being written
//	LockFile          locked for sharing (flock) by who uses the store
//
// A layer is written as one file, since that takes a tenth of the time that
// thousands of files take. A file of it is copied out when it is first opened,
// but for those that do not lie in one piece in the stream, which are copied at
// once.
//
// Files appear by rename when they are complete, and the index last, so that
// any number of processes may use a store at once and any may be killed.
type Store struct {
	dir  string
	lock *os.File // nobody removes anything meanwhile

	mu     sync.Mutex
	layers []stored // that Layer returned
}

// stored is a layer whose contents can be opened.
type stored struct {
	content func(id blob.ID) (*Entry, bool) // whose content lies in its tar stream
	tar     func() (Tar, error)             // opens that
	forget  func()                          // is called when that is damaged
}

// Tar is a tar stream that can be read anywhere.
type Tar interface {
	io.ReaderAt
	io.Closer
}

// OpenStore makes the store's directories where they are missing.
func OpenStore(dir string) (*Store, error) {
	for _, sub := range []string{"layers", "blobs", "lazy", "trees", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("opening the layer store: %w", err)
		}
	}
	lock, err := lockStore(dir, unix.LOCK_SH)
	if err != nil {
		return nil, fmt.Errorf("opening the layer store: %w", err)
	}
	return &Store{dir: dir, lock: lock}, nil
}

// Close lets others remove what is in the store.
func (s *Store) Close() { s.lock.Close() }

// LockFile is the file in a store that who uses the store has locked.
const LockFile = "lock"

// ErrInUse says that a process uses a store.
var ErrInUse = errors.New("the layer store is in use")

// LockStore keeps others from opening the store in dir, until unlock, so that files can be
// removed. It does not wait: the error is ErrInUse while one has it open.
func LockStore(dir string) (unlock func(), err error) {
	lock, err := lockStore(dir, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, fs.ErrNotExist): // there is no store
		return func() {}, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, ErrInUse
	case err != nil:
		return nil, fmt.Errorf("locking the layer store: %w", err)
	}
	return func() { lock.Close() }, nil
}

func lockStore(dir string, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		switch err := unix.Flock(int(f.Fd()), how); err {
		case nil:
			return f, nil
		case unix.EINTR:
		default:
			f.Close()
			return nil, &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}

func (s *Store) indexPath(digest string) string { return filepath.Join(s.dir, "layers", digest) }
func (s *Store) tarPath(digest string) string   { return s.indexPath(digest) + ".tar" }

func (s *Store) blobPath(id blob.ID) string {
	text := id.String()
	return filepath.Join(s.dir, "blobs", text[:2], text)
}

// Layer returns the entries of the layer with the given diff id (sha256: and
// 64 hex digits), whose contents can be opened from then on. If the store does
// not have all of it, open is called for the uncompressed tar stream, which
// must be what the diff id says. It may be called from several goroutines.
func (s *Store) Layer(diffID string, open func() (io.ReadCloser, error)) ([]Entry, error) {
	digest, ok := strings.CutPrefix(diffID, "sha256:")
	if raw, err := hex.DecodeString(digest); !ok || err != nil || len(raw) != sha256.Size {
		return nil, fmt.Errorf("diff id %.100q: want sha256: and 64 hex digits", diffID)
	}
	entries, err := s.load(digest)
	if err != nil {
		s.sweep()
		if entries, err = s.unpack(digest, open); err != nil {
			return nil, fmt.Errorf("unpacking layer %s: %w", diffID, err)
		}
	}
	s.AddLayer(entries, func() (Tar, error) { return s.OpenTar(diffID) }, func() { s.Forget(diffID) })
	return entries, nil
}

// AddLayer is for a layer that is not to be unpacked: its entries, as Layer
// would return them, a function that opens its tar stream, and one that is
// called when the stream turns out to be damaged.
func (s *Store) AddLayer(entries []Entry, tar func() (Tar, error), forget func()) {
	s.addLayer(stored{func(id blob.ID) (*Entry, bool) {
		for i := range entries {
			if e := &entries[i]; e.Blob == id && e.Kind == Regular && !e.isSparse() {
				return e, true
			}
		}
		return nil, false
	}, tar, forget})
}

// HasLayer tells whether the store has an unpacked layer. What it has is not checked.
func (s *Store) HasLayer(diffID string) bool {
	digest := strings.TrimPrefix(diffID, "sha256:")
	for _, name := range []string{s.indexPath(digest), s.tarPath(digest)} {
		if _, err := os.Stat(name); err != nil {
			return false
		}
	}
	return true
}

// AddLayerOf is AddLayer for layer i of a merged tree.
func (s *Store) AddLayerOf(t *Flat, i int, tar func() (Tar, error), forget func()) {
	s.addLayer(stored{func(id blob.ID) (*Entry, bool) { return t.content(i, id) }, tar, forget})
}

func (s *Store) addLayer(l stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.layers = append(s.layers, l)
}

// load reads the index and checks that what it tells of is there.
func (s *Store) load(digest string) ([]Entry, error) {
	b, err := os.ReadFile(s.indexPath(digest))
	if err != nil {
		return nil, err
	}
	entries, size, err := DecodeIndex(b)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(s.tarPath(digest)); err != nil || info.Size() != size {
		return nil, errIndex
	}
	for i := range entries {
		if e := &entries[i]; e.isSparse() && !s.has(e.Blob, e.Size) {
			return nil, errIndex
		}
	}
	return entries, nil
}

func (s *Store) has(id blob.ID, size int64) bool {
	info, err := os.Stat(s.blobPath(id))
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// unpack stores a layer.
func (s *Store) unpack(digest string, open func() (io.ReadCloser, error)) ([]Entry, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := s.temp()
	if err != nil {
		return nil, err
	}
	defer f.discard()
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<18)
	entries, err := s.index(io.TeeReader(r, out))
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return nil, err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return nil, fmt.Errorf("%w: its content is sha256:%s", ErrInvalid, got)
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	if err := f.name(s.tarPath(digest)); err != nil {
		return nil, err
	}
	return entries, s.writeFile(s.indexPath(digest), EncodeIndex(entries, size))
}

// index lists the entries of a tar stream. The contents of sparse files are
// stored; those of others are in the stream.
func (s *Store) index(stream io.Reader) (entries []Entry, err error) {
	err = Walk(stream, func(e *Entry, c *Content) (err error) {
		if e.Kind == Regular {
			e.Offset = c.Offset
			if e.isSparse() {
				e.Blob, err = s.putBlob(c, e.Size)
			} else {
				e.Blob, err = hashContent(c, e.Size)
			}
		}
		entries = append(entries, *e)
		return err
	})
	return entries, err
}

func hashContent(r io.Reader, size int64) (blob.ID, error) {
	id, n, err := blob.HashReader(r)
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d bytes of content, not %d", ErrInvalid, n, size)
	}
	return id, err
}

// Open opens the content with a hash that a layer's entries have.
func (s *Store) Open(id blob.ID) (*os.File, error) {
	f, err := os.Open(s.blobPath(id))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	l, e := s.find(id)
	if e == nil {
		return nil, err
	}
	if err := s.extract(l, e); err != nil {
		return nil, fmt.Errorf("layer store: %s: %w", e.Name, err)
	}
	return os.Open(s.blobPath(id))
}

// find returns a layer and its entry whose content lies in its tar stream.
func (s *Store) find(id blob.ID) (l stored, e *Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.layers {
		if e, ok := l.content(id); ok {
			return l, e
		}
	}
	return stored{}, nil
}

// extract copies a file out of a layer's tar stream. If it is not what its
// hash says, the stream was damaged, and the layer is forgotten, so that the
// next use unpacks it again.
func (s *Store) extract(l stored, e *Entry) error {
	tar, err := l.tar()
	if err != nil {
		return err
	}
	defer tar.Close()
	id, err := s.putBlob(io.NewSectionReader(tar, e.Offset, e.Size), e.Size)
	if err == nil && id != e.Blob {
		l.forget()
		err = errors.New("the layer is damaged in the store; it will be made again")
	}
	return err
}

// OpenTar opens the tar stream of a layer that the store has. What is read is
// not checked.
func (s *Store) OpenTar(diffID string) (Tar, error) {
	return os.Open(s.tarPath(strings.TrimPrefix(diffID, "sha256:")))
}

// Forget is called when a layer in the store turns out to be damaged: it will
// be unpacked again.
func (s *Store) Forget(diffID string) { os.Remove(s.indexPath(strings.TrimPrefix(diffID, "sha256:"))) }

// putBlob stores content of the given size; it hashes while it writes, so
// that memory is bounded.
func (s *Store) putBlob(r io.Reader, size int64) (id blob.ID, err error) {
	f, err := s.temp()
	if err != nil {
		return id, err
	}
	defer f.discard()
	if id, err = hashContent(io.TeeReader(r, f), size); err != nil {
		return id, err
	}
	name := s.blobPath(id)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return id, err
	}
	return id, f.name(name)
}

func (s *Store) writeFile(name string, b []byte) error {
	f, err := s.temp()
	if err != nil {
		return err
	}
	defer f.discard()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.name(name)
}

// tempFile is a file that is being written.
type tempFile struct {
	*os.File
	named bool
}

func (s *Store) temp() (*tempFile, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "")
	return &tempFile{File: f}, err
}

// name closes a complete file and gives it its name.
func (f *tempFile) name(name string) error {
	if err := f.Chmod(0o444); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	err := os.Rename(f.Name(), name)
	f.named = err == nil
	return err
}

// discard removes a file that did not get its name.
func (f *tempFile) discard() {
	if !f.named {
		f.Close()
		os.Remove(f.Name())
	}
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
