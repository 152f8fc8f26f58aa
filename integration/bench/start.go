package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/megabin/megabin/integration/debian"
)

// startRuns is how often each start is measured: it is short, and noisy.
const startRuns = 20

// starter is a way to run `echo hi` of the Debian image.
type starter struct {
	name    string
	runs    int
	prepare func() error // before each run, not measured
	cmd     func(ctx context.Context) *exec.Cmd
}

// starts prints how long a whole process takes to say hi.
func (b *bench) starts(ctx context.Context) error {
	if !b.wants("start") {
		return nil
	}
	img, err := debianImage(ctx)
	if err != nil {
		return err
	}
	ref := "oci:" + filepath.Join(b.work, "debian")
	if err := command(ctx, b.megabin, "convert", img.Ref(), ref); err != nil {
		return err
	}
	bundle, err := newBundle(ctx, filepath.Join(b.work, "start-bundle"), img.Rootfs)
	if err != nil {
		return err
	}
	if err := bundle.set([]string{"echo", "hi"}); err != nil {
		return err
	}
	cold := filepath.Join(b.work, "cold-cache")
	list := []starter{
		{"native (chroot)", startRuns, nil, func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "/bin/echo", "hi")
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: img.Rootfs}
			return cmd
		}},
		{"qemu-user", startRuns, nil, func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, "qemu-x86_64", "-L", img.Rootfs, img.Rootfs+"/bin/echo", "hi")
		}},
		{"runc", startRuns, nil, func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, "runc", "run", "--bundle", bundle.dir, containerID())
		}},
		{"megabin", startRuns, nil, func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, b.megabin, "run", ref, "echo", "hi")
		}},
		{"megabin, empty cache", 3, func() error { return os.RemoveAll(cold) }, func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, b.megabin, "run", ref, "echo", "hi")
			cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cold)
			return cmd
		}},
	}
	fmt.Printf("start of `echo hi`, whole process\n\n%-22s %10s %10s %12s\n", "", "median ms", "least ms", "memory MB")
	for _, s := range list {
		if err := b.start(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	b.machineCode(filepath.Join(cold, "megabin", "code"))
	return nil
}

// machineCode prints how much the last start with an empty cache left in the
// cache of compiled code.
func (b *bench) machineCode(dir string) {
	size := treeSize(dir)
	b.add(sample{"size", "machine code for echo", "megabin", "bytes", []float64{float64(size)}})
	fmt.Printf("\nmachine code that `echo hi` needs of itself, ld.so and libc: %.1f MB\n\n", float64(size)/1e6)
}

func (b *bench) start(ctx context.Context, s starter) error {
	var times, memory []float64
	for i := range s.runs + 1 { // the first one warms up
		if s.prepare != nil {
			if err := s.prepare(); err != nil {
				return err
			}
		}
		cmd := s.cmd(ctx)
		began := time.Now()
		out, err := cmd.Output()
		took := time.Since(began)
		if err != nil || string(out) != "hi\n" {
			return fmt.Errorf("%s: %q, %w", cmd, out, err)
		}
		if i > 0 {
			times = append(times, float64(took.Nanoseconds()))
			memory = append(memory, maxRSS(cmd))
		}
	}
	b.add(sample{"start", "echo", s.name, "ns", times})
	b.add(sample{"start", "memory", s.name, "bytes", memory})
	fmt.Printf("%-22s %10.1f %10.1f %12.1f\n", s.name, median(times)/1e6, slices.Min(times)/1e6, slices.Max(memory)/1e6)
	return nil
}

// maxRSS is the most memory a finished command had resident, in bytes.
func maxRSS(cmd *exec.Cmd) float64 {
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return float64(usage.Maxrss) * 1024
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// debianImage returns the minbase image.
func debianImage(ctx context.Context) (debian.Image, error) {
	cache, err := debian.CacheDir()
	if err != nil {
		return debian.Image{}, err
	}
	return debian.Build(ctx, debian.Minbase, cache, os.Stderr)
}
