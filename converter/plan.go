package converter

import (
	"context"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Plan tells what Convert would do, and does nothing of it: which ELFs the
// image has and which of them are in the unit cache. The image is read whole.
func Plan(ctx context.Context, img v1.Image, o Options) ([]PlannedELF, error) {
	c := &conversion{Options: o.withDefaults(), source: img, cache: &unitCache{o.CacheDir, o.Translator}}
	defer c.closeTemporary()
	for _, step := range []func(context.Context) error{c.checkSource, c.scan, c.find} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("planning: %w", err)
		}
	}
	var list []PlannedELF
	for _, e := range c.elves {
		list = append(list, c.plan(e))
	}
	return list, nil
}

// PlannedELF is a distinct ELF that would be converted.
type PlannedELF struct {
	Paths   []string // ascending
	Size    int64    // bytes
	Cached  bool     // nothing would be recompiled
	Refused string   // why it can't be recompiled, if that is known already
}

func (c *conversion) plan(e *elf) PlannedELF {
	p := PlannedELF{Paths: e.paths, Size: e.size}
	if _, err := os.Stat(c.cache.path(e.id, unitSuffix)); err == nil {
		p.Cached = true
	} else {
		p.Refused, p.Cached = c.cache.loadRefusal(e.id)
	}
	return p
}
