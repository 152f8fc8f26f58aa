package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFloatingPointEnvironment compares rounding modes and exception flags as
// C programs see them, through <fenv.h>.
func TestFloatingPointEnvironment(t *testing.T) {
	dir := t.TempDir()
	rootfs, ref := filepath.Join(dir, "rootfs"), "oci:"+filepath.Join(dir, "image")+":latest"
	if err := os.Mkdir(rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(rootfs, "fenv")
	output(t, "gcc", "-O1", "-frounding-math", "-static", "-o", program, "testdata/fenv/fenv.c", "-lm")
	if err := convert("dir:"+rootfs, ref); err != nil {
		t.Fatal(err)
	}
	want := output(t, program)
	got, err := exec.Command(megabin(), "run", ref, "/fenv").CombinedOutput()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: %s", err, firstDifference(want, got))
	}
}
