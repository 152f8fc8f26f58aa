package image

import (
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/tarfs"
)

// Unpack returns the file tree of an image, the contents in the store.
// Layers that the store has are not read.
func Unpack(s *tarfs.Store, img v1.Image) (*tarfs.Tree, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	list, err := img.Layers()
	if err != nil {
		return nil, err
	}
	if len(list) != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("%w: %d layers, config has %d", ErrInvalid, len(list), len(config.RootFS.DiffIDs))
	}
	layers := make([][]tarfs.Entry, len(list))
	for i, l := range list {
		layers[i], err = s.Layer(config.RootFS.DiffIDs[i].String(), func() (io.ReadCloser, error) {
			r, _, err := Uncompressed(l)
			return r, err
		})
		if err != nil {
			return nil, err
		}
	}
	return tarfs.Merge(layers)
}
