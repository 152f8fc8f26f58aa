package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/tarfs"
)

const elfMagic = "\x7fELF"

// checkEntries reads each layer by its blocks, if it has any, and compares its
// entries with the tree.
func (k *checker) checkEntries() error {
	layers, err := diffLayers(k.img)
	if err != nil {
		return err
	}
	m, err := k.img.Manifest()
	if err != nil {
		return err
	}
	tree := k.conv.tree
	if len(tree) != 0 && len(tree) != len(layers)-1 {
		return fmt.Errorf("%w: the tree has %d layers of %d", ErrInvalid, len(tree), len(layers)-1)
	}
	all := make([][]tarfs.Entry, len(layers))
	for i, l := range layers {
		have, err := k.layerTree(l, m.Layers[i])
		if err == nil && i < len(tree) && !bytes.Equal(encodeLayer(have), encodeLayer(&tree[i])) {
			err = fmt.Errorf("%w: the tree says something else", ErrInvalid)
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		all[i] = have.Entries
	}
	return k.checkKnown(all)
}

// checkKnown checks that the manifest knows each ELF that the image has in the
// end: as an original, as a carrier, or as one that can't run.
func (k *checker) checkKnown(layers [][]tarfs.Entry) error {
	tree, err := tarfs.Merge(layers)
	if err != nil {
		return err
	}
	known := map[blob.ID]bool{}
	for id := range k.conv.Manifest.Files() {
		known[id] = true
	}
	for _, r := range k.conv.Manifest.Refused {
		known[r.BLAKE3] = true
	}
	for i := range tree.Nodes {
		e := tree.Nodes[i].Entry
		if e.Kind == tarfs.Regular && k.elves[e.Blob] && !known[e.Blob] {
			return fmt.Errorf("%w: %s is an ELF file that the manifest does not know, with hash %v", ErrInvalid, tree.Path(i), e.Blob)
		}
	}
	return nil
}

func encodeLayer(t *LayerTree) []byte { return tarfs.EncodeIndex(t.Entries, t.Size) }

// layerTree lists what is in a layer.
func (k *checker) layerTree(l diffLayer, d v1.Descriptor) (*LayerTree, error) {
	r, err := openBlocks(l, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t := &LayerTree{}
	sum := sha256.New()
	in := io.TeeReader(r, io.MultiWriter(sum, (*length)(&t.Size)))
	err = tarfs.Walk(in, func(e *tarfs.Entry, c *tarfs.Content) (err error) {
		if e.Kind == tarfs.Regular {
			e.Offset = c.Offset
			magic := make([]byte, min(e.Size, int64(len(elfMagic))))
			if _, err := io.ReadFull(c, magic); err != nil {
				return err
			}
			e.Blob, _, err = blob.HashReader(io.MultiReader(bytes.NewReader(magic), c))
			if string(magic) == elfMagic {
				k.elves[e.Blob] = true
			}
		}
		t.Entries = append(t.Entries, *e)
		return err
	})
	if got := hex.EncodeToString(sum.Sum(nil)); err == nil && got != l.diffID.Hex {
		err = fmt.Errorf("%w: its blocks give sha256:%s, the config says %v", ErrInvalid, got, l.diffID)
	}
	return t, err
}

// length counts what is written.
type length int64

func (n *length) Write(p []byte) (int, error) {
	*n += length(len(p))
	return len(p), nil
}

// openBlocks opens a layer's tar stream by way of its blocks, where it has
// any.
func openBlocks(l diffLayer, d v1.Descriptor) (io.ReadCloser, error) {
	text, ok := d.Annotations[AnnotationBlocks]
	if !ok {
		return l.uncompressed()
	}
	blocks, err := parseBlocks(text, d.Size)
	if err != nil {
		return nil, err
	}
	r, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := TempFile()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return nil, err
	}
	return &blockStream{read: blocks.reader(f), end: int64(len(blocks.Sizes)), Closer: f}, nil
}

// blockStream reads one block after another.
type blockStream struct {
	io.Closer
	read      func(i int64) ([]byte, error)
	next, end int64
	rest      []byte
}

func (b *blockStream) Read(p []byte) (n int, err error) {
	for len(b.rest) == 0 {
		if b.next == b.end {
			return 0, io.EOF
		}
		if b.rest, err = b.read(b.next); err != nil {
			return 0, err
		}
		b.next++
	}
	n = copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
