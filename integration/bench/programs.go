package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// program is a row: a command of the image, which takes some 0.3 to 1 s
// natively, so that starting it counts for little.
type program struct {
	name string
	args []string
}

var programs = []program{
	{"sqlite3", []string{"/usr/bin/sqlite3", ":memory:", ".read " + share + "/queries.sql"}},
	{"lua5.4", []string{"/usr/bin/lua5.4", share + "/mixed.lua"}},
	{"perl", []string{"/usr/bin/perl", share + "/mixed.pl", share + "/text"}},
	{"gzip -9", []string{"/usr/bin/gzip", "-9nc", share + "/text"}},
	{"xz -3", []string{"/usr/bin/xz", "-3cT1", share + "/short"}},
	{"sha256sum", append([]string{"/usr/bin/sha256sum"}, slices.Repeat([]string{share + "/text"}, 16)...)},
	{"sort", []string{"/usr/bin/sort", "--parallel=1", share + "/lines"}},
	{"grep -E", append([]string{"/usr/bin/grep", "-Eoh", `(ba|de|ki)[a-z]*ing ([a-z]+ed|[0-9]+)|(lo|mu)+s [a-z]*er$`}, slices.Repeat([]string{share + "/text"}, 12)...)},
	{"bc", []string{"/usr/bin/bc", "-lq", share + "/pi.bc"}},
	{"jq", []string{"/usr/bin/jq", "-c", `group_by(.tags[0]) | map({tag: .[0].tags[0], n: length, sum: (map(.size) | add)})`, share + "/data.json"}},
	{"python nbody", []string{"/usr/bin/python3", share + "/nbody.py"}},
	{"python json", []string{"/usr/bin/python3", share + "/jsonround.py"}},
	{"python words", []string{"/usr/bin/python3", share + "/words.py", share + "/text"}},
	{"python queens", []string{"/usr/bin/python3", share + "/queens.py"}},
}

// system makes the command by which args of the image run.
type system struct {
	name string
	cmd  func(ctx context.Context, args []string) (*exec.Cmd, error)
}

// programs prints the CPU time of whole programs by each engine, as a ratio.
func (b *bench) programs(ctx context.Context) error {
	rows := wanted(b, "programs", programs, func(p program) string { return p.name })
	if len(rows) == 0 {
		return nil
	}
	t, err := b.toolbox(ctx)
	if err != nil {
		return err
	}
	by := []system{{"native", t.native}, {"qemu-user", t.emulated}, {"lifted", b.lifted}}
	fmt.Printf("CPU time of whole programs with their start, native = 1 (least of %d runs)\n\n%-14s %10s %12s %12s\n", b.fewRuns(), "", "native ms", by[1].name, by[2].name)
	logs := make([]float64, len(by))
	for _, p := range rows {
		best, err := b.measureProgram(ctx, p, by)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		printRatios(14, p.name, best, logs)
	}
	printGeomeans(14, logs, len(rows))
	return nil
}

// measureProgram returns the least CPU nanoseconds of each system. What a
// program writes must be the same by all of them.
func (b *bench) measureProgram(ctx context.Context, p program, by []system) ([]float64, error) {
	values := make([][]float64, len(by))
	var want [sha256.Size]byte
	for run := range b.fewRuns() + 1 {
		for i, r := range by {
			if run == 0 && r.name == "qemu-user" {
				continue // the first run is for caches, and there are none
			}
			out, ns, err := runProgram(ctx, r, p.args)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			sum := sha256.Sum256(out)
			if run == 0 && i == 0 {
				want = sum
			}
			if sum != want {
				return nil, fmt.Errorf("%s: its output of %d bytes is not the native one", r.name, len(out))
			}
			if run > 0 {
				values[i] = append(values[i], ns)
			}
		}
	}
	best := make([]float64, len(by))
	for i, r := range by {
		b.add(sample{"program", p.name, r.name, "ns", values[i]})
		best[i] = slices.Min(values[i])
	}
	return best, nil
}

// runProgram returns what a command writes and its CPU nanoseconds, those of
// its children included.
func runProgram(ctx context.Context, r system, args []string) (out []byte, ns float64, err error) {
	cmd, err := r.cmd(ctx, args)
	if err != nil {
		return nil, 0, err
	}
	var errb bytes.Buffer
	cmd.Stderr = &errb
	if out, err = cmd.Output(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, errb.Bytes())
	}
	return out, float64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()), nil
}
