// Package host is what of the host a guest may see: directories and files
// that are bound into its tree, and the runner's standard streams. Every
// access to a bound tree goes through directory descriptors and openat2 with
// RESOLVE_BENEATH, so that no name or link in it leads out of it. It knows nothing of
// mounts.
package host

import (
	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// attrOf converts the host's struct.
func attrOf(st *unix.Stat_t) linux.Attr {
	return linux.Attr{
		Dev: uint64(st.Dev), Ino: st.Ino, Mode: st.Mode, Nlink: uint32(st.Nlink),
		UID: st.Uid, GID: st.Gid, Rdev: uint64(st.Rdev), Size: st.Size,
		Blksize: int32(st.Blksize), Blocks: st.Blocks,
		Atime: linux.FromUnix(st.Atim), Mtime: linux.FromUnix(st.Mtim), Ctime: linux.FromUnix(st.Ctim),
	}
}

// hostErr is the errno of an error of the host.
func hostErr(err error) error {
	if err == nil {
		return nil
	}
	return linux.Errno(err)
}
