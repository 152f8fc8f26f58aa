// Command coverage measures code discovery on real programs: it fetches the
// Debian packages of packages.txt, analyses each ELF in them as the converter
// does, and compares what it found with what the files' own unwind tables and
// symbols say. A table goes to stdout, everything to a JSON file.
//
//	go run ./integration/coverage -out out
//	go run ./integration/coverage -only Rust
//	go run ./integration/coverage FILE...
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := flag.String("out", "out", "directory for the report")
	only := flag.String("only", "", "only this language or package")
	jobs := flag.Int("jobs", runtime.NumCPU(), "files analysed at a time")
	flag.Parse()
	if err := run(ctx, *out, *only, *jobs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, only string, jobs int, paths []string) error {
	files := named(paths)
	if len(paths) == 0 {
		var err error
		if files, err = fetch(ctx, only); err != nil {
			return err
		}
	}
	r := report{Time: time.Now().UTC(), Files: analyzeAll(ctx, files, jobs)}
	r.print(os.Stdout)
	if err := r.write(out); err != nil {
		return err
	}
	return ctx.Err()
}

// analyzeAll analyses files, jobs at a time, and gives the results in order:
// of as many as there is time for until ctx ends.
func analyzeAll(ctx context.Context, files []file, jobs int) []*result {
	results := make([]*result, len(files))
	next := make(chan int)
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for i := range next {
				results[i] = analyze(files[i])
				fmt.Fprintf(os.Stderr, "%d of %d: %s\n", i+1, len(files), files[i].name())
			}
		})
	}
	for i := range files {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return slices.DeleteFunc(results, func(r *result) bool { return r == nil })
}

func (r *report) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, "coverage-"+r.Time.Format("20060102-150405")+".json")
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Println("report:", path)
	return nil
}
