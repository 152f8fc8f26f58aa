package tarfs

import (
	"bytes"
	"errors"
	"path"
	"strings"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/wasmenc"
)

// The index of a layer is the length of its tar stream and its entries in
// order, each field a LEB128 number or a counted string, between a magic number
// and the BLAKE3 hash of all before it. That of the store is a cache: whatever is wrong with it, it
// is made again.
const indexMagic = "megabin layer 2\n"

var errIndex = errors.New("layer index is damaged")

// EncodeIndex writes the index of a layer whose tar stream has size bytes. A
// regular file has its hash and its place in the stream.
func EncodeIndex(entries []Entry, size int64) []byte {
	b := wasmenc.AppendU([]byte(indexMagic), uint64(size))
	b = wasmenc.AppendU(b, uint64(len(entries)))
	for i := range entries {
		b = entries[i].append(b)
	}
	sum := blob.Hash(b)
	return append(b, sum[:]...)
}

func (e *Entry) append(b []byte) []byte {
	b = append(b, byte(e.Kind))
	b = wasmenc.AppendName(b, e.Name)
	b = wasmenc.AppendName(b, e.Linkname)
	for _, v := range []uint64{uint64(e.Mode), uint64(e.UID), uint64(e.GID), uint64(e.Sec), uint64(e.Nsec),
		uint64(e.Size), uint64(e.Major), uint64(e.Minor), uint64(len(e.Xattrs))} {
		b = wasmenc.AppendU(b, v)
	}
	for _, x := range e.Xattrs {
		b = wasmenc.AppendName(wasmenc.AppendName(b, x.Name), x.Value)
	}
	if e.Kind == Regular {
		b = append(wasmenc.AppendU(b, uint64(e.Offset+1)), e.Blob[:]...)
	}
	return b
}

// DecodeIndex reads an index.
func DecodeIndex(b []byte) (entries []Entry, size int64, err error) {
	end := len(b) - blob.Size
	if end < len(indexMagic) || !bytes.HasPrefix(b, []byte(indexMagic)) || blob.Hash(b[:end]) != blob.ID(b[end:]) {
		return nil, 0, errIndex
	}
	text := string(b[:end]) // the names of all entries are pieces of it
	r := wasmenc.NewReader(b[:end])
	r.Bytes(uint64(len(indexMagic)))
	size = int64(r.U())
	entries = make([]Entry, r.Count(12))
	for i := range entries {
		entries[i].read(r, text)
	}
	if r.Err() != nil || r.Len() > 0 {
		return nil, 0, errIndex
	}
	for i := range entries {
		if !entries[i].valid(size) {
			return nil, 0, errIndex
		}
	}
	return entries, size, nil
}

// valid tells whether Walk could have made e of a stream of size bytes.
func (e *Entry) valid(size int64) bool {
	if e.Kind >= numKinds || !isClean(e.Name) || e.Mode&^modePerm != typeBits[e.Kind] {
		return false
	}
	switch e.Kind {
	case Regular:
		return e.Size >= 0 && e.Size <= maxFile && (e.isSparse() || e.Size <= size && e.Offset <= size-e.Size)
	case Symlink:
		return e.Linkname != "" && len(e.Linkname) <= maxName && strings.IndexByte(e.Linkname, 0) < 0
	case Hardlink:
		return isClean(e.Linkname)
	}
	return e.Name != "." || e.Kind == Directory || e.Kind == Opaque
}

// isClean tells whether cleanName would leave a name alone.
func isClean(name string) bool {
	return len(name) <= maxName && path.Clean(name) == name && name[0] != '/' && name != ".." &&
		!strings.HasPrefix(name, "../") && strings.IndexByte(name, 0) < 0
}

func (e *Entry) read(r *wasmenc.Reader, text string) {
	name := func() string {
		n := len(r.Vector())
		return text[r.Offset()-n : r.Offset()]
	}
	e.Kind = Kind(r.Byte())
	e.Name = name()
	e.Linkname = name()
	e.Mode, e.UID, e.GID = r.U32(), r.U32(), r.U32()
	e.Sec, e.Nsec, e.Size = int64(r.U()), r.U32(), int64(r.U())
	e.Major, e.Minor = r.U32(), r.U32()
	if n := r.Count(2); n > 0 {
		e.Xattrs = make([]Xattr, n)
	}
	for i := range e.Xattrs {
		e.Xattrs[i] = Xattr{name(), name()}
	}
	if e.Kind == Regular {
		e.Offset = int64(r.U()) - 1
		copy(e.Blob[:], r.Bytes(blob.Size))
	}
}
