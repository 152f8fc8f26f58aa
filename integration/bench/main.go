// Command bench measures megabin side by side with what it stands beside:
// native programs, qemu-user, runc, and C compiled to wasm for the same
// engine. All of a comparison's measurements are taken in one run, in turn,
// so that a noisy machine disturbs them alike. Tables go to stdout, raw samples to a
// JSON file.
//
//	go run ./integration/bench -megabin bin/megabin -out out
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"
)

// bench is what all measurements share.
type bench struct {
	megabin string // path of the binary
	work    string // scratch directory
	runs    int    // measurements of each thing
	samples []sample
}

// sample is one row of the raw data.
type sample struct {
	Group  string    `json:"group"`  // "kernel", "start", "convert", "size"
	Name   string    `json:"name"`   // what was measured
	Engine string    `json:"engine"` // by what it was run
	Unit   string    `json:"unit"`   // "ns", "bytes"
	Values []float64 `json:"values"` // in the order taken
}

// parts are the measurements, in order.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"kernels", (*bench).kernels},
	{"start", (*bench).starts},
	{"convert", (*bench).conversions},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	megabin := flag.String("megabin", "bin/megabin", "binary to measure")
	out := flag.String("out", "out", "directory for the raw samples")
	runs := flag.Int("runs", 5, "measurements of each thing")
	only := flag.String("only", "", "only this part: kernels, start or convert")
	flag.Parse()
	if err := run(ctx, *megabin, *out, *runs, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, megabin, out string, runs int, only string) error {
	path, err := filepath.Abs(megabin)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "megabin-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := &bench{megabin: path, work: work, runs: runs}
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		if err := p.run(b, ctx); err != nil {
			err = fmt.Errorf("%s: %w", p.name, err)
			return errors.Join(err, b.write(out)) // what was measured was measured
		}
	}
	return b.write(out)
}

// write saves the raw samples.
func (b *bench) write(dir string) error {
	now := time.Now().UTC()
	data, err := json.MarshalIndent(struct {
		Time    time.Time `json:"time"`
		CPUs    int       `json:"cpus"`
		Go      string    `json:"go"`
		Samples []sample  `json:"samples"`
	}{now, runtime.NumCPU(), runtime.Version(), b.samples}, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "bench-"+now.Format("20060102-150405")+".json")
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Println("raw samples:", path)
	return nil
}

func (b *bench) add(s sample) { b.samples = append(b.samples, s) }
