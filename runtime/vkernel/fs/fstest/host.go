package fstest

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unsafe"

	"github.com/megabin/megabin/runtime/vkernel/linux"
	"golang.org/x/sys/unix"
)

// enter gives the thread its own root, working directory and umask.
func enter(dir string) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	if err := unix.Chroot(dir); err != nil {
		return err
	}
	unix.Umask(0o022)
	return unix.Chdir("/")
}

// hostSystem is the host's kernel, for the calling thread.
type hostSystem struct{}

func (hostSystem) Open(path string, flags int, mode uint32) (int, error) {
	return unix.Openat(unix.AT_FDCWD, path, flags, mode)
}
func (hostSystem) Close(fd int) error                  { return unix.Close(fd) }
func (hostSystem) Read(fd int, p []byte) (int, error)  { return unix.Read(fd, p) }
func (hostSystem) Write(fd int, p []byte) (int, error) { return unix.Write(fd, p) }
func (hostSystem) Pread(fd int, p []byte, off int64) (int, error) {
	return unix.Pread(fd, p, off)
}
func (hostSystem) Pwrite(fd int, p []byte, off int64) (int, error) {
	return unix.Pwrite(fd, p, off)
}
func (hostSystem) Seek(fd int, off int64, whence int) (int64, error) {
	return unix.Seek(fd, off, whence)
}
func (hostSystem) Ftruncate(fd int, size int64) error { return unix.Ftruncate(fd, size) }
func (hostSystem) Fallocate(fd int, mode uint32, off, length int64) error {
	return unix.Fallocate(fd, mode, off, length)
}
func (hostSystem) Flock(fd int, how int) error { return unix.Flock(fd, how|unix.LOCK_NB) }

func (hostSystem) ReadDir(fd int) ([]linux.Dirent, error) {
	var list []linux.Dirent
	buf := make([]byte, 300) // small, so that cookies are used
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil || n == 0 {
			return list, err
		}
		for b := buf[:n]; len(b) > 0; {
			size := binary.LittleEndian.Uint16(b[16:])
			name, _, _ := bytes.Cut(b[19:size], []byte{0})
			list = append(list, linux.Dirent{Name: string(name), Type: b[18]})
			b = b[size:]
		}
	}
}

func (hostSystem) Mkdir(path string, mode uint32) error {
	return unix.Mkdirat(unix.AT_FDCWD, path, mode)
}
func (hostSystem) Mknod(path string, mode uint32, dev uint64) error {
	return unix.Mknodat(unix.AT_FDCWD, path, mode, int(dev))
}
func (hostSystem) Symlink(target, path string) error {
	return unix.Symlinkat(target, unix.AT_FDCWD, path)
}
func (hostSystem) Link(old, new string, flags int) error {
	return unix.Linkat(unix.AT_FDCWD, old, unix.AT_FDCWD, new, flags)
}
func (hostSystem) Unlink(path string, flags int) error {
	return unix.Unlinkat(unix.AT_FDCWD, path, flags)
}
func (hostSystem) Rename(old, new string, flags uint32) error {
	return unix.Renameat2(unix.AT_FDCWD, old, unix.AT_FDCWD, new, uint(flags))
}
func (hostSystem) Readlink(path string) (string, error) {
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(unix.AT_FDCWD, path, buf)
	return string(buf[:max(n, 0)]), err
}
func (hostSystem) Stat(path string, flags int) (linux.Attr, error) {
	var st unix.Stat_t
	err := unix.Fstatat(unix.AT_FDCWD, path, &st, flags)
	return linux.Attr{
		Mode: st.Mode, Nlink: uint32(st.Nlink), UID: st.Uid, GID: st.Gid, Rdev: st.Rdev, Size: st.Size,
		Blocks: st.Blocks, Atime: linux.FromUnix(st.Atim), Mtime: linux.FromUnix(st.Mtim),
	}, err
}
func (hostSystem) Chmod(path string, mode uint32) error {
	return unix.Fchmodat(unix.AT_FDCWD, path, mode, 0)
}
func (hostSystem) Chown(path string, uid, gid uint32, flags int) error {
	return unix.Fchownat(unix.AT_FDCWD, path, int(int32(uid)), int(int32(gid)), flags)
}
func (hostSystem) Utimens(path string, times *[2]linux.Timespec, flags int) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(0xffffffffffffff9c), uintptr(unsafe.Pointer(p)),
		uintptr(unsafe.Pointer(times)), uintptr(flags), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
func (hostSystem) Truncate(path string, size int64) error { return unix.Truncate(path, size) }
func (hostSystem) Access(path string, mode uint32, flags int) error {
	return unix.Faccessat(unix.AT_FDCWD, path, mode, flags)
}
func (hostSystem) Getxattr(path, name string) ([]byte, error) {
	buf := make([]byte, 65536)
	n, err := unix.Getxattr(path, name, buf)
	return buf[:max(n, 0)], err
}
func (hostSystem) Setxattr(path, name string, value []byte, flags int) error {
	return unix.Setxattr(path, name, value, flags)
}
func (hostSystem) Removexattr(path, name string) error { return unix.Removexattr(path, name) }
func (hostSystem) Listxattr(path string) ([]string, error) {
	buf := make([]byte, 65536)
	n, err := unix.Listxattr(path, buf)
	return strings.FieldsFunc(string(buf[:max(n, 0)]), func(r rune) bool { return r == 0 }), err
}
func (hostSystem) Umask(mask uint32) uint32 { return uint32(unix.Umask(int(mask))) }
func (hostSystem) Chdir(path string) error  { return unix.Chdir(path) }
func (hostSystem) Getcwd() (string, error)  { return unix.Getwd() }

// SetUser changes this thread's file system ids only.
func (hostSystem) SetUser(uid, gid uint32) {
	unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0)
	// The user last when leaving root, first when coming back.
	set := func(nr uintptr, id uint32) { unix.RawSyscall(nr, uintptr(id), 0, 0) }
	if uid == 0 {
		set(unix.SYS_SETFSUID, uid)
		set(unix.SYS_SETFSGID, gid)
		return
	}
	set(unix.SYS_SETFSGID, gid)
	set(unix.SYS_SETFSUID, uid)
}
