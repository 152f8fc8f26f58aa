package converter_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/image/imagetest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/unit"
	"github.com/megabin/megabin/layers/unit/unittest"
)

type file = imagetest.File

// binary is what the tests' translator takes for an ELF: the code is the X's.
func binary(name string) string {
	return "\x7fELF" + name + strings.Repeat("X", 5000) + "data" + strings.Repeat("X", 3000) + "end"
}

// translator counts its calls.
type translator struct{ calls atomic.Int64 }

func (tr *translator) translate(_ context.Context, name string, elf []byte) (*unit.Unit, error) {
	tr.calls.Add(1)
	if bytes.Contains(elf, []byte("broken")) {
		return nil, errors.New("it is broken")
	}
	if bytes.Contains(elf, []byte("panic")) {
		panic("oh")
	}
	u := unittest.Make("x", unittest.Func{Const: 1}, unittest.Func{Const: int64(len(elf)), Calls: []uint32{0}})
	u.Source, u.SourceSize, u.Covered, u.Exec = blob.Hash(elf), uint64(len(elf)), nil, nil
	for i := 0; i < len(elf); {
		n := len(elf[i:]) - len(bytes.TrimLeft(elf[i:], "X"))
		if n > 0 {
			u.Covered = append(u.Covered, unit.Span{Off: uint64(i), Size: uint64(n)})
		}
		i += n + 1
	}
	return u, nil
}

func (tr *translator) options(cache string) converter.Options {
	return converter.Options{Translate: tr.translate, Translator: "test 1", CacheDir: cache}
}

// sample has ELFs in two layers, one twice, one hidden, a hardlink, ones that
// can't be recompiled, and a layer without any.
func sample(t testing.TB) v1.Image {
	return imagetest.New(t,
		imagetest.Layer{Compression: image.Gzip, Tar: imagetest.Tar(t,
			file{Name: "bin/a", Content: binary("a")},
			file{Name: "bin/gone", Content: binary("gone")},
			file{Name: "bin/link", Link: "bin/a"},
			file{Name: "etc/text", Content: "text"})},
		imagetest.Layer{Compression: image.Gzip, Tar: imagetest.Tar(t, file{Name: "etc/only", Content: "text XXX"})},
		imagetest.Layer{Compression: image.Zstd, Tar: imagetest.Tar(t,
			file{Name: "bin/.wh.gone"},
			file{Name: "opt/a", Content: binary("a")},
			file{Name: "opt/broken", Content: binary("broken")},
			file{Name: "opt/panic", Content: binary("panic")},
			file{Name: "opt/b", Content: binary("b")})},
		imagetest.Layer{Tar: imagetest.Tar(t, file{Name: "opt/c", Content: binary("c")})})
}

func convert(t testing.TB, img v1.Image, o converter.Options) (v1.Image, *converter.Report) {
	t.Helper()
	out, report, err := converter.Convert(t.Context(), img, o)
	if err != nil {
		t.Fatal(err)
	}
	return out, report
}

func layerDigests(t *testing.T, img v1.Image) (list []string) {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Layers {
		list = append(list, l.Digest.String()+" "+string(l.MediaType))
	}
	return list
}

// tree reads all files of an image.
func tree(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	s, err := tarfs.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tr, err := image.Unpack(s, img)
	if err != nil {
		t.Fatal(err)
	}
	return contents(t, s, tr.Flat())
}

// contents reads all files of a tree.
func contents(t *testing.T, s *tarfs.Store, tr *tarfs.Flat) map[string]string {
	t.Helper()
	files := map[string]string{}
	for i, path := range tr.Paths() {
		if n := tr.Node(i); n.Kind == tarfs.Regular {
			f, err := s.Open(n.Blob)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(f)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			files[path] = string(b)
		}
	}
	return files
}

func TestConvert(t *testing.T) {
	img := sample(t)
	out, report := convert(t, img, new(translator).options(""))
	before, after := tree(t, img), tree(t, out)
	for path, content := range before {
		want := content
		if strings.HasPrefix(content, "\x7fELF") && path != "/opt/broken" && path != "/opt/panic" {
			want = strings.ReplaceAll(content, "X", "\x00")
		}
		if after[path] != want {
			t.Errorf("%s: %.60q, want %.60q", path, after[path], want)
		}
	}
	if len(after) != len(before)+3 {
		t.Errorf("%d files of %d", len(after), len(before))
	}
	unittest.Validate(t, []byte(after["/.megabin/megabinary.wasm"]))
	if report.Total.ELFs != 5 || report.Total.Refused != 2 || report.Total.Cached != 0 {
		t.Errorf("report %+v", report.Total)
	}
	reasons := ""
	for _, row := range report.Rows() {
		if len(row) != len(converter.Header) {
			t.Errorf("row %q", row)
		}
		reasons += row[len(row)-1] + "\n"
	}
	if !strings.Contains(reasons, "it is broken") || !strings.Contains(reasons, "failed: oh") {
		t.Errorf("notes %s", reasons)
	}
	res, err := image.Check(t.Context(), img, out)
	if err != nil || res.Units != 3 || res.Carriers != 4 || res.Layers != 5 {
		t.Errorf("check: %+v, %v", res, err)
	}
}

// TestProgram opens converted images in each way there is, and reads their
// files and their code.
func TestProgram(t *testing.T) {
	img := sample(t)
	out, _ := convert(t, img, new(translator).options(""))
	want := tree(t, out)
	dir := t.TempDir()
	for _, target := range []string{"oci:" + dir + "/layout", "oci-archive:" + dir + "/oci.tar", "docker-archive:" + dir + "/docker.tar"} {
		ref, err := image.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if err := ref.Write(t.Context(), out, nil); err != nil {
			t.Fatal(err)
		}
		img, done, err := ref.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		store := t.TempDir()
		for range 2 { // with an empty store, and with what that left
			checkProgram(t, store, img, want)
		}
		if trees, _ := filepath.Glob(store + "/trees/*"); len(trees) != 1 && ref.Transport != image.DockerArchive {
			t.Errorf("%s: the store has %d merged trees", target, len(trees))
		}
		lazy, _ := filepath.Glob(store + "/lazy/*.marks")
		if n := len(lazy); n != 2 && ref.Transport != image.DockerArchive {
			t.Errorf("%s: %d layers are read as needed, not 2", target, n)
		}
	}
}

func checkProgram(t *testing.T, store string, img v1.Image, want map[string]string) {
	t.Helper()
	s, err := tarfs.OpenStore(store)
	if err != nil {
		t.Fatal(err)
	}
	p, err := image.OpenProgram(s, img)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Megabinary.Verify(); err != nil {
		t.Error(err)
	}
	if got := contents(t, s, p.Tree); !reflect.DeepEqual(got, want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}

// TestDamagedStore changes each file of a store in some places. What is opened
// of it is either right or refused, and what was refused while opening the
// image is mended by the next use.
func TestDamagedStore(t *testing.T) {
	img := sample(t)
	out, _ := convert(t, img, new(translator).options(""))
	want := tree(t, out)
	dir := t.TempDir()
	ref, err := image.Parse("oci:" + dir + "/layout")
	if err != nil {
		t.Fatal(err)
	}
	if err := ref.Write(t.Context(), out, nil); err != nil {
		t.Fatal(err)
	}
	stored, done, err := ref.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	checkProgram(t, dir+"/store", stored, want)
	files, _ := filepath.Glob(dir + "/store/[lt]*/*")
	if len(files) < 6 {
		t.Fatalf("files of the store: %q", files)
	}
	for i := range 60 {
		store := t.TempDir()
		if err := os.CopyFS(store, os.DirFS(dir+"/store")); err != nil {
			t.Fatal(err)
		}
		os.RemoveAll(store + "/blobs")
		name := filepath.Join(store, strings.TrimPrefix(files[i%len(files)], dir+"/store"))
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)*(i/len(files))/(60/len(files)+1)] ^= 1
		os.Remove(name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := openDamaged(store, stored, want); err == nil {
			continue
		}
		if err := openDamaged(store, stored, want); err != nil && !errors.Is(err, pack.ErrInvalid) {
			t.Errorf("%s, %d: %v again", name, i, err)
		}
	}
}

// openDamaged tells what is noticed; it panics if that is too little.
func openDamaged(store string, img v1.Image, want map[string]string) error {
	s, err := tarfs.OpenStore(store)
	if err != nil {
		return err
	}
	p, err := image.OpenProgram(s, img)
	if err != nil {
		return err
	}
	defer p.Close()
	err = p.Megabinary.Verify()
	for i, path := range p.Tree.Paths() {
		n := p.Tree.Node(i)
		if n.Kind != tarfs.Regular {
			continue
		}
		f, e := s.Open(n.Blob)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		b, _ := io.ReadAll(f)
		f.Close()
		if string(b) != want[path] {
			panic(path + " is not what it was")
		}
	}
	return err
}

// TestCheckBlocks has layers that can't be entered where they say, and a tree
// that says something else than the layers.
func TestCheckBlocks(t *testing.T) {
	img := sample(t)
	out, _ := convert(t, img, new(translator).options(""))
	raw, err := out.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := out.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	open := func(d v1.Descriptor) (io.ReadCloser, error) {
		l, err := out.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		return l.Compressed()
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	last := &m.Layers[len(m.Layers)-1]
	good := last.Annotations[image.AnnotationBlocks]
	for _, text := range []string{good, "", "10", "11" + good[2:], good + " 1", good + " x", "10 0 0", "10 1 9999999999", "10 -1 1 1"} {
		last.Annotations = map[string]string{image.AnnotationBlocks: text}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := image.New(b, config, open)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := image.Check(t.Context(), nil, changed); (err == nil) != (text == good) {
			t.Errorf("blocks %q: %v", text, err)
		}
	}
}

func TestUnchangedLayer(t *testing.T) {
	img := sample(t)
	before := layerDigests(t, img)
	out, _ := convert(t, img, new(translator).options(""))
	after := layerDigests(t, out)
	if len(after) != len(before)+1 || after[1] != before[1] || after[0] == before[0] {
		t.Errorf("before %q\nafter %q", before, after)
	}
	for i := range before {
		if _, b, _ := strings.Cut(before[i], " "); !strings.HasSuffix(after[i], " "+b) {
			t.Errorf("layer %d was of type %s, is %s", i, b, after[i])
		}
	}
	kept, _ := convert(t, img, func() converter.Options {
		o := new(translator).options("")
		o.KeepNative = true
		return o
	}())
	if after = layerDigests(t, kept); !reflect.DeepEqual(after[:4], before) {
		t.Errorf("native ELFs are not kept: %q, %q", before, after)
	}
	if _, err := image.Check(t.Context(), img, kept); err != nil {
		t.Error(err)
	}
}

func TestSameDigest(t *testing.T) {
	img, cache := sample(t), t.TempDir()
	want := ""
	for _, jobs := range []int{1, 3, 8, 2} {
		o := new(translator).options(cache)
		o.Jobs = jobs
		_, report := convert(t, img, o)
		if want == "" {
			want = report.Result
		}
		if report.Result != want {
			t.Errorf("%d jobs: digest %s, was %s", jobs, report.Result, want)
		}
	}
}

func TestUnitCache(t *testing.T) {
	img, cache := sample(t), t.TempDir()
	first, second := new(translator), new(translator)
	convert(t, img, first.options(cache))
	_, report := convert(t, img, second.options(cache))
	// Where the translator panicked it is asked again.
	if first.calls.Load() != 5 || second.calls.Load() != 1 || report.Total.Cached != 4 || report.Total.Refused != 2 {
		t.Errorf("%d calls, then %d; %+v", first.calls.Load(), second.calls.Load(), report.Total)
	}
	damage(t, cache)
	third := new(translator)
	convert(t, img, third.options(cache))
	if third.calls.Load() != 5 {
		t.Errorf("damaged units: %d calls", third.calls.Load())
	}
	other := new(translator)
	o := other.options(cache)
	o.Translator = "test 2"
	convert(t, img, o)
	if other.calls.Load() != 5 {
		t.Errorf("another translator: %d calls", other.calls.Load())
	}
}

// damage flips a byte in each cached unit.
func damage(t *testing.T, cache string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(cache, "??", "*"))
	if len(files) != 4 {
		t.Fatalf("cached units: %q", files)
	}
	for i, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".wasm") {
			unittest.Validate(t, b)
		}
		b[len(b)*(i+1)/5] ^= 1
		os.Remove(name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcurrentConversions(t *testing.T) {
	img, cache := sample(t), t.TempDir()
	var wg sync.WaitGroup
	results := make([]string, 6)
	for i := range results {
		wg.Go(func() {
			_, report, err := converter.Convert(t.Context(), img, new(translator).options(cache))
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = report.Result
		})
	}
	wg.Wait()
	for _, r := range results {
		if r != results[0] {
			t.Errorf("digests %q", results)
		}
	}
}

func TestConfig(t *testing.T) {
	img := sample(t)
	out, report := convert(t, img, new(translator).options(""))
	var before, after map[string]json.RawMessage
	for _, c := range []struct {
		img v1.Image
		to  *map[string]json.RawMessage
	}{{img, &before}, {out, &after}} {
		raw, err := c.img.RawConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		json.Unmarshal(raw, c.to)
	}
	for name, value := range before {
		if name != "rootfs" && name != "history" && string(after[name]) != string(value) {
			t.Errorf("%s was %s, is %s", name, value, after[name])
		}
	}
	config, err := out.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(config.History); n != 6 || config.History[5].CreatedBy != "megabin convert" || len(config.RootFS.DiffIDs) != 5 {
		t.Errorf("history %+v", config.History)
	}
	m, err := out.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := img.Digest()
	if m.Annotations["kept"] != "yes" || m.Annotations[image.AnnotationSource] != digest.String() ||
		m.Annotations[image.AnnotationTranslator] != "test 1" || report.Source != digest.String() {
		t.Errorf("annotations %q", m.Annotations)
	}
}

func TestTwice(t *testing.T) {
	out, _ := convert(t, sample(t), new(translator).options(""))
	if _, _, err := converter.Convert(t.Context(), out, new(translator).options("")); !errors.Is(err, converter.ErrConverted) {
		t.Errorf("got %v", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := new(translator).options(t.TempDir())
	inner := o.Translate
	o.Translate = func(ctx context.Context, name string, elf []byte) (*unit.Unit, error) {
		cancel()
		return inner(ctx, name, elf)
	}
	if _, _, err := converter.Convert(ctx, sample(t), o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestDamagedLayer(t *testing.T) {
	good := imagetest.Tar(t, file{Name: "bin/a", Content: binary("a")})
	for _, c := range []image.Compression{image.None, image.Gzip, image.Zstd} {
		img := imagetest.New(t, imagetest.Layer{Compression: c, Tar: good[:len(good)/2]})
		_, _, err := converter.Convert(t.Context(), img, new(translator).options(""))
		if !errors.Is(err, tarfs.ErrInvalid) || !strings.Contains(err.Error(), "sha256:") {
			t.Errorf("truncated tar: %v", err)
		}
	}
}

// The standard library reads what the parallel compressor writes.
func TestGzip(t *testing.T) {
	content := strings.Repeat("some text that repeats, ", 200000) + "XX"
	img := imagetest.New(t, imagetest.Layer{Compression: image.Gzip, Tar: imagetest.Tar(t,
		file{Name: "big", Content: content}, file{Name: "bin/a", Content: binary("a")})})
	out, _ := convert(t, img, new(translator).options(""))
	layers, err := out.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(blob)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil || !strings.Contains(string(got), content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestCheckFindsChanges(t *testing.T) {
	img := sample(t)
	out, _ := convert(t, img, new(translator).options(""))
	other := imagetest.New(t, imagetest.Layer{Tar: imagetest.Tar(t, file{Name: "x"})})
	if _, err := image.Check(t.Context(), other, out); err == nil {
		t.Error("an image passes as made of another")
	}
	if _, err := image.Check(t.Context(), nil, img); !errors.Is(err, image.ErrNotConverted) {
		t.Errorf("not converted: %v", err)
	}
}

func TestCheckFindsTampering(t *testing.T) {
	img := sample(t)
	out, _ := convert(t, img, new(translator).options(""))
	same := func(_ int, b []byte) []byte { return b }
	if _, err := image.Check(t.Context(), img, imagetest.Tamper(t, out, same)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		layer    int
		old, new string
		want     string
	}{
		{"native code again", 0, "\x7fELFa\x00", "\x7fELFaX", "bin/a, byte 0x5,"},
		{"data of a carrier", 2, "data", "DATA", "opt/a, byte"},
		{"a text file", 1, "text XXX", "text YYY", "etc/only, byte 0x5,"},
		{"an attribute", 3, "user.test=value", "user.test=VALUE", "of the tar stream"},
		{"the manifest", 4, "formatVersion", "formatversion", "manifest.json"},
		{"a unit", 4, "\x20\x00\x20\x01", "\x20\x01\x20\x01", "megabinary"},
	} {
		bad := imagetest.Tamper(t, out, func(i int, b []byte) []byte {
			if i != c.layer {
				return b
			}
			if !bytes.Contains(b, []byte(c.old)) {
				t.Fatalf("%s: the layer has no %q", c.name, c.old)
			}
			return bytes.Replace(b, []byte(c.old), []byte(c.new), 1)
		})
		if _, err := image.Check(t.Context(), img, bad); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestStrict fails for what else stays as it is.
func TestStrict(t *testing.T) {
	o := new(translator).options(t.TempDir())
	o.Strict = true
	if _, _, err := converter.Convert(t.Context(), sample(t), o); err == nil || !strings.Contains(err.Error(), "can't be recompiled, and the policy is strict") {
		t.Errorf("an image with an ELF that can't be recompiled: %v", err)
	}
	good := imagetest.New(t, imagetest.Layer{Tar: imagetest.Tar(t, file{Name: "a", Content: binary("a")})})
	convert(t, good, o)
	digest, err := good.Digest()
	if err != nil {
		t.Fatal(err)
	}
	arm, err := v1.NewHash("sha256:" + strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	idx, err := image.NewIndex([]image.Member{
		{Descriptor: v1.Descriptor{MediaType: manifest, Digest: digest, Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}, Image: good},
		{Descriptor: v1.Descriptor{MediaType: manifest, Digest: arm, Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		{Descriptor: v1.Descriptor{MediaType: manifest, Digest: arm, Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.digest": digest.String()}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := converter.ConvertIndex(t.Context(), idx, o); err == nil || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("an index with another platform: %v", err)
	}
	o.Strict = false
	plan, err := converter.PlanIndex(idx, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []converter.Fate{converter.IsConverted, converter.Stays, converter.IsLeftOut} {
		if plan[i].Fate != want || (plan[i].Image != nil) != (want == converter.IsConverted) {
			t.Errorf("%v %v, want %v", plan[i].Platform, plan[i].Fate, want)
		}
	}
}
