package tarfs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/megabin/megabin/layers/blob"
)

// Lazy is a file of the store that is filled block by block as it is read, by
// this process and others. What is read is not checked.
type Lazy struct {
	from        Source
	file, marks *os.File

	mu    sync.Mutex
	known []byte // per block: 1 when it is there
}

// Source is what a lazy file is filled from.
type Source struct {
	Size  int64 // bytes of the file
	Block int64 // bytes of a block, but for the last
	// Check is called before the file is first used.
	Check func() error
	// Fill returns what is in block i.
	Fill func(i int64) ([]byte, error)
}

// OpenLazy opens the lazy file with a key.
func (s *Store) OpenLazy(key blob.ID, from Source) (*Lazy, error) {
	name := s.lazyPath(key)
	if _, err := os.Stat(name); err != nil {
		if err := from.Check(); err != nil {
			return nil, err
		}
	}
	l := &Lazy{from: from, known: make([]byte, (from.Size+from.Block-1)/from.Block)}
	if err := l.open(name); err != nil {
		l.Close()
		return nil, fmt.Errorf("layer store: %w", err)
	}
	return l, nil
}

func (l *Lazy) open(name string) (err error) {
	if l.marks, err = openRW(name + ".marks"); err != nil {
		return err
	}
	if l.file, err = openRW(name); err != nil {
		return err
	}
	if _, err = l.marks.ReadAt(l.known, 0); err == io.EOF {
		err = nil
	}
	return err
}

// ForgetLazy removes a lazy file that turned out to be damaged; the next use
// fills it anew.
func (s *Store) ForgetLazy(key blob.ID) {
	os.Remove(s.lazyPath(key)) // first, as it says that there are marks
	os.Remove(s.lazyPath(key) + ".marks")
}

func (s *Store) lazyPath(key blob.ID) string { return filepath.Join(s.dir, "lazy", key.String()) }

func openRW(name string) (*os.File, error) { return os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644) }

// ReadAt implements io.ReaderAt.
func (l *Lazy) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off >= l.from.Size {
		return 0, io.EOF
	}
	if rest := l.from.Size - off; int64(len(p)) > rest {
		p, err = p[:rest], io.EOF
	}
	for i := off / l.from.Block; i*l.from.Block < off+int64(len(p)); i++ {
		if err := l.need(i); err != nil {
			return 0, err
		}
	}
	n, e := l.file.ReadAt(p, off)
	if n < len(p) {
		err = e
	}
	return n, err
}

// need fills block i. The block is written before its mark, and by whoever
// else writes it in the same way, so that no lock among processes is needed.
func (l *Lazy) need(i int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[i] == 1 {
		return nil
	}
	b, err := l.from.Fill(i)
	if err != nil {
		return err
	}
	if want := min(l.from.Block, l.from.Size-i*l.from.Block); int64(len(b)) != want {
		return fmt.Errorf("%w: block %d has %d bytes, not %d", ErrInvalid, i, len(b), want)
	}
	if _, err := l.file.WriteAt(b, i*l.from.Block); err != nil {
		return err
	}
	l.known[i] = 1
	_, err = l.marks.WriteAt(l.known[i:i+1], i)
	return err
}

// Close ends the use of the file.
func (l *Lazy) Close() error {
	for _, f := range []*os.File{l.file, l.marks} {
		if f != nil {
			f.Close()
		}
	}
	return nil
}
