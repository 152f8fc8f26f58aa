package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// kernelSources is where the C sources are.
const kernelSources = "examples/kernels"

// kernel is one of the C programs.
type kernel struct {
	name string
	n    int // work, so that it takes some 0.15 s natively
}

var kernels = []kernel{
	{"fib", 4000}, {"fibs", 2500}, {"crc32", 3500}, {"sha256", 35000}, {"qsort", 750}, {"interp", 500},
	{"str", 6000}, {"matmul", 500}, {"hash", 15000}, {"tree", 40000}, {"tok", 20000},
}

// engine runs a kernel; args is the command up to the work to do.
type engine struct {
	name string
	args func(b *bench, kernel string) []string
}

// engines to compare; the first is what the others are divided by.
var engines = []engine{
	{"native", func(b *bench, k string) []string { return []string{b.program(k)} }},
	{"qemu-user", func(b *bench, k string) []string { return []string{"qemu-x86_64", b.program(k)} }},
	{"lifted", func(b *bench, k string) []string { return []string{b.megabin, "run", b.kernelImage(), "/" + k} }},
	{"source→wasm", func(b *bench, k string) []string { return []string{b.wasmrun(), b.program(k) + ".wasm"} }},
}

func (b *bench) program(k string) string { return filepath.Join(b.work, "kernels", k) }
func (b *bench) kernelImage() string     { return "oci:" + filepath.Join(b.work, "kernel-image") }
func (b *bench) wasmrun() string         { return filepath.Join(b.work, "wasmrun") }

// kernels prints the CPU time of each kernel by each engine, as a ratio.
func (b *bench) kernels(ctx context.Context) error {
	rows := wanted(b, "kernels", kernels, func(k kernel) string { return k.name })
	if len(rows) == 0 {
		return nil
	}
	if err := b.buildKernels(ctx); err != nil {
		return err
	}
	fmt.Printf("CPU time of kernels, native = 1 (least of %d runs)\n\n%-10s %10s", b.runs, "kernel", "native ms")
	for _, e := range engines[1:] {
		fmt.Printf(" %12s", e.name)
	}
	fmt.Println()
	logs := make([]float64, len(engines)) // sums of logarithms, for the geometric mean
	for _, k := range rows {
		best, err := b.measureKernel(ctx, k.name, k.n)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		printRatios(10, k.name, best, logs)
	}
	printGeomeans(10, logs, len(rows))
	return nil
}

// printRatios prints a row: its name, width characters wide, the first of its
// nanoseconds in ms, and the others as multiples of that, whose logarithms it adds to logs.
func printRatios(width int, name string, best, logs []float64) {
	fmt.Printf("%-*s %10.1f", width, name, best[0]/1e6)
	for i := 1; i < len(best); i++ {
		fmt.Printf(" %12.2f", best[i]/best[0])
		logs[i] += math.Log(best[i] / best[0])
	}
	fmt.Println()
}

// printGeomeans ends a table of so many rows.
func printGeomeans(width int, logs []float64, rows int) {
	fmt.Printf("%-*s %10s", width, "geomean", "")
	for _, sum := range logs[1:] {
		fmt.Printf(" %12.2f", math.Exp(sum/float64(rows)))
	}
	fmt.Print("\n\n")
}

// buildKernels compiles all kernels for the engines and converts them.
func (b *bench) buildKernels(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(b.program("x")), 0o755); err != nil {
		return err
	}
	for _, k := range kernels {
		src := filepath.Join(kernelSources, k.name+".c")
		if err := command(ctx, "gcc", "-O2", "-static", "-o", b.program(k.name), src, filepath.Join(kernelSources, "main.c")); err != nil {
			return err
		}
	}
	if err := command(ctx, b.megabin, "convert", "dir:"+filepath.Dir(b.program("x")), b.kernelImage()); err != nil {
		return err
	}
	for _, k := range kernels {
		if err := command(ctx, "clang", "--target=wasm32", "-O2", "-nostdlib", "-ffreestanding", "-Wl,--no-entry", "-Wl,--export=kernel",
			"-o", b.program(k.name)+".wasm", filepath.Join(kernelSources, k.name+".c")); err != nil {
			return err
		}
	}
	return command(ctx, "go", "build", "-C", "integration/wasmrun", "-o", b.wasmrun(), ".")
}

// measureKernel returns the least CPU nanoseconds of each engine.
func (b *bench) measureKernel(ctx context.Context, kernel string, n int) ([]float64, error) {
	values := make([][]float64, len(engines))
	var checksum string
	for range b.runs {
		for i, e := range engines {
			sum, ns, err := runKernel(ctx, append(e.args(b, kernel), strconv.Itoa(n)))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
			if checksum == "" {
				checksum = sum
			}
			if sum != checksum {
				return nil, fmt.Errorf("%s: checksum %s, want %s", e.name, sum, checksum)
			}
			values[i] = append(values[i], ns)
		}
	}
	best := make([]float64, len(engines))
	for i, e := range engines {
		b.add(sample{"kernel", kernel, e.name, "ns", values[i]})
		best[i] = slices.Min(values[i])
	}
	return best, nil
}

func runKernel(ctx context.Context, args []string) (checksum string, ns float64, err error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	if err := cmd.Run(); err != nil {
		return "", 0, fmt.Errorf("%w: %s", err, errb.Bytes())
	}
	ns, err = strconv.ParseFloat(strings.TrimSpace(errb.String()), 64)
	return strings.TrimSpace(out.String()), ns, err
}

// command runs a preparation; what it prints is shown only if it fails.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
