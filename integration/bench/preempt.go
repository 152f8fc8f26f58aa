package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/megabin/megabin/runtime/runner"
)

// spinners are the guests of guestsSource that make no system calls.
var spinners = []string{"loop", "recursion", "movs", "interpreter"}

// collections is the number of runtime.GC calls that are measured.
const collections = 200

// pauses prints how long the garbage collector waits for guests that spin.
func (b *bench) pauses(ctx context.Context) error {
	if !b.wants("pauses") {
		return nil
	}
	img, err := b.guestImage(ctx)
	if err != nil {
		return err
	}
	defer img.Close()
	fmt.Printf("%d garbage collections while two guests spin, in ms: the world's stops in each, and the whole of runtime.GC\n\n%-14s %8s %8s %8s %12s %8s %8s\n",
		collections, "", "p50", "p99", "most", "whole p50", "p99", "most")
	for _, name := range append([]string{"nothing runs"}, spinners...) {
		var g *guests
		if name != "nothing runs" {
			if g, err = startGuests(ctx, img, name, 2, runner.Bounds{}); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		stopped, whole := collect()
		if g != nil {
			if err := g.stop(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		b.add(sample{"preempt", name + ", pause", "lifted", "ns", stopped})
		b.add(sample{"preempt", name + ", runtime.GC", "lifted", "ns", whole})
		fmt.Printf("%-14s %8.2f %8.2f %8.2f %12.2f %8.2f %8.2f\n", name, quantile(stopped, 0.5)/1e6, quantile(stopped, 0.99)/1e6, quantile(stopped, 1)/1e6,
			quantile(whole, 0.5)/1e6, quantile(whole, 0.99)/1e6, quantile(whole, 1)/1e6)
	}
	fmt.Println()
	return nil
}

// collect returns the nanoseconds of collections: that the world was stopped
// or being stopped in each, and that each took.
func collect() (stopped, whole []float64) {
	for range collections {
		began := time.Now()
		runtime.GC()
		whole = append(whole, float64(time.Since(began)))
	}
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	for _, p := range stats.Pause[:min(collections, len(stats.Pause))] {
		stopped = append(stopped, float64(p))
	}
	return stopped, whole
}

func quantile(values []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return s[int(q*float64(len(s)-1)+0.5)]
}

// polls prints what looking for a stop costs the kernels: it builds a megabin
// whose translator leaves the polls out, and compares.
func (b *bench) polls(ctx context.Context) error {
	if !b.wants("polls") {
		return nil
	}
	if err := b.buildKernels(ctx); err != nil {
		return err
	}
	without := filepath.Join(b.work, "kernels-without-polls")
	if err := b.convertWithoutPolls(ctx, without); err != nil {
		return err
	}
	fmt.Printf("CPU time of kernels with polls, without = 1 (least of %d runs)\n\n", b.fewRuns())
	logs := 0.0
	for _, k := range kernels {
		values := make([][]float64, 2)
		for range b.fewRuns() {
			for i, ref := range []string{"oci:" + without, b.kernelImage()} {
				_, ns, err := runKernel(ctx, []string{b.megabin, "run", ref, "/" + k.name, strconv.Itoa(k.n)})
				if err != nil {
					return fmt.Errorf("%s: %w", k.name, err)
				}
				values[i] = append(values[i], ns)
			}
		}
		b.add(sample{"preempt", k.name, "without polls", "ns", values[0]})
		b.add(sample{"preempt", k.name, "lifted", "ns", values[1]})
		ratio := slices.Min(values[1]) / slices.Min(values[0])
		logs += math.Log(ratio)
		fmt.Printf("%-10s %8.3f\n", k.name, ratio)
	}
	fmt.Printf("%-10s %8.3f\n\n", "geomean", math.Exp(logs/float64(len(kernels))))
	return nil
}

// The build without polls replaces one line of one file, so that nothing of
// this is in what people run.
const (
	pollFile   = "converter/translate/translate.go"
	pollBefore = "\t\topt.Run(f)\n"
	pollAfter  = `		f.PollAtEntry = false
		for _, b := range f.Blocks {
			b.Poll = nil
		}
		opt.Run(f)
`
)

// convertWithoutPolls makes an image of the kernels that never look for a
// stop.
func (b *bench) convertWithoutPolls(ctx context.Context, target string) error {
	source, err := os.ReadFile(pollFile)
	if err != nil {
		return err
	}
	if strings.Count(string(source), pollBefore) != 1 {
		return fmt.Errorf("%s has no line, or more than one, to leave the polls out at: %q", pollFile, pollBefore)
	}
	changed := filepath.Join(b.work, "translate-without-polls.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), pollBefore, pollAfter, 1)), 0o644); err != nil {
		return err
	}
	original, err := filepath.Abs(pollFile)
	if err != nil {
		return err
	}
	overlay := filepath.Join(b.work, "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, text, 0o644); err != nil {
		return err
	}
	megabin := filepath.Join(b.work, "megabin-without-polls")
	if err := command(ctx, "go", "build", "-overlay", overlay, "-o", megabin, "./cmd/megabin"); err != nil {
		return err
	}
	// Its units have a cache of their own: it says that it is the same translator.
	cache := "XDG_CACHE_HOME=" + filepath.Join(b.work, "cache-without-polls")
	return command(ctx, "env", cache, megabin, "convert", "dir:"+filepath.Dir(b.program("x")), "oci:"+target)
}
