package converter

import (
	"context"
	"errors"
	"fmt"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/image"
)

// WithNative is an index of a source and what it was converted into. The
// source comes first, as ordinary runtimes take the first image for their
// platform; megabin knows the other by its annotations.
func WithNative(source, converted v1.Image) (v1.ImageIndex, error) {
	p := &v1.Platform{OS: "linux", Architecture: "amd64"}
	native, err := describe(source, v1.Descriptor{Platform: p})
	if err != nil {
		return nil, err
	}
	ours, err := describeConverted(converted, v1.Descriptor{Platform: p})
	if err != nil {
		return nil, err
	}
	return image.NewIndex([]image.Member{{Descriptor: native, Image: source}, {Descriptor: ours, Image: converted}}, nil)
}

// describe sets what a descriptor says of an image's manifest.
func describe(img v1.Image, d v1.Descriptor) (v1.Descriptor, error) {
	var err error
	if d.Digest, err = img.Digest(); err != nil {
		return d, err
	}
	if d.Size, err = img.Size(); err != nil {
		return d, err
	}
	d.MediaType, err = img.MediaType()
	return d, err
}

// describeConverted adds the annotations that tell a converted image from its
// source.
func describeConverted(img v1.Image, d v1.Descriptor) (v1.Descriptor, error) {
	m, err := img.Manifest()
	if err != nil {
		return d, err
	}
	all := map[string]string{}
	maps.Copy(all, d.Annotations)
	for _, key := range []string{image.AnnotationSource, image.AnnotationFormat, image.AnnotationTranslator, image.AnnotationManifest} {
		all[key] = m.Annotations[key]
	}
	d.Annotations = all
	return describe(img, d)
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
	x := &indexConversion{Options: o, source: source, replaced: map[string]bool{}}
	for _, d := range m.Manifests {
		if image.IsPlatform(d) {
			x.replaced[d.Digest.String()] = true
		}
	}
	if len(x.replaced) == 0 {
		return nil, nil, errors.New("converting: no image of the index is for linux/amd64")
	}
	for _, d := range m.Manifests {
		if err := x.add(ctx, d); err != nil {
			return nil, nil, fmt.Errorf("%v of the index: %w", d.Digest, err)
		}
	}
	result, err := image.NewIndex(x.members, m.Annotations)
	return result, x.reports, err
}

type indexConversion struct {
	Options
	source   v1.ImageIndex
	members  []image.Member
	replaced map[string]bool // digests of what is converted
	reports  []*Report
}

func (x *indexConversion) add(ctx context.Context, d v1.Descriptor) error {
	if x.replaced[d.Annotations[attestationOf]] {
		return nil
	}
	if d.MediaType.IsIndex() {
		inner, err := x.source.ImageIndex(d.Digest)
		x.members = append(x.members, image.Member{Descriptor: d, Index: inner})
		return err
	}
	img, err := x.source.Image(d.Digest)
	if err != nil {
		return err
	}
	if x.replaced[d.Digest.String()] {
		var report *Report
		if img, report, err = Convert(ctx, img, x.Options); err != nil {
			return err
		}
		x.reports = append(x.reports, report)
		if d, err = describeConverted(img, d); err != nil {
			return err
		}
	}
	x.members = append(x.members, image.Member{Descriptor: d, Image: img})
	return nil
}
