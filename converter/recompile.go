package converter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/megabin/megabin/layers/blob"
	"github.com/megabin/megabin/layers/carrier"
	"github.com/megabin/megabin/layers/pack"
	"github.com/megabin/megabin/layers/tarfs"
	"github.com/megabin/megabin/layers/unit"
)

// recompile gets the unit of each ELF, the largest first so that the last
// jobs are short.
func (c *conversion) recompile(ctx context.Context) error {
	work := slices.Clone(c.elves)
	slices.SortStableFunc(work, func(a, b *elf) int { return cmp.Compare(b.size, a.size) })
	total := int64(0)
	for _, e := range work {
		total += e.size
	}
	c.Progress.Phase("recompiling", total)
	return parallel(ctx, c.Jobs, len(work), func(ctx context.Context, i int) error {
		if err := c.recompileOne(ctx, work[i]); err != nil {
			return fmt.Errorf("%s: %w", work[i].paths[0], err)
		}
		c.Progress.Add(work[i].size)
		return nil
	})
}

func (c *conversion) recompileOne(ctx context.Context, e *elf) error {
	u, err := c.cache.load(e.id)
	if err == nil {
		e.cached = true
	} else if e.reason, e.cached = c.cache.loadRefusal(e.id); e.cached {
		return nil
	} else if u, err = c.fetch(ctx, e); err != nil {
		return err
	} else if u != nil {
		e.cached = true
	} else if u, err = c.translate(ctx, e); err != nil || u == nil {
		return err
	}
	if err := e.take(u, c.cache); err != nil {
		return err
	}
	var n int64
	e.carrier, n, err = blob.HashReader(tarfs.Mask(io.NewSectionReader(e.data, 0, e.size), carrier.Edits(e.meta, 0)))
	if err == nil && n != e.size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// take keeps what is to be known of the unit, but not the unit itself.
func (e *elf) take(u *unit.Unit, cache *unitCache) (err error) {
	meta := u.Meta
	meta.BuildID = bytes.Clone(meta.BuildID)
	e.meta, e.funcs, e.parts = &meta, len(u.Funcs), u.NumParts()
	for i := range u.Funcs {
		e.wasmBytes += int64(len(u.Funcs[i].Body))
	}
	e.unit, err = pack.Survey(u, func() (*unit.Unit, error) { return cache.load(e.id) })
	return err
}

// translate makes a unit and caches it; nil if the ELF can't be recompiled.
func (c *conversion) translate(ctx context.Context, e *elf) (*unit.Unit, error) {
	if e.size > maxELF {
		e.reason = fmt.Sprintf("its %d bytes are more than %d", e.size, maxELF)
		return nil, nil
	}
	data := make([]byte, e.size)
	if _, err := e.data.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, err
	}
	u, err := callTranslate(ctx, c.Translate, e.paths[0], data)
	if ctxErr := context.Cause(ctx); ctxErr != nil {
		return nil, ctxErr
	}
	if err == nil && (u.Source != e.id || int64(u.SourceSize) != e.size) {
		panic("BUG: the translator made a unit of another file")
	}
	if err == nil {
		u.Translator = c.Translator
		err = u.Validate()
	}
	if err != nil {
		e.reason = err.Error()
		if errors.Is(err, errTranslator) {
			return nil, nil // not a fact about the ELF, so not to be kept
		}
		return nil, c.cache.storeRefusal(e.id, e.reason)
	}
	if err := c.cache.store(u); err != nil {
		return nil, err
	}
	return u, c.share(ctx, u)
}

// errTranslator tells of a bug of the translator.
var errTranslator = errors.New("the translator failed")

// callTranslate makes a panic of the translator an error of the one ELF.
func callTranslate(ctx context.Context, t Translate, name string, data []byte) (u *unit.Unit, err error) {
	defer func() {
		if p := recover(); p != nil {
			u, err = nil, fmt.Errorf("%w: %v", errTranslator, p)
		}
	}()
	return t(ctx, name, data)
}
