package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"
)

// conversions prints how long the whole image takes with an empty and with a
// filled unit cache, and what goes in and comes out.
func (b *bench) conversions(ctx context.Context) error {
	if !b.wants("convert") {
		return nil
	}
	img, err := debianImage(ctx)
	if err != nil {
		return err
	}
	cache := filepath.Join(b.work, "convert-cache")
	target := filepath.Join(b.work, "converted")
	fmt.Printf("conversion of Debian minbase\n\n%-14s %8s %10s %10s\n", "", "s", "MB/s", "memory MB")
	sizes := sizesOf(img.Rootfs)
	for _, name := range []string{"cold cache", "warm cache"} {
		if err := os.RemoveAll(target); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, b.megabin, "convert", img.Ref(), "oci:"+target)
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		took := time.Since(began)
		b.add(sample{"convert", name, "megabin", "ns", []float64{float64(took.Nanoseconds())}})
		b.add(sample{"convert", name + " memory", "megabin", "bytes", []float64{maxRSS(cmd)}})
		fmt.Printf("%-14s %8.1f %10.2f %10.0f\n", name, took.Seconds(), float64(sizes.elf)/1e6/took.Seconds(), maxRSS(cmd)/1e6)
	}
	took, err := recompress(target)
	if err != nil {
		return err
	}
	b.add(sample{"convert", "recompression", "gzip", "ns", []float64{float64(took.Nanoseconds())}})
	fmt.Printf("%-14s %8.1f\n", "recompression", took.Seconds())
	fmt.Println("\nMB/s counts the bytes of ELF files in the image. Recompression is what gzip needs (level 6, decompressing meanwhile)\nfor the layers that conversion writes.")
	both := filepath.Join(b.work, "keep-native")
	cmd := exec.CommandContext(ctx, b.megabin, "convert", "--keep-native", img.Ref(), "oci:"+both)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return b.sizes(ctx, img.Layout, target, both, sizes)
}

// rootfsSizes are byte sums over the regular files of a root filesystem.
type rootfsSizes struct{ all, elf int64 }

func sizesOf(rootfs string) (s rootfsSizes) {
	filepath.WalkDir(rootfs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		s.all += info.Size()
		if isELF(path) {
			s.elf += info.Size()
		}
		return nil
	})
	return s
}

func isELF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = f.Read(magic[:])
	return err == nil && bytes.Equal(magic[:], []byte("\x7fELF"))
}

// sizes prints what the image took before and takes now.
func (b *bench) sizes(ctx context.Context, source, target, both string, rootfs rootfsSizes) error {
	wasm, err := b.megabinarySize(ctx, "oci:"+target)
	if err != nil {
		return err
	}
	fmt.Printf("\n%-34s %10s %10s\n", "sizes", "MB", "to source")
	before := treeSize(source)
	for _, row := range []struct {
		name  string
		bytes int64
	}{
		{"files of the image", rootfs.all},
		{"ELF files of the image", rootfs.elf},
		{"source layout (compressed)", before},
		{"converted layout (compressed)", treeSize(target)},
		{"the same with --keep-native", treeSize(both)},
		{"megabinary (wasm)", wasm},
	} {
		b.add(sample{"size", row.name, "megabin", "bytes", []float64{float64(row.bytes)}})
		fmt.Printf("%-34s %10.1f %9.2f×\n", row.name, float64(row.bytes)/1e6, float64(row.bytes)/float64(before))
	}
	fmt.Println()
	return nil
}

// megabinarySize asks megabin inspect.
func (b *bench) megabinarySize(ctx context.Context, ref string) (int64, error) {
	out, err := exec.CommandContext(ctx, b.megabin, "inspect", "--json", ref).Output()
	if err != nil {
		return 0, fmt.Errorf("megabin inspect: %w", err)
	}
	var report struct {
		Megabinary struct {
			Size int64 `json:"size"`
		} `json:"megabinary"`
	}
	err = json.Unmarshal(out, &report)
	return report.Megabinary.Size, err
}

func treeSize(dir string) (total int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

// recompress decompresses and compresses the gzip blobs of a layout again, and
// tells how long that takes.
func recompress(layout string) (time.Duration, error) {
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for _, name := range blobs {
		if err := recompressBlob(name); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	return time.Since(began), nil
}

func recompressBlob(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if errors.Is(err, gzip.ErrHeader) {
		return nil // a config or a manifest
	}
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, bufio.NewReaderSize(z, 1<<20))
		w.CloseWithError(err)
	}()
	out, err := gzip.NewWriterLevel(io.Discard, 6)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, r, make([]byte, 1<<20)); err != nil {
		return err
	}
	return out.Close()
}
