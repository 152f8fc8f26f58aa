// Package container runs containers of a converted image in the calling
// process, any number at a time, as a program would that has the runner built
// in. It is what `megabin run` is without flags.
package container

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/runtime/runner"
	imagefs "github.com/megabin/megabin/runtime/vkernel/fs/image"
	"github.com/megabin/megabin/runtime/vkernel/vfs"
)

// Image is a converted image that is open. Its containers share what of it
// is read.
type Image struct {
	*image.Program
	dir     string
	root    vfs.FileSystem
	units   *runner.Units
	closers []func() error
}

// Open opens the image that a reference names. dir keeps its files and
// compiled code for the next time.
func Open(ctx context.Context, text, dir string) (*Image, error) {
	i := &Image{dir: dir}
	if err := i.open(ctx, text); err != nil {
		i.Close()
		return nil, fmt.Errorf("opening %s: %w", text, err)
	}
	return i, nil
}

func (i *Image) open(ctx context.Context, text string) error {
	ref, err := image.Parse(text)
	if err != nil {
		return err
	}
	img, closeImage, err := ref.Open(ctx)
	if err != nil {
		return err
	}
	i.closers = append(i.closers, closeImage)
	store, err := tarfs.OpenStore(filepath.Join(i.dir, "store"))
	if err != nil {
		return err
	}
	if i.Program, err = image.OpenProgram(store, img); err != nil {
		return err
	}
	i.closers = append(i.closers, i.Program.Close)
	i.units = runner.NewUnits(i.Manifest, i.Megabinary, func(err error) { fmt.Fprintln(os.Stderr, err) })
	i.root, err = imagefs.FromLayers(i.Tree, store)
	return err
}

// Run runs a container of the image to its end, or until ctx is done. It sets
// what in the spec is the image's: Root, Units and CacheDir.
func (i *Image) Run(ctx context.Context, s runner.Spec) (runner.Result, error) {
	s.Root, s.Units, s.CacheDir = i.root, i.units, filepath.Join(i.dir, "code")
	return runner.Run(ctx, s)
}

// Close closes the image, whose containers must have ended.
func (i *Image) Close() {
	for n := len(i.closers) - 1; n >= 0; n-- {
		i.closers[n]()
	}
	i.closers = nil
}
