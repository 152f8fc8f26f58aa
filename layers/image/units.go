package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// Media types of a unit in a registry: an artifact of one blob, tagged with
// the unit's key.
const (
	typeUnit     = "application/vnd.megabin.unit.v1"
	typeUnitBlob = "application/vnd.megabin.unit.v1+zstd"
	typeEmpty    = "application/vnd.oci.empty.v1+json"
)

// maxUnit bounds a unit, in bytes.
const maxUnit = 1 << 30

// Units is a repository of a registry that keeps units, so that what one
// machine recompiled another one need not. It does not know what units are:
// who loads one has to check it.
type Units struct{ endpoint }

// OpenUnits reads docker://HOST/REPO. Nothing is asked of the registry yet.
func OpenUnits(text string) (*Units, error) {
	r, err := Parse(text)
	if err != nil {
		return nil, err
	}
	_, err = name.NewRepository(r.Path)
	if r.Transport != Registry || err != nil {
		return nil, fmt.Errorf("%w %q: a cache of units is docker://HOST/REPO", ErrReference, text)
	}
	e, err := writeTo(r.Path) // what is looked up is what was written
	if err != nil {
		return nil, err
	}
	return &Units{e}, nil
}

// Load returns the unit with a key, 64 hex digits; fs.ErrNotExist if there is
// none.
func (u *Units) Load(ctx context.Context, key string) ([]byte, error) {
	desc, err := remote.Get(u.ref.Context().Tag(key), u.options(ctx)...)
	if err != nil {
		var te *transport.Error
		if errors.As(err, &te) && te.StatusCode == http.StatusNotFound {
			return nil, fs.ErrNotExist
		}
		return nil, err
	}
	var m v1.Manifest
	if err := json.Unmarshal(desc.Manifest, &m); err != nil {
		return nil, fmt.Errorf("%w: unit %s: %w", ErrInvalid, key, err)
	}
	if len(m.Layers) != 1 || m.Layers[0].MediaType != typeUnitBlob || m.Layers[0].Size > maxUnit {
		return nil, fmt.Errorf("%w: %s is no unit", ErrInvalid, key)
	}
	return u.blob(ctx, m.Layers[0])
}

func (u *Units) blob(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	l, err := remote.Layer(u.ref.Context().Digest(d.Digest.String()), u.options(ctx)...)
	if err != nil {
		return nil, err
	}
	r, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnit))
	if err != nil {
		return nil, fmt.Errorf("%w: zstd: %w", ErrInvalid, err)
	}
	defer z.Close()
	b, err := io.ReadAll(io.LimitReader(z, maxUnit+1))
	if err == nil && len(b) > maxUnit {
		err = fmt.Errorf("%w: a unit of more than %d bytes", ErrInvalid, maxUnit)
	}
	return b, err
}

// Store keeps a unit under a key.
func (u *Units) Store(ctx context.Context, key string, unit []byte) error {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	blob := z.EncodeAll(unit, nil)
	config := []byte("{}")
	layer := describe(blob, typeUnitBlob)
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: typeUnit,
		Config: describe(config, typeEmpty), Layers: []v1.Descriptor{layer},
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	img, err := newArtifact(raw, config, &m, func(v1.Descriptor) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(blob)), nil
	})
	if err != nil {
		return err
	}
	return remote.Write(u.ref.Context().Tag(key), img, u.options(ctx)...)
}
