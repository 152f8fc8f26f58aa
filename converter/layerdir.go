package converter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/carrier"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/treediff"
)

// LayerDirs are the directories of a layer of a build.
type LayerDirs struct {
	Lower string // the tree below the layer; empty: there is none
	Upper string // the tree with the layer
	// Out is a tree like Lower that becomes like Upper, with carriers. It is
	// left alone when the layer has no ELF that is recompiled, and with
	// KeepNative.
	Out string
	// State is an empty directory for what PackLayers has to know: names,
	// hashes, units. It does not depend on what files hold that are neither
	// ELFs nor executable scripts.
	State string
}

// LayerResult tells what ConvertLayer did.
type LayerResult struct {
	Changed bool // Out is another layer than Upper
	Report  Report
}

// layerState is the file in LayerDirs.State; entries and units are beside it.
type layerState struct {
	Changed bool       `json:"changed"`
	ELFs    []layerELF `json:"elfs"`    // ascending by hash
	Scripts []blob.ID  `json:"scripts"` // executable; ascending
}

// layerELF is an ELF of a layer; one without a carrier is not recompiled.
type layerELF struct {
	BLAKE3  blob.ID  `json:"blake3"`
	Carrier *blob.ID `json:"carrier,omitempty"`
	Refused string   `json:"refused,omitempty"`
}

// Names in LayerDirs.State.
const (
	stateFile    = "layer.json"
	stateEntries = "entries"
	stateUnits   = "units"
)

// ConvertLayer recompiles the ELFs that a layer adds, which is at hand as
// trees and not as a tar stream, and puts carriers in their places.
func ConvertLayer(ctx context.Context, dirs LayerDirs, o Options) (*LayerResult, error) {
	o = o.withDefaults()
	l := &layerConversion{conversion: conversion{Options: o}, dirs: dirs, byPath: map[string]*elf{}, scripts: map[blob.ID]bool{}}
	defer l.close()
	for _, step := range []func(context.Context) error{l.scan, l.recompile, l.checkRefused, l.apply, l.save} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("converting a layer: %w", err)
		}
	}
	l.reportELFs()
	return &LayerResult{l.changed, *l.report}, nil
}

type layerConversion struct {
	conversion
	dirs    LayerDirs
	changes []treediff.Change
	byPath  map[string]*elf // path in Upper → its ELF
	entries []tarfs.Entry
	scripts map[blob.ID]bool // hashes of executable scripts
	changed bool
	files   []*os.File
}

func (l *layerConversion) close() {
	for _, f := range l.files {
		f.Close()
	}
}

// scan lists the layer's entries and finds the ELFs.
func (l *layerConversion) scan(context.Context) (err error) {
	if l.cache, err = openUnitCache(l.CacheDir, l.Translator); err != nil {
		return err
	}
	l.Progress.Phase("reading the layer", 0)
	if l.changes, err = treediff.Compare(l.dirs.Lower, l.dirs.Upper); err != nil {
		return err
	}
	for i := range l.changes {
		e, err := l.entry(i)
		if err != nil {
			return err
		}
		l.entries = append(l.entries, e)
	}
	return l.openELFs()
}

var entryKinds = map[uint32]tarfs.Kind{
	unix.S_IFREG: tarfs.Regular, unix.S_IFDIR: tarfs.Directory, unix.S_IFLNK: tarfs.Symlink,
	unix.S_IFCHR: tarfs.CharDevice, unix.S_IFBLK: tarfs.BlockDevice, unix.S_IFIFO: tarfs.FIFO,
}

// noOffset says that content has no place in a tar stream.
const noOffset = -1

// entry is what a change is in a layer, less what does not matter for which
// files the image has in the end.
func (l *layerConversion) entry(i int) (e tarfs.Entry, err error) {
	c := &l.changes[i]
	e.Name = filepath.ToSlash(c.Path)
	if e.Name == manifest.Name {
		return e, ErrConverted
	}
	if c.Removed {
		e.Kind = tarfs.Whiteout
		return e, nil
	}
	kind, ok := entryKinds[c.Kind()]
	if !ok {
		return e, fmt.Errorf("/%s: a file of type %#o can't be in an image", e.Name, c.Kind())
	}
	e.Kind, e.Mode, e.Offset = kind, c.Stat.Mode, noOffset
	name := filepath.Join(l.dirs.Upper, c.Path)
	switch {
	case kind == tarfs.Symlink:
		e.Linkname, err = os.Readlink(name)
	case kind == tarfs.Regular && c.First != i:
		e.Blob, e.Size = l.entries[c.First].Blob, l.entries[c.First].Size
	case kind == tarfs.Regular:
		if e.Blob, err = l.hash(name, e.Mode); !e.Blob.IsZero() {
			e.Size = c.Stat.Size
		}
	}
	return e, err
}

// hash is zero for a file that is neither an ELF nor an executable script.
func (l *layerConversion) hash(name string, mode uint32) (id blob.ID, err error) {
	f, err := os.Open(name)
	if err != nil {
		return id, err
	}
	defer f.Close()
	magic := make([]byte, len(elfMagic))
	n, err := io.ReadFull(f, magic)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return id, err
	}
	magic = magic[:n]
	script := bytes.HasPrefix(magic, []byte(scriptMagic)) && mode&anyExecute != 0
	if string(magic) != elfMagic && !script {
		return id, nil
	}
	id, _, err = blob.HashReader(io.MultiReader(bytes.NewReader(magic), f))
	if script {
		l.scripts[id] = true
	}
	return id, err
}

// openELFs lists the distinct ELFs and opens them.
func (l *layerConversion) openELFs() error {
	byID := map[blob.ID]*elf{}
	for i := range l.entries {
		n := &l.entries[i]
		if n.Blob.IsZero() || l.scripts[n.Blob] {
			continue
		}
		e := byID[n.Blob]
		if e == nil {
			f, err := os.Open(filepath.Join(l.dirs.Upper, n.Name))
			if err != nil {
				return err
			}
			e = &elf{id: n.Blob, size: n.Size, data: f}
			byID[n.Blob] = e
			l.files, l.elves = append(l.files, f), append(l.elves, e)
		}
		e.paths = append(e.paths, "/"+n.Name)
		l.byPath[n.Name] = e
	}
	sortELFs(l.elves)
	return nil
}

// apply makes Out the layer with carriers.
func (l *layerConversion) apply(ctx context.Context) error {
	for _, e := range l.elves {
		l.changed = l.changed || e.meta != nil && !l.KeepNative
	}
	if !l.changed {
		return nil
	}
	l.Progress.Phase("writing the layer", 0)
	return treediff.Apply(ctx, l.dirs.Upper, l.dirs.Out, l.changes, func(i int, f *os.File) io.Reader {
		r := io.Reader(reader{ctx, f})
		if e := l.byPath[l.entries[i].Name]; e != nil && e.meta != nil {
			r = tarfs.Mask(r, carrier.Edits(e.meta, 0))
		}
		return r
	})
}

// save writes the state.
func (l *layerConversion) save(context.Context) error {
	units, err := openUnitCache(filepath.Join(l.dirs.State, stateUnits), l.Translator)
	if err != nil {
		return err
	}
	state := layerState{Changed: l.changed, ELFs: []layerELF{}, Scripts: sortedIDs(l.scripts)}
	for _, e := range l.elves {
		n := layerELF{BLAKE3: e.id, Refused: e.reason}
		if e.meta != nil {
			n.Carrier = &e.carrier
			u, err := l.cache.load(e.id)
			if err != nil {
				return err
			}
			if err := units.store(u); err != nil {
				return err
			}
		}
		state.ELFs = append(state.ELFs, n)
	}
	b, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.dirs.State, stateFile), b, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dirs.State, stateEntries), tarfs.EncodeIndex(l.entries, 0), 0o644)
}

func sortedIDs(set map[blob.ID]bool) []blob.ID {
	list := make([]blob.ID, 0, len(set))
	for id := range set {
		list = append(list, id)
	}
	slices.SortFunc(list, func(a, b blob.ID) int { return bytes.Compare(a[:], b[:]) })
	return list
}
