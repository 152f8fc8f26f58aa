package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
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
	err := cached(dir, final, func(tmp string) (string, error) {
		rootfs := filepath.Join(tmp, "rootfs")
		return rootfs, unpack(ctx, packages, tmp, rootfs, log)
	})
	if err != nil {
		return "", err
	}
	return final, nil
}

func unpack(ctx context.Context, packages []string, debs, rootfs string, log io.Writer) error {
	// What is installed here may be of a version that no source has.
	download := append([]string{"download", "-q", "-o", "APT::Sandbox::User=root", "-o", "Dir::State::status=/dev/null"}, packages...)
	if err := command(ctx, log, debs, "apt-get", download...); err != nil {
		return fmt.Errorf("downloading: %w", err)
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
