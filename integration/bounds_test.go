package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/megabin/megabin/integration/container"
	"github.com/megabin/megabin/runtime/runner"
)

// TestBounds lets programs want more than they may have: they get an error or
// die alone.
func TestBounds(t *testing.T) {
	img := need(t, syscallImage)
	for _, c := range []struct {
		name       string
		args       []string
		status     int
		stdout, in string // in is in stderr
	}{
		{"memory", []string{"--memory", "64m", img.ref, "/syscalls", "hog"}, 137, "", "out of memory: killed process 1"},
		{"a child's memory", []string{"--memory", "64m", img.ref, "/syscalls", "child-hogs"}, 0, "killed 9\n", "out of memory: killed process 2"},
		{"what children keep", []string{"--memory", "64m", img.ref, "/syscalls", "children-keep"}, 0, "killed 9\n", "out of memory: killed process 2"},
		{"files", []string{"--tmpfs-size", "1m", img.ref, "/syscalls", "fills", "/tmp/file"}, 0, "15 of 64K: No space left on device\n", ""}, // /etc has some
		{"memfds", []string{"--memory", "1g", "--tmpfs-size", "1m", img.ref, "/syscalls", "fills"}, 0, "16 of 64K: No space left on device\n", ""},
		{"files by memory", []string{"--memory", "64m", img.ref, "/syscalls", "fills"}, 0, "1024 of 64K: No space left on device\n", ""},
		{"shared memory", []string{"--tmpfs-size", "1m", "--shm-size", "2m", img.ref, "/syscalls", "fills", "/dev/shm/file"}, 0, "32 of 64K: No space left on device\n", ""},
		{"tmpfs", []string{"--tmpfs-size", "1m", "--tmpfs", "/a:size=192k", img.ref, "/syscalls", "fills", "/a/file"}, 0, "3 of 64K: No space left on device\n", ""},
		{"tmpfs of the usual size", []string{"--tmpfs-size", "1m", "--tmpfs", "/a:mode=700", img.ref, "/syscalls", "fills", "/a/file"}, 0, "16 of 64K: No space left on device\n", ""},
		{"tmpfs to read", []string{"--tmpfs", "/a:ro", img.ref, "/syscalls", "fills", "/a/file"}, 0, "0 of 64K: Bad file descriptor\n", ""},
		{"none", []string{img.ref, "/syscalls", "crowd"}, 0, "500 processes, 2000 threads, 0 not waited for\n", ""},
		{"processes", []string{"--pids", "20", img.ref, "/syscalls", "bomb", "1"}, 0, "19 children, EAGAIN\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := capture(t, exec.Command(megabin(), append([]string{"run"}, c.args...)...))
			if got.status != c.status || string(got.stdout) != c.stdout || !bytes.Contains(got.stderr, []byte(c.in)) {
				t.Errorf("status %d, stdout %q, stderr %q; want %d, %q and %q", got.status, clip(got.stdout), clip(got.stderr), c.status, c.stdout, c.in)
			}
		})
	}
}

// TestNeighbours runs containers beside a bad neighbour in the same process:
// each has the bounds that it was given, whatever the other one takes.
func TestNeighbours(t *testing.T) {
	syscalls := need(t, syscallImage)
	root, ref := filepath.Join(t.TempDir(), "guests"), "oci:"+filepath.Join(t.TempDir(), "converted")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := compile(filepath.Join(root, "guests"), "bench/testdata/guests.c"); err != nil {
		t.Fatal(err)
	}
	if err := convert("dir:"+root, ref); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	guests, victims := openContainers(t, ref, cache), openContainers(t, syscalls.ref, cache)
	for _, guest := range []string{"bomb", "hog", "loop", "leak"} {
		t.Run(guest, func(t *testing.T) {
			stop := startNeighbour(t, guests, guest)
			for _, c := range []struct {
				args   []string
				bounds runner.Bounds
				stdout string
			}{
				{[]string{"/syscalls", "child-hogs"}, runner.Bounds{Memory: 64 << 20}, "killed 9\n"},
				{[]string{"/syscalls", "bomb", "1"}, runner.Bounds{Tasks: 20}, "19 children, EAGAIN\n"},
			} {
				got, code, err := runContainer(t, victims, runner.Spec{Argv: c.args, Bounds: c.bounds})
				if err != nil || code != 0 || got != c.stdout {
					t.Errorf("%v: status %d, %q, %v; want %q", c.args, code, got, err, c.stdout)
				}
			}
			if err := stop(); !errors.Is(err, context.Canceled) {
				t.Errorf("the neighbour ended by itself: %v", err)
			}
		})
	}
}

func openContainers(t *testing.T, ref, cache string) *container.Image {
	img, err := container.Open(t.Context(), ref, cache)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(img.Close)
	return img
}

// startNeighbour returns when the guest runs. stop ends it and tells how it
// ended.
func startNeighbour(t *testing.T, img *container.Image, guest string) (stop func() error) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := img.Run(ctx, runner.Spec{
			Argv: []string{"/guests", guest}, Stdout: w, Stderr: os.Stderr, Messages: io.Discard,
			Bounds: runner.Bounds{Memory: 128 << 20, Tasks: 50, CPUs: 0.5},
		})
		w.Close()
		ended <- err
	}()
	stop = func() error {
		cancel()
		r.Close()
		return <-ended
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		t.Fatal(errors.Join(err, stop()))
	}
	return stop
}

// runContainer runs a container to its end.
func runContainer(t *testing.T, img *container.Image, s runner.Spec) (stdout string, code int, err error) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s.Stdout, s.Stderr, s.Messages = f, os.Stderr, io.Discard
	result, err := img.Run(t.Context(), s)
	text, readErr := os.ReadFile(f.Name())
	return string(text), result.Code, errors.Join(err, readErr)
}
