package image

import (
	"os"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// FromLayers makes the tree of merged layers whose contents are in store.
func FromLayers(tree *tarfs.Flat, store *tarfs.Store) (*FS, error) {
	return newFS(layers{tree}, func(hash [32]byte) (*os.File, error) {
		return store.Open(blob.ID(hash))
	})
}

// layers is a tree that is decoded as it is asked for.
type layers struct{ flat *tarfs.Flat }

func (t layers) len() int { return t.flat.Len() }

func (t layers) file(i int) (Entry, int) {
	n := t.flat.Node(i)
	e := Entry{
		First: n.First, Mode: n.Mode, UID: n.UID, GID: n.GID, Rdev: unix.Mkdev(n.Major, n.Minor),
		Mtime: linux.Timespec{Sec: n.Sec, Nsec: int64(n.Nsec)},
		Size:  n.Size, Hash: [32]byte(n.Blob),
	}
	if n.Kind == tarfs.Symlink {
		e.Target = n.Linkname
	}
	for _, x := range n.Xattrs {
		e.Xattrs = append(e.Xattrs, Xattr(x))
	}
	return e, n.Names
}

func (t layers) first(i int) int { return t.flat.First(i) }

func (t layers) size(i int) (mode uint32, bytes int64) { return t.flat.Size(i) }

func (t layers) lookup(dir int, name string) (int, bool) { return t.flat.Lookup(dir, name) }

func (t layers) children(dir int) int { return t.flat.Node(dir).Children }

func (t layers) child(dir, k int) (string, int) {
	i := t.flat.Child(dir, k)
	return t.flat.Name(i), i
}
