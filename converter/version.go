package converter

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/megabin/megabin/layers"
	"github.com/megabin/megabin/layers/blob"
)

// translatorSource is the text of the packages that make an ELF a unit.
//
//go:embed */*.go
var translatorSource embed.FS

// decoder is the module that decodes instructions, as go.mod requires it. A
// test compares them, as a program can't be relied on to know: only some
// kinds of build record it.
const decoder = "golang.org/x/arch v0.32.0"

// TranslatorVersion names the translator of package translate for Options. It
// is a hash of the translator's source text, so that no change of the code it
// makes can keep its name: one source tree has one name, on any machine, by
// any build.
var TranslatorVersion = sync.OnceValue(func() string {
	h := blob.NewHasher()
	for _, tree := range []fs.FS{translatorSource, layers.UnitSource} {
		if err := hashSource(h, tree); err != nil {
			panic("BUG: embedded source can't be read: " + err.Error())
		}
	}
	io.WriteString(h, decoder)
	return "megabin-" + h.ID().String()[:32]
})

// hashSource adds the names and texts of all files but tests, which are not
// part of what is built. Walking goes by ascending names.
func hashSource(h *blob.Hasher, tree fs.FS) error {
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
		return err
	})
}
