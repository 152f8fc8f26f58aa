// Package image opens and writes images: OCI layouts and archives, docker
// archives, plain directories, registries. An image is a go-containerregistry
// v1.Image whose blobs are read when asked for and checked while read. It
// knows nothing of what the layers hold, but for Check, which compares a
// converted image with its source.
package image

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// ErrInvalid is wrapped by every error about an image's content.
var ErrInvalid = errors.New("invalid image")

// Opener opens a blob of an image. The caller checks what it reads.
type Opener func(v1.Descriptor) (io.ReadCloser, error)

// New makes an image of its manifest, its config, and its layers' blobs,
// which are opened when they are read.
func New(manifest, config []byte, open Opener) (v1.Image, error) {
	c := &core{manifest: manifest, config: config, open: open, layers: map[v1.Hash]*layer{}}
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrInvalid, err)
	}
	var cf v1.ConfigFile
	if err := json.Unmarshal(config, &cf); err != nil {
		return nil, fmt.Errorf("%w: config: %w", ErrInvalid, err)
	}
	if len(m.Layers) != len(cf.RootFS.DiffIDs) {
		return nil, fmt.Errorf("%w: manifest has %d layers, config has %d", ErrInvalid, len(m.Layers), len(cf.RootFS.DiffIDs))
	}
	if c.mediaType = m.MediaType; c.mediaType == "" {
		c.mediaType = types.OCIManifestSchema1
	}
	for i, d := range m.Layers {
		c.layers[d.Digest] = &layer{desc: d, diffID: cf.RootFS.DiffIDs[i], open: open}
	}
	return partial.CompressedToImage(c)
}

// core implements partial.CompressedImageCore.
type core struct {
	manifest, config []byte
	mediaType        types.MediaType
	open             Opener
	layers           map[v1.Hash]*layer
}

func (c *core) RawManifest() ([]byte, error)        { return c.manifest, nil }
func (c *core) RawConfigFile() ([]byte, error)      { return c.config, nil }
func (c *core) MediaType() (types.MediaType, error) { return c.mediaType, nil }

func (c *core) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if l, ok := c.layers[h]; ok {
		return l, nil
	}
	return nil, fmt.Errorf("%w: no layer %v", ErrInvalid, h)
}

// layer implements partial.CompressedLayer.
type layer struct {
	desc   v1.Descriptor
	diffID v1.Hash
	open   Opener
}

func (l *layer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *layer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *layer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l *layer) Descriptor() (*v1.Descriptor, error) { return &l.desc, nil }

// Compressed returns the blob; reading it fails at the end if it is not what
// the digest says.
func (l *layer) Compressed() (io.ReadCloser, error) {
	r, err := l.open(l.desc)
	if err != nil {
		return nil, fmt.Errorf("layer %v: %w", l.desc.Digest, err)
	}
	return newVerifier(r, l.desc)
}

// verifier checks a blob's length and digest when its end is read.
type verifier struct {
	io.ReadCloser
	desc v1.Descriptor
	h    hash.Hash
	n    int64
}

func newVerifier(r io.ReadCloser, d v1.Descriptor) (io.ReadCloser, error) {
	if d.Digest.Algorithm != "sha256" {
		r.Close()
		return nil, fmt.Errorf("%w: blob %v: unknown digest algorithm", ErrInvalid, d.Digest)
	}
	return &verifier{ReadCloser: r, desc: d, h: sha256.New()}, nil
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.h.Write(p[:n])
	v.n += int64(n)
	switch {
	case v.n > v.desc.Size, err == io.EOF && v.n < v.desc.Size:
		return n, fmt.Errorf("%w: blob %v does not have %d bytes", ErrInvalid, v.desc.Digest, v.desc.Size)
	case err == io.EOF:
		if got := hex.EncodeToString(v.h.Sum(nil)); got != v.desc.Digest.Hex {
			return n, fmt.Errorf("%w: blob %v: its content is sha256:%s", ErrInvalid, v.desc.Digest, got)
		}
	}
	return n, err
}

// maxJSON bounds manifests and configs, in bytes.
const maxJSON = 16 << 20

// readBlob reads a small blob whole.
func readBlob(open Opener, d v1.Descriptor) ([]byte, error) {
	if d.Size < 0 || d.Size > maxJSON {
		return nil, fmt.Errorf("%w: blob %v of %d bytes", ErrInvalid, d.Digest, d.Size)
	}
	r, err := open(d)
	if err != nil {
		return nil, err
	}
	v, err := newVerifier(r, d)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return io.ReadAll(v)
}

// Compression is how a layer's blob is compressed.
type Compression int

// The compressions of layers.
const (
	None Compression = iota
	Gzip
	Zstd
)

var magics = []struct {
	magic []byte
	kind  Compression
}{
	{[]byte{0x1f, 0x8b}, Gzip},
	{[]byte{0x28, 0xb5, 0x2f, 0xfd}, Zstd},
}

// sniff tells how r is compressed by its first bytes.
func sniff(r *bufio.Reader) Compression {
	for _, m := range magics {
		if b, _ := r.Peek(len(m.magic)); bytes.Equal(b, m.magic) {
			return m.kind
		}
	}
	return None
}

// Uncompressed opens a layer's tar stream, and tells how its blob is
// compressed. It is decompressed ahead of the reader. Closing it closes the
// blob.
func Uncompressed(l v1.Layer) (io.ReadCloser, Compression, error) {
	blob, err := l.Compressed()
	if err != nil {
		return nil, None, err
	}
	r, kind, err := decompress(blob)
	if err != nil {
		blob.Close()
		return nil, None, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return readAhead(r), kind, nil
}

func decompress(blob io.ReadCloser) (io.ReadCloser, Compression, error) {
	in := bufio.NewReaderSize(blob, 1<<16)
	s := &stream{blob: in, closers: []func() error{blob.Close}}
	kind := sniff(in)
	switch kind {
	case None:
		s.r = in
	case Gzip:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, kind, fmt.Errorf("gzip: %w", err)
		}
		s.r, s.name = z, "gzip: "
	case Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, kind, fmt.Errorf("zstd: %w", err)
		}
		s.r, s.name = z, "zstd: "
		s.closers = append(s.closers, func() error { z.Close(); return nil })
	}
	return s, kind, nil
}

// stream is a decompressed blob. At its end the blob is read to its end too,
// so that its digest is checked.
type stream struct {
	r       io.Reader
	blob    io.Reader
	name    string
	closers []func() error
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	switch {
	case err == io.EOF:
		if _, e := io.Copy(io.Discard, s.blob); e != nil {
			err = e
		}
	case err != nil && !errors.Is(err, ErrInvalid):
		err = fmt.Errorf("%w: %s%w", ErrInvalid, s.name, err)
	}
	return n, err
}

func (s *stream) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}
