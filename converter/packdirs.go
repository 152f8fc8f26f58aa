package converter

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/tarfs"
)

// Packed is what PackLayers tells about the image.
type Packed struct {
	Annotations map[string]string `json:"annotations"` // those that the image's manifest is to have
	Changed     []bool            `json:"changed"`     // per layer: LayerResult.Changed
	Report      *Report           `json:"-"`           // without digests
}

// PackLayers makes the last layer of an image, whose layers ConvertLayer has
// converted, in the tree out, which is empty. states are the layers'
// LayerDirs.State, the lowest first.
func PackLayers(ctx context.Context, states []string, out string, o Options) (_ *Packed, err error) {
	p := &packing{conversion: conversion{Options: o.withDefaults()}, states: states, known: map[blob.ID]layerELF{}, knownScripts: map[blob.ID]bool{}}
	defer p.closeTemporary()
	if p.CacheDir, err = os.MkdirTemp("", "megabin-*"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(p.CacheDir)
	for _, step := range []func(context.Context) error{p.load, p.resolve, p.pack} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("packing: %w", err)
		}
	}
	if err := p.place(out); err != nil {
		return nil, err
	}
	annotations := map[string]string{
		image.AnnotationFormat:     strconv.Itoa(abi.Version),
		image.AnnotationTranslator: p.Translator,
		image.AnnotationManifest:   blob.Hash(p.manifest).String(),
	}
	return &Packed{annotations, p.changed, p.report}, nil
}

type packing struct {
	conversion
	states       []string
	known        map[blob.ID]layerELF
	knownScripts map[blob.ID]bool
	changed      []bool
}

// load reads the states. Their units are linked into one cache.
func (p *packing) load(context.Context) (err error) {
	if p.cache, err = openUnitCache(p.CacheDir, p.Translator); err != nil {
		return err
	}
	for _, dir := range p.states {
		if err := p.loadState(dir); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return p.merge(p.kind)
}

func (p *packing) kind(id blob.ID) contentKind {
	if _, ok := p.known[id]; ok {
		return isELF
	}
	if p.knownScripts[id] {
		return isScript
	}
	return isData
}

func (p *packing) loadState(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return err
	}
	var state layerState
	if err := json.Unmarshal(b, &state); err != nil {
		return err
	}
	if b, err = os.ReadFile(filepath.Join(dir, stateEntries)); err != nil {
		return err
	}
	entries, _, err := tarfs.DecodeIndex(b)
	if err != nil {
		return err
	}
	p.layers = append(p.layers, &scannedLayer{entries: entries})
	p.changed = append(p.changed, state.Changed)
	units := unitCache{filepath.Join(dir, stateUnits), p.Translator}
	for _, id := range state.Scripts {
		p.knownScripts[id] = true
	}
	for _, e := range state.ELFs {
		p.known[e.BLAKE3] = e
		if e.Carrier == nil {
			continue
		}
		if err := link(units.path(e.BLAKE3, unitSuffix), p.cache.path(e.BLAKE3, unitSuffix)); err != nil {
			return err
		}
	}
	return nil
}

// link makes a symbolic link, in whose place another may be.
func link(to, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(to, name); !os.IsExist(err) {
		return err
	}
	return nil
}

// resolve sets what is known of the ELFs that the image has in the end.
func (p *packing) resolve(context.Context) error {
	for _, e := range p.elves {
		k := p.known[e.id]
		e.cached = true
		if k.Carrier == nil {
			e.reason = k.Refused
			continue
		}
		u, err := p.cache.load(e.id)
		if err != nil {
			return fmt.Errorf("%s: %w", e.paths[0], err)
		}
		if err := e.take(u, p.cache); err != nil {
			return err
		}
		e.carrier = *k.Carrier
	}
	return nil
}

// place writes the files of the last layer, whose tree is a pure function of
// them.
func (p *packing) place(out string) error {
	dir := filepath.Join(out, manifest.Dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, manifest.Name), p.manifest, 0o644); err != nil {
		return err
	}
	if err := p.copyMegabinary(filepath.Join(out, manifest.MegabinaryName)); err != nil {
		return err
	}
	for _, name := range []string{manifest.Name, manifest.MegabinaryName, manifest.Dir, "."} {
		if err := os.Chtimes(filepath.Join(out, name), time.Unix(0, 0), time.Unix(0, 0)); err != nil {
			return err
		}
	}
	return nil
}

func (p *packing) copyMegabinary(name string) error {
	size, err := p.megabinary.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, io.NewSectionReader(p.megabinary, 0, size)); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
