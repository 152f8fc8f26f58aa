// Package treediff finds what differs between two directory trees as a
// snapshotter mounts them, a layer's lower and upper state, and makes the
// same change to a third tree. It is for layers that are not at hand as tar
// streams, those of a build. It knows nothing of what files mean.
package treediff

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Change is a name that differs.
type Change struct {
	Path    string      // clean, relative to the trees
	Removed bool        // upper does not have it
	Stat    unix.Stat_t // in upper, unless Removed
	// First is the index of the first change that is the same file as this
	// one, a hardlink, or this one's own index.
	First int
}

// Kind is the file type bits of st_mode, see inode(7).
func (c *Change) Kind() uint32 { return c.Stat.Mode & unix.S_IFMT }

// Compare lists what upper has otherwise than lower. A directory stands
// before what is in it, and a name that is gone stands alone, without what
// was below it. An empty lower is a tree without files. The roots themselves
// are not compared. What Compare takes for unchanged has the same metadata
// and the same content, whatever its inode.
func Compare(lower, upper string) ([]Change, error) {
	c := &comparison{lower: lower, upper: upper, links: map[inode]*group{}}
	if err := c.directory(".", lower != ""); err != nil {
		return nil, err
	}
	c.addLinks()
	c.numberLinks()
	return c.changes, nil
}

type inode struct{ dev, ino uint64 }

// group is the names of a file in upper with more than one.
type group struct {
	same    []Change // those that are as in lower
	changed bool
}

type comparison struct {
	lower, upper string
	changes      []Change
	links        map[inode]*group
}

// directory compares what is in a directory that upper has.
func (c *comparison) directory(path string, inLower bool) error {
	names, err := readNames(filepath.Join(c.upper, path))
	if err != nil {
		return err
	}
	var old []string
	if inLower {
		if old, err = readNames(filepath.Join(c.lower, path)); err != nil {
			return err
		}
	}
	for _, name := range old {
		if _, ok := slices.BinarySearch(names, name); !ok {
			c.changes = append(c.changes, Change{Path: filepath.Join(path, name), Removed: true})
		}
	}
	for _, name := range names {
		_, had := slices.BinarySearch(old, name)
		if err := c.file(filepath.Join(path, name), had); err != nil {
			return err
		}
	}
	return nil
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func (c *comparison) file(path string, had bool) error {
	n := Change{Path: path}
	if err := lstat(filepath.Join(c.upper, path), &n.Stat); err != nil {
		return err
	}
	wasDir, same := false, false
	if had {
		var old unix.Stat_t
		err := lstat(filepath.Join(c.lower, path), &old)
		if err != nil {
			return err
		}
		wasDir = old.Mode&unix.S_IFMT == unix.S_IFDIR
		if same, err = c.same(path, &old, &n.Stat); err != nil {
			return err
		}
	}
	if !same {
		c.changes = append(c.changes, n)
	}
	if n.Kind() == unix.S_IFDIR {
		return c.directory(path, wasDir)
	}
	if n.Stat.Nlink > 1 {
		c.link(n, same)
	}
	return nil
}

func (c *comparison) link(n Change, same bool) {
	key := inode{n.Stat.Dev, n.Stat.Ino}
	g := c.links[key]
	if g == nil {
		g = &group{}
		c.links[key] = g
	}
	if same {
		g.same = append(g.same, n)
	} else {
		g.changed = true
	}
}

// addLinks takes for changed each name of a file that has a changed name.
func (c *comparison) addLinks() {
	for _, g := range c.links {
		if g.changed {
			c.changes = append(c.changes, g.same...)
		}
	}
	slices.SortStableFunc(c.changes, func(a, b Change) int { return comparePaths(a.Path, b.Path) })
}

// comparePaths sorts a directory just before what is in it.
func comparePaths(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "/"), strings.Split(b, "/"), cmp.Compare[string])
}

func (c *comparison) numberLinks() {
	first := map[inode]int{}
	for i := range c.changes {
		n := &c.changes[i]
		n.First = i
		if n.Removed || n.Kind() == unix.S_IFDIR || n.Stat.Nlink < 2 {
			continue
		}
		key := inode{n.Stat.Dev, n.Stat.Ino}
		if at, ok := first[key]; ok {
			n.First = at
		} else {
			first[key] = i
		}
	}
}

// same tells whether a file is as it was. An overlay shows an inode of a
// lower layer by its own number, so that equal ones with an equal time of
// change are one file; else everything is compared.
func (c *comparison) same(path string, old, now *unix.Stat_t) (bool, error) {
	if old.Mode != now.Mode || old.Uid != now.Uid || old.Gid != now.Gid || old.Rdev != now.Rdev || old.Mtim != now.Mtim {
		return false, nil
	}
	isDir := now.Mode&unix.S_IFMT == unix.S_IFDIR
	if !isDir && old.Size != now.Size {
		return false, nil
	}
	if old.Ino == now.Ino && old.Ctim == now.Ctim {
		return true, nil
	}
	a, b := filepath.Join(c.lower, path), filepath.Join(c.upper, path)
	same, err := sameXattrs(a, b)
	if err != nil || !same {
		return false, err
	}
	switch now.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return sameContent(a, b)
	case unix.S_IFLNK:
		return sameLink(a, b)
	}
	return true, nil
}

func sameLink(a, b string) (bool, error) {
	x, err := os.Readlink(a)
	if err != nil {
		return false, err
	}
	y, err := os.Readlink(b)
	return x == y, err
}

func sameXattrs(a, b string) (bool, error) {
	x, err := Xattrs(a)
	if err != nil {
		return false, err
	}
	y, err := Xattrs(b)
	return slices.Equal(x, y), err
}

func sameContent(a, b string) (bool, error) {
	f, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer g.Close()
	x, y := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, errX := io.ReadFull(f, x)
		m, errY := io.ReadFull(g, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if errX != nil || errY != nil {
			return true, realError(errX, errY)
		}
	}
}

// realError is the first error that is not the end.
func realError(errs ...error) error {
	for _, err := range errs {
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
	return nil
}

func lstat(name string, st *unix.Stat_t) error {
	if err := unix.Lstat(name, st); err != nil {
		return &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return nil
}

// Xattr is an extended attribute.
type Xattr struct{ Name, Value string }

// Xattrs are the extended attributes of a file that belong into an image,
// ascending by name: neither the kernel's own nor an overlay's.
func Xattrs(name string) ([]Xattr, error) {
	names, err := readAttr(func(b []byte) (int, error) { return unix.Llistxattr(name, b) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "listxattr", Path: name, Err: err}
	}
	var list []Xattr
	for attr := range bytes.SplitSeq(names, []byte{0}) {
		key := string(attr)
		if key == "" || strings.HasPrefix(key, "system.") || strings.HasPrefix(key, "trusted.overlay.") || key == "security.selinux" {
			continue
		}
		value, err := readAttr(func(b []byte) (int, error) { return unix.Lgetxattr(name, key, b) })
		if err != nil {
			return nil, &fs.PathError{Op: "getxattr " + key, Path: name, Err: err}
		}
		list = append(list, Xattr{key, string(value)})
	}
	slices.SortFunc(list, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// readAttr calls get with a buffer that is large enough (xattr(7): 64 KiB).
func readAttr(get func([]byte) (int, error)) ([]byte, error) {
	n, err := get(nil)
	if err != nil || n == 0 {
		return nil, err
	}
	b := make([]byte, 1<<16)
	n, err = get(b)
	if err != nil {
		return nil, fmt.Errorf("reading attributes: %w", err)
	}
	return b[:n], nil
}
