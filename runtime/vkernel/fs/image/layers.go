package image

import (
	"os"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// FromLayers makes the tree of merged layers whose contents are in store.
func FromLayers(tree *tarfs.Tree, store *tarfs.Store) (*FS, error) {
	entries := make([]Entry, len(tree.Nodes))
	for i := range tree.Nodes {
		entries[i] = fromNode(&tree.Nodes[i])
	}
	return New(entries, func(hash [32]byte) (*os.File, error) {
		return store.Open(blob.ID(hash))
	})
}

func fromNode(n *tarfs.Node) Entry {
	e := n.Entry
	out := Entry{
		Name: n.Name, Parent: n.Parent, First: n.First,
		Mode: e.Mode, UID: e.UID, GID: e.GID, Rdev: unix.Mkdev(e.Major, e.Minor),
		Mtime: linux.Timespec{Sec: e.Sec, Nsec: int64(e.Nsec)},
		Size:  e.Size, Hash: [32]byte(e.Blob),
	}
	if e.Kind == tarfs.Symlink {
		out.Target = e.Linkname
	}
	for _, x := range e.Xattrs {
		out.Xattrs = append(out.Xattrs, Xattr(x))
	}
	return out
}
