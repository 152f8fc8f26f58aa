package converter

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/image"
)

// Alone is an index of a converted image, with its platform and what tells it
// from its source.
func Alone(converted v1.Image) (v1.ImageIndex, error) { return indexOf(converted) }

// WithNative is an index of a source and what it was converted into. The
// source comes first, as ordinary runtimes take the first image for their
// platform; megabin knows the other by its annotations.
func WithNative(source, converted v1.Image) (v1.ImageIndex, error) { return indexOf(source, converted) }

func indexOf(images ...v1.Image) (v1.ImageIndex, error) {
	var members []image.Member
	for _, img := range images {
		d, err := image.Describe(img, v1.Descriptor{Platform: image.Platform.DeepCopy()})
		if err != nil {
			return nil, err
		}
		members = append(members, image.Member{Descriptor: d, Image: img})
	}
	return image.NewIndex(members, nil)
}

// attestationOf is the annotation by which BuildKit's attestations name the
// image that they are about.
const attestationOf = "vnd.docker.reference.digest"

// Fate is what becomes of a member of an index.
type Fate int

// Fates. What attests something about an image that is converted is left out,
// as it is not about the result.
const (
	Stays Fate = iota
	IsConverted
	IsLeftOut
)

var fateNames = map[Fate]string{Stays: "stays as it is", IsConverted: "is converted", IsLeftOut: "is left out"}

func (f Fate) String() string { return fateNames[f] }

// fates tells what becomes of each member of an index. With Strict no image
// may stay.
func (o Options) fates(list []v1.Descriptor) ([]Fate, error) {
	converted := map[string]bool{}
	for _, d := range list {
		switch {
		case image.IsPlatform(d):
			converted[d.Digest.String()] = true
		case o.Strict && isImage(d):
			return nil, fmt.Errorf("the image for %v can't be converted: only linux/amd64 can, and the policy is strict", d.Platform)
		}
	}
	if len(converted) == 0 {
		return nil, errors.New("no image of the index is for linux/amd64")
	}
	fates := make([]Fate, len(list))
	for i, d := range list {
		switch {
		case converted[d.Annotations[attestationOf]]:
			fates[i] = IsLeftOut
		case converted[d.Digest.String()]:
			fates[i] = IsConverted
		}
	}
	return fates, nil
}

// isImage tells whether a descriptor is of something that runs, and not of an
// attestation, whose platform is unknown.
func isImage(d v1.Descriptor) bool { return d.Platform != nil && d.Platform.OS != "unknown" }

// PlannedImage is a member of an index that would be converted.
type PlannedImage struct {
	v1.Descriptor
	Fate  Fate
	Image v1.Image // if it is converted
}

// PlanIndex tells what ConvertIndex would do with each member of an index.
func PlanIndex(source v1.ImageIndex, o Options) ([]PlannedImage, error) {
	m, err := source.IndexManifest()
	if err != nil {
		return nil, err
	}
	fates, err := o.fates(m.Manifests)
	if err != nil {
		return nil, fmt.Errorf("planning: %w", err)
	}
	list := make([]PlannedImage, len(fates))
	for i, d := range m.Manifests {
		list[i] = PlannedImage{Descriptor: d, Fate: fates[i]}
		if fates[i] != IsConverted {
			continue
		}
		if list[i].Image, err = source.Image(d.Digest); err != nil {
			return nil, fmt.Errorf("%v of the index: %w", d.Digest, err)
		}
	}
	return list, nil
}

// ConvertIndex converts each linux/amd64 image of an index; all others stay as
// they are. The reports are those of the converted images, in the index's
// order.
func ConvertIndex(ctx context.Context, source v1.ImageIndex, o Options) (v1.ImageIndex, []*Report, error) {
	m, err := source.IndexManifest()
	if err != nil {
		return nil, nil, err
	}
	fates, err := o.fates(m.Manifests)
	if err != nil {
		return nil, nil, fmt.Errorf("converting: %w", err)
	}
	x := &indexConversion{Options: o, source: source}
	for i, d := range m.Manifests {
		if err := x.add(ctx, d, fates[i]); err != nil {
			return nil, nil, fmt.Errorf("%v of the index: %w", d.Digest, err)
		}
	}
	result, err := image.NewIndex(x.members, m.Annotations)
	return result, x.reports, err
}

type indexConversion struct {
	Options
	source  v1.ImageIndex
	members []image.Member
	reports []*Report
}

func (x *indexConversion) add(ctx context.Context, d v1.Descriptor, fate Fate) error {
	if fate == IsLeftOut {
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
	if fate == IsConverted {
		var report *Report
		if img, report, err = Convert(ctx, img, x.Options); err != nil {
			return err
		}
		x.reports = append(x.reports, report)
		if d, err = image.Describe(img, d); err != nil {
			return err
		}
	}
	x.members = append(x.members, image.Member{Descriptor: d, Image: img})
	return nil
}
