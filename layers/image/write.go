package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// CheckTarget tells whether an image can be written to r, before the work of
// making one.
func (r Reference) CheckTarget() error {
	switch r.Transport {
	case Dir:
		return fmt.Errorf("%w: %v: a directory can only be a source", ErrReference, r)
	case DockerArchive:
		if r.Tag != "" {
			if _, err := name.NewTag(r.Tag); err != nil {
				return fmt.Errorf("%w: %w", ErrReference, err)
			}
		}
	}
	return nil
}

// Write writes an image. When it fails or ctx ends, the target is as it was;
// progress, which may be nil, is told how many bytes of layers are written.
func (r Reference) Write(ctx context.Context, img v1.Image, progress func(n int64)) error {
	if err := r.CheckTarget(); err != nil {
		return err
	}
	w := newWriter(ctx, r, progress)
	w.parts = func() ([]part, error) { return listedParts(img) }
	return w.write(r, func() error { return writeRegistry(ctx, r.Path, img) }, func() error {
		if r.Transport != DockerArchive {
			return fmt.Errorf("%w: unknown transport %q", ErrReference, r.Transport)
		}
		return w.file(r.Path, func(to io.Writer) error { return w.dockerArchive(to, img) })
	})
}

type writer struct {
	ctx      context.Context
	parts    func() ([]part, error) // the last one is what the tag names
	tag      string
	progress func(int64)
}

// newWriter is without its parts yet.
func newWriter(ctx context.Context, r Reference, progress func(n int64)) *writer {
	if progress == nil {
		progress = func(int64) {}
	}
	return &writer{ctx: ctx, tag: r.Tag, progress: progress}
}

// write writes the parts where r says; registry and other do what depends on
// what they are parts of.
func (w *writer) write(r Reference, registry, other func() error) error {
	var err error
	switch r.Transport {
	case OCI:
		err = w.layout(r.Path)
	case OCIArchive:
		err = w.file(r.Path, w.ociArchive)
	case Registry:
		err = registry()
	default:
		err = other()
	}
	if err != nil {
		return fmt.Errorf("writing %v: %w", r, err)
	}
	return nil
}

// part is a blob to be written.
type part struct {
	desc v1.Descriptor
	open func() (io.ReadCloser, error)
}

func bytesPart(b []byte, t types.MediaType) part {
	return part{describe(b, t), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// imageParts are the layers, the config and the manifest, in this order, each
// digest once.
func imageParts(img v1.Image) ([]part, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	var list []part
	for _, d := range m.Layers {
		if slices.ContainsFunc(list, func(p part) bool { return p.desc.Digest == d.Digest }) {
			continue
		}
		l, err := img.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		list = append(list, part{d, l.Compressed})
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return nil, err
	}
	mt, err := img.MediaType()
	if err != nil {
		return nil, err
	}
	return append(list, bytesPart(config, m.Config.MediaType), bytesPart(manifest, mt)), nil
}

// listedParts are the same of an image that index.json is to list, where it
// has its platform and what an index says of it.
func listedParts(img v1.Image) ([]part, error) {
	list, err := imageParts(img)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	manifest := &list[len(list)-1].desc
	*manifest, err = Describe(img, v1.Descriptor{Platform: config.Platform()})
	return list, err
}

// copy writes a blob and checks that it is whole.
func (w *writer) copy(to io.Writer, p part) error {
	r, err := p.open()
	if err != nil {
		return err
	}
	v, err := newVerifier(r, p.desc)
	if err != nil {
		return err
	}
	defer v.Close()
	_, err = io.Copy(to, &meter{v, w})
	return err
}

// meter reports what is read, and ends when the context does.
type meter struct {
	r io.Reader
	w *writer
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.w.progress(int64(n))
	return n, err
}

// index is an index.json; old is the one that is there, or nil. An image of
// the same tag is replaced.
func (w *writer) index(old []byte, manifest v1.Descriptor) ([]byte, error) {
	idx := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	if old != nil {
		if err := json.Unmarshal(old, &idx); err != nil {
			return nil, fmt.Errorf("%w: index.json: %w", ErrInvalid, err)
		}
	}
	idx.Manifests = slices.DeleteFunc(idx.Manifests, func(d v1.Descriptor) bool {
		return d.Annotations[refName] == w.tag
	})
	if w.tag != "" {
		all := map[string]string{refName: w.tag}
		maps.Copy(all, manifest.Annotations)
		manifest.Annotations = all
	}
	idx.Manifests = append(idx.Manifests, manifest)
	return json.Marshal(idx)
}

const layoutFile = `{"imageLayoutVersion":"1.0.0"}`

// layout writes to an OCI layout. A new one is made beside its place and
// renamed; to one that is there, blobs are added first and index.json is
// replaced last.
func (w *writer) layout(dir string) error {
	old, err := os.ReadFile(filepath.Join(dir, "index.json"))
	switch {
	case err == nil:
		return w.update(dir, old)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := checkEmpty(dir); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".megabin-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := w.update(tmp, nil); err != nil {
		return err
	}
	return os.Rename(tmp, dir) // replaces an empty directory
}

func checkEmpty(dir string) error {
	list, err := os.ReadDir(dir)
	if err == nil && len(list) > 0 {
		return fmt.Errorf("%s is not empty and no OCI layout", dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (w *writer) update(dir string, old []byte) (err error) {
	parts, err := w.parts()
	if err != nil {
		return err
	}
	var added []string
	defer func() {
		if err != nil {
			for _, name := range added {
				os.Remove(name)
			}
		}
	}()
	for _, p := range parts {
		name := filepath.Join(dir, filepath.FromSlash(blobName(p.desc.Digest)))
		if info, err := os.Stat(name); err == nil && info.Size() == p.desc.Size {
			w.progress(p.desc.Size)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := w.file(name, func(f io.Writer) error { return w.copy(f, p) }); err != nil {
			return err
		}
		added = append(added, name)
	}
	idx, err := w.index(old, parts[len(parts)-1].desc)
	if err != nil {
		return err
	}
	for _, f := range []struct{ name, content string }{{"oci-layout", layoutFile}, {"index.json", string(idx)}} {
		if err := w.file(filepath.Join(dir, f.name), writeString(f.content)); err != nil {
			return err
		}
	}
	return nil
}

func writeString(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// file writes a file beside its place and renames it.
func (w *writer) file(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".megabin-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// ociArchive writes an OCI layout as a tar stream.
func (w *writer) ociArchive(to io.Writer) error {
	parts, err := w.parts()
	if err != nil {
		return err
	}
	idx, err := w.index(nil, parts[len(parts)-1].desc)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(to)
	for _, f := range []struct{ name, content string }{{"oci-layout", layoutFile}, {"index.json", string(idx)}} {
		if err := tarFile(tw, f.name, int64(len(f.content)), writeString(f.content)); err != nil {
			return err
		}
	}
	for _, p := range parts {
		if err := tarFile(tw, blobName(p.desc.Digest), p.desc.Size, func(to io.Writer) error { return w.copy(to, p) }); err != nil {
			return err
		}
	}
	return tw.Close()
}

func tarFile(tw *tar.Writer, name string, size int64, write func(io.Writer) error) error {
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	return write(tw)
}

// dockerArchive writes what `docker load` reads.
func (w *writer) dockerArchive(to io.Writer, img v1.Image) error {
	parts, err := w.parts()
	if err != nil {
		return err
	}
	config, layers := parts[len(parts)-2], parts[:len(parts)-2]
	d := dockerImage{Config: config.desc.Digest.Hex + ".json", RepoTags: []string{}}
	if w.tag != "" {
		tag, err := name.NewTag(w.tag)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReference, err)
		}
		d.RepoTags = []string{tag.String()}
	}
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	for _, l := range m.Layers {
		d.Layers = append(d.Layers, l.Digest.Hex+".tar")
	}
	list, err := json.Marshal([]dockerImage{d})
	if err != nil {
		return err
	}
	tw := tar.NewWriter(to)
	if err := tarFile(tw, "manifest.json", int64(len(list)), writeString(string(list))); err != nil {
		return err
	}
	if err := tarFile(tw, d.Config, config.desc.Size, func(to io.Writer) error { return w.copy(to, config) }); err != nil {
		return err
	}
	for _, p := range layers {
		if err := tarFile(tw, p.desc.Digest.Hex+".tar", p.desc.Size, func(to io.Writer) error { return w.copy(to, p) }); err != nil {
			return err
		}
	}
	return tw.Close()
}
