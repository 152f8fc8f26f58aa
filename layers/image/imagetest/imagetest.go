// Package imagetest makes small images for tests.
package imagetest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/megabin/megabin/layers/image"
)

// File is an entry of a layer: a regular file, or with Link a hardlink.
type File struct{ Name, Content, Link string }

// Tar makes a tar stream with a PAX record and a time that is no whole
// second, which must survive a conversion.
func Tar(t testing.TB, files ...File) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.Name, Mode: 0o755, Size: int64(len(f.Content)), ModTime: time.Unix(1e9, 123456789),
			Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.test": "value"},
		}
		if f.Link != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, f.Link, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, f.Content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Layer is a layer to be.
type Layer struct {
	Tar         []byte
	Compression image.Compression
}

// Config is the config of the images that New makes, less the layers; it has
// a member that no specification knows.
const Config = `{"architecture":"amd64","os":"linux","created":"2024-01-02T03:04:05Z",` +
	`"config":{"Entrypoint":["/bin/a"],"Env":["A=b"],"User":"1:2","Labels":{"l":"m"}},"unknown.member":{"x":1}}`

// New makes an image.
func New(t testing.TB, layers ...Layer) v1.Image {
	t.Helper()
	return build(t, map[string]string{"kept": "yes"}, layers)
}

// Tamper makes an image like img, uncompressed, with other tar streams and
// all hashes of blobs right.
func Tamper(t testing.TB, img v1.Image, change func(layer int, tar []byte) []byte) v1.Image {
	t.Helper()
	m, err := img.Manifest()
	must(t, err)
	list, err := img.Layers()
	must(t, err)
	var layers []Layer
	for i, l := range list {
		r, _, err := image.Uncompressed(l)
		must(t, err)
		b, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		layers = append(layers, Layer{Tar: change(i, b)})
	}
	return build(t, m.Annotations, layers)
}

func build(t testing.TB, annotations map[string]string, layers []Layer) v1.Image {
	t.Helper()
	blobs := map[v1.Hash][]byte{}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Annotations: annotations}
	config := map[string]any{}
	must(t, json.Unmarshal([]byte(Config), &config))
	rootfs := v1.RootFS{Type: "layers"}
	var history []v1.History
	for _, l := range layers {
		b := compress(t, l)
		diffID, _, err := v1.SHA256(bytes.NewReader(l.Tar))
		must(t, err)
		digest, n, err := v1.SHA256(bytes.NewReader(b))
		must(t, err)
		blobs[digest] = b
		rootfs.DiffIDs = append(rootfs.DiffIDs, diffID)
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: image.LayerType(l.Compression), Size: n, Digest: digest})
		history = append(history, v1.History{CreatedBy: "test"})
	}
	config["rootfs"], config["history"] = rootfs, append(history, v1.History{CreatedBy: "ENV", EmptyLayer: true})
	raw, err := json.Marshal(config)
	must(t, err)
	m.Config.MediaType = types.OCIConfigJSON
	m.Config.Digest, m.Config.Size, err = v1.SHA256(bytes.NewReader(raw))
	must(t, err)
	manifest, err := json.Marshal(m)
	must(t, err)
	img, err := image.New(manifest, raw, func(d v1.Descriptor) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(blobs[d.Digest])), nil
	})
	must(t, err)
	return img
}

func compress(t testing.TB, l Layer) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch l.Compression {
	case image.None:
		return l.Tar
	case image.Gzip:
		w = gzip.NewWriter(&b)
	case image.Zstd:
		z, err := zstd.NewWriter(&b)
		must(t, err)
		w = z
	}
	_, err := w.Write(l.Tar)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
