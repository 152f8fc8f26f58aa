package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// socketsImage is an image of one static C program that has a case for each
// behaviour of sockets and of the other descriptors that wait.
var socketsImage = sync.OnceValues(func() (small, error) {
	base, err := scratch()
	if err != nil {
		return small{}, err
	}
	s := small{rootfs: filepath.Join(base, "sockets-rootfs"), layout: filepath.Join(base, "sockets")}
	s.ref = "oci:" + s.layout + ":latest"
	if err := os.MkdirAll(filepath.Join(s.rootfs, "w"), 0o755); err != nil {
		return small{}, err
	}
	sources, err := filepath.Glob("testdata/sockets/*.c")
	if err != nil {
		return small{}, err
	}
	args := append([]string{"-w", "-O1", "-static", "-pthread", "-o", filepath.Join(s.rootfs, "sockets")}, sources...)
	cmd := exec.Command("gcc", args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return small{}, err
	}
	return s, convert("dir:"+s.rootfs, s.ref)
})

// TestSockets runs each case of testdata/sockets natively and converted, each
// in an empty directory: same output, same status.
func TestSockets(t *testing.T) {
	img := need(t, socketsImage)
	k := loadKnown(t)
	program := filepath.Join(img.rootfs, "sockets")
	list, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, name := range strings.Fields(string(list)) {
		id := "sockets: " + name
		ids[id] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A case that waits for ever ends with a status of its own.
			ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, name)
			cmd.Dir = t.TempDir()
			want := capture(t, cmd)
			got := capture(t, exec.CommandContext(ctx, megabin(), "run", "-w", "/w", img.ref, "/sockets", name))
			k.judge(t, id, socketDiffs(want, got))
		})
	}
	k.checkIDs(t, "sockets", ids)
}

// socketDiffs shows whole lines: each is one call.
func socketDiffs(want, got outcome) []string {
	diffs := crashDiffs(want, got)
	if len(diffs) == 0 {
		return nil
	}
	a, b := bytes.Split(want.stdout, []byte("\n")), bytes.Split(got.stdout, []byte("\n"))
	for i := range max(len(a), len(b)) {
		var l, r []byte
		if i < len(a) {
			l = a[i]
		}
		if i < len(b) {
			r = b[i]
		}
		if !bytes.Equal(l, r) {
			diffs = append(diffs, "natively "+string(l)+"\n         here "+string(r))
		}
	}
	return diffs
}
