package converter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/unit"
)

const elfMagic = "\x7fELF"

// maxELF is the size of the largest ELF that is recompiled, as it is held in
// memory, in bytes.
const maxELF = 1 << 30

// scannedLayer is a layer of the source.
type scannedLayer struct {
	layer       v1.Layer
	desc        v1.Descriptor
	diffID      v1.Hash
	compression image.Compression
	entries     []tarfs.Entry
	offsets     map[int]int64 // entry that is an ELF → content in the tar stream, or -1
	spool       *os.File      // the ELFs' contents, one after another
	spooled     map[blob.ID]tarfs.Range
}

// elf is a distinct ELF of the image.
type elf struct {
	id           blob.ID
	size         int64
	paths        []string    // ascending
	data         io.ReaderAt // size bytes
	meta         *unit.Meta  // nil: it can't be recompiled
	reason       string      // why not
	cached       bool
	carrier      blob.ID
	funcs, parts int
	wasmBytes    int64
}

// scan reads each layer once and keeps the ELFs in it.
func (c *conversion) scan(ctx context.Context) error {
	list, err := c.sourceLayers()
	if err != nil {
		return err
	}
	total := int64(0)
	for _, l := range list {
		total += l.desc.Size
	}
	c.Progress.Phase("reading layers", total)
	c.layers = list
	return parallel(ctx, c.Jobs, len(list), func(ctx context.Context, i int) error {
		if err := list[i].scan(ctx); err != nil {
			return fmt.Errorf("layer %v: %w", list[i].desc.Digest, err)
		}
		c.Progress.Add(list[i].desc.Size)
		return nil
	})
}

func (c *conversion) sourceLayers() ([]*scannedLayer, error) {
	m, err := c.source.Manifest()
	if err != nil {
		return nil, err
	}
	config, err := c.source.ConfigFile()
	if err != nil {
		return nil, err
	}
	layers, err := c.source.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) != len(m.Layers) || len(layers) != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("%w: the manifest has %d layers, the config has %d", image.ErrInvalid, len(m.Layers), len(config.RootFS.DiffIDs))
	}
	list := make([]*scannedLayer, len(layers))
	for i, l := range layers {
		if !m.Layers[i].MediaType.IsDistributable() {
			return nil, fmt.Errorf("layer %v is foreign (%s): it may not be distributed and is not converted", m.Layers[i].Digest, m.Layers[i].MediaType)
		}
		list[i] = &scannedLayer{layer: l, desc: m.Layers[i], diffID: config.RootFS.DiffIDs[i],
			offsets: map[int]int64{}, spooled: map[blob.ID]tarfs.Range{}}
	}
	return list, nil
}

func (l *scannedLayer) scan(ctx context.Context) error {
	r, compression, err := image.Uncompressed(l.layer)
	if err != nil {
		return err
	}
	defer r.Close()
	l.compression = compression
	if l.spool, err = image.TempFile(); err != nil {
		return err
	}
	sum := sha256.New()
	if err := tarfs.Walk(io.TeeReader(reader{ctx, r}, sum), l.visit); err != nil {
		return err
	}
	if got := hashOf(sum); got != l.diffID {
		return fmt.Errorf("%w: its tar stream is %v, the config says %v", image.ErrInvalid, got, l.diffID)
	}
	return nil
}

func (l *scannedLayer) visit(e *tarfs.Entry, content *tarfs.Content) error {
	l.entries = append(l.entries, *e)
	if e.Kind != tarfs.Regular || e.Size < int64(len(elfMagic)) {
		return nil
	}
	magic := make([]byte, len(elfMagic))
	if _, err := io.ReadFull(content, magic); err != nil {
		return err
	}
	if string(magic) != elfMagic {
		return nil
	}
	id, err := l.keep(io.MultiReader(bytes.NewReader(magic), content), e.Size)
	if err != nil {
		return err
	}
	at := len(l.entries) - 1
	l.entries[at].Blob = id
	l.offsets[at] = content.Offset
	return nil
}

// keep appends content to the spool; what is there already is not kept twice.
func (l *scannedLayer) keep(r io.Reader, size int64) (blob.ID, error) {
	off, err := l.spool.Seek(0, io.SeekCurrent)
	if err != nil {
		return blob.ID{}, err
	}
	h := blob.NewHasher()
	n, err := io.Copy(io.MultiWriter(l.spool, h), r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return blob.ID{}, err
	}
	id := h.ID()
	if _, ok := l.spooled[id]; ok {
		_, err = l.spool.Seek(off, io.SeekStart)
	} else {
		l.spooled[id] = tarfs.Range{Off: off, Size: size}
	}
	return id, err
}

// find lists the distinct ELFs of the merged tree.
func (c *conversion) find(context.Context) error {
	err := c.merge()
	for _, e := range c.elves {
		e.data = c.content(e.id)
	}
	return err
}

// merge lists the distinct ELFs of the merged tree, with their paths.
func (c *conversion) merge() error {
	layers := make([][]tarfs.Entry, len(c.layers))
	for i, l := range c.layers {
		layers[i] = l.entries
	}
	tree, err := tarfs.Merge(layers)
	if err != nil {
		return err
	}
	found := map[blob.ID]*elf{}
	for i := range tree.Nodes {
		path, e := tree.Path(i), tree.Nodes[i].Entry
		if path == "/"+manifest.Name {
			return ErrConverted
		}
		if e.Blob.IsZero() {
			continue
		}
		if found[e.Blob] == nil {
			found[e.Blob] = &elf{id: e.Blob, size: e.Size}
		}
		found[e.Blob].paths = append(found[e.Blob].paths, path)
	}
	for _, e := range found {
		slices.Sort(e.paths)
		c.elves = append(c.elves, e)
	}
	sortELFs(c.elves)
	return nil
}

// sortELFs sorts by hash, as manifests do.
func sortELFs(list []*elf) {
	slices.SortFunc(list, func(a, b *elf) int { return bytes.Compare(a.id[:], b.id[:]) })
}

func (c *conversion) content(id blob.ID) io.ReaderAt {
	for _, l := range c.layers {
		if s, ok := l.spooled[id]; ok {
			return io.NewSectionReader(l.spool, s.Off, s.Size)
		}
	}
	panic("BUG: an ELF of the tree is in no layer")
}
