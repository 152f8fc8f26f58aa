// Package overlay is what a container's root is: an image's read-only tree
// with a layer in memory above it that takes all changes.
//
// Both layers are in one process, so the upper one needs no whiteout files,
// opaque markers or redirects on disk: fs/tmp's inodes begin as lower ones
// and hold their changes. Renames of lower directories copy nothing, inode
// numbers do not change on copy-up, and hard links in the lower layer stay
// together. An --read-only container mounts it with vfs.ReadOnly.
package overlay

import (
	"github.com/megabin/megabin/runtime/vkernel/fs/tmp"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// New makes an overlay over lower, which must not change: see
// tmp.Options.Lower. size is the most bytes that changed files may take; half of the
// host's memory if 0.
func New(lower vfs.FileSystem, size int64) (*tmp.FS, error) {
	return tmp.New(tmp.Options{Type: "overlay", Lower: lower, Size: size})
}
