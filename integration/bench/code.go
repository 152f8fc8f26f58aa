package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/megabin/megabin/converter/translate"
	"github.com/megabin/megabin/integration/container"
	"github.com/megabin/megabin/layers/unit"
)

// translated are the files whose code is measured.
var translated = []struct{ name, path string }{
	{"libc", "usr/lib/x86_64-linux-gnu/libc.so.6"},
	{"bash", "usr/bin/bash"},
	{"python3.11", "usr/bin/python3.11"},
}

// code prints how much the code grows, and how fast it is translated.
func (b *bench) code(ctx context.Context) error {
	if !b.wants("code") {
		return nil
	}
	t, err := b.toolbox(ctx)
	if err != nil {
		return err
	}
	img, err := container.Open(ctx, t.ref, filepath.Join(b.work, "cache"))
	if err != nil {
		return err
	}
	defer img.Close()
	fmt.Printf("code: sizes as multiples of the x86 code, and translation without the engine\n\n%-12s %10s %8s %14s %16s\n", "", "x86 MB", "wasm", "machine code", "MB/s per core")
	for _, f := range translated {
		data, err := os.ReadFile(filepath.Join(t.debian.Rootfs, f.path))
		if err != nil {
			return err
		}
		u, err := translate.ELF(ctx, f.name, data)
		if err != nil {
			return err
		}
		took, err := b.translation(ctx, filepath.Join(t.debian.Rootfs, f.path))
		if err != nil {
			return err
		}
		x86, wasm := codeSize(u)
		machine, err := b.compiledSize(ctx, img, u)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		b.add(sample{"code", f.name, "x86", "bytes", []float64{x86}})
		b.add(sample{"code", f.name, "wasm", "bytes", []float64{wasm}})
		b.add(sample{"code", f.name, "machine code", "bytes", []float64{machine}})
		b.add(sample{"code", f.name + ", translation", "megabin", "ns", []float64{took}})
		fmt.Printf("%-12s %10.2f %7.2f× %13.2f× %16.2f\n", f.name, x86/1e6, wasm/x86, machine/x86, x86/1e6/(took/1e9))
	}
	fmt.Println()
	return nil
}

// codeSize is the size of what a file maps executable and of its functions'
// wasm, in bytes.
func codeSize(u *unit.Unit) (x86, wasm float64) {
	for _, s := range u.Exec {
		x86 += float64(s.Size)
	}
	for i := range u.Funcs {
		wasm += float64(len(u.Funcs[i].Body))
	}
	return x86, wasm
}

// translation is the least processor time of three that `megabin lift` takes for a file, in nanoseconds. Its start and
// what the garbage collector takes on other processors are in it.
func (b *bench) translation(ctx context.Context, name string) (least float64, err error) {
	for range 3 {
		lift := exec.CommandContext(ctx, b.megabin, "lift", "-o", filepath.Join(b.work, "unit.wasm"), name)
		if out, err := lift.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("megabin lift %s: %w\n%s", name, err, out)
		}
		took := float64(lift.ProcessState.UserTime() + lift.ProcessState.SystemTime())
		if least == 0 || took < least {
			least = took
		}
	}
	return least, nil
}

// compiledSize has the engine compile all parts of a file in the image and
// returns what that takes in its cache, which is machine code but for some
// bytes a function.
func (b *bench) compiledSize(ctx context.Context, img *container.Image, u *unit.Unit) (float64, error) {
	ref, ok, err := img.Megabinary.Unit(u.Source)
	if err == nil && !ok {
		err = fmt.Errorf("the image has no unit %s", u.Source)
	}
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp(b.work, "code-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return 0, err
	}
	defer cache.Close(ctx)
	const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesThreads | experimental.CoreFeaturesExtendedConst
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features).WithDebugInfoEnabled(false).WithCompilationCache(cache)
	engine := wazero.NewRuntimeWithConfig(ctx, config)
	defer engine.Close(ctx)
	for n := range ref.Parts() {
		wasm, _, err := ref.Part(n)
		if err != nil {
			return 0, err
		}
		m, err := engine.CompileModule(ctx, wasm)
		if err != nil {
			return 0, err
		}
		if err := m.Close(ctx); err != nil {
			return 0, err
		}
	}
	return float64(treeSize(dir)), nil
}
