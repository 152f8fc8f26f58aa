package image_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/image/imagetest"
	"github.com/megabin/megabin/layers/tarfs"
)

func sample(t testing.TB) v1.Image {
	return imagetest.New(t,
		imagetest.Layer{Compression: image.Gzip, Tar: imagetest.Tar(t, imagetest.File{Name: "a", Content: strings.Repeat("a", 100000)})},
		imagetest.Layer{Compression: image.Zstd, Tar: imagetest.Tar(t, imagetest.File{Name: "b", Content: "b"})},
		imagetest.Layer{Tar: imagetest.Tar(t, imagetest.File{Name: "c", Content: "c"})})
}

func parse(t testing.TB, text string) image.Reference {
	t.Helper()
	r, err := image.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t testing.TB, text string, img v1.Image) {
	t.Helper()
	if err := parse(t, text).Write(t.Context(), img, nil); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, text string) (v1.Image, error) {
	t.Helper()
	img, done, err := parse(t, text).Open(t.Context())
	t.Cleanup(func() { done() })
	return img, err
}

// list names the files of an image.
func list(img v1.Image, store string) (string, error) {
	s, err := tarfs.OpenStore(store)
	if err != nil {
		return "", err
	}
	tree, err := image.Unpack(s, img)
	if err != nil {
		return "", err
	}
	var names []string
	for i := range tree.Nodes {
		names = append(names, tree.Path(i))
	}
	return strings.Join(names, " "), nil
}

func TestParse(t *testing.T) {
	for text, want := range map[string]image.Reference{
		"oci:dir":                          {Transport: image.OCI, Path: "dir"},
		"oci:/a/b:tag":                     {Transport: image.OCI, Path: "/a/b", Tag: "tag"},
		"oci:/a:b/c":                       {Transport: image.OCI, Path: "/a:b/c"},
		"oci-archive:f.tar:1":              {Transport: image.OCIArchive, Path: "f.tar", Tag: "1"},
		"docker-archive:f.tar:host:5/r:t":  {Transport: image.DockerArchive, Path: "f.tar", Tag: "host:5/r:t"},
		"dir:/a:b":                         {Transport: image.Dir, Path: "/a:b"},
		"docker://localhost:5000/debian:1": {Transport: image.Registry, Path: "localhost:5000/debian:1"},
		"localhost:5000/debian":            {Transport: image.Registry, Path: "localhost:5000/debian"},
	} {
		got, err := image.Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "oci:", "dir:", "UPPER", "docker://"} {
		if _, err := image.Parse(bad); !errors.Is(err, image.ErrReference) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestWriteAndOpen(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	dir, img := t.TempDir(), sample(t)
	want, _ := img.Digest()
	for _, ref := range []string{
		"oci:" + dir + "/layout",
		"oci:" + dir + "/layout:tag",
		"oci-archive:" + dir + "/oci.tar:tag",
		"docker-archive:" + dir + "/docker.tar:repo:tag",
		"docker://" + strings.TrimPrefix(server.URL, "http://") + "/repo:tag",
	} {
		write(t, ref, img)
		if ref == "oci:"+dir+"/layout" {
			continue // the next one shares it
		}
		got, err := open(t, ref)
		if err != nil {
			t.Fatal(err)
		}
		if digest, _ := got.Digest(); digest != want && !strings.HasPrefix(ref, "docker-archive:") {
			t.Errorf("%s: digest %v, want %v", ref, digest, want)
		}
		if files, err := list(got, t.TempDir()); err != nil || files != "/ /a /b /c" {
			t.Errorf("%s: files %q, %v", ref, files, err)
		}
	}
	for _, bad := range []string{"oci:" + dir + "/layout:none", "oci:" + dir, "docker-archive:" + dir + "/docker.tar:none", "oci-archive:" + dir + "/docker.tar"} {
		if _, err := open(t, bad); err == nil {
			t.Errorf("%s is opened", bad)
		}
	}
	if left, _ := filepath.Glob(dir + "/.megabin*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// skopeo copies what we write, and we read what it wrote.
func TestLikeSkopeo(t *testing.T) {
	tool, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	dir := t.TempDir()
	// Without zstd, which skopeo does not copy to a docker archive.
	img := imagetest.New(t,
		imagetest.Layer{Compression: image.Gzip, Tar: imagetest.Tar(t, imagetest.File{Name: "a", Content: "a"})},
		imagetest.Layer{Tar: imagetest.Tar(t, imagetest.File{Name: "c", Content: "c"})})
	want, err := list(img, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i, from := range []string{"oci:" + dir + "/l:t", "oci-archive:" + dir + "/o.tar:t", "docker-archive:" + dir + "/d.tar"} {
		write(t, from, img)
		for _, to := range []string{"oci:%/l:t", "oci-archive:%/o.tar:t", "docker-archive:%/d.tar:repo:t"} {
			sub := filepath.Join(dir, string(rune('0'+i)))
			os.Mkdir(sub, 0o755)
			to = strings.Replace(to, "%", sub, 1)
			if out, err := exec.Command(tool, "--insecure-policy", "copy", from, to).CombinedOutput(); err != nil {
				t.Errorf("%s to %s: %v\n%s", from, to, err, out)
				continue
			}
			got, err := open(t, to)
			if err != nil {
				t.Error(err)
				continue
			}
			if files, err := list(got, t.TempDir()); err != nil || files != want {
				t.Errorf("%s to %s: files %q, %v", from, to, files, err)
			}
		}
	}
}

func TestCompressedArchive(t *testing.T) {
	tool, err := exec.LookPath("gzip")
	if err != nil {
		t.Skip("gzip is not installed")
	}
	name := t.TempDir() + "/o.tar"
	write(t, "oci-archive:"+name, sample(t))
	if out, err := exec.Command(tool, name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	img, err := open(t, "oci-archive:"+name+".gz")
	if err != nil {
		t.Fatal(err)
	}
	if files, err := list(img, t.TempDir()); err != nil || files != "/ /a /b /c" {
		t.Errorf("files %q, %v", files, err)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/d/e", 0o750); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(dir+"/d/f", []byte("content"), 0o640)
	os.Link(dir+"/d/f", dir+"/hard")
	os.Symlink("d/f", dir+"/soft")
	first, err := open(t, "dir:"+dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := open(t, "dir:"+dir)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := first.Digest()
	if b, _ := second.Digest(); a != b {
		t.Errorf("digests %v and %v", a, b)
	}
	if files, err := list(first, t.TempDir()); err != nil || files != "/ /d /d/e /d/f /hard /soft" {
		t.Errorf("files %q, %v", files, err)
	}
	if err := parse(t, "dir:"+dir).Write(t.Context(), first, nil); !errors.Is(err, image.ErrReference) {
		t.Errorf("writing to a directory: %v", err)
	}
}

// A write that fails leaves the target as it was.
func TestNoPartialTarget(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	img := sample(t)
	for _, kind := range []string{"oci:%/x", "oci-archive:%/x", "docker-archive:%/x"} {
		dir := t.TempDir()
		ref := parse(t, strings.Replace(kind, "%", dir, 1))
		err := ref.Write(ctx, img, func(int64) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v", ref, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%v: %v is left", ref, left)
		}
	}
	dir := t.TempDir() + "/l"
	write(t, "oci:"+dir+":old", sample(t))
	before := files(t, dir)
	other := imagetest.New(t, imagetest.Layer{Tar: imagetest.Tar(t, imagetest.File{Name: "other"})})
	if err := parse(t, "oci:"+dir+":new").Write(ctx, other, nil); err == nil {
		t.Error("a cancelled write succeeds")
	}
	if after := files(t, dir); after != before {
		t.Errorf("before %s\nafter %s", before, after)
	}
}

func files(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		b.WriteString(name + "\n")
		return err
	})
	return b.String()
}

// Each damaged byte of a blob or of the index is an error or changes nothing.
func TestByteFlips(t *testing.T) {
	dir := t.TempDir()
	write(t, "oci:"+dir+"/l", imagetest.New(t, imagetest.Layer{Compression: image.Gzip, Tar: imagetest.Tar(t, imagetest.File{Name: "a", Content: "b"})}))
	names, _ := filepath.Glob(dir + "/l/blobs/sha256/*")
	for _, name := range append(names, dir+"/l/index.json") {
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(good); i += 5 {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			os.WriteFile(name, bad, 0o644)
			files := ""
			img, err := open(t, "oci:"+dir+"/l")
			if err == nil {
				files, err = list(img, t.TempDir())
			}
			if err == nil && (files != "/ /a" || filepath.Base(name) != "index.json") {
				t.Errorf("%s, byte %d: files %q", name, i, files)
			}
		}
		os.WriteFile(name, good, 0o644)
	}
}

// A docker archive has no digests of its layers; the config's tell.
func TestDamagedDockerArchive(t *testing.T) {
	name := t.TempDir() + "/d.tar"
	write(t, "docker-archive:"+name, imagetest.New(t, imagetest.Layer{Tar: imagetest.Tar(t, imagetest.File{Name: "a", Content: "some content"})}))
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(name, bytes.Replace(b, []byte("some content"), []byte("SOME content"), 1), 0o644)
	img, err := open(t, "docker-archive:"+name)
	if err == nil {
		_, err = list(img, t.TempDir())
	}
	if !errors.Is(err, tarfs.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
