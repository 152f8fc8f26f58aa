package linux

import "encoding/binary"

// Statfs is what statfs tells about a file system.
type Statfs struct {
	Type    int64 // *_SUPER_MAGIC
	Bsize   int64 // bytes
	Blocks  uint64
	Bfree   uint64
	Bavail  uint64
	Files   uint64
	Ffree   uint64
	Namelen int64
	Frsize  int64 // bytes
	Flags   int64 // ST_*
}

// StatfsSize is sizeof(struct statfs).
const StatfsSize = 120

// Append appends struct statfs.
func (s *Statfs) Append(b []byte) []byte {
	le := binary.LittleEndian
	for _, v := range []uint64{
		uint64(s.Type), uint64(s.Bsize), s.Blocks, s.Bfree, s.Bavail,
		s.Files, s.Ffree, 0, uint64(s.Namelen), uint64(s.Frsize),
		uint64(s.Flags), 0, 0, 0, 0,
	} {
		b = le.AppendUint64(b, v)
	}
	return b
}
