package converter

import (
	"encoding/json"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"

	"github.com/megabin/megabin/layers/image"
)

// Referrer makes of an image that was converted with KeepNative one that
// refers to its source as its subject, so that a registry finds it by the
// source's digest. All but the last of its layers are the source's.
func Referrer(source, converted v1.Image) (v1.Image, error) {
	m, err := converted.Manifest()
	if err != nil {
		return nil, err
	}
	subject, err := partial.Descriptor(source)
	if err != nil {
		return nil, err
	}
	m = m.DeepCopy()
	m.ArtifactType = image.ArtifactType
	m.Subject = &v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest}
	manifest, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	config, err := converted.RawConfigFile()
	if err != nil {
		return nil, err
	}
	return image.New(manifest, config, func(d v1.Descriptor) (io.ReadCloser, error) {
		l, err := converted.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		return l.Compressed()
	})
}
