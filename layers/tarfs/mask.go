package tarfs

import "io"

// Range is a range of a byte stream.
type Range struct{ Off, Size int64 }

// Mask returns r with the bytes of the ranges, which ascend and are
// disjoint, replaced by zeros.
func Mask(r io.Reader, ranges []Range) io.Reader { return &mask{r: r, ranges: ranges} }

type mask struct {
	r      io.Reader
	ranges []Range // those that do not end before pos
	pos    int64
}

func (m *mask) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	end := m.pos + int64(n)
	for len(m.ranges) > 0 && m.ranges[0].Off < end {
		g := m.ranges[0]
		clear(p[max(g.Off-m.pos, 0):min(g.Off+g.Size-m.pos, int64(n))])
		if g.Off+g.Size > end {
			break
		}
		m.ranges = m.ranges[1:]
	}
	m.pos = end
	return n, err
}
