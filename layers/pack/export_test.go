package pack

import "github.com/megabin/megabin/layers/blob"

// Resign sets the hashes of the directory and of the records to what is
// there, as far as they can be found, so that the checks behind the hashes
// are tested too.
func Resign(data []byte) {
	if len(data) < trailerSize {
		return
	}
	end := len(data) - trailerSize
	var t trailer
	t.read(data[end:])
	if t.dirLen != uint64(t.units)*dirEntrySize || t.dirLen > uint64(end) {
		return
	}
	dir := data[end-int(t.dirLen) : end]
	for at := 0; at < len(dir); at += dirEntrySize {
		var e dirEntry
		e.read(dir[at:])
		if e.off <= uint64(len(data)) && e.size <= uint64(len(data))-e.off {
			e.sum = blob.Hash(data[e.off:][:e.size])
			copy(dir[at:], e.append(nil))
		}
	}
	t.dirSum = blob.Hash(dir)
	copy(data[end:], t.append(nil))
}
