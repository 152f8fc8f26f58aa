package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ErrNoIndex tells that a reference names one image and not an index.
var ErrNoIndex = errors.New("it is one image and no index")

// OpenIndex opens an index of images, which may be read until close is
// called; close is never nil.
func (r Reference) OpenIndex(ctx context.Context) (idx v1.ImageIndex, close func() error, err error) {
	close = func() error { return nil }
	switch r.Transport {
	case OCI:
		idx, err = layoutIndex(folder(r.Path), r.Tag)
	case OCIArchive:
		var a *archive
		if a, err = newArchive(r.Path); err == nil {
			close = a.close
			idx, err = layoutIndex(a, r.Tag)
		}
	case Registry:
		idx, err = registryIndex(ctx, r.Path)
	default:
		err = ErrNoIndex
	}
	if err != nil {
		close()
		return nil, func() error { return nil }, fmt.Errorf("opening %v: %w", r, err)
	}
	return idx, close, nil
}

// layoutIndex is the index that a layout's index.json names, or index.json
// itself if it lists images.
func layoutIndex(f files, tag string) (v1.ImageIndex, error) {
	b, err := readFile(f, "index.json")
	if err != nil {
		return nil, err
	}
	var top v1.IndexManifest
	if err := json.Unmarshal(b, &top); err != nil {
		return nil, fmt.Errorf("%w: index.json: %w", ErrInvalid, err)
	}
	var found []v1.Descriptor
	for _, d := range top.Manifests {
		if tag == "" || d.Annotations[refName] == tag {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("no image has the tag %q", tag)
	case len(found) == 1 && found[0].MediaType.IsIndex():
		return readIndex(blobs(f), found[0])
	case len(found) == 1:
		return nil, ErrNoIndex
	}
	return &layoutImages{raw: b, manifest: &top, open: blobs(f)}, nil
}

func readIndex(open Opener, d v1.Descriptor) (v1.ImageIndex, error) {
	b, err := readBlob(open, d)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	x := &layoutImages{raw: b, manifest: &v1.IndexManifest{}, open: open}
	if err := json.Unmarshal(b, x.manifest); err != nil {
		return nil, fmt.Errorf("%w: index: %w", ErrInvalid, err)
	}
	return x, nil
}

// Describe sets what a descriptor says of an image's manifest, and adds the
// annotations that tell a converted image from its source.
func Describe(img v1.Image, d v1.Descriptor) (_ v1.Descriptor, err error) {
	own, err := partial.Descriptor(img)
	if err != nil {
		return d, err
	}
	d.Digest, d.Size, d.MediaType = own.Digest, own.Size, own.MediaType
	m, err := img.Manifest()
	if err != nil {
		return d, err
	}
	d.Annotations = maps.Clone(d.Annotations)
	for _, key := range []string{AnnotationSource, AnnotationFormat, AnnotationTranslator, AnnotationManifest} {
		if text := m.Annotations[key]; text != "" {
			if d.Annotations == nil {
				d.Annotations = map[string]string{}
			}
			d.Annotations[key] = text
		}
	}
	return d, nil
}

// Member is an image or an index in an index.
type Member struct {
	v1.Descriptor
	Image v1.Image      // or
	Index v1.ImageIndex // of which one is nil
}

// NewIndex makes an index of members, whose descriptors are taken as they are.
func NewIndex(members []Member, annotations map[string]string) (v1.ImageIndex, error) {
	x := &indexOf{manifest: &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Annotations: annotations}, members: map[v1.Hash]Member{}}
	for _, m := range members {
		x.manifest.Manifests = append(x.manifest.Manifests, m.Descriptor)
		x.members[m.Digest] = m
	}
	var err error
	x.raw, err = json.Marshal(x.manifest)
	return x, err
}

// indexOf implements v1.ImageIndex.
type indexOf struct {
	raw      []byte
	manifest *v1.IndexManifest
	members  map[v1.Hash]Member
}

func (x *indexOf) RawManifest() ([]byte, error)              { return x.raw, nil }
func (x *indexOf) IndexManifest() (*v1.IndexManifest, error) { return x.manifest, nil }
func (x *indexOf) Size() (int64, error)                      { return int64(len(x.raw)), nil }
func (x *indexOf) MediaType() (types.MediaType, error)       { return x.manifest.MediaType, nil }
func (x *indexOf) Digest() (v1.Hash, error)                  { return partial.Digest(x) }

func (x *indexOf) Image(h v1.Hash) (v1.Image, error) {
	if m := x.members[h]; m.Image != nil {
		return m.Image, nil
	}
	return nil, fmt.Errorf("%w: no image %v in the index", ErrInvalid, h)
}

func (x *indexOf) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	if m := x.members[h]; m.Index != nil {
		return m.Index, nil
	}
	return nil, fmt.Errorf("%w: no index %v in the index", ErrInvalid, h)
}

// layoutImages is an index whose blobs are opened by digest. It implements
// v1.ImageIndex.
type layoutImages struct {
	raw      []byte
	manifest *v1.IndexManifest
	open     Opener
}

func (x *layoutImages) RawManifest() ([]byte, error)                { return x.raw, nil }
func (x *layoutImages) IndexManifest() (*v1.IndexManifest, error)   { return x.manifest, nil }
func (x *layoutImages) Size() (int64, error)                        { return int64(len(x.raw)), nil }
func (x *layoutImages) MediaType() (types.MediaType, error)         { return types.OCIImageIndex, nil }
func (x *layoutImages) Digest() (v1.Hash, error)                    { return partial.Digest(x) }
func (x *layoutImages) ImageIndex(h v1.Hash) (v1.ImageIndex, error) { return x.index(h) }

func (x *layoutImages) find(h v1.Hash) (v1.Descriptor, error) {
	for _, d := range x.manifest.Manifests {
		if d.Digest == h {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("%w: no %v in the index", ErrInvalid, h)
}

func (x *layoutImages) index(h v1.Hash) (v1.ImageIndex, error) {
	d, err := x.find(h)
	if err != nil {
		return nil, err
	}
	return readIndex(x.open, d)
}

// Image opens a manifest of the index. One whose config has no layers, as
// those of artifacts, can be copied but not unpacked.
func (x *layoutImages) Image(h v1.Hash) (v1.Image, error) {
	d, err := x.find(h)
	if err != nil {
		return nil, err
	}
	manifest, err := readBlob(x.open, d)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrInvalid, err)
	}
	config, err := readBlob(x.open, m.Config)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if img, err := New(manifest, config, x.open); err == nil {
		return img, nil
	}
	return newArtifact(manifest, config, &m, x.open)
}

// newArtifact is an image of whose layers only the blobs are known.
func newArtifact(manifest, config []byte, m *v1.Manifest, open Opener) (v1.Image, error) {
	c := &core{manifest: manifest, config: config, mediaType: m.MediaType, open: open, layers: map[v1.Hash]*layer{}}
	for _, d := range m.Layers {
		c.layers[d.Digest] = &layer{desc: d, open: open}
	}
	return partial.CompressedToImage(c)
}

// IsPlatform tells whether an index's descriptor is of an image for the
// platform that is converted.
func IsPlatform(d v1.Descriptor) bool {
	return d.MediaType.IsImage() && d.Platform != nil && d.Platform.OS == Platform.OS && d.Platform.Architecture == Platform.Architecture
}

// isConverted tells by its annotations that a descriptor is of a converted
// image.
func isConverted(d v1.Descriptor) bool { return d.Annotations[AnnotationManifest] != "" }

// selection says which image of an index is meant.
type selection struct {
	variant   string // of linux/amd64; empty: the one that asks least of a processor
	converted bool   // rather than its source, where one stands beside it
}

// choose narrows what an index has for our platform.
func (want selection) choose(found []v1.Descriptor) []v1.Descriptor {
	found = prefer(found, func(d v1.Descriptor) bool { return isConverted(d) == want.converted })
	if want.variant != "" {
		return slices.DeleteFunc(found, func(d v1.Descriptor) bool { return hasVariant(d) && variant(d) != want.variant })
	}
	least := ""
	for _, d := range found {
		if hasVariant(d) && (least == "" || variant(d) < least) {
			least = variant(d)
		}
	}
	return prefer(found, func(d v1.Descriptor) bool { return !hasVariant(d) || variant(d) == least })
}

// prefer is those that fulfil a condition if there are any, else all.
func prefer(list []v1.Descriptor, condition func(v1.Descriptor) bool) []v1.Descriptor {
	var some []v1.Descriptor
	for _, d := range list {
		if condition(d) {
			some = append(some, d)
		}
	}
	if len(some) == 0 {
		return list
	}
	return some
}

// hasVariant tells whether a descriptor says what processors it is for.
func hasVariant(d v1.Descriptor) bool { return !d.MediaType.IsIndex() && d.Platform != nil }

// baseline is the variant of amd64 that is meant where none is named.
const baseline = "v1"

func variant(d v1.Descriptor) string { return cmp.Or(d.Platform.Variant, baseline) }

// ParseVariant reads a platform of which an image can be converted,
// linux/amd64[/VARIANT], and returns the variant.
func ParseVariant(text string) (string, error) {
	p, err := v1.ParsePlatform(text)
	if err != nil {
		return "", fmt.Errorf("platform %q: %w", text, err)
	}
	if p.OS != Platform.OS || p.Architecture != Platform.Architecture {
		return "", fmt.Errorf("an image for %s can't be converted: only linux/amd64 can", text)
	}
	return p.Variant, nil
}

// WriteIndex writes an index and its images, as Write does with one image. A
// docker archive can't hold one.
func (r Reference) WriteIndex(ctx context.Context, idx v1.ImageIndex, progress func(n int64)) error {
	w := newWriter(ctx, r, progress)
	w.parts = func() ([]part, error) { return w.indexParts(idx) }
	return w.write(r, func() error { return writeRegistryIndex(ctx, r.Path, idx) }, func() error {
		return fmt.Errorf("%w: %s can't hold an index of images", ErrReference, r.Transport)
	})
}

// indexParts are the parts of all images, then the index.
func (w *writer) indexParts(idx v1.ImageIndex) (list []part, err error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	seen := map[v1.Hash]bool{}
	for _, d := range m.Manifests {
		parts, err := w.memberParts(idx, d)
		if err != nil {
			return nil, fmt.Errorf("%v of the index: %w", d.Digest, err)
		}
		for _, p := range parts {
			if !seen[p.desc.Digest] {
				seen[p.desc.Digest] = true
				list = append(list, p)
			}
		}
	}
	raw, err := idx.RawManifest()
	if err != nil {
		return nil, err
	}
	mt, err := idx.MediaType()
	if err != nil {
		return nil, err
	}
	return append(list, bytesPart(raw, mt)), nil
}

func (w *writer) memberParts(idx v1.ImageIndex, d v1.Descriptor) ([]part, error) {
	if d.MediaType.IsIndex() {
		inner, err := idx.ImageIndex(d.Digest)
		if err != nil {
			return nil, err
		}
		return w.indexParts(inner)
	}
	img, err := idx.Image(d.Digest)
	if err != nil {
		return nil, err
	}
	return imageParts(img)
}
