package debian

import (
	"compress/gzip"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName is the annotation by which an OCI layout names its images.
const refName = "org.opencontainers.image.ref.name"

// WriteLayout makes an OCI layout at dir with one image of one layer.
func WriteLayout(dir, tar string) error {
	base, err := configure(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON))
	if err != nil {
		return err
	}
	return writeLayout(dir, base, tar)
}

// writeLayout makes a layout of one image: base and a layer on it.
func writeLayout(dir string, base v1.Image, tar string) error {
	layer, err := tarball.LayerFromFile(tar,
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendImage(img, layout.WithAnnotations(map[string]string{refName: "latest"}))
}

// Extend makes an OCI layout at dir with the image and one more layer on it.
func (i Image) Extend(dir, tar string) error {
	path, err := layout.FromPath(i.Layout)
	if err != nil {
		return err
	}
	index, err := path.ImageIndex()
	if err != nil {
		return err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if len(list.Manifests) != 1 {
		return fmt.Errorf("%s has %d images, want 1", i.Layout, len(list.Manifests))
	}
	base, err := index.Image(list.Manifests[0].Digest)
	if err != nil {
		return err
	}
	return writeLayout(dir, base, tar)
}

func configure(img v1.Image) (v1.Image, error) {
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", "amd64"
	cfg.Config.Env = []string{"PATH=" + Path}
	cfg.Config.Cmd = []string{"bash"}
	return mutate.ConfigFile(img, cfg)
}

// Path is the PATH that the images set.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
