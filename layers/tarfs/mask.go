package tarfs

import "io"

// Range is a range of a byte stream.
type Range struct{ Off, Size int64 }

// Edit is what replaces a range of a byte stream: zeros, or the bytes of
// With, which has the range's size.
type Edit struct {
	Range
	With []byte
}

// Mask returns r with edits, which ascend and are disjoint.
func Mask(r io.Reader, edits []Edit) io.Reader { return &mask{r: r, edits: edits} }

type mask struct {
	r     io.Reader
	edits []Edit // those that do not end before pos
	pos   int64
}

func (m *mask) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	end := m.pos + int64(n)
	for len(m.edits) > 0 && m.edits[0].Off < end {
		e := m.edits[0]
		from, to := max(e.Off, m.pos), min(e.Off+e.Size, end)
		if e.With == nil {
			clear(p[from-m.pos : to-m.pos])
		} else {
			copy(p[from-m.pos:to-m.pos], e.With[from-e.Off:])
		}
		if e.Off+e.Size > end {
			break
		}
		m.edits = m.edits[1:]
	}
	m.pos = end
	return n, err
}
