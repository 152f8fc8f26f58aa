package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/megabin/megabin/integration/container"
	"github.com/megabin/megabin/runtime/runner"
)

// guestsSource is a program of guests that are hard to live with.
const guestsSource = "integration/bench/testdata/guests.c"

// guestImage makes and opens an image of micro and guests.
func (b *bench) guestImage(ctx context.Context) (*container.Image, error) {
	root, ref := filepath.Join(b.work, "guests"), "oci:"+filepath.Join(b.work, "guests-converted")
	for _, dir := range []string{"bin", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			return nil, err
		}
	}
	empty := filepath.Join(b.work, "true.c")
	if err := os.WriteFile(empty, []byte("int main(void) { return 0; }\n"), 0o644); err != nil {
		return nil, err
	}
	for _, p := range []struct{ name, source string }{{"micro", microSource}, {"guests", guestsSource}, {"true", empty}} {
		if err := command(ctx, "gcc", "-O2", "-static", "-pthread", "-o", filepath.Join(root, "bin", p.name), p.source); err != nil {
			return nil, err
		}
	}
	if err := os.RemoveAll(ref[len("oci:"):]); err != nil {
		return nil, err
	}
	if err := command(ctx, b.megabin, "convert", "dir:"+root, ref); err != nil {
		return nil, err
	}
	return container.Open(ctx, ref, filepath.Join(b.work, "cache"))
}

// guests are containers that run until stop is called.
type guests struct {
	stop func() error
}

// startGuests starts n containers of a guest in this process, and waits until
// all run.
func startGuests(ctx context.Context, img *container.Image, name string, n int, bounds runner.Bounds) (*guests, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	failed := make(chan error, n)
	for range n {
		running.Go(func() {
			_, err := img.Run(ctx, runner.Spec{Argv: []string{"/bin/guests", name}, Stdout: w, Stderr: os.Stderr, Bounds: bounds, Messages: io.Discard})
			if !errors.Is(err, context.Canceled) {
				failed <- fmt.Errorf("%s ended by itself (%v)", name, err)
				w.Close()
			}
		})
	}
	g := &guests{stop: func() error {
		cancel()
		running.Wait()
		w.Close()
		r.Close()
		select {
		case err := <-failed:
			return err
		default:
			return nil
		}
	}}
	if _, err := io.ReadFull(r, make([]byte, n)); err != nil {
		return nil, errors.Join(err, g.stop())
	}
	return g, nil
}

// output runs a container to its end and returns what it wrote.
func output(ctx context.Context, img *container.Image, args ...string) (string, error) {
	f, err := os.CreateTemp("", "megabin-bench-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	result, err := img.Run(ctx, runner.Spec{Argv: args, Stdout: f, Stderr: os.Stderr})
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("%v: exit status %d", args, result.Code)
	}
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(f.Name())
	return string(text), err
}
