package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// hostHas is what some programs need of the kernel they run on natively.
var hostHas = map[string]string{"sysfs_cache": "/sys/devices/system/cpu/cpu0/cache"}

// hostKeyrings is why there are no keyrings natively, as in many containers.
var hostKeyrings = sync.OnceValue(func() error {
	_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true)
	return err
})

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
			if dir := hostHas[name]; dir != "" {
				if _, err := os.Stat(dir); err != nil {
					t.Skip("this machine's kernel has none of it: ", err)
				}
			}
			if err := hostKeyrings(); err != nil && strings.HasPrefix(name, "key") {
				t.Skip("keyrings are kept from programs here: ", err)
			}
			want := capture(t, exec.Command(program, name))
			got := capture(t, exec.Command(megabin(), "run", "--set-id", img.ref, "/syscalls", name))
			k.judge(t, id, crashDiffs(want, got))
		})
	}
	k.checkIDs(t, "syscalls", ids)
}

// TestSetIDIgnored: without --set-id it is as if nobody was allowed new privileges.
func TestSetIDIgnored(t *testing.T) {
	needRoot(t)
	img := need(t, syscallImage)
	program := filepath.Join(img.rootfs, "syscalls")
	for _, name := range []string{"setid_user", "setid_group"} {
		want := capture(t, exec.Command("setpriv", "--no-new-privs", program, name))
		got := capture(t, exec.Command(megabin(), "run", img.ref, "/syscalls", name))
		if d := crashDiffs(want, got); len(d) > 0 {
			t.Errorf("%s: %v", name, d)
		}
	}
}
