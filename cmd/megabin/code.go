package main

import (
	"fmt"
	"io"
	"os"

	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/tarfs"
)

// code is the recompiled code of an unpacked image.
type code struct {
	manifest   *manifest.Manifest
	megabinary *pack.Megabinary
	file       *os.File
}

// Close ends the use of the megabinary.
func (c *code) Close() error { return c.file.Close() }

// openCode opens the manifest and the megabinary of an unpacked image. Both
// came into the store by the image's digests.
func openCode(store *tarfs.Store, tree *tarfs.Tree) (*code, error) {
	m, err := readManifest(store, tree)
	if err != nil {
		return nil, err
	}
	f, err := openTree(store, tree, manifest.MegabinaryName)
	if err != nil {
		return nil, err
	}
	mb, err := pack.Open(f, m.Megabinary.Size)
	if err == nil {
		err = m.Verify(mb)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("/%s: %w", manifest.MegabinaryName, err)
	}
	return &code{m, mb, f}, nil
}

func readManifest(store *tarfs.Store, tree *tarfs.Tree) (*manifest.Manifest, error) {
	f, err := openTree(store, tree, manifest.Name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", manifest.Name, err)
	}
	return m, nil
}

// openTree opens a regular file of the tree.
func openTree(store *tarfs.Store, tree *tarfs.Tree, name string) (*os.File, error) {
	for i := range tree.Nodes {
		if e := tree.Nodes[i].Entry; e.Kind == tarfs.Regular && tree.Path(i) == "/"+name {
			return os.Open(store.BlobPath(e.Blob))
		}
	}
	return nil, fmt.Errorf("no /%s: is it a converted image?", name)
}
