package converter

import (
	"embed"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/megabin/megabin/layers"
	"github.com/megabin/megabin/layers/blob"
)

// TestVersionCoversTranslator checks that the text of every file that a
// translator is built from is in its name.
func TestVersionCoversTranslator(t *testing.T) {
	const module = "github.com/megabin/megabin/"
	out, err := exec.Command("go", "list", "-deps", "-f", `{{$p := .ImportPath}}{{range .GoFiles}}{{$p}}/{{.}}
{{end}}{{range .EmbedFiles}}embed:{{$p}}/{{.}}
{{end}}`, module+"converter/translate").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	trees := map[string]embed.FS{"converter": translatorSource, "layers": layers.UnitSource}
	files := 0
	for line := range strings.Lines(string(out)) {
		name, inside := strings.CutPrefix(strings.TrimSpace(line), module)
		if !inside {
			if strings.Contains(line, "embed:"+module) {
				t.Errorf("%s is embedded in the translator but not hashed", line)
			}
			continue
		}
		top, rest, _ := strings.Cut(name, "/")
		text, err := trees[top].ReadFile(rest)
		if err != nil {
			t.Errorf("%s is part of the translator but not of its name: %v", name, err)
			continue
		}
		want, err := os.ReadFile(path.Join("..", name))
		if err != nil || string(text) != string(want) {
			t.Errorf("%s: the embedded text is another: %v", name, err)
		}
		files++
	}
	if files < 50 {
		t.Errorf("only %d files found", files)
	}
}

func TestDecoderIsTheRequiredOne(t *testing.T) {
	path, _, _ := strings.Cut(decoder, " ")
	out, err := exec.Command("go", "list", "-m", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(out)); got != decoder {
		t.Errorf("the translator is built with %s; its name says %s", got, decoder)
	}
}

// TestVersionDependsOnSource checks that names and texts matter, and tests do
// not.
func TestVersionDependsOnSource(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	sum := func(tree fstest.MapFS) blob.ID {
		h := blob.NewHasher()
		if err := hashSource(h, tree); err != nil {
			t.Fatal(err)
		}
		return h.ID()
	}
	base := sum(fstest.MapFS{"a/x.go": file("x"), "b/y.go": file("y")})
	if base != sum(fstest.MapFS{"b/y.go": file("y"), "a/x.go": file("x"), "a/x_test.go": file("t")}) {
		t.Error("a test changes the name")
	}
	for i, other := range []fstest.MapFS{
		{"a/x.go": file("x"), "b/y.go": file("z")},
		{"a/x.go": file("x"), "b/z.go": file("y")},
		{"a/x.go": file("x")},
		{"a/x.go": file("xy"), "b/y.go": file("")},
		{"a/x.go": file("x"), "b/y.go": file("y"), "c/z.go": file("")},
	} {
		if sum(other) == base {
			t.Errorf("tree %d has the same name", i)
		}
	}
}
