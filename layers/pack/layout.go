// Package pack is the megabinary: one WebAssembly module with the functions
// of many units, identical ones once, and an index that leads from a file's
// hash and an offset in it to code. Write is the generator, Open the reader,
// which reads what it is asked for and no more. The package knows neither how
// units are made nor how parts are run; docs/formats.md has the layout.
package pack

import (
	"encoding/binary"
	"errors"

	"github.com/megabin/megabin/layers/blob"
)

// ErrInvalid is wrapped by every error about a megabinary's content.
var ErrInvalid = errors.New("invalid megabinary")

const indexSection = "megabin.index"

// Sizes of the fixed-width records, in bytes.
const (
	trailerSize  = 64
	dirEntrySize = blob.Size + 8 + 8 + blob.Size
	headSize     = 4*4 + 3*8 + blob.Size
	funcSize     = 4 + 4 + 8 + 4 + 4
	partSize     = blob.Size
	callSize     = 4 + 4
)

const magic = "MEGABIN\x00"

var le = binary.LittleEndian

// trailer is the end of the file. The directory ends where it begins.
type trailer struct {
	dirOff  uint64
	dirLen  uint64
	version uint32
	units   uint32
	dirSum  blob.ID
}

func (t *trailer) append(b []byte) []byte {
	b = append(b, t.dirSum[:]...)
	b = le.AppendUint64(b, t.dirOff)
	b = le.AppendUint64(b, t.dirLen)
	b = le.AppendUint32(b, t.version)
	b = le.AppendUint32(b, t.units)
	return append(b, magic...)
}

func (t *trailer) read(b []byte) {
	copy(t.dirSum[:], b)
	b = b[blob.Size:]
	t.dirOff, t.dirLen = le.Uint64(b), le.Uint64(b[8:])
	t.version, t.units = le.Uint32(b[16:]), le.Uint32(b[20:])
}

// dirEntry leads from a file's hash to its unit's record.
type dirEntry struct {
	source blob.ID
	off    uint64
	size   uint64
	sum    blob.ID // of the record
}

func (e *dirEntry) append(b []byte) []byte {
	b = append(b, e.source[:]...)
	b = le.AppendUint64(b, e.off)
	b = le.AppendUint64(b, e.size)
	return append(b, e.sum[:]...)
}

func (e *dirEntry) read(b []byte) {
	copy(e.source[:], b)
	e.off, e.size = le.Uint64(b[blob.Size:]), le.Uint64(b[blob.Size+8:])
	copy(e.sum[:], b[blob.Size+16:])
}

// head starts a unit record. The function table, the part table and the
// metadata follow; the call table and the sites are elsewhere in the file.
type head struct {
	funcs, parts, calls, metaLen uint32
	callOff, siteOff, siteLen    uint64 // file offsets
	siteSum                      blob.ID
}

func (h *head) append(b []byte) []byte {
	for _, v := range []uint32{h.funcs, h.parts, h.calls, h.metaLen} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range []uint64{h.callOff, h.siteOff, h.siteLen} {
		b = le.AppendUint64(b, v)
	}
	return append(b, h.siteSum[:]...)
}

func (h *head) read(b []byte) {
	h.funcs, h.parts, h.calls, h.metaLen = le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])
	h.callOff, h.siteOff, h.siteLen = le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:])
	copy(h.siteSum[:], b[40:])
}

// recordSize is the length of the record that h starts.
func (h *head) recordSize() uint64 {
	return headSize + uint64(h.funcs)*funcSize + uint64(h.parts)*partSize + uint64(h.metaLen)
}

// funcRecord is a row of the function table.
type funcRecord struct {
	entry, part uint32
	bodyOff     uint64 // file offset
	bodyLen     uint32
	firstCall   uint32 // row of the call table; the next function's first ends them
}

func (f *funcRecord) append(b []byte) []byte {
	b = le.AppendUint32(b, f.entry)
	b = le.AppendUint32(b, f.part)
	b = le.AppendUint64(b, f.bodyOff)
	b = le.AppendUint32(b, f.bodyLen)
	return le.AppendUint32(b, f.firstCall)
}

func (f *funcRecord) read(b []byte) {
	f.entry, f.part, f.bodyOff = le.Uint32(b), le.Uint32(b[4:]), le.Uint64(b[8:])
	f.bodyLen, f.firstCall = le.Uint32(b[16:]), le.Uint32(b[20:])
}
