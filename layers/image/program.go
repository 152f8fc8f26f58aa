package image

import (
	"errors"
	"fmt"
	"io"
	"runtime"
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
	Tree       *tarfs.Flat
	Manifest   *manifest.Manifest
	Megabinary *pack.Megabinary

	store *tarfs.Store
	open  []io.Closer
}

// Close ends the use of the megabinary and of the files in the store.
func (p *Program) Close() error {
	var errs []error
	for _, c := range p.open {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// OpenProgram opens a converted image, with the files' contents in the store.
// Where a layer can be entered anywhere, no more of it is decompressed than is
// asked for. docs/formats.md says what is checked when.
func OpenProgram(s *tarfs.Store, img v1.Image) (*Program, error) {
	p := &Program{store: s}
	if err := p.openAll(img); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Program) openAll(img v1.Image) error {
	list, err := diffLayers(img)
	if err != nil {
		return err
	}
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	if len(list) == 0 || len(list) != len(m.Layers) {
		return ErrNotConverted
	}
	key := treeKey(list, m)
	if p.openAgain(list, m, p.store.Tree(key)) {
		return nil
	}
	last := len(list) - 1
	code := codeLayer{diffLayer: list[last], sum: m.Annotations[AnnotationManifest]}
	if err := p.openCode(&code, m.Layers[last]); err != nil {
		return err
	}
	entries := make([][]tarfs.Entry, len(list))
	entries[last] = code.entries
	if err := p.openFiles(list[:last], m.Layers, code.tree, entries); err != nil {
		return err
	}
	tree, err := tarfs.Merge(entries)
	if err != nil {
		return err
	}
	p.Tree = tree.Flat()
	if code.sum != "" {
		_ = p.store.PutTree(key, p.Tree) // a store that can't be written costs speed only
	}
	return nil
}

// treeKey names the merged tree of an image's layers. All that it is made of was checked by what is in the
// key: a layer that is not unpacked by its digest and pieces, others by their diff id.
func treeKey(list []diffLayer, m *v1.Manifest) blob.ID {
	b := []byte(m.Annotations[AnnotationManifest])
	for i, d := range m.Layers {
		b = fmt.Appendf(b, "\n%v %v %q", list[i].diffID, d.Digest, d.Annotations[AnnotationBlocks])
	}
	return blob.Hash(b)
}

// openAgain opens an image whose tree was merged before. It tells whether that was possible; if not,
// what is wrong turns out where the tree is made.
func (p *Program) openAgain(list []diffLayer, m *v1.Manifest, tree *tarfs.Flat) bool {
	if tree == nil || m.Annotations[AnnotationManifest] == "" {
		return false
	}
	lazy := make([]*lazyLayer, len(list))
	for i, l := range list {
		var err error
		lazy[i], err = openLazy(p.store, l, m.Layers[i])
		if err == nil {
			p.open = append(p.open, lazy[i])
		} else if !errors.Is(err, errors.ErrUnsupported) || !p.store.HasLayer(l.diffID.String()) {
			return false
		}
	}
	last := len(list) - 1
	if lazy[last] == nil || p.readAgain(tree, codeLayer{diffLayer: list[last], sum: m.Annotations[AnnotationManifest], tar: lazy[last]}) != nil {
		return false
	}
	for i, l := range lazy {
		if l != nil {
			p.store.AddLayerOf(tree, i, func() (tarfs.Tar, error) { return open{l}, nil }, l.forget)
			continue
		}
		diffID := list[i].diffID.String()
		p.store.AddLayerOf(tree, i, func() (tarfs.Tar, error) { return p.store.OpenTar(diffID) }, func() { p.store.Forget(diffID) })
	}
	p.Tree = tree
	return true
}

// readAgain is readCode without a tree to read.
func (p *Program) readAgain(tree *tarfs.Flat, l codeLayer) error {
	for _, f := range []struct {
		name string
		read func(*codeLayer, *tarfs.Entry) error
	}{{manifest.Name, p.readManifest}, {manifest.MegabinaryName, p.readMegabinary}} {
		i, ok := tree.Find(f.name)
		if !ok {
			return fmt.Errorf("%w: no /%s", ErrNotConverted, f.name)
		}
		e := tree.Node(i).Entry
		if err := f.read(&l, &e); err != nil {
			return err
		}
	}
	return nil
}

// openFiles opens the layers below the last; tree, which may be empty, says
// what is in them.
func (p *Program) openFiles(list []diffLayer, descs []v1.Descriptor, tree []LayerTree, entries [][]tarfs.Entry) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	lazy := make([]*lazyLayer, len(list))
	for i, l := range list {
		group.Go(func() (err error) {
			if i < len(tree) && tree[i].seekable() {
				lazy[i], err = openLazy(p.store, l, descs[i])
			}
			if lazy[i] == nil && (err == nil || errors.Is(err, errors.ErrUnsupported)) {
				entries[i], err = p.store.Layer(l.diffID.String(), l.uncompressed)
			}
			return err
		})
	}
	err := group.Wait()
	for i, l := range lazy {
		if l == nil {
			continue
		}
		p.open = append(p.open, l)
		if entries[i] = tree[i].Entries; l.size != tree[i].Size {
			return fmt.Errorf("%w: /%s: layer %d has %d bytes, not %d", ErrInvalid, manifest.TreeName, i, l.size, tree[i].Size)
		}
		l.addTo(p.store, entries[i])
	}
	return err
}

// codeLayer is the last layer of a converted image.
type codeLayer struct {
	diffLayer
	sum string // hash of manifest.json by the image's annotation, if there is one

	tar     io.ReaderAt
	entries []tarfs.Entry
	tree    []LayerTree
}

// openCode opens the last layer: as a lazy one if manifest.json can be checked
// without the store's index, else unpacked.
func (p *Program) openCode(l *codeLayer, d v1.Descriptor) error {
	var lazy *lazyLayer
	err := errors.ErrUnsupported
	if l.sum != "" {
		lazy, err = openLazy(p.store, l, d)
	}
	switch {
	case err == nil:
		p.open = append(p.open, lazy)
		l.tar = lazy
		if err = tarfs.WalkAt(lazy, lazy.size, l.add); err == nil {
			err = p.readCode(l)
		}
		if err != nil {
			lazy.forget()
		}
		lazy.addTo(p.store, l.entries)
		return err
	case !errors.Is(err, errors.ErrUnsupported):
		return err
	}
	diffID := l.diffID.String()
	if l.entries, err = p.store.Layer(diffID, l.uncompressed); err != nil {
		return err
	}
	tar, err := p.store.OpenTar(diffID)
	if err != nil {
		return err
	}
	p.open = append(p.open, tar)
	l.tar = tar
	if err = p.readCode(l); err != nil {
		p.store.Forget(diffID)
	}
	return err
}

// add makes an entry; its hash is filled in when it is known.
func (l *codeLayer) add(e *tarfs.Entry, c *tarfs.Content) error {
	e.Offset = c.Offset
	l.entries = append(l.entries, *e)
	return nil
}

// readCode reads the manifest, the tree and the megabinary's directory.
func (p *Program) readCode(l *codeLayer) error {
	for _, f := range []struct {
		name string
		read func(*codeLayer, *tarfs.Entry) error
	}{{manifest.Name, p.readManifest}, {manifest.TreeName, p.readTree}, {manifest.MegabinaryName, p.readMegabinary}} {
		if f.name == manifest.TreeName && p.Manifest.Tree == nil {
			continue
		}
		i := slices.IndexFunc(l.entries, func(e tarfs.Entry) bool { return e.Name == f.name && e.Kind == tarfs.Regular && e.Offset >= 0 })
		if i < 0 {
			return fmt.Errorf("%w: no /%s", ErrNotConverted, f.name)
		}
		if err := f.read(l, &l.entries[i]); err != nil {
			return fmt.Errorf("/%s: %w", f.name, err)
		}
	}
	return nil
}

// readManifest checks manifest.json by the image's annotation, or where it has
// none (a docker archive), by the store's index.
func (p *Program) readManifest(l *codeLayer, e *tarfs.Entry) error {
	want := l.sum
	if want == "" {
		want = e.Blob.String()
	}
	b, err := l.read(e, want)
	if err == nil {
		p.Manifest, err = manifest.Decode(b)
	}
	return err
}

func (p *Program) readTree(l *codeLayer, e *tarfs.Entry) error {
	b, err := l.read(e, p.Manifest.Tree.String())
	if err == nil {
		l.tree, err = decodeTree(b)
	}
	return err
}

func (p *Program) readMegabinary(l *codeLayer, e *tarfs.Entry) (err error) {
	e.Blob = p.Manifest.Megabinary.BLAKE3
	p.Megabinary, err = pack.Open(io.NewSectionReader(l.tar, e.Offset, e.Size), e.Size)
	if err != nil {
		return err
	}
	return p.Manifest.Verify(p.Megabinary)
}

// read reads a small file with a hash.
func (l *codeLayer) read(e *tarfs.Entry, want string) ([]byte, error) {
	if e.Size > maxManifest {
		return nil, fmt.Errorf("%w: %d bytes", ErrInvalid, e.Size)
	}
	b := make([]byte, e.Size)
	if _, err := l.tar.ReadAt(b, e.Offset); err != nil {
		return nil, err
	}
	if e.Blob = blob.Hash(b); e.Blob.String() != want {
		return nil, fmt.Errorf("%w: its hash is %v, not %s", ErrInvalid, e.Blob, want)
	}
	return b, nil
}
