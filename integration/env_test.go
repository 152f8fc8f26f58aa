package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/megabin/megabin/integration/debian"
)

// testImage is minbase and what the cases need besides.
var testImage = debian.Spec{
	Suite:   debian.Minbase.Suite,
	Include: []string{"busybox-static", "xz-utils"},
}

// scratchBase is removed when all tests are done.
var scratchBase string

// baseEnv is the environment of every command, native and converted.
var baseEnv = []string{"PATH=" + debian.Path, "HOME=/root", "HOSTNAME=megabin", "TZ=UTC0"}

var scratch = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "megabin-integration-")
	scratchBase = dir
	return dir, err
})

var source = sync.OnceValues(func() (debian.Image, error) {
	dir, err := debian.CacheDir()
	if err != nil {
		return debian.Image{}, err
	}
	return debian.Build(context.Background(), testImage, dir, os.Stderr)
})

var fixtures = sync.OnceValues(func() (string, error) {
	base, err := scratch()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "fixtures")
	return dir, makeFixtures(dir)
})

// converted is the test image after `megabin convert`, made once per run.
var converted = sync.OnceValues(func() (string, error) {
	base, err := scratch()
	if err != nil {
		return "", err
	}
	img, err := source()
	if err != nil {
		return "", err
	}
	ref := "oci:" + filepath.Join(base, "converted") + ":latest"
	cmd := exec.Command(megabin(), "convert", img.Ref(), ref)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return ref, cmd.Run()
})

// megabin is the binary under test.
func megabin() string {
	if p := os.Getenv("MEGABIN"); p != "" {
		return p
	}
	return filepath.Join("..", "bin", "megabin")
}

// need returns what a once-only preparation gives, or ends the test.
func need[T any](t testing.TB, prepare func() (T, error)) T {
	t.Helper()
	v, err := prepare()
	if err != nil {
		t.Fatalf("preparing: %v", err)
	}
	return v
}

// needRoot skips on machines where the native half can't be run.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the native oracle needs root (mount namespace, chroot)")
	}
}

// stepTimeout bounds one command; nothing in the cases comes near it.
const stepTimeout = 60 * time.Second
