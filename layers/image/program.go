package image

import (
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/tarfs"
)

// Program is a converted image, ready to run: its files and its code.
type Program struct {
	Tree       *tarfs.Tree
	Manifest   *manifest.Manifest
	Megabinary *pack.Megabinary
	tar        io.Closer
}

// Close ends the use of the megabinary.
func (p *Program) Close() error { return p.tar.Close() }

// OpenProgram opens a converted image, with the files' contents in the store.
// Where the last layer can be entered anywhere, no more of it is decompressed
// than is asked for. docs/formats.md says what is checked when.
func OpenProgram(s *tarfs.Store, img v1.Image) (*Program, error) {
	list, err := diffLayers(img)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNotConverted
	}
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	last := codeLayer{store: s, diffLayer: list[len(list)-1], desc: m.Layers[len(list)-1], sum: m.Annotations[AnnotationManifest]}
	entries := make([][]tarfs.Entry, len(list))
	var p *Program
	var group errgroup.Group
	group.Go(func() (err error) {
		p, entries[len(list)-1], err = last.open()
		return err
	})
	group.Go(func() error { return unpack(s, list[:len(list)-1], entries) })
	err = group.Wait()
	if err == nil {
		p.Tree, err = tarfs.Merge(entries)
	}
	if err == nil {
		return p, nil
	}
	if p != nil {
		p.Close()
	}
	return nil, err
}

// codeLayer is the last layer of a converted image.
type codeLayer struct {
	store *tarfs.Store
	diffLayer
	desc v1.Descriptor
	sum  string // hash of manifest.json by the image's annotation, if there is one

	tar     tarStream
	entries []tarfs.Entry
	forget  func() // that the store has it
}

// tarStream is a tar stream that can be read anywhere.
type tarStream interface {
	io.ReaderAt
	io.Closer
}

func (l *codeLayer) open() (*Program, []tarfs.Entry, error) {
	err := l.openLazily()
	if errors.Is(err, errors.ErrUnsupported) {
		err = l.openStored()
	}
	if err != nil {
		return nil, nil, err
	}
	p, err := l.read()
	if err != nil {
		l.tar.Close()
		l.forget()
		return nil, nil, err
	}
	return p, l.entries, nil
}

// openStored has the store unpack the layer.
func (l *codeLayer) openStored() (err error) {
	if l.entries, err = l.store.Layer(l.diffID.String(), l.uncompressed); err != nil {
		return err
	}
	l.forget = func() { l.store.Forget(l.diffID.String()) }
	l.tar, err = l.store.OpenTar(l.diffID.String())
	return err
}

// openLazily has the store fill in what is read. It is not supported if the
// layer does not say where it can be entered, or its source only gives it
// from beginning to end.
func (l *codeLayer) openLazily() error {
	text, ok := l.desc.Annotations[AnnotationBlocks]
	if !ok || l.sum == "" {
		return errors.ErrUnsupported
	}
	blocks, err := parseBlocks(text, l.desc.Size)
	if err != nil {
		return err
	}
	source, err := randomAccess(l)
	if err != nil {
		return err
	}
	key := blob.Hash([]byte(l.desc.Digest.String() + " " + text))
	lazy, err := l.store.OpenLazy(key, tarfs.Source{
		Size: blocks.Total, Block: blocks.Block, Fill: blocks.reader(source), Check: func() error { return readAll(l) },
	})
	if err != nil {
		source.Close()
		return err
	}
	l.tar = lazyLayer{lazy, source}
	l.forget = func() { l.store.ForgetLazy(key) }
	if err := tarfs.WalkAt(lazy, blocks.Total, l.add); err != nil {
		l.tar.Close()
		l.forget()
		return err
	}
	l.store.LayerLater(l.diffID.String(), l.entries, l.uncompressed)
	return nil
}

// lazyLayer closes the file and its source.
type lazyLayer struct {
	*tarfs.Lazy
	source io.Closer
}

func (l lazyLayer) Close() error { return errors.Join(l.Lazy.Close(), l.source.Close()) }

// add makes an entry; its hash is filled in when it is known.
func (l *codeLayer) add(e *tarfs.Entry, c *tarfs.Content) error {
	e.Offset = c.Offset
	l.entries = append(l.entries, *e)
	return nil
}

// readAll reads a layer's blob to its end, and so checks its digest.
func readAll(l v1.Layer) error {
	r, err := l.Compressed()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// read reads the manifest and the megabinary's directory.
func (l *codeLayer) read() (*Program, error) {
	text, err := l.file(manifest.Name)
	if err != nil {
		return nil, err
	}
	code, err := l.file(manifest.MegabinaryName)
	if err != nil {
		return nil, err
	}
	p := &Program{tar: l.tar}
	if p.Manifest, err = l.readManifest(text); err != nil {
		return nil, fmt.Errorf("/%s: %w", manifest.Name, err)
	}
	code.Blob = p.Manifest.Megabinary.BLAKE3
	p.Megabinary, err = pack.Open(l.content(code), code.Size)
	if err == nil {
		err = p.Manifest.Verify(p.Megabinary)
	}
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", manifest.MegabinaryName, err)
	}
	return p, nil
}

func (l *codeLayer) content(e *tarfs.Entry) *io.SectionReader {
	return io.NewSectionReader(l.tar, e.Offset, e.Size)
}

// file finds a regular file that lies in one piece.
func (l *codeLayer) file(name string) (*tarfs.Entry, error) {
	i := slices.IndexFunc(l.entries, func(e tarfs.Entry) bool { return e.Name == name && e.Kind == tarfs.Regular && e.Offset >= 0 })
	if i < 0 {
		return nil, fmt.Errorf("%w: no /%s", ErrNotConverted, name)
	}
	return &l.entries[i], nil
}

// readManifest checks manifest.json by the image's annotation, or where it has
// none (a docker archive), by the store's index.
func (l *codeLayer) readManifest(e *tarfs.Entry) (*manifest.Manifest, error) {
	if e.Size > maxManifest {
		return nil, fmt.Errorf("%w: %d bytes", ErrInvalid, e.Size)
	}
	b, err := io.ReadAll(l.content(e))
	if err != nil {
		return nil, err
	}
	id := blob.Hash(b)
	if want := l.want(e); id.String() != want {
		return nil, fmt.Errorf("%w: its hash is %v, not %s", ErrInvalid, id, want)
	}
	e.Blob = id
	return manifest.Decode(b)
}

func (l *codeLayer) want(e *tarfs.Entry) string {
	if l.sum != "" {
		return l.sum
	}
	return e.Blob.String()
}
