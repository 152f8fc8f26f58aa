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

// errDone ends the reading of a layer of which no more is wanted.
var errDone = errors.New("done")

// ReadManifest reads manifest.json of a converted image, which is the first
// file of its last layer, and nothing behind it: of a registry's image a few
// hundred kilobytes. It is checked against the image's annotation.
func ReadManifest(img v1.Image) (*manifest.Manifest, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	sum := m.Annotations[AnnotationManifest]
	if sum == "" || len(m.Layers) == 0 {
		return nil, ErrNotConverted
	}
	last := m.Layers[len(m.Layers)-1]
	c := &Converted{}
	if err := c.readStart(img, last, sum); err != nil {
		return nil, fmt.Errorf("layer %v: %w", last.Digest, err)
	}
	if c.Manifest == nil {
		return nil, fmt.Errorf("layer %v: %w: no %s", last.Digest, ErrInvalid, manifest.Name)
	}
	return c.Manifest, nil
}

func (c *Converted) readStart(img v1.Image, d v1.Descriptor, sum string) error {
	blob, err := beginning(img, d)
	if err != nil {
		return err
	}
	r, _, err := decompress(blob)
	if err != nil {
		blob.Close()
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	defer r.Close()
	err = tarfs.Walk(r, func(e *tarfs.Entry, content *tarfs.Content) error {
		if e.Name == manifest.MegabinaryName {
			return errDone
		}
		if err := c.entry(e, content, sum); err != nil || c.Manifest == nil {
			return err
		}
		return errDone
	})
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// beginning opens a blob of an image of which the end is not read.
func beginning(img v1.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if r, ok := img.(*remoteImage); ok {
		return r.beginning(d)
	}
	l, err := img.LayerByDigest(d.Digest)
	if err != nil {
		return nil, err
	}
	return l.Compressed()
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
	sharing, err := c.Megabinary.Sharing()
	if err != nil {
		return err
	}
	if sharing != c.Manifest.Sharing {
		return fmt.Errorf("%w: the megabinary has %+v, the manifest says %+v", ErrInvalid, sharing, c.Manifest.Sharing)
	}
	return c.Megabinary.Verify()
}
