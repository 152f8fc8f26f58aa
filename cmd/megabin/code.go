package main

import (
	"fmt"
	"io"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/tarfs"
)

// code is the recompiled code of an unpacked image.
type code struct {
	manifest   *manifest.Manifest
	megabinary *pack.Megabinary
	file       *tarfs.Section
}

// Close ends the use of the megabinary.
func (c *code) Close() error { return c.file.Close() }

// openCode opens the manifest and the megabinary of an unpacked image. The
// manifest is checked by the hash that the store's index has of it, and the
// megabinary's directory by the manifest.
func openCode(store *tarfs.Store, tree *tarfs.Tree) (*code, error) {
	m, err := readManifest(store, tree)
	if err != nil {
		return nil, err
	}
	id, err := findTree(tree, manifest.MegabinaryName)
	if err != nil {
		return nil, err
	}
	f, err := store.OpenInPlace(id)
	if err != nil {
		return nil, err
	}
	mb, err := pack.Open(f, m.Megabinary.Size)
	if err == nil {
		err = m.Verify(mb)
	}
	if err != nil {
		f.Close()
		store.Forget(id)
		return nil, fmt.Errorf("/%s: %w", manifest.MegabinaryName, err)
	}
	return &code{m, mb, f}, nil
}

func readManifest(store *tarfs.Store, tree *tarfs.Tree) (*manifest.Manifest, error) {
	id, err := findTree(tree, manifest.Name)
	if err != nil {
		return nil, err
	}
	f, err := store.OpenInPlace(id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if blob.Hash(data) != id {
		store.Forget(id)
		return nil, fmt.Errorf("/%s was damaged in the layer store; it will be made again", manifest.Name)
	}
	m, err := manifest.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", manifest.Name, err)
	}
	return m, nil
}

// findTree returns the hash of a regular file of the tree.
func findTree(tree *tarfs.Tree, name string) (blob.ID, error) {
	for i := range tree.Nodes {
		if e := tree.Nodes[i].Entry; e.Kind == tarfs.Regular && tree.Path(i) == "/"+name {
			return e.Blob, nil
		}
	}
	return blob.ID{}, fmt.Errorf("no /%s: is it a converted image?", name)
}
