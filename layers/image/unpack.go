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
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range list {
		group.Go(func() (err error) {
			layers[i], err = s.Layer(config.RootFS.DiffIDs[i].String(), func() (io.ReadCloser, error) {
				r, _, err := Uncompressed(l)
				return r, err
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return tarfs.Merge(layers)
}
