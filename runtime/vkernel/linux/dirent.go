package linux

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Dirent is one directory entry as getdents64 gives it.
type Dirent struct {
	Ino  uint64
	Off  int64 // cookie of the entry after this one
	Type uint8 // DT_*
	Name string
}

const direntHeader = 19 // d_ino, d_off, d_reclen, d_type

// Size is the record's length in bytes in getdents64.
func (d *Dirent) Size() int { return (direntHeader + len(d.Name) + 1 + 7) &^ 7 }

// Append appends struct linux_dirent64.
func (d *Dirent) Append(b []byte) []byte {
	end := len(b) + d.Size()
	b = binary.LittleEndian.AppendUint64(b, d.Ino)
	b = binary.LittleEndian.AppendUint64(b, uint64(d.Off))
	b = binary.LittleEndian.AppendUint16(b, uint16(d.Size()))
	b = append(b, d.Type)
	b = append(b, d.Name...)
	return append(b, make([]byte, end-len(b))...)
}

// SizeOld is the record's length in bytes in getdents.
func (d *Dirent) SizeOld() int { return (18 + len(d.Name) + 2 + 7) &^ 7 }

// AppendOld appends struct linux_dirent, whose type is the record's last
// byte.
func (d *Dirent) AppendOld(b []byte) []byte {
	end := len(b) + d.SizeOld()
	b = binary.LittleEndian.AppendUint64(b, d.Ino)
	b = binary.LittleEndian.AppendUint64(b, uint64(d.Off))
	b = binary.LittleEndian.AppendUint16(b, uint16(d.SizeOld()))
	b = append(b, d.Name...)
	b = append(b, make([]byte, end-len(b))...)
	b[end-1] = d.Type
	return b
}

// DirentType is the DT_* value of a file mode.
func DirentType(mode uint32) uint8 { return uint8(mode & unix.S_IFMT >> 12) }
