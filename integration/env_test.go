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
	return debianImage(context.Background(), testImage)
})

// debianImage is an image that is kept from run to run.
func debianImage(ctx context.Context, spec debian.Spec) (debian.Image, error) {
	dir, err := debian.CacheDir()
	if err != nil {
		return debian.Image{}, err
	}
	return debian.Build(ctx, spec, dir, os.Stderr)
}

var fixtures = sync.OnceValues(func() (string, error) {
	base, err := scratch()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "fixtures")
	return dir, makeFixtures(dir)
})

// converted is the test image after `megabin convert`, made once per run, or
// what MEGABIN_CONVERTED names: it was made of the same image before.
var converted = sync.OnceValues(func() (string, error) {
	if ref := os.Getenv("MEGABIN_CONVERTED"); ref != "" {
		return ref, nil
	}
	base, err := scratch()
	if err != nil {
		return "", err
	}
	img, err := source()
	if err != nil {
		return "", err
	}
	ref := "oci:" + filepath.Join(base, "converted") + ":latest"
	return ref, convert(img.Ref(), ref)
})

// syscallImage is an image of the one program in testdata/syscalls.
var syscallImage = sync.OnceValues(func() (small, error) {
	base, err := scratch()
	if err != nil {
		return small{}, err
	}
	s := small{rootfs: filepath.Join(base, "syscalls-rootfs"), layout: filepath.Join(base, "syscalls")}
	s.ref = "oci:" + s.layout + ":latest"
	for _, dir := range []string{"tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(s.rootfs, dir), 0o777); err != nil {
			return small{}, err
		}
	}
	if err := os.WriteFile(filepath.Join(s.rootfs, "etc", "passwd"), []byte("root:x:0:0::/root:/bin/sh\n"), 0o644); err != nil {
		return small{}, err
	}
	sources, err := filepath.Glob("testdata/syscalls/*.c")
	if err != nil {
		return small{}, err
	}
	// Without optimization gcc makes code on the stack for nested functions.
	args := append([]string{"-O1", "-Werror=trampolines", "-static", "-pthread", "-o", filepath.Join(s.rootfs, "syscalls")}, sources...)
	cmd := exec.Command("gcc", args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return small{}, err
	}
	return s, convert("dir:"+s.rootfs, s.ref)
})

// small is an image of a few static C programs, native and converted: quick to
// convert, so that tests may damage it in many ways.
type small struct {
	rootfs string // directory with the programs
	ref    string // the converted image
	layout string // its directory
}

var smallImage = sync.OnceValues(func() (small, error) {
	base, err := scratch()
	if err != nil {
		return small{}, err
	}
	s := small{rootfs: filepath.Join(base, "small-rootfs"), layout: filepath.Join(base, "small")}
	s.ref = "oci:" + s.layout + ":latest"
	if err := os.Mkdir(s.rootfs, 0o755); err != nil {
		return small{}, err
	}
	if err := compile(filepath.Join(s.rootfs, "crash"), "testdata/crash/crash.c"); err != nil {
		return small{}, err
	}
	return s, convert("dir:"+s.rootfs, s.ref)
})

// compile makes a static executable without optimization, so that a program
// does what its source says.
func compile(out, src string) error {
	cmd := exec.Command("gcc", "-O0", "-static", "-o", out, src)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

func convert(source, target string) error {
	cmd := exec.Command(megabin(), "convert", source, target)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

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
