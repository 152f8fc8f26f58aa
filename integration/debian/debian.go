// Package debian makes the Debian images that the demo and the tests convert:
// out of Debian's own packages with mmdebstrap, as an OCI layout and as an
// unpacked root filesystem for the native oracle. Results are kept in a cache
// and found again by what was asked for, so that later runs need no network.
// It knows nothing about conversion.
package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// Spec says which image is wanted. Two equal specs give the same cache entry.
type Spec struct {
	Suite   string   // a Debian release, such as "bookworm"
	Include []string // packages besides those of mmdebstrap's minbase variant
}

// Minbase is Debian 12 with essential packages and apt, nothing else.
var Minbase = Spec{Suite: "bookworm"}

// Image is where a finished image lies.
type Image struct {
	Layout string // directory of an OCI layout with one image, tagged "latest"
	Rootfs string // the same files, unpacked
}

// Ref is the image as megabin names it.
func (i Image) Ref() string { return "oci:" + i.Layout + ":latest" }

// CacheDir is where images are kept: $XDG_CACHE_HOME or ~/.cache.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(base, "megabin-test"), nil
}

// Build returns the image of spec, made now if the cache below dir does not
// hold it. Making one needs root (device nodes, file owners), mmdebstrap and
// a Debian mirror; progress goes to log. Safe among concurrent processes.
func Build(ctx context.Context, spec Spec, dir string, log io.Writer) (Image, error) {
	final := filepath.Join(dir, "debian-"+spec.key())
	err := cached(dir, final, func(tmp string) (string, error) {
		if os.Geteuid() != 0 {
			return "", fmt.Errorf("making a Debian root filesystem needs root (and %s does not hold one yet)", final)
		}
		if err := os.Chmod(tmp, 0o755); err != nil {
			return "", err
		}
		return tmp, build(ctx, spec, tmp, log)
	})
	if err != nil {
		return Image{}, err
	}
	return at(final), nil
}

// cached makes final, in the cache below dir, unless it is there: fill puts
// something into a temporary directory beside it, and returns what of that is to
// become final.
func cached(dir, final string, fill func(tmp string) (string, error)) error {
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(final), "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	made, err := fill(tmp)
	if err != nil {
		return err
	}
	return os.Rename(made, final)
}

// formatVersion changes when build's result for the same Spec does.
const formatVersion = "1"

func (s Spec) key() string {
	inc := append([]string(nil), s.Include...)
	sort.Strings(inc)
	sum := sha256.Sum256([]byte(formatVersion + " " + s.Suite + " " + strings.Join(inc, ",")))
	return s.Suite + "-" + hex.EncodeToString(sum[:6])
}

func at(dir string) Image {
	return Image{Layout: filepath.Join(dir, "oci"), Rootfs: filepath.Join(dir, "rootfs")}
}

func build(ctx context.Context, spec Spec, dir string, log io.Writer) error {
	tarball := filepath.Join(dir, "rootfs.tar")
	args := []string{"--variant=minbase", "--mode=root", "--format=tar"}
	if len(spec.Include) > 0 {
		args = append(args, "--include="+strings.Join(spec.Include, ","))
	}
	args = append(args, spec.Suite, tarball)
	err := command(ctx, log, dir, "mmdebstrap", args...)
	if err != nil { // a mirror may be away for a moment
		err = command(ctx, log, dir, "mmdebstrap", args...)
	}
	if err != nil {
		return err
	}
	img := at(dir)
	if err := os.Mkdir(img.Rootfs, 0o755); err != nil {
		return err
	}
	if err := command(ctx, log, dir, "tar", "-C", img.Rootfs, "--numeric-owner", "--xattrs", "-xpf", tarball); err != nil {
		return err
	}
	if err := WriteLayout(img.Layout, tarball); err != nil {
		return fmt.Errorf("writing the OCI layout: %w", err)
	}
	return os.Remove(tarball)
}

func command(ctx context.Context, log io.Writer, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1735689600", "LC_ALL=C")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// lock keeps a second process from making the same image at the same time.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}
