package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/megabin/megabin/runtime/vkernel/fs/fstest"
	"github.com/megabin/megabin/runtime/vkernel/fs/image"
	"github.com/megabin/megabin/runtime/vkernel/fs/overlay"
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"
)

// newGuest makes an overlay whose lower file system is an image of what setup makes.
func newGuest(t *testing.T, setup []string) fstest.System {
	t.Helper()
	return fstest.NewGuest(t, newOverlay(t, setup))
}

func newOverlay(t *testing.T, setup []string) *tmp.FS {
	t.Helper()
	from, err := tmp.New(tmp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := fstest.NewGuest(t, from)
	fstest.Run(g, setup)
	g.SetUser(0, 0)
	im := imager{t: t, from: g, dir: t.TempDir(), seen: map[uint64]int{}}
	im.add("/", "", 0)
	lower, err := image.New(im.entries, im.open)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := overlay.New(lower, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// imager makes an image's entries of a tree.
type imager struct {
	t       *testing.T
	from    *fstest.Guest
	dir     string // where the contents are
	entries []image.Entry
	seen    map[uint64]int // inode number → index
}

func (im *imager) open(hash [32]byte) (*os.File, error) {
	return os.Open(filepath.Join(im.dir, fmt.Sprintf("%x", hash)))
}

func (im *imager) add(path, name string, parent int) {
	a, err := im.from.Stat(path, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		im.t.Fatal(err)
	}
	at := len(im.entries)
	e := image.Entry{
		Name: name, Parent: parent, First: at, Mode: a.Mode, UID: a.UID, GID: a.GID,
		Rdev: a.Rdev, Mtime: a.Mtime, Size: a.Size,
	}
	if first, ok := im.seen[a.Ino]; ok {
		e.First = first
	}
	im.seen[a.Ino] = e.First
	switch a.Type() {
	case unix.S_IFREG:
		e.Hash = im.store(path, a.Size)
	case unix.S_IFLNK:
		e.Target, _ = im.from.Readlink(path)
	}
	im.entries = append(im.entries, e)
	if a.IsDir() {
		for _, name := range im.names(path) {
			im.add(filepath.Join(path, name), name, at)
		}
	}
}

func (im *imager) names(path string) (names []string) {
	fd, err := im.from.Open(path, linux.O_RDONLY, 0)
	if err != nil {
		im.t.Fatal(err)
	}
	defer im.from.Close(fd)
	entries, err := im.from.ReadDir(fd)
	if err != nil {
		im.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name != "." && e.Name != ".." {
			names = append(names, e.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (im *imager) store(path string, size int64) [32]byte {
	fd, err := im.from.Open(path, linux.O_RDONLY, 0)
	if err != nil {
		im.t.Fatal(err)
	}
	defer im.from.Close(fd)
	data := make([]byte, size)
	if _, err := im.from.Pread(fd, data, 0); err != nil {
		im.t.Fatal(err)
	}
	sum := blake3.Sum256(data)
	if err := os.WriteFile(filepath.Join(im.dir, fmt.Sprintf("%x", sum)), data, 0o444); err != nil {
		im.t.Fatal(err)
	}
	return sum
}

func TestScripts(t *testing.T) {
	for _, s := range fstest.Scripts {
		t.Run(s.Name, func(t *testing.T) { fstest.Compare(t, s.Text, newGuest) })
	}
}

func TestRandom(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			script := fstest.Random(seed+1000, 60) + "---\n" + fstest.Random(seed, 120)
			fstest.Compare(t, script, newGuest)
		})
	}
}

// TestCopyUpKeepsIno checks that a file is the same one after it is changed,
// also by its other names, and that the image's contents do not change.
func TestCopyUpKeepsIno(t *testing.T) {
	fs := newOverlay(t, fstest.Lines("put f x 10\nlink f g\nmkdir d 755\nput d/h y 5"))
	g := fstest.NewGuest(t, fs)
	ino := func(path string) uint64 {
		t.Helper()
		a, err := g.Stat(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		return a.Ino
	}
	f, d, h := ino("f"), ino("d"), ino("d/h")
	for _, line := range []string{"put f changed 100", "rename d e", "put e/h changed 3", "chmod e 700"} {
		if got := fstest.Run(g, []string{line}); got[0] != "ok" && got[0] != "100" && got[0] != "3" {
			t.Fatalf("%s: %s", line, got[0])
		}
	}
	if ino("f") != f || ino("g") != f || ino("e") != d || ino("e/h") != h {
		t.Errorf("inode numbers changed: f %d, g %d, was %d; e %d, was %d; h %d, was %d",
			ino("f"), ino("g"), f, ino("e"), d, ino("e/h"), h)
	}
}

// TestHash checks that a lower file's hash is known and a changed one's is
// computed, by the oracle of hashing what is read.
func TestHash(t *testing.T) {
	fs := newOverlay(t, fstest.Lines("put f x 100000"))
	g := fstest.NewGuest(t, fs)
	check := func() {
		t.Helper()
		d, err := g.Caller.Open(vfs.Path{}, "/f", linux.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Unref()
		sum, err := vfs.HashOf(d, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 200000)
		n, err := d.Pread(data, 0)
		if err != nil {
			t.Fatal(err)
		}
		if want := blake3.Sum256(data[:n]); sum != want {
			t.Errorf("hash %x, want %x", sum, want)
		}
	}
	check()
	fstest.Run(g, fstest.Lines("a = open f RDWR\npwrite a z 10 50"))
	check()
	fstest.Run(g, fstest.Lines("pwrite a y 10 50000"))
	check()
	fstest.Run(g, fstest.Lines("ftruncate a 0"))
	check()
}

// TestMap checks that a mapped file's host file has its bytes, before and
// after it is changed.
func TestMap(t *testing.T) {
	fs := newOverlay(t, fstest.Lines("put f x 10000"))
	g := fstest.NewGuest(t, fs)
	d, err := g.Caller.Open(vfs.Path{}, "/f", linux.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Unref()
	for _, shared := range []bool{false, true} {
		host, err := d.HostFile(shared, shared)
		if err != nil {
			t.Fatal(err)
		}
		guest, mapped := make([]byte, 10000), make([]byte, 10000)
		if _, err := d.Pread(guest, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := host.ReadAt(mapped, 0); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(guest, mapped) {
			t.Errorf("shared %v: the host file differs", shared)
		}
		if _, err := d.Pwrite([]byte("new"), 5000); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConcurrent makes random operations from several callers at once, for
// the race detector; in the end the tree must be whole.
func TestConcurrent(t *testing.T) {
	first := fstest.NewGuest(t, newOverlay(t, fstest.Lines(fstest.Random(1, 60))))
	var tasks sync.WaitGroup
	for i := range 4 {
		fs := first.Caller.FS.Fork()
		tasks.Add(1)
		go func() {
			defer tasks.Done()
			g := &fstest.Guest{
				Caller: &vfs.Caller{NS: first.Caller.NS, FS: fs, Creds: vfs.RootCreds()},
				FDs:    vfs.NewFDTable(func() int { return 64 }),
			}
			defer g.FDs.Release()
			fstest.Run(g, fstest.Lines(fstest.Random(uint64(100+i), 1500)))
		}()
	}
	tasks.Wait()
	checkLinks(t, first, "/")
}

// checkLinks checks that a directory's link count is 2 and one for each
// directory in it, and so on below.
func checkLinks(t *testing.T, g *fstest.Guest, dir string) {
	t.Helper()
	fd, err := g.Open(dir, linux.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := g.ReadDir(fd)
	g.Close(fd)
	if err != nil {
		t.Fatal(err)
	}
	links := uint32(0)
	for _, e := range entries {
		if e.Type != unix.DT_DIR {
			continue
		}
		links++
		if e.Name != "." && e.Name != ".." {
			checkLinks(t, g, filepath.Join(dir, e.Name))
		}
	}
	if a, err := g.Stat(dir, 0); err != nil || a.Nlink != links {
		t.Errorf("%s has %d links, want %d (%v)", dir, a.Nlink, links, err)
	}
}
