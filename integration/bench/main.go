// Command bench measures megabin side by side with what it stands beside:
// native programs, qemu-user, runc, gVisor, and C compiled to wasm for the same
// engine. All of a comparison's measurements are taken in one run, in turn,
// so that a noisy machine disturbs them alike. Tables go to stdout, raw samples to a
// JSON file.
//
//	go run ./integration/bench -megabin bin/megabin -out out
//	go run ./integration/bench -run programs/python -work out/bench
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
	"regexp"
	"runtime"
	"time"

	"github.com/megabin/megabin/integration/oracle"
)

// bench is what all measurements share.
type bench struct {
	megabin string // path of the binary
	tools   string // directory with programs that Debian does not have
	work    string // scratch directory
	runs    int    // measurements of each thing
	only    *regexp.Regexp
	samples []sample

	image *toolbox // nil until it is needed
}

// sample is one row of the raw data.
type sample struct {
	Group  string    `json:"group"`  // "kernel", "program", "syscall", "tree", "bound", "preempt", "start", "convert", "size"
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
	{"programs", (*bench).programs},
	{"syscalls", (*bench).syscalls},
	{"trees", (*bench).trees},
	{"bounds", (*bench).bounds},
	{"polls", (*bench).polls},
	{"pauses", (*bench).pauses},
	{"code", (*bench).code},
	{"start", (*bench).starts},
	{"convert", (*bench).conversions},
	{"images", (*bench).images},
}

func main() {
	oracle.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := &bench{}
	flag.StringVar(&b.megabin, "megabin", "bin/megabin", "binary to measure")
	flag.StringVar(&b.tools, "tools", "out/tools", "directory with runsc, if it is there")
	flag.StringVar(&b.work, "work", "", "scratch directory that is kept, so that the next run prepares less (default: a temporary one)")
	flag.IntVar(&b.runs, "runs", 5, "measurements of each thing")
	out := flag.String("out", "out", "directory for the raw samples")
	only := flag.String("run", "", "measure only what the regular expression matches: PART or PART/ROW")
	flag.Parse()
	err := b.prepare(*only)
	if err == nil {
		err = errors.Join(b.run(ctx), b.write(*out)) // what was measured was measured
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// prepare makes what the flags say usable.
func (b *bench) prepare(only string) (err error) {
	if b.only, err = regexp.Compile(only); err != nil {
		return err
	}
	for _, p := range []*string{&b.megabin, &b.tools, &b.work} {
		if *p == "" {
			continue
		}
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) run(ctx context.Context) error {
	if b.work != "" {
		if err := os.MkdirAll(b.work, 0o755); err != nil {
			return err
		}
	} else {
		work, err := os.MkdirTemp("", "megabin-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		b.work = work
	}
	for _, p := range parts {
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// wants tells whether a row, "PART/ROW", is to be measured; a part without
// rows of its own is its own row.
func (b *bench) wants(row string) bool { return b.only.MatchString(row) }

// wanted are the rows of a part that are to be measured.
func wanted[R any](b *bench, part string, rows []R, name func(R) string) (list []R) {
	for _, r := range rows {
		if b.wants(part + "/" + name(r)) {
			list = append(list, r)
		}
	}
	return list
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

// fewRuns is how often what takes seconds is measured.
func (b *bench) fewRuns() int { return max(b.runs/2, 1) }

func (b *bench) add(s sample) { b.samples = append(b.samples, s) }
