package host

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"
)

// inode is an inode of the host, held by an O_PATH descriptor, which is closed
// when the inode is garbage: methods keep it alive while they use the descriptor.
type inode struct {
	fs   *FS
	fd   int
	self vfs.Inode // the view of it that has its type's abilities

	hashMu sync.Mutex
	hashed stamp
	hash   [32]byte
}

// stamp changes when a file's contents do.
type stamp struct {
	size         int64
	mtime, ctime linux.Timespec
}

// hosted is any of the views.
type hosted interface{ base() *inode }

// The views of an inode.
type (
	dir   struct{ *inode }
	file  struct{ *inode }
	link  struct{ *inode }
	other struct{ *inode } // opened by the vfs: its devices, FIFOs
)

func newInode(fs *FS, fd int, mode uint32) *inode {
	n := &inode{fs: fs, fd: fd}
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		n.self = &dir{n}
	case unix.S_IFREG:
		n.self = &file{n}
	case unix.S_IFLNK:
		n.self = &link{n}
	default:
		n.self = &other{n}
	}
	return n
}

func (n *inode) base() *inode { return n }

// proc is a path that leads to the inode itself.
func (n *inode) proc() string { return fmt.Sprintf("/proc/self/fd/%d", n.fd) }

// Attr implements vfs.Inode.
func (n *inode) Attr() (linux.Attr, error) {
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return linux.Attr{}, linux.Errno(err)
	}
	a := attrOf(&st)
	if a.UID == n.fs.uid {
		a.UID = 0
	}
	if a.GID == n.fs.gid {
		a.GID = 0
	}
	return a, nil
}

// owner is what the host has for ids of the guest.
func (fs *FS) owner(uid, gid uint32) (int, int) {
	if uid == 0 {
		uid = fs.uid
	}
	if gid == 0 {
		gid = fs.gid
	}
	return int(int32(uid)), int(int32(gid))
}

// SetAttr implements vfs.AttrSetter.
func (n *inode) SetAttr(c vfs.AttrChange) error {
	defer runtime.KeepAlive(n)
	if c.Set&vfs.SetSize != 0 {
		if err := unix.Truncate(n.proc(), c.Size); err != nil {
			return linux.Errno(err)
		}
	}
	if c.Set&(vfs.SetUID|vfs.SetGID) != 0 {
		if err := n.chown(c); err != nil {
			return err
		}
	}
	if c.Set&vfs.SetMode != 0 {
		if err := unix.Chmod(n.proc(), c.Mode); err != nil {
			return linux.Errno(err)
		}
	}
	if c.Set&(vfs.SetAtime|vfs.SetMtime) != 0 {
		return n.utimens(c)
	}
	return nil
}

func (n *inode) chown(c vfs.AttrChange) error {
	uid, gid := n.fs.owner(c.UID, c.GID)
	if c.Set&vfs.SetUID == 0 {
		uid = -1
	}
	if c.Set&vfs.SetGID == 0 {
		gid = -1
	}
	return hostErr(unix.Fchownat(n.fd, "", uid, gid, unix.AT_EMPTY_PATH))
}

// utimens sets times, of a link itself too.
func (n *inode) utimens(c vfs.AttrChange) error {
	times := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	if c.Set&vfs.SetAtime != 0 {
		times[0] = unix.Timespec{Sec: c.Atime.Sec, Nsec: c.Atime.Nsec}
	}
	if c.Set&vfs.SetMtime != 0 {
		times[1] = unix.Timespec{Sec: c.Mtime.Sec, Nsec: c.Mtime.Nsec}
	}
	if _, ok := n.self.(*link); !ok {
		return hostErr(unix.UtimesNanoAt(unix.AT_FDCWD, n.proc(), times[:], 0))
	}
	var empty [1]byte
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(n.fd), uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&times)), unix.AT_EMPTY_PATH, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Getxattr implements vfs.Xattrs.
func (n *inode) Getxattr(name string) ([]byte, error) {
	defer runtime.KeepAlive(n)
	buf := make([]byte, linux.XattrSize)
	size, err := unix.Getxattr(n.proc(), name, buf)
	if err != nil {
		return nil, linux.Errno(err)
	}
	return buf[:size], nil
}

// Setxattr implements vfs.Xattrs.
func (n *inode) Setxattr(name string, value []byte, flags int) error {
	defer runtime.KeepAlive(n)
	return hostErr(unix.Setxattr(n.proc(), name, value, flags))
}

// Removexattr implements vfs.Xattrs.
func (n *inode) Removexattr(name string) error {
	defer runtime.KeepAlive(n)
	return hostErr(unix.Removexattr(n.proc(), name))
}

// Listxattr implements vfs.Xattrs.
func (n *inode) Listxattr() ([]string, error) {
	defer runtime.KeepAlive(n)
	buf := make([]byte, linux.XattrSize)
	size, err := unix.Listxattr(n.proc(), buf)
	if err != nil {
		return nil, linux.Errno(err)
	}
	return strings.FieldsFunc(string(buf[:size]), func(r rune) bool { return r == 0 }), nil
}

// Readlink implements vfs.Symlink.
func (l *link) Readlink(*vfs.Caller) (string, error) {
	defer runtime.KeepAlive(l.inode)
	buf := make([]byte, linux.PathMax)
	n, err := unix.Readlinkat(l.fd, "", buf)
	if err != nil {
		return "", linux.Errno(err)
	}
	return string(buf[:n]), nil
}

// Hash implements vfs.Hasher: computed once for each state of the file, as size
// and times tell.
func (f *file) Hash() ([32]byte, bool) {
	f.hashMu.Lock()
	defer f.hashMu.Unlock()
	host, err := os.Open(f.proc())
	if err != nil {
		return [32]byte{}, false
	}
	defer host.Close()
	before, err := f.stamp()
	if err != nil {
		return [32]byte{}, false
	}
	if before == f.hashed {
		return f.hash, true
	}
	h := blake3.New()
	if _, err := host.WriteTo(h); err != nil {
		return [32]byte{}, false
	}
	if after, err := f.stamp(); err != nil || after != before {
		return [32]byte{}, false // it is being written
	}
	f.hashed, f.hash = before, [32]byte(h.Sum(nil))
	return f.hash, true
}

func (f *file) stamp() (stamp, error) {
	a, err := f.Attr()
	return stamp{a.Size, a.Mtime, a.Ctime}, err
}
