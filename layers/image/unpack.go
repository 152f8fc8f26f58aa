package image

import (
	"fmt"
	"io"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/megabin/megabin/layers/tarfs"
)

// Unpack returns the file tree of an image, the contents in the store.
// Layers that the store has are not read, others at the same time.
func Unpack(s *tarfs.Store, img v1.Image) (*tarfs.Tree, error) {
	list, err := diffLayers(img)
	if err != nil {
		return nil, err
	}
	entries := make([][]tarfs.Entry, len(list))
	if err := unpack(s, list, entries); err != nil {
		return nil, err
	}
	return tarfs.Merge(entries)
}

// unpack gives the layers to the store.
func unpack(s *tarfs.Store, list []diffLayer, entries [][]tarfs.Entry) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range list {
		group.Go(func() (err error) {
			entries[i], err = s.Layer(l.diffID.String(), l.uncompressed)
			return err
		})
	}
	return group.Wait()
}

// diffLayer is a layer and what its tar stream must hash to.
type diffLayer struct {
	v1.Layer
	diffID v1.Hash
}

func (l diffLayer) uncompressed() (io.ReadCloser, error) {
	r, _, err := Uncompressed(l)
	return r, err
}

func diffLayers(img v1.Image) ([]diffLayer, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	list, err := img.Layers()
	if err != nil {
		return nil, err
	}
	if len(list) != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("%w: %d layers, the config has %d", ErrInvalid, len(list), len(config.RootFS.DiffIDs))
	}
	layers := make([]diffLayer, len(list))
	for i := range list {
		layers[i] = diffLayer{list[i], config.RootFS.DiffIDs[i]}
	}
	return layers, nil
}
