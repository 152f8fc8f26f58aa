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
	"slices"
	"strings"
)

// Unpack returns a directory with the files of these packages and no others:
// no dependencies are looked for and no scripts run. They are downloaded if
// the cache below dir does not hold them. Safe among concurrent processes.
func Unpack(ctx context.Context, packages []string, dir string, log io.Writer) (string, error) {
	sum := sha256.Sum256([]byte(formatVersion + " " + strings.Join(slices.Sorted(slices.Values(packages)), ",")))
	final := filepath.Join(dir, "packages-"+hex.EncodeToString(sum[:6]))
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	tmp, err := os.MkdirTemp(dir, "tmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	rootfs := filepath.Join(tmp, "rootfs")
	if err := unpack(ctx, packages, tmp, rootfs, log); err != nil {
		return "", err
	}
	return final, os.Rename(rootfs, final)
}

func unpack(ctx context.Context, packages []string, debs, rootfs string, log io.Writer) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-q", "-o", "APT::Sandbox::User=root"}, packages...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = debs, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get download: %w", err)
	}
	if err := os.Mkdir(rootfs, 0o755); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := command(ctx, log, "", "dpkg-deb", "-x", f, rootfs); err != nil {
			return err
		}
	}
	return nil
}
