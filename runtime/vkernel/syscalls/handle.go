package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/runtime/vkernel/kernel"
)

// struct file_handle: two ints, handle_bytes and handle_type, and the handle.
const (
	fileHandleHeader = 8
	maxFileHandle    = 128 // MAX_HANDLE_SZ
	handleFlags      = unix.AT_SYMLINK_FOLLOW | unix.AT_EMPTY_PATH
)

// A handle is an inode number of 64 bits and a generation, which is 0: nobody
// can open it, so it only tells files apart.
const (
	inoHandleType = 0x81 // FILEID_INO64_GEN
	inoHandleSize = 12
)

// noHandles are the file systems that Linux makes no handles of.
var noHandles = map[int64]bool{unix.PROC_SUPER_MAGIC: true, unix.DEVPTS_SUPER_MAGIC: true, unix.ANON_INODE_FS_MAGIC: true}

func sysNameToHandleAt(t *kernel.Task, a Args) (uint64, error) {
	if a.Int(4)&^handleFlags != 0 {
		return 0, unix.EINVAL
	}
	flags := a.Int(4) & unix.AT_EMPTY_PATH
	if a.Int(4)&unix.AT_SYMLINK_FOLLOW == 0 {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	at, err := placeArg(t, a.Int(0), a[1], flags)
	if err != nil {
		return 0, err
	}
	p, err := t.Caller().Resolve(at.at, at.path, flags)
	if err != nil {
		return 0, err
	}
	fs, err := p.Statfs()
	if err != nil {
		return 0, err
	}
	if noHandles[fs.Type] {
		return 0, unix.EOPNOTSUPP
	}
	attr, err := p.Stat()
	if err != nil {
		return 0, err
	}
	return storeHandle(t, a[2], a[3], attr.Ino, attr.MountID)
}

// storeHandle writes the handle of ino at addr, and the mount at mountAddr.
// EOVERFLOW tells that the handle has no room, and how much it needs.
func storeHandle(t *kernel.Task, addr, mountAddr, ino, mount uint64) (uint64, error) {
	room, err := mem(t).Load32(addr)
	switch {
	case err != nil:
		return 0, err
	case room > maxFileHandle:
		return 0, unix.EINVAL
	}
	b := binary.LittleEndian.AppendUint32(nil, inoHandleSize)
	b = binary.LittleEndian.AppendUint32(b, inoHandleType)
	b = binary.LittleEndian.AppendUint64(b, ino)
	b = binary.LittleEndian.AppendUint32(b, 0)
	var full error
	if room < inoHandleSize {
		b, full = b[:fileHandleHeader], unix.EOVERFLOW
	}
	if err := firstError(mem(t).Store32(mountAddr, uint32(mount)), mem(t).CopyOut(addr, b)); err != nil {
		return 0, err
	}
	return 0, full
}
