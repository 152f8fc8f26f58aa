// Package blob names content by its BLAKE3-256 hash. Everything that the
// converter makes and the runtime looks up is found by such an ID. It knows
// nothing of what the bytes mean.
package blob

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/zeebo/blake3"
)

// Size is the length of an ID in bytes.
const Size = 32

// ID is the BLAKE3-256 hash of a byte string. Its text form is 64 lower-case
// hex digits, as b3sum prints it.
type ID [Size]byte

// Hash returns the ID of b.
func Hash(b []byte) ID { return blake3.Sum256(b) }

// HashReader returns the ID of what r gives until io.EOF, and its length in
// bytes.
func HashReader(r io.Reader) (ID, int64, error) {
	h := NewHasher()
	n, err := io.Copy(h, r)
	return h.ID(), n, err
}

// HashFile returns the ID of the named file's content.
func HashFile(name string) (ID, error) {
	f, err := os.Open(name)
	if err != nil {
		return ID{}, err
	}
	defer f.Close()
	id, _, err := HashReader(f)
	if err != nil {
		return ID{}, fmt.Errorf("hashing %s: %w", name, err)
	}
	return id, nil
}

// Parse reads the text form.
func Parse(s string) (ID, error) {
	var id ID
	if err := id.UnmarshalText([]byte(s)); err != nil {
		return ID{}, err
	}
	return id, nil
}

// String returns the text form.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells whether id is the zero value, which names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Upper-case digits are
// refused, so that an ID has one text form.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != 2*Size {
		return fmt.Errorf("BLAKE3 hash %.80q: want %d hex digits, have %d", text, 2*Size, len(text))
	}
	for _, c := range text {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return fmt.Errorf("BLAKE3 hash %q: %q is no lower-case hex digit", text, c)
		}
	}
	_, err := hex.Decode(id[:], text)
	return err
}

// Hasher hashes what is written to it.
type Hasher struct{ h *blake3.Hasher }

// NewHasher returns an empty Hasher.
func NewHasher() *Hasher { return &Hasher{blake3.New()} }

// Write adds p. It never fails.
func (h *Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// ID returns the hash of all that was written.
func (h *Hasher) ID() (id ID) {
	h.h.Sum(id[:0])
	return id
}
