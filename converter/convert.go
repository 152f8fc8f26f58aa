// Package converter turns an image of Linux programs into one whose programs
// are WebAssembly: it finds every ELF in the layers, has each recompiled once,
// puts carriers in the ELFs' places, and adds a layer with the megabinary. It
// knows how images are put together; how an ELF becomes a unit is the
// Translate function's matter, and how units run is not known here at all.
package converter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/layers/image"
	"github.com/megabin/megabin/layers/manifest"
	"github.com/megabin/megabin/layers/unit"
)

// Translate recompiles an ELF. It is a pure function of the ELF's bytes; name
// is one of its paths, for messages. Who made the unit is filled in later. An error means that this ELF can't be
// recompiled, and says why.
type Translate func(ctx context.Context, name string, elf []byte) (*unit.Unit, error)

// Options say how to convert.
type Options struct {
	Translate Translate // required
	// Translator names the translator, its version and all options that
	// change what it makes: cached units are found by it.
	Translator string
	// CacheDir is a directory that keeps units between conversions. Empty:
	// nothing is kept.
	CacheDir string
	// Units is asked for what CacheDir does not have, and given what is made
	// new. It may be nil.
	Units UnitStore
	// Jobs is the number of ELFs recompiled at a time; 0: one per processor.
	Jobs int
	// KeepNative leaves the original ELFs in the image.
	KeepNative bool
	// Strict fails where an ELF can't be recompiled, or an image of an index
	// is for another platform, rather than leave them as they are.
	Strict   bool
	Progress Progress // may be nil
}

// Progress is told what is being done. Its methods are called from several
// goroutines.
type Progress interface {
	// Phase starts a phase of so many bytes of work; 0: not known.
	Phase(name string, total int64)
	// Add tells that n bytes more of the phase's work are done.
	Add(n int64)
}

type noProgress struct{}

func (noProgress) Phase(string, int64) {}
func (noProgress) Add(int64)           {}

// ErrConverted tells that the image is a converted one already.
var ErrConverted = errors.New("the image is already converted")

// Convert returns the converted image. It does not change img, from which the
// result's unchanged layers are read; changed ones are in temporary files
// without names. The result is a pure function of img's content, the
// translator and KeepNative: the same digest on each call, for any number of
// jobs.
func Convert(ctx context.Context, img v1.Image, o Options) (v1.Image, *Report, error) {
	o = o.withDefaults()
	if o.CacheDir == "" {
		dir, err := os.MkdirTemp("", "megabin-*")
		if err != nil {
			return nil, nil, err
		}
		defer os.RemoveAll(dir)
		o.CacheDir = dir
	}
	c := &conversion{Options: o, source: img}
	out, err := c.run(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("converting: %w", err)
	}
	return out, c.report, nil
}

func (o Options) withDefaults() Options {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = noProgress{}
	}
	return o
}

// conversion is one call of Convert; each step fills in what the next ones
// use.
type conversion struct {
	Options
	source     v1.Image
	cache      *unitCache
	layers     []*scannedLayer
	elves      []*elf // ascending by hash
	scripts    []manifest.Script
	megabinary *os.File
	manifest   []byte
	treeFile   []byte
	out        []newLayer // the source's, rewritten, and the last one
	report     *Report
}

func (c *conversion) run(ctx context.Context) (img v1.Image, err error) {
	if c.cache, err = openUnitCache(c.CacheDir, c.Translator); err != nil {
		return nil, err
	}
	defer c.closeTemporary()
	steps := []func(context.Context) error{
		c.checkSource, c.scan, c.find, c.recompile, c.checkRefused, c.write,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	img, err = c.image()
	if err != nil {
		return nil, err
	}
	return img, c.finishReport(img)
}

// checkSource refuses what is not ours to convert.
func (c *conversion) checkSource(context.Context) error {
	config, err := c.source.ConfigFile()
	if err != nil {
		return err
	}
	if config.OS != "" && config.OS != image.Platform.OS || config.Architecture != "" && config.Architecture != image.Platform.Architecture {
		return fmt.Errorf("the image is for %s/%s, not %s", config.OS, config.Architecture, image.Platform.String())
	}
	return nil
}

// checkRefused fails where that is asked for.
func (c *conversion) checkRefused(context.Context) error {
	for _, e := range c.elves {
		if c.Strict && e.meta == nil {
			return fmt.Errorf("%s can't be recompiled, and the policy is strict: %s", e.paths[0], e.reason)
		}
	}
	return nil
}

func (c *conversion) closeTemporary() {
	for _, l := range c.layers {
		l.close()
	}
	if c.megabinary != nil {
		c.megabinary.Close()
	}
}
