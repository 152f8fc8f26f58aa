package converter

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/carrier"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/unit"

	"github.com/megabin/megabin/layers/blob"
)

// newLayer is a layer of the result.
type newLayer struct {
	desc   v1.Descriptor
	diffID v1.Hash
	file   *os.File // the blob; nil: it is the source's
	source v1.Layer
}

// write makes the layers of the result: those of the source, and at the same
// time the last one.
func (c *conversion) write(ctx context.Context) error {
	total := int64(0)
	for _, l := range c.layers {
		total += l.desc.Size
	}
	c.Progress.Phase("writing layers", total)
	c.out = make([]newLayer, len(c.layers)+1)
	steps := []func(context.Context) error{c.rewrite, func(ctx context.Context) error {
		c.treeFile = c.tree()
		if err := c.pack(ctx); err != nil {
			return err
		}
		return c.addLayer(ctx)
	}}
	return parallel(ctx, c.Jobs, len(steps), func(ctx context.Context, i int) error { return steps[i](ctx) })
}

// rewrite puts carriers into the layers that have recompiled ELFs. The tar
// stream stays as it is, byte by byte, but for the covered ranges.
func (c *conversion) rewrite(ctx context.Context) error {
	metas := map[blob.ID]*unit.Meta{}
	for _, e := range c.elves {
		metas[e.id] = e.meta
	}
	for i, l := range c.layers {
		n := newLayer{desc: l.desc, diffID: l.diffID, source: l.layer}
		if edits := l.edits(metas); len(edits) > 0 && !c.KeepNative {
			var err error
			if n, err = c.rewriteLayer(ctx, l, edits); err != nil {
				return fmt.Errorf("layer %v: %w", l.desc.Digest, err)
			}
		}
		c.out[i] = n
		c.Progress.Add(l.desc.Size)
	}
	return nil
}

// edits are what carriers change in a layer's tar stream. A sparse file has no
// place in it and stays as it is.
func (l *scannedLayer) edits(metas map[blob.ID]*unit.Meta) (list []tarfs.Edit) {
	for i := range l.entries {
		e := &l.entries[i]
		if m := metas[e.Blob]; e.Kind == tarfs.Regular && m != nil && e.Offset >= 0 {
			list = append(list, carrier.Edits(m, e.Offset)...)
		}
	}
	slices.SortFunc(list, func(a, b tarfs.Edit) int { return cmp.Compare(a.Off, b.Off) })
	return list
}

// tree lists what is in the layers of the result but the last.
func (c *conversion) tree() []byte {
	carriers := map[blob.ID]blob.ID{}
	for _, e := range c.elves {
		if e.meta != nil && !c.KeepNative {
			carriers[e.id] = e.carrier
		}
	}
	layers := make([]image.LayerTree, len(c.layers))
	for i, l := range c.layers {
		layers[i] = image.LayerTree{Entries: slices.Clone(l.entries), Size: l.size}
		for j := range layers[i].Entries {
			e := &layers[i].Entries[j]
			if id, ok := carriers[e.Blob]; ok && e.Kind == tarfs.Regular && e.Offset >= 0 {
				e.Blob = id
			}
		}
	}
	return image.EncodeTree(layers)
}

func (c *conversion) rewriteLayer(ctx context.Context, l *scannedLayer, edits []tarfs.Edit) (newLayer, error) {
	tar := reader{ctx, io.NewSectionReader(l.tar, 0, l.size)}
	return c.writeLayer(l.compression, func(w io.Writer) error {
		_, err := io.Copy(w, tarfs.Mask(tar, edits))
		return err
	})
}

// addLayer makes the last layer: the manifest, the tree and the megabinary.
func (c *conversion) addLayer(ctx context.Context) error {
	size, err := c.megabinary.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	l, err := c.writeLayer(image.Gzip, func(w io.Writer) error {
		tw := tar.NewWriter(w)
		for _, f := range []struct {
			name    string
			kind    byte
			mode    int64
			content io.Reader
			size    int64
		}{
			{manifest.Dir + "/", tar.TypeDir, 0o755, bytes.NewReader(nil), 0},
			{manifest.Name, tar.TypeReg, 0o644, bytes.NewReader(c.manifest), int64(len(c.manifest))},
			{manifest.TreeName, tar.TypeReg, 0o644, bytes.NewReader(c.treeFile), int64(len(c.treeFile))},
			{manifest.MegabinaryName, tar.TypeReg, 0o644, io.NewSectionReader(c.megabinary, 0, size), size},
		} {
			h := &tar.Header{Typeflag: f.kind, Name: f.name, Mode: f.mode, Size: f.size, ModTime: time.Unix(0, 0)}
			if err := tw.WriteHeader(h); err != nil {
				return err
			}
			if _, err := io.Copy(tw, reader{ctx, f.content}); err != nil {
				return err
			}
		}
		return tw.Close()
	})
	c.out[len(c.layers)] = l
	return err
}

// writeLayer makes a layer of the tar stream that write writes.
func (c *conversion) writeLayer(kind image.Compression, write func(io.Writer) error) (l newLayer, err error) {
	f, err := image.TempFile()
	if err != nil {
		return l, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	sum, diff := sha256.New(), sha256.New()
	z, err := newCompressor(io.MultiWriter(f, sum), kind, c.Jobs)
	if err != nil {
		return l, err
	}
	err = write(io.MultiWriter(z, diff))
	if e := z.Close(); err == nil {
		err = e
	}
	if err != nil {
		return l, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return l, err
	}
	desc := v1.Descriptor{MediaType: image.LayerType(kind), Size: size, Digest: hashOf(sum)}
	if g, ok := z.(*gzipWriter); ok {
		desc.Annotations = map[string]string{image.AnnotationBlocks: g.blocks().String()}
	}
	return newLayer{desc: desc, diffID: hashOf(diff), file: f}, nil
}

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
