package codefile

import "hash/crc32"

// index is what the file of that name says of all code. It has a head, and a record for each piece.
type index struct {
	generation uint32 // of the code's file; 0 if the index is not there, or has no head
	linked     uint32 // so much of the code is linked, in units of align
	boot       uint64 // since which boot of the host the code is known
	size       int64  // of the file, as far as it is good
	codeEnd    int64  // behind what the records name
	dropped    bool   // the code is damaged: what is added begins another generation
}

// The head: generation u32, linked u32, checksum of both u32, boot u64.
const (
	headSize = 20
	bootAt   = 12
)

func appendHead(b []byte, x index) []byte {
	start := len(b)
	b = le.AppendUint32(le.AppendUint32(b, x.generation), x.linked)
	b = le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
	return le.AppendUint64(b, x.boot)
}

// readHead reads a head; there is no generation 0.
func readHead(b []byte) (x index) {
	if len(b) < headSize || crc32.Checksum(b[:8], castagnoli) != le.Uint32(b[8:]) {
		return x
	}
	return index{generation: le.Uint32(b), linked: le.Uint32(b[4:]), boot: le.Uint64(b[bootAt:]), size: headSize}
}

// readIndex reads up to the first record that is damaged or not whole. Of an ID the last one counts.
func readIndex(b []byte) (x index, records []record) {
	x = readHead(b)
	if x.generation == 0 {
		return x, nil
	}
	for {
		r, n := readRecord(b[x.size:])
		if n == 0 || r.off < x.codeEnd {
			return x, records
		}
		x.size += int64(n)
		x.codeEnd = r.off + r.whole()
		records = append(records, r)
	}
}

// record names code by an ID. In the file of code, links follow the bytes.
type record struct {
	id        ID
	off, size int64 // of the bytes
	links     int64
	sum       uint32      // of bytes and links
	functions [][2]uint32 // offset and index
}

// noIndex is that of functions that other code does not call.
const noIndex = 1<<32 - 1

// linkSize is that of a link: where it is, what is there before it is linked, and index.
const linkSize = 3 * 4

// whole is the size of bytes and links.
func (r *record) whole() int64 { return r.size + r.links*linkSize }

// isIn reports whether the record's checksum is that of what code has. Precondition: it has as much.
func (r *record) isIn(code []byte) bool {
	return crc32.Checksum(code[r.off:][:r.whole()], castagnoli) == r.sum
}

// fixedSize is that of a record without its functions and its checksum, u32.
const fixedSize = len(ID{}) + 8 + 4 + 4 + 4 + 4

func appendRecord(b []byte, r *record) []byte {
	start := len(b)
	b = append(b, r.id[:]...)
	b = le.AppendUint64(b, uint64(r.off))
	b = le.AppendUint32(b, uint32(r.size))
	b = le.AppendUint32(b, uint32(r.links))
	b = le.AppendUint32(b, r.sum)
	b = le.AppendUint32(b, uint32(len(r.functions)))
	for _, fn := range r.functions {
		b = le.AppendUint32(le.AppendUint32(b, fn[0]), fn[1])
	}
	return le.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// maxOffset bounds a file of code, so that sums do not overflow.
const maxOffset = 1 << 40

// readRecord reads the first record of b, which has n bytes; 0 if it is none.
func readRecord(b []byte) (r record, n int) {
	if len(b) < fixedSize+4 {
		return r, 0
	}
	copy(r.id[:], b)
	h := b[len(r.id):]
	r.off, r.size, r.links, r.sum = int64(le.Uint64(h)), int64(le.Uint32(h[8:])), int64(le.Uint32(h[12:])), le.Uint32(h[16:])
	count := uint64(le.Uint32(h[20:]))
	if count > uint64(len(b)-fixedSize-4)/8 || r.off < 0 || r.off > maxOffset {
		return r, 0
	}
	end := fixedSize + 8*int(count)
	if crc32.Checksum(b[:end], castagnoli) != le.Uint32(b[end:]) {
		return r, 0
	}
	r.functions = make([][2]uint32, count)
	for i := range r.functions {
		fn := b[fixedSize+8*i:]
		r.functions[i] = [2]uint32{le.Uint32(fn), le.Uint32(fn[4:])}
		if int64(r.functions[i][0]) >= r.size {
			return r, 0
		}
	}
	return r, end + 4
}
