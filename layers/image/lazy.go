package image

import (
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/tarfs"
)

// lazyLayer is the tar stream of a layer of which no more is decompressed
// than is read.
type lazyLayer struct {
	*tarfs.Lazy
	size   int64 // bytes
	source io.Closer
	forget func() // what the store has of it
}

// openLazy opens a layer so; its blob is compared with its digest before the
// store has anything of it. errors.ErrUnsupported means that the layer does
// not say where it can be entered, or that its source can only be read from
// beginning to end.
func openLazy(s *tarfs.Store, l v1.Layer, d v1.Descriptor) (*lazyLayer, error) {
	text, ok := d.Annotations[AnnotationBlocks]
	if !ok {
		return nil, errors.ErrUnsupported
	}
	blocks, err := parseBlocks(text, d.Size)
	if err != nil {
		return nil, err
	}
	source, err := randomAccess(l)
	if err != nil {
		return nil, err
	}
	key := blob.Hash([]byte(d.Digest.String() + " " + text))
	lazy, err := s.OpenLazy(key, tarfs.Source{
		Size: blocks.Total, Block: blocks.Block, Fill: blocks.reader(source), Check: func() error { return readAll(l) },
	})
	if err != nil {
		source.Close()
		return nil, err
	}
	return &lazyLayer{lazy, blocks.Total, source, func() { s.ForgetLazy(key) }}, nil
}

// Close ends the use of the layer.
func (l *lazyLayer) Close() error { return errors.Join(l.Lazy.Close(), l.source.Close()) }

// addTo makes the contents of the layer's entries known to the store. The
// layer must stay open.
func (l *lazyLayer) addTo(s *tarfs.Store, entries []tarfs.Entry) {
	s.AddLayer(entries, func() (tarfs.Tar, error) { return open{l}, nil }, l.forget)
}

// open is what stays open when it is closed.
type open struct{ io.ReaderAt }

func (open) Close() error { return nil }

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

// randomAccess opens a layer's blob for reading anywhere, unchecked, if the
// image's source can.
func randomAccess(l v1.Layer) (*source, error) {
	r, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	if v, ok := r.(*verifier); ok {
		if at, ok := v.ReadCloser.(io.ReaderAt); ok {
			return &source{at, r}, nil
		}
	}
	return nil, errors.Join(errors.ErrUnsupported, r.Close())
}

// source is a blob that can be read anywhere.
type source struct {
	io.ReaderAt
	io.Closer
}
