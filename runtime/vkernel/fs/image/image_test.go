package image_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/runtime/vkernel/fs/fstest"
	"github.com/megabin/megabin/runtime/vkernel/fs/image"
	"github.com/megabin/megabin/runtime/vkernel/fs/overlay"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"
)

func TestBadEntries(t *testing.T) {
	root := image.Entry{Mode: unix.S_IFDIR | 0o755}
	file := func(name string, parent, first int) image.Entry {
		return image.Entry{Name: name, Parent: parent, First: first, Mode: unix.S_IFREG}
	}
	dir := image.Entry{Name: "d", First: 1, Mode: unix.S_IFDIR}
	for name, entries := range map[string][]image.Entry{
		"none":                     nil,
		"root is a file":           {file("", 0, 0)},
		"name with a slash":        {root, file("a/b", 0, 1)},
		"no name":                  {root, file("", 0, 1)},
		"dot dot":                  {root, file("..", 0, 1)},
		"parent is itself":         {root, file("a", 1, 1)},
		"parent is a file":         {root, file("a", 0, 1), file("b", 1, 2)},
		"negative parent":          {root, file("a", -1, 1)},
		"first is later":           {root, file("a", 0, 2), file("b", 0, 2)},
		"first is no first":        {root, file("a", 0, 1), file("b", 0, 1), file("c", 0, 2)},
		"directory linked":         {root, dir, file("e", 0, 1)},
		"root linked":              {root, file("a", 0, 0)},
		"negative first":           {root, file("a", 0, -1)},
		"second name, d as parent": {root, dir, file("e", 1, 1)},
	} {
		if _, err := image.New(entries, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestFromLayers reads a layer that the host's tar made and compares with the
// tree that it was made of.
func TestFromLayers(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	made := fstest.OnHost(t, source, fstest.Lines(`
mkdir d 2775
put d/f x 100000
link d/f hard
put e y 0
symlink d/f link
symlink nowhere d/dangling
mkfifo p 620
chown d/f 1000 1001
chown link 5 6 LNOFOLLOW
chmod d/f 4755
mkdir d/deep 700
put d/deep/g z 5000
tree /
`))
	layer := filepath.Join(dir, "layer.tar")
	if out, err := exec.Command("tar", "-C", source, "--numeric-owner", "-cf", layer, ".").CombinedOutput(); err != nil {
		t.Skipf("tar: %v: %s", err, out)
	}
	content, err := os.ReadFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	store, err := tarfs.OpenStore(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := store.Layer(fmt.Sprintf("sha256:%x", sha256.Sum256(content)), func() (io.ReadCloser, error) { return os.Open(layer) })
	if err != nil {
		t.Fatal(err)
	}
	tree, err := tarfs.Merge([][]tarfs.Entry{entries})
	if err != nil {
		t.Fatal(err)
	}
	fs, err := image.FromLayers(tree.Flat(), store)
	if err != nil {
		t.Fatal(err)
	}
	upper, err := overlay.New(fs, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []vfs.FileSystem{fs, upper} {
		g := fstest.NewGuest(t, root)
		if got, want := fstest.Tree(g, "/"), made[len(made)-1]; got != want {
			t.Errorf("%s: tree\n%s\nthe host's\n%s", root.Type(), got, want)
		}
		d, err := g.Caller.Open(vfs.Path{}, "/d/f", linux.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(source, "d/f"))
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := vfs.HashOf(d, 1<<20); err != nil || sum != blake3.Sum256(content) {
			t.Errorf("%s: hash %x, %v", root.Type(), sum, err)
		}
		d.Unref()
	}
}
