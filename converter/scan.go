package converter

import (
	"bufio"
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
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/unit"
)

const (
	elfMagic    = "\x7fELF"
	scriptMagic = "#!"
)

// contentKind is what the first bytes of a file say that it is.
type contentKind int

const (
	isData contentKind = iota
	isELF
	isScript
)

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
	contents    map[blob.ID]*io.SectionReader // of ELFs
	scripts     map[blob.ID]bool              // files that begin with scriptMagic
	tar         *os.File                      // the tar stream
	size        int64                         // of it, bytes
	sparse      *os.File                      // contents of sparse ELFs, if there are any
}

// elf is a distinct ELF of the image.
type elf struct {
	id           blob.ID
	size         int64
	paths        []string    // ascending
	data         io.ReaderAt // size bytes
	meta         *unit.Meta  // nil: it can't be recompiled
	unit         *pack.Source
	reason       string // why not
	cached       bool
	carrier      blob.ID
	funcs, parts int
	wasmBytes    int64
}

// scan reads each layer once, keeps its tar stream, and finds the ELFs in it.
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
			contents: map[blob.ID]*io.SectionReader{}, scripts: map[blob.ID]bool{}}
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
	if l.tar, err = image.TempFile(); err != nil {
		return err
	}
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(l.tar, sum), 1<<18)
	if err := tarfs.Walk(io.TeeReader(reader{ctx, r}, out), l.visit); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if got := hashOf(sum); got != l.diffID {
		return fmt.Errorf("%w: its tar stream is %v, the config says %v", image.ErrInvalid, got, l.diffID)
	}
	l.size, err = l.tar.Seek(0, io.SeekCurrent)
	return err
}

// visit hashes the content of each regular file.
func (l *scannedLayer) visit(e *tarfs.Entry, content *tarfs.Content) (err error) {
	if e.Kind == tarfs.Regular {
		magic := make([]byte, min(e.Size, int64(len(elfMagic))))
		if _, err := io.ReadFull(content, magic); err != nil {
			return err
		}
		e.Offset = content.Offset
		all := io.MultiReader(bytes.NewReader(magic), content)
		if string(magic) == elfMagic {
			e.Blob, err = l.keep(all, e.Size, e.Offset)
		} else {
			e.Blob, _, err = blob.HashReader(all)
		}
		if bytes.HasPrefix(magic, []byte(scriptMagic)) {
			l.scripts[e.Blob] = true
		}
	}
	l.entries = append(l.entries, *e)
	return err
}

// keep remembers where an ELF's content is: at off in the tar stream, or if
// it does not lie there in one piece, in a file of its own.
func (l *scannedLayer) keep(r io.Reader, size, off int64) (id blob.ID, err error) {
	h := blob.NewHasher()
	var w io.Writer = h
	file := l.tar
	if off < 0 {
		if file, off, err = l.sparseEnd(); err != nil {
			return id, err
		}
		w = io.MultiWriter(h, file)
	}
	n, err := io.Copy(w, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	id = h.ID()
	l.contents[id] = io.NewSectionReader(file, off, size)
	return id, err
}

func (l *scannedLayer) sparseEnd() (f *os.File, off int64, err error) {
	if l.sparse == nil {
		if l.sparse, err = image.TempFile(); err != nil {
			return nil, 0, err
		}
	}
	off, err = l.sparse.Seek(0, io.SeekCurrent)
	return l.sparse, off, err
}

// close ends the use of the temporary files.
func (l *scannedLayer) close() {
	for _, f := range []*os.File{l.tar, l.sparse} {
		if f != nil {
			f.Close()
		}
	}
}

// find lists the distinct ELFs of the merged tree.
func (c *conversion) find(context.Context) error {
	if err := c.merge(c.kind); err != nil {
		return err
	}
	for _, e := range c.elves {
		e.data = c.content(e.id)
	}
	return nil
}

func (c *conversion) kind(id blob.ID) contentKind {
	if c.content(id) != nil {
		return isELF
	}
	for _, l := range c.layers {
		if l.scripts[id] {
			return isScript
		}
	}
	return isData
}

// merge lists the distinct ELFs and executable scripts of the merged tree, with
// their paths.
func (c *conversion) merge(kind func(blob.ID) contentKind) error {
	layers := make([][]tarfs.Entry, len(c.layers))
	for i, l := range c.layers {
		layers[i] = l.entries
	}
	tree, err := tarfs.Merge(layers)
	if err != nil {
		return err
	}
	elves, scripts := map[blob.ID]*elf{}, map[blob.ID]*manifest.Script{}
	for i := range tree.Nodes {
		path, e := tree.Path(i), tree.Nodes[i].Entry
		if path == "/"+manifest.Name {
			return ErrConverted
		}
		if e.Blob.IsZero() {
			continue
		}
		switch k := kind(e.Blob); {
		case k == isELF:
			found := at(elves, e.Blob, elf{id: e.Blob, size: e.Size})
			found.paths = append(found.paths, path)
		case k == isScript && e.Mode&anyExecute != 0:
			found := at(scripts, e.Blob, manifest.Script{BLAKE3: e.Blob, Size: e.Size})
			found.Paths = append(found.Paths, path)
		}
	}
	for _, e := range elves {
		slices.Sort(e.paths)
		c.elves = append(c.elves, e)
	}
	sortELFs(c.elves)
	c.scripts = sortedScripts(scripts)
	return nil
}

// anyExecute are the permission bits that make a file executable to somebody.
const anyExecute = 0o111

// at is the value of a key, which becomes first if there is none.
func at[T any](m map[blob.ID]*T, key blob.ID, first T) *T {
	if m[key] == nil {
		m[key] = &first
	}
	return m[key]
}

func sortedScripts(found map[blob.ID]*manifest.Script) (list []manifest.Script) {
	for _, s := range found {
		slices.Sort(s.Paths)
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b manifest.Script) int { return bytes.Compare(a.BLAKE3[:], b.BLAKE3[:]) })
	return list
}

// sortELFs sorts by hash, as manifests do.
func sortELFs(list []*elf) {
	slices.SortFunc(list, func(a, b *elf) int { return bytes.Compare(a.id[:], b.id[:]) })
}

// content is that of an ELF; nil: it is of something else.
func (c *conversion) content(id blob.ID) io.ReaderAt {
	for _, l := range c.layers {
		if r, ok := l.contents[id]; ok {
			return r
		}
	}
	return nil
}
