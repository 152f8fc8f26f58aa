package tarfs_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/tarfs"
)

// layer makes a tar stream. Each line is "TYPE NAME [LINK or CONTENT]" with
// the types of find -printf %y: f, d, l; h is a hardlink.
func layer(t testing.TB, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, line := range lines {
		f := append(strings.SplitN(line, " ", 3), "")
		h := &tar.Header{Name: f[1], Mode: 0o644, ModTime: time.Unix(1, 0), Linkname: f[2]}
		switch f[0] {
		case "f":
			h.Typeflag, h.Linkname, h.Size = tar.TypeReg, "", int64(len(f[2]))
		case "d":
			h.Typeflag, h.Mode = tar.TypeDir, 0o700
		case "l":
			h.Typeflag = tar.TypeSymlink
		case "h":
			h.Typeflag = tar.TypeLink
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if f[0] == "f" {
			io.WriteString(w, f[2])
		}
	}
	w.Close()
	return b.Bytes()
}

func entries(stream []byte) (list []tarfs.Entry, err error) {
	err = tarfs.Walk(bytes.NewReader(stream), func(e *tarfs.Entry, c *tarfs.Content) error {
		list = append(list, *e)
		n, err := io.Copy(io.Discard, c)
		if err == nil && n != e.Size {
			err = fmt.Errorf("%d bytes of content, size is %d", n, e.Size)
		}
		return err
	})
	return list, err
}

func merge(streams ...[]byte) (*tarfs.Tree, error) {
	var layers [][]tarfs.Entry
	for _, s := range streams {
		list, err := entries(s)
		if err != nil {
			return nil, err
		}
		layers = append(layers, list)
	}
	return tarfs.Merge(layers)
}

// list shows a tree: path, and the layer or what it links to.
func list(tree *tarfs.Tree) string {
	var b strings.Builder
	for i, n := range tree.Nodes {
		fmt.Fprintf(&b, "%s %d", tree.Path(i), n.Layer)
		if n.First != i {
			fmt.Fprintf(&b, " =%s", tree.Path(n.First))
		}
		b.WriteString("; ")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		name   string
		layers [][]string
		want   string
	}{
		{"upper file wins", [][]string{{"f a 1"}, {"f a 2"}}, "/ -1; /a 1"},
		{"parents are made", [][]string{{"f a/b/c 1"}}, "/ -1; /a -1; /a/b -1; /a/b/c 0"},
		{"whiteout", [][]string{{"f a/b 1", "f a/c 1"}, {"f a/.wh.b "}}, "/ -1; /a -1; /a/c 0"},
		{"whiteout of a directory", [][]string{{"f a/b 1"}, {"f .wh.a "}}, "/ -1"},
		{"whiteout leaves its own layer", [][]string{{"f a/b 1"}, {"f a/n 2", "f .wh.a "}}, "/ -1; /a -1; /a/n 1"},
		{"whiteout of nothing", [][]string{{"f a 1"}, {"f x/y/.wh.z "}}, "/ -1; /a 0"},
		{"opaque", [][]string{{"d a", "f a/b 1", "f a/c/d 1"}, {"d a", "f a/n 2", "f a/.wh..wh..opq "}}, "/ -1; /a 1; /a/n 1"},
		{"opaque first", [][]string{{"f a/b 1"}, {"f a/.wh..wh..opq ", "f a/b 2"}}, "/ -1; /a -1; /a/b 1"},
		{"opaque root", [][]string{{"f a 1"}, {"f .wh..wh..opq ", "f b 2"}}, "/ -1; /b 1"},
		{"file over directory", [][]string{{"f a/b 1"}, {"f a 2"}}, "/ -1; /a 1"},
		{"directory over file", [][]string{{"f a 1"}, {"d a", "f a/b 2"}}, "/ -1; /a 1; /a/b 1"},
		{"directory over directory", [][]string{{"d a", "f a/b 1"}, {"d a"}}, "/ -1; /a 1; /a/b 0"},
		{"hardlink", [][]string{{"f b 1", "h a b"}}, "/ -1; /a 0; /b 0 =/a"},
		{"hardlink to a lower layer", [][]string{{"f b 1"}, {"h c b"}}, "/ -1; /b 0; /c 1 =/b"},
		{"hardlink to a hardlink", [][]string{{"f a 1", "h b a", "h c b"}}, "/ -1; /a 0; /b 0 =/a; /c 0 =/a"},
		{"replaced name of a hardlinked file", [][]string{{"f a 1", "h b a"}, {"f a 2"}}, "/ -1; /a 1; /b 0"},
		{"parent is a symlink", [][]string{{"d usr/lib", "l lib usr/lib"}, {"f lib/x 1"}}, "/ -1; /lib 0; /usr -1; /usr/lib 0; /usr/lib/x 1"},
		{"parent is a symlink that goes up", [][]string{{"l a/l ../../../b"}, {"f a/l/x 1"}}, "/ -1; /a -1; /a/l 0; /b -1; /b/x 1"},
		{"whiteout through a symlink", [][]string{{"f usr/x 1", "l lib /usr"}, {"f lib/.wh.x "}}, "/ -1; /lib 0; /usr -1"},
		{"absolute and dotted names", [][]string{{"f /a/./b 1", "d ./", "f ./c "}}, "/ 0; /a -1; /a/b 0; /c 0"},
	} {
		var streams [][]byte
		for _, lines := range c.layers {
			streams = append(streams, layer(t, lines...))
		}
		tree, err := merge(streams...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := list(tree); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, lines := range map[string][]string{
		"name goes up":             {"f ../a 1"},
		"name goes up inside":      {"f a/../../b 1"},
		"hardlink goes up":         {"f a 1", "h b ../a"},
		"hardlink to nothing":      {"h b a"},
		"hardlink to a directory":  {"d a", "h b a"},
		"parent is a file":         {"f a 1", "f a/b 1"},
		"root is a file":           {"f . 1"},
		"symlink loop as a parent": {"l a b", "l b a", "f a/c 1"},
		"whiteout of ..":           {"f .wh... "},
	} {
		if _, err := merge(layer(t, lines...)); !errors.Is(err, tarfs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// GNU tar packs a directory with all there is; the tree must say what lstat
// says.
func TestLikeLstat(t *testing.T) {
	tool, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("tar is not installed")
	}
	root := t.TempDir()
	build(t, root)
	for _, format := range []string{"gnu", "posix", "oldgnu"} {
		args := []string{"-C", root, "-cS", "--format=" + format}
		if format == "posix" {
			args = append(args, "--xattrs", "--xattrs-include=*")
		}
		out, err := exec.Command(tool, append(args, ".")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		tree, err := merge(out)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		compare(t, tree, root, format == "posix")
	}
}

func build(t *testing.T, root string) {
	t.Helper()
	long := strings.Repeat("long", 30)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(root, "d", long, long), 0o751))
	file := filepath.Join(root, "d", long, "file")
	must(os.WriteFile(file, []byte("content"), 0o4755))
	must(os.Chmod(file, 0o755|os.ModeSetuid))
	must(os.Chtimes(file, time.Time{}, time.Unix(1e9, 123456789)))
	must(os.Link(file, filepath.Join(root, "hard")))
	must(os.Symlink("d/"+long+"/file", filepath.Join(root, "soft")))
	must(syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600))
	sparse, err := os.Create(filepath.Join(root, "sparse"))
	must(err)
	_, err = sparse.WriteAt([]byte("end"), 1<<20)
	must(err)
	must(sparse.Close())
	if syscall.Setxattr(file, "user.test", []byte("v\x00w"), 0) != nil {
		t.Log("no extended attributes here")
	}
	if os.Getuid() == 0 {
		must(os.Chown(filepath.Join(root, "sparse"), 12345, 54321))
		if syscall.Mknod(filepath.Join(root, "null"), syscall.S_IFCHR|0o666, 1<<8|3) != nil {
			t.Log("no device nodes here")
		}
	}
}

func compare(t *testing.T, tree *tarfs.Tree, root string, pax bool) {
	t.Helper()
	seen := 0
	for i, n := range tree.Nodes {
		name := filepath.Join(root, tree.Path(i))
		var st syscall.Stat_t
		if err := syscall.Lstat(name, &st); err != nil {
			t.Fatal(err)
		}
		seen++
		e := n.Entry
		if e.Mode != st.Mode || e.UID != st.Uid || e.GID != st.Gid || e.Sec != st.Mtim.Sec || pax && int64(e.Nsec) != st.Mtim.Nsec {
			t.Errorf("%s: %+v, lstat gives %+v", name, e, st)
		}
		if e.Kind == tarfs.Regular && e.Size != st.Size || e.Kind == tarfs.CharDevice && (e.Major != 1 || e.Minor != 3) {
			t.Errorf("%s: %+v, lstat gives %+v", name, e, st)
		}
		if link, err := os.Readlink(name); err == nil && link != e.Linkname {
			t.Errorf("%s: links to %q", name, e.Linkname)
		}
		value := make([]byte, 10)
		if n, err := syscall.Getxattr(name, "user.test", value); pax && err == nil && e.Kind != tarfs.Symlink {
			if want := []tarfs.Xattr{{Name: "user.test", Value: string(value[:n])}}; !reflect.DeepEqual(e.Xattrs, want) {
				t.Errorf("%s: attributes %q", name, e.Xattrs)
			}
		}
	}
	names := 0
	filepath.WalkDir(root, func(string, os.DirEntry, error) error { names++; return nil })
	if seen != names {
		t.Errorf("%d nodes, the directory has %d", seen, names)
	}
}

func TestContentOffset(t *testing.T) {
	stream := layer(t, "d d", "f d/"+strings.Repeat("x", 200)+" hello", "f b there")
	tarfs.Walk(bytes.NewReader(stream), func(e *tarfs.Entry, c *tarfs.Content) error {
		if e.Kind != tarfs.Regular {
			return nil
		}
		want, err := io.ReadAll(c)
		if got := stream[c.Offset:][:e.Size]; !bytes.Equal(got, want) || err != nil {
			t.Errorf("%s: %q at offset %d, read %q, %v", e.Name, got, c.Offset, want, err)
		}
		return nil
	})
}

func TestDamaged(t *testing.T) {
	stream := layer(t, "d d", "f d/x hello", "l s d/x", "h h d/x", "f "+strings.Repeat("y", 150)+" long")
	for n := range stream {
		bad := bytes.Clone(stream)
		bad[n] ^= 0x41
		merge(bad)
		merge(stream[:n])
	}
}

// TestFlat: a flat tree tells what the tree does.
func TestFlat(t *testing.T) {
	tree, err := merge(layer(t, "d d", "f d/x hello", "l s d/x", "h h d/x", "d d/e", "f d/e/y there", "f a/b/c 1"), layer(t, "f d/z 2", "f d/.wh.x "))
	if err != nil {
		t.Fatal(err)
	}
	f := tree.Flat()
	if f.Len() != len(tree.Nodes) {
		t.Fatalf("%d names, want %d", f.Len(), len(tree.Nodes))
	}
	names := map[int]int{}
	for i, n := range tree.Nodes {
		names[n.First]++
		if n.Entry.Kind == tarfs.Directory {
			names[i]++
			names[n.Parent]++
		}
	}
	names[0]-- // it is its own parent
	for i, path := range f.Paths() {
		want, got := tree.Nodes[i], f.Node(i)
		e := *want.Entry
		e.Name = want.Name
		if path != tree.Path(i) || !reflect.DeepEqual(got.Entry, e) || got.Layer != want.Layer || got.First != want.First || got.Names != names[want.First] {
			t.Errorf("%s: %+v with %d names, want %+v", tree.Path(i), got, names[want.First], want)
		}
		if found, ok := f.Find(path[1:]); i > 0 && (!ok || found != i) {
			t.Errorf("%s is found as %d, %v, not %d", path, found, ok, i)
		}
		if _, ok := f.Lookup(i, "none"); ok {
			t.Errorf("%s has anything", path)
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(layer(f, "d d", "f d/x hello", "l s d/x", "h h d/x"), layer(f, "f .wh.d ", "f s/y 1"))
	f.Fuzz(func(t *testing.T, lower, upper []byte) {
		if tree, err := merge(lower, upper); err == nil {
			for i, n := range tree.Nodes {
				if p := tree.Path(i); i > 0 && (n.Parent >= i || strings.Contains(p+"/", "/../")) {
					t.Errorf("node %d: parent %d, path %q", i, n.Parent, p)
				}
			}
		}
	})
}

// FuzzIndex decodes indexes whose hash is right. What is accepted can be merged
// and encodes to the same entries.
func FuzzIndex(f *testing.F) {
	list, err := entries(layer(f, "d d", "f d/x hello", "l s d/x", "h h d/x", "f .wh.y "))
	if err != nil {
		f.Fatal(err)
	}
	good := tarfs.EncodeIndex(list, 1<<20)
	f.Add(good[:len(good)-blob.Size])
	f.Fuzz(func(t *testing.T, data []byte) {
		sum := blob.Hash(data)
		list, size, err := tarfs.DecodeIndex(append(data, sum[:]...))
		if err != nil {
			return
		}
		tarfs.Merge([][]tarfs.Entry{list})
		again, n, err := tarfs.DecodeIndex(tarfs.EncodeIndex(list, size))
		if err != nil || n != size || !reflect.DeepEqual(again, list) {
			t.Errorf("%+v\nagain %+v, %v", list, again, err)
		}
	})
}
