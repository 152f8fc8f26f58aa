package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSyscalls runs each of the small C programs of testdata/syscalls natively
// and converted: same output, same status.
func TestSyscalls(t *testing.T) {
	needRoot(t)
	img := need(t, syscallImage)
	k := loadKnown(t)
	program := filepath.Join(img.rootfs, "syscalls")
	list, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, name := range strings.Fields(string(list)) {
		id := "syscalls: " + name
		ids[id] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := capture(t, exec.Command(program, name))
			got := capture(t, exec.Command(megabin(), "run", img.ref, "/syscalls", name))
			k.judge(t, id, crashDiffs(want, got))
		})
	}
	k.checkIDs(t, "syscalls", ids)
}
