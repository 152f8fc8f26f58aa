package pack

import (
	"io"
	"sync"
)

// Buffer is an Output in memory. Its zero value is empty.
type Buffer struct {
	mu sync.Mutex
	b  []byte
}

// WriteAt implements io.WriterAt; the buffer grows as needed.
func (m *Buffer) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if end := int(off) + len(p); end > len(m.b) {
		m.b = append(m.b, make([]byte, end-len(m.b))...)
	}
	return copy(m.b[off:], p), nil
}

// ReadAt implements io.ReaderAt.
func (m *Buffer) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if off >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Bytes is all that was written.
func (m *Buffer) Bytes() []byte { return m.b }

// Len is the length of Bytes.
func (m *Buffer) Len() int { return len(m.b) }
