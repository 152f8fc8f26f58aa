package image

import (
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/tarfs"
)

// Annotations of a converted image's manifest.
const (
	AnnotationSource     = "dev.megabin.source.digest"
	AnnotationFormat     = "dev.megabin.format.version"
	AnnotationTranslator = "dev.megabin.translator.version"
	AnnotationManifest   = "dev.megabin.manifest.blake3"
)

// ErrNotConverted tells that an image has no megabinary.
var ErrNotConverted = errors.New("the image is not converted")

// Converted is what the last layer of a converted image holds.
type Converted struct {
	Manifest   *manifest.Manifest
	Megabinary *pack.Megabinary
	file       *os.File
	size       int64
	tree       []LayerTree
}

// Close ends the use of the megabinary.
func (c *Converted) Close() error { return c.file.Close() }

// OpenConverted reads the last layer of a converted image. The megabinary is
// copied to a temporary file. The manifest is checked against the image's
// annotation and with the megabinary's directory; what is read from the
// megabinary later is checked then.
func OpenConverted(img v1.Image) (*Converted, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	sum := m.Annotations[AnnotationManifest]
	if sum == "" || len(m.Layers) == 0 {
		return nil, ErrNotConverted
	}
	l, err := img.LayerByDigest(m.Layers[len(m.Layers)-1].Digest)
	if err != nil {
		return nil, err
	}
	f, err := TempFile()
	if err != nil {
		return nil, err
	}
	c := &Converted{file: f}
	if err := c.read(l, sum); err != nil {
		f.Close()
		return nil, fmt.Errorf("layer %v: %w", m.Layers[len(m.Layers)-1].Digest, err)
	}
	return c, nil
}

func (c *Converted) read(l v1.Layer, sum string) error {
	r, _, err := Uncompressed(l)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := tarfs.Walk(r, func(e *tarfs.Entry, content *tarfs.Content) error { return c.entry(e, content, sum) }); err != nil {
		return err
	}
	if c.Manifest == nil || c.size == 0 {
		return fmt.Errorf("%w: no %s and %s", ErrInvalid, manifest.Name, manifest.MegabinaryName)
	}
	if c.Megabinary, err = pack.Open(c.file, c.size); err != nil {
		return err
	}
	return c.Manifest.Verify(c.Megabinary)
}

func (c *Converted) entry(e *tarfs.Entry, content io.Reader, sum string) error {
	switch e.Name {
	case manifest.Dir:
	case manifest.TreeName:
		return c.readTree(e, content)
	case manifest.Name:
		if e.Size > maxManifest {
			return fmt.Errorf("%w: %d bytes", ErrInvalid, e.Size)
		}
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		if got := blob.Hash(b).String(); got != sum {
			return fmt.Errorf("%w: its hash is %s, the annotation says %s", ErrInvalid, got, sum)
		}
		c.Manifest, err = manifest.Decode(b)
		return err
	case manifest.MegabinaryName:
		n, err := io.Copy(c.file, content)
		c.size = n
		return err
	default:
		return fmt.Errorf("%w: unexpected file", ErrInvalid)
	}
	return nil
}

// readTree keeps the text, which Check compares with the layers. The manifest,
// which has its hash, comes before it.
func (c *Converted) readTree(e *tarfs.Entry, content io.Reader) error {
	if e.Size > maxManifest || c.Manifest == nil || c.Manifest.Tree == nil {
		return fmt.Errorf("%w: %d bytes, and no hash of it", ErrInvalid, e.Size)
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if got := blob.Hash(b); got != *c.Manifest.Tree {
		return fmt.Errorf("%w: its hash is %v, the manifest says %v", ErrInvalid, got, *c.Manifest.Tree)
	}
	c.tree, err = decodeTree(b)
	return err
}

// maxManifest bounds manifest.json and the tree, in bytes.
const maxManifest = 256 << 20

// verifyAll reads all of the megabinary.
func (c *Converted) verifyAll() error {
	id, n, err := blob.HashReader(io.NewSectionReader(c.file, 0, c.size))
	if err != nil {
		return err
	}
	if want := c.Manifest.Megabinary; id != want.BLAKE3 || n != want.Size {
		return fmt.Errorf("%w: the megabinary has %d bytes and hash %v, the manifest says %d and %v", ErrInvalid, n, id, want.Size, want.BLAKE3)
	}
	return c.Megabinary.Verify()
}
