package runner

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/runtime/vkernel/fs/image"
	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// NewRoot makes the file system of an image's tree, whose contents are in a
// store. It is a Spec's Root.
func NewRoot(tree *tarfs.Tree, store *tarfs.Store) (*image.FS, error) {
	entries := make([]image.Entry, len(tree.Nodes))
	for i := range tree.Nodes {
		entries[i] = imageEntry(&tree.Nodes[i])
	}
	root, err := image.New(entries, func(hash [32]byte) (*os.File, error) { return os.Open(store.BlobPath(hash)) })
	if err != nil {
		return nil, fmt.Errorf("image's tree: %w", err)
	}
	return root, nil
}

func imageEntry(n *tarfs.Node) image.Entry {
	e := n.Entry
	out := image.Entry{
		Name: n.Name, Parent: n.Parent, First: n.First, Mode: e.Mode, UID: e.UID, GID: e.GID,
		Rdev: unix.Mkdev(e.Major, e.Minor), Mtime: linux.Timespec{Sec: e.Sec, Nsec: int64(e.Nsec)},
		Size: e.Size, Target: e.Linkname, Hash: e.Blob,
	}
	if e.Kind != tarfs.Symlink {
		out.Target = ""
	}
	for _, x := range e.Xattrs {
		out.Xattrs = append(out.Xattrs, image.Xattr{Name: x.Name, Value: x.Value})
	}
	return out
}
