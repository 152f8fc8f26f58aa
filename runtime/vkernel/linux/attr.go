package linux

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Attr is all that stat and statx tell about an inode (the kernel's kstat).
type Attr struct {
	Dev     uint64 // device of the file system, Mkdev
	Ino     uint64
	Mode    uint32 // S_IFMT and permission bits
	Nlink   uint32
	UID     uint32
	GID     uint32
	Rdev    uint64 // device that a device node stands for, Mkdev
	Size    int64  // bytes
	Blksize int32  // preferred I/O size in bytes
	Blocks  int64  // 512-byte units
	Atime   Timespec
	Mtime   Timespec
	Ctime   Timespec
	Btime   Timespec // zero if unknown
	MountID uint64   // statx only
	Attrs   uint64   // STATX_ATTR_*
}

// Type returns the S_IFMT bits.
func (a *Attr) Type() uint32 { return a.Mode & unix.S_IFMT }

// IsDir reports whether the inode is a directory.
func (a *Attr) IsDir() bool { return a.Type() == unix.S_IFDIR }

// Mkdev packs a device number as the kernel's new_encode_dev and glibc do.
func Mkdev(major, minor uint32) uint64 { return unix.Mkdev(major, minor) }

// StatSize is sizeof(struct stat).
const StatSize = 144

// AppendStat appends struct stat.
func (a *Attr) AppendStat(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, a.Dev)
	b = le.AppendUint64(b, a.Ino)
	b = le.AppendUint64(b, uint64(a.Nlink))
	b = le.AppendUint32(b, a.Mode)
	b = le.AppendUint32(b, a.UID)
	b = le.AppendUint32(b, a.GID)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, a.Rdev)
	b = le.AppendUint64(b, uint64(a.Size))
	b = le.AppendUint64(b, uint64(a.Blksize))
	b = le.AppendUint64(b, uint64(a.Blocks))
	b = a.Atime.Append(b)
	b = a.Mtime.Append(b)
	b = a.Ctime.Append(b)
	return append(b, make([]byte, 24)...)
}

// StatxSize is sizeof(struct statx).
const StatxSize = 256

// AppendStatx appends struct statx. All basic fields are always given,
// whatever was asked for, as the kernel's own file systems do; the time of birth only if the
// mask asks for it.
func (a *Attr) AppendStatx(b []byte, asked uint32) []byte {
	le := binary.LittleEndian
	start := len(b)
	mask := uint32(unix.STATX_BASIC_STATS | unix.STATX_MNT_ID)
	if asked&unix.STATX_BTIME != 0 && a.Btime != (Timespec{}) {
		mask |= unix.STATX_BTIME
	}
	b = le.AppendUint32(b, mask)
	b = le.AppendUint32(b, uint32(a.Blksize))
	b = le.AppendUint64(b, a.Attrs)
	b = le.AppendUint32(b, a.Nlink)
	b = le.AppendUint32(b, a.UID)
	b = le.AppendUint32(b, a.GID)
	b = le.AppendUint16(b, uint16(a.Mode))
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, a.Ino)
	b = le.AppendUint64(b, uint64(a.Size))
	b = le.AppendUint64(b, uint64(a.Blocks))
	b = le.AppendUint64(b, unix.STATX_ATTR_MOUNT_ROOT) // attributes_mask
	for _, t := range []Timespec{a.Atime, a.Btime, a.Ctime, a.Mtime} {
		b = le.AppendUint64(b, uint64(t.Sec))
		b = le.AppendUint64(b, uint64(uint32(t.Nsec)))
	}
	for _, dev := range []uint64{a.Rdev, a.Dev} {
		b = le.AppendUint32(b, unix.Major(dev))
		b = le.AppendUint32(b, unix.Minor(dev))
	}
	b = le.AppendUint64(b, a.MountID)
	return append(b, make([]byte, StatxSize-(len(b)-start))...)
}
