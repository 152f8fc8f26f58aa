package integration

import (
	"bytes"
	"os/exec"
	"testing"
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
