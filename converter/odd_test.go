package converter_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/image/imagetest"
)

// rawTar makes a tar stream of headers as they are.
func rawTar(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Linkname // of a regular file, for short
		if h.Typeflag == tar.TypeReg {
			h.Linkname, h.Size = "", int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			io.WriteString(w, content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func regular(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: content}
}

// paths are those of the recompiled ELFs that an image has in the end.
func paths(r *converter.Report) (list []string) {
	for _, e := range r.ELFs {
		list = append(list, e.Paths...)
	}
	slices.Sort(list)
	return list
}

// TestWhichELFs has layers that hide, link and name files in odd ways. What is
// expected is what the OCI image specification says of layers.
func TestWhichELFs(t *testing.T) {
	link := func(name, to string) tar.Header { return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to} }
	symlink := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for _, tt := range []struct {
		name   string
		layers [][]tar.Header
		want   string
	}{
		{"the last of duplicates", [][]tar.Header{{regular("a", binary("a")), regular("a", "text"), regular("b", "text"), regular("b", binary("b"))}}, "/b"},
		{"an absolute name", [][]tar.Header{{regular("/a", binary("a")), regular("./b", binary("b")), regular("c//d", binary("c"))}}, "/a /b /c/d"},
		{"a whiteout", [][]tar.Header{{regular("d/a", binary("a")), regular("b", binary("b"))}, {regular("d/.wh.a", "")}}, "/b"},
		{"a whiteout of a directory", [][]tar.Header{{regular("d/e/a", binary("a"))}, {regular(".wh.d", "")}}, ""},
		{"an opaque directory", [][]tar.Header{{regular("d/a", binary("a"))}, {regular("d/b", binary("b")), regular("d/.wh..wh..opq", "")}}, "/d/b"},
		{"a hardlink across layers", [][]tar.Header{{regular("a", binary("a"))}, {link("b", "a")}, {regular(".wh.a", "")}}, "/b"},
		{"a hardlink by an absolute name", [][]tar.Header{{regular("a", binary("a")), link("b", "/a")}}, "/a /b"},
		{"a directory that is a symlink", [][]tar.Header{{regular("usr/bin/a", binary("a")), symlink("bin", "usr/bin")}, {regular("bin/b", binary("b"))}}, "/usr/bin/a /usr/bin/b"},
		{"a file in a directory's place", [][]tar.Header{{regular("a/b", binary("b"))}, {regular("a", binary("a"))}}, "/a"},
		{"a wheel's library", [][]tar.Header{{regular("usr/lib/python3/dist-packages/x/_x.so", binary("x")), regular("app/node_modules/y/y.node", binary("y"))}},
			"/app/node_modules/y/y.node /usr/lib/python3/dist-packages/x/_x.so"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var layers []imagetest.Layer
			for _, l := range tt.layers {
				layers = append(layers, imagetest.Layer{Tar: rawTar(t, l...), Compression: image.Gzip})
			}
			img := imagetest.New(t, layers...)
			out, report := convert(t, img, (&translator{}).options(t.TempDir()))
			if got := strings.Join(paths(report), " "); got != tt.want {
				t.Errorf("recompiled are %s, want %s", got, tt.want)
			}
			if _, err := image.Check(t.Context(), img, out); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRefusedLayers has layers that no image may have.
func TestRefusedLayers(t *testing.T) {
	for _, tt := range []struct{ name, want string }{{"../a", ".."}, {"a/../../b", ".."}, {"a/..", ".."}} {
		img := imagetest.New(t, imagetest.Layer{Tar: rawTar(t, regular(tt.name, binary("a")))})
		_, _, err := converter.Convert(t.Context(), img, (&translator{}).options(t.TempDir()))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// retyped is an image with other media types of its manifest and layers.
func retyped(t *testing.T, img v1.Image, manifest, config, layer types.MediaType) v1.Image {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	m = m.DeepCopy()
	m.MediaType, m.Config.MediaType = manifest, config
	for i := range m.Layers {
		m.Layers[i].MediaType = layer
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	cf, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	out, err := image.New(raw, cf, func(d v1.Descriptor) (io.ReadCloser, error) {
		l, err := img.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		return l.Compressed()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestForeignLayer(t *testing.T) {
	img := imagetest.New(t, imagetest.Layer{Tar: rawTar(t, regular("a", binary("a"))), Compression: image.Gzip})
	foreign := retyped(t, img, types.DockerManifestSchema2, types.DockerConfigJSON, types.DockerForeignLayer)
	_, _, err := converter.Convert(t.Context(), foreign, (&translator{}).options(t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "foreign") {
		t.Errorf("it is converted: %v", err)
	}
}

// TestDockerSchema2 checks that the result of a docker image is an OCI one,
// whatever the layers' compression.
func TestDockerSchema2(t *testing.T) {
	img := imagetest.New(t, imagetest.Layer{Tar: rawTar(t, regular("a", binary("a"))), Compression: image.Gzip},
		imagetest.Layer{Tar: rawTar(t, regular("text", "text")), Compression: image.Gzip})
	docker := retyped(t, img, types.DockerManifestSchema2, types.DockerConfigJSON, types.DockerLayer)
	out, _ := convert(t, docker, (&translator{}).options(t.TempDir()))
	m, err := out.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	got := []types.MediaType{m.MediaType, m.Config.MediaType}
	for _, l := range m.Layers {
		got = append(got, l.MediaType)
	}
	if want := []types.MediaType{types.OCIManifestSchema1, types.OCIConfigJSON, types.OCILayer, types.OCILayer, types.OCILayer}; !slices.Equal(got, want) {
		t.Errorf("media types %v, want %v", got, want)
	}
	if _, err := image.Check(t.Context(), docker, out); err != nil {
		t.Error(err)
	}
}

// TestTarFormats converts layers that tar itself wrote, in each of its
// formats, with long names, a sparse ELF, attributes, links and owners.
func TestTarFormats(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("long/", 30) + strings.Repeat("n", 120)
	for name, content := range map[string]string{"a": binary("a"), long: binary("long"), "text": "text", "sparse": binary("s") + strings.Repeat("\x00", 1<<20) + "end"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o4755); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Chmod(filepath.Join(dir, "a"), 0o755|os.ModeSetuid), os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "link")), os.Symlink("a", filepath.Join(dir, "symlink")),
		exec.Command("fallocate", "--dig-holes", filepath.Join(dir, "sparse")).Run(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range [][]string{
		{"--format=gnu"}, {"--format=gnu", "--sparse"}, {"--format=pax", "--xattrs"}, {"--format=pax", "--sparse"}, {"--format=oldgnu"},
		{"--format=posix", "--sparse", "--sparse-version=0.1"}, {"--format=gnu", "-P", "--blocking-factor=1"},
	} {
		t.Run(strings.Join(format, " "), func(t *testing.T) {
			stream, err := exec.Command("tar", append(format, "-C", dir, "-cf", "-", ".")...).Output()
			if err != nil {
				t.Fatalf("tar: %v", err)
			}
			img := imagetest.New(t, imagetest.Layer{Tar: stream, Compression: image.Zstd})
			out, report := convert(t, img, (&translator{}).options(t.TempDir()))
			if got, want := paths(report), []string{"/a", "/link", "/" + long, "/sparse"}; !slices.Equal(got, want) {
				t.Errorf("recompiled are %v, want %v", got, want)
			}
			if _, err := image.Check(t.Context(), img, out); err != nil {
				t.Error(err)
			}
			// tar itself finds the same files in the result.
			if want, have := tarList(t, stream), tarList(t, firstLayer(t, out)); !reflect.DeepEqual(want, have) {
				t.Errorf("tar lists\n%s\nin the result, and in the source\n%s", have, want)
			}
		})
	}
}

func firstLayer(t *testing.T, img v1.Image) []byte {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := image.Uncompressed(layers[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tarList(t *testing.T, stream []byte) string {
	t.Helper()
	cmd := exec.Command("tar", "--xattrs", "-tvvf", "-")
	cmd.Stdin = bytes.NewReader(stream)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tar: %v", err)
	}
	return string(out)
}
