package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/megabin/megabin/integration/debian"
)

// popular are images that people convert: minbase and these packages.
var popular = [][]string{{"python3"}, {"git"}, {"nginx-light", "redis-server"}}

// images prints how long images take to convert with an empty unit cache, and
// what comes out.
func (b *bench) images(ctx context.Context) error {
	rows := wanted(b, "images", popular, func(packages []string) string { return strings.Join(packages, "+") })
	if len(rows) == 0 {
		return nil
	}
	cache, err := debian.CacheDir()
	if err != nil {
		return err
	}
	fmt.Printf("conversion of Debian minbase with packages, empty unit cache\n\n%-26s %8s %10s %14s %10s\n", "", "s", "memory MB", "converted MB", "to source")
	for _, packages := range rows {
		img, err := debian.Build(ctx, debian.Spec{Suite: debian.Minbase.Suite, Include: packages}, cache, os.Stderr)
		if err != nil {
			return err
		}
		if err := b.convertCold(ctx, strings.Join(packages, "+"), img); err != nil {
			return err
		}
	}
	fmt.Println()
	return nil
}

func (b *bench) convertCold(ctx context.Context, name string, img debian.Image) error {
	dir, err := os.MkdirTemp(b.work, "cold-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	target := filepath.Join(dir, "converted")
	cmd := exec.CommandContext(ctx, b.megabin, "convert", img.Ref(), "oci:"+target)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("converting %s: %w: %s", name, err, out)
	}
	took, size, source := time.Since(began), treeSize(target), treeSize(img.Layout)
	b.add(sample{"convert", name, "megabin", "ns", []float64{float64(took.Nanoseconds())}})
	b.add(sample{"convert", name + " memory", "megabin", "bytes", []float64{maxRSS(cmd)}})
	b.add(sample{"size", name, "megabin", "bytes", []float64{float64(size)}})
	fmt.Printf("%-26s %8.1f %10.0f %14.1f %9.2f×\n", name, took.Seconds(), maxRSS(cmd)/1e6, float64(size)/1e6, float64(size)/float64(source))
	return nil
}
