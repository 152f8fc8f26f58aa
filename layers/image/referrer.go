package image

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// ArtifactType is that of a converted image that refers to its source
// (OCI image specification 1.1, "Artifacts" and "Referrers").
const ArtifactType = "application/vnd.megabin.image.v1"

// WriteReferrer writes an image that has a subject into the repository of r,
// under its digest only.
func (r Reference) WriteReferrer(ctx context.Context, img v1.Image) error {
	if r.Transport != Registry {
		return fmt.Errorf("%w: %v: only a registry has referrers", ErrReference, r)
	}
	to, err := writeTo(r.Path)
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	if err := remote.Write(to.ref.Context().Digest(digest.String()), img, to.options(ctx)...); err != nil {
		return fmt.Errorf("writing the referrer of %v: %w", r, err)
	}
	return nil
}

// referrer is the converted image that refers to an image in its repository,
// the last one listed; nil if there is none.
func referrer(ctx context.Context, e endpoint, img v1.Image) (v1.Image, error) {
	source, err := img.Digest()
	if err != nil {
		return nil, err
	}
	repo := e.ref.Context()
	options := append(e.options(ctx), remote.WithFilter("artifactType", ArtifactType))
	idx, err := remote.Referrers(repo.Digest(source.String()), options...)
	if err != nil {
		return nil, fmt.Errorf("looking for what refers to it: %w", err)
	}
	list, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	for i := len(list.Manifests) - 1; i >= 0; i-- {
		d := list.Manifests[i]
		if d.ArtifactType != ArtifactType { // a registry need not filter
			continue
		}
		found, err := remote.Image(repo.Digest(d.Digest.String()), e.options(ctx)...)
		if err != nil {
			return nil, err
		}
		m, err := found.Manifest()
		if err != nil {
			return nil, err
		}
		if m.Subject == nil || m.Subject.Digest != source {
			return nil, fmt.Errorf("%w: %v does not refer to %v", ErrInvalid, d.Digest, source)
		}
		return found, nil
	}
	return nil, nil
}

// orReferrer is img if it is converted, else what refers to it if there is
// something.
func orReferrer(ctx context.Context, e endpoint, img v1.Image) (v1.Image, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	if m.Annotations[AnnotationManifest] != "" {
		return img, nil
	}
	found, err := referrer(ctx, e, img)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return img, nil
	}
	return found, nil
}
