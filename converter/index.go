package converter

import (
	"context"
	"fmt"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/megabin/megabin/layers/image"
)

// WithNative is an index of a source and what it was converted into. The
// source comes first, as ordinary runtimes take the first image for their
// platform; megabin knows the other by its annotations.
func WithNative(source, converted v1.Image) (v1.ImageIndex, error) {
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	p := v1.Platform{OS: "linux", Architecture: "amd64"}
	native := mutate.IndexAddendum{Add: source, Descriptor: v1.Descriptor{Platform: &p}}
	ours, err := addendum(converted, v1.Descriptor{Platform: &p})
	return mutate.AppendManifests(idx, native, ours), err
}

// addendum is a converted image in an index: its descriptor has the
// annotations that tell it from its source.
func addendum(converted v1.Image, d v1.Descriptor) (mutate.IndexAddendum, error) {
	m, err := converted.Manifest()
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	all := map[string]string{}
	maps.Copy(all, d.Annotations)
	for _, key := range []string{image.AnnotationSource, image.AnnotationFormat, image.AnnotationTranslator, image.AnnotationManifest} {
		all[key] = m.Annotations[key]
	}
	return mutate.IndexAddendum{Add: converted, Descriptor: v1.Descriptor{Platform: d.Platform, Annotations: all}}, nil
}

// attestationOf is the annotation by which BuildKit's attestations name the
// image that they are about.
const attestationOf = "vnd.docker.reference.digest"

// ConvertIndex converts each linux/amd64 image of an index; all others stay as
// they are. What attests something about an image that is converted is left
// out, as it is not about the result. The reports are those of the converted
// images, in the index's order.
func ConvertIndex(ctx context.Context, source v1.ImageIndex, o Options) (v1.ImageIndex, []*Report, error) {
	m, err := source.IndexManifest()
	if err != nil {
		return nil, nil, err
	}
	x := &indexConversion{Options: o, source: source, result: mutate.IndexMediaType(empty.Index, types.OCIImageIndex), replaced: map[string]bool{}}
	for _, d := range m.Manifests {
		if image.IsPlatform(d) {
			x.replaced[d.Digest.String()] = true
		}
	}
	if len(x.replaced) == 0 {
		return nil, nil, fmt.Errorf("converting: no image of the index is for linux/amd64")
	}
	for _, d := range m.Manifests {
		if err := x.add(ctx, d); err != nil {
			return nil, nil, fmt.Errorf("%v of the index: %w", d.Digest, err)
		}
	}
	if m.Annotations != nil {
		x.result = mutate.Annotations(x.result, m.Annotations).(v1.ImageIndex)
	}
	return x.result, x.reports, nil
}

type indexConversion struct {
	Options
	source, result v1.ImageIndex
	replaced       map[string]bool // digests of what is converted
	reports        []*Report
}

func (x *indexConversion) add(ctx context.Context, d v1.Descriptor) error {
	if x.replaced[d.Annotations[attestationOf]] {
		return nil
	}
	if d.MediaType.IsIndex() {
		inner, err := x.source.ImageIndex(d.Digest)
		if err != nil {
			return err
		}
		x.result = mutate.AppendManifests(x.result, mutate.IndexAddendum{Add: inner, Descriptor: d})
		return nil
	}
	img, err := x.source.Image(d.Digest)
	if err != nil {
		return err
	}
	add := mutate.IndexAddendum{Add: img, Descriptor: d}
	if x.replaced[d.Digest.String()] {
		out, report, err := Convert(ctx, img, x.Options)
		if err != nil {
			return err
		}
		x.reports = append(x.reports, report)
		if add, err = addendum(out, d); err != nil {
			return err
		}
	}
	x.result = mutate.AppendManifests(x.result, add)
	return nil
}
