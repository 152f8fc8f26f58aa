package image

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/flate"
)

// AnnotationBlocks, on the descriptor of a layer, tells where its blob can be
// entered: it is a Blocks as text.
const AnnotationBlocks = "dev.megabin.blocks"

// Blocks tells how a gzip stream is made of pieces that were compressed on
// their own: each is some blocks of deflate (RFC 1951) that begin at a byte
// and refer to nothing before.
type Blocks struct {
	Start int64   // where the first one begins in the blob
	Block int64   // bytes that each gives, but for the last
	Total int64   // bytes that all give
	Sizes []int64 // bytes of each in the blob
}

// maxBlock bounds a block, in bytes, before and after compression.
const maxBlock = 16 << 20

// String is the text form: all numbers in decimal, with spaces between.
func (b *Blocks) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d %d %d", b.Start, b.Block, b.Total)
	for _, n := range b.Sizes {
		fmt.Fprintf(&s, " %d", n)
	}
	return s.String()
}

// parseBlocks reads the text form, for a blob of so many bytes.
func parseBlocks(text string, blob int64) (*Blocks, error) {
	var list []int64
	for word := range strings.FieldsSeq(text) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%w: %s: %.20q is no size", ErrInvalid, AnnotationBlocks, word)
		}
		list = append(list, n)
	}
	if len(list) < 3 {
		return nil, fmt.Errorf("%w: %s: %.20q is too short", ErrInvalid, AnnotationBlocks, text)
	}
	b := &Blocks{Start: list[0], Block: list[1], Total: list[2], Sizes: list[3:]}
	end := b.Start
	for _, n := range b.Sizes {
		if n > maxBlock || end > blob-n {
			return nil, fmt.Errorf("%w: %s: a block of %d bytes at %d of %d", ErrInvalid, AnnotationBlocks, n, end, blob)
		}
		end += n
	}
	if b.Block == 0 || b.Block > maxBlock || int64(len(b.Sizes)) != (b.Total-1)/b.Block+1 {
		return nil, fmt.Errorf("%w: %s: %d blocks of %d bytes do not give %d", ErrInvalid, AnnotationBlocks, len(b.Sizes), b.Block, b.Total)
	}
	return b, nil
}

// reader returns a function that reads a block of the blob.
func (b *Blocks) reader(blob io.ReaderAt) func(i int64) ([]byte, error) {
	offs := make([]int64, len(b.Sizes))
	off := b.Start
	for i, n := range b.Sizes {
		offs[i] = off
		off += n
	}
	return func(i int64) ([]byte, error) {
		in := make([]byte, b.Sizes[i])
		if _, err := blob.ReadAt(in, offs[i]); err != nil {
			return nil, fmt.Errorf("block %d at %d: %w", i, offs[i], err)
		}
		out := make([]byte, min(b.Block, b.Total-i*b.Block))
		if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(in)), out); err != nil {
			return nil, fmt.Errorf("%w: block %d at %d: %w", ErrInvalid, i, offs[i], err)
		}
		return out, nil
	}
}
