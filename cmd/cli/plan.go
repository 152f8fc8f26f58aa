package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/megabin/megabin/converter"
	"github.com/megabin/megabin/layers/image"
)

// plan tells what would be done.
func (flags *convertFlags) plan(ctx context.Context, from image.Reference, variant string, errw io.Writer) error {
	if flags.all {
		return flags.planAll(ctx, from, errw)
	}
	img, closeImage, err := from.OpenSource(ctx, variant)
	if err != nil {
		return err
	}
	defer closeImage()
	if err := flags.planOne(ctx, img, errw); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}

// planAll tells what would be done with each image of an index.
func (flags *convertFlags) planAll(ctx context.Context, from image.Reference, errw io.Writer) error {
	idx, closeIndex, err := from.OpenIndex(ctx)
	if err != nil {
		return err
	}
	defer closeIndex()
	o, err := flags.options(nil)
	if err != nil {
		return err
	}
	list, err := converter.PlanIndex(idx, o)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	for _, m := range list {
		if _, err := fmt.Fprintf(errw, "%v for %s %v\n", m.Digest, platformOf(m.Descriptor), m.Fate); err != nil {
			return err
		}
		if m.Image == nil {
			continue
		}
		if err := flags.planOne(ctx, m.Image, errw); err != nil {
			return fmt.Errorf("%v of %s: %w", m.Digest, from, err)
		}
	}
	return nil
}

func platformOf(d v1.Descriptor) string {
	if d.Platform == nil {
		return "no platform"
	}
	return d.Platform.String()
}

func (flags *convertFlags) planOne(ctx context.Context, img v1.Image, errw io.Writer) error {
	bar := newProgress(errw)
	o, err := flags.options(bar)
	if err != nil {
		return err
	}
	list, err := converter.Plan(ctx, img, o)
	bar.finish()
	if err != nil {
		return err
	}
	return printPlan(errw, list)
}

func printPlan(w io.Writer, list []converter.PlannedELF) error {
	var rows [][]string
	var todo, all int64
	for _, e := range list {
		note := "to be recompiled"
		switch {
		case e.Refused != "":
			note = "can't run: " + e.Refused
		case e.Cached:
			note = "in the cache"
		default:
			todo += e.Size
		}
		all += e.Size
		rows = append(rows, []string{e.Paths[0], size(e.Size), note})
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	if err := printTable(w, []string{"FILE", "SIZE", "NOTE"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d ELF files (%s), of which %s are to be recompiled\n", len(list), size(all), size(todo))
	return err
}
