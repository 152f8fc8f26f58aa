package hugeheap

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"
)

// TestAdvised: new objects are where the kernel was advised to use huge pages.
func TestAdvised(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("a kernel without huge pages:", err)
	}
	Grow(1)
	for _, object := range []uintptr{
		uintptr(unsafe.Pointer(new([block]byte))), uintptr(unsafe.Pointer(new([2 * small]byte))),
	} {
		if flags := flagsAt(t, object); !strings.Contains(flags, " hg") {
			t.Errorf("flags of the mapping at %#x: %s, without hg", object, flags)
		}
	}
}

// TestLimited: where addresses are limited, the heap is not made larger than those.
func TestLimited(t *testing.T) {
	const limit = "HUGEHEAP_TEST_LIMITED"
	if os.Getenv(limit) != "" {
		Grow(1 << 40)
		return
	}
	limited := exec.Command("/bin/sh", "-c", `ulimit -v 4000000; exec "$0" -test.run=TestLimited`, os.Args[0])
	limited.Env = append(os.Environ(), limit+"=1")
	if out, err := limited.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// flagsAt returns the flags of the mapping with an address.
func flagsAt(t *testing.T, object uintptr) string {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var start, end uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &start, &end); n == 2 {
			inside = start <= object && object < end
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			return flags
		}
	}
	t.Fatalf("no mapping has %#x", object)
	return ""
}
