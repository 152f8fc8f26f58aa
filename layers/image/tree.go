package image

import (
	"fmt"

	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/wasmenc"
)

// LayerTree lists what is in a layer.
type LayerTree struct {
	Entries []tarfs.Entry
	Size    int64 // of the tar stream, bytes
}

// EncodeTree writes the content of the file manifest.TreeName; docs/formats.md
// describes it.
func EncodeTree(layers []LayerTree) []byte {
	b := wasmenc.AppendU(nil, uint64(len(layers)))
	for _, l := range layers {
		b = wasmenc.AppendBytes(b, tarfs.EncodeIndex(l.Entries, l.Size))
	}
	return b
}

func decodeTree(b []byte) ([]LayerTree, error) {
	r := wasmenc.NewReader(b)
	layers := make([]LayerTree, r.Count(1))
	for i := range layers {
		index := r.Vector()
		if r.Err() != nil {
			break
		}
		entries, size, err := tarfs.DecodeIndex(index)
		if err != nil {
			return nil, fmt.Errorf("%w: layer %d: %w", ErrInvalid, i, err)
		}
		layers[i] = LayerTree{entries, size}
	}
	if r.Err() != nil || r.Len() > 0 {
		return nil, fmt.Errorf("%w: it is truncated or too long", ErrInvalid)
	}
	return layers, nil
}

// seekable tells whether all contents lie in one piece in the tar stream.
func (t *LayerTree) seekable() bool {
	for i := range t.Entries {
		if e := &t.Entries[i]; e.Kind == tarfs.Regular && e.Offset < 0 {
			return false
		}
	}
	return true
}
