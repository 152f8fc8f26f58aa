package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Platform is what can be converted, and what is taken from an index.
var Platform = v1.Platform{OS: "linux", Architecture: "amd64"}

// refName is the annotation of a layout's index that has the tag.
const refName = "org.opencontainers.image.ref.name"

// Open opens an image for reading. Its layers may be read until close is
// called, which is never nil. Where an index has a converted image beside its
// source, it is the converted one.
func (r Reference) Open(ctx context.Context) (img v1.Image, close func() error, err error) {
	return r.open(ctx, selection{converted: true})
}

// OpenSource opens an image as Open does, but the source and not the converted
// image, and of an index the one for a variant of linux/amd64; "" is the
// lowest that there is.
func (r Reference) OpenSource(ctx context.Context, variant string) (img v1.Image, close func() error, err error) {
	return r.open(ctx, selection{variant: variant})
}

func (r Reference) open(ctx context.Context, want selection) (img v1.Image, close func() error, err error) {
	close = func() error { return nil }
	switch r.Transport {
	case OCI:
		img, err = openLayout(folder(r.Path), r.Tag, want)
	case OCIArchive, DockerArchive:
		img, close, err = openArchive(r, want)
	case Dir:
		img, close, err = openDir(ctx, r.Path)
	case Registry:
		img, err = openRegistry(ctx, r.Path, want)
	default:
		err = fmt.Errorf("%w: unknown transport %q", ErrReference, r.Transport)
	}
	if err != nil {
		return nil, func() error { return nil }, fmt.Errorf("opening %v: %w", r, err)
	}
	return img, close, nil
}

// files is what a layout or archive consists of.
type files interface {
	// open opens a file by its slash-separated name and gives its length in
	// bytes.
	open(name string) (io.ReadCloser, int64, error)
}

// folder is files in a directory.
type folder string

func (d folder) open(name string) (io.ReadCloser, int64, error) {
	f, err := os.Open(filepath.Join(string(d), filepath.FromSlash(name)))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no regular file", ErrInvalid, name)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// readFile reads a small file whole.
func readFile(f files, name string) ([]byte, error) {
	r, size, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > maxJSON {
		return nil, fmt.Errorf("%w: %s of %d bytes", ErrInvalid, name, size)
	}
	return io.ReadAll(r)
}

// blobs is the Opener of a layout.
func blobs(f files) Opener {
	return func(d v1.Descriptor) (io.ReadCloser, error) {
		r, _, err := f.open(blobName(d.Digest))
		return r, err
	}
}

// blobName is a blob's place in a layout. A v1.Hash that was parsed has
// letters and digits only.
func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

func openLayout(f files, tag string, want selection) (v1.Image, error) {
	if _, err := readFile(f, "oci-layout"); err != nil {
		return nil, fmt.Errorf("no OCI layout: %w", err)
	}
	b, err := readFile(f, "index.json")
	if err != nil {
		return nil, err
	}
	open := blobs(f)
	desc, err := selectImage(open, b, tag, want, 0)
	if err != nil {
		return nil, err
	}
	manifest, err := readBlob(open, *desc)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrInvalid, err)
	}
	config, err := readBlob(open, m.Config)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	img, err := New(manifest, config, open)
	if err != nil {
		return nil, err
	}
	return listed{img, desc.Annotations}, nil
}

// selectImage finds the manifest with the tag, or the only one for our
// platform, in an index and the indexes in it.
func selectImage(open Opener, index []byte, tag string, want selection, depth int) (*v1.Descriptor, error) {
	const maxDepth = 4
	var idx v1.IndexManifest
	if err := json.Unmarshal(index, &idx); err != nil {
		return nil, fmt.Errorf("%w: index: %w", ErrInvalid, err)
	}
	var found []v1.Descriptor
	for _, d := range idx.Manifests {
		if matches(d, tag) {
			found = append(found, d)
		}
	}
	found = want.choose(found)
	switch {
	case len(found) == 0 && tag != "":
		return nil, fmt.Errorf("no image has the tag %q", tag)
	case len(found) == 0:
		return nil, fmt.Errorf("no image for %s; there are: %s", path.Join(Platform.String(), want.variant), platformsOf(idx.Manifests))
	case len(found) > 1:
		return nil, fmt.Errorf("%d images; name one by its tag", len(found))
	case !found[0].MediaType.IsIndex():
		return &found[0], nil
	case depth == maxDepth:
		return nil, fmt.Errorf("%w: index in index in index", ErrInvalid)
	}
	inner, err := readBlob(open, found[0])
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return selectImage(open, inner, "", want, depth+1)
}

// platformsOf lists what an index has images for.
func platformsOf(list []v1.Descriptor) string {
	var names []string
	for _, d := range list {
		if d.Platform != nil && d.Platform.OS != "unknown" {
			names = append(names, d.Platform.String())
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func matches(d v1.Descriptor, tag string) bool {
	if tag != "" && d.Annotations[refName] != tag {
		return false
	}
	if d.MediaType.IsIndex() {
		return true
	}
	image := d.MediaType.IsImage() || d.MediaType == ""
	return image && (d.Platform == nil || d.Platform.OS == Platform.OS && d.Platform.Architecture == Platform.Architecture)
}

// openArchive opens a tar file, which is not unpacked.
func openArchive(r Reference, want selection) (v1.Image, func() error, error) {
	a, err := newArchive(r.Path)
	if err != nil {
		return nil, nil, err
	}
	var img v1.Image
	if r.Transport == OCIArchive {
		img, err = openLayout(a, r.Tag, want)
	} else {
		img, err = openDockerArchive(a, r.Tag)
	}
	if err != nil {
		a.close()
		return nil, nil, err
	}
	return img, a.close, nil
}

// dockerImage is an element of a docker archive's manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func openDockerArchive(f files, tag string) (v1.Image, error) {
	b, err := readFile(f, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no docker archive: %w", err)
	}
	if err != nil {
		return nil, err
	}
	var list []dockerImage
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("%w: manifest.json: %w", ErrInvalid, err)
	}
	d, err := selectDocker(list, tag)
	if err != nil {
		return nil, err
	}
	config, err := readFile(f, d.Config)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return d.image(f, config)
}

func selectDocker(list []dockerImage, tag string) (*dockerImage, error) {
	if tag == "" {
		if len(list) != 1 {
			return nil, fmt.Errorf("%d images; name one by its tag", len(list))
		}
		return &list[0], nil
	}
	want, err := name.NewTag(tag)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	for i := range list {
		for _, t := range list[i].RepoTags {
			if have, err := name.NewTag(t); err == nil && have.Name() == want.Name() {
				return &list[i], nil
			}
		}
	}
	return nil, fmt.Errorf("no image has the tag %q", tag)
}

// image makes the manifest that a docker archive lacks.
func (d *dockerImage) image(f files, config []byte) (v1.Image, error) {
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	m.Config = describe(config, types.OCIConfigJSON)
	names := map[v1.Hash]string{}
	for _, layer := range d.Layers {
		desc, err := describeLayer(f, layer)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", layer, err)
		}
		names[desc.Digest] = layer
		m.Layers = append(m.Layers, desc)
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return New(manifest, config, func(d v1.Descriptor) (io.ReadCloser, error) {
		r, _, err := f.open(names[d.Digest])
		return r, err
	})
}
