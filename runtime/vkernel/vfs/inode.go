package vfs

import (
	"github.com/megabin/megabin/runtime/vkernel/linux"
)

// FileSystem is one instance of a file system, before it is mounted.
type FileSystem interface {
	// Root returns the root directory, always the same inode.
	Root() Inode
	Statfs() (linux.Statfs, error)
	// Type is the name in /proc/filesystems.
	Type() string
}

// Volatile is a FileSystem whose names come and go by themselves (a host
// directory, proc): each walk asks it again for every component.
type Volatile interface {
	Volatile()
}

// Inode is a file of any type. Inodes are compared with ==: a file system
// returns the same value for the same file as long as one is in use. The
// abilities beyond Attr are the optional interfaces below; an inode that lacks one
// gives the errno stated there.
type Inode interface {
	// Attr returns what stat tells. Dev and MountID may be left zero: the vfs
	// fills them in.
	Attr() (linux.Attr, error)
}

// Dir is an inode that is a directory. It must also be an Opener whose files
// are DirReaders.
type Dir interface {
	Inode
	// Lookup returns the named child, or ENOENT.
	Lookup(name string) (Inode, error)
}

// MutableDir is a directory whose names can be changed. Names are valid
// (1 … 255 bytes, no slash, not dot or dot-dot), and the vfs has checked
// permissions, types, and whether names exist; see the lock order for why that still
// holds. Without it: EPERM, or EROFS on a read-only mount.
type MutableDir interface {
	Dir
	// Make creates a new inode called name, which does not exist.
	Make(name string, spec Spec) (Inode, error)
	// Link makes name a further name of target, an inode of this file system
	// that is not a directory.
	Link(name string, target Inode) error
	// Remove removes name, which is child. A directory must be empty, else
	// ENOTEMPTY.
	Remove(name string, child Inode) error
	// Rename moves r.Old of this directory to r.NewDir, r.NewName.
	Rename(r Rename) error
}

// Spec describes an inode to be made.
type Spec struct {
	Mode   uint32 // S_IFMT and permission bits, umask applied
	UID    uint32
	GID    uint32
	Rdev   uint64 // of a device node
	Target string // of a symbolic link
}

// Rename is one rename, all inodes of which are of one file system.
type Rename struct {
	Name    string
	Child   Inode      // what Name is
	NewDir  MutableDir // the same or another directory
	NewName string
	// Replaced is what NewName is, nil if it does not exist. A directory must
	// be empty to be replaced, else ENOTEMPTY.
	Replaced Inode
	// Exchange swaps Child and Replaced (RENAME_EXCHANGE).
	Exchange bool
	// Whiteout leaves a 0:0 character device at Name (RENAME_WHITEOUT).
	Whiteout bool
}

// TmpMaker is a directory that can hold files without a name (O_TMPFILE).
// Without it: EOPNOTSUPP.
type TmpMaker interface {
	// MakeTmp makes a regular file with link count 0. Link may name it later.
	MakeTmp(spec Spec) (Inode, error)
}

// Opener is an inode that can be opened by itself: regular files and
// directories, and what proc has. Device nodes and FIFOs are opened by the vfs.
// Without it: ENXIO.
type Opener interface {
	// Open is given open(2)'s flags; creation, truncation and permissions are
	// done.
	Open(flags int) (File, error)
}

// CallerOpener is an Opener that shows something else to each who opens it.
type CallerOpener interface {
	Opener
	OpenBy(c *Caller, flags int) (File, error)
}

// AttrSetter is an inode whose attributes can be changed. Without it: EPERM.
type AttrSetter interface {
	// SetAttr applies what c.Set says, all or nothing, and sets ctime.
	// Permissions and set-id rules are done.
	SetAttr(c AttrChange) error
}

// AttrMask says which fields of an AttrChange apply.
type AttrMask uint8

// Fields of AttrChange.
const (
	SetMode AttrMask = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
)

// AttrChange is a change of attributes.
type AttrChange struct {
	Set   AttrMask
	Mode  uint32 // permission bits only
	UID   uint32
	GID   uint32
	Size  int64 // bytes; sets mtime too
	Atime linux.Timespec
	Mtime linux.Timespec
	When  linux.Timespec // of the change, for ctime; now if zero
}

// Symlink is a symbolic link.
type Symlink interface {
	Inode
	Readlink(c *Caller) (string, error)
}

// MagicLink is a Symlink that a walk does not follow by its text
// (/proc/PID/fd/N, exe, cwd, root).
type MagicLink interface {
	Symlink
	Follow(c *Caller) (Path, error)
}

// Xattrs is an inode with extended attributes. Name spaces and permissions
// are checked by the vfs. Without it: EOPNOTSUPP.
type Xattrs interface {
	// Getxattr returns the value, or ENODATA.
	Getxattr(name string) ([]byte, error)
	// Setxattr sets the value; flags are XATTR_CREATE and XATTR_REPLACE.
	Setxattr(name string, value []byte, flags int) error
	// Removexattr removes the attribute, or returns ENODATA.
	Removexattr(name string) error
	// Listxattr returns the names in a stable order.
	Listxattr() ([]string, error)
}

// Hasher is an inode that can tell the BLAKE3-256 hash of its contents
// without its being read for it: known, computed, or cached by the file
// system. ok is false if it can't, or would have to read more than limit bytes; HashOf then reads the file.
type Hasher interface {
	Hash(limit int64) (sum [32]byte, ok bool)
}

// Accesser is an inode that decides on permissions itself, in place of mode
// and owner. want is made of Read, Write and Exec.
type Accesser interface {
	Access(c *Caller, want Perm) error
}
