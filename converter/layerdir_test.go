package converter_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/image/imagetest"
	"github.com/megabin/megabin/layers/manifest"
)

// treeSteps are the layers of an image: files by name, "" for one that is gone.
var treeSteps = []map[string]string{
	{"bin/a": binary("a"), "bin/gone": binary("gone"), "bin/moved": binary("moved"), "etc/text": "text", "opt/panic": binary("panic"),
		"bin/run": "#!/bin/a\n", "bin/old": "#!/bin/gone\n", "bin/one": "#"},
	{"etc/only": "text XXX"},
	{"bin/gone": "", "bin/old": "", "opt/run": "#!/bin/a\n", "bin/moved": "", "usr/moved": binary("moved"), "opt/a": binary("a"), "opt/broken": binary("broken")},
	{"opt/c": binary("c"), "etc/text": binary("text")},
}

// asTrees makes the states of the layers as directories.
func asTrees(t *testing.T) (states []string) {
	t.Helper()
	base := t.TempDir()
	lower := ""
	for i, step := range treeSteps {
		dir := filepath.Join(base, string(rune('a'+i)))
		if lower == "" {
			lower = t.TempDir()
		}
		if out, err := exec.Command("cp", "-a", lower, dir).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, out)
		}
		for name, content := range step {
			change(t, filepath.Join(dir, name), content)
		}
		states = append(states, dir)
		lower = dir
	}
	return states
}

func change(t *testing.T, name, content string) {
	t.Helper()
	if content == "" {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// convertTrees converts the layers one by one and packs them; outs are the
// trees that ConvertLayer made.
func convertTrees(t *testing.T, trees []string, o converter.Options) (packed string, outs []string) {
	t.Helper()
	var states []string
	lower := ""
	for i, upper := range trees {
		out := filepath.Join(t.TempDir(), "out")
		from := lower
		if from == "" {
			from = t.TempDir()
		}
		if b, err := exec.Command("cp", "-a", from, out).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, b)
		}
		state := t.TempDir()
		res, err := converter.ConvertLayer(t.Context(), converter.LayerDirs{Lower: lower, Upper: upper, Out: out, State: state}, o)
		if err != nil {
			t.Fatal(err)
		}
		if want := i != 1 && !o.KeepNative; res.Changed != want {
			t.Errorf("layer %d is changed: %v", i, res.Changed)
		}
		if !res.Changed {
			out = ""
		}
		states, outs = append(states, state), append(outs, out)
		lower = upper
	}
	packed = t.TempDir()
	if _, err := converter.PackLayers(t.Context(), states, packed, o); err != nil {
		t.Fatal(err)
	}
	return packed, outs
}

// decodeManifest reads a manifest, less the tree, which packed layers do not have.
func decodeManifest(t *testing.T, b []byte) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	m.Tree = nil
	return m
}

// TestLikeTar converts the same layers as trees and as tar streams: the
// manifests and megabinaries are the same, and the files of the trees are the
// image's.
func TestLikeTar(t *testing.T) {
	for _, keep := range []bool{false, true} {
		o := new(translator).options(t.TempDir())
		o.KeepNative = keep
		trees := asTrees(t)
		packed, outs := convertTrees(t, trees, o)
		img, _ := convert(t, tarImage(t), o)
		files := tree(t, img)
		have, want := decodeManifest(t, read(t, packed, manifest.Name)), decodeManifest(t, []byte(files["/"+manifest.Name]))
		if a, b := encoded(t, have), encoded(t, want); a != b {
			t.Errorf("the manifest is\n%s\nand by tar\n%s", a, b)
		}
		script := manifest.Script{BLAKE3: blob.Hash([]byte("#!/bin/a\n")), Paths: []string{"/bin/run", "/opt/run"}, Size: 9}
		if !reflect.DeepEqual(have.Scripts, []manifest.Script{script}) {
			t.Errorf("scripts %+v, want %+v", have.Scripts, script)
		}
		if !bytes.Equal(read(t, packed, manifest.MegabinaryName), []byte(files["/"+manifest.MegabinaryName])) {
			t.Error("the megabinaries differ")
		}
		if last := outs[len(outs)-1]; !keep {
			checkFiles(t, last, treeSteps[len(treeSteps)-1], files)
		}
	}
}

// checkFiles compares what a layer added.
func checkFiles(t *testing.T, dir string, step, files map[string]string) {
	t.Helper()
	for name := range step {
		if have := string(read(t, dir, name)); have != files["/"+name] || strings.Contains(have, "XXX") {
			t.Errorf("%s is %.40q, and by tar %.40q", name, have, files["/"+name])
		}
	}
}

func encoded(t *testing.T, m *manifest.Manifest) string {
	t.Helper()
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tarImage has treeSteps as layers.
func tarImage(t *testing.T) (img v1.Image) {
	t.Helper()
	var layers []imagetest.Layer
	for _, step := range treeSteps {
		var files []file
		for name, content := range step {
			if content == "" {
				name = filepath.Join(filepath.Dir(name), ".wh."+filepath.Base(name))
			}
			files = append(files, file{Name: name, Content: content})
		}
		layers = append(layers, imagetest.Layer{Tar: imagetest.Tar(t, files...), Compression: image.Gzip})
	}
	return imagetest.New(t, layers...)
}

// TestConvertedTree has a base that is converted already.
func TestConvertedTree(t *testing.T) {
	upper := t.TempDir()
	change(t, filepath.Join(upper, manifest.Name), "{}")
	_, err := converter.ConvertLayer(t.Context(), converter.LayerDirs{Upper: upper, Out: t.TempDir(), State: t.TempDir()}, new(translator).options(t.TempDir()))
	if !errors.Is(err, converter.ErrConverted) {
		t.Errorf("it is converted again: %v", err)
	}
}

// TestDamagedState packs what is not what ConvertLayer wrote.
func TestDamagedState(t *testing.T) {
	o := new(translator).options(t.TempDir())
	upper, state := t.TempDir(), t.TempDir()
	change(t, filepath.Join(upper, "a"), binary("a"))
	if _, err := converter.ConvertLayer(t.Context(), converter.LayerDirs{Upper: upper, Out: t.TempDir(), State: state}, o); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(state, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		good, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		change(t, name, string(good[:len(good)/2]))
		if _, err := converter.PackLayers(t.Context(), []string{state}, t.TempDir(), o); err == nil {
			t.Errorf("half of %s is enough", name)
		}
		return os.WriteFile(name, good, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
