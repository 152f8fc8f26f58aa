package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
		run := func(id string, flags ...string) {
			ids[id] = true
			t.Run(strings.TrimPrefix(id, "sockets: "), func(t *testing.T) {
				t.Parallel()
				k.judge(t, id, socketDiffs(runSocketCase(t, img, name, flags)))
			})
		}
		run("sockets: " + name)
		if onHost.MatchString(name) {
			run("sockets: "+name+" on the host's network", "--net", "host")
		}
	}
	k.checkIDs(t, "sockets", ids)
}

// onHost are the cases that the host's sockets must pass too.
var onHost = regexp.MustCompile("^(tcp|udp|inet|options_(tcp|udp|of)|interfaces|netlink|fork|thread|interrupted|splice|sendfile)")

// runSocketCase runs a case natively and converted. One that waits for ever
// ends with a status of its own.
func runSocketCase(t *testing.T, img small, name string, flags []string) (want, got outcome) {
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(img.rootfs, "sockets"), name)
	cmd.Dir = t.TempDir()
	args := append(append([]string{"run", "-w", "/w"}, flags...), img.ref, "/sockets", name)
	return capture(t, cmd), capture(t, exec.CommandContext(ctx, megabin(), args...))
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
