package tarfs

import (
	"bytes"
	"errors"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/wasmenc"
)

// The index of a stored layer is its entries in order, each field a LEB128
// number or a counted string, between a magic number and the BLAKE3 hash of
// all before it. It is a cache: whatever is wrong with it, it is made again.
const indexMagic = "megabin layer 1\n"

var errIndex = errors.New("layer index is damaged")

// EncodeIndex writes entries as a Store keeps them.
func EncodeIndex(entries []Entry) []byte {
	b := wasmenc.AppendU([]byte(indexMagic), uint64(len(entries)))
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
		b = append(b, e.Blob[:]...)
	}
	return b
}

// DecodeIndex reads what EncodeIndex wrote; an error means that it is damaged.
func DecodeIndex(b []byte) ([]Entry, error) {
	end := len(b) - blob.Size
	if end < len(indexMagic) || !bytes.HasPrefix(b, []byte(indexMagic)) || blob.Hash(b[:end]) != blob.ID(b[end:]) {
		return nil, errIndex
	}
	text := string(b[:end]) // the names of all entries are pieces of it
	r := wasmenc.NewReader(b[:end])
	r.Bytes(uint64(len(indexMagic)))
	entries := make([]Entry, r.Count(12))
	for i := range entries {
		entries[i].read(r, text)
	}
	if r.Err() != nil || r.Len() > 0 {
		return nil, errIndex
	}
	return entries, nil
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
		copy(e.Blob[:], r.Bytes(blob.Size))
	}
}
